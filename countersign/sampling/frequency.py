"""The firms' table: how many items by how often a control operates.

What belongs here: the table as a named plan, and what it supports in the language of the exact plans. The sizes are
the low ends of the ranges in PricewaterhouseCoopers, *Sarbanes-Oxley Act: Section 404, Practical Guidance for
Management* (July 2004), as the field has used them since. They rest on judgement, not on a distribution; so each plan
says which deviation rate a result without deviations really leaves open. In a month's sample the
size counts for each stratum that is drawn at random and has more items than that.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from countersign.sampling.limit import UpperLimit, upper_limit
from countersign.sampling.plan import EXAMINED_WHOLE, StratumPlan, plan
from countersign.sampling.rates import Rate, Terms


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


def plan_by_frequency(frequency: Frequency, population: Mapping[str, int], terms: Terms) -> tuple[StratumPlan, ...]:
    """The plan of each tier, by the table where it is drawn at random and larger. Raises SamplingError."""
    n = _SIZES[frequency][0]
    return tuple(
        planned if planned.tier in EXAMINED_WHOLE or planned.population <= n else _by_table(planned, frequency, terms)
        for planned in plan(population, terms)
    )


def _by_table(planned: StratumPlan, frequency: Frequency, terms: Terms) -> StratumPlan:
    n = _SIZES[frequency][0]
    supports = upper_limit(n, 0, terms.confidence, planned.population)
    formula = f"the firms' table, {frequency}: n = {n}, k = 0; supports {supports.limit:.4f}: {supports.formula}"
    return StratumPlan(planned.tier, planned.population, "random", n, 0, formula)
