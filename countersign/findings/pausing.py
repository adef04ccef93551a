"""Pauses: the owner of a clock lets it stand still, and lets it go on.

What belongs here: who may, when, and taking it durably. A pause begins and ends at the instant of its register line, so
none begins in the past; whoever is due sets none, and a breach is not taken back by one.
"""

from countersign.clocks.allowance import ClockKind, Tier
from countersign.clocks.instant import from_micros, to_micros
from countersign.errors import ClockRefused
from countersign.evidence.indexed import IndexedClock
from countersign.evidence.lines import Draft
from countersign.findings.observation import known_run, need_reason
from countersign.findings.occurrences import waits_for
from countersign.runs.course import Courses
from countersign.runs.engine import Engine


def pause(engine: Engine, run_id: str, kind: str, person: str, reason: str) -> list[IndexedClock]:
    """Let the clocks of a run and kind stand still; returns those that now do. Raises ClockRefused."""
    need_reason(reason, "a pause")
    running = _running(engine, run_id, kind, person)
    going = [clock for clock in running if not _stands_still(engine, clock)]
    if not going:
        raise ClockRefused(f"{kind} of {run_id} stands still already; `countersign sla resume` lets it go on")
    breached = [at for at in (_breached_at(engine, clock) for clock in going) if at is not None]
    if breached:
        at = f"{from_micros(min(breached)):%Y-%m-%d %H:%M:%S} UTC"
        raise ClockRefused(f"{kind} of {run_id} was breached at {at}; no pause takes that back")
    return _note(engine, "clock_paused", going, person, reason)


def resume(engine: Engine, run_id: str, kind: str, person: str, reason: str) -> list[IndexedClock]:
    """Let them go on; returns those that now do. Raises ClockRefused."""
    need_reason(reason, "to resume")
    paused = [clock for clock in _running(engine, run_id, kind, person) if _stands_still(engine, clock)]
    if not paused:
        raise ClockRefused(f"{kind} of {run_id} does not stand still")
    return _note(engine, "clock_resumed", paused, person, reason)


def _note(engine: Engine, event: str, clocks: list[IndexedClock], person: str, reason: str) -> list[IndexedClock]:
    named = [{"run_id": one.run_id, "kind": one.kind, "about": one.about} for one in clocks]
    engine.register.append_many([Draft(event, person, data, {"reason": reason}) for data in named])
    engine.index.sync()
    return clocks


def _running(engine: Engine, run_id: str, kind: str, person: str) -> list[IndexedClock]:
    """The clocks of this kind that run, where this person may let them stand still. Raises ClockRefused."""
    known_run(engine, run_id)
    if kind not in set(ClockKind):
        raise ClockRefused(f"unknown clock {kind!r}; it is one of {', '.join(ClockKind)}")
    running = [clock for clock in engine.index.clocks.running(run_id) if clock.kind == kind]
    if not running:
        raise ClockRefused(f"{kind} of {run_id} does not run; `countersign sla list` shows the clocks that do")
    policy, people, now = engine.current.policy, engine.current.people, engine.clock()
    if policy.person(person) is None:
        raise ClockRefused(f"{person!r} is not on the roster; sign as one of its ids")
    due = waits_for(kind, policy)
    if person in people.holding(due, now):
        raise ClockRefused(f"{kind} of {run_id} waits for {person!r} ({due}), who cannot let it stand still")
    standing = people.holds_role(person, policy.target(ClockKind(kind), Tier(running[0].tier)).owner, now)
    if not standing.holds:
        raise ClockRefused(f"{kind} of {run_id} is its owner's to let stand still: {standing.why}")
    return running


def _stands_still(engine: Engine, clock: IndexedClock) -> bool:
    pauses = engine.index.clocks.pauses([clock.run_id]).get(clock.key, [])
    return bool(pauses) and pauses[-1].end is None


def _breached_at(engine: Engine, clock: IndexedClock) -> int | None:
    """When a clock ran out, on record or not yet."""
    if clock.breached_at is not None:
        return clock.breached_at
    now = to_micros(engine.clock())
    course = Courses(engine.versions).of([clock], engine.index.clocks.pauses([clock.run_id]), now).get(clock.key)
    return course.deadline if course is not None and course.breached(clock.stopped_at, now) else None
