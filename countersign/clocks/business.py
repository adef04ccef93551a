"""Business time: a calendar compiled once, and then asked for any number of instants at a time.

What belongs here: the passage between instants and business time. What does not: clocks, targets, pauses.

Working hours are spans of the wall clock, so an instant is in business time when the wall clock of the zone then shows
working hours: spring takes what the clocks leap over, autumn gives what they show twice. Between two changes of the
clocks the wall clock is UTC plus a constant; within each such stretch working hours become segments of UTC. Business
time up to an instant is then a sum over the segments before it, found by binary search, and the way back is one too.

Instants are int64 microseconds since 1970 in UTC, in arrays; a single instant is an array of one.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from countersign.clocks.calendar import Calendar
from countersign.clocks.zones import zone_of
from countersign.errors import CalendarError

Instants = NDArray[np.int64]
"""Microseconds since 1970 in UTC; a difference of two is a duration in microseconds."""

SECOND = 1_000_000
_DAY = 86_400
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_instants(*instants: datetime) -> Instants:
    """Datetimes as an array of instants."""
    return np.array([(instant - _EPOCH) // timedelta(microseconds=1) for instant in instants], np.int64)


def to_datetime(instant: int) -> datetime:
    """One instant as a datetime in UTC. Raises CalendarError after the year 9999."""
    try:
        return _EPOCH + timedelta(microseconds=int(instant))
    except OverflowError as error:
        raise CalendarError("the deadline lies after the year 9999; start or target cannot be right") from error


class BusinessTime:
    """A compiled calendar."""

    def __init__(self, calendar: Calendar) -> None:
        self.calendar = calendar
        # a day more on either side, since a zone is up to a day away from UTC
        first, end = _seconds(date(calendar.first_year, 1, 1)), _seconds(date(calendar.last_year + 1, 1, 1))
        stretches, offsets = _stretches(zone_of(calendar.zone), first - _DAY, end + _DAY)
        opens, closes, days, offset = _segments(calendar, stretches, offsets)
        self._stretches, self._offsets = stretches * SECOND, offsets * SECOND
        self._wall_ends: Instants = (np.append(stretches[1:], end + 2 * _DAY) + offsets) * SECOND
        self.begin, self.end = (int(instant) for instant in self._at_wall(np.array([first, end]) * SECOND))
        # an empty segment at the beginning spares every question the case of an instant before the first one
        self._opens: Instants = np.append(self.begin, opens * SECOND)
        self._closes: Instants = np.append(self.begin, closes * SECOND)
        self._spent_by_close: Instants = np.cumsum(self._closes - self._opens)
        self._shift: Instants = (
            self._spent_by_close - self._closes
        )  # from an instant of a segment to the time spent by then
        self._offset: Instants = np.append(0, offset * SECOND)
        self._days, position = np.unique(days, return_inverse=True)
        self._day: NDArray[np.intp] = np.append(0, position)

    def spent(self, instants: Instants) -> Instants:
        """Business time from the beginning of the calendar to each instant. Raises CalendarError outside of it."""
        outside = (instants < self.begin) | (instants > self.end)
        if outside.any():
            raise self._beyond(f"{_said(instants[outside][0])} lies outside")
        segment = np.searchsorted(self._opens, instants, side="right") - 1
        spent: Instants = np.minimum(instants + self._shift[segment], self._spent_by_close[segment])
        return spent

    def reach(self, spent: Instants) -> Instants:
        """The first instant by which so much business time is spent. Raises CalendarError where the calendar ends."""
        segment = self._segment_by(spent)
        return spent - self._shift[segment]

    def days_later(self, starts: Instants, delay: Instants, days: int) -> Instants:
        """The same local time so many business days later, for starts put off by some business time.

        A start outside working hours counts from the next opening. Where the wall clock leaps over the time, the first
        instant after it; where it shows the time twice, the first. Raises CalendarError where the calendar ends.
        """
        spent = self.spent(starts) + delay
        segment = np.maximum(self._segment_by(spent), np.searchsorted(self._closes, starts, side="right"))
        self._reaches(segment < len(self._opens))
        day = self._day[segment]
        self._reaches(day + days < len(self._days))
        forward = (self._days[day + days] - self._days[day]) * (_DAY * SECOND)
        return self._at_wall(spent - self._shift[segment] + self._offset[segment] + forward)

    def _segment_by(self, spent: Instants) -> NDArray[np.intp]:
        """The segment in which so much business time is first spent."""
        segment = np.searchsorted(self._spent_by_close, spent, side="left")
        self._reaches(segment < len(self._opens))
        return segment

    def _at_wall(self, walls: Instants) -> Instants:
        """The first instants at which the wall clock shows these times, or later ones."""
        stretch = np.searchsorted(self._wall_ends, walls, side="right")
        instants: Instants = np.maximum(walls - self._offsets[stretch], self._stretches[stretch])
        return instants

    def _reaches(self, within: NDArray[np.bool_]) -> None:
        if not within.all():
            raise self._beyond("the deadline lies after the end of")

    def _beyond(self, what: str) -> CalendarError:
        calendar = self.calendar
        years = f"{calendar.version}, which covers {calendar.first_year} to {calendar.last_year} in {calendar.zone}"
        return CalendarError(f"{what} the business calendar {years}; add the years that are missing")


def _seconds(day: date) -> int:
    return (day - date(1970, 1, 1)).days * _DAY


def _said(instant: np.int64) -> str:
    return f"{to_datetime(int(instant)):%Y-%m-%dT%H:%M:%SZ}"


def _stretches(zone: ZoneInfo, first: int, end: int) -> tuple[Instants, Instants]:
    """Seconds at which a zone's distance from UTC begins to be another, and that distance in seconds from then on."""

    def distance(second: int) -> int:
        return int((datetime.fromtimestamp(second, zone).utcoffset() or timedelta()).total_seconds())

    found = [(first, distance(first))]
    for day in range(first, end, _DAY):
        last = min(day + _DAY, end)
        if distance(last) != found[-1][1]:
            change = _first_where(day, last, lambda second: distance(second) != found[-1][1])
            found.append((change, distance(change)))
    stretches = np.array(found, np.int64)
    return stretches[:, 0], stretches[:, 1]


def _first_where(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """The first number after `low` from which on something holds, which it does at `high`."""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _segments(calendar: Calendar, stretches: Instants, offsets: Instants) -> tuple[Instants, ...]:
    """Openings and closings in seconds of UTC, ascending, with the local day since 1970 and the offset of each."""
    local = np.array(
        [
            (_seconds(day) + opens, _seconds(day) + closes, _seconds(day) // _DAY)
            for day in calendar.days()
            for opens, closes in calendar.hours_of(day)
        ],
        np.int64,
    ).reshape(-1, 3)
    ends = np.append(stretches[1:], np.iinfo(np.int64).max // 2)
    parts = []
    for begin, end, offset in zip(stretches, ends, offsets, strict=True):
        opens, closes = np.maximum(local[:, 0], begin + offset), np.minimum(local[:, 1], end + offset)
        within = opens < closes
        days = local[within, 2]
        parts.append(np.stack([opens[within] - offset, closes[within] - offset, days, np.full_like(days, offset)]))
    return tuple(np.concatenate(parts, axis=1))
