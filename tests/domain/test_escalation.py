"""Routes and ladder as the policy sets them, and what is refused."""

from typing import Any

import pytest
from pydantic import ValidationError

from countersign.policy import Escalation, Policy

MAIL = {"name": "mail", "address": "mailto://example.com?to=owner@example.com"}


@pytest.mark.parametrize(
    ("escalation", "says"),
    [
        ({"routes": {"control_owner": [{**MAIL, "address": "owner@example.com"}]}}, "not an address"),
        ({"routes": {"control_owner": [{**MAIL, "address": "json://me:hunter2@example.com"}]}}, "holds a password"),
        ({"routes": {"control_owner": [{**MAIL, "name": "To The Owner"}]}}, "should match pattern"),
        ({"routes": {"control_owner": [MAIL, MAIL]}}, "two routes of one name"),
        (
            {"routes": {"control_owner": [MAIL], "observer": [{**MAIL, "address": "json://example.com"}]}},
            "the name 'mail' stands for two addresses",
        ),
        ({"routes": {"boss": [MAIL]}}, "Input should be 'authoriser'"),
        ({"above": {"observer": "observer"}}, "observer is not above themself"),
        ({"again_after_hours": 0}, "greater than or equal to 1"),
        ({"repeated_blocks": {"count": 1}}, "greater than or equal to 2"),
    ],
)
def test_an_escalation_that_cannot_work_is_refused(escalation: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Escalation.model_validate(escalation)


def test_a_secret_is_a_variable() -> None:
    address = "json://me:${HOOK_PASSWORD}@example.com"
    routes = {"control_owner": [{"name": "chat", "address": address}]}
    assert Escalation.model_validate({"routes": routes}).routes["control_owner"][0].address == address


def test_the_shipped_policy_has_somebody_above_everybody_who_can_be_late(policy: Policy) -> None:
    assert {"reviewer", "approver", "observer", "control_owner"} <= policy.escalation.above.keys()
