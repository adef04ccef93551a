import hashlib
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from countersign.errors import EvidenceError
from countersign.evidence.lines import BLOB_OVER, MAX_LINE, OWNED, ZERO, Draft, Encoded, Scan, encode, parse_line
from tests.conftest import Counted
from tests.domain.evidence.conftest import AT, chained

_THREE = [
    Draft("ingested", "countersign", {"n": 1}, {"where": "inbox/a.json", "said": "first words"}),
    Draft("assessed", "countersign", {"controls": [{"id": "CM-01"}]}, {"reason": "second words"}),
    Draft("gated", "countersign", {"decision": "passed"}),
]
_words = st.text(st.characters(codec="utf-8"), max_size=12)
_plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | _words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_words, inner, max_size=3),
    max_leaves=6,
)
_fields = _words.filter(lambda name: name not in (*OWNED, "damaged"))
_drafts = st.builds(
    Draft,
    _words,
    _words,
    st.dictionaries(_fields, _plain, max_size=3),
    st.dictionaries(_words, _words, max_size=3),
)


def encoded(draft: Draft) -> Encoded:
    return encode(draft, prev=ZERO, seq=0, at=AT, entropy=Counted())


def told(scan: Scan) -> tuple[object, ...]:
    """All that a scan says once it is over."""
    ends = (scan.head, scan.seq, scan.count, scan.lines)
    return (scan.fault, scan.torn, scan.damage, scan.damaged_lines, scan.incomplete, *ends)


def scanned(content: bytes, resolve: Callable[[str], bytes | None] = lambda _: None) -> Scan:
    """A scan that was iterated; judging the same bytes without making entries must have told the same."""
    scan, judged = Scan(io.BytesIO(content), resolve), Scan(io.BytesIO(content), resolve)
    list(scan)
    judged.judge()
    assert told(judged) == told(scan)
    return scan


def kind_of(content: bytes) -> str | None:
    fault = scanned(content).fault
    return fault.kind if fault else None


def lines_of(drafts: list[Draft]) -> list[bytes]:
    return chained(drafts).splitlines(keepends=True)


def test_an_event_line_is_compact_json_in_the_documented_order_and_its_texts_follow() -> None:
    event, where, said = lines_of(_THREE[:1])
    assert event.startswith(
        b'{"prev":"' + b"0" * 64 + b'","seq":0,"ts":"2026-11-23T14:00:00.000000Z","event":"ingested"'
    )
    assert json.loads(where) == {"text": "where", "salt": f"{1:032x}", "value": "inbox/a.json"}
    assert json.loads(event)["texts"] == {
        "where": hashlib.sha256(where).hexdigest(),
        "said": hashlib.sha256(said).hexdigest(),
    }


def test_every_text_has_a_salt_of_its_own_from_the_source_it_was_given() -> None:
    drawn: list[int] = []

    def entropy(size: int) -> bytes:
        drawn.append(size)
        return bytes(range(size))

    texts = {f"text {number}": "the same words" for number in range(12)}
    lines = encode(Draft("ingested", "x", {}, texts), prev=ZERO, seq=0, at=AT, entropy=entropy).content.splitlines()
    salts = [json.loads(line)["salt"] for line in lines[1:]]
    assert drawn == [16 * 12]
    assert [bytes.fromhex(salt) for salt in salts] == [bytes(range(16 * n, 16 * n + 16)) for n in range(12)]


def test_each_event_carries_the_digest_of_the_event_line_before_it() -> None:
    lines = lines_of(_THREE)
    events = [line for line in lines if line.startswith(b'{"prev"')]
    heads = [hashlib.sha256(line).hexdigest() for line in events]
    assert [json.loads(line)["prev"] for line in events] == [ZERO, *heads[:-1]]
    assert [entry.head for entry in Scan(lines)] == heads


@pytest.mark.parametrize("field", OWNED)
def test_a_field_of_the_writer_cannot_be_passed_in(field: str) -> None:
    with pytest.raises(EvidenceError, match=f"{field}.*belongs to the writer"):
        encoded(Draft("event", "actor", {field: "mine"}))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        pytest.param({"a": 1.0}, "whole numbers", id="float"),
        pytest.param({"a": [{"b": float("nan")}]}, "whole numbers", id="nan-inside"),
        pytest.param({"a": float("inf")}, "whole numbers", id="infinity"),
        pytest.param({"a": {1: "x"}}, "a key must be text", id="number-as-key"),
        pytest.param({"a": {None: "x"}}, "a key must be text", id="none-as-key"),
        pytest.param({"a": b"bytes"}, "whole numbers", id="bytes"),
        pytest.param({"a": {1, 2}}, "whole numbers", id="set"),
        pytest.param({"a": AT}, "whole numbers", id="time"),
        pytest.param({"a": 2**64}, "cannot be written", id="over-64-bits"),
        pytest.param({"a": "\ud800"}, "cannot be written", id="lone-surrogate"),
        pytest.param({"a": "x" * MAX_LINE}, "the limit is", id="line-over-16-MiB"),
    ],
)
def test_what_json_would_bend_is_refused(data: dict[str, Any], says: str) -> None:
    with pytest.raises(EvidenceError, match=says):
        encoded(Draft("event", "actor", data))


def test_a_text_line_over_16_mib_is_refused() -> None:
    with pytest.raises(EvidenceError, match="text words: the line would be"):
        encoded(Draft("event", "actor", {}, {"words": "x" * MAX_LINE}))


def test_a_line_of_exactly_16_mib_is_written_and_read() -> None:
    room = MAX_LINE - len(encoded(Draft("event", "actor", {"a": ""})).content)
    line = encoded(Draft("event", "actor", {"a": "x" * room})).content
    assert len(line) == MAX_LINE
    assert kind_of(line) is None
    assert parse_line(line[:-3] + b'x"}\n') is None
    with pytest.raises(EvidenceError, match="the limit is"):
        encoded(Draft("event", "actor", {"a": "x" * (room + 1)}))


@given(st.lists(_drafts, max_size=4))
@settings(max_examples=60)
def test_whatever_is_written_is_read_back_the_same(drafts: list[Draft]) -> None:
    scan = Scan(chained(drafts).splitlines(keepends=True))
    entries = list(scan)
    assert (scan.fault, scan.torn, scan.incomplete, scan.count) == (None, False, None, len(drafts))
    assert [Draft(entry.event, entry.actor, entry.data, entry.texts) for entry in entries] == drafts


@given(st.lists(_drafts, min_size=2, max_size=4), st.data())
@settings(max_examples=150)
def test_a_byte_changed_anywhere_but_in_the_last_event_line_is_found(drafts: list[Draft], data: st.DataObject) -> None:
    """Only the last event line is not vouched for by a line after it; its head is what the register keeps."""
    content = bytearray(chained(drafts))
    last = content.rindex(b'{"prev":"')
    vouched = [*range(last), *range(content.index(b"\n", last) + 1, len(content))]
    at = data.draw(st.sampled_from(vouched))
    content[at] ^= data.draw(st.integers(1, 255))
    scan = scanned(bytes(content))
    assert scan.fault or scan.incomplete or scan.torn


def _swap(lines: list[bytes], one: int, other: int) -> bytes:
    lines[one], lines[other] = lines[other], lines[one]
    return b"".join(lines)


@pytest.mark.parametrize(
    ("damage", "kind", "line"),
    [
        pytest.param(lambda c: c.replace(b'"n":1', b'"n":1,"n":1'), "unreadable", 1, id="duplicate-key"),
        pytest.param(lambda c: c.replace(b'"n":1', b'"n": 1'), "unreadable", 1, id="white-space"),
        pytest.param(lambda c: c.replace(b'"n":1', b'"n":NaN'), "unreadable", 1, id="nan"),
        pytest.param(lambda c: c.replace(b"CM-01", b"CM-\xff1"), "unreadable", 4, id="not-utf-8"),
        pytest.param(lambda c: c.replace(b'}\n{"prev"', b'}\n\n{"prev"', 1), "unreadable", 4, id="blank-line"),
        pytest.param(lambda c: c + b"\n", "unreadable", 7, id="blank-line-at-the-end"),
        pytest.param(lambda c: b"[]\n" + c, "unreadable", 1, id="not-an-object"),
        pytest.param(lambda c: b"\n\n" + c, "unreadable", 1, id="two-unreadable-lines"),
        pytest.param(lambda c: b'{"a":' * 300 + b"1" + b"}" * 300 + b"\n" + c, "unreadable", 1, id="deep-nesting"),
        pytest.param(lambda c: c.replace(b'"n":1', b'"n":2'), "broken_chain", 4, id="changed-event"),
        pytest.param(lambda c: _swap(c.splitlines(True), 3, 5), "broken_chain", 4, id="swapped-events"),
        pytest.param(lambda c: _swap(c.splitlines(True), 1, 2), "text_changed", 2, id="swapped-texts"),
        pytest.param(lambda c: c.replace(b"first", b"other"), "text_changed", 3, id="changed-text"),
        pytest.param(lambda c: c.replace(f"{1:032x}".encode(), b"0" * 32), "text_changed", 2, id="changed-salt"),
        pytest.param(
            lambda c: b"".join(c.splitlines(True)[:2] + c.splitlines(True)[3:]), "text_missing", 3, id="text-cut"
        ),
        pytest.param(lambda c: b"".join(c.splitlines(True)[3:]), "broken_chain", 1, id="first-event-cut"),
        pytest.param(lambda c: c + c.splitlines(True)[1], "unreadable", 7, id="text-that-no-event-names"),
        pytest.param(
            lambda c: c + chained(_THREE[:1], prev=scanned(c).head, seq=4), "bad_event", 7, id="skipped-number"
        ),
    ],
)
def test_what_is_wrong_with_a_log_is_named_with_its_line(
    damage: Callable[[bytes], bytes], kind: str, line: int
) -> None:
    content = chained(_THREE)
    assert kind_of(content) is None
    damaged = damage(content)
    fault = scanned(damaged).fault
    assert damaged != content
    assert fault is not None
    assert (fault.kind, fault.line) == (kind, line)
    assert fault.detail


@pytest.mark.parametrize(
    "event",
    [
        pytest.param({"seq": 0, "prev": ZERO, "ts": "t", "event": "e", "actor": "a"}, id="other-order"),
        pytest.param({"prev": ZERO, "seq": "0", "ts": "t", "event": "e", "actor": "a"}, id="number-as-text"),
        pytest.param({"prev": ZERO, "seq": 0, "ts": 1, "event": "e", "actor": "a"}, id="time-as-number"),
        pytest.param({"prev": ZERO, "seq": 0, "ts": "t", "event": "e"}, id="no-actor"),
        pytest.param({"prev": ZERO, "seq": 0, "ts": "t", "event": "e", "actor": "a", "texts": 5}, id="texts-no-object"),
        pytest.param(
            {"prev": ZERO, "seq": 0, "ts": "t", "event": "e", "actor": "a", "blobs": {"a": "/dev/zero"}},
            id="blob-that-is-a-path",
        ),
    ],
)
def test_an_event_not_of_its_form_is_named(event: dict[str, Any]) -> None:
    assert kind_of(json.dumps(event, separators=(",", ":")).encode() + b"\n") == "bad_event"


def test_a_scan_goes_on_from_an_event_that_was_read_before() -> None:
    lines = lines_of(_THREE)
    first = hashlib.sha256(lines[0]).hexdigest()
    scan = Scan(lines[3:], prev=first, seq=0)
    assert [entry.seq for entry in scan] == [1, 2]
    assert scan.fault is None


@given(st.lists(_drafts | st.builds(Draft, _words, _words), max_size=6), st.data())
@settings(max_examples=200)
def test_judging_tells_what_iterating_tells_wherever_the_bytes_are_spoiled(
    drafts: list[Draft], data: st.DataObject
) -> None:
    content = bytearray(chained(drafts))
    for _ in range(data.draw(st.integers(0, 2)) if content else 0):
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    scanned(bytes(content))


def test_judging_goes_on_from_an_event_that_was_read_before() -> None:
    lines = lines_of([Draft("first", "a"), Draft("second", "b"), *_THREE])
    scan = Scan(lines[1:], prev=hashlib.sha256(lines[0]).hexdigest(), seq=0)
    scan.judge()
    assert (scan.fault, scan.seq, scan.count, scan.lines) == (None, 4, 4, 7)
    assert scan.head == scanned(b"".join(lines)).head


def test_a_last_line_without_newline_is_torn_and_not_an_event() -> None:
    lines = lines_of(_THREE)
    scan = scanned(b"".join(lines)[:-1])
    assert (scan.torn, scan.fault, scan.count) == (True, None, 2)


def test_an_event_whose_texts_are_not_all_there_at_the_end_is_incomplete() -> None:
    scan = scanned(b"".join(lines_of(_THREE)[:2]))
    assert scan.fault is None
    assert scan.incomplete is not None
    assert (scan.incomplete.texts, scan.incomplete.missing) == ({"where": "inbox/a.json"}, frozenset({"said"}))


def blob_case(size: int) -> tuple[Encoded, str]:
    words = "x" * size
    return encoded(Draft("event", "actor", {}, {"long": words, "short": "y"})), words


def test_a_text_over_64_kib_lies_outside_and_is_read_through_its_digest() -> None:
    line, words = blob_case(BLOB_OVER)
    (blob,) = line.blobs
    assert len(line.content) < 1000
    (entry,) = Scan(line.content.splitlines(keepends=True), {hashlib.sha256(blob).hexdigest(): blob}.get)
    assert (entry.texts, entry.missing) == ({"long": words, "short": "y"}, frozenset())


def test_a_text_whose_line_is_just_64_kib_stays_inside() -> None:
    frame = len(blob_case(1)[0].content.splitlines(keepends=True)[1]) - 1
    inside, _ = blob_case(BLOB_OVER - frame)
    assert inside.blobs == ()
    assert len(inside.content.splitlines(keepends=True)[1]) == BLOB_OVER
    assert len(blob_case(BLOB_OVER - frame + 1)[0].blobs) == 1


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(None, id="missing"),
        pytest.param(b'{"text":"long","salt":"00","value":"other"}\n', id="other-bytes"),
        pytest.param(b"not a text\n", id="no-text"),
    ],
)
def test_a_blob_that_is_not_what_the_event_names_is_missing(found: bytes | None) -> None:
    line, _ = blob_case(BLOB_OVER)
    (entry,) = Scan(line.content.splitlines(keepends=True), lambda _: found)
    assert (entry.missing, entry.texts) == (frozenset({"long"}), {"short": "y"})


@pytest.mark.parametrize(
    "blob",
    [b'{"text":"other","salt":"00","value":"x"}\n', b'{"text":"long"}\n', b'{"text":"long","value":7}\n', b"[1]\n"],
    ids=["other-name", "no-value", "value-no-text", "no-object"],
)
def test_a_forged_blob_with_a_good_digest_is_missing_and_raises_nothing(blob: bytes) -> None:
    event: dict[str, Any] = {"prev": ZERO, "seq": 0, "ts": "t", "event": "e", "actor": "a"}
    event["blobs"] = {"long": hashlib.sha256(blob).hexdigest()}
    (entry,) = Scan([json.dumps(event, separators=(",", ":")).encode() + b"\n"], lambda _: blob)
    assert entry.missing == {"long"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"seq":1,', b'"seq":true,'),
        (b'"seq":1,', b'"seq":1.0,'),
        (b'"seq":1,', b'"seq":2,'),
        (b'"seq":1,"ts":"2026-11-23T14:00:00.000000Z"', b'"seq":1,"ts":5'),
        (b'"event":"second"', b'"event":null'),
        (b'"actor":"b"', b'"actor":["b"]'),
        (b'"event":"second","actor":"b"', b'"actor":"b","event":"second"'),
        (b'"event":"second","actor":"b"', b'"actor":"b"'),
        (b'"event":"second"', b'"event":"recovered"'),
        (b'"n":1', b'"texts":{"a":"none"}'),
        (b'"n":1', b'"blobs":["a"]'),
    ],
)
def test_what_is_only_nearly_usual_is_judged_in_full(old: bytes, new: bytes) -> None:
    """The quick look takes nothing that the strict one would not; a recovery of nothing is a plain event."""
    content = chained([Draft("first", "a"), Draft("second", "b", {"n": 1})])
    assert content.count(old) == 1
    scan = scanned(content.replace(old, new))
    assert (scan.fault is None) is (new == b'"event":"recovered"')
    assert scan.fault is None or scan.fault.kind == "bad_event"
