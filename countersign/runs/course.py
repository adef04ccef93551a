"""The course of clocks: when half and three quarters of their time are used, and when all of it is.

What belongs here: many clocks at once, each with the calendar and the targets of the configuration that its run was
opened under. What does not: what follows from it (`watch`). It brings numpy; whoever only reads does without.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from countersign.clocks.allowance import Allowance, ClockKind, Tier
from countersign.clocks.business import BusinessTime, Instants
from countersign.clocks.clock import Pauses, deadlines, shares_used
from countersign.errors import CalendarError, EvidenceError
from countersign.evidence.indexed import ClockKey, IndexedClock, IndexedPause
from countersign.runs.versions import VersionStore

_UNTOLD = (CalendarError, EvidenceError)  # beyond the calendar, or its configuration is not kept any more
Paused = Mapping[ClockKey, Sequence[IndexedPause]]


@dataclass(frozen=True, slots=True)
class Course:
    """When so much of a clock's time is used up; while a `paused` clock stands still, as if it went on now."""

    half_at: int
    three_quarters_at: int
    deadline: int
    paused: bool


class Courses:
    """Courses of clocks by the configurations that an evidence root keeps; each calendar is compiled once."""

    def __init__(self, versions: VersionStore) -> None:
        self._versions = versions
        self._business: dict[str, BusinessTime] = {}

    def business(self, configuration: str) -> BusinessTime:
        """The business time of a configuration."""
        calendar = self._versions.at(configuration).configuration.calendar
        if calendar.digest not in self._business:
            self._business[calendar.digest] = BusinessTime(calendar)
        return self._business[calendar.digest]

    def allowance(self, clock: IndexedClock) -> Allowance:
        """How much time a clock gives."""
        policy = self._versions.at(clock.configuration).policy
        return policy.allowance(ClockKind(clock.kind), Tier(clock.tier))

    def of(self, clocks: Sequence[IndexedClock], paused: Paused, now: int) -> dict[ClockKey, Course]:
        """The courses as they are seen at an instant; none for a clock whose time cannot be told."""
        found: dict[ClockKey, Course] = {}
        straight = [clock for clock in clocks if clock.key not in paused]
        for _, alike in groupby(sorted(straight, key=_allowed), key=_allowed):
            found.update(self._together(list(alike)))
        for clock in clocks:
            if clock.key in paused and (course := self._one(clock, paused[clock.key], now)) is not None:
                found[clock.key] = course
        return found

    def _together(self, clocks: list[IndexedClock]) -> dict[ClockKey, Course]:
        starts = np.array([clock.started_at for clock in clocks], np.int64)
        try:
            rows = self._computed(clocks[0], starts, ()).tolist()
        except _UNTOLD:
            if len(clocks) == 1:
                return {}
            alone = [self._together([clock]) for clock in clocks]  # one that cannot be told keeps no other waiting
            return {key: course for one in alone for key, course in one.items()}
        return {
            clock.key: Course(half, three_quarters, due, paused=False)
            for clock, (half, three_quarters, due) in zip(clocks, rows, strict=True)
        }

    def _one(self, clock: IndexedClock, pauses: Sequence[IndexedPause], now: int) -> Course | None:
        seen = max(clock.started_at, now if clock.stopped_at is None else min(now, clock.stopped_at))
        begun = [pause for pause in pauses if pause.begin <= seen]
        ended = [(pause.begin, seen if pause.end is None else min(pause.end, seen)) for pause in begun]
        recorded = [(np.array([begin], np.int64), np.array([end], np.int64)) for begin, end in ended]
        try:
            ((half, three_quarters, deadline),) = self._computed(
                clock, np.array([clock.started_at], np.int64), recorded
            ).tolist()
        except _UNTOLD:
            return None
        stands_still = clock.stopped_at is None and bool(begun) and begun[-1].end is None
        return Course(half, three_quarters, deadline, stands_still and seen <= deadline)

    def _computed(self, like: IndexedClock, starts: Instants, pauses: Pauses) -> Instants:
        """Half, three quarters and all of the time, a row for each start."""
        business, allowance = self.business(like.configuration), self.allowance(like)
        shares = [shares_used(business, allowance, starts, percent, pauses) for percent in (50, 75)]
        return np.stack([*shares, deadlines(business, allowance, starts, pauses)], axis=1)


def _allowed(clock: IndexedClock) -> tuple[str, str, str]:
    return clock.configuration, clock.kind, clock.tier
