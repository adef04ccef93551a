"""Words from outside stay inside their cell of a metadata table."""

import re
from datetime import date
from pathlib import Path

import pytest

from assets.metadata import needs_table, reading_metadata, table
from countersign.evidence.register import IntakeTotals
from countersign.runs.daywork import Needed, Reading

HOSTILE = {
    "pipes": "a | b || c",
    "an escaped pipe": "a \\| b",
    "trailing backslash": "ends with \\",
    "newlines": "a\n| forged | COMPLETED |\r\nb\x0b\x0cc\x85d\u2028e",
    "code": "`code` ```fence",
    "a link": "[press me](javascript:alert(1))",
    "a picture": "![x](https://example.com/track.png)",
    "html": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "emphasis": "*all* __fine__",
    "an autolink": "<https://example.com>",
}


@pytest.mark.parametrize("words", HOSTILE.values(), ids=HOSTILE)
def test_a_cell_is_one_line_without_markup_and_says_the_same(words: str) -> None:
    lines = table(("where", "finding"), [(words, "next")]).value.split("\n")
    assert len(lines) == 3
    assert len(lines[2].splitlines()) == 1
    unescaped = re.sub(r"\\[\\|`<>\[\]*_]", "", lines[2])
    assert unescaped.count("|") == 3
    assert not re.search(r"[\\`<>\[\]*_]", unescaped)
    cell = lines[2].removeprefix("| ").removesuffix(" | next |")
    assert re.sub(r"\\(.)", r"\1", cell) == " ".join(words.split())


def needed(number: int, reason: str = "due") -> Needed:
    return Needed(f"change-{number}", f"CHG-{number}", "BLOCKED", reason, Path("/evidence") / str(number))


@pytest.mark.parametrize("words", HOSTILE.values(), ids=HOSTILE)
def test_a_reason_from_outside_adds_no_row(words: str) -> None:
    assert len(needs_table([needed(1, words), needed(2)]).value.splitlines()) == 4


def test_a_long_list_is_cut_and_says_so() -> None:
    shown = needs_table([needed(number) for number in range(60)]).value
    assert shown.count("| CHG-") == 50
    assert shown.endswith("… and 10 more")


def test_a_broken_source_is_told_from_an_empty_one() -> None:
    assert reading_metadata(Reading("empty", IntakeTotals()))["totals"].data["read"] == 0
    gone = reading_metadata(Reading("gone", IntakeTotals(), "cannot be read"))
    assert {name: value.value for name, value in gone.items()} == {"broken": "cannot be read"}


def test_dates_and_numbers_are_printed_as_they_are() -> None:
    assert table(("day", "n"), [(date(2026, 11, 20), 3)]).value.endswith("| 2026-11-20 | 3 |")
