"""The firms' table: how many items by how often a control operates.

What belongs here: the table as a named plan, and what it supports in the language of the exact plans. The sizes are
the low ends of the ranges in PricewaterhouseCoopers, *Sarbanes-Oxley Act: Section 404, Practical Guidance for
Management* (July 2004), as the field has used them since. They rest on judgement, not on a distribution; so each plan
says which deviation rate a result without deviations really leaves open.
"""

from dataclasses import dataclass
from enum import StrEnum

from countersign.sampling.limit import UpperLimit, upper_limit
from countersign.sampling.rates import Rate


class Frequency(StrEnum):
    """How often a control operates."""

    ANNUAL = "annual"
    QUARTERLY = "quarterly"
    MONTHLY = "monthly"
    WEEKLY = "weekly"
    DAILY = "daily"
    MANY_TIMES_A_DAY = "many-times-a-day"


_SIZES: dict[Frequency, tuple[int, int | None]] = {  # items to examine, operations in a year (None: without end)
    Frequency.ANNUAL: (1, 1),
    Frequency.QUARTERLY: (2, 4),
    Frequency.MONTHLY: (2, 12),
    Frequency.WEEKLY: (5, 52),
    Frequency.DAILY: (20, 250),
    Frequency.MANY_TIMES_A_DAY: (25, None),
}


@dataclass(frozen=True, slots=True)
class FrequencyPlan:
    """Examine n of a year's operations, none may deviate; and what that supports."""

    frequency: Frequency
    n: int
    population: int | None
    supports: UpperLimit


def frequency_plan(frequency: Frequency, confidence: Rate) -> FrequencyPlan:
    """The firms' size for a frequency, with the upper limit that no deviation in it supports. Raises SamplingError."""
    n, population = _SIZES[frequency]
    return FrequencyPlan(frequency, n, population, upper_limit(n, 0, confidence, population))
