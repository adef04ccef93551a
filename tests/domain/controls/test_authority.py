"""Who may authorise changes of a system, and what the rules make of it and of where approvals come from."""

from datetime import UTC, datetime
from typing import Any

import pytest

from countersign.changes.origin import as_extracted
from countersign.changes.payload import Change
from countersign.changes.people import People
from countersign.controls.assessment import Case, ControlResult
from countersign.controls.rules import Rules
from countersign.policy import Authority, Policy, load_catalogue, load_policy
from tests.conftest import POLICY, payload_with

SHIPPED = load_policy(POLICY)
CATALOGUE = load_catalogue(SHIPPED, POLICY)
NOW = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)
EMERGENCY: dict[str, Any] = {"change_type": "emergency", "incident": "INC-1"}


def judge(
    control: str, policy: Policy, *, extracted: bool = True, source: str = "github", **changes: Any
) -> ControlResult:
    payload = payload_with(**changes)
    change = Change.model_validate(as_extracted(payload) if extracted else payload)
    assessment = Rules(policy, CATALOGUE, People(policy))(Case(change, source, NOW))
    return next(result for result in assessment.results if result.control == control)


def asking(**authority: Any) -> Policy:
    asked = SHIPPED.systems[0].model_copy(update={"authority": Authority.model_validate(authority)})
    return SHIPPED.model_copy(update={"systems": [asked]})


def approved(by: str, association: str | None = None, **more: Any) -> dict[str, Any]:
    items = payload_with()["evidence"]
    items["approval"] |= {"by": by, **({"authority": association} if association else {}), **more}
    return {"evidence": items}


@pytest.mark.parametrize(("control", "kind"), [("ITGC-CM-01", {}), ("ITGC-CM-04", EMERGENCY)])
@pytest.mark.parametrize(
    ("policy", "items", "result", "says"),
    [
        (asking(roles=["authoriser"]), approved("authoriser"), "met", "approved"),
        (asking(roles=["authoriser"]), approved("reviewer"), "exception", "reviewer, who may not authorise changes of"),
        (asking(roles=["authoriser"]), approved("stranger"), "abstained", "whether stranger may authorise"),
        (asking(associations=["MEMBER"]), approved("stranger", "MEMBER"), "met", "approved"),
        (
            asking(associations=["MEMBER"]),
            approved("stranger", "NONE"),
            "exception",
            "stranger, who may not authorise changes of billing: NONE at the source",
        ),
        (asking(anyone=True), approved("stranger"), "met", "approved"),
    ],
    ids=["role", "other_role", "stranger", "member", "no_member", "anyone"],
)
def test_an_authorisation_needs_authority_for_the_system(
    control: str, kind: dict[str, Any], policy: Policy, items: dict[str, Any], result: str, says: str
) -> None:
    found = judge(control, policy, **kind, **items)
    assert (found.result, says in found.reason) == (result, True), found.reason


def test_one_approver_with_authority_is_enough() -> None:
    items = approved("reviewer")["evidence"]
    items["second"] = {**items["approval"], "by": "authoriser"}
    found = judge("ITGC-CM-01", asking(roles=["authoriser"]), evidence=items)
    assert (found.result, found.assertion and found.assertion.evidence) == ("met", "second")


def test_a_standing_rejection_does_not_hide_that_an_approver_had_no_authority() -> None:
    items = approved("reviewer")["evidence"]
    items["second"] = {**items["approval"], "by": "authoriser"}
    items["no"] = {**items["approval"], "kind": "rejection", "text": "Changes requested: wrong limit.", "by": "checker"}
    found = judge("ITGC-CM-01", asking(roles=["authoriser"]), evidence=items)
    assert found.result == "exception"
    assert found.reason.endswith("beside the approval of authoriser, reviewer (who may not authorise)")


@pytest.mark.parametrize(
    ("control", "kind"), [("ITGC-CM-01", {}), ("ITGC-CM-02", {}), ("ITGC-CM-02", EMERGENCY), ("ITGC-CM-04", EMERGENCY)]
)
def test_what_was_only_submitted_never_meets_an_authorisation(control: str, kind: dict[str, Any]) -> None:
    found = judge(control, SHIPPED, extracted=False, source="files", **kind)
    assert (found.result, "was only submitted with the payload, by 'files'" in found.reason) == ("abstained", True)
    trusted = judge(control, SHIPPED, extracted=False, source="inbox", **kind)
    assert (trusted.result, "submitted by 'inbox', which the policy trusts" in trusted.reason) == ("met", True)
    extracted = judge(control, SHIPPED, source="files", **kind)
    assert (extracted.result, "submitted" in extracted.reason) == ("met", False)


def test_what_was_submitted_can_still_show_that_a_control_is_not_met() -> None:
    found = judge("ITGC-CM-02", SHIPPED, extracted=False, source="files", **approved("maker"))
    assert (found.result, "approved only by makers" in found.reason) == ("exception", True)


# name: (fields, result, what the reason says)
CLAIMS: dict[str, tuple[dict[str, Any], str, str]] = {
    "nothing_claimed": ({}, "not_applicable", "claims nothing"),
    "out_of_scope_claimed": ({"in_scope": False}, "exception", "claimed to be not in scope, but the inventory has"),
    "no_template": ({"change_type": "preapproved"}, "exception", "names no template; the normal rules apply"),
    "no_incident": ({"change_type": "emergency"}, "exception", "names no incident; the normal rules apply"),
    "incident": (EMERGENCY, "not_applicable", "with INC-1, which the policy accepts"),
    "incident_in_the_evidence": (
        {**EMERGENCY, "evidence": {"t": {"kind": "ticket", "text": "First line.\nStops incident inc-1 for good."}}},
        "met", "emergency, with INC-1",
    ),
    "another_incident_in_the_evidence": (
        {**EMERGENCY, "evidence": {"t": {"kind": "ticket", "text": "Stops incident INC-12 for good."}}},
        "not_applicable", "with INC-1",
    ),
    "nothing_to_quote": ({"in_scope": False, "evidence": {}}, "abstained", "no evidence can be quoted"),
}  # fmt: skip


@pytest.mark.parametrize("case", CLAIMS)
def test_claims_of_scope_and_type(case: str) -> None:
    changes, result, says = CLAIMS[case]
    found = judge("ITGC-CM-07", SHIPPED, **changes)
    assert (found.result, says in found.reason) == (result, True), found.reason


def test_an_emergency_without_an_incident_is_judged_by_the_normal_rules() -> None:
    late = approved("authoriser", at="2026-11-20T10:30:00Z")
    assert judge("ITGC-CM-01", SHIPPED, change_type="emergency", **late).result == "exception"
    assert judge("ITGC-CM-04", SHIPPED, change_type="emergency", **late).result == "not_applicable"
    assert judge("ITGC-CM-04", SHIPPED, **EMERGENCY, **late).result == "met"


OLD: dict[str, str] = {"revision": "5555555555"}
FINAL: dict[str, str] = {}


@pytest.mark.parametrize(
    ("approvals", "result", "says"),
    [
        ([("authoriser", FINAL)], "met", "approved by authoriser"),
        ([("reviewer", FINAL)], "abstained", "no approval of the final revision counts: reviewer may not authorise"),
        ([("reviewer", OLD)], "exception", "approved only on superseded revisions"),
        ([("stranger", FINAL)], "met", "approved by stranger"),
        ([("authoriser", OLD), ("reviewer", FINAL)], "exception", "approved only on superseded revisions"),
        ([("authoriser", OLD), ("reviewer", OLD)], "exception", "approved only on superseded revisions"),
        ([("authoriser", FINAL), ("reviewer", OLD)], "met", "approved by authoriser"),
    ],
    ids=lambda value: "_".join(by for by, _ in value) if isinstance(value, list) else None,
)
def test_only_what_could_authorise_was_approved(
    approvals: list[tuple[str, dict[str, str]]], result: str, says: str
) -> None:
    """ITGC-CM-05 is met by no approval that ITGC-CM-01 takes for none; what is open there is said there."""
    items = payload_with()["evidence"]
    given = items.pop("approval")
    items |= {f"approval {number}": {**given, "by": by, **more} for number, (by, more) in enumerate(approvals)}
    found = judge("ITGC-CM-05", asking(roles=["authoriser"]), evidence=items)
    assert (found.result, says in found.reason) == (result, True), found.reason


@pytest.mark.parametrize(("source", "result"), [("github", "abstained"), ("trusted", "met")])
def test_what_was_only_submitted_was_not_approved(source: str, result: str) -> None:
    policy = asking(roles=["authoriser"]).model_copy(update={"trusted_submitters": ["trusted"]})
    found = judge("ITGC-CM-05", policy, extracted=False, source=source, **approved("authoriser"))
    assert found.result == result
    assert "submitted" in found.reason
