"""A month of changes: which instants it holds, in the policy's zone. What belongs here: that, and its name."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Self
from zoneinfo import ZoneInfo

from countersign.errors import SamplingError, printable

_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A calendar month; its text is `2026-10`."""

    first: date

    @classmethod
    def parse(cls, text: str) -> Self:
        """A month from `YYYY-MM`. Raises SamplingError."""
        found = _MONTH.fullmatch(text)
        if found is None or found[1] == "0000":
            raise SamplingError(f"{printable(text)!r}: not a month as YYYY-MM, such as 2026-10")
        return cls(date(int(found[1]), int(found[2]), 1))

    @classmethod
    def of(cls, day: date) -> Self:
        """The month of a day."""
        return cls(day.replace(day=1))

    @property
    def next(self) -> "Month":
        """The month after."""
        return Month(date(self.first.year + self.first.month // 12, self.first.month % 12 + 1, 1))

    @property
    def previous(self) -> "Month":
        """The month before."""
        return Month.of(self.first - timedelta(days=1))

    def begin(self, zone: ZoneInfo) -> datetime:
        """Its first instant in a zone, in UTC; where the clocks skip that midnight, the instant at which they do."""
        return datetime(self.first.year, self.first.month, 1, tzinfo=zone).astimezone(UTC)

    def end(self, zone: ZoneInfo) -> datetime:
        """The first instant that belongs to the next month."""
        return self.next.begin(zone)

    def __str__(self) -> str:
        return self.first.isoformat()[:7]
