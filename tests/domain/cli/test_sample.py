"""`countersign sample …`: the numbers, the formulas, and what is no question."""

from typing import Any

import pytest

from tests.domain.cli.conftest import Cli


@pytest.mark.parametrize(
    ("arguments", "document"),
    [
        (
            "size --population inf --confidence .95 --tolerable .05 --expected 0",
            {"n": 59, "allowed_deviations": 0, "method": "binomial"},
        ),
        (
            "size --population 250 --confidence .95 --tolerable .05 --expected 0",
            {"n": 51, "allowed_deviations": 0, "method": "hypergeometric"},
        ),
        ("size --tolerable 0.07 --expected 0.02", {"n": 88, "allowed_deviations": 2, "method": "binomial"}),
        (
            "limit --n 25 --deviations 0 --confidence .95",
            {"limit": pytest.approx(0.112928, abs=1e-6), "method": "binomial"},
        ),
        ("limit --n 51 --deviations 0 --population 250", {"limit": 0.048, "method": "hypergeometric"}),
        (
            "plan daily",
            {"frequency": "daily", "n": 20, "population": 250, "limit": 0.132, "method": "hypergeometric"},
        ),
    ],
)
def test_numbers_for_programs(cli: Cli, arguments: str, document: dict[str, Any]) -> None:
    answer = cli("sample", *arguments.split(), "--json")
    assert (answer.code, answer.document, answer.err) == (0, document, "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("size --tolerable .05 --expected .01", ["examine 93 items; up to 1 of them may deviate", "k = ⌈0.01·n⌉"]),
        ("size --population 250 --tolerable .05", ["examine 51 items", "D = ⌈0.05·N⌉ = 13"]),
        ("limit --n 25 --deviations 0", ["upper limit 11.3 % with a confidence of 0.95 (binomial)", "Beta(k+1, n−k)"]),
        ("limit --n 25 --deviations 0 --confidence .90", ["upper limit 8.8 %"]),
        ("limit --n 60 --deviations 2", ["upper limit 10.2 %"]),
        ("limit --n 20 --deviations 0 --population 250", ["upper limit 13.2 %", "D = 33"]),
        ("plan annual", ["examine 1 of 1 operations in a year", "an upper limit of 0.0 %"]),
        (
            "plan many-times-a-day",
            ["examine 25 of a process that goes on; none may deviate", "an upper limit of 11.3 %"],
        ),
    ],
)
def test_numbers_and_formulas_for_people(cli: Cli, arguments: str, words: list[str]) -> None:
    answer = cli("sample", *arguments.split())
    assert answer.code == 0
    assert [word for word in words if word not in answer.out] == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("size --tolerable .05 --confidence 1", "confidence: 1 is not between 0 and 1"),
        ("size --tolerable .05 --confidence 95%", "confidence: 95% is not a number"),
        ("size --tolerable .05 --expected .05", "expected: .05 is not at least 0 and below the tolerable rate of .05"),
        ("size --tolerable 5", "tolerable: 5 is not between 0 and 1; 95 % is written 0.95"),
        ("size --tolerable .05 --population many", "population: many is neither a whole number nor `inf`"),
        ("size --tolerable .05 --population 0", "population: 0 is less than 1"),
        ("limit --n 25 --deviations 26", "deviations: 26 is more than the sample of 25"),
        ("limit --n 25 --deviations 0 --population 24", "n: 25 is more than the population of 24"),
        ("limit --n x --deviations 0", "Invalid value for '--n'"),
        ("plan hourly", "many-times-a-day"),
        ("size", "--tolerable"),
    ],
)
def test_what_is_no_question_ends_with_2_and_says_why(cli: Cli, arguments: str, words: str) -> None:
    answer = cli("sample", *arguments.split())
    assert (answer.code, answer.out) == (2, "")
    assert words in answer.err
