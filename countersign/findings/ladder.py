"""The escalation ladder: who is to be told what, now. Pure: facts and an instant in, steps out.

A clock that runs warns the role that is due when half and three quarters of its time are used. A finding goes to its
owner at once, again every few hours until somebody acknowledges it, and after some of these one level up. What
completes a handoff goes to the observer once.

Each step has an id that follows from what it is about. A ladder says what is due now, whatever was missed: after days
without a daemon there is one step for each finding, not one for every few hours. But the first step of a finding is
never left out.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from countersign.clocks.allowance import ClockKind
from countersign.clocks.instant import stamp
from countersign.findings.finding import NOBODY, Addendum, Finding, FindingKind, Findings, Notice, short_id


class Rung(StrEnum):
    """The rungs of the ladder, from the bottom."""

    HALF = "half"
    THREE_QUARTERS = "three_quarters"
    FIRST = "first"
    AGAIN = "again"
    RAISED = "raised"
    ADDENDUM = "addendum"


@dataclass(frozen=True, slots=True)
class Settings:
    """How long an owner has before being told again, how often that is enough, and who is above whom."""

    again_after: timedelta
    raised_after: int
    above: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OpenClock:
    """A clock that runs, with the instants that were computed when it started or was last paused."""

    run_id: str
    kind: ClockKind
    role: str
    half_at: datetime
    three_quarters_at: datetime
    deadline: datetime


@dataclass(frozen=True, slots=True)
class Step:
    """Tell one role one thing: `about` is a run or a finding, `number` counts the rungs of one name."""

    about: str
    subject: str
    rung: Rung
    number: int
    to: str
    title: str
    body: str

    @property
    def id(self) -> str:
        """The same for the same rung of the same thing, whoever computes it."""
        facts: dict[str, str | int | None] = {
            "about": self.about,
            "subject": self.subject,
            "rung": str(self.rung),
            "number": self.number,
        }
        return short_id("notice", facts)


def due_steps(
    clocks: Iterable[OpenClock],
    findings: Findings,
    settings: Settings,
    channels: Mapping[str, Collection[str]],
    now: datetime,
) -> Iterator[Step]:
    """What is to be sent now, the gravest findings first; `channels` are the names of each role's.

    A step is due while one of its channels has not been tried, or failed long enough ago. For a role without any it is
    due once, so that it is on record that nobody could be told.
    """
    steps = [finding_step(finding, settings, now, findings.notices) for finding in findings.open()]
    steps += [_addendum_step(run_id, one) for run_id, added in findings.addenda.items() for one in added]
    steps += [clock_step(clock, now) for clock in clocks]
    for step in steps:
        if step is not None and any(findings.may_go(step.id, name, now) for name in channels.get(step.to) or (NOBODY,)):
            yield step


def clock_step(clock: OpenClock, now: datetime) -> Step | None:
    """The warning that is due for a running clock; none once its time is used up, since then there is a finding."""
    if now > clock.deadline or now < clock.half_at:
        return None
    rung, used = (Rung.HALF, "Half") if now < clock.three_quarters_at else (Rung.THREE_QUARTERS, "Three quarters")
    title = f"{clock.kind} of {clock.run_id} is due at {stamp(clock.deadline)}"
    body = f"{used} of the time is used.\n`countersign show {clock.run_id}` is what to look at."
    return Step(clock.run_id, clock.kind, rung, 1, clock.role, title, body)


def _addendum_step(run_id: str, addendum: Addendum) -> Step:
    """What the observer is told of a run that was handed off before its breach came to light."""
    title = f"Addendum to the handoff of {run_id}: a breach came to light after it"
    body = f"`countersign finding show {addendum.finding}` says which; it was handed to {', '.join(addendum.to)}."
    return Step(addendum.finding, run_id, Rung.ADDENDUM, 0, "observer", title, body)


def finding_step(
    finding: Finding, settings: Settings, now: datetime, notices: Mapping[str, Mapping[str, Notice]]
) -> Step | None:
    """The rung on which an open finding stands, or None once somebody took it on."""
    if finding.acknowledged_by or finding.disposed:
        return None
    first = _step(finding, settings, 0)
    if first.id not in notices:
        return first
    number = max(0, (now - finding.detected_at) // settings.again_after)
    step = _step(finding, settings, number)
    if any(notice.uncertain(now) for notice in notices.get(step.id, {}).values()):
        # whoever may not have been told is told by the next rung, at once; a channel that always breaks climbs no more
        return _step(finding, settings, number + 1)
    return step


def _step(finding: Finding, settings: Settings, number: int) -> Step:
    what = finding.what
    above = settings.above.get(what.owner)
    rung = Rung.FIRST if number == 0 else Rung.AGAIN
    to = what.owner
    if number > settings.raised_after and above is not None:
        rung, to = Rung.RAISED, above
    what_happened = "breach of" if what.kind is FindingKind.SLA_BREACH else f"{what.kind}:"
    lines = [
        f"Finding {what.id}, since {stamp(what.breached_at)}, to be disposed of by {stamp(what.due)}.",
        f"Owner: {what.owner}. Told {number + 1} times." if number else f"Owner: {what.owner}.",
        f"`countersign finding show {what.id}` says what it is; to take it on:",
        f"countersign finding acknowledge {what.id} --as PERSON --reason …",
    ]
    title = f"[{what.severity}] {what_happened} {what.subject}{f' of {what.run_id}' if what.run_id else ''}"
    return Step(what.id, what.subject, rung, number, to, title, "\n".join(lines))
