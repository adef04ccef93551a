"""Whether a root beside its runs is what it was, as checks ask it: its seals and its files.

What belongs here: those judgements. What does not: what can be wrong with a seal or a file (`evidence.seals`,
`evidence.contents`), and what becomes of it (`findings.incidents`).
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from countersign.errors import EvidenceError
from countersign.evidence.contents import check_dataset, check_dataset_again
from countersign.evidence.register import Register
from countersign.evidence.root import EvidenceRoot
from countersign.evidence.seals import RootFault, check_seals, latest_is_late
from countersign.runs.account import faults_of_files, read_account
from countersign.runs.engine import Engine
from countersign.runs.judgements import Judgement

_SEV_1 = "SEV-1, see ESCALATION.md"


def seals_hold(engine: Engine, allowed_signers: Path | None = None) -> Judgement:
    """Every seal is what it was, and nothing has waited for one for too long.

    `allowed_signers` are whose keys may seal; without them one key for all seals is believed, whichever it is.
    """
    try:
        sealed = check_seals(engine.root, allowed_signers=allowed_signers, now=engine.clock())
    except EvidenceError as error:
        return _unreadable("seals_unreadable", engine.root.seals, f"the seals cannot be judged: {_SEV_1}: {error}")
    if sealed.faults:
        return _failed(f"{len(sealed.faults)} faults of seals: {_SEV_1}, or RUNBOOK.md, Sealing", sealed.faults)
    if sealed.newest is None:
        return Judgement(True, "nothing was ever sealed")
    return Judgement(True, f"{sealed.newest.number} seals hold, the newest of {sealed.newest.at}")


def seals_are_recent(engine: Engine) -> Judgement:
    """Nothing has waited for a seal for too long; the seals themselves are judged every night."""
    try:
        late = latest_is_late(engine.root, engine.clock())
    except EvidenceError as error:
        return _unreadable("seals_unreadable", engine.root.seals, f"the newest seal cannot be read: {_SEV_1}: {error}")
    if late is None:
        return Judgement(True, "nothing waits for a seal for longer than it may")
    return _failed(f"expected {late.detail}", [late])


def files_hold(root: EvidenceRoot, beside: Iterable[RootFault] = ()) -> Judgement:
    """Every file beside the logs is the one that its name or the register says; `beside` are faults found elsewhere."""
    try:
        faults = [*_faults_of_files(root), *beside]
    except EvidenceError as error:
        return _unreadable("register", root.register, f"the files cannot be judged: {_SEV_1}: {error}")
    if faults:
        return _failed(f"{len(faults)} faults of files: {_SEV_1}", faults)
    return Judgement(True, "every file beside the logs is the one that its name or the register says")


def _faults_of_files(root: EvidenceRoot) -> Iterator[RootFault]:
    account = read_account(Register(root))
    yield from faults_of_files(root, account)
    for (asset, day), (digest, _) in account.datasets.items():
        if any(check_dataset(root, asset, day, digest)):
            yield from check_dataset_again(root, asset, day)


def _failed(says: str, faults: Iterable[RootFault]) -> Judgement:
    found = tuple(faults)
    return Judgement(False, says, tuple((one.where, f"{one.kind}: expected {one.detail}") for one in found), (), found)


def _unreadable(kind: str, where: Path, says: str) -> Judgement:
    return Judgement(False, says, faults=(RootFault(kind, str(where), says),))
