"""A made-up ServiceNow export of 300 rows: named cases with what becomes of each, and ordinary rows around them.

The rows are plain; `as_csv` and `as_json` write them in the two forms, JSON in every shape that the table API has.
"""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

SIZE = 300
ZONE = ZoneInfo("America/New_York")
SYS_ID = "6816f79cc0a8016401c5a33be04be441"
_REFERENCES = ("requested_by", "opened_by", "assigned_to", "cmdb_ci", "business_service", "approver", "sysapproval")
_TIMES = ("sys_created_on", "opened_at", "work_start", "work_end", "sys_updated_on", "start_date", "end_date")
_HOST = "https://example.service-now.com/api/now/table"

Fields = dict[str, str]


@dataclass(frozen=True)
class Case:
    """One row of the changes with its approvals.

    `outcome` is opened, known, refused or apart. `says` is what the payload holds (evidence by name, None for what is
    not there), or words of the reason.
    """

    outcome: str
    row: Fields
    says: Any
    approvals: Sequence[Fields] = ()
    number: str = field(default="", compare=False)


def change(**fields: str) -> Fields:
    """An ordinary change request, closed and deployed."""
    return {
        "number": "", "sys_id": "", "type": "normal", "state": "Closed", "short_description": "Raise the limit",
        "description": "", "requested_by": "Example Maker", "opened_by": "Example Maker",
        "assigned_to": "Example Deployer", "cmdb_ci": "billing", "business_service": "",
        "sys_created_on": "2026-11-18 09:00:00", "start_date": "2026-11-21 22:00:00",
        "end_date": "2026-11-21 23:00:00", "work_start": "2026-11-20 10:00:00", "work_end": "2026-11-20 11:00:00",
        "unauthorized": "false", "on_hold": "false", "on_hold_reason": "", "std_change_producer_version": "",
        "test_plan": "", "close_code": "Successful", "close_notes": "", "parent": "",
        "sys_updated_on": "2026-11-22 08:00:00", **fields,
    }  # fmt: skip


def approval(**fields: str) -> Fields:
    """An approval by the person it was asked of."""
    return {
        "sysapproval": "", "approver": "Example Authoriser", "state": "approved", "group": "", "comments": "",
        "sys_updated_by": "example-authoriser", "sys_updated_on": "2026-11-19 15:30:00", **fields,
    }  # fmt: skip


def delegate(approver: str, actor: str, **fields: str) -> Fields:
    return approval(approver=approver, sys_updated_by=actor, **fields)


APPROVED = {
    "kind": "approval", "by": "example-authoriser", "on_behalf_of": "Example Authoriser",
    "at": "2026-11-19T20:30:00.000000Z",
}  # fmt: skip
NOT_DEPLOYED = {"deployed_at": None, "deployed_by": None}


def work(**expected: Any) -> dict[str, Any]:
    return {"evidence": {"work": expected}}


def decided(*expected: dict[str, Any] | None) -> dict[str, Any]:
    """What the approvals of a change become, in order."""
    return {"evidence": {f"approval-{number}": item for number, item in enumerate(expected, start=1)}}


_BACK, _FORWARD = "2026-11-01", "2026-03-08"  # the nights on which the clocks of New York go back and forward
_MARKUP = '<p>Rolled out.</p>\r\n<ul><li>"hot" standby,\r\n  then primary</li></ul>'

NAMED: dict[str, Case] = {
    # types
    "type_normal": Case("opened", change(), {"change_type": "normal", "template": None}),
    "type_standard_is_preapproved": Case(
        "opened", change(type="standard", std_change_producer_version="STD-0042"),
        {"change_type": "preapproved", "template": "STD-0042"},
    ),
    "type_standard_without_template": Case(
        "opened", change(type="Standard"), {"change_type": "preapproved", "template": None}
    ),
    "type_emergency": Case(
        "opened", change(type="Emergency", parent="INC0010005"), {"change_type": "emergency", "incident": "INC0010005"}
    ),
    "parent_is_no_incident": Case("opened", change(type="emergency", parent="PRB0040001"), {"incident": None}),
    "type_unknown": Case("refused", change(type="Expedited"), "type: 'expedited' is not one of"),
    "type_empty": Case("refused", change(type=""), "type: ''"),
    # states
    "not_begun": Case(
        "opened", change(state="Scheduled", work_start="", work_end=""), {**NOT_DEPLOYED, "evidence": {"work": None}}
    ),
    "begun_and_not_ended": Case(
        "opened", change(state="Implement", work_end=""),
        {**NOT_DEPLOYED, **work(kind="ticket", at="2026-11-20T15:00:00.000000Z")},
    ),
    "cancelled": Case("apart", change(state="Canceled", work_start="", work_end=""), "cancelled before any work began"),
    "cancelled_in_british": Case("apart", change(state="Cancelled", work_start="", work_end=""), "cancelled"),
    "cancelled_as_a_number": Case("apart", change(state="4", work_start="", work_end=""), "cancelled"),
    "cancelled_after_the_work": Case(
        "opened", change(state="Canceled"),
        {"deployed_at": "2026-11-20T16:00:00.000000Z", "evidence": {"cancelled": {"kind": "ticket"}}},
    ),
    "cancelled_during_the_work": Case(
        "opened", change(state="Canceled", work_end=""), {**NOT_DEPLOYED, "evidence": {"cancelled": {"kind": "ticket"}}}
    ),
    # times
    "actual_and_never_planned": Case(
        "opened", change(),
        {"requested_at": "2026-11-18T14:00:00.000000Z", "deployed_at": "2026-11-20T16:00:00.000000Z",
         **work(kind="deployment", at="2026-11-20T15:00:00.000000Z", by="Example Deployer")},
    ),
    "summer_time": Case(
        "opened", change(sys_created_on="2026-07-01 08:00:00", work_start="2026-07-01 10:00:00",
                         work_end="2026-07-01 11:00:00"),
        {"deployed_at": "2026-07-01T15:00:00.000000Z"},
    ),
    "no_start": Case("opened", change(work_start=""), work(kind="deployment", at="2026-11-20T16:00:00.000000Z")),
    "created_unknown_opened_known": Case(
        "opened", change(sys_created_on="", opened_at="2026-11-19 09:00:00"),
        {"requested_at": "2026-11-19T14:00:00.000000Z"},
    ),
    "recorded_after_the_work": Case(
        "opened", change(sys_created_on="2026-11-20 12:00:00"),
        {"requested_at": None, "evidence": {"recorded late": {"kind": "ticket"}}},
    ),
    "recorded_during_the_work": Case(
        "opened", change(sys_created_on="2026-11-20 10:30:00"),
        {"requested_at": "2026-11-20T15:30:00.000000Z", "evidence": {"recorded late": {"kind": "ticket"}}},
    ),
    "end_before_start": Case("refused", change(work_end="2026-11-20 09:00:00"), "work_end: .* lies before work_start"),
    "another_form_of_time": Case("refused", change(work_end="20-11-2026 11:00:00"), "work_end: .* is no time such as"),
    "thirteenth_month": Case("refused", change(work_end="2026-13-20 11:00:00"), "work_end: "),
    "night_clocks_go_forward_skipped_time": Case(
        "refused", change(sys_created_on=f"{_FORWARD} 01:00:00", work_start=f"{_FORWARD} 02:30:00",
                          work_end=f"{_FORWARD} 04:00:00"),
        "work_start: '2026-03-08 02:30:00' does not exist in America/New_York",
    ),
    "night_clocks_go_forward_around_it": Case(
        "opened", change(sys_created_on="", work_start=f"{_FORWARD} 01:59:59", work_end=f"{_FORWARD} 03:00:00"),
        {"deployed_at": "2026-03-08T07:00:00.000000Z", "requested_at": None,
         **work(at="2026-03-08T06:59:59.000000Z")},
    ),
    "night_clocks_go_back_work_reads_as_the_earlier": Case(
        "opened", change(sys_created_on="", work_start=f"{_BACK} 01:10:00", work_end=f"{_BACK} 01:40:00"),
        {"deployed_at": "2026-11-01T05:40:00.000000Z", **work(at="2026-11-01T05:10:00.000000Z")},
    ),
    "night_clocks_go_back_end_shown_before_start": Case(
        "opened", change(sys_created_on="", work_start=f"{_BACK} 01:40:00", work_end=f"{_BACK} 01:10:00"),
        {"deployed_at": "2026-11-01T06:10:00.000000Z", **work(at="2026-11-01T05:40:00.000000Z")},
    ),
    "night_clocks_go_back_approval_reads_as_the_later": Case(
        "opened", change(sys_created_on="", work_start=f"{_BACK} 01:40:00", work_end=f"{_BACK} 03:00:00"),
        decided({"kind": "approval", "at": "2026-11-01T06:10:00.000000Z"}),
        [approval(sys_updated_on=f"{_BACK} 01:10:00")],
    ),
    "night_clocks_go_back_after_it": Case(
        "opened", change(sys_created_on="", work_start=f"{_BACK} 02:00:00", work_end=f"{_BACK} 03:00:00"),
        {"deployed_at": "2026-11-01T08:00:00.000000Z", **work(at="2026-11-01T07:00:00.000000Z")},
    ),
    # people and systems
    "opened_for_somebody_else": Case(
        "opened", change(opened_by="Example Observer"),
        {"author": "Example Maker", "contributors": ["Example Observer", "Example Deployer"],
         "deployed_by": "Example Deployer"},
    ),
    "requested_by_nobody": Case(
        "opened", change(requested_by="", opened_by="Example Observer"), {"author": "Example Observer"}
    ),
    "made_by_nobody": Case("refused", change(requested_by="", opened_by=""), "requested_by, opened_by: name nobody"),
    "assigned_to_nobody": Case(
        "opened", change(assigned_to=""),
        {"deployed_by": None, "contributors": [], **work(kind="deployment", by=None)},
    ),
    "assigned_to_the_requester": Case(
        "opened", change(assigned_to="Example Maker"), {"deployed_by": "Example Maker", "contributors": []}
    ),
    "people_and_system_by_sys_id_only": Case(
        "opened", change(requested_by=SYS_ID, opened_by=SYS_ID, cmdb_ci=SYS_ID),
        {"author": f"sys_user {SYS_ID}", "contributors": ["Example Deployer"], "system": SYS_ID},
    ),
    "configuration_item": Case("opened", change(business_service="Invoicing"), {"system": "billing"}),
    "business_service_only": Case("opened", change(cmdb_ci="", business_service="billing"), {"system": "billing"}),
    "no_system": Case("refused", change(cmdb_ci=""), "cmdb_ci, business_service: both empty"),
    "number_empty": Case("refused", change(number=" "), "number: empty"),
    "number_with_a_slash": Case("refused", change(number="CHG/1"), "path separator"),
    # what the record says
    "unauthorized": Case("opened", change(unauthorized="true"), {"evidence": {"unauthorized": {"kind": "rejection"}}}),
    "unauthorized_beside_an_approval": Case(
        "opened", change(unauthorized="true"),
        {"evidence": {"unauthorized": {"kind": "rejection", "by": None}, "approval-1": APPROVED}}, [approval()],
    ),
    "unauthorized_unreadable": Case("refused", change(unauthorized="perhaps"), "unauthorized: 'perhaps' is neither"),
    "on_hold": Case(
        "opened", change(on_hold="true", on_hold_reason="Waiting for the vendor"),
        {"evidence": {"on hold": {"kind": "ticket"}, "unauthorized": None}},
    ),
    "on_hold_without_reason": Case("opened", change(on_hold="true"), {"evidence": {"on hold": {"kind": "ticket"}}}),
    "test_plan_is_no_result": Case(
        "opened", change(test_plan="All tests passed is what we want."),
        {"evidence": {"test plan": {"kind": "ticket", "text": "All tests passed is what we want."}}},
    ),
    "closed_unsuccessful": Case(
        "opened", change(close_code="Unsuccessful", close_notes="Rolled back."),
        {"evidence": {"close code": {"kind": "ticket"}, "close notes": {"kind": "ticket", "text": "Rolled back."}}},
    ),
    "not_closed_yet": Case("opened", change(state="Review", close_code=""), {"evidence": {"close code": None}}),
    "closed_with_issues": Case(
        "opened", change(close_code="Successful with issues"), {"evidence": {"close code": {"kind": "ticket"}}}
    ),
    "markup_over_lines_stays_text": Case(
        "opened", change(close_notes=_MARKUP), {"evidence": {"close notes": {"kind": "ticket", "text": _MARKUP}}}
    ),
    "no_short_description": Case("opened", change(short_description=""), {"summary": "(no short description)"}),
    # approvals
    "no_approval": Case("opened", change(), decided(None)),
    "approved": Case("opened", change(), decided(APPROVED, None), [approval()]),
    "rejected": Case("opened", change(), decided({**APPROVED, "kind": "rejection"}), [approval(state="rejected")]),
    "approved_twice_and_rejected": Case(
        "opened", change(), decided(APPROVED, {"kind": "rejection"}, {"kind": "approval"}),
        [delegate("Example Checker", "example-checker", sys_updated_on="2026-11-20 09:00:00"),
         approval(),
         delegate("Example Observer", "observer", state="rejected", sys_updated_on="2026-11-19 16:00:00")],
    ),
    **{
        f"approval_{state.replace(' ', '_')}_counts_for_nothing": Case(
            "opened", change(), decided({"kind": "other", "by": None, "at": None}), [approval(state=state)]
        )
        for state in ("requested", "not requested", "not_required", "cancelled", "No Longer Required", "duplicate")
    },
    "approval_in_an_unknown_state": Case(
        "refused", change(), "an approval of it .* state: 'abgelehnt'", [approval(state="Abgelehnt")]
    ),
    "approval_at_a_skipped_time": Case(
        "refused", change(), "an approval of it .* does not exist", [approval(sys_updated_on=f"{_FORWARD} 02:30:00")]
    ),
    "approval_without_a_time": Case(
        "opened", change(), decided({"kind": "approval", "at": None}), [approval(sys_updated_on="")]
    ),
    "delegate_acts": Case(
        "opened", change(), decided({"by": "example-checker", "on_behalf_of": "Example Authoriser"}),
        [delegate("Example Authoriser", "example-checker")],
    ),
    "delegate_is_the_maker": Case(
        "opened", change(), decided({"by": "example-maker", "on_behalf_of": "Example Authoriser"}),
        [delegate("Example Authoriser", "example-maker")],
    ),
    "delegate_acts_for_the_maker": Case(
        "opened", change(), decided({"by": "example-checker", "on_behalf_of": "Example Maker"}),
        [delegate("Example Maker", "example-checker")],
    ),
    "approver_written_as_the_actor": Case(
        "opened", change(), decided({"by": "example-checker", "on_behalf_of": None}),
        [delegate("Example-Checker", "example-checker")],
    ),
    "actor_not_on_record": Case(
        "opened", change(), decided({"kind": "approval", "by": None}), [delegate("Example Authoriser", "")]
    ),
    "approved_by_a_workflow": Case(
        "opened", change(), decided({"by": "system", "is_bot": True}), [delegate("Example Authoriser", "system")]
    ),
    "group_names_the_member": Case(
        "opened", change(),
        decided(APPROVED, {"kind": "other", "by": None}),
        [delegate("Example Checker", "system", group="Change board", state="no longer required"),
         approval(group="Change board")],
    ),
    "group_names_nobody": Case(
        "opened", change(), decided({"kind": "approval", "by": None, "on_behalf_of": None}),
        [delegate("", "example-checker", group="Change board")],
    ),
    "nobody_and_no_group": Case("opened", change(), decided({"by": None}), [delegate("", "example-checker")]),
    "approved_with_comments": Case(
        "opened", change(), {"evidence": {"approval-1-comments": {"kind": "other", "text": "Go ahead.\nBy noon."}}},
        [approval(comments="Go ahead.\nBy noon.")],
    ),
    "approval_exported_twice": Case("opened", change(), decided(APPROVED, None), [approval(), approval()]),
    "approval_by_sys_id": Case(
        "opened", change(sys_id="9" * 32), decided(APPROVED), [approval(sysapproval="9" * 32)]
    ),
    # numbers that come again; `number` is filled in below
    "number_again_identical": Case("known", change(), {"change_type": "normal"}),
    "number_again_later_export": Case("known", change(sys_updated_on="2026-11-23 09:00:00"), {"change_type": "normal"}),
    "number_again_other_content": Case("refused", change(type="emergency"), "stands in .* with other content"),
    "number_again_cancelled": Case(
        "refused", change(state="Canceled", work_start="", work_end=""), "stands in .* with other content"
    ),
    "number_again_unreadable": Case("refused", change(type="Expedited"), "type: 'expedited'"),
}  # fmt: skip
_AGAIN = "type_normal"


def _numbered() -> dict[str, Case]:
    """Every case with its number, and ordinary rows over all types and states up to the size of the export."""
    cases = dict(NAMED)
    states = ("Closed", "Review", "3", "0", "Closed", "Canceled")
    for position in range(SIZE - len(cases)):
        kind, state = ("normal", "standard", "emergency")[position % 3], states[position % len(states)]
        cancelled = state == "Canceled"
        row = change(type=kind, state=state, short_description=f"Change {position}")
        if cancelled:
            row |= {"work_start": "", "work_end": ""}
        outcome, says = ("apart", "cancelled") if cancelled else ("opened", {"summary": f"Change {position}"})
        cases[f"ordinary_{position}"] = Case(outcome, row, says, [approval()] * (position % 2))
    numbers = {name: f"CHG{30000 + position:07}" for position, name in enumerate(cases)}
    numbered = {}
    for name, case in cases.items():
        own = numbers[_AGAIN if name.startswith("number_again") else name]
        number = case.row["number"] or own
        rows = [{**one, "sysapproval": one["sysapproval"] or number} for one in case.approvals]
        numbered[name] = Case(case.outcome, {**case.row, "number": number}, case.says, rows, number)
    return numbered


CASES = _numbered()
CHANGES = [case.row for case in CASES.values()]
APPROVALS = [row for case in CASES.values() for row in case.approvals]


def as_csv(rows: Sequence[Fields]) -> bytes:
    """As ServiceNow exports a list: every column of any row, everything quoted."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval="", quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def as_json(rows: Sequence[Fields], *, bare_list: bool = False) -> bytes:
    """As the table API answers, the rows in turn in each of its shapes."""
    dressed = [_SHAPES[number % len(_SHAPES)](row) for number, row in enumerate(rows)]
    return json.dumps(dressed if bare_list else {"result": dressed}, indent=1).encode()


def _with_links(row: Fields) -> dict[str, Any]:
    """References as objects: `{display_value, link}`, or `{value, link}` where only the id is known."""
    return {name: _reference(name, text) if name in _REFERENCES and text else text for name, text in row.items()}


def _with_all(row: Fields) -> dict[str, Any]:
    """`sysparm_display_value=all`: every field as what is shown and what is stored, times in UTC."""
    found: dict[str, Any] = {}
    for name, text in row.items():
        stored = _stored(text) if name in _TIMES else text
        if name in _REFERENCES and text:
            found[name] = {"value": f"{name}-id"} | _reference(name, text)
        else:
            found[name] = text if stored is None else {"display_value": text, "value": stored}
    return found


def _reference(name: str, text: str) -> dict[str, str]:
    if len(text) == 32:
        return {"value": text, "link": f"{_HOST}/{name}/{text}"}
    return {"display_value": text, "link": f"{_HOST}/{name}/{SYS_ID}"}


def _stored(text: str) -> str | None:
    """A local time as the database holds it; None for one that the clocks showed twice or never, or that is none."""
    try:
        local = datetime.strptime(text, "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007  a wall clock
    except ValueError:
        return None
    instants = {local.replace(tzinfo=ZONE, fold=fold).astimezone(UTC) for fold in (0, 1)}
    return instants.pop().strftime("%Y-%m-%d %H:%M:%S") if len(instants) == 1 else None


_SHAPES = (dict, _with_links, _with_all)
