"""The quick way through a chain against the strict one: it says yes to nothing that the strict one would not."""

import io
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.evidence.lines import Draft, Scan
from countersign.evidence.rawchain import Followed, follow
from tests.domain.evidence.conftest import chained

_DRAFTS = st.lists(
    st.builds(
        Draft,
        st.sampled_from(["noticed", "recovered"]),
        st.just("countersign"),
        st.dictionaries(
            st.sampled_from(["a", "b"]), st.text(max_size=5) | st.dictionaries(st.just("texts"), st.text())
        ),
        st.dictionaries(st.text(max_size=4), st.text(max_size=6), max_size=3),
    ),
    min_size=1,
    max_size=5,
)


def strict(content: bytes) -> Followed | None:
    scan = Scan(io.BytesIO(content))
    entries = list(scan)
    whole = scan.fault is None and not scan.torn and scan.incomplete is None
    return Followed(scan.head, scan.count) if whole and entries else None


@given(_DRAFTS)
def test_a_whole_chain_ends_where_the_strict_reading_ends(drafts: list[Draft]) -> None:
    content = chained(drafts)
    found = follow(io.BytesIO(content))
    awkward = any(',"' in name or "texts" in str(draft.data) for draft in drafts for name in ("", *draft.texts))
    assert found == strict(content) or (found is None and awkward)


@given(_DRAFTS, st.data())
def test_no_other_bytes_lead_to_the_same_head(drafts: list[Draft], data: st.DataObject) -> None:
    content = chained(drafts)
    at = data.draw(st.integers(0, len(content) - 1))
    what = data.draw(st.sampled_from(["changed", "lost", "doubled", "cut"]))
    other = {
        "changed": content[:at] + bytes([content[at] ^ data.draw(st.integers(1, 255))]) + content[at + 1 :],
        "lost": content[:at] + content[at + 1 :],
        "doubled": content[:at] + b"\n" + content[at:],
        "cut": content[:at],
    }[what]
    whole, found = strict(content), follow(io.BytesIO(other))
    assert whole is not None
    assert found is None or found.head != whole.head


_ONE = Draft("noticed", "countersign", {}, {"a": "first", "b": "second"})


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: [],
        lambda lines: [*lines, b"\n"],
        lambda lines: lines[:2],
        lambda lines: [lines[0], lines[2], lines[1], *lines[3:]],
        lambda lines: [lines[0], lines[1], lines[1], lines[2], *lines[3:]],
        lambda lines: [*lines[:2], *lines[3:]],
        lambda lines: [*lines[:-1], lines[-1][:-1]],
        lambda lines: lines[1:],
    ],
    ids=["empty", "blank", "texts-missing", "swapped", "doubled", "lost", "torn", "headless"],
)
def test_what_is_not_plainly_whole_is_left_to_the_strict_reading(change: Callable[[list[bytes]], list[bytes]]) -> None:
    lines = chained([_ONE, Draft("noticed", "countersign")]).splitlines(keepends=True)
    assert follow(lines) is not None
    assert follow(change(lines)) is None


def test_a_text_outside_is_left_to_the_strict_reading() -> None:
    assert follow(io.BytesIO(chained([Draft("noticed", "countersign", {}, {"long": "x" * 70_000})]))) is None
