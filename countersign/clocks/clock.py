"""Clocks: when the time that somebody has is used up, and how a clock stands at an instant.

What belongs here: deadlines and courses, pure: start, allowance, pauses and an instant in, an answer out. What does
not: who is due, what a breach leads to, and where any of it is written down.

A deadline is the first instant at which the time is used up; whoever stops the clock just then has met it. Pauses put a
clock off: it is due as if it had started later by the time they took. So no pause brings a deadline nearer, and one
that begins once the time is used up changes nothing.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

import numpy as np

from countersign.clocks.allowance import Allowance, Pause, Unit
from countersign.clocks.business import SECOND, BusinessTime, Instants, to_datetime, to_instants

Pauses = Sequence[tuple[Instants, Instants]]
"""Begin and end of the first pause of every clock, then of every second one, …; those of one clock ascend."""

_HOUR = 3600 * SECOND


@dataclass(frozen=True, slots=True)
class Course:
    """When so much of a clock's time is used up, in microseconds; `paused` says that it stands still.

    While a pause lasts, each instant is what it would be if the pause ended at the instant of looking.
    """

    half_at: int
    three_quarters_at: int
    deadline: int
    paused: bool = False

    def breached(self, stopped: int | None, now: int) -> bool:
        """Whether the time was used up before the clock was stopped, or before now."""
        return self.deadline < (now if stopped is None else min(now, stopped))


class _Course(Protocol):
    """How time passes for an allowance; both directions as in `BusinessTime`."""

    def spent(self, instants: Instants, /) -> Instants: ...

    def reach(self, spent: Instants, /) -> Instants: ...


class _Elapsed:
    """Time that always passes."""

    def spent(self, instants: Instants) -> Instants:
        return instants

    def reach(self, spent: Instants) -> Instants:
        return spent


def deadlines(business: BusinessTime, allowance: Allowance, starts: Instants, pauses: Pauses = ()) -> Instants:
    """The instants at which the allowance of each of these clocks is used up. Raises CalendarError beyond the years."""
    return _due(business, allowance, starts, pauses)[0]


def shares_used(
    business: BusinessTime, allowance: Allowance, starts: Instants, percent: int, pauses: Pauses = ()
) -> Instants:
    """The instants at which so many hundredths of the time up to each deadline are used. Raises CalendarError."""
    course = _course(business, allowance)
    due, paused = _due(business, allowance, starts, pauses)
    before = course.spent(starts)
    share = (course.spent(due) - before - paused) * percent // 100
    return _put_off(course, starts, pauses, lambda delay: course.reach(before + delay + share))[0]


def deadline(business: BusinessTime, allowance: Allowance, start: datetime, pauses: Iterable[Pause] = ()) -> datetime:
    """When one clock is due. Raises CalendarError, and ValueError for a pause that is not over or ends too early."""
    due = deadlines(business, allowance, to_instants(start), _recorded(pauses))
    return to_datetime(int(due[0]))


def courses(business: BusinessTime, allowance: Allowance, starts: Instants, pauses: Pauses = ()) -> list[Course]:
    """The courses of clocks of one allowance. Raises CalendarError beyond the years."""
    half, three_quarters = (shares_used(business, allowance, starts, percent, pauses) for percent in (50, 75))
    due = deadlines(business, allowance, starts, pauses)
    return [Course(*instants) for instants in np.stack([half, three_quarters, due], axis=1).tolist()]


def course(
    business: BusinessTime,
    allowance: Allowance,
    start: int,
    pauses: Iterable[tuple[int, int | None]],
    *,
    stopped: int | None = None,
    now: int,
) -> Course:
    """The course of a clock as it is seen `now`, or was when it was stopped; what came after that does not count.

    The pauses ascend without overlap; the last one may have no end yet. Raises CalendarError beyond the years.
    """
    seen = max(start, now if stopped is None else min(now, stopped))
    begun = [(begin, end) for begin, end in pauses if begin <= seen]
    known = [(_one(begin), _one(seen if end is None else min(end, seen))) for begin, end in begun]
    (found,) = courses(business, allowance, _one(start), known)
    lasts = stopped is None and bool(begun) and begun[-1][1] is None
    return replace(found, paused=lasts and seen <= found.deadline)


def time_left(business: BusinessTime, allowance: Allowance, due: datetime, now: datetime) -> timedelta:
    """The time until a deadline, in business time or 24 by 7 as the allowance is counted; none once it has passed."""
    course = _course(business, allowance)
    left = course.spent(to_instants(due)) - course.spent(to_instants(min(now, due)))
    return timedelta(microseconds=int(left[0]))


def _one(instant: int) -> Instants:
    return np.array([instant], np.int64)


def _course(business: BusinessTime, allowance: Allowance) -> _Course:
    return _Elapsed() if allowance.unit is Unit.HOURS else business


def _due(business: BusinessTime, allowance: Allowance, starts: Instants, pauses: Pauses) -> tuple[Instants, Instants]:
    """Deadlines, and how much time of each clock its pauses took."""
    course = _course(business, allowance)
    if allowance.unit is Unit.BUSINESS_DAYS:
        return _put_off(course, starts, pauses, lambda delay: business.days_later(starts, delay, allowance.value))
    used_up = course.spent(starts) + allowance.value * _HOUR
    return _put_off(course, starts, pauses, lambda delay: course.reach(used_up + delay))


def _put_off(
    course: _Course, starts: Instants, pauses: Pauses, due_after: Callable[[Instants], Instants]
) -> tuple[Instants, Instants]:
    """What is due after each clock's pauses, and the time that they took; `due_after` is told that time."""
    paused = np.zeros_like(starts)
    due = due_after(paused)
    for begin, end in pauses:
        counts = begin < due
        lost = course.spent(np.maximum(end, starts)) - course.spent(np.maximum(begin, starts))
        paused = paused + np.where(counts, lost, 0)
        # the same local time on a shorter day may fall into the pause, and no clock runs out while it is paused
        due = np.where(counts, np.maximum(due_after(paused), end), due)
    return due, paused


def _recorded(pauses: Iterable[Pause]) -> Pauses:
    """The pauses of one clock, ascending and without overlap."""
    merged: list[tuple[datetime, datetime]] = []
    for pause in sorted(pauses, key=lambda pause: pause.begin):
        if pause.end is None or pause.end < pause.begin:
            raise ValueError(f"a pause from {pause.begin} to {pause.end} is not one that is over")
        if merged and pause.begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], pause.end))
        else:
            merged.append((pause.begin, pause.end))
    return [(to_instants(begin), to_instants(end)) for begin, end in merged]
