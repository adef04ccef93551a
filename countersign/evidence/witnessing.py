"""Counter-signatures of an observer: somebody else saw this seal, and that it goes on from the last one they hold.

What belongs here: giving one. What does not: judging those that are kept (`seals`), and who is an observer.
"""

from pathlib import Path

from countersign.environment import Clock
from countersign.errors import TamperedError
from countersign.evidence import durable
from countersign.evidence.lines import Draft
from countersign.evidence.register import ACTOR, Register
from countersign.evidence.root import EvidenceRoot
from countersign.evidence.seal import read_seal, witness_path
from countersign.evidence.seals import check_seals
from countersign.evidence.signature import sign
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

    Raises TamperedError where a seal does not hold. The signature lies beside the seal and the register knows it; the
    same again is harmless.
    """
    check_names(witness, WITNESS)
    checked = check_seals(root, allowed_signers=allowed_signers, witness=held)
    if checked.faults:
        fault = checked.faults[0]
        raise TamperedError(f"{fault.where}: {fault.kind}: expected {fault.detail}; nothing is counter-signed (SEV-1)")
    seal = read_seal(root, number)
    path = witness_path(root, number, witness)
    if not path.exists():
        durable.create_file(path, sign(seal.statement, key=key, namespace=WITNESS))
    data = {"number": number, "by": witness, "file": path.name, "sha256": durable.digest_of(path.read_bytes())}
    with Register(root, clock=clock).writing() as register:
        known = any(entry.event == "witnessed" and entry.data == data for entry in register.entries())
        if not known:
            register.append([Draft("witnessed", ACTOR, data)])
    return path
