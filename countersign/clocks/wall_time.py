"""Local times without a zone as the instants they may mean. What belongs here: the two nights a year that matter."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

_WALL = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")


@dataclass(frozen=True, slots=True)
class WallTime:
    """The earliest and the latest instant, in UTC, that a local time can mean: one, or two as clocks go back."""

    earliest: datetime
    latest: datetime

    @property
    def ambiguous(self) -> bool:
        """Whether the clocks showed it twice that night."""
        return self.earliest != self.latest


def parse_wall_time(text: str, zone: ZoneInfo) -> WallTime:
    """`2026-11-20 09:30:00` on the clocks of a zone.

    Raises ValueError for another form, and for a time that the clocks of the zone skipped: it was never shown there, so
    either the time or the zone is wrong, and any instant would be a guess.
    """
    if not _WALL.fullmatch(text):
        raise ValueError(f"{text!r} is no time such as 2026-11-20 09:30:00 (year-month-day, 24 hours, no zone)")
    try:
        local = datetime.fromisoformat(text)
        first, second = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        shown = first.astimezone(zone).replace(tzinfo=None)
    except (ValueError, OverflowError) as error:  # no such day, or beyond the years 1 to 9999 in UTC
        raise ValueError(f"{text!r} is no time that there is: {error}") from error
    if shown != local:
        raise ValueError(f"{text!r} does not exist in {zone.key}: the clocks went forward over it")
    return WallTime(first, second)
