"""Exports of deployments: rows read, rows refused, and files that were not written to their end."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from countersign.changes.deployment import Deployment
from countersign.changes.sources.deployments import DeploymentsSource
from countersign.changes.sources.interface import Item, Unreadable
from countersign.errors import SourceError
from countersign.policy import Policy
from tests.conftest import items_of

FIELDS = ("id", "environment", "system", "revision", "at", "by", "pipeline", "change")
ROW = ("D-1", "production", "billing", "4f2a9c1d7e", "2026-11-20T10:00:00Z", "deployer", "pipeline:cd", "CHG-1")


def json_lines(*rows: Any) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def comma_separated(*rows: tuple[str, ...], header: tuple[str, ...] = FIELDS) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([header, *rows])
    return text.getvalue().encode()


def read(tmp_path: Path, policy: Policy, name: str, content: bytes) -> list[Item]:
    path = tmp_path / name
    path.write_bytes(content)
    source = DeploymentsSource(path, policy.limits)
    items = items_of(source)
    assert (source.rows(), source.declared()) == ([len(items)], None)
    return items


def refused(tmp_path: Path, policy: Policy, name: str, content: bytes) -> str:
    with pytest.raises(SourceError) as error:
        read(tmp_path, policy, name, content)
    return str(error.value).removeprefix(f"{tmp_path / name}: ")


def test_both_forms_say_the_same(tmp_path: Path, policy: Policy) -> None:
    row = dict(zip(FIELDS, ROW, strict=True))
    (one,) = read(tmp_path, policy, "d.jsonl", json_lines(row))
    (other,) = read(tmp_path, policy, "d.csv", comma_separated(ROW))
    assert isinstance(one, Deployment)
    assert isinstance(other, Deployment)
    assert one.content == other.content
    assert (one.pipeline, one.change, one.by) == ("pipeline:cd", "CHG-1", "deployer")
    assert (one.where, other.where) == (f"{tmp_path}/d.jsonl:1", f"{tmp_path}/d.csv:2")


def test_columns_stand_in_any_order_and_what_is_optional_may_be_missing_or_empty(
    tmp_path: Path, policy: Policy
) -> None:
    short = comma_separated(tuple(reversed(ROW[:6])), header=tuple(reversed(FIELDS[:6])))
    empty = comma_separated((*ROW[:6], "", ""))
    marked = b"\xef\xbb\xbf" + empty.replace(b"\r\n", b"\n") + b"\n"
    found = [read(tmp_path, policy, "d.csv", content) for content in (short, empty, marked)]
    contents = {item.content for (item,) in found if isinstance(item, Deployment)}
    assert len(contents) == 1


def test_a_bad_row_is_refused_in_its_place_and_the_others_are_read(tmp_path: Path, policy: Policy) -> None:
    good = dict(zip(FIELDS, ROW, strict=True))
    items = read(
        tmp_path, policy, "d.ndjson", json_lines(good, {**good, "at": "noon"}, 7) + b"{\n\n" + json_lines(good)
    )
    reasons = [(item.where.split(":")[-1], item.reason) for item in items if isinstance(item, Unreadable)]
    assert [place for place, _ in reasons] == ["2", "3", "4"]
    assert [reason.split(";")[0][:30] for _, reason in reasons] == [
        "at: needs a date, a time and a", "a deployment is a JSON object ", "not JSON: Expecting property n",
    ]  # fmt: skip
    assert [type(item) for item in items].count(Deployment) == 2
    short = read(tmp_path, policy, "d.csv", comma_separated(ROW, ROW[:3], (*ROW, "more"), ("", *ROW[1:])))
    assert [item.reason for item in short if isinstance(item, Unreadable)] == [
        "has 3 cells where the header has 8", "has 9 cells where the header has 8", "id: must not be empty",
    ]  # fmt: skip


def test_a_cell_may_hold_what_separates_rows(tmp_path: Path, policy: Policy) -> None:
    (item,) = read(
        tmp_path, policy, "d.csv", comma_separated((*ROW[:5], "Example\u2028 Deployer, 'the \"first\"'", "", ""))
    )
    assert isinstance(item, Unreadable)
    assert item.reason.startswith("by: holds a control character")
    (item,) = read(tmp_path, policy, "d.csv", comma_separated((*ROW[:5], "Deployer, Example", "", "")))
    assert isinstance(item, Deployment)
    assert item.by == "Deployer, Example"


def test_a_complete_last_line_needs_no_end_where_its_form_shows_that_it_is(tmp_path: Path, policy: Policy) -> None:
    (item,) = read(tmp_path, policy, "d.jsonl", json_lines(dict(zip(FIELDS, ROW, strict=True))).rstrip())
    assert isinstance(item, Deployment)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("d.jsonl", b"", "empty; an export that holds nothing is no export"),
        ("d.csv", b"\n", "empty; an export that holds nothing is no export"),
        ("d.jsonl", json_lines({"id": "D-1"}) + b'{"id": "D-', "cut off in line 2; export it again, whole"),
        ("d.csv", comma_separated(ROW, ROW)[:-2], "cut off in line 3; export it again, whole"),
        (
            "d.csv",
            comma_separated(ROW) + b'"D-2"x,prod\r\n',
            "not CSV at line 3: ',' expected after '\"'; export it again, whole",
        ),
        (
            "d.csv",
            comma_separated(ROW) + b'D-2,"prod\r\n',
            "not CSV at line 3: unexpected end of data; export it again, whole",
        ),
        ("d.csv", b"id,environment\r\n", "the header misses system, revision, at, by; the columns are id, environment"),
        ("d.csv", comma_separated(header=(*FIELDS, "user")), "the header has 'user', which is no column or"),
        ("d.csv", comma_separated(header=(*FIELDS, "id")), "the header has 'id', which is no column or there twice"),
        ("d.csv", b"id,\xff\r\n", "not UTF-8: byte 3 cannot be decoded; export it as UTF-8"),
        ("d.xlsx", b"PK", "ends in none of .jsonl, .ndjson and .csv; rename it"),
    ],
    ids=["empty", "blank", "cut_json", "cut_row", "odd_quote", "cut_in_quotes", "header_misses", "header_more",
         "header_twice", "not_utf8", "another_form"],
)  # fmt: skip
def test_what_is_no_whole_export_is_an_error(
    name: str, content: bytes, said: str, tmp_path: Path, policy: Policy
) -> None:
    assert refused(tmp_path, policy, name, content).startswith(said)


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path, policy: Policy) -> None:
    source = DeploymentsSource(tmp_path / "none.csv", policy.limits)
    with pytest.raises(SourceError, match="cannot be read"):
        items_of(source)
    with pytest.raises(SourceError, match="cannot be read"):
        source.state()
