"""What the observer found, and what that shows about the whole stratum.

What belongs here: results in, conclusion out. Not who may hand results in, nor the finding that follows.

A drawn item without a result leaves a stratum unevaluated. One that could not be examined counts as a deviation, since
nothing shows that the control operated (ISA 530, paragraph 11). Numbers are not all: what
a deviation means, and whether it was intended, an observer judges from the item.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from countersign.errors import SamplingError, printable
from countersign.sampling.limit import UpperLimit, upper_limit
from countersign.sampling.plan import StratumPlan
from countersign.sampling.rates import Terms
from countersign.sampling.risk import Finite, is_within, smallest_sample

Conclusion = Literal["supported", "not supported", "empty"]

_NAMED = 5  # ids in a message


class Outcome(StrEnum):
    """What the observer found of one item."""

    OPERATED = "operated"
    DEVIATION = "deviation"
    NOT_EXAMINABLE = "not examinable"


@dataclass(frozen=True, slots=True)
class Result:
    """One item's outcome, as the observer gave it."""

    change_id: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Expansion:
    """Examine the `further` next lowest tickets, `total` with those drawn; if none deviates, the terms are met.

    `risk` is what two looks really risk, at least: the chance that a population just at the tolerable rate passes at
    once, or like this. It is above the planned one, so an auditor may ask for a new plan instead.
    """

    further: int
    total: int
    risk: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a stratum's sample shows.

    `limit` is of the stratum's own population and None where that is empty; `expansion` is None where none is needed,
    or none can help.
    """

    tier: str
    population: int
    n: int
    deviations: tuple[str, ...]
    conclusion: Conclusion
    limit: UpperLimit | None
    expansion: Expansion | None


def evaluate(planned: StratumPlan, drawn: Sequence[str], results: Iterable[Result], terms: Terms) -> Evaluation:
    """Whether a stratum's deviation rate is below the tolerable one with the confidence asked for.

    `drawn` are the ids of the draw, planned or expanded. Raises SamplingError where they are fewer than planned, or
    where the results are not one for each of them.
    """
    n, population = len(drawn), planned.population
    if not planned.n <= n <= population:
        raise SamplingError(f"{planned.tier}: {n} items were drawn; the plan asks for {planned.n} of {population}")
    deviations = _deviations(planned.tier, drawn, results)
    if population == 0:
        return Evaluation(planned.tier, 0, 0, (), "empty", None, None)
    found = len(deviations)
    intolerable = Finite(population, terms.intolerable_deviations(population))
    supported = is_within(terms.risk, intolerable, found, n)
    return Evaluation(
        planned.tier,
        population,
        n,
        deviations,
        "supported" if supported else "not supported",
        upper_limit(n, found, terms.confidence, population),
        None if supported else _expansion(planned, n, found, intolerable, terms),
    )


def _deviations(tier: str, drawn: Sequence[str], results: Iterable[Result]) -> tuple[str, ...]:
    """The ids that deviate, in the order of the draw."""
    given = list(results)
    outcomes = {result.change_id: result.outcome for result in given}
    twice = [change_id for change_id, times in Counter(result.change_id for result in given).items() if times > 1]
    missing = [change_id for change_id in drawn if change_id not in outcomes]
    unknown = sorted(outcomes.keys() - set(drawn))
    for ids, fault in (
        (twice, "more than one result"),
        (unknown, "a result for what was not drawn"),
        (missing, "drawn, and without a result"),
    ):
        if ids:
            named = ", ".join(printable(change_id) for change_id in ids[:_NAMED])
            raise SamplingError(f"{tier}: {fault}: {named} ({len(ids)} in all); give one result for each item drawn")
    return tuple(change_id for change_id in drawn if outcomes[change_id] is not Outcome.OPERATED)


def _expansion(planned: StratumPlan, n: int, found: int, intolerable: Finite, terms: Terms) -> Expansion | None:
    population = planned.population
    total = smallest_sample(terms.risk, intolerable, found, above=n, up_to=population)
    if total is None:
        return None  # what was found already reaches the tolerable rate
    at_once = intolerable.at_most(planned.allowed_deviations, planned.n)
    just_so_many = intolerable.at_most(found, n) - intolerable.at_most(found - 1, n)
    rest = Finite(population - n, intolerable.deviating - found)
    return Expansion(total - n, total, at_once + just_so_many * rest.at_most(0, total - n))
