"""What deviation rate a result still allows: the upper limit, one-sided.

What belongs here: the two limits and their formulas. Whether a limit is low enough is said in `evaluate`.

Sources: C. J. Clopper and E. S. Pearson, Biometrika 26 (1934), for a process without end, which is what the AICPA
Audit Guide *Audit Sampling* (2017) prints in tables A-3 and A-4; T. Wright, *Exact Confidence Bounds when Sampling from
Small Finite Universes* (1991), for a population of N.
"""

from dataclasses import dataclass
from fractions import Fraction

from countersign.sampling.rates import Rate, count, decimal, items, share
from countersign.sampling.risk import Finite, Method, first, is_within


@dataclass(frozen=True, slots=True)
class UpperLimit:
    """The deviation rate, a share, that the population does not exceed with the confidence asked for."""

    limit: float
    method: Method
    formula: str


def upper_limit(n: int, deviations: int, confidence: Rate, population: int | None = None) -> UpperLimit:
    """The upper limit that a sample of n with so many deviations supports; a population of None has no end.

    Of a population of N it is the largest number of deviating items that shows so few deviations with a probability
    above 1 − confidence, as a share of N; never below what was found. Raises SamplingError.
    """
    risk = 1 - share("confidence", confidence)
    population = items(population)
    n = count("n", n, at_least=1, at_most=population, of="the population")
    deviations = count("deviations", deviations, at_least=0, at_most=n, of="the sample")
    if population is None:
        return _of_process(n, deviations, risk)
    return _of_population(n, deviations, risk, population)


def _of_process(n: int, deviations: int, risk: Fraction) -> UpperLimit:
    if deviations == n:
        return UpperLimit(1.0, "binomial", f"every item of the sample deviates: n = k = {n}; any rate is possible")
    from scipy.special import betainccinv  # noqa: PLC0415  (a third of a second; definitions load without)

    limit = float(betainccinv(deviations + 1, n - deviations, float(risk)))
    formula = (
        f"p with Σ(i=0…k) C(n,i)·p^i·(1−p)^(n−i) = {decimal(risk)}, that is the {decimal(1 - risk)} quantile of"
        f" Beta(k+1, n−k): n = {n}, k = {deviations}, p = {limit:.4f}"
    )
    return UpperLimit(limit, "binomial", formula)


def _of_population(n: int, deviations: int, risk: Fraction, population: int) -> UpperLimit:
    def unlikely(deviating: int) -> bool:
        return is_within(risk, Finite(population, deviating), deviations, n)

    impossible = population - n + deviations + 1  # more than n − k sound items would be missing from the sample
    most = first(unlikely, deviations, impossible) - 1
    formula = (
        f"largest D with Σ(i=0…k) C(D,i)·C(N−D,n−i)/C(N,n) > {decimal(risk)}, as a share of N:"
        f" N = {population}, n = {n}, k = {deviations}, D = {most}"
    )
    return UpperLimit(most / population, "hypergeometric", formula)
