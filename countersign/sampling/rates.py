"""Shares and counts as an auditor writes them, taken exactly.

What belongs here: parsing at the edge, and rounding that a float would get wrong. 0.035 of 400 items is 14; as floats
it is 14.000000000000002, whose ceiling is 15, and the sample comes out at 423 instead of 400.
"""

import operator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from math import ceil
from typing import Self

from countersign.errors import SamplingError, printable

_MOST_DIGITS = 50  # before or after the point; 1e-999999999 would take all memory as a fraction
LARGEST_SAMPLE = 1_000_000  # of a process without end
LARGEST_POPULATION = 100_000_000  # beyond it scipy's hypergeometric loses digits; see `risk`
Rate = float | str | Decimal | Fraction  # an int is a float here; a float counts as the decimal that it prints as


@dataclass(frozen=True, slots=True)
class Terms:
    """What a sample is to show: with this confidence, that the deviation rate is below the tolerable one."""

    confidence: Fraction
    tolerable: Fraction
    expected: Fraction

    @classmethod
    def of(cls, confidence: Rate, tolerable: Rate, expected: Rate) -> Self:
        """Shares between 0 and 1, expected below tolerable. Raises SamplingError."""
        rates = cls(share("confidence", confidence), share("tolerable", tolerable), _number("expected", expected))
        if not 0 <= rates.expected < rates.tolerable:
            raise SamplingError(
                f"expected: {expected} is not at least 0 and below the tolerable rate of {tolerable}; no sample can"
                " show a rate to be below one that it is expected to have"
            )
        return rates

    @property
    def risk(self) -> Fraction:
        """The accepted risk of finding a rate tolerable that is not (risk of overreliance)."""
        return 1 - self.confidence

    def allowed_deviations(self, n: int) -> int:
        """The deviations that a sample of n is expected to show, as a whole number: ceil(expected · n), exactly."""
        return ceil(self.expected * n)

    def intolerable_deviations(self, population: int) -> int:
        """The fewest deviating items of a population that make its rate reach the tolerable one: ceil(tolerable · N).

        The sample must make this number unlikely. Rounding down instead would ask it to rule out a rate that is
        tolerable: 12 of 250 are 4.8 %, which 5 % allow, and 13 are the first that they do not. The AICPA tables have no
        population; where tolerable · N is whole this is what they say in the limit, and jfa (R) rounds the same way.
        """
        return ceil(self.tolerable * population)


def share(name: str, value: Rate) -> Fraction:
    """A share between 0 and 1, both excluded. Raises SamplingError."""
    number = _number(name, value)
    if not 0 < number < 1:
        raise SamplingError(f"{name}: {value} is not between 0 and 1; 95 % is written 0.95")
    return number


def count(name: str, value: int, *, at_least: int, at_most: int | None = None, of: str = "") -> int:
    """A whole number within its bounds; `of` says what the upper one is. Raises SamplingError."""
    try:
        whole = operator.index(value)
    except TypeError:
        raise SamplingError(f"{name}: {value} is not a whole number") from None
    if whole < at_least:
        raise SamplingError(f"{name}: {whole} is less than {at_least}")
    if at_most is not None and whole > at_most:
        raise SamplingError(f"{name}: {whole} is more than {of} of {at_most}")
    return whole


def items(population: int | None) -> int | None:
    """The size of a population, None for one without end. Raises SamplingError."""
    if population is None:
        return None
    whole = count("population", population, at_least=1)
    if whole > LARGEST_POPULATION:
        raise SamplingError(
            f"population: {whole} is more than {LARGEST_POPULATION}; one so large is as good as without end"
        )
    return whole


def _number(name: str, value: Rate) -> Fraction:
    if isinstance(value, Fraction):
        return value
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        number = Decimal("nan")
    if not number.is_finite() or abs(number.adjusted()) > _MOST_DIGITS:
        raise SamplingError(f"{name}: {printable(str(value))} is not a number that can be a rate; 95 % is written 0.95")
    return Fraction(number)


def decimal(rate: Fraction) -> str:
    """A share as it is written in a formula."""
    return f"{float(rate):.10g}"
