"""Evidence that left early: a finding for each loss, and another for one that comes again after it was disposed of.

What belongs here: recording them, for whoever has checked. What does not: the check, which knows no findings.
"""

from collections.abc import Iterable
from datetime import datetime

from countersign.findings.finding import Findings, Occurrence
from countersign.findings.log import FindingsLog
from countersign.findings.occurrences import early_deletion
from countersign.policy import Policy


def record_losses(log: FindingsLog, subjects: Iterable[str], now: datetime, policy: Policy) -> list[str]:
    """A finding for everything that was lost; returns the ids that were not on record.

    One that is open already is the same loss, however often it is seen.
    """
    lost = list(subjects)
    if not lost:
        return []
    findings = log.read()
    return log.open([_not_disposed(findings, subject, now, policy) for subject in lost])


def _not_disposed(findings: Findings, subject: str, now: datetime, policy: Policy) -> Occurrence:
    """The first finding of this subject that nobody has disposed of, on record or not."""
    what, times = early_deletion(subject, now, policy), 0
    while (known := findings.by_id.get(what.id)) is not None and known.disposed:
        times += 1
        what = early_deletion(f"{subject}, again after {times} dispositions", now, policy)
    return what
