"""Sizes: the published ones, the ones counted out, and what no size may do."""

import json
from fractions import Fraction
from math import comb
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from countersign.errors import SamplingError
from countersign.sampling import sample_size
from countersign.sampling.plan import plan
from countersign.sampling.rates import Terms
from tests.conftest import REPOSITORY
from tests.domain.sampling import exact

AICPA = json.loads((REPOSITORY / "tests/vectors/aicpa-2017-appendix-a.json").read_text("utf-8"))
TERMS = Terms.of(0.95, 0.05, 0)


def percent(text: str) -> Fraction:
    return Fraction(text) / 100


@pytest.mark.parametrize(
    ("population", "confidence", "tolerable", "expected", "n", "allowed", "method"),
    [
        (None, 0.95, 0.05, 0, 59, 0, "binomial"),
        (250, 0.95, 0.05, 0, 51, 0, "hypergeometric"),
        (None, 0.90, 0.10, 0, 22, 0, "binomial"),
        (None, 0.95, 0.07, 0.02, 88, 2, "binomial"),
        (None, 0.95, 0.05, 0.01, 93, 1, "binomial"),
        (None, "0.9", "0.05", "0.035", 400, 14, "binomial"),  # floats make it 15, and 423
        (None, 0.75, 0.5, 0, 2, 0, "binomial"),  # the risk of two is 1/4, exactly the one accepted
        (20, 0.95, 0.05, 0, 19, 0, "hypergeometric"),  # and of 19 in 20 it is 1/20
        (10, 0.95, 0.05, 0.01, 10, 0, "hypergeometric"),  # one is expected, and one of ten is too many
        (1, 0.95, 0.05, 0, 1, 0, "hypergeometric"),
        (100_000_000, 0.95, "1e-7", 0, 25_886_554, 0, "hypergeometric"),  # floats cannot tell its neighbours apart
    ],
)
def test_sizes(
    population: int | None, confidence: Any, tolerable: Any, expected: Any, n: int, allowed: int, method: str
) -> None:
    size = sample_size(population, confidence, tolerable, expected)
    assert (size.n, size.allowed_deviations, size.method) == (n, allowed, method)
    assert f"n = {n}" in size.formula or f"n = N = {n}" in size.formula


def test_every_cell_of_the_aicpa_tables_that_follows_from_their_rule() -> None:
    cells = {
        (risk, tolerable, expected): n
        for risk, columns in AICPA["sizes"].items()
        for tolerable, column in columns.items()
        for expected, n in zip(AICPA["expected"], column, strict=False)
    }
    cells |= {(cell["risk"], cell["tolerable"], cell["expected"]): cell["derived"] for cell in AICPA["disputed"]}
    found = {
        (risk, tolerable, expected): sample_size(None, 1 - Fraction(risk), percent(tolerable), percent(expected)).n
        for risk, tolerable, expected in cells
    }
    assert len(cells) == 392
    assert found == cells


def test_where_floats_cannot_tell_sizes_apart_whole_numbers_do() -> None:
    """Ten of 100,000,000 deviate, so the ten may be drawn from the sample instead of the sample from all."""
    n = 25_886_554
    none_in = [Fraction(comb(10**8 - size, 10), comb(10**8, 10)) for size in (n - 1, n)]
    assert none_in[1] <= Fraction(1, 20) < none_in[0]


def test_the_disputed_cells_are_wrong_by_whole_numbers() -> None:
    for cell in AICPA["disputed"]:
        tolerable, expected = percent(cell["tolerable"]), percent(cell["expected"])
        assert exact.size(None, 1 - Fraction(cell["risk"]), tolerable, expected)[0] == cell["derived"]


rates = st.fractions(Fraction(1, 200), Fraction(3, 5), max_denominator=400)
confidences = st.fractions(Fraction(1, 2), Fraction(999, 1000), max_denominator=1000)


@settings(deadline=None)
@given(
    population=st.integers(1, 120), confidence=confidences, tolerable=rates, part=st.sampled_from([0, 0, 0.2, 0.5, 0.9])
)
def test_of_a_population_as_counted_out(
    population: int, confidence: Fraction, tolerable: Fraction, part: float
) -> None:
    expected = tolerable * Fraction(str(part))
    size = sample_size(population, confidence, tolerable, expected)
    assert (size.n, size.allowed_deviations) == exact.size(population, confidence, tolerable, expected)


@settings(max_examples=40, deadline=None)
@given(confidence=confidences, tolerable=rates.filter(lambda rate: rate > 0.03), part=st.sampled_from([0, 0.2, 0.5]))
def test_of_a_process_as_counted_out(confidence: Fraction, tolerable: Fraction, part: float) -> None:
    expected = tolerable * Fraction(str(part))
    size = sample_size(None, confidence, tolerable, expected)
    assert (size.n, size.allowed_deviations) == exact.size(None, confidence, tolerable, expected)


@settings(deadline=None)
@given(confidence=confidences, tolerable=rates, population=st.integers(1, 10_000_000))
def test_a_population_never_asks_for_more_than_a_process(
    confidence: Fraction, tolerable: Fraction, population: int
) -> None:
    """Discovery sampling; and the larger the population, the closer the two."""
    assert sample_size(population, confidence, tolerable, 0).n <= min(
        population, sample_size(None, confidence, tolerable, 0).n
    )


def test_ten_million_items_ask_for_what_a_process_does() -> None:
    assert sample_size(10_000_000, 0.95, 0.05, 0.01).n == sample_size(None, 0.95, 0.05, 0.01).n


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((None, 0, 0.05, 0), "confidence: 0 is not between 0 and 1"),
        ((None, 1, 0.05, 0), "confidence"),
        ((None, 95, 0.05, 0), "95 % is written 0.95"),
        ((None, float("nan"), 0.05, 0), "confidence: nan is not a number that can be a rate"),
        ((None, "95%", 0.05, 0), "confidence: 95% is not a number"),
        ((None, 0.95, "1/0", 0), "tolerable: 1/0 is not a number"),
        ((None, 0.95, "\x1b[1m", 0), r"tolerable: \x1b[1m is not a number"),
        ((None, 0.95, "1e-999999999", 0), "tolerable: 1e-999999999 is not a number"),
        ((None, 0.95, "1e-9", 0), "no sample of 1000000 items"),
        ((None, 0.95, "1e-9", "1e-10"), "no sample of 1000000 items"),
        ((None, 0.95, 0, 0), "tolerable"),
        ((None, 0.95, 1, 0), "tolerable"),
        ((None, 0.95, 0.05, 0.05), "expected: 0.05 is not at least 0 and below the tolerable rate of 0.05"),
        ((None, 0.95, 0.05, 0.06), "expected"),
        ((None, 0.95, 0.05, -0.01), "expected"),
        ((None, 0.95, 0.05, "0.04999"), "or with 2000 deviations, is large enough"),
        ((0, 0.95, 0.05, 0), "population: 0 is less than 1"),
        (
            (2**40, 0.95, 0.05, 0),
            "population: 1099511627776 is more than 100000000; one so large is as good as without end",
        ),
        ((2.5, 0.95, 0.05, 0), "population: 2.5 is not a whole number"),
    ],
)
def test_nonsense_is_refused_by_name(arguments: tuple[Any, ...], words: str) -> None:
    with pytest.raises(SamplingError) as refused:
        sample_size(*arguments)
    assert words in str(refused.value)


def test_a_population_that_would_have_to_allow_too_many_is_examined_whole_by_decision_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("countersign.sampling.plan.MOST_ALLOWED", 20)
    with pytest.raises(SamplingError, match="examine every item"):
        sample_size(10_000, 0.95, 0.05, 0.048)
    assert sample_size(400, 0.95, 0.05, 0.048).n == 400  # 20 of 400 are too many, and 20 are expected


def test_strata_are_planned_each_on_its_own() -> None:
    planned = plan({"standard": 250, "emergency": 30, "trivial": 0, "small": 10}, TERMS)
    found = [(part.tier, part.selection, part.n, part.allowed_deviations) for part in planned]
    assert found == [
        ("standard", "random", 51, 0),
        ("emergency", "every item", 30, 1),  # two of thirty would be 6.7 %
        ("trivial", "every item", 0, 0),
        ("small", "every item", 10, 0),
    ]
    assert [part.population for part in planned] == [250, 30, 0, 10]


def test_a_stratum_of_less_than_nothing_is_refused_by_its_name() -> None:
    with pytest.raises(SamplingError, match="standard: -1 is less than 0"):
        plan({"standard": -1}, TERMS)
