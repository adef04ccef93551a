"""The words of clocks. What belongs here: kinds, how much time there is, and pauses; no computing, and no numpy."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ClockKind(StrEnum):
    """What a clock waits for."""

    INDEPENDENT_REVIEW = "independent_review"
    MAKER_CHECKER = "maker_checker"
    EXCEPTION_OBSERVATION = "exception_observation"
    POPULATION_OBSERVATION = "population_observation"


class Tier(StrEnum):
    """How urgent a change is."""

    STANDARD = "standard"
    EMERGENCY = "emergency"


class Unit(StrEnum):
    """How an allowance is counted: `hours` run 24 by 7, the others only in business time."""

    HOURS = "hours"
    BUSINESS_HOURS = "business_hours"
    BUSINESS_DAYS = "business_days"


@dataclass(frozen=True, slots=True)
class Allowance:
    """How much time there is. One business day lasts until the same local time on the next business day."""

    value: int
    unit: Unit

    def __post_init__(self) -> None:
        # the upper bound is far beyond any calendar, and keeps microseconds within 64 bits
        if not 1 <= self.value <= 1_000_000:
            raise ValueError(f"an allowance is between 1 and 1,000,000 {self.unit}, not {self.value}")


@dataclass(frozen=True, slots=True)
class Pause:
    """Time that does not count, from the instant it was set to the instant it was lifted; None while it lasts.

    Both are the instants at which they were recorded. So a pause never begins in the past, and never un-breaches.
    """

    begin: datetime
    end: datetime | None
    reason: str
    by: str
