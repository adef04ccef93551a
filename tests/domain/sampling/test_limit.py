"""Upper limits: the published ones, the ones counted out, and that they agree with the sizes."""

import json
from decimal import ROUND_CEILING, Decimal
from fractions import Fraction
from math import ceil
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from countersign.errors import SamplingError
from countersign.sampling import sample_size, upper_limit
from countersign.sampling.frequency import Frequency, frequency_plan
from tests.conftest import REPOSITORY
from tests.domain.sampling import exact

AICPA = json.loads((REPOSITORY / "tests/vectors/aicpa-2017-appendix-a.json").read_text("utf-8"))
confidences = st.fractions(Fraction(1, 2), Fraction(999, 1000), max_denominator=1000)


def rounded_up(share: float) -> str:
    """Per cent with one decimal, as the tables print it."""
    return str((Decimal(str(share)) * 100).quantize(Decimal("0.1"), ROUND_CEILING))


@pytest.mark.parametrize(
    ("n", "deviations", "confidence", "percent"),
    [(25, 0, 0.95, "11.3"), (25, 0, 0.90, "8.8"), (60, 2, 0.95, "10.2"), (59, 0, 0.95, "5.0"), (7, 7, 0.95, "100.0")],
)
def test_limits(n: int, deviations: int, confidence: float, percent: str) -> None:
    limit = upper_limit(n, deviations, confidence)
    assert (rounded_up(limit.limit), limit.method) == (percent, "binomial")
    assert f"n = {'k = ' if n == deviations else ''}{n}" in limit.formula


def test_every_cell_of_the_aicpa_tables() -> None:
    for risk, rows in AICPA["limits"].items():
        for n, row in rows.items():
            assert row == [rounded_up(upper_limit(int(n), k, 1 - Fraction(risk)).limit) for k in range(11)]


@settings(deadline=None)
@given(n=st.integers(1, 120), deviations=st.integers(0, 120), confidence=confidences)
def test_the_limit_of_a_process_is_where_the_risk_is_met(n: int, deviations: int, confidence: Fraction) -> None:
    deviations = min(deviations, n - 1)
    limit = Fraction(upper_limit(n, deviations, confidence).limit)
    step = limit / 10**9
    risk = 1 - confidence
    assert exact.at_most(deviations, n, limit + step) <= risk <= exact.at_most(deviations, n, limit - step)


@settings(deadline=None)
@given(data=st.data(), population=st.integers(1, 70), confidence=confidences)
def test_the_limit_of_a_population_as_counted_out(data: st.DataObject, population: int, confidence: Fraction) -> None:
    n = data.draw(st.integers(1, population))
    deviations = data.draw(st.integers(0, n))
    limit = upper_limit(n, deviations, confidence, population)
    assert limit.limit == float(exact.limit_of(n, deviations, confidence, population))
    assert limit.limit >= deviations / population


@pytest.mark.parametrize("population", [None, 20, 250, 332, 100_000])
@pytest.mark.parametrize("expected", ["0", "0.01", "0.02"])
def test_a_planned_size_with_its_allowed_deviations_is_below_the_tolerable_rate(
    population: int | None, expected: str
) -> None:
    """And with one more it is not."""
    size = sample_size(population, "0.95", "0.05", expected)
    assert upper_limit(size.n, size.allowed_deviations, "0.95", population).limit < 0.05
    assert upper_limit(size.n, size.allowed_deviations + 1, "0.95", population).limit >= 0.05


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((25, 26, 0.95), "deviations: 26 is more than the sample of 25"),
        ((25, -1, 0.95), "deviations: -1 is less than 0"),
        ((0, 0, 0.95), "n: 0 is less than 1"),
        ((26, 0, 0.95, 25), "n: 26 is more than the population of 25"),
        ((25, 0, 0.95, 0), "population: 0 is less than 1"),
        ((25, 0, 1.0), "confidence: 1.0 is not between 0 and 1"),
    ],
)
def test_nonsense_is_refused_by_name(arguments: tuple[Any, ...], words: str) -> None:
    with pytest.raises(SamplingError, match=words):
        upper_limit(*arguments)


@pytest.mark.parametrize(
    ("frequency", "n", "percent"),
    [
        (Frequency.ANNUAL, 1, "0.0"),  # the one operation was seen
        (Frequency.QUARTERLY, 2, "50.0"),
        (Frequency.MONTHLY, 2, "66.7"),
        (Frequency.WEEKLY, 5, "42.4"),
        (Frequency.DAILY, 20, "13.2"),
        (Frequency.MANY_TIMES_A_DAY, 25, "11.3"),
    ],
)
def test_the_firms_table_and_what_it_really_supports(frequency: Frequency, n: int, percent: str) -> None:
    planned = frequency_plan(frequency, 0.95)
    assert (planned.n, rounded_up(planned.supports.limit)) == (n, percent)
    if planned.population is not None:
        counted = exact.limit_of(n, 0, Fraction(19, 20), planned.population)
        assert ceil(counted * 1000) / 10 == float(percent)
