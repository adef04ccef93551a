"""Whose turn it is: the clocks that run, until when, and how much time is left.

What belongs here: what `sla list` shows, as of now; pauses that last count as if they ended now. What does not: doing
anything about it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from countersign.clocks.allowance import Unit
from countersign.clocks.clock import Course
from countersign.clocks.instant import from_micros, to_micros
from countersign.evidence.indexed import IndexedClock
from countersign.findings.occurrences import subject_of, waits_for
from countersign.runs.course import Courses
from countersign.runs.engine import Engine


@dataclass(frozen=True, slots=True)
class Turn:
    """A clock that runs. `left` is counted as the clock counts, `business` where that is business time.

    `deadline` and `left` are None for a clock whose time cannot be told.
    """

    run_id: str
    change_id: str
    clock: str
    role: str
    people: tuple[str, ...]
    started_at: datetime
    deadline: datetime | None
    left: timedelta | None
    business: bool
    overdue: bool
    paused: bool


def turns(engine: Engine) -> list[Turn]:
    """Every clock that runs, the one that is due first at the top."""
    now = engine.clock()
    clocks = engine.index.clocks.running()
    run_ids = {clock.run_id for clock in clocks}
    courses = Courses(engine.versions)
    found = courses.of(clocks, engine.index.clocks.pauses(run_ids), to_micros(now))
    changes = {run_id: run.change_id for run_id, run in engine.index.runs(run_ids).items()}
    shown = [_turn(engine, clock, changes[clock.run_id], courses, found.get(clock.key), now) for clock in clocks]
    return sorted(shown, key=lambda turn: (turn.deadline is None, turn.deadline or now, turn.run_id))


def _turn(
    engine: Engine, clock: IndexedClock, change_id: str, courses: Courses, course: Course | None, now: datetime
) -> Turn:
    role = waits_for(clock.kind, engine.current.policy)
    business = courses.allowance(clock).unit is not Unit.HOURS
    # what is on record as late stays so, whatever was computed since
    course_ends = None if course is None else course.deadline
    deadline = course_ends if clock.breached_at is None else clock.breached_at
    overdue = deadline is not None and deadline < to_micros(now)
    return Turn(
        clock.run_id,
        change_id,
        subject_of(clock.kind, clock.about),
        role,
        tuple(engine.current.people.holding(role, now)),
        from_micros(clock.started_at),
        None if deadline is None else from_micros(deadline),
        None if deadline is None else courses.left(clock, from_micros(deadline), now),
        business,
        overdue,
        course is not None and course.paused,
    )
