"""Scope and type are the policy's: what a payload claims, and what the policy makes of it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from countersign.changes.classification import classify
from countersign.changes.payload import Change
from countersign.policy import Policy, System, Template, load_policy
from tests.conftest import POLICY, payload_with

NOW = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)
ANYONE = {"anyone": True}
SHIPPED = load_policy(POLICY).model_copy(
    update={
        "systems": [
            System.model_validate_json(
                '{"id": "billing", "owner": "process-owner", "in_scope_since": "2026-11-20", '
                '"authority": {"anyone": true}}'
            ),
            System.model_validate_json(
                '{"id": "intra*", "owner": "process-owner", "in_scope_since": null, "authority": {"anyone": true}}'
            ),
        ],
        "templates": [
            Template.model_validate_json(
                '{"id": "STD-1", "systems": ["bill*"], "approved_by": "process-owner", '
                '"approved_on": "2026-11-20", "expires_on": "2026-11-21"}'
            )
        ],
    }
)
STD = {"change_type": "preapproved", "template": "STD-1"}

# name: (fields of the payload, type, in scope, what the objection says)
CASES: dict[str, tuple[dict[str, Any], str, bool, str]] = {
    "plain": ({}, "normal", True, ""),
    "says_in_scope_and_is": ({"in_scope": True}, "normal", True, ""),
    "says_out_of_scope_and_is_not": ({"in_scope": False}, "normal", True, "has the system in scope on 2026-11-20"),
    "out_of_scope_by_a_pattern": ({"system": "intranet"}, "normal", False, ""),
    "says_so_too": ({"system": "intranet", "in_scope": False}, "normal", False, ""),
    "says_in_scope_and_is_not": ({"system": "intranet", "in_scope": True}, "normal", True, "has the system out of"),
    "unknown_is_in_scope": ({"system": "new"}, "normal", True, ""),
    "unknown_says_out": ({"system": "new", "in_scope": False}, "normal", True, "does not know the system"),
    "deployed_the_day_before_scope": (
        {"requested_at": None, "deployed_at": "2026-11-20T04:59:59Z", "evidence": {}}, "normal", False, ""
    ),
    "deployed_at_midnight_in_the_policys_zone": (
        {"requested_at": None, "deployed_at": "2026-11-20T05:00:00Z", "evidence": {}}, "normal", True, ""
    ),
    "a_record_says_earlier_than_the_payload": (
        {
            "requested_at": None,
            "evidence": {"d": {"kind": "deployment", "text": "Deployed.", "at": "2026-11-19T10:00:00Z"}},
        },
        "normal", False, "",
    ),
    "not_deployed_counts_by_its_request": ({"deployed_at": None, "evidence": {}}, "normal", False, ""),
    "neither_counts_by_now": ({"deployed_at": None, "requested_at": None, "evidence": {}}, "normal", True, ""),
    "preapproved": (STD, "preapproved", True, ""),
    "preapproved_without_template": ({"change_type": "preapproved"}, "normal", True, "it names no template"),
    "template_unknown": ({**STD, "template": "STD-9"}, "normal", True, "the register of templates has no STD-9"),
    "template_of_another_system": ({**STD, "system": "new"}, "normal", True, "STD-1 is not for the system new"),
    "template_expired": (
        {**STD, "deployed_at": "2026-11-22T10:00:00Z", "evidence": {}}, "normal", True, "expired on 2026-11-21"
    ),
    "template_on_its_last_day": (
        {**STD, "deployed_at": "2026-11-21T10:00:00Z", "evidence": {}}, "preapproved", True, ""
    ),
    "template_not_yet_approved": (
        {**STD, "requested_at": None, "deployed_at": "2026-11-19T10:00:00Z", "evidence": {}},
        "normal", True, "approved only on 2026-11-20",
    ),
    "emergency": ({"change_type": "emergency", "incident": "INC-1"}, "emergency", True, ""),
    "emergency_without_incident": ({"change_type": "emergency"}, "normal", True, "it names no incident"),
    "two_claims_that_do_not_hold": (
        {"change_type": "emergency", "in_scope": False}, "normal", True, "it names no incident"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_claims_are_judged_by_the_policy(case: str) -> None:
    changes, change_type, in_scope, says = CASES[case]
    found = classify(Change.model_validate(payload_with(**changes)), SHIPPED, NOW)
    assert (found.change_type, found.in_scope) == (change_type, in_scope)
    assert says in "; ".join(found.objections)
    assert bool(says) is bool(found.objections)
    assert found.tier == ("emergency" if change_type == "emergency" else "standard")


def test_every_claim_that_does_not_hold_is_named() -> None:
    change = Change.model_validate(payload_with(change_type="emergency", in_scope=False))
    assert len(classify(change, SHIPPED, NOW).objections) == 2


@pytest.mark.parametrize(
    ("field", "entries", "says"),
    [
        ("systems", [{"id": "a", "owner": "x", "in_scope_since": None, "authority": ANYONE}] * 2, "share one id"),
        ("systems", [{"id": "a", "owner": "x", "in_scope_since": None, "authority": {}}], "an empty list is nobody"),
        (
            "systems",
            [{"id": "a", "owner": "x", "in_scope_since": None, "authority": {**ANYONE, "roles": ["approver"]}}],
            "an empty list is nobody",
        ),
        (
            "templates",
            [{"id": "a", "systems": ["*"], "approved_by": "x", "approved_on": "2026-01-01", "expires_on": "2027-01-01"}]
            * 2,
            "share one id",
        ),
    ],
    ids=["system_twice", "authority_of_nobody", "anyone_and_some", "template_twice"],
)
def test_an_inventory_that_contradicts_itself_is_refused(field: str, entries: list[dict[str, Any]], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Policy.model_validate(SHIPPED.model_dump() | {field: entries})
