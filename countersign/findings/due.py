"""What there is to do about clocks and findings now, and what is overdue: the questions, answered without computing.

What belongs here: reading. What does not: courses of clocks (`course`), and doing anything about it (`watch`). Nothing
here needs numpy or apprise, so that sensors and checks load without.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from countersign.clocks.allowance import ClockKind, Tier
from countersign.clocks.instant import from_micros, stamp, to_micros
from countersign.evidence.indexed import IndexedClock
from countersign.findings.finding import Findings
from countersign.findings.ladder import OpenClock, Settings, Step, due_steps
from countersign.findings.occurrences import subject_of, waits_for
from countersign.policy import Policy, Role
from countersign.runs.engine import Engine
from countersign.runs.judgements import Judgement
from countersign.runs.owners import OWNERS

MOST = 1000
_MOST_ROWS = 50


@dataclass(frozen=True, slots=True)
class Due:
    """Clocks whose instant has come, at most `MOST` of them, and steps that are to be sent about findings."""

    clocks: list[IndexedClock]
    steps: list[Step]


def due_now(engine: Engine, findings: Findings, now: datetime) -> Due:
    """What a tick has to do. Only clocks that are not closed, and of these only those whose instant has come, count."""
    policy = engine.current.policy
    steps = steps_now((), findings, policy, now)
    return Due(engine.index.clocks.due(to_micros(now), MOST), steps)


def steps_now(warnings: tuple[OpenClock, ...], findings: Findings, policy: Policy, now: datetime) -> list[Step]:
    """What is to be sent; nothing at all where the policy has no route, and no warning to a role that has none."""
    channels = channels_of(policy)
    if not channels:
        return []
    heard = [clock for clock in warnings if clock.role in channels]
    return list(due_steps(heard, findings, settings_of(policy), channels, now))


def settings_of(policy: Policy) -> Settings:
    """The ladder as the policy sets it."""
    escalation = policy.escalation
    above = {str(role): str(over) for role, over in escalation.above.items()}
    return Settings(timedelta(hours=escalation.again_after_hours), escalation.raised_after, above)


def channels_of(policy: Policy) -> Mapping[str, list[str]]:
    """The names of the routes to each role that has any."""
    return {role: [route.name for route in routes] for role, routes in policy.escalation.reached.items()}


def unheard_roles(policy: Policy) -> list[Role]:
    """The roles that are to be told of something and that no route leads to.

    Told are whoever a clock waits for, owners of clocks and of findings, and who stands above any of them.
    """
    due = [policy.due_role(kind) for kind in ClockKind]
    owners = [policy.target(kind, tier).owner for kind in ClockKind for tier in Tier]
    told: list[Role] = [*due, *owners, *OWNERS, *policy.escalation.above.values()]
    return [role for role in dict.fromkeys(told) if role not in policy.escalation.reached]


def no_clock_overdue(engine: Engine) -> Judgement:
    """No clock runs whose time is used up; by the instants as they were computed last."""
    now = engine.clock()
    late = engine.index.clocks.overdue(to_micros(now))
    untold = [clock for clock in engine.index.clocks.untold() if clock.next_at]
    rows = [(clock.run_id, _overdue(engine, clock, now)) for clock in late[:_MOST_ROWS]]
    rows += [
        (clock.run_id, f"{clock.kind}: its deadline cannot be told: beyond the calendar, or its configuration is gone")
        for clock in untold
    ]
    if len(late) > _MOST_ROWS:
        rows.append(("…", f"and {len(late) - _MOST_ROWS} more: `countersign sla list --overdue`"))
    count = len(late) + len(untold)
    return Judgement(not count, f"{count} clocks are overdue" if count else "no clock is overdue", tuple(rows))


def _overdue(engine: Engine, clock: IndexedClock, now: datetime) -> str:
    role = waits_for(clock.kind, engine.current.policy)
    people = ", ".join(engine.current.people.holding(role, now)) or "nobody"
    since = stamp(from_micros(clock.deadline or 0))
    return f"{subject_of(clock.kind, clock.about)} since {since}, due from {role}: {people}"
