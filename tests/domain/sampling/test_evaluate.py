"""Results in, conclusion out."""

from collections.abc import Sequence
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.errors import SamplingError
from countersign.sampling.draw import Seed, draw
from countersign.sampling.evaluate import Evaluation, Outcome, Result, evaluate
from countersign.sampling.plan import StratumPlan, plan
from countersign.sampling.rates import Terms
from tests.domain.sampling import exact

TERMS = Terms.of(0.95, 0.05, 0)
SEED = Seed(bytes(32), "observer")
MONTH = [f"CHG-{number:03}" for number in range(250)]
(STANDARD,) = plan({"standard": 250}, TERMS)
(EMERGENCY,) = plan({"emergency": 30}, TERMS)


def sample(n: int) -> list[str]:
    return [item.change_id for item in draw(MONTH, n, SEED).items]


def results(drawn: Sequence[str], deviations: int, outcome: Outcome = Outcome.DEVIATION) -> list[Result]:
    """The last ones deviate."""
    first = len(drawn) - deviations
    return [Result(id_, Outcome.OPERATED if rank < first else outcome) for rank, id_ in enumerate(drawn)]


def evaluated(planned: StratumPlan, drawn: Sequence[str], deviations: int, terms: Terms = TERMS) -> Evaluation:
    return evaluate(planned, drawn, results(drawn, deviations), terms)


def test_no_deviation_supports_what_was_planned() -> None:
    found = evaluated(STANDARD, sample(51), 0)
    assert (found.conclusion, found.deviations, found.expansion) == ("supported", (), None)
    assert found.limit is not None
    assert (found.limit.limit, found.limit.method) == (12 / 250, "hypergeometric")


def test_a_deviation_names_itself_and_how_many_more_to_examine() -> None:
    drawn = sample(51)
    found = evaluated(STANDARD, drawn, 1)
    assert (found.conclusion, found.deviations) == ("not supported", (drawn[-1],))
    assert found.expansion is not None
    assert (found.expansion.further, found.expansion.total) == (27, 78)
    assert exact.at_most_of(1, 78, 13, 250) <= Fraction(1, 20) < exact.at_most_of(1, 77, 13, 250)


def test_the_risk_of_two_looks_is_counted_out() -> None:
    """Of a population just at the tolerable rate: none in 51, or one in 51 and none in the next 27."""
    found = evaluated(STANDARD, sample(51), 1).expansion
    one = exact.at_most_of(1, 51, 13, 250) - exact.at_most_of(0, 51, 13, 250)
    assert found is not None
    assert found.risk == pytest.approx(float(exact.at_most_of(0, 51, 13, 250) + one * exact.at_most_of(0, 27, 12, 199)))
    assert found.risk > 0.05


def test_the_further_items_are_the_next_lowest_tickets_and_settle_it() -> None:
    expanded = sample(78)
    assert expanded[:51] == sample(51)
    outcomes = results(expanded[:51], 1) + results(expanded[51:], 0)
    assert evaluate(STANDARD, expanded, outcomes, TERMS).conclusion == "supported"


def test_what_could_not_be_examined_counts_as_a_deviation() -> None:
    drawn = sample(51)
    found = evaluate(STANDARD, drawn, results(drawn, 1, Outcome.NOT_EXAMINABLE), TERMS)
    assert (found.conclusion, found.deviations) == ("not supported", (drawn[-1],))


def test_deviations_that_the_plan_allows_ask_for_nothing_more() -> None:
    terms = Terms.of(0.95, 0.05, 0.01)
    (planned,) = plan({"standard": 250}, terms)
    found = evaluated(planned, sample(planned.n), planned.allowed_deviations, terms)
    assert planned.allowed_deviations == 1
    assert (found.conclusion, found.expansion) == ("supported", None)
    assert evaluated(planned, sample(planned.n), 2, terms).expansion is not None


def test_no_expansion_helps_where_the_tolerable_rate_is_already_reached() -> None:
    found = evaluated(STANDARD, sample(51), 13)
    assert (found.conclusion, found.expansion) == ("not supported", None)


@pytest.mark.parametrize(("deviations", "conclusion"), [(0, "supported"), (1, "supported"), (2, "not supported")])
def test_a_stratum_examined_whole_has_its_own_rate(deviations: int, conclusion: str) -> None:
    """One of thirty is 3.3 %, two are 6.7 %."""
    found = evaluated(EMERGENCY, [f"EMG-{number}" for number in range(30)], deviations)
    assert (found.conclusion, found.expansion) == (conclusion, None)
    assert found.limit is not None
    assert found.limit.limit == deviations / 30


def test_an_empty_stratum_shows_nothing() -> None:
    (planned,) = plan({"emergency": 0}, TERMS)
    found = evaluate(planned, [], [], TERMS)
    assert (found.conclusion, found.limit) == ("empty", None)


@pytest.mark.parametrize(
    ("given_results", "words"),
    [
        (results(sample(51)[:-1], 0), r"drawn, and without a result: CHG-\d{3} \(1 in all\)"),
        ([], r"drawn, and without a result: CHG-\d{3}(, CHG-\d{3}){4} \(51 in all\)"),
        (
            [*results(sample(51), 0), Result("CHG-\n", Outcome.OPERATED)],
            r"a result for what was not drawn: CHG-\\n \(1 in all\)",
        ),
        (results(sample(51), 0) * 2, "more than one result: "),
    ],
)
def test_results_are_one_for_each_item_drawn(given_results: list[Result], words: str) -> None:
    with pytest.raises(SamplingError, match=words):
        evaluate(STANDARD, sample(51), given_results, TERMS)


@pytest.mark.parametrize("n", [50, 251])
def test_fewer_than_planned_or_more_than_there_are_is_no_sample(n: int) -> None:
    with pytest.raises(SamplingError, match=f"standard: {n} items were drawn; the plan asks for 51 of 250"):
        evaluated(STANDARD, [*MONTH, "CHG-X"][:n], 0)


@given(deviations=st.integers(0, 51))
def test_a_conclusion_is_supported_where_the_limit_is_below_the_tolerable_rate(deviations: int) -> None:
    found = evaluated(STANDARD, MONTH[:51], deviations)
    assert found.limit is not None
    assert (found.conclusion == "supported") == (found.limit.limit < 0.05)
