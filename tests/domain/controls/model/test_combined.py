"""Rules and model together: a model puts in doubt, and settles nothing."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from countersign.changes.payload import Change
from countersign.controls.assessment import Assessment, Case, ControlResult, Result
from countersign.controls.model.combined import RulesAndModel
from countersign.controls.model.interface import Asked, Prompt, Said
from countersign.controls.rules import VERSION
from tests.conftest import payload_with
from tests.domain.controls.model.conftest import answer, claim

CONTROL = "ITGC-CM-01"
READER = "openai/reader"
BY_MODEL = f"{READER} prompt/1"
BOTH = f"{VERSION} + {BY_MODEL}"
AT = datetime(2026, 11, 23, tzinfo=UTC)
MET, EXCEPTION = (
    claim(CONTROL, "approval", "approved for deployment", said, "so it says") for said in ("met", "exception")
)


def assess(
    by_rules: Result, text: str | None, failure: str | None = None, **prompt: Any
) -> tuple[ControlResult, Assessment]:
    """What comes of one control, the rules being made to say this and the model that."""
    rules = Assessment(VERSION, (ControlResult(CONTROL, by_rules, "as the rules see it"),))
    asked = Asked(READER, replace(Prompt("prompt/1", "", "", (CONTROL,)), **prompt), Said(text, failure))
    change = Change.model_validate(payload_with())
    assessment = RulesAndModel(lambda _: rules)(Case(change, "inbox", AT, asked))
    return assessment.results[0], assessment


ABSTAINS = answer(abstentions={CONTROL: "not clear"})
OTHER = "ITGC-CM-03"


@pytest.mark.parametrize(
    ("by_rules", "text", "result", "judged_by"),
    [
        (Result.MET, answer([MET]), Result.MET, BOTH),
        (Result.MET, answer([EXCEPTION]), Result.ABSTAINED, BOTH),
        (Result.MET, ABSTAINS, Result.ABSTAINED, BOTH),
        (Result.MET, "rubbish", Result.ABSTAINED, BY_MODEL),
        (Result.EXCEPTION, answer([MET]), Result.EXCEPTION, VERSION),
        (Result.EXCEPTION, ABSTAINS, Result.EXCEPTION, VERSION),
        (Result.EXCEPTION, answer([EXCEPTION]), Result.EXCEPTION, BOTH),
        (Result.EXCEPTION, "rubbish", Result.ABSTAINED, BY_MODEL),
        (Result.ABSTAINED, answer([MET]), Result.ABSTAINED, BOTH),
        (Result.ABSTAINED, answer([EXCEPTION]), Result.ABSTAINED, BOTH),
        (Result.ABSTAINED, ABSTAINS, Result.ABSTAINED, BOTH),
        (Result.NOT_APPLICABLE, answer([EXCEPTION]), Result.NOT_APPLICABLE, VERSION),
        (Result.NOT_APPLICABLE, "rubbish", Result.NOT_APPLICABLE, VERSION),
    ],
)
def test_together(by_rules: Result, text: str, result: Result, judged_by: str) -> None:
    judged, _ = assess(by_rules, text)
    assert (judged.result, judged.judged_by) == (result, judged_by)


def test_where_they_differ_both_are_shown() -> None:
    judged, _ = assess(Result.MET, answer([EXCEPTION]))
    assert judged.reason == (
        "rules: met, as the rules see it; "
        "the model says exception, by “approved for deployment” in approval: so it says"
    )
    assert assess(Result.EXCEPTION, ABSTAINS)[0].reason == (
        "exception, as the rules see it; the model abstains: not clear"
    )


def test_a_control_that_the_model_leaves_out_is_abstained() -> None:
    text = answer([{**MET, "control": OTHER}])
    judged, _ = assess(Result.MET, text, controls=(CONTROL, OTHER))
    assert judged.result is Result.ABSTAINED
    assert judged.reason.endswith("the model says nothing of this control")


def test_a_control_that_was_not_asked_about_is_the_rules_alone() -> None:
    judged, _ = assess(Result.MET, answer([{**MET, "control": OTHER}]), controls=(OTHER,))
    assert (judged.result, judged.judged_by) == (Result.MET, VERSION)


def test_an_answer_that_failed_is_not_read() -> None:
    judged, assessment = assess(Result.MET, answer([MET]), "the answer broke off: length")
    assert (judged.result, assessment.claims) == (Result.ABSTAINED, ())
    assert judged.reason == (
        "the model gave no usable answer: the answer broke off: length; the rules alone: met, as the rules see it"
    )
    assert assess(Result.MET, None)[0].reason.startswith("the model gave no usable answer: no answer;")


def test_every_assertion_goes_to_the_gate_with_the_words_of_its_quote_put_back() -> None:
    placeholder = "[email-1-0123456789abcdef]"
    text = answer([{**MET, "quote": f"approved by {placeholder}", "evidence": placeholder, "reason": placeholder}])
    _, assessment = assess(Result.ABSTAINED, text, redactions={placeholder: "authoriser@example.com" * 20})
    (made,) = assessment.claims
    mail = "authoriser@example.com" * 20
    assert (made.quote, made.evidence, made.made_by) == (f"approved by {mail}", mail, READER)
    assert made.text == placeholder


def test_a_model_that_was_not_asked_is_an_error() -> None:
    case = Case(Change.model_validate(payload_with()), "inbox", AT)
    with pytest.raises(ValueError, match="nothing was asked"):
        RulesAndModel(lambda _: Assessment(VERSION, ()))(case)
