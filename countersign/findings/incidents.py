"""Integrity incidents: a log that does not verify is a finding of its own, SEV-1, and so is a seal or another file.

What belongs here: saying what is wrong with the runs and files that a check has found, and judging the findings
themselves. The same log or file spoiled otherwise is another incident, so what is there now is part of what one is
about. What a crash leaves and the next pass mends is none.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

from countersign.changes.hands import roster_ids
from countersign.environment import Clock, Entropy, random_bytes, utc_now
from countersign.errors import CountersignError, EvidenceError, TamperedError
from countersign.evidence.durable import digest_of_file
from countersign.evidence.indexed import IndexedRun
from countersign.evidence.lines import ZERO
from countersign.evidence.log import AuditLog
from countersign.evidence.plain import is_plain
from countersign.evidence.root import EvidenceRoot
from countersign.evidence.seals import RootFault
from countersign.findings.finding import Occurrence
from countersign.findings.log import FindingsLog
from countersign.findings.occurrences import integrity_incident, late_seal, root_incident
from countersign.findings.verification import check_findings
from countersign.runs.engine import Engine
from countersign.runs.hands import hands_of
from countersign.runs.judgements import Judgement
from countersign.runs.versions import Versions

# what a crash between two writes leaves, or a mode that `chmod` mends
_MENDED = frozenset(
    (
        "torn_tail",
        "seal_unfinished",
        "dataset_unregistered",
        "file_unregistered",
        "findings_unregistered",
        "permissions",
    )
)


def record_incidents(engine: Engine, run_ids: Iterable[str]) -> list[str]:
    """A finding for each of these runs whose log does not verify; returns the ids that were not on record."""
    root, now = engine.root, engine.clock()
    runs = engine.index.runs(run_ids).values()
    wrong = [(run, fault) for run in runs if (fault := _fault(root, run)) is not None]
    if not wrong or any(check_findings(root)):
        return []  # nothing is written into a file that is itself at fault
    log = FindingsLog(root, clock=engine.clock, entropy=engine.entropy)
    return log.open(_incident(root, engine.current, run, fault, now) for run, fault in wrong)


def record_faults(
    root: EvidenceRoot,
    in_force: Versions,
    faults: Mapping[str, str],
    runs: Iterable[IndexedRun],
    *,
    clock: Clock = utc_now,
    entropy: Entropy = random_bytes,
) -> list[str]:
    """A finding for each of these runs, of which a verification found these faults by name; returns every id.

    A log that is whole can be wrong all the same, as where its gate decision does not follow. Raises TamperedError
    where `findings.jsonl` is itself at fault, and whatever keeps the root from being written.
    """
    _require_sound(root)
    now = clock()
    wrong = [(run, _fault(root, run) or f"{faults[run.run_id]}, at {run.head[:16]}") for run in runs]
    incidents = [_incident(root, in_force, run, fault, now) for run, fault in wrong]
    FindingsLog(root, clock=clock, entropy=entropy).open(incidents)
    return [incident.id for incident in incidents]


def record_root_incidents(engine: Engine, faults: Iterable[RootFault]) -> list[str]:
    """A finding for each of these faults that no crash explains; returns every id.

    None where register or findings are themselves at fault: nothing is written into such a file.
    """
    try:
        return record_root_faults(engine.root, engine.current, faults, clock=engine.clock, entropy=engine.entropy)
    except EvidenceError:
        return []


def record_root_faults(
    root: EvidenceRoot,
    in_force: Versions,
    faults: Iterable[RootFault],
    *,
    clock: Clock = utc_now,
    entropy: Entropy = random_bytes,
) -> list[str]:
    """A finding for each of these faults that no crash explains; returns every id.

    Raises TamperedError where `findings.jsonl` is itself at fault, and whatever keeps the root from being written.
    """
    incidents = [_of_root(root, in_force, fault, clock()) for fault in faults if fault.kind not in _MENDED]
    if incidents:
        _require_sound(root)
        FindingsLog(root, clock=clock, entropy=entropy).open(incidents)
    return [incident.id for incident in incidents]


def with_findings(engine: Engine, logs: Judgement) -> Judgement:
    """A judgement of logs, with what is wrong with `findings.jsonl` itself."""
    faults = [(fault.where, f"{fault.kind}: expected {fault.detail}") for fault in check_findings(engine.root)]
    if not faults:
        return logs
    says = f"findings.jsonl is not what it was: SEV-1, see ESCALATION.md; {logs.says}"
    return Judgement(False, says, (*faults, *logs.rows), logs.runs)


def _require_sound(root: EvidenceRoot) -> None:
    if fault := next(check_findings(root), None):
        raise TamperedError(f"{fault.where} is itself at fault ({fault.kind}); restore it from a copy")


def _of_root(root: EvidenceRoot, in_force: Versions, fault: RootFault, now: datetime) -> Occurrence:
    if fault.at is not None:
        return late_seal(fault.at, in_force.policy)
    return root_incident(_subject(root, fault), now, in_force.policy)


def _subject(root: EvidenceRoot, fault: RootFault) -> str:
    """What is wrong, where, and what lies there now; a name of a file that somebody chose stays on its line."""
    path = Path(fault.where)
    now = f", now {digest_of_file(path)[:16]}" if is_plain(path) else ""
    where = fault.where.removeprefix(f"{root.path}/")
    return f"{fault.kind} at {where if where.isprintable() else ascii(where)}{now}"


def _incident(root: EvidenceRoot, in_force: Versions, run: IndexedRun, fault: str, now: datetime) -> Occurrence:
    hands = roster_ids(in_force.people, hands_of(root, run.run_id) or ())
    return integrity_incident(run.run_id, run.system, fault, hands, now, in_force.policy)


def _fault(root: EvidenceRoot, run: IndexedRun) -> str | None:
    """The first fault of a log, and after which head it stands, or None."""
    log = AuditLog(root.log(run.day, run.run_id), root=root)
    if not log.path.exists():
        return None if run.head == ZERO else f"missing, with the head {run.head[:16]}"  # else opened, and never begun
    try:
        report = log.check(registered=run.heads)
    except CountersignError:
        return "unreadable"
    if report.fault is None:
        return None
    return f"{report.fault.kind} in line {report.fault.line}, after {report.head[:16]}"
