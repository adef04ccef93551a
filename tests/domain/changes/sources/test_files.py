"""Payloads in files: every place that was read gives an item, and what cannot be read is never a smaller population."""

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest

from countersign.changes.payload import accept
from countersign.changes.sources.files import FilesSource, StreamSource, payload_files
from countersign.changes.sources.interface import Item, Record, Unreadable
from countersign.errors import PayloadError, SourceError
from countersign.policy import Limits
from tests.conftest import items_of, payload_with

LIMITS = Limits()
ONE, TWO = payload_with(id="CHG-1"), payload_with(id="CHG-2")
LINE_1, LINE_2 = json.dumps(ONE).encode(), json.dumps(TWO).encode()


def ids(items: list[Item]) -> list[str | None]:
    """The change ids of records, None for each that could not be read."""
    return [item.payload["id"] if isinstance(item, Record) else None for item in items]


def read(path: Path, limits: Limits = LIMITS) -> list[Item]:
    return items_of(FilesSource(path, limits))


def stream(content: bytes, limits: Limits = LIMITS) -> list[Item]:
    return items_of(StreamSource(io.BytesIO(content), limits))


CONTENT: dict[str, tuple[str, bytes, list[str | None]]] = {
    "json": ("a.json", LINE_1, ["CHG-1"]),
    "json_over_lines": ("a.json", json.dumps(ONE, indent=2).encode(), ["CHG-1"]),
    "json_list": ("a.json", b" [" + LINE_1 + b"," + LINE_2 + b"]", ["CHG-1", "CHG-2"]),
    "json_empty_list": ("a.json", b"[]", []),
    "json_lines": ("a.jsonl", LINE_1 + b"\n" + LINE_2 + b"\n", ["CHG-1", "CHG-2"]),
    "json_lines_without_a_last_newline": ("a.ndjson", LINE_1 + b"\n" + LINE_2, ["CHG-1", "CHG-2"]),
    "json_lines_with_blanks": ("a.jsonl", b"\n" + LINE_1 + b"\n \n\r\n" + LINE_2, ["CHG-1", "CHG-2"]),
    "one_broken_line": ("a.jsonl", LINE_1 + b"\n{broken\n" + LINE_2 + b"\n", ["CHG-1", None, "CHG-2"]),
    "line_not_utf8": ("a.jsonl", b'{"id": "\xff"}\n' + LINE_2, [None, "CHG-2"]),
    "line_with_duplicate_keys": ("a.jsonl", b'{"id": "A", "id": "B"}\n' + LINE_2, [None, "CHG-2"]),
    "cut_off_line": ("a.jsonl", LINE_1 + b"\n" + LINE_2[:-1], ["CHG-1", None]),
    "cut_off_document": ("a.json", LINE_1[:-1], [None]),
    "empty_document": ("a.json", b"", [None]),
    "empty_lines_file": ("a.jsonl", b"", []),
}


@pytest.mark.parametrize("case", CONTENT)
def test_file_gives_an_item_for_each_payload_in_it(case: str, tmp_path: Path) -> None:
    name, content, expected = CONTENT[case]
    (tmp_path / name).write_bytes(content)
    assert ids(read(tmp_path / name)) == expected
    assert ids(read(tmp_path)) == expected


@pytest.mark.parametrize("case", [case for case in CONTENT if "empty_document" not in case])
def test_stream_gives_what_a_file_gives(case: str) -> None:
    _, content, expected = CONTENT[case]
    assert ids(stream(content)) == expected


def test_places_name_file_line_and_position(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"[" + LINE_1 + b"," + LINE_2 + b"]")
    (tmp_path / "b.jsonl").write_bytes(LINE_1 + b"\n\n{broken\n")
    (tmp_path / "c.json").write_bytes(LINE_1)
    assert [item.where.removeprefix(f"{tmp_path}/") for item in read(tmp_path)] == [
        "a.json[0]", "a.json[1]", "b.jsonl:1", "b.jsonl:3", "c.json",
    ]  # fmt: skip
    assert [item.where for item in stream(LINE_1 + b"\n{")] == ["-:1", "-:2"]


def test_what_could_not_be_read_is_kept_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"id": NaN}\n')
    (item,) = read(tmp_path)
    assert isinstance(item, Unreadable)
    assert (item.content, item.change_id) == (b'{"id": NaN}\n', None)
    assert "NaN is not JSON" in item.reason


@pytest.mark.parametrize("value", [3, "text", None, [[]]], ids=["number", "text", "null", "list_in_a_list"])
def test_a_value_that_is_no_object_is_a_record_that_is_refused_later(value: Any, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(value))
    (item,) = read(tmp_path)
    assert isinstance(item, Record)
    with pytest.raises(PayloadError, match="a payload is a JSON object"):
        accept(item.payload, LIMITS)


def test_files_come_in_the_order_of_their_names_and_others_are_left_alone(tmp_path: Path) -> None:
    for name in ("b.json", "a.jsonl", "c.ndjson", ".hidden.json", ".a.json.tmp", "d.json.part", "notes.txt", "e.JSON"):
        (tmp_path / name).write_bytes(LINE_1)
    (tmp_path / "folder.json").mkdir()
    assert [path.name for path in payload_files(tmp_path)] == ["a.jsonl", "b.json", "c.ndjson"]


def test_a_file_that_is_named_is_read_whatever_its_name(tmp_path: Path) -> None:
    (tmp_path / ".payloads.txt").write_bytes(LINE_1 + b"\n" + LINE_2)
    assert ids(read(tmp_path / ".payloads.txt")) == ["CHG-1", "CHG-2"]


def test_an_empty_folder_has_nothing_and_a_missing_one_is_an_error(tmp_path: Path) -> None:
    assert read(tmp_path) == []
    for source in (FilesSource(tmp_path / "missing", LIMITS), FilesSource(tmp_path / "no" / "such.json", LIMITS)):
        with pytest.raises(SourceError, match="cannot be read: No such file or directory; name a file or a folder"):
            items_of(source)
        with pytest.raises(SourceError):
            source.state()


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_a_file_that_breaks_off_is_an_error_and_not_a_smaller_population(name: str, tmp_path: Path) -> None:
    """The memory of a process is a file that can be opened and not read."""
    (tmp_path / name).symlink_to("/proc/self/mem")
    with pytest.raises(SourceError, match=f"{name}: cannot be read: Input/output error"):
        read(tmp_path)


def test_a_file_that_vanishes_while_reading_is_an_error(tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_bytes(LINE_1)
    items = FilesSource(tmp_path, LIMITS).items([])
    next(items)
    (tmp_path / "b.json").unlink()
    with pytest.raises(SourceError, match=r"b\.json"):
        next(items)


def test_a_name_of_any_bytes_gives_a_place_that_can_be_stored(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.json"))
    path.write_bytes(LINE_1)
    (item,) = read(tmp_path)
    assert item.where.endswith("caf\\xe9.json")
    assert item.where.encode()
    assert FilesSource(tmp_path, LIMITS).state()


SMALL = Limits(payload_bytes=len(LINE_1) + 5)


def test_a_list_may_be_larger_than_one_payload_and_a_payload_may_not(tmp_path: Path) -> None:
    together = b"[" + LINE_1 + b"," + LINE_2 + b"]"
    (tmp_path / "a.json").write_bytes(together)
    assert ids(read(tmp_path, SMALL)) == ids(stream(together, SMALL)) == ["CHG-1", "CHG-2"]
    (tmp_path / "a.json").write_bytes(LINE_1 + b" " * 6)
    (item,) = read(tmp_path, SMALL)
    assert isinstance(item, Unreadable)
    assert "bytes; the limit is" in item.reason


def test_state_differs_when_there_is_something_else_to_read(tmp_path: Path) -> None:
    source = FilesSource(tmp_path, LIMITS)
    states = [source.state()]
    (tmp_path / "a.json").write_bytes(LINE_1)
    states += [source.state(), source.state()]
    (tmp_path / "a.json").rename(tmp_path / "b.json")
    states.append(source.state())
    (tmp_path / ".c.json").write_bytes(LINE_1)
    states.append(source.state())
    assert [states.index(state) for state in states] == [0, 1, 1, 3, 3]
    assert StreamSource(io.BytesIO(), LIMITS).state() is None


def test_files_declare_no_total_of_their_own(tmp_path: Path) -> None:
    assert FilesSource(tmp_path, LIMITS).declared() is None
    assert StreamSource(io.BytesIO(), LIMITS).declared() is None
