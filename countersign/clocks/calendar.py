"""The business calendar as its owner edits it: a typed, versioned document.

What belongs here: the document, what is wrong with one, and the hours of one date. What does not: instants, which
`business` makes of it, and reading files.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from functools import cached_property
from itertools import pairwise
from typing import Annotated, Literal, get_args

import rfc8785
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from countersign.clocks.zones import zone_of
from countersign.errors import CalendarError

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WEEKDAYS: tuple[Weekday, ...] = get_args(Weekday)
Hours = tuple[tuple[int, int], ...]

_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00")


def seconds_of(time: str) -> int:
    """Seconds since local midnight of `HH:MM`, 24:00 included. Raises ValueError."""
    if not _TIME.fullmatch(time):
        raise ValueError(f"{time!r} is not a time of day such as '09:00' or '24:00'")
    return int(time[:2]) * 3600 + int(time[3:]) * 60


def span_of(hours: str) -> tuple[int, int]:
    """Opening and closing of `HH:MM-HH:MM`, in seconds since local midnight. Raises ValueError."""
    opens, dash, closes = hours.partition("-")
    if not dash:
        raise ValueError(f"{hours!r} is not a span of hours such as '09:00-17:00'")
    span = seconds_of(opens), seconds_of(closes)
    if span[0] >= span[1]:
        raise ValueError(f"{hours!r} ends before it begins; hours over midnight are two spans on two days")
    return span


def _spans(hours: list[str]) -> list[str]:
    spans = [span_of(span) for span in hours]
    for (_, closes), (opens, _) in pairwise(spans):
        if opens <= closes:
            raise ValueError(f"{', '.join(hours)}: spans of one day ascend, with time between them")
    return hours


def _time(text: str) -> str:
    seconds_of(text)
    return text


def _zone(name: str) -> str:
    zone_of(name)
    return name


Day = Annotated[date, Field(strict=False)]
Year = Annotated[int, Field(ge=1970, le=2200)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Holiday(_Part):
    """A date without working hours."""

    date: Day
    name: str = Field(min_length=1)


class EarlyClose(_Part):
    """A date whose working hours end sooner than its weekday's."""

    date: Day
    closes: Annotated[str, AfterValidator(_time)]


class Calendar(_Part):
    """Working hours by weekday in one zone, less holidays and early closes, for whole years.

    Holidays may overlap: with each other, with days off, and with early closes, which they then include. `digest`
    names this version wherever a deadline was computed with it.
    """

    version: str = Field(min_length=1)
    zone: Annotated[str, AfterValidator(_zone)]
    first_year: Year
    last_year: Year
    hours: dict[Weekday, Annotated[list[str], AfterValidator(_spans)]]
    holidays: list[Holiday]
    early_closes: list[EarlyClose] = []

    @model_validator(mode="after")
    def _coherent(self) -> "Calendar":
        if self.first_year > self.last_year:
            raise ValueError("last_year: lies before first_year")
        if not any(self.hours.values()):
            raise ValueError("hours: there are none; a clock in business time would never end")
        for name, entries in (("holidays", self.holidays), ("early_closes", self.early_closes)):
            for entry in entries:
                if not self.first_year <= entry.date.year <= self.last_year:
                    raise ValueError(f"{name}: {entry.date} lies outside {self.first_year} to {self.last_year}")
        twice = [day for day, times in Counter(entry.date for entry in self.early_closes).items() if times > 1]
        if twice:
            raise ValueError(f"early_closes: {min(twice)} is given twice")
        for early in self.early_closes:
            usual = self._weekly[early.date.weekday()]
            if not usual or not usual[0][0] < seconds_of(early.closes) < usual[-1][1]:
                weekday = WEEKDAYS[early.date.weekday()]
                raise ValueError(f"early_closes: {early.date} at {early.closes} is not within the hours of a {weekday}")
        return self

    @cached_property
    def canonical(self) -> bytes:
        """RFC 8785 bytes: what `digest` is taken over and what is kept in the evidence root."""
        return rfc8785.dumps(self.model_dump(mode="json"))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of `canonical`, in hexadecimal."""
        return hashlib.sha256(self.canonical).hexdigest()

    @cached_property
    def _weekly(self) -> tuple[Hours, ...]:
        return tuple(tuple(span_of(span) for span in self.hours.get(weekday, [])) for weekday in WEEKDAYS)

    @cached_property
    def _closed(self) -> frozenset[date]:
        return frozenset(holiday.date for holiday in self.holidays)

    @cached_property
    def _closing(self) -> dict[date, int]:
        return {early.date: seconds_of(early.closes) for early in self.early_closes}

    def hours_of(self, day: date) -> Hours:
        """Openings and closings of a date, in seconds since its local midnight as the wall clock shows them."""
        if day in self._closed:
            return ()
        usual = self._weekly[day.weekday()]
        closing = self._closing.get(day)
        if closing is None:
            return usual
        return tuple((opens, min(closes, closing)) for opens, closes in usual if opens < closing)

    def business_day(self, first: date, number: int) -> date:
        """The so-manieth date with working hours from a date on; 1 for the first. Raises CalendarError beyond it."""
        day, left = first, number
        while self.first_year <= day.year <= self.last_year:
            left -= bool(self.hours_of(day))
            if not left:
                return day
            day += timedelta(days=1)
        raise CalendarError(f"the calendar {self.version} covers {self.first_year} to {self.last_year}, and not {day}")

    def days(self) -> Iterator[date]:
        """Every date that the calendar covers."""
        day = date(self.first_year, 1, 1)
        while day.year <= self.last_year:
            yield day
            day += timedelta(days=1)
