"""A deployment as a row: read, or refused in one line that says why; and as evidence of a change."""

from datetime import UTC, datetime
from typing import Any

import pytest

from countersign.changes.deployment import (
    Deployment,
    change_id_of,
    foreign_revisions,
    joined,
    out_of_scope,
    read_deployment,
    revisions_of,
    stands_for_deployment,
    without_change,
)
from countersign.changes.payload import Payload, accept
from countersign.errors import PayloadError
from countersign.policy import Policy
from tests.conftest import payload_with

INVENTORY = "says the policy's inventory"
ROW = {
    "id": "D-1",
    "environment": "production",
    "system": "billing",
    "revision": "4f2a9c1d7e",
    "at": "2026-11-20T11:00:00+01:00",
    "by": "deployer",
}


def read(**changes: Any) -> Deployment:
    return read_deployment({**ROW, **changes}, "file:1")


def given_payload(policy: Policy, **items: dict[str, Any]) -> Payload:
    payload = payload_with()
    payload["evidence"] |= {name.replace("_", " "): item for name, item in items.items()}
    return accept(payload, policy.limits)


def test_a_row_is_a_deployment_at_its_instant() -> None:
    at = datetime(2026, 11, 20, 10, tzinfo=UTC)
    expected = Deployment("file:1", "D-1", "production", "billing", "4f2a9c1d7e", at, "deployer")
    assert read() == expected
    assert read(pipeline=None, change=None) == expected
    assert read(pipeline="cd", change="CHG-1").change == "CHG-1"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"by": None}, "by: is missing; it is required"),
        ({"id": 7}, "id: needs to be text"),
        ({"system": "  "}, "system: must not be empty"),
        ({"revision": "4f\n2a"}, "revision: holds a control character"),
        ({"pipeline": ""}, "pipeline: must not be empty"),
        ({"by": "ü" * 101}, "by: is 202 bytes long; the limit is 200"),
        ({"id": "/" * 60}, "id: makes a change id of 191 bytes, separators escaped; the limit is 180"),
        ({"at": "2026-11-20 10:00"}, "at: needs a date, a time and a zone"),
        ({"at": 1795000000}, "at: needs to be text"),
        ({"user": "deployer"}, "user: is not a field of a deployment; it has id, environment, system, revision, at,"),
        ({"id": "\ud800"}, "id: holds a control character"),
    ],
    ids=["missing", "number", "blank", "newline", "empty_option", "too_long", "id_too_long", "no_zone", "epoch",
         "unknown", "surrogate"],
)  # fmt: skip
def test_a_row_that_is_none_says_why(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(PayloadError, match=f"^{said}"):
        read(**changes)


def test_what_is_no_object_is_refused_and_an_id_is_named_where_there_is_one() -> None:
    with pytest.raises(PayloadError, match="a deployment is a JSON object with id, environment"):
        read_deployment([], "file:1")
    with pytest.raises(PayloadError) as refused:
        read(by=None)
    assert refused.value.change_id == "deployment:D-1"


def test_different_deployments_never_share_the_change_that_stands_for_them() -> None:
    ids = ["a/b", "a\\b", "a%2Fb", "a:b", "a%b", "a%25b"]
    changes = {change_id_of(name) for name in ids}
    assert len(changes) == len(ids)
    assert all(stands_for_deployment(change_id) and "/" not in change_id for change_id in changes)


def test_what_is_joined_is_there_once_and_in_any_order_the_same(policy: Policy) -> None:
    payload = given_payload(policy)
    one, two = (read(id=name).registered("shipped", "extracted", None) for name in ("D-1", "D-2"))
    both = joined(payload, [one, two])
    assert both.digest == joined(joined(payload, [two]), [one, two]).digest
    assert both.digest != payload.digest
    assert joined(payload, []).digest == payload.digest
    assert both.change.evidence["deployment D-2"].at == datetime(2026, 11, 20, 10, tzinfo=UTC)


def test_without_anybody_named_the_evidence_names_nobody(policy: Policy) -> None:
    row = {name: value for name, value in ROW.items() if name != "by"}
    tag = read_deployment(row, "repository@v1", required=row).registered("tags", "extracted", None)
    change = without_change(tag, None).change
    assert change.author == "(nobody is named)"
    item = change.evidence["deployment D-1"]
    assert (item.by, "by somebody who is not named" in item.text) == (None, True)


def test_the_revisions_of_a_change_are_its_own_and_those_of_its_extracted_merges(policy: Policy) -> None:
    """What a payload merely brings, or a deployment that names the change, makes nothing else the change's."""

    def item(kind: str, revision: str, origin: str = "extracted") -> dict[str, Any]:
        return {"kind": kind, "text": "words", "revision": revision, "origin": origin}

    change = given_payload(
        policy,
        merge=item("ticket", "a" * 40),
        merge_again=item("deployment", "4f2a9c1d7e"),
        brought=item("ticket", "b" * 40, "submitted"),
        review=item("approval", "c" * 40),
        deployment_D=item("deployment", "d" * 40),
        deployment_E=item("deployment", "a" * 7),
        deployment_note=item("other", "e" * 40),
    ).change
    assert revisions_of(change) == ("4f2a9c1d7e", "a" * 40)
    assert foreign_revisions(change) == [("deployment D", "d" * 40)]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, None),
        ({"environment": "prod"}, None),
        ({"environment": "Production"}, "the environment Production is none that the policy counts (production, prod)"),
        ({"system": "unknown"}, None),
        ({"system": "intranet"}, f"the system intranet is not in scope on 2026-11-20, {INVENTORY}"),
        ({"at": "2026-01-01T04:59:59Z"}, f"the system billing is not in scope on 2025-12-31, {INVENTORY}"),
        ({"at": "2026-01-01T05:00:00Z"}, None),
    ],
    ids=["counted", "other_name", "another_case", "unknown_system", "out_of_scope", "day_before", "first_moment"],
)  # fmt: skip
def test_which_deployments_the_policy_leaves_out(changes: dict[str, Any], said: str | None, policy: Policy) -> None:
    assert out_of_scope(policy, read(**changes)) == said
