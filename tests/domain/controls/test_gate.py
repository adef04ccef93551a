"""The gate: an assertion stands only if its words stand in the evidence it names. It has no override."""

import inspect
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from countersign.changes.payload import Change
from countersign.controls import gate
from countersign.controls.assessment import BROUGHT, Assertion, Result, brought
from countersign.controls.quote import MIN_QUOTE, fold_quote
from countersign.policy import Catalogue, load_catalogue, load_policy
from tests.conftest import POLICY, payload_with

SHIPPED = load_policy(POLICY)
CATALOGUE = load_catalogue(SHIPPED, POLICY)
QUOTE = "CHG-1001 approved for deployment."


def change(**evidence: Any) -> Change:
    return Change.model_validate(payload_with(evidence=evidence or payload_with()["evidence"]))


def assertion(**changes: Any) -> Assertion:
    fields = {
        "control": "ITGC-CM-01", "result": Result.MET, "text": "it was", "evidence": "approval", "quote": QUOTE,
        "made_by": "rules/1",
    }  # fmt: skip
    return Assertion(**(fields | changes))


def decide(of: Change, *assertions: Assertion) -> gate.Decision:
    return gate.decide(of, CATALOGUE, SHIPPED.change_ids, assertions)


def approval(text: str) -> dict[str, Any]:
    return {"kind": "approval", "text": text, "by": "authoriser"}


UNGROUNDED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "no_such_control": ({"control": "ITGC-CM-99"}, {}, "the catalogue has no such control"),
    "no_such_evidence": ({"evidence": "minutes"}, {}, "this change has no evidence named 'minutes'"),
    "evidence_name_in_capitals": ({"evidence": "Approval"}, {}, "no evidence named 'Approval'"),
    "kind_for_met": (
        {"evidence": "tests", "quote": "48 passed, 0 failed"}, {},
        "'tests' is of kind test; met needs one of: approval",
    ),
    "kind_for_exception": (
        {"control": "ITGC-CM-03", "result": Result.EXCEPTION}, {},
        "'approval' is of kind approval; exception needs one of: test",
    ),
    "invisible_in_the_quote": ({"quote": "CHG-1001 app\u200broved for"}, {}, "zero-width or bidirectional"),
    "bidi_in_the_quote": ({"quote": "CHG-1001 \u202eapproved for"}, {}, "zero-width or bidirectional"),
    "eleven_characters": ({"quote": "CHG-1001 ap"}, {}, "the quote has 11 characters; at least 12 are needed"),
    "white_space_is_not_length": ({"quote": "CHG-1001       ap  "}, {}, "the quote has 11 characters"),
    "empty_quote": ({"quote": ""}, {}, "the quote has 0 characters"),
    "other_words": ({"quote": "CHG-1001 approved for production."}, {}, "do not stand in 'approval'"),
    "words_of_another_item": ({"quote": "48 passed, 0 failed"}, {}, "do not stand in 'approval'"),
    "words_of_its_name": ({"quote": "approval by authoriser"}, {}, "do not stand in 'approval'"),
    "more_than_there_is": ({"quote": QUOTE + " Deploy!"}, {}, "do not stand in 'approval'"),
    "two_places_in_one": ({"quote": "CHG-1001 … deployment."}, {}, "do not stand in 'approval'"),
    "another_letter_that_looks_alike": ({"quote": "CHG-1001 аpproved for"}, {}, "do not stand in 'approval'"),
    "names_another_change": (
        {"quote": "approved for deployment"}, {"approval": approval("CHG-2002 approved for deployment.")},
        "'approval' names another change, chg-2002",
    ),
    "names_one_that_begins_alike": (
        {"quote": "approved for deployment"}, {"approval": approval("CHG-10011 approved for deployment.")},
        "'approval' names another change, chg-10011",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", UNGROUNDED)
def test_what_cannot_be_cited_is_blocked_with_its_reason(case: str) -> None:
    changes, evidence, why = UNGROUNDED[case]
    decision = decide(change(**evidence), assertion(**changes))
    assert not decision.passed
    (verdict,) = decision.verdicts
    assert (verdict.grounded, verdict.span) == (False, None)
    assert why in (verdict.why or "")
    assert why in (decision.reason or "")
    assert "more)" not in (decision.reason or "")
    assert (decision.reason or "").startswith(f"{verdict.assertion.control} by rules/1 is not grounded: ")


GROUNDED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "verbatim": ({}, {}, QUOTE),
    "twelve_characters": ({"quote": "CHG-1001 app"}, {}, "CHG-1001 app"),
    "case_and_white_space": ({"quote": "chg-1001\n APPROVED  for"}, {}, "CHG-1001 approved for"),
    "compatibility_form": ({"quote": "ＣＨＧ-1001 approved"}, {}, "CHG-1001 approved"),
    "invisible_in_the_evidence": (
        {"quote": "approved for deployment"}, {"approval": approval("ap\u200bproved for\u00ad deployment")},
        "ap\u200bproved for\u00ad deployment",
    ),
    "names_no_change": ({"quote": "approved by me"}, {"approval": approval("approved by me")}, "approved by me"),
    "test_names_another_change": (
        {"control": "ITGC-CM-03", "evidence": "t", "quote": "48 passed, 0 failed"},
        {"t": {"kind": "test", "text": "CHG-2002: 48 passed, 0 failed"}}, "48 passed, 0 failed",
    ),
    "exception_by_a_deployment": (
        {"result": Result.EXCEPTION, "evidence": "deployment", "quote": "Deployed 4f2a9c1d7e"}, {},
        "Deployed 4f2a9c1d7e",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", GROUNDED)
def test_what_stands_in_the_evidence_is_grounded_with_its_span(case: str) -> None:
    changes, evidence, words = GROUNDED[case]
    of = change(**evidence)
    decision = decide(of, assertion(**changes))
    assert decision.passed, decision.reason
    assert decision.reason is None
    (verdict,) = decision.verdicts
    assert verdict.why is None
    assert verdict.span is not None
    assert of.evidence[verdict.assertion.evidence].text[slice(*verdict.span)] == words


@pytest.mark.parametrize("kind", ["approval", "rejection", "test", "deployment", "ticket", "other"])
@pytest.mark.parametrize("result", [Result.MET, Result.EXCEPTION])
@pytest.mark.parametrize("control", list(CATALOGUE.by_id))
def test_only_kinds_that_the_control_accepts_carry_a_result(
    control: str, result: Result, kind: str, catalogue: Catalogue
) -> None:
    of = change(item={"kind": kind, "text": "words of the item"})
    verdict = gate.judge(
        of, catalogue, [], assertion(control=control, result=result, evidence="item", quote="words of the item")
    )
    entry = catalogue.by_id[control]
    assert verdict.grounded is (kind in (entry.met_by if result is Result.MET else entry.excepted_by))


def test_no_assertion_at_all_fails() -> None:
    decision = decide(change())
    assert not decision.passed
    assert "no assertion: not one control can be shown" in (decision.reason or "")


def test_one_ungrounded_assertion_among_good_ones_blocks_and_all_are_named() -> None:
    decision = decide(change(), assertion(), assertion(quote="never said anywhere"), assertion(evidence="minutes"))
    assert [verdict.grounded for verdict in decision.verdicts] == [True, False, False]
    assert not decision.passed
    assert (decision.reason or "").endswith("do not stand in 'approval' (and 1 more)")


def test_assertions_brought_in_the_payload_are_judged_like_any_other() -> None:
    claims = [
        {"control": "ITGC-CM-01", "text": "approved", "evidence": "approval", "quote": QUOTE},
        {"control": "ITGC-CM-02", "text": "independent", "evidence": "approval", "quote": "said by somebody else"},
    ]
    of = Change.model_validate(payload_with(assertions=claims))
    made = brought(of)
    assert [(claim.result, claim.made_by) for claim in made] == [(Result.MET, BROUGHT)] * 2
    assert [verdict.grounded for verdict in decide(of, *made).verdicts] == [True, False]


@pytest.mark.parametrize("of_this_run", [True, False])
def test_evidence_of_another_run_grounds_nothing(of_this_run: bool) -> None:
    """The same assertion against another change: it has an item of that name, but not those words."""
    other = change(approval=approval("approved by the board"))
    assert decide(change() if of_this_run else other, assertion()).passed is of_this_run


def test_there_is_no_parameter_by_which_to_override() -> None:
    for function in (gate.decide, gate.judge):
        assert set(inspect.signature(function).parameters) <= {
            "change",
            "catalogue",
            "id_patterns",
            "assertion",
            "assertions",
        }


# whole characters: none that joins the one before it, which a slice could cut off
LETTERS = st.characters(
    categories=["L", "N", "P", "S", "Zs"],
    exclude_characters=[chr(code) for code in (*range(0x1100, 0x1200), 0x3164, 0xFF9E, 0xFF9F, 0xFFA0)],
)


@settings(deadline=None)
@given(st.text(LETTERS, min_size=30, max_size=60), st.data())
def test_any_twelve_characters_of_the_evidence_are_grounded_in_any_case_and_spacing(
    text: str, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, 10))
    quote = text[start : data.draw(st.integers(start + 15, len(text)))]
    spaced = "".join(data.draw(st.sampled_from(["\n", "  ", "\t", " "])) if part == " " else part for part in quote)
    cased = {"as it is": spaced, "lower": spaced.lower(), "upper": spaced.upper()}[
        data.draw(st.sampled_from(["as it is", "lower", "upper"]))
    ]
    assume(len(fold_quote(quote)) >= MIN_QUOTE)
    assume(fold_quote(cased) == fold_quote(quote))  # a dotless ı has a capital of another letter
    verdict = gate.judge(change(approval=approval(text)), CATALOGUE, [], assertion(quote=cased))
    assert verdict.grounded, verdict.why


@settings(deadline=None)
@given(st.text(st.sampled_from("no objection was raised by the board.") | LETTERS, max_size=40))
def test_words_that_are_not_there_are_never_grounded(text: str) -> None:
    of = change(approval=approval("No objection was raised by the board."))
    verdict = gate.judge(of, CATALOGUE, [], assertion(quote=text))
    assert verdict.grounded is (
        len(fold_quote(text)) >= MIN_QUOTE and fold_quote(text) in "no objection was raised by the board."
    )
