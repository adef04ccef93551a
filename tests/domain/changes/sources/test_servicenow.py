"""A ServiceNow export as changes: each row opened, known, refused with a reason or counted apart, in either form."""

import json
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from countersign.changes.deployment import Deployment
from countersign.changes.payload import accept
from countersign.changes.sources.interface import Item, Record, Skipped, Unreadable
from countersign.changes.sources.servicenow import ServicenowSource
from countersign.changes.sources.servicenow.change import CHANGE_FIELDS
from countersign.changes.sources.servicenow.rows import read_rows
from countersign.errors import PayloadError, SourceError
from countersign.policy import Policy
from tests.conftest import items_of
from tests.domain.changes.sources.servicenow_export import (
    APPROVALS,
    CASES,
    CHANGES,
    NAMED,
    SIZE,
    ZONE,
    Case,
    approval,
    as_csv,
    as_json,
    change,
)

FORMS: dict[str, Callable[..., bytes]] = {"csv": as_csv, "json": as_json}


def source_of(folder: Path, changes: bytes, approvals: bytes | None = None, **more: Any) -> ServicenowSource:
    (folder / "changes").write_bytes(changes)
    if approvals is not None:
        (folder / "approvals").write_bytes(approvals)
    path = None if approvals is None else folder / "approvals"
    return ServicenowSource(folder / "changes", approvals=path, **{"zone": ZONE, **more})


Read = Callable[..., list[Item]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def items(changes: bytes, approvals: bytes | None = None, **more: Any) -> list[Item]:
        return items_of(source_of(tmp_path, changes, approvals, **more))

    return items


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[Item]]:
    """The items of the whole export in a form."""

    @lru_cache
    def items(form: str) -> list[Item]:
        write = FORMS[form]
        return items_of(source_of(tmp_path_factory.mktemp(form), write(CHANGES), write(APPROVALS)))

    return items


def holds(payload: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """That a payload says this, part by part; None stands for a field that is not there."""
    for name, value in expected.items():
        match value:
            case dict():
                holds(payload[name], value)
            case _:
                assert payload.get(name) == value, name


def reason_of(item: Item, policy: Policy) -> str:
    """Why a row becomes no run."""
    match item:
        case Unreadable():
            return item.reason
        case Record():
            with pytest.raises(PayloadError) as refusal:
                accept(item.payload, policy.limits)
            return str(refusal.value)
        case Skipped() | Deployment():
            raise AssertionError(f"no row of its own: {item}")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", NAMED)
def test_each_named_row_is_what_its_case_says(
    name: str, form: str, whole: Callable[[str], list[Item]], policy: Policy
) -> None:
    holds_case(CASES[name], whole(form)[list(CASES).index(name)], policy)


@pytest.mark.parametrize("form", FORMS)
def test_so_is_every_ordinary_row(form: str, whole: Callable[[str], list[Item]], policy: Policy) -> None:
    for case, item in zip(CASES.values(), whole(form), strict=True):
        holds_case(case, item, policy)


def holds_case(case: Case, item: Item, policy: Policy) -> None:
    """That a row became what its case says."""
    match case.outcome:
        case "opened" | "known":
            assert isinstance(item, Record)
            assert accept(item.payload, policy.limits).change.id == case.number
            holds(item.payload, case.says)
        case "apart":
            assert isinstance(item, Skipped)
            assert item.change_id == case.number
            assert item.reason.startswith(case.says)
        case _:
            assert re.search(case.says, reason_of(item, policy))


def test_an_export_is_the_same_payloads_in_either_form(whole: Callable[[str], list[Item]]) -> None:
    assert len(CASES) == len(CHANGES) == SIZE
    in_csv, in_json = ([item.payload for item in whole(form) if isinstance(item, Record)] for form in FORMS)
    assert in_csv == in_json


# --- what an export may not move, and how its parts belong together


def only(items: list[Item]) -> dict[str, Any]:
    (item,) = items
    assert isinstance(item, Record), item
    return dict(item.payload)


@pytest.mark.parametrize("field", ["sys_updated_on", "sys_mod_count", "work_notes", "start_date", "active"])
def test_what_moves_after_a_change_is_closed_moves_no_payload(field: str, read: Read) -> None:
    row = change(number="CHG1")
    assert only(read(as_csv([row]))) == only(read(as_csv([{**row, field: "2027-01-01 00:00:00"}])))


def test_approvals_in_another_order_are_the_same_payload(read: Read) -> None:
    rows = [
        approval(sysapproval="CHG1", sys_updated_on=f"2026-11-19 1{hour}:00:00", state=state)
        for hour, state in enumerate(("approved", "rejected", "requested", "approved"))
    ]
    one = read(as_csv([change(number="CHG1")]), as_csv(rows))
    assert only(one) == only(read(as_csv([change(number="CHG1")]), as_csv(rows[::-1])))


def test_approval_rows_that_belong_to_no_change_are_counted_and_not_lost(read: Read) -> None:
    rows = [approval(sysapproval="RITM0010001"), approval(), approval(sysapproval="CHG1")]
    change_item, *aside = read(as_csv([change(number="CHG1")]), as_csv(rows))
    assert isinstance(change_item, Record)
    elsewhere, nowhere = aside
    assert isinstance(elsewhere, Skipped)
    assert (elsewhere.change_id, elsewhere.reason[:35]) == ("RITM0010001", "an approval of a record that is not")
    assert isinstance(nowhere, Unreadable)
    assert "sysapproval: empty" in nowhere.reason


def test_of_two_rows_with_one_number_the_second_is_refused_even_where_the_first_was(read: Read) -> None:
    items = read(as_csv([change(number="CHG1", type=""), change(number="CHG1")]))
    assert [type(item) for item in items] == [Unreadable, Unreadable]


def test_json_is_taken_bare_or_as_the_table_api_answers(read: Read) -> None:
    rows = [change(number="CHG1")]
    assert read(as_json(rows)) == read(as_json(rows, bare_list=True)) == read(as_csv(rows))
    assert read(b"\xef\xbb\xbf" + as_json(rows)) == read(b"\xef\xbb\xbf" + as_csv(rows)) == read(as_csv(rows))
    assert read(b"[]") == read(b'{"result": []}') == []


def test_values_of_the_database_are_utc_and_need_no_conversion(read: Read) -> None:
    payload = only(read(as_json([change(number="CHG1")]), zone=ZoneInfo("UTC")))
    assert payload["deployed_at"] == "2026-11-20T11:00:00.000000Z"


def test_a_time_shown_twice_is_decided_by_what_the_database_holds(read: Read) -> None:
    """Clocks go back; the stored value says which of the two, and a zone that fits neither is refused."""
    end = {"display_value": "2026-11-01 01:30:00", "value": "2026-11-01 06:30:00"}
    row = {**change(number="CHG1", sys_created_on="", work_start=""), "work_end": end}
    payload = only(read(json.dumps([row]).encode()))
    assert payload["deployed_at"] == "2026-11-01T06:30:00.000000Z"
    assert "twice" not in payload["evidence"]["work"]["text"]
    (item,) = read(json.dumps([row]).encode(), zone=ZoneInfo("Europe/Berlin"))
    assert isinstance(item, Unreadable)
    assert "'2026-11-01 01:30:00' in Europe/Berlin is not '2026-11-01 06:30:00' in UTC" in item.reason


# --- rows that are none: (what differs from a good row, words of the reason)
ODD: dict[str, tuple[Any, str]] = {
    "no_object": (7, "needs to be an object of fields, not int"),
    "null": (None, "needs to be an object of fields, not NoneType"),
    "field_missing": ({"work_end": ...}, "lacks the fields work_end"),
    "number_missing": ({"number": ...}, "lacks the fields number"),
    "reference_of_another_shape": ({"cmdb_ci": {"name": "billing"}}, "cmdb_ci: .* is no reference"),
    "reference_empty": ({"cmdb_ci": {}}, "cmdb_ci: .* is no reference"),
    "reference_to_a_list": ({"requested_by": {"display_value": ["a"]}}, "requested_by: needs to be text"),
    "list": ({"assigned_to": ["a", "b"]}, "assigned_to: needs to be text or a reference, not list"),
    "number_is_a_list": ({"number": ["CHG1"]}, "number: needs to be text"),
    "fraction": ({"unauthorized": 0.5}, "unauthorized: needs to be text"),
}  # fmt: skip


@pytest.mark.parametrize("case", ODD)
def test_an_odd_record_is_refused_and_the_others_go_on(case: str, read: Read) -> None:
    differs, words = ODD[case]
    good: dict[str, Any] = dict(change(number="CHG1"))
    odd = differs
    if isinstance(differs, dict):
        odd = {name: value for name, value in {**good, **differs}.items() if value is not ...}
    refused, taken = read(json.dumps([odd, change(number="CHG2")]).encode(), as_json([approval(sysapproval="CHG2")]))
    assert isinstance(refused, Unreadable)
    assert re.search(words, refused.reason)
    assert json.loads(refused.content) == odd
    assert isinstance(taken, Record)


@pytest.mark.parametrize("field", ["approver", "state", "sys_updated_by", "sys_updated_on"])
def test_an_approval_that_lacks_a_field_stops_its_change_only(field: str, read: Read) -> None:
    row = {name: text for name, text in approval(sysapproval="CHG1").items() if name != field}
    refused, taken = read(as_json([change(number="CHG1"), change(number="CHG2")]), json.dumps([row]).encode())
    assert isinstance(refused, Unreadable)
    assert f"lacks the fields {field}" in refused.reason
    assert isinstance(taken, Record)


@pytest.mark.parametrize("plain", [True, 1, "true", "1", {"value": "true", "display_value": "wahr"}])
def test_true_is_true_in_every_spelling(plain: Any, read: Read) -> None:
    row = {**change(number="CHG1"), "unauthorized": plain, "on_hold": None}
    assert "unauthorized" in only(read(json.dumps([row]).encode()))["evidence"]


def test_values_are_read_in_place_of_their_translation(read: Read) -> None:
    row = {
        **change(number="CHG1"),
        "type": {"display_value": "Notfall", "value": "emergency"},
        "state": {"display_value": "Abgeschlossen", "value": 3},
    }
    assert only(read(json.dumps([row]).encode()))["change_type"] == "emergency"


# --- exports that are not whole
_CSV, _JSON = as_csv([change(number="CHG1"), change(number="CHG2")]), as_json([change(number="CHG1")])
_LAST = _CSV.rindex(b'"2026-11-22')
BROKEN: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "cut off in line 1"),
    "csv_cut_within_quotes": (_CSV[: _LAST + 4], "cut off in line 3"),
    "csv_cut_within_quotes_at_a_line_end": (_CSV[: _LAST + 4] + b"\r\n", "not CSV at line"),
    "csv_cut_between_columns": (_CSV[: _LAST - 1] + b"\r\n", "record that ends at line 3 has 24 of 25 columns"),
    "csv_cut_at_the_end_of_the_last_row": (_CSV.rstrip(b"\r\n"), "cut off in line 3"),
    "csv_a_column_too_many": (_CSV + b"," * 25 + b"\r\n", "line 4 has 26 of 25 columns"),
    "csv_words_behind_a_quote": (_CSV.replace(b'"CHG2"', b'"CHG2" or so'), "not CSV at line 3"),
    "csv_without_a_header": (b"\r\n" + _CSV, "the header lacks number"),
    "csv_without_a_needed_column": (_CSV.replace(b'"work_end"', b'"u_end"'), "the header lacks work_end"),
    "csv_with_a_column_twice": (_CSV.replace(b'"parent"', b'"state"'), "names a column twice"),
    "csv_in_another_encoding": (_CSV.replace(b"limit", b"l\xedmite"), "not UTF-8"),
    "json_cut": (_JSON[:-20], "not JSON"),
    "json_followed_by_more": (_JSON + b"x", "not JSON"),
    "json_with_a_key_twice": (b'[{"number": "1", "number": "2"}]', "given twice"),
    "json_partial_answer": (b'{"result": [], "error": {"message": "ran out of time"}}', "result, error"),
    "json_error": (b'{"error": {}, "status": "failure"}', "holds error, status in place of `result`"),
    "json_empty_object": (b"{}", "holds nothing"),
    "json_of_one_record": (b'{"result": {"number": "CHG1"}}', "is no list of records"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_an_export_that_is_not_whole_is_an_error_and_no_smaller_population(case: str, read: Read) -> None:
    content, words = BROKEN[case]
    with pytest.raises(SourceError, match=f"changes: .*{words}"):
        read(content)


@pytest.mark.parametrize("form", FORMS)
def test_approvals_that_are_not_whole_are_an_error_too(form: str, read: Read) -> None:
    content = FORMS[form]([approval(sysapproval="CHG1")])
    with pytest.raises(SourceError, match=r"approvals: .*export it again, whole"):
        read(as_csv([change(number="CHG1")]), content[:-4])


def test_wherever_an_export_is_cut_it_is_an_error() -> None:
    """Every prefix of both forms; a CSV that ends with a whole row is the one that nobody can tell from a short one."""
    rows = [change(number=number, close_notes='Say "done",\r\nthen\n close') for number in ("CHG1", "CHG2")]
    in_csv, in_json = as_csv(rows), as_json(rows)
    ends = (in_csv.index(b"\r\n") + 2, len(as_csv(rows[:1])), len(in_csv))
    for size in set(range(len(in_csv))).difference(ends, [end - 1 for end in ends]):
        with pytest.raises(SourceError):
            read_rows(in_csv[:size], "export", CHANGE_FIELDS)
    for size in range(len(in_json)):
        with pytest.raises(SourceError):
            read_rows(in_json[:size], "export", CHANGE_FIELDS)


def test_blank_lines_and_very_long_texts_are_no_damage(read: Read) -> None:
    long = "word " * 60_000
    items = read(as_csv([change(number="CHG1", description=long)]) + b"\r\n")
    assert only(items)["evidence"]["description"]["text"] == long.strip()


@pytest.mark.parametrize("missing", ["changes", "approvals"])
def test_a_file_that_is_not_there_is_an_error(missing: str, tmp_path: Path) -> None:
    source = source_of(tmp_path, as_csv(CHANGES), as_csv(APPROVALS))
    (tmp_path / missing).unlink()
    with pytest.raises(SourceError, match=f"{missing}: cannot be read"):
        source.state()
    with pytest.raises(SourceError, match=f"{missing}: cannot be read"):
        items_of(source)


def test_the_state_tells_when_either_file_changes_and_files_of_one_name_do_not_meet(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    changes, approvals = tmp_path / "a" / "export.csv", tmp_path / "b" / "export.csv"
    changes.write_bytes(as_csv([change(number="CHG1")]))
    approvals.write_bytes(as_csv([approval(sysapproval="CHG1")]))
    source = ServicenowSource(changes, zone=ZONE, approvals=approvals)
    before = source.state()
    assert "approval-1" in only(items_of(source))["evidence"]
    assert source.rows() == [1, 1]
    assert source.declared() is None
    approvals.write_bytes(as_csv([approval(sysapproval="CHG1")] * 2))
    assert source.state() != before
