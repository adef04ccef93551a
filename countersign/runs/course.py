"""The course of clocks: when half and three quarters of their time are used, and when all of it is.

What belongs here: many clocks at once, each with the calendar and the targets of the configuration that its run was
opened under. What does not: what follows from it (`watch`). It brings numpy; whoever only reads does without.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby

import numpy as np

from countersign.clocks.allowance import Allowance, ClockKind, Tier
from countersign.clocks.business import BusinessTime
from countersign.clocks.clock import Course, course, courses, time_left
from countersign.errors import CalendarError, EvidenceError
from countersign.evidence.indexed import ClockKey, IndexedClock, IndexedPause
from countersign.runs.versions import VersionStore

_UNTOLD = (CalendarError, EvidenceError)  # beyond the calendar, or its configuration is not kept any more
Paused = Mapping[ClockKey, Sequence[IndexedPause]]


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

    def left(self, clock: IndexedClock, due: datetime, now: datetime) -> timedelta:
        """The time until a deadline of a clock, as it counts; none once it has passed."""
        return time_left(self.business(clock.configuration), self.allowance(clock), due, now)

    def of(self, clocks: Sequence[IndexedClock], paused: Paused, now: int) -> dict[ClockKey, Course]:
        """The courses as they are seen at an instant; none for a clock whose time cannot be told."""
        found: dict[ClockKey, Course] = {}
        straight = [clock for clock in clocks if clock.key not in paused]
        for _, alike in groupby(sorted(straight, key=_allowed), key=_allowed):
            found.update(self._together(list(alike)))
        for clock in clocks:
            if clock.key in paused and (its := self._one(clock, paused[clock.key], now)) is not None:
                found[clock.key] = its
        return found

    def _together(self, clocks: list[IndexedClock]) -> dict[ClockKey, Course]:
        starts = np.array([clock.started_at for clock in clocks], np.int64)
        try:
            found = courses(self.business(clocks[0].configuration), self.allowance(clocks[0]), starts)
        except _UNTOLD:
            if len(clocks) == 1:
                return {}
            alone = [self._together([clock]) for clock in clocks]  # one that cannot be told keeps no other waiting
            return {key: its for one in alone for key, its in one.items()}
        return {clock.key: its for clock, its in zip(clocks, found, strict=True)}

    def _one(self, clock: IndexedClock, pauses: Sequence[IndexedPause], now: int) -> Course | None:
        spans = [(pause.begin, pause.end) for pause in pauses]
        try:
            business, allowance = self.business(clock.configuration), self.allowance(clock)
            return course(business, allowance, clock.started_at, spans, stopped=clock.stopped_at, now=now)
        except _UNTOLD:
            return None


def _allowed(clock: IndexedClock) -> tuple[str, str, str]:
    return clock.configuration, clock.kind, clock.tier
