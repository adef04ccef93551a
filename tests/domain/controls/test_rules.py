"""Each control over tables: met, exception, abstained, not applicable, and the instants and people in between.

A row changes the clean payload in the way that its name says; what it expects is a result and words of the reason.
"""

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest

from countersign.changes.payload import Change
from countersign.changes.people import People
from countersign.controls import gate
from countersign.controls.assessment import Case, ControlResult
from countersign.controls.rules import VERSION, Rules
from countersign.policy import Catalogue, Control, Policy, load_catalogue, load_policy
from tests.conftest import POLICY, payload_with, trusting

SHIPPED = trusting(load_policy(POLICY)).model_copy(update={"systems": []})
CATALOGUE = load_catalogue(SHIPPED, POLICY)
RULES = Rules(SHIPPED, CATALOGUE, People(SHIPPED))
NOW = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)
DEPLOYED = "2026-11-20T10:00:00Z"
EARLY, LIMIT_AT, LATE = "2026-11-20T10:59:59.999999Z", "2026-11-20T11:00:00Z", "2026-11-20T11:00:00.000001Z"
REVISION = "4f2a9c1d7e"
HASH = REVISION + "0" * 30
LIMIT = {"change_type": "emergency", "incident": "INC-1"}

Row = tuple[dict[str, Any], str, str]
CLEAN: dict[str, Any] = payload_with()["evidence"]


def merged(kind: str, changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**CLEAN[kind], **changes}.items() if value is not None}


def approval(**changes: Any) -> dict[str, Any]:
    return merged("approval", changes)


def outcome(**changes: Any) -> dict[str, Any]:
    return merged("tests", changes)


def deployment(**changes: Any) -> dict[str, Any]:
    return merged("deployment", changes)


def rejection(**changes: Any) -> dict[str, Any]:
    return approval(**{"kind": "rejection", "text": "Changes requested: the limit is wrong.", **changes})


def ev(**items: dict[str, Any] | None) -> dict[str, Any]:
    """Payload fields: the clean evidence with items added, replaced, or removed by None."""
    together = {**deepcopy(CLEAN), **items}
    return {"evidence": {name.replace("__", "-"): item for name, item in together.items() if item is not None}}


def judge(control: str, changes: dict[str, Any], at: datetime = NOW, rules: Rules = RULES) -> ControlResult:
    """One control's result; and whatever a rule asserts passes the gate, with words of an item that it names."""
    change = Change.model_validate(payload_with(**changes))
    result = next(result for result in rules(Case(change, "given", at)).results if result.control == control)
    assert (result.assertion is not None) is (result.result in ("met", "exception"))
    if result.assertion is not None:
        assert result.assertion.made_by == VERSION
        verdict = gate.judge(change, CATALOGUE, SHIPPED.change_ids, result.assertion)
        assert verdict.grounded, verdict.why
    return result


def check(control: str, row: Row, at: datetime = NOW) -> None:
    changes, expected, says = row
    result = judge(control, changes, at)
    assert (result.result, says in result.reason) == (expected, True), result.reason


BOT = {"by": "release-bot"}
CM_01: dict[str, Row] = {
    "deployed_without_a_change": ({"id": "deployment:D-1"}, "exception", "deployed without a change record"),
    "deployed_without_a_change_and_words": (
        {"id": "deployment:D-1", **ev(deployment=deployment(text="done"))}, "abstained", "no deployment record can be",
    ),
    "before_deployment": ({}, "met", "approved by authoriser at 2026-11-20T09:00:00.000000Z"),
    "exactly_at_deployment": (ev(approval=approval(at=DEPLOYED)), "met", "approved by authoriser"),
    "one_microsecond_after": (
        ev(approval=approval(at="2026-11-20T10:00:00.000001Z")), "exception", "only at 2026-11-20T10:00:00.000001Z",
    ),
    "in_another_zone_before": (ev(approval=approval(at="2026-11-20T17:59:59+08:00")), "met", "approved by"),
    "one_late_one_in_time": (ev(late=approval(at="2026-11-21T10:00:00Z")), "met", "at 2026-11-20T09"),
    "no_evidence_at_all": ({"evidence": {}}, "abstained", "the evidence holds no approval"),
    "no_approval": (ev(approval=None), "abstained", "the evidence holds no approval"),
    "approval_without_time": (ev(approval=approval(at=None)), "abstained", "but not when it was given"),
    "late_and_one_without_time": (
        ev(approval=approval(at=None), late=approval(at="2026-11-21T10:00:00Z")), "abstained", "but not when it was",
    ),
    "no_time_of_deployment": (
        {"deployed_at": None, **ev(deployment=deployment(at=None))}, "abstained", "time of deployment is not known",
    ),
    "time_from_the_record": ({"deployed_at": None}, "met", "deployed at 2026-11-20T10:00"),
    "deployed_earlier_than_declared": (
        {"deployed_at": "2026-11-22T10:00:00Z", **ev(approval=approval(at="2026-11-21T10:00:00Z"))},
        "exception", "after the deployment at 2026-11-20T10:00",
    ),
    "declared_earlier_than_recorded": (
        ev(approval=approval(at="2026-11-21T10:00:00Z"), deployment=deployment(at="2026-11-22T10:00:00Z")),
        "exception", "after the deployment at 2026-11-20T10:00",
    ),
    "by_a_bot": (ev(approval=approval(**BOT)), "abstained", "no approval counts (approval: given by a bot)"),
    "by_somebody_marked_as_bot": (ev(approval=approval(is_bot=True)), "abstained", "given by a bot"),
    "by_a_bot_with_invisible_letters": (ev(approval=approval(by="ro\u200bbot")), "abstained", "given by a bot"),
    "by_nobody": (ev(approval=approval(by=None)), "abstained", "given by nobody who can be named"),
    "by_a_bare_name": (ev(approval=approval(by="Some Body")), "abstained", "'Some Body' cannot be resolved"),
    "by_nothing_readable": (ev(approval=approval(by="<>")), "abstained", "cannot be resolved to a person"),
    "by_a_bare_name_of_the_roster": (ev(approval=approval(by="Example Authoriser")), "met", "approved by Example"),
    "of_another_change": (
        ev(approval=approval(text="CHG-2002 approved for deployment.")), "abstained", "names another change, chg-2002",
    ),
    "of_a_change_that_begins_alike": (
        ev(approval=approval(text="CHG-10010 approved for deployment.")), "abstained", "another change, chg-10010",
    ),
    "not_approved": (ev(approval=approval(text="This is not approved.")), "abstained", "do not clearly approve"),
    "approve_once": (ev(approval=approval(text="Approved once the tests pass.")), "abstained", "do not clearly"),
    "go_ahead": (ev(approval=approval(text="Go ahead with it!")), "abstained", "its words do not clearly approve"),
    "too_short_to_quote": (ev(approval=approval(text="approved")), "abstained", "its words are too short to be quoted"),
    "invisible_in_the_words": (ev(approval=approval(text="n\u200bot approved by me")), "abstained", "do not clearly"),
    "approval_in_a_comment": (
        ev(approval=None, comment={"kind": "other", "text": "Approved for deployment.", "by": "authoriser"}),
        "abstained", "the evidence holds no approval",
    ),
    "standing_rejection": (
        ev(rejection=rejection(by="checker")), "exception", "by checker stands in rejection, beside the approval",
    ),
    "rejection_alone": (ev(approval=None, rejection=rejection()), "exception", "a rejection by authoriser stands in"),
    "rejection_by_nobody": (ev(rejection=rejection(by=None)), "exception", "a rejection stands in rejection"),
    "rejection_without_time": (ev(rejection=rejection(at=None)), "exception", "a rejection by authoriser stands"),
    "rejection_too_short": (ev(rejection=rejection(text="no")), "abstained", "stands in rejection, too short"),
    "rejections_short_and_long": (
        ev(rejection=rejection(text="no"), rejection__2=rejection(by="checker")), "exception", "stands in rejection-2",
    ),
    "rejection_replaced_by_its_giver": (
        ev(rejection=rejection(at="2026-11-20T08:59:59Z")), "met", "approved by authoriser",
    ),
    "rejection_replaced_under_another_handle": (
        ev(rejection=rejection(at="2026-11-20T08:00:00Z", by="Example-Authoriser")), "met", "approved by authoriser",
    ),
    "rejection_not_replaced_by_another": (
        ev(rejection=rejection(at="2026-11-20T08:00:00Z", by="checker")), "exception", "by checker stands",
    ),
    "rejection_at_the_instant_of_the_approval": (
        ev(rejection=rejection(at="2026-11-20T09:00:00Z")), "exception", "stands in rejection",
    ),
    "rejection_replaced_only_after_deployment": (
        ev(
            rejection=rejection(by="checker", at="2026-11-20T08:00:00Z"),
            late=approval(by="checker", at="2026-11-20T10:00:00.000001Z"),
        ),
        "exception", "by checker stands in rejection",
    ),
    "rejection_replaced_exactly_at_deployment": (
        ev(rejection=rejection(at="2026-11-20T08:00:00Z"), approval=approval(at=DEPLOYED)), "met", "approved by auth",
    ),
    "rejection_replaced_by_words_that_do_not_approve": (
        ev(rejection=rejection(at="2026-11-20T08:00:00Z"), approval=approval(text="Go ahead with it!")),
        "exception", "a rejection by authoriser stands",
    ),
    "emergency": (LIMIT, "not_applicable", "does not apply to a change of type emergency"),
    "preapproved": ({"change_type": "preapproved", "template": "STD-0042"}, "met", "approved by"),
}  # fmt: skip

CM_02: dict[str, Row] = {
    "somebody_else": ({}, "met", "approved by authoriser, who is none of the makers"),
    "stranger_with_another_login": (ev(approval=approval(by="stranger")), "met", "approved by stranger"),
    "the_author": (ev(approval=approval(by="maker")), "exception", "approved only by makers: maker is maker"),
    "the_author_by_login": (ev(approval=approval(by="Example-Maker")), "exception", "Example-Maker is maker"),
    "the_author_by_email": (ev(approval=approval(by="X <maker@example.com>")), "exception", "is maker"),
    "the_author_by_noreply": (
        ev(approval=approval(by="1+example-maker@users.noreply.github.com")), "exception", "is maker",
    ),
    "the_author_under_another_address": (
        ev(approval=approval(by="Example Maker <stranger@example.org>")), "exception", "is maker",
    ),
    "the_author_with_an_invisible_letter": (ev(approval=approval(by="ma\u200bker")), "exception", "is maker"),
    "the_author_in_full_width": (ev(approval=approval(by="ｍａｋｅｒ")), "exception", "is maker"),
    "the_login_of_the_author_as_a_name": (
        ev(approval=approval(by="maker <stranger@example.org>")), "abstained", "it cannot be told whether 'maker'",
    ),
    "a_contributor": (
        {"contributors": ["checker", "authoriser"]}, "exception", "approved only by makers: authoriser is authoriser",
    ),
    "a_contributor_and_somebody_else": (
        {"contributors": ["authoriser"], **ev(second=approval(by="checker"))}, "met", "approved by checker",
    ),
    "unresolved_contributor": (
        {"contributors": ["Some Body"]}, "abstained", "it cannot be told whether 'Some Body', who made the change",
    ),
    "unresolved_author": ({"author": "Some Body"}, "abstained", "the approver 'authoriser' are two people; the roster"),
    "author_who_is_nobody": ({"author": " <>"}, "abstained", "it cannot be told"),
    "author_of_signs": ({"author": "<>"}, "abstained", "it cannot be told"),
    "unresolved_contributor_who_approves": (
        {"contributors": ["Some Body"], **ev(approval=approval(by="Some Body"))}, "abstained", "cannot be resolved",
    ),
    "a_bot": (ev(approval=approval(**BOT)), "abstained", "given by a bot"),
    "nobody": (ev(approval=None), "abstained", "the evidence holds no approval"),
    "exactly_at_deployment": (ev(approval=approval(at=DEPLOYED)), "met", "approved by authoriser"),
    "only_after_deployment": (
        ev(approval=approval(at="2026-11-20T10:00:00.000001Z")), "abstained", "no approval before the deployment",
    ),
    "without_a_time": (ev(approval=approval(at=None)), "met", "approved by authoriser"),
    "the_author_before_and_another_after": (
        ev(approval=approval(by="maker"), late=approval(at="2026-11-21T09:00:00Z")), "exception", "only by makers",
    ),
    "emergency_after_deployment": (
        {**LIMIT, **ev(approval=approval(at="2026-11-20T12:00:00Z"))}, "met", "approved by",
    ),
}  # fmt: skip

CM_03: dict[str, Row] = {
    "before_deployment": ({}, "met", "passed at 2026-11-20T08:00:00.000000Z, deployed at 2026-11-20T10:00"),
    "exactly_at_deployment": (ev(tests=outcome(at=DEPLOYED)), "met", "passed at 2026-11-20T10"),
    "one_microsecond_after": (ev(tests=outcome(at="2026-11-20T10:00:00.000001Z")), "exception", "only after"),
    "none": (ev(tests=None), "abstained", "the evidence holds no test result"),
    "no_evidence_at_all": ({"evidence": {}}, "abstained", "the evidence holds no test result"),
    "failed": (ev(tests=outcome(text="3 failed, 45 passed")), "exception", "tests failed and was not repeated"),
    "failed_after_deployment": (
        ev(smoke=outcome(text="Smoke test failed", at="2026-11-21T08:00:00Z")), "exception", "smoke failed",
    ),
    "failed_then_repeated": (
        ev(tests=outcome(text="3 failed, 45 passed", at="2026-11-20T07:00:00Z"), tests__2=outcome()), "met", "passed",
    ),
    "failed_then_run_again": (
        ev(tests=outcome(text="Tests failed", at="2026-11-20T07:00:00Z"), tests__rerun=outcome()), "met", "passed at",
    ),
    "failed_attempt": (
        ev(tests__attempt__1=outcome(text="Tests failed", at="2026-11-20T07:00:00Z"), tests__attempt__2=outcome()),
        "met", "passed at",
    ),
    "passed_then_failed": (
        ev(tests=outcome(text="3 tests failed"), tests__2=outcome(at="2026-11-20T07:00:00Z")), "exception", "failed",
    ),
    "repeated_at_the_same_instant": (ev(tests=outcome(text="Suite failed"), tests__2=outcome()), "exception", ""),
    "repeat_without_time": (
        ev(tests=outcome(text="Tests failed"), tests__2=outcome(at=None)), "exception", "failed and was not repeated",
    ),
    "repeated_only_after_deployment": (
        ev(
            tests=outcome(text="Tests failed"), tests__2=outcome(at="2026-11-20T10:00:00.000001Z"),
            lint=outcome(text="Lint passed for all"),
        ),
        "exception", "tests failed and was not repeated",
    ),
    "failed_beside_another_that_passed": (
        ev(lint=outcome(text="Lint failed on main", at="2026-11-20T07:00:00Z")), "exception", "lint failed and was not",
    ),
    "failed_on_one_version_of_two": (
        ev(tests=None, py310=outcome(text="Tests failed", at="2026-11-20T07:00:00Z"), py311=outcome()),
        "exception", "py310 failed and was not repeated",
    ),
    "failed_in_one_shard_of_two": (
        ev(tests=None, shard__1=outcome(text="Tests failed", at="2026-11-20T07:00:00Z"), shard__2=outcome()),
        "exception", "shard-1 failed and was not repeated",
    ),
    "bypassed": (ev(tests=outcome(text="TryBot-Bypass: the builder is down")), "exception", "bypassed, by tests"),
    "bypassed_beside_passed": (ev(more=outcome(text="Slow tests were skipped")), "exception", "bypassed, by more"),
    "failed_but_nothing_to_quote": (ev(tests=outcome(text="2 failed")), "abstained", "no words that can be quoted"),
    "zero_failed": (ev(tests=outcome(text="0 failed, 48 passed")), "met", "passed at"),
    "zero_passed": (ev(tests=outcome(text="0 passed, 0 failed")), "abstained", "no test result clearly says"),
    "says_nothing": (ev(tests=outcome(text="See the attached report")), "abstained", "passed or failed (tests)"),
    "short_pass": (ev(tests=outcome(text="passed")), "abstained", "the test results are too short to be quoted"),
    "short_pass_at_deployment_and_a_late_one": (
        ev(tests=outcome(text="passed", at=DEPLOYED), more=outcome(at=LATE)), "abstained", "too short to be quoted",
    ),
    "one_without_time_and_one_late": (
        ev(tests=outcome(at=None), more=outcome(at=LATE)), "abstained", "but not when the test ran",
    ),
    "repeated_exactly_at_deployment": (
        ev(tests=outcome(text="Tests failed"), tests__2=outcome(at=DEPLOYED)), "met", "passed at 2026-11-20T10",
    ),
    "without_time": (ev(tests=outcome(at=None)), "abstained", "but not when the test ran"),
    "time_of_deployment_unknown": (
        {"deployed_at": None, **ev(deployment=None)}, "abstained", "the time of deployment is not known",
    ),
    "of_another_revision": (ev(tests=outcome(revision="5555555555")), "abstained", "another revision than 4f2a9c1d7e"),
    "of_no_revision": (ev(tests=outcome(revision=None)), "met", "passed at"),
    "of_another_revision_and_of_this": (ev(old=outcome(revision="5555555555", text="1 failed, 2 passed")), "met", ""),
    "pass_of_another_revision_repeats_nothing": (
        ev(tests=outcome(text="Tests failed", at="2026-11-20T07:00:00Z"), tests__2=outcome(revision="5555555555")),
        "exception", "tests failed",
    ),
    "abbreviated_revision": ({"revision": HASH}, "met", "passed at"),
}  # fmt: skip

CM_04: dict[str, Row] = {
    "not_an_emergency": ({}, "not_applicable", "does not apply to a change of type normal"),
    "before_deployment": (LIMIT, "met", "approved before deployment by authoriser"),
    "at_deployment": ({**LIMIT, **ev(approval=approval(at=DEPLOYED))}, "met", "approved before deployment"),
    "within_the_limit": ({**LIMIT, **ev(approval=approval(at=EARLY))}, "met", "retroactively by authoriser"),
    "exactly_at_the_limit": ({**LIMIT, **ev(approval=approval(at=LIMIT_AT))}, "met", "the limit was 2026-11-20T11:00"),
    "one_microsecond_late": (
        {**LIMIT, **ev(approval=approval(at=LATE))}, "exception", "only at 2026-11-20T11:00:00.000001Z; the limit was",
    ),
    "none_after_the_limit": ({**LIMIT, **ev(approval=None)}, "exception", "no approval that counts within the limit"),
    "none_and_no_record_to_quote": (
        {**LIMIT, **ev(approval=None, deployment=deployment(text="done"))}, "abstained", "no deployment record can be",
    ),
    "by_a_bot": ({**LIMIT, **ev(approval=approval(**BOT))}, "exception", "no approval that counts"),
    "without_time": ({**LIMIT, **ev(approval=approval(at=None))}, "abstained", "but not when it was given"),
    "time_of_deployment_unknown": (
        {**LIMIT, "deployed_at": None, **ev(deployment=None)}, "abstained", "the time of deployment is not known",
    ),
    "standing_rejection": ({**LIMIT, **ev(rejection=rejection(by="checker"))}, "exception", "by checker stands"),
    "rejection_replaced_retroactively": (
        {**LIMIT, **ev(rejection=rejection(), later=approval(at=EARLY))}, "met", "approved before deployment",
    ),
    "measured_from_the_first_deployment": (
        {**LIMIT, "deployed_at": "2026-11-20T12:00:00Z", **ev(approval=approval(at=LATE))}, "exception", "limit was",
    ),
}  # fmt: skip

CM_05: dict[str, Row] = {
    "same_revision": ({}, "met", "approved by authoriser on 4f2a9c1d7e"),
    "superseded": (
        ev(approval=approval(revision="5555555555")), "exception", "last 5555555555; deployed was 4f2a9c1d7e",
    ),
    "another_revision_was_deployed_under_its_name": (
        ev(**{"deployment D-1": deployment(revision="5555555555")}), "abstained", "deployment D-1 put 5555555555 into",
    ),
    "the_approved_revision_was_deployed": (ev(**{"deployment D-1": deployment(revision=HASH)}), "met", "on 4f2a9c1d7e"),
    "superseded_then_approved_again": (ev(old=approval(revision="5555555555")), "met", "on 4f2a9c1d7e"),
    "abbreviated": ({"revision": HASH}, "met", "on 4f2a9c1d7e"),
    "begins_alike_but_is_a_version": (
        {"revision": "release-10", **ev(approval=approval(revision="release-1"))}, "exception", "was release-10",
    ),
    "final_revision_unknown": ({"revision": None}, "abstained", "the final revision is not known"),
    "approval_names_no_revision": (ev(approval=approval(revision=None)), "abstained", "does not say which revision"),
    "one_names_an_old_one_and_one_none": (
        ev(approval=approval(revision="5555555555"), second=approval(revision=None)), "abstained", "does not say which",
    ),
    "no_approval": (ev(approval=None), "abstained", "the evidence holds no approval"),
    "bot_approved_the_final_one": (
        ev(approval=approval(revision="5555555555"), bot=approval(**BOT)), "exception", "only on superseded revisions",
    ),
    "author_approved_the_final_one": (
        ev(approval=approval(revision="5555555555"), own=approval(by="maker")), "exception", "only on superseded",
    ),
    "somebody_unclear_approved_the_final_one": (
        ev(approval=approval(revision="5555555555"), other=approval(by="maker <new@example.org>")),
        "abstained", "it cannot be told whether 'maker <new@example.org>'",
    ),
    "somebody_unclear_approved_an_unnamed_one": (
        ev(approval=approval(revision="5555555555"), other=approval(by="maker <n@example.org>", revision=None)),
        "abstained", "it cannot be told whether",
    ),
    "somebody_unclear_approved_an_old_one_and_the_author_the_final_one": (
        ev(approval=approval(revision="5555555555", by="maker <n@example.org>"), own=approval(by="maker")),
        "exception", "only on superseded revisions",
    ),
    "only_the_author_approved": (
        ev(approval=approval(by="maker")), "abstained", "no approval of the final revision counts: maker is a maker",
    ),
    "only_the_author_approved_an_old_one": (
        ev(approval=approval(by="maker", revision="5555555555")), "exception", "only on superseded revisions",
    ),
    "only_after_deployment": (ev(approval=approval(at=LATE)), "abstained", "no approval before the deployment"),
    "emergency_approved_later": ({**LIMIT, **ev(approval=approval(at=LATE))}, "met", "on 4f2a9c1d7e"),
}  # fmt: skip

THROUGH = {"by": "maker", "pipeline": "pipeline:cd", "origin": "extracted"}
CM_06: dict[str, Row] = {
    "the_author_through_an_approved_pipeline": (
        {"deployed_by": None, **ev(deployment=deployment(**THROUGH))}, "met", "pipeline pipeline:cd, started by maker",
    ),
    "through_a_pipeline_that_is_only_claimed": (
        {"deployed_by": None, **ev(deployment=deployment(**THROUGH | {"origin": "submitted"}))}, "exception", "author",
    ),
    "through_another_pipeline": (
        {"deployed_by": None, **ev(deployment=deployment(**THROUGH | {"pipeline": "cd"}))}, "exception", "its author",
    ),
    "somebody_else": ({}, "met", "deployed by deployer, who is not the author maker"),
    "the_author": ({"deployed_by": "maker", **ev(deployment=deployment(by="maker"))}, "exception", "by its author"),
    "the_author_by_alias": (
        {"deployed_by": None, **ev(deployment=deployment(by="M <maker@example.com>"))}, "exception", "by its author",
    ),
    "the_author_as_declared_only": (
        {"deployed_by": "example-maker", **ev(deployment=deployment(by=None))}, "exception", "by its author",
    ),
    "declared_otherwise": (
        ev(deployment=deployment(by="maker")), "abstained", "says that maker deployed, the change says deployer",
    ),
    "declared_under_another_handle": ({"deployed_by": "example-deployer"}, "met", "deployed by deployer"),
    "declared_like_a_record_that_names_nobody_known": (
        {"deployed_by": "Some Body", **ev(deployment=deployment(by="Some Body"))}, "abstained", "cannot be told",
    ),
    "approved_pipeline": (
        {"deployed_by": None, **ev(deployment=deployment(by="pipeline:release"))}, "met", "by the approved pipeline",
    ),
    "author_called_like_a_pipeline": (
        {"deployed_by": None, **ev(deployment=deployment(by="deploy-pipeline <maker@example.com>"))},
        "exception", "deployed by its author",
    ),
    "a_bot_that_is_no_pipeline": (
        {"deployed_by": None, **ev(deployment=deployment(**BOT))}, "abstained", "release-bot is a bot, and no pipeline",
    ),
    "somebody_marked_as_bot": (ev(deployment=deployment(is_bot=True)), "abstained", "is a bot, and no pipeline"),
    "nobody_named": ({"deployed_by": None, **ev(deployment=deployment(by=None))}, "abstained", "not say who deployed"),
    "no_record": (ev(deployment=None), "abstained", "the evidence holds no deployment record"),
    "record_too_short": (ev(deployment=deployment(text="done")), "abstained", "no words that can be quoted"),
    "author_in_a_record_too_short": (
        {"deployed_by": None, **ev(second=deployment(by="maker", text="done"))}, "abstained", "second has no words",
    ),
    "author_in_the_second_of_two": (
        {"deployed_by": None, **ev(second=deployment(by="maker"))}, "exception", "deployed by its author, maker",
    ),
    "unresolved_author": ({"author": "Some Body"}, "abstained", "whether the deployer 'deployer' is the author"),
    "a_contributor": ({"contributors": ["deployer"]}, "met", "who is not the author"),
}  # fmt: skip

TABLES = {
    "ITGC-CM-01": CM_01, "ITGC-CM-02": CM_02, "ITGC-CM-03": CM_03, "ITGC-CM-04": CM_04, "ITGC-CM-05": CM_05,
    "ITGC-CM-06": CM_06,
}  # fmt: skip


@pytest.mark.parametrize(("control", "case"), [(control, case) for control, table in TABLES.items() for case in table])
def test_control(control: str, case: str) -> None:
    check(control, TABLES[control][case])


@pytest.mark.parametrize(
    ("at", "expected", "says"),
    [
        (
            datetime(2026, 11, 20, 10, 59, 59, 999999, tzinfo=UTC),
            "abstained",
            "the limit runs until 2026-11-20T11:00:00",
        ),
        (datetime(2026, 11, 20, 11, 0, tzinfo=UTC), "exception", "no approval that counts within the limit"),
        (datetime(2026, 11, 20, 11, 0, 0, 1, tzinfo=UTC), "exception", "no approval that counts within the limit"),
    ],
    ids=["still_running", "at_the_limit", "after"],
)
def test_emergency_without_approval_abstains_only_while_the_limit_runs(at: datetime, expected: str, says: str) -> None:
    check("ITGC-CM-04", ({**LIMIT, **ev(approval=None)}, expected, says), at)


def test_the_emergency_limit_is_the_policys(policy: Policy, catalogue: Catalogue) -> None:
    longer = policy.emergency_approval.model_copy(update={"value": 2})
    rules = Rules(policy.model_copy(update={"emergency_approval": longer}), catalogue, People(policy))
    assert judge("ITGC-CM-04", {**LIMIT, **ev(approval=approval(at=LATE))}, rules=rules).result == "met"


def test_clean_change_meets_every_control_that_applies_in_the_order_of_the_catalogue() -> None:
    assessment = RULES(Case(Change.model_validate(payload_with()), "given", NOW))
    assert [(result.control, result.result) for result in assessment.results] == [
        (control, "not_applicable" if control in ("ITGC-CM-04", "ITGC-CM-07") else "met") for control in CATALOGUE.by_id
    ]
    assert assessment.mapper == VERSION


def test_without_evidence_nothing_is_asserted() -> None:
    for change_type in ("normal", "preapproved", "emergency"):
        change = Change.model_validate(payload_with(evidence={}, change_type=change_type))
        assert {result.result for result in RULES(Case(change, "given", NOW)).results} == {
            "abstained",
            "not_applicable",
        }


def test_assertions_of_the_payload_decide_nothing() -> None:
    claim = {"control": "ITGC-CM-01", "text": "approved", "evidence": "note", "quote": "Approved for deployment."}
    changes = {"assertions": [claim], **ev(approval=None, note={"kind": "other", "text": "Approved for deployment."})}
    assert judge("ITGC-CM-01", changes).result == "abstained"


def test_control_without_a_rule_is_abstained(policy: Policy, catalogue: Catalogue) -> None:
    other = Control.model_validate(catalogue.controls[0].model_dump() | {"id": "ITGC-CM-99"})
    rules = Rules(policy, Catalogue(version="1", controls=[other]), People(policy))
    (result,) = rules(Case(Change.model_validate(payload_with()), "given", NOW)).results
    assert (result.result, result.reason) == ("abstained", "no rule judges this control")


def test_the_cited_approval_is_an_independent_one_and_then_the_earliest() -> None:
    own = approval(by="maker", at="2026-11-20T05:00:00Z")
    later = approval(by="checker", at="2026-11-20T09:30:00Z")
    result = judge("ITGC-CM-01", ev(a=own, b=later))
    assert result.assertion is not None
    assert result.assertion.evidence == "approval"
    without_time = judge("ITGC-CM-02", ev(approval=approval(at=None), b=later))
    assert without_time.assertion is not None
    assert without_time.assertion.evidence == "b"
