"""Deadlines a second time, by walking minute by minute with a look at the wall clock at each step.

It shares nothing with `business` and `clock` but the calendar's own fields. No sums, no search, no arrays: a minute
counts, or it does not. Starts and pauses are whole minutes since 1970 in UTC.
"""

import json
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from countersign.clocks.allowance import Allowance, Pause, Unit
from countersign.clocks.business import BusinessTime
from countersign.clocks.calendar import WEEKDAYS, Calendar, Weekday
from countersign.clocks.clock import deadline
from countersign.errors import CalendarError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = 1440


class Beyond(Exception):
    """The walk left the years of the calendar."""


@dataclass(frozen=True)
class Case:
    """One clock; pauses are pairs of minutes."""

    allowance: Allowance
    start: int
    pauses: tuple[tuple[int, int], ...]


class Stepper:
    """A calendar, walked through."""

    def __init__(self, calendar: Calendar) -> None:
        self.calendar = calendar
        zone = ZoneInfo(calendar.zone)
        self._first_day = (date(calendar.first_year, 1, 1) - EPOCH.date()).days
        self._end_day = (date(calendar.last_year + 1, 1, 1) - EPOCH.date()).days
        closed = {holiday.date for holiday in calendar.holidays}
        early = {entry.date: _minutes(entry.closes) for entry in calendar.early_closes}

        @cache
        def offset(quarter: int) -> int:  # no zone has changed its clocks between two quarters since 1970
            away = (EPOCH + timedelta(minutes=15 * quarter)).astimezone(zone).utcoffset()
            assert away is not None
            return int(away.total_seconds()) // 60

        @cache
        def hours(local_day: int) -> list[tuple[int, int]]:
            day = EPOCH.date() + timedelta(days=local_day)
            spans = [] if day in closed else calendar.hours.get(WEEKDAYS[day.weekday()], [])
            return [(_minutes(text[:5]), min(_minutes(text[6:]), early.get(day, _DAY))) for text in spans]

        @cache
        def working(utc_day: int) -> list[bool | None]:
            return [self._shows_hours(minute) for minute in range(utc_day * _DAY, utc_day * _DAY + _DAY)]

        @cache
        def has_hours(local_day: int) -> bool:
            around = range(local_day * _DAY - _DAY, local_day * _DAY + 2 * _DAY)
            mine = (minute for minute in around if self.wall(minute) // _DAY == local_day)
            return bool(hours(local_day)) and any(self._shows_hours(minute) for minute in mine)

        self._offset, self._hours, self._working, self._has_hours = offset, hours, working, has_hours

    def wall(self, minute: int) -> int:
        """What the wall clock shows, as minutes since 1970."""
        return minute + self._offset(minute // 15)

    def _shows_hours(self, minute: int) -> bool | None:
        day, time = divmod(self.wall(minute), _DAY)
        if not self._first_day <= day < self._end_day:
            return None
        return any(opens <= time < closes for opens, closes in self._hours(day))

    def works(self, minute: int) -> bool:
        """Whether this minute is in working hours."""
        works = self._working(minute // _DAY)[minute % _DAY]
        if works is None:
            raise Beyond
        return works

    def due(self, case: Case) -> int:
        """The first minute by which the allowance is used up. Raises Beyond."""
        if case.allowance.unit is Unit.BUSINESS_DAYS:
            return self._same_time_later(case)
        always = case.allowance.unit is Unit.HOURS
        left, minute = case.allowance.value * 60, case.start
        while left:
            left -= (always or self.works(minute)) and not _paused(case, minute)
            minute += 1
        return minute

    def _same_time_later(self, case: Case) -> int:
        """Walk until what is due is reached; every working minute that is paused puts the start off by one."""
        counts_from, minute = case.start, case.start
        while not self.works(counts_from):
            counts_from += 1
        due = self._days_after(counts_from, self.wall(counts_from), case.allowance.value)
        while True:
            before = counts_from
            while minute < due or _paused(case, minute, before=due):
                if self.works(minute) and _paused(case, minute):
                    while not self.works(counts_from):
                        counts_from += 1
                    counts_from += 1
                minute += 1
            if counts_from == before:
                return minute
            last = counts_from - 1
            due = self._days_after(last, self.wall(last) + 1, case.allowance.value)

    def _days_after(self, minute: int, wall: int, days: int) -> int:
        """The first minute at which the wall clock shows the same time on the n-th day with working hours after."""
        day, seen = self.wall(minute) // _DAY, 0
        after = wall - day * _DAY
        while seen < days:
            day += 1
            if day >= self._end_day:
                raise Beyond
            seen += self._has_hours(day)
        return self._first_at(day * _DAY + after)

    def _first_at(self, wall: int) -> int:
        minute = wall - _DAY
        while self.wall(minute) < wall:
            minute += 1
        return minute


def _minutes(text: str) -> int:
    return int(text[:2]) * 60 + int(text[3:])


def _paused(case: Case, minute: int, before: int | None = None) -> bool:
    return any(begin <= minute < end and (before is None or begin < before) for begin, end in case.pauses)


def calendars(seed: int) -> list[Calendar]:
    """Five zones, six years: whole-hour and half-hour changes of the clocks, none, and working hours across them."""
    chance = random.Random(seed)
    office = {weekday: ["09:00-17:00"] for weekday in WEEKDAYS[:5]}
    broken = {weekday: ["08:30-12:15", "13:00-17:45"] for weekday in WEEKDAYS[:5]} | {"saturday": ["09:00-12:00"]}
    around = {weekday: ["00:00-02:15", "02:30-24:00"] for weekday in WEEKDAYS}
    return [
        _calendar(chance, zone, hours)
        for zone, hours in (
            ("America/New_York", office),
            ("Europe/London", broken),
            ("Asia/Kolkata", broken),
            ("Pacific/Auckland", office | {"sunday": ["01:30-03:30"]}),
            ("Australia/Lord_Howe", around),
        )
    ]


def _calendar(chance: random.Random, zone: str, hours: Mapping[Weekday, list[str]]) -> Calendar:
    days = [date(2026, 1, 1) + timedelta(days=chance.randrange(6 * 365)) for _ in range(90)]
    early = {day for day in days[60:] if WEEKDAYS[day.weekday()] in hours and day.weekday() < 5}
    return Calendar.model_validate_json(
        json.dumps(
            {
                "version": f"{zone}, made up",
                "zone": zone,
                "first_year": 2026,
                "last_year": 2031,
                "hours": hours,
                "holidays": [{"date": str(day), "name": "made up"} for day in days[:62]],
                "early_closes": [
                    {"date": str(day), "closes": f"{chance.randrange(10, 16)}:00"} for day in sorted(early)
                ],
            }
        )
    )


def cases(calendar: Calendar, count: int, chance: random.Random) -> Iterable[Case]:
    """Clocks at random, half of them with up to three pauses; some start in the last days of the calendar."""
    begin = int((datetime(calendar.first_year, 1, 2, tzinfo=UTC) - EPOCH).total_seconds()) // 60
    end = int((datetime(calendar.last_year, 12, 31, tzinfo=UTC) - EPOCH).total_seconds()) // 60
    for number in range(count):
        unit = (Unit.BUSINESS_HOURS, Unit.BUSINESS_HOURS, Unit.BUSINESS_DAYS, Unit.BUSINESS_DAYS, Unit.HOURS)[
            number % 5
        ]
        start = chance.randrange(end - _DAY, end) if number % 17 == 0 else chance.randrange(begin, end)
        pauses = []
        for _ in range(chance.choice((0, 0, 0, 1, 2, 3))):
            paused_at = start + chance.randrange(-_DAY // 2, 3 * _DAY)
            pauses.append((min(paused_at, end), min(paused_at + chance.choice((0, 7, 60, 240, 900, 2 * _DAY)), end)))
        yield Case(Allowance(chance.randint(1, 4 if unit is Unit.BUSINESS_DAYS else 12), unit), start, tuple(pauses))


def instant(minute: int) -> datetime:
    return EPOCH + timedelta(minutes=minute)


def differences(calendar: Calendar, asked: Iterable[Case]) -> list[tuple[Case, datetime | None, datetime | None]]:
    """The cases in which walking and computing do not agree; None where one of them leaves the calendar."""
    stepper, business = Stepper(calendar), BusinessTime(calendar)
    found = []
    for case in asked:
        walked: datetime | None
        computed: datetime | None
        try:
            walked = instant(stepper.due(case))
        except Beyond:
            walked = None
        pauses = [Pause(instant(begin), instant(end), "made up", "control-owner") for begin, end in case.pauses]
        try:
            computed = deadline(business, case.allowance, instant(case.start), pauses)
        except CalendarError:
            computed = None
        if walked != computed:
            found.append((case, walked, computed))
    return found
