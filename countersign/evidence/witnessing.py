"""Counter-signatures of an observer: somebody else saw this seal, and that it goes on from the last one they hold.

What belongs here: giving one. What does not: judging those that are kept (`seals`), and who is an observer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from countersign.environment import Clock
from countersign.errors import EvidenceError, SealRefused, SignatureError, TamperedError
from countersign.evidence import durable
from countersign.evidence.lines import Draft
from countersign.evidence.plain import read_plain
from countersign.evidence.register import ACTOR, Register
from countersign.evidence.root import EvidenceRoot
from countersign.evidence.seal import key_of, read_seal, seal_numbers, witness_path
from countersign.evidence.seals import check_seals
from countersign.evidence.signature import Signature, sign, verify, verify_itself
from countersign.evidence.signers import WITNESS, PublicKey, check_names


@dataclass(frozen=True, slots=True)
class Witnessed:
    """A counter-signature that the register knows; `repeated` says that it did before."""

    path: Path
    repeated: bool


def countersign(
    root: EvidenceRoot,
    number: int,
    *,
    witness: str,
    key: Path,
    held: Path | None,
    allowed_signers: Path | None,
    clock: Clock,
) -> Witnessed:
    """Counter-sign a seal as `witness`, after checking every seal and that the root goes on from the one `held`.

    Raises TamperedError where a seal does not hold, EvidenceError where there is none of that number, SealRefused for
    a key that seals here, or that is not the one of the signature that is there already, SignatureError where that
    signature is not what `allowed_signers` lets pass. The signature lies beside the seal and the register knows it; the
    same again is harmless.
    """
    check_names(witness, WITNESS)
    checked = check_seals(root, allowed_signers=allowed_signers, witness=held)
    if checked.faults:
        fault = checked.faults[0]
        raise TamperedError(f"{fault.where}: {fault.kind}: expected {fault.detail}; nothing is counter-signed (SEV-1)")
    numbers = seal_numbers(root)
    if number not in numbers:
        newest = f"the newest is {numbers[-1]}" if numbers else "there is none yet; `countersign seal` makes one"
        raise EvidenceError(f"{root.path}: no seal {number}; {newest}")
    seal = read_seal(root, number)
    path = witness_path(root, number, witness)
    there = path.exists()  # signed before a crash, or put there by somebody else
    seals = {key_of(root, each): each for each in numbers}
    signature = _sign(seal.statement, key, seals)
    if there:
        signature = _kept(path, signature, witness, seals)
    data = {"number": number, "by": witness, "file": path.name, "sha256": durable.digest_of(signature)}
    with Register(root, clock=clock).writing() as register:
        known = any(entry.event == "witnessed" and entry.data == data for entry in register.entries())
        if not known:
            _require_good(seal.statement, signature, path, witness, allowed_signers, clock)
            if not there:
                durable.create_file(path, signature)
            register.append([Draft("witnessed", ACTOR, data)])
    return Witnessed(path, repeated=known)


def _sign(statement: bytes, key: Path, seals: Mapping[PublicKey, int]) -> bytes:
    """A counter-signature by a key that made none of these seals. Raises SealRefused."""
    signature = sign(statement, key=key, namespace=WITNESS)
    public = Signature.parse(signature).key
    if public in seals:
        raise SealRefused(
            f"{key}: the key {public.fingerprint} made seal {seals[public]}, so it shows nothing that the seal does "
            "not; witness with one that only the observer has"
        )
    return signature


def _kept(path: Path, signature: bytes, witness: str, seals: Mapping[PublicKey, int]) -> bytes:
    """The counter-signature that is there, unless it names another key than the one given now. Raises SealRefused."""
    kept, given = read_plain(path), Signature.parse(signature).key
    try:
        signed = Signature.parse(kept).key
    except SignatureError as error:
        raise SignatureError(f"{path}: no counter-signature of {witness!r}: {error}; nothing is registered") from error
    if signed != given:
        whose = f", which made seal {seals[signed]}" if signed in seals else ""
        raise SealRefused(
            f"{path}: counter-signed before by another key than {given.fingerprint}: {signed.fingerprint}{whose}; what "
            "to do: RUNBOOK.md, Sealing"
        )
    return kept


def _require_good(
    statement: bytes, signature: bytes, path: Path, witness: str, allowed_signers: Path | None, clock: Clock
) -> None:
    try:
        if allowed_signers is None:
            verify_itself(statement, signature, namespace=WITNESS)
        else:
            who = {"principal": witness, "namespace": WITNESS}
            verify(statement, signature, **who, at=clock(), allowed_signers=allowed_signers)
    except SignatureError as error:
        raise SignatureError(f"{path}: no counter-signature of {witness!r}: {error}; nothing is registered") from error
