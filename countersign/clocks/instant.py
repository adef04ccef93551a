"""Instants as text. What belongs here: one way to print and read a UTC instant; no business time."""

import re
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?([Zz]|[+-]\d\d:?\d\d)")


def stamp(instant: datetime) -> str:
    """`2026-11-23T14:05:06.000007Z`: UTC, always six digits, so that text order is time order."""
    utc = instant if instant.tzinfo is UTC else instant.astimezone(UTC)
    return utc.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def parse_instant(text: str) -> datetime:
    """An RFC 3339 time with a zone, as UTC. Raises ValueError on anything else: a guess would be a wrong clock."""
    if not _RFC3339.fullmatch(text):
        raise ValueError("needs a date, a time and a zone, such as 2026-11-20T09:30:00Z or 2026-11-20T09:30:00-05:00")
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except OverflowError as error:
        raise ValueError("needs an instant between the years 1 and 9999 in UTC") from error


def local_day(instant: datetime, zone: ZoneInfo) -> date:
    """The calendar day of an instant in a zone: the intake day of a run opened then."""
    return instant.astimezone(zone).date()


def to_micros(instant: datetime) -> int:
    """Microseconds since 1970 in UTC: an instant where there are a million of them."""
    return (instant - _EPOCH) // timedelta(microseconds=1)


def from_micros(micros: int) -> datetime:
    """The instant of so many microseconds since 1970, in UTC."""
    return _EPOCH + timedelta(microseconds=micros)


def hours_after(instant: datetime, hours: float) -> datetime:
    """An instant so many elapsed hours later (24 by 7, no business time)."""
    return instant + timedelta(hours=hours)
