"""Counter-signatures of an observer: somebody else saw this seal, and that it goes on from the last one they hold.

What belongs here: giving one. What does not: judging those that are kept (`seals`), and who is an observer.
"""

from pathlib import Path

from countersign.environment import Clock
from countersign.errors import SignatureError, TamperedError
from countersign.evidence import durable
from countersign.evidence.lines import Draft
from countersign.evidence.register import ACTOR, Register
from countersign.evidence.root import EvidenceRoot
from countersign.evidence.seal import read_seal, witness_path
from countersign.evidence.seals import check_seals
from countersign.evidence.signature import sign, verify, verify_itself
from countersign.evidence.signers import WITNESS, check_names


def countersign(
    root: EvidenceRoot,
    number: int,
    *,
    witness: str,
    key: Path,
    held: Path | None,
    allowed_signers: Path | None,
    clock: Clock,
) -> Path:
    """Counter-sign a seal as `witness`, after checking every seal and that the root goes on from the one `held`.

    Raises TamperedError where a seal does not hold, SignatureError where what was signed, now or by somebody before, is
    not what `allowed_signers` lets pass. The signature lies beside the seal and the register knows it; the same again
    is harmless.
    """
    check_names(witness, WITNESS)
    checked = check_seals(root, allowed_signers=allowed_signers, witness=held)
    if checked.faults:
        fault = checked.faults[0]
        raise TamperedError(f"{fault.where}: {fault.kind}: expected {fault.detail}; nothing is counter-signed (SEV-1)")
    seal = read_seal(root, number)
    path = witness_path(root, number, witness)
    there = path.exists()  # signed before a crash, or put there by somebody else
    signature = path.read_bytes() if there else sign(seal.statement, key=key, namespace=WITNESS)
    data = {"number": number, "by": witness, "file": path.name, "sha256": durable.digest_of(signature)}
    with Register(root, clock=clock).writing() as register:
        known = any(entry.event == "witnessed" and entry.data == data for entry in register.entries())
        if not known:
            _require_good(seal.statement, signature, path, witness, allowed_signers, clock)
            if not there:
                durable.create_file(path, signature)
            register.append([Draft("witnessed", ACTOR, data)])
    return path


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
