"""What went wrong, as findings: from a clock that ran out, from what the gate noticed, from what a check found.

What belongs here: kind, severity, owner and due date of each. What does not: noticing it, and writing it down.
"""

from collections.abc import Iterable
from datetime import date, datetime

from countersign.clocks.allowance import ClockKind
from countersign.clocks.instant import hours_after, stamp
from countersign.evidence.indexed import IndexedClock
from countersign.findings.finding import FindingKind, Occurrence, Severity
from countersign.policy import Policy, Role

BLOCK, EXCEPTION = "block", "exception"


def subject_of(kind: str, about: str) -> str:
    """A clock in words: `maker_checker`, or `exception_observation of block`."""
    return f"{kind} of {about}" if about else kind


def breach(clock: IndexedClock, at: datetime, owner: Role, late: Iterable[str], policy: Policy) -> Occurrence:
    """A clock that ran out at an instant; `late` are the roster ids of everybody it waited for."""
    # not to look at a block for so long is graver than not to look at an exception
    severity = Severity.SEV_2 if clock.about == BLOCK else Severity.SEV_3
    subject = subject_of(clock.kind, clock.about)
    return _of_run(FindingKind.SLA_BREACH, subject, severity, owner, clock, late, at, policy)


def noticed(clock: IndexedClock, at: datetime, hands: Iterable[str], policy: Policy, *, repeated: bool) -> Occurrence:
    """A block or an exception that the gate, or a rejection, told the observer of; `repeated` by the same source."""
    if clock.about == BLOCK:
        severity = Severity.SEV_2 if repeated else Severity.SEV_3
        return _of_run(FindingKind.BLOCK, "gate", severity, "process_owner", clock, hands, at, policy)
    what = FindingKind.CONTROL_EXCEPTION
    return _of_run(what, "controls", Severity.SEV_3, "control_owner", clock, hands, at, policy)


def integrity_incident(
    run_id: str, system: str | None, fault: str, hands: Iterable[str], seen_at: datetime, policy: Policy
) -> Occurrence:
    """A log that does not verify; `hands` are the roster ids of whoever had one in the change.

    When it was changed nobody knows, so it counts from when that was seen first.
    """
    due = hours_after(seen_at, policy.escalation.dispose_within_hours)
    kind, subject, owner = FindingKind.INTEGRITY_INCIDENT, f"audit_log, {fault}", "control_owner"
    return Occurrence(kind, subject, Severity.SEV_1, owner, run_id, system, tuple(hands), seen_at, due)


def root_incident(fault: str, seen_at: datetime, policy: Policy) -> Occurrence:
    """A seal or another file of the root that is not what it was; whose hand it was no log says."""
    due = hours_after(seen_at, policy.escalation.dispose_within_hours)
    kind = FindingKind.INTEGRITY_INCIDENT
    return Occurrence(kind, fault, Severity.SEV_1, "control_owner", None, None, (), seen_at, due)


def late_seal(late_at: datetime, policy: Policy) -> Occurrence:
    """What happened has waited for a seal for too long, as of an instant; the next seal covers it too late."""
    due = hours_after(late_at, policy.escalation.dispose_within_hours)
    kind, subject = FindingKind.INTEGRITY_INCIDENT, f"no seal by {stamp(late_at)}"
    return Occurrence(kind, subject, Severity.SEV_2, "control_owner", None, None, (), late_at, due)


def early_deletion(path: str, gone_at: datetime, policy: Policy) -> Occurrence:
    """Evidence that left its store before its time; who deleted it no store says."""
    due = hours_after(gone_at, policy.escalation.dispose_within_hours)
    kind = FindingKind.EARLY_DELETION
    return Occurrence(kind, path, Severity.SEV_1, "control_owner", None, None, (), gone_at, due)


def incomplete_population(month: date, missing: str, seen_at: datetime, policy: Policy) -> Occurrence:
    """A population that is smaller than the truth; `missing` says what it lacks."""
    due = hours_after(seen_at, policy.escalation.dispose_within_hours)
    kind, subject = FindingKind.INCOMPLETE_POPULATION, f"{month:%Y-%m}: {missing}"
    return Occurrence(kind, subject, Severity.SEV_2, "control_owner", None, None, (), seen_at, due)


def late_sample(month: date, due_at: datetime, observers: Iterable[str], policy: Policy) -> Occurrence:
    """A month's sample that nobody had answered for when that was due: it opens a completeness review."""
    due = hours_after(due_at, policy.escalation.dispose_within_hours)
    subject = f"{ClockKind.POPULATION_OBSERVATION} of {month:%Y-%m}: completeness review"
    kind, owner = FindingKind.SLA_BREACH, policy.population_review.owner
    return Occurrence(kind, subject, Severity.SEV_3, owner, None, None, tuple(observers), due_at, due)


def sample_deviations(month: date, what: str, seen_at: datetime, policy: Policy, *, grave: bool) -> Occurrence:
    """Deviations in a month's sample; grave where the rate that they leave open is not tolerable."""
    due = hours_after(seen_at, policy.escalation.dispose_within_hours)
    kind, subject = FindingKind.CONTROL_EXCEPTION, f"sample of {month:%Y-%m}, {what}"
    severity = Severity.SEV_2 if grave else Severity.SEV_3
    return Occurrence(kind, subject, severity, "control_owner", None, None, (), seen_at, due)


def _of_run(
    kind: FindingKind,
    subject: str,
    severity: Severity,
    owner: Role,
    clock: IndexedClock,
    barred: Iterable[str],
    at: datetime,
    policy: Policy,
) -> Occurrence:
    due = hours_after(at, policy.escalation.dispose_within_hours)
    return Occurrence(kind, subject, severity, owner, clock.run_id, clock.system, tuple(barred), at, due)


def waits_for(kind: str, policy: Policy) -> Role:
    """The role that a clock waits for, by the policy in force."""
    return policy.due_role(ClockKind(kind))
