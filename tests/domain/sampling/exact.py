"""The second method: every size tried from one upwards, every probability counted out in whole numbers."""

from fractions import Fraction
from math import ceil, comb


def at_most(deviations: int, n: int, rate: Fraction) -> Fraction:
    """P(X ≤ deviations) in n items of a process that deviates at this rate."""
    total = Fraction(0)
    for found in range(deviations + 1):
        total += comb(n, found) * rate**found * (1 - rate) ** (n - found)
    return total


def at_most_of(deviations: int, n: int, deviating: int, population: int) -> Fraction:
    """The share of all samples of n that show no more than so many of the deviating items."""
    shows = [comb(deviating, bad) * comb(population - deviating, n - bad) for bad in range(min(deviations, n) + 1)]
    return Fraction(sum(shows), comb(population, n))


def size(population: int | None, confidence: Fraction, tolerable: Fraction, expected: Fraction) -> tuple[int, int]:
    """n and allowed deviations, by trying 1, 2, 3, …; all of a population where nothing less will do."""
    risk, n = 1 - confidence, 1
    while population is None or n <= population:
        allowed = ceil(expected * n)
        if population is None:
            found = at_most(allowed, n, tolerable)
        else:
            found = at_most_of(allowed, n, ceil(tolerable * population), population)
        if found <= risk:
            return n, allowed
        n += 1
    return population, ceil(tolerable * population) - 1


def limit_of(n: int, deviations: int, confidence: Fraction, population: int) -> Fraction:
    """The largest share of a population that a result leaves likely enough, by trying every number."""
    possible = range(population + 1)
    likely = [bad for bad in possible if at_most_of(deviations, n, bad, population) > 1 - confidence]
    return Fraction(max(likely), population)
