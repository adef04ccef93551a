"""How many items to examine, and how many of them may deviate.

What belongs here: attribute sampling (discovery sampling where no deviation is expected) as auditors know it, exact,
with the formula beside every number; and the strata of a month. Not the draw, and not what the observer found.

Sources: AICPA Audit Guide *Audit Sampling* (2017), appendix A, tables A-1 and A-2, which are binomial; T. R. Stewart,
*Technical Notes on the AICPA Audit Guide Audit Sampling* (2008, 2012), on how they were computed. A sample may show as
many deviations as are expected of it, rounded up: ceil(expected · n). So where deviations are expected a larger n is
not always better: it may allow one more, and its risk is above the limit again. The smallest n that fits the number
that goes with it is the one. `tests/vectors/aicpa-2017-appendix-a.json` holds the printed tables.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from countersign.errors import SamplingError
from countersign.sampling.rates import LARGEST_SAMPLE, Rate, Terms, count, decimal, items
from countersign.sampling.risk import Deviating, Finite, Method, Unlimited, smallest_sample

Selection = Literal["every item", "random"]

EXAMINED_WHOLE = frozenset({"emergency", "late"})  # tiers of which every change is examined
MOST_ALLOWED = 2_000  # deviations; beyond it a search takes minutes, and nobody can examine such a sample


@dataclass(frozen=True, slots=True)
class SampleSize:
    """Examine n items; up to `allowed_deviations` of them may deviate and the terms are still met."""

    n: int
    allowed_deviations: int
    method: Method
    formula: str


@dataclass(frozen=True, slots=True)
class StratumPlan:
    """What to examine of one stratum; strata are drawn and evaluated each on its own."""

    tier: str
    population: int
    selection: Selection
    n: int
    allowed_deviations: int
    formula: str


def sample_size(population: int | None, confidence: Rate, tolerable: Rate, expected: Rate) -> SampleSize:
    """The smallest sample that shows, with this confidence, a deviation rate below the tolerable one.

    Rates are shares (0.05, "0.05", Fraction(1, 20)). A population of None has no end (binomial). Of a population of N
    (hypergeometric) the sample has to rule out ceil(tolerable · N) deviating items, see `Terms.intolerable_deviations`;
    where no smaller sample does that, all N are examined. Raises SamplingError.
    """
    terms = Terms.of(confidence, tolerable, expected)
    population = items(population)
    intolerable = _at_tolerable_rate(terms, population)
    for allowed, above, up_to in _sizes_by_allowance(terms, population):
        n = smallest_sample(terms.risk, intolerable, allowed, above=above, up_to=up_to)
        if n is not None:
            return SampleSize(n, allowed, intolerable.method, _formula(terms, intolerable, n, allowed))
    if population is None or terms.allowed_deviations(population) > MOST_ALLOWED:
        raise SamplingError(
            f"expected: no sample of {LARGEST_SAMPLE} items, or with {MOST_ALLOWED} deviations, is large enough to"
            f" show a rate below {tolerable} where {expected} is expected; expect fewer, or examine every item"
        )
    return _every_item(terms, population)


def plan(population: Mapping[str, int], terms: Terms) -> tuple[StratumPlan, ...]:
    """The plan of each tier, in their order: every item of an emergency stratum, a random sample of the others."""
    return tuple(_stratum(tier, count(tier, size, at_least=0), terms) for tier, size in population.items())


def _stratum(tier: str, population: int, terms: Terms) -> StratumPlan:
    if population == 0:
        return StratumPlan(tier, 0, "every item", 0, 0, "the stratum is empty")
    if tier in EXAMINED_WHOLE:
        size = _every_item(terms, population)
    else:
        size = sample_size(population, terms.confidence, terms.tolerable, terms.expected)
    selection: Selection = "every item" if size.n == population else "random"
    return StratumPlan(tier, population, selection, size.n, size.allowed_deviations, size.formula)


def _every_item(terms: Terms, population: int) -> SampleSize:
    """All of a population: nothing is left to chance, and any number below the intolerable one may deviate."""
    intolerable = terms.intolerable_deviations(population)
    formula = (
        f"every item is examined, n = N = {population};"
        f" ⌈{decimal(terms.tolerable)}·N⌉ = {intolerable} deviations would reach the tolerable rate"
    )
    return SampleSize(population, intolerable - 1, "hypergeometric", formula)


def _at_tolerable_rate(terms: Terms, population: int | None) -> Deviating:
    """What a sample has to rule out: the population whose deviation rate just reaches the tolerable one."""
    if population is None:
        return Unlimited(terms.tolerable)
    return Finite(population, terms.intolerable_deviations(population))


def _sizes_by_allowance(terms: Terms, population: int | None) -> Iterator[tuple[int, int, int]]:
    """For each number of allowed deviations, the sizes that it goes with: `above < n ≤ up_to`."""
    largest = population or LARGEST_SAMPLE
    if not terms.expected:
        yield 0, 0, largest
    above = 0
    for allowed in range(1, MOST_ALLOWED + 1 if terms.expected else 0):
        up_to = min(int(allowed / terms.expected), largest)
        yield allowed, above, up_to
        if up_to == largest:
            return
        above = up_to


def _formula(terms: Terms, intolerable: Deviating, n: int, allowed: int) -> str:
    share = decimal(terms.tolerable)
    match intolerable:
        case Finite(population, deviating):
            term = "C(D,i)·C(N−D,n−i)/C(N,n)"
            given = f", N = {population}, D = ⌈{share}·N⌉ = {deviating}"
        case _:
            term = f"C(n,i)·{share}^i·{decimal(1 - terms.tolerable)}^(n−i)"
            given = ""
    return (
        f"smallest n with Σ(i=0…k) {term} ≤ {decimal(terms.risk)}, k = ⌈{decimal(terms.expected)}·n⌉{given}:"
        f" n = {n}, k = {allowed}, sum = {intolerable.at_most(allowed, n):.4f}"
    )
