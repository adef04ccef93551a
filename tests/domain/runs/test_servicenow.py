"""A ServiceNow export end to end: into an evidence root, each row counted once, and judged as the record means it."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from countersign.changes.origin import as_extracted
from countersign.changes.payload import accept
from countersign.changes.people import People
from countersign.changes.sources.interface import Record
from countersign.changes.sources.servicenow import ServicenowSource
from countersign.controls.assessment import Case
from countersign.controls.rules import Rules
from countersign.evidence.register import IntakeTotals
from countersign.policy import Catalogue, Policy
from countersign.runs.intake import take_in
from tests.conftest import items_of
from tests.domain.changes.sources.servicenow_export import (
    APPROVALS,
    CASES,
    CHANGES,
    SIZE,
    SYS_ID,
    ZONE,
    Fields,
    approval,
    as_csv,
    as_json,
    change,
    delegate,
)
from tests.domain.runs.conftest import Bench

OUTCOMES = [case.outcome for case in CASES.values()]


def source_of(folder: Path, changes: bytes, approvals: bytes) -> ServicenowSource:
    (folder / "changes").write_bytes(changes)
    (folder / "approvals").write_bytes(approvals)
    return ServicenowSource(folder / "changes", zone=ZONE, approvals=folder / "approvals")


def test_the_whole_export_goes_in_once_in_whatever_form(bench: Bench, tmp_path: Path) -> None:
    """read = opened + known + refused + apart; reading again, or in the other form, opens nothing."""
    expected = IntakeTotals(SIZE, *(OUTCOMES.count(outcome) for outcome in ("opened", "known", "refused", "apart")))
    again = IntakeTotals(SIZE, 0, expected.opened + expected.known, expected.refused, expected.out_of_scope)
    engine = bench.run.engine
    first = take_in(engine, source_of(tmp_path, as_csv(CHANGES), as_csv(APPROVALS)))
    assert expected.reconciled
    assert first.totals == expected
    assert first.totals.read + first.joined == SIZE + len(APPROVALS)
    assert all(skipped.reason.startswith("cancelled") for skipped in first.skipped)
    for changes, approvals in ((as_csv, as_csv), (as_json, as_json), (as_csv, as_json)):
        assert take_in(engine, source_of(tmp_path, changes(CHANGES), approvals(APPROVALS))).totals == again
    assert {(line["query"], line["rows"]) for line in bench.registered("extract")} == {
        ("changes, times in America/New_York", SIZE),
        ("approvals, times in America/New_York", len(APPROVALS)),
    }
    assert bench.faults() == []


AT = datetime(2026, 11, 23, tzinfo=UTC)
_CHECKED = [delegate("Example Checker", "example-checker")]
_NIGHT = "2026-11-01"
# name: (the change, its approvals, the control, its result, words of the reason)
JUDGED: dict[str, tuple[Fields, list[Fields], str, str, str]] = {
    "approved_in_time": (change(), [approval()], "ITGC-CM-01", "met", "approved by example-authoriser"),
    "approved_by_none_of_the_makers": (change(), _CHECKED, "ITGC-CM-02", "met", "none of the makers"),
    "approved_while_the_work_went_on": (
        change(), [approval(sys_updated_on="2026-11-20 10:30:00")], "ITGC-CM-01", "exception", "2026-11-20T15:30",
    ),
    "approved_in_the_hour_that_came_twice": (
        change(sys_created_on="", work_start=f"{_NIGHT} 01:40:00", work_end=f"{_NIGHT} 03:00:00"),
        [approval(sys_updated_on=f"{_NIGHT} 01:10:00")], "ITGC-CM-01", "exception", "after the deployment",
    ),
    "rejected": (change(), [approval(state="rejected")], "ITGC-CM-01", "exception", "rejection by example-authoriser"),
    "unauthorized_beside_an_approval": (
        change(unauthorized="true"), _CHECKED, "ITGC-CM-01", "exception", "stands in unauthorized",
    ),
    "only_requested": (change(), [approval(state="requested")], "ITGC-CM-01", "abstained", "no approval"),
    "group_that_names_nobody": (
        change(), [delegate("", "example-checker", group="Board")], "ITGC-CM-01", "abstained", "given by nobody",
    ),
    "workflow": (change(), [delegate("Example Checker", "system")], "ITGC-CM-02", "abstained", "given by a bot"),
    "delegate_acts_for_the_maker": (
        change(), [delegate("Example Maker", "example-checker")], "ITGC-CM-02", "exception", "only by makers",
    ),
    "delegate_acts_for_somebody_whom_the_roster_does_not_know": (
        change(), [delegate("Some Body", "example-checker")], "ITGC-CM-02", "abstained", "it cannot be told",
    ),
    "delegate_is_the_maker": (
        change(), [delegate("Example Checker", "example-maker")], "ITGC-CM-02", "exception", "only by makers",
    ),
    "implementer_approves": (
        change(), [delegate("Example Deployer", "example-deployer")], "ITGC-CM-02", "exception", "only by makers",
    ),
    "maker_whom_the_roster_does_not_know": (
        change(requested_by=SYS_ID), _CHECKED, "ITGC-CM-02", "abstained", f"sys_user {SYS_ID}",
    ),
    "test_plan_that_speaks_of_passing": (
        change(test_plan="All tests passed."), _CHECKED, "ITGC-CM-03", "abstained", "no test result",
    ),
    "implementer_is_another": (change(), _CHECKED, "ITGC-CM-06", "met", "Example Deployer, who is not the author"),
    "implementer_is_the_requester": (
        change(assigned_to="Example Maker"), _CHECKED, "ITGC-CM-06", "exception", "deployed by its author",
    ),
    "not_deployed": (change(work_end=""), _CHECKED, "ITGC-CM-01", "abstained", "time of deployment is not known"),
}  # fmt: skip


@pytest.mark.parametrize("name", JUDGED)
def test_the_rules_find_what_the_record_means(name: str, tmp_path: Path, policy: Policy, catalogue: Catalogue) -> None:
    row, approvals, control, result, words = JUDGED[name]
    rows = [{**one, "sysapproval": "CHG1"} for one in approvals]
    (item,) = items_of(source_of(tmp_path, as_csv([{**row, "number": "CHG1"}]), as_csv(rows)))
    assert isinstance(item, Record)
    rules = Rules(policy, catalogue, People(policy))
    judged = rules(Case(accept(as_extracted(item.payload), policy.limits).change, "servicenow", AT))
    (found,) = (one for one in judged.results if one.control == control)
    assert found.result == result, found.reason
    assert words in found.reason
