"""Integrity incidents: a log that does not verify is a finding of its own, SEV-1.

What belongs here: saying what is wrong with the runs that a check has found, and judging the findings themselves.
"""

from collections.abc import Iterable

from countersign.errors import CountersignError
from countersign.evidence.indexed import IndexedRun
from countersign.evidence.lines import ZERO
from countersign.findings.hands import hands_of, roster_ids
from countersign.findings.log import FindingsLog
from countersign.findings.occurrences import integrity_incident
from countersign.findings.verification import check_findings
from countersign.runs.daywork import Judgement
from countersign.runs.engine import Engine


def record_incidents(engine: Engine, run_ids: Iterable[str]) -> list[str]:
    """A finding for each of these runs whose log does not verify; returns the ids that were not on record.

    What is wrong there now is part of what it is about: the same log spoiled otherwise is another finding.
    """
    policy, now = engine.current.policy, engine.clock()
    wrong = [(run, fault) for run in engine.index.runs(run_ids).values() if (fault := _fault(engine, run)) is not None]
    if not wrong or any(check_findings(engine.root)):
        return []  # nothing is written into a file that is itself at fault
    log = FindingsLog(engine.root, clock=engine.clock, entropy=engine.entropy)
    return log.open(
        integrity_incident(run.run_id, run.system, fault, _hands(engine, run), now, policy) for run, fault in wrong
    )


def with_findings(engine: Engine, logs: Judgement) -> Judgement:
    """A judgement of logs, with what is wrong with `findings.jsonl` itself."""
    faults = [(fault.where, f"{fault.kind}: expected {fault.detail}") for fault in check_findings(engine.root)]
    if not faults:
        return logs
    says = f"findings.jsonl is not what it was: SEV-1, see ESCALATION.md; {logs.says}"
    return Judgement(False, says, (*faults, *logs.rows), logs.runs)


def _hands(engine: Engine, run: IndexedRun) -> list[str]:
    return roster_ids(engine.current.people, hands_of(engine.root, run.run_id) or ())


def _fault(engine: Engine, run: IndexedRun) -> str | None:
    """The first fault of a log, and after which head it stands, or None."""
    log = engine.log_of(run.day, run.run_id)
    if not log.path.exists():
        return None if run.head == ZERO else f"missing, with the head {run.head[:16]}"  # else opened, and never begun
    try:
        report = log.check(registered=run.head)
    except CountersignError:
        return "unreadable"
    if report.fault is None:
        return None
    return f"{report.fault.kind} in line {report.fault.line}, after {report.head[:16]}"
