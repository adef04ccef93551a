"""How likely a sample shows no more than so many deviations, and the searches that stand on it.

What belongs here: the two distributions (a population without end, a population of N) and the smallest sample that
makes a number of deviations unlikely enough. Not what an auditor asks for or reads: that is `plan` and `evaluate`.

scipy is loaded by the first question and not before: definitions load without it. Its floats decide only where they
are clearly on one side; at a tie (19 of 20 items, one of them deviating: exactly 5 %) whole numbers decide.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import comb
from typing import Literal, Protocol

Method = Literal["binomial", "hypergeometric"]


class Deviating(Protocol):
    """A population of which a certain part deviates."""

    @property
    def method(self) -> Method:
        """The distribution of the deviations that a sample of it shows."""
        ...

    @property
    def precision(self) -> float:
        """The part of itself that `at_most` may be off by, with room to spare."""
        ...

    def at_most(self, deviations: int, n: int) -> float:
        """P(X ≤ deviations) in a sample of n, which has at least so many items."""
        ...

    def exactly_at_most(self, deviations: int, n: int) -> Fraction:
        """The same in whole numbers: slow where n is large, and without error."""
        ...


@dataclass(frozen=True, slots=True)
class Unlimited:
    """A process that goes on, of which this share deviates."""

    rate: Fraction

    @property
    def method(self) -> Method:
        return "binomial"

    @property
    def precision(self) -> float:
        return 1e-9  # seen: 1e-11

    def at_most(self, deviations: int, n: int) -> float:
        from scipy.special import bdtr  # noqa: PLC0415  (a third of a second; definitions load without)

        return float(bdtr(deviations, n, float(self.rate)))

    def exactly_at_most(self, deviations: int, n: int) -> Fraction:
        bad, all_ = self.rate.numerator, self.rate.denominator
        ways = sum(comb(n, found) * bad**found * (all_ - bad) ** (n - found) for found in range(deviations + 1))
        return Fraction(ways, all_**n)


@dataclass(frozen=True, slots=True)
class Finite:
    """A population of so many items, of which so many deviate."""

    population: int
    deviating: int

    @property
    def method(self) -> Method:
        return "hypergeometric"

    @property
    def precision(self) -> float:
        return 1e-6  # seen: 5e-8, of 100,000,000 items; it grows with them

    def at_most(self, deviations: int, n: int) -> float:
        from scipy.stats import hypergeom  # noqa: PLC0415  (most of a second; definitions load without)

        return float(hypergeom.cdf(deviations, self.population, self.deviating, n))

    def exactly_at_most(self, deviations: int, n: int) -> Fraction:
        fewer, more = sorted((self.deviating, n))  # drawn and deviating may change places: the fewer, the faster
        rest = self.population - more
        both = range(max(0, fewer - rest), min(deviations, fewer) + 1)
        ways = sum(comb(more, shown) * comb(rest, fewer - shown) for shown in both)
        return Fraction(ways, comb(self.population, fewer))


def is_within(risk: Fraction, deviating: Deviating, deviations: int, n: int) -> bool:
    """Whether a sample of n shows at most so many deviations with no more than this probability."""
    found, asked = deviating.at_most(deviations, n), float(risk)
    if abs(found - asked) > deviating.precision * asked:
        return found < asked
    return deviating.exactly_at_most(deviations, n) <= risk


def smallest_sample(risk: Fraction, deviating: Deviating, deviations: int, *, above: int, up_to: int) -> int | None:
    """The smallest n with `above < n ≤ up_to` that is within the risk, None where there is none.

    The larger the sample, the less likely it shows so few: so one search by halves.
    """
    if up_to <= above or not is_within(risk, deviating, deviations, up_to):
        return None
    return first(lambda n: is_within(risk, deviating, deviations, n), above, up_to)


def first(holds: Callable[[int], bool], no: int, yes: int) -> int:
    """The smallest number above `no` of which it holds, where it holds of `yes` and of all above the smallest."""
    while yes - no > 1:
        middle = (no + yes) // 2
        no, yes = (no, middle) if holds(middle) else (middle, yes)
    return yes
