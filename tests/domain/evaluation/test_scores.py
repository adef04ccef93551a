"""What is counted, worked out by hand, and the rules on the gold set."""

from datetime import UTC, datetime
from typing import Any

import pytest

from countersign.changes.payload import Change
from countersign.changes.people import People
from countersign.controls.assessment import Assertion, Assessment, Case, ControlResult, Result
from countersign.controls.model.interface import Asked, Prompt, Said
from countersign.controls.rules import Rules
from countersign.evaluation.gold import SHIPPED, GateLabel, Label, Labelled, load_gold
from countersign.evaluation.mappers import baseline, by_itself
from countersign.evaluation.scores import RATIOS, Score, score
from countersign.policy import Catalogue, Limits, Policy
from tests.conftest import payload_with
from tests.domain.controls.model.conftest import answer, claim

M, E, A, N = Result.MET, Result.EXCEPTION, Result.ABSTAINED, Result.NOT_APPLICABLE
AT = datetime(2026, 11, 23, tzinfo=UTC)
QUOTED = {1: "approval", 2: "approval", 3: "tests", 4: "approval", 5: "approval", 6: "deployment", 7: "approval"}


def scored(
    labels: list[Result],
    results: list[Result],
    policy: Policy,
    catalogue: Catalogue,
    *,
    to_block: bool = False,
    fabricated: bool = False,
) -> Score:
    """One change, its seven controls labelled and judged like this."""
    change = Change.model_validate(payload_with())
    judged = []
    for number, result in enumerate(results, start=1):
        control, evidence = f"ITGC-CM-0{number}", QUOTED[number]
        quote = "words that stand nowhere" if fabricated else change.evidence[evidence].text
        made = Assertion(control, result, "", evidence, quote, "a test") if result in (M, E) else None
        judged.append(ControlResult(control, result, "", made))
    labelled = Labelled(
        "case",
        "category",
        Case(change, "gold", AT),
        {f"ITGC-CM-0{n}": Label(result=label, why="by hand") for n, label in enumerate(labels, start=1)},
        GateLabel(decision="blocked" if to_block else "passed", why="by hand"),
    )
    (found,) = score(lambda _: Assessment("a test", tuple(judged)), [(labelled, labelled.case)], policy, catalogue)
    return found


@pytest.mark.parametrize(
    ("labels", "results", "f1", "precision", "recall", "deficiency"),
    [
        ([M, M, M, N, M, M, N], [M, M, M, N, M, M, N], (10, 10), (5, 5), (5, 5), 1),
        ([M, E, M, N, M, M, N], [M, M, M, N, M, M, N], (8, 10), (4, 5), (4, 5), 0),
        ([M, M, M, N, M, M, N], [M, M, M, N, M, M, M], (10, 11), (5, 6), (5, 5), 1),
        ([M, M, M, N, M, M, N], [A, A, M, N, M, M, N], (6, 8), (3, 3), (3, 5), 1),
        ([M, M, A, N, M, M, N], [M, M, E, N, M, M, N], (8, 9), (4, 5), (4, 4), 0),
        ([M, M, E, N, M, M, N], [M, M, M, N, M, E, N], (6, 10), (3, 5), (3, 5), 0),
        ([A, A, A, A, A, A, A], [A, A, A, A, A, A, A], (0, 0), (0, 0), (0, 0), 1),
    ],
)
def test_counts_by_hand(
    labels: list[Result],
    results: list[Result],
    f1: tuple[int, int],
    precision: tuple[int, int],
    recall: tuple[int, int],
    deficiency: int,
    policy: Policy,
    catalogue: Catalogue,
) -> None:
    one = scored(labels, results, policy, catalogue)
    assert (RATIOS["f1"](one), RATIOS["precision"](one), RATIOS["recall"](one)) == (f1, precision, recall)
    assert RATIOS["deficiency_accuracy"](one) == (deficiency, 1)
    differ = [
        f"ITGC-CM-0{n}" for n, (label, result) in enumerate(zip(labels, results, strict=True), 1) if label != result
    ]
    assert [found.control for found in one.deviations] == differ


@pytest.mark.parametrize(
    ("to_block", "fabricated", "efficacy", "wrongly", "grounded"),
    [
        (False, False, (0, 0), (0, 1), 5),
        (False, True, (0, 0), (1, 1), 0),
        (True, True, (1, 1), (0, 0), 0),
        (True, False, (0, 1), (0, 0), 5),
    ],
)
def test_the_gate_is_held_against_its_label(
    to_block: bool,
    fabricated: bool,
    efficacy: tuple[int, int],
    wrongly: tuple[int, int],
    grounded: int,
    policy: Policy,
    catalogue: Catalogue,
) -> None:
    clean = [M, M, M, N, M, M, N]
    one = scored(clean, clean, policy, catalogue, to_block=to_block, fabricated=fabricated)
    assert (RATIOS["gate_efficacy"](one), RATIOS["wrongly_blocked"](one)) == (efficacy, wrongly)
    assert RATIOS["grounding_rate"](one) == (grounded, 5)


def _overall(name: str, scores: list[Score]) -> float:
    pairs = [RATIOS[name](one) for one in scores]
    return sum(right for right, _ in pairs) / sum(of for _, of in pairs)


def test_the_rules_on_the_gold_set(policy: Policy, catalogue: Catalogue) -> None:
    gold = load_gold(SHIPPED, catalogue, Limits())
    world = gold.policy(policy)
    cases = [(one, one.case) for one in gold.cases]
    rules = list(score(Rules(world, catalogue, People(world)), cases, world, catalogue))
    assert _overall("f1", rules) >= 0.95
    assert _overall("gate_efficacy", rules) == 1.0
    assert _overall("deficiency_accuracy", rules) >= 0.95
    assert _overall("grounding_rate", rules) == 1.0
    assert _overall("wrongly_blocked", rules) == 0.0
    claims_all = list(score(baseline(catalogue), cases, world, catalogue))
    assert _overall("f1", claims_all) < 0.8
    assert _overall("deficiency_accuracy", claims_all) < 0.8


def test_the_baseline_claims_every_control_and_cites_what_is_there(catalogue: Catalogue) -> None:
    change = Change.model_validate(payload_with())
    assessment = baseline(catalogue)(Case(change, "gold", AT))
    assert {result.result for result in assessment.results} == {M}
    cited = [result.assertion.evidence for result in assessment.results if result.assertion]
    assert cited == ["approval", "approval", "tests", "approval", "approval", "deployment", "approval"]
    empty = Case(Change.model_validate(payload_with(evidence={})), "gold", AT)
    assert {result.result for result in baseline(catalogue)(empty).results} == {A}


def test_a_model_by_itself_says_what_it_said(policy: Policy, catalogue: Catalogue) -> None:
    """Where the rules are of another mind too; only whether a control applies is not its question."""
    rules = Rules(policy, catalogue, People(policy))

    def said(text: str) -> list[Any]:
        asked = Asked("openai/m", Prompt("prompt/1", "", "", tuple(catalogue.by_id)), Said(text))
        change = Change.model_validate(payload_with())
        return [result.result for result in by_itself(rules)(Case(change, "gold", AT, asked)).results]

    claims = [
        claim("ITGC-CM-01", "approval", "approved for deployment", "exception"),
        claim("ITGC-CM-04", "approval", "approved for deployment"),
    ]
    assert said(answer(claims)) == [E, A, A, N, A, A, N]
    assert said("rubbish") == [A, A, A, N, A, A, N]
