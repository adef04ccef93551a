"""How long evidence is kept, and where beside the evidence root.

What belongs here: the policy's words, and the day they come to. What does not: stores and packs, which are
`retention`.
"""

import calendar
from datetime import date, datetime, time, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field

from countersign.policy.section import Section
from countersign.policy.words import UNASSIGNED, Role

_LEAP_YEAR = 2024


def _day_of_year(text: str) -> str:
    month, _, day = text.partition("-")
    date(_LEAP_YEAR, int(month), int(day))
    return text


def _on(year: int, month: int, day: int) -> date:
    """That day of a year, or the last of the month where the year has no such day."""
    return date(year, month, min(day, calendar.monthrange(year, month)[1]))


class Span(Section):
    """A time in calendar days or years that its owner sets; `assigned_by: ▶` says that nobody has yet."""

    value: int = Field(gt=0, le=36_500)
    unit: Literal["days", "years"]
    owner: Role
    assigned_by: str = Field(min_length=1)

    @property
    def assigned(self) -> bool:
        return UNASSIGNED not in self.assigned_by

    def after(self, day: date) -> date:
        """The day that is so much later; 29 February plus a year is 1 March, since a period is never cut short."""
        if self.unit == "days":
            return day + timedelta(days=self.value)
        year = day.year + self.value
        leap_day_lost = (day.month, day.day) == (2, 29) and not calendar.isleap(year)
        return date(year, 3, 1) if leap_day_lost else day.replace(year=year)


class Retention(Section):
    """Evidence is kept for a period that begins when the audit of its fiscal year is expected to have ended."""

    fiscal_year_end: Annotated[str, Field(pattern=r"^\d\d-\d\d$"), AfterValidator(_day_of_year)]
    audit_ends_after: Span
    period: Span

    def last_day(self, day: date) -> date:
        """The last day on which evidence of a day is kept."""
        month, end = map(int, self.fiscal_year_end.split("-"))
        closing = _on(day.year, month, end)
        if closing < day:
            closing = _on(day.year + 1, month, end)
        return self.period.after(self.audit_ends_after.after(closing))

    def until(self, day: date, zone: ZoneInfo) -> datetime:
        """The instant before which evidence of a day may not go: the end of `last_day` in a zone."""
        return datetime.combine(self.last_day(day) + timedelta(days=1), time(), zone)


class LocalStoreSpec(Section):
    """A folder on another file system; relative paths start at the policy's folder."""

    kind: Literal["local"]
    folder: str = Field(min_length=1)


class S3StoreSpec(Section):
    """A bucket with versioning and Object Lock. Credentials are never named here; boto3 finds them where it runs."""

    kind: Literal["s3"]
    bucket: str = Field(min_length=3)
    prefix: str = Field(default="", pattern=r"^([A-Za-z0-9._-]+/)*$")
    region: str | None = None
    endpoint: str | None = None


StoreSpec = Annotated[LocalStoreSpec | S3StoreSpec, Field(discriminator="kind")]
