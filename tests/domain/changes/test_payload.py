"""Each way for a payload to be wrong gets one refusal that names the field and says what would be right."""

import base64
import hashlib
import json
import re
from datetime import UTC, datetime
from typing import Any

import jsonschema
import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from countersign.changes.payload import (
    Change,
    Payload,
    accept,
    parse_record,
    payload_schema,
)
from countersign.errors import PayloadError, printable
from countersign.policy import Limits
from tests.conftest import payload_with

LIMITS = Limits()
SMALL = Limits(evidence_bytes=100, payload_bytes=2000)
CONTENT = b"the test report"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def item(**changes: Any) -> dict[str, Any]:
    return {"kind": "test", "text": "48 passed, 0 failed", **changes}


def attached(**changes: Any) -> dict[str, Any]:
    attachment = {"name": "report.txt", "sha256": SHA256, "bytes": len(CONTENT), **changes}
    return {"evidence": {"tests": item(attachments=[attachment])}}


def refused(value: object, limits: Limits = LIMITS) -> PayloadError:
    with pytest.raises(PayloadError) as refusal:
        accept(value, limits)
    return refusal.value


NESTED: dict[str, Any] = {}
_inner = NESTED
for _ in range(100_000):
    _inner["x"] = {}
    _inner = _inner["x"]

# name: (fields that differ from a good payload; None removes one), the field named, what the message says
BAD: dict[str, tuple[dict[str, Any], str, str]] = {
    "change_type_standard": ({"change_type": "standard"}, "change_type", "say 'preapproved'.*or 'normal'"),
    "change_type_unknown": ({"change_type": "urgent"}, "change_type", "'normal', 'preapproved' or 'emergency'"),
    "id_missing": ({"id": None}, "id", "is missing; it is required"),
    "system_missing": ({"system": None}, "system", "is missing"),
    "summary_missing": ({"summary": None}, "summary", "is missing"),
    "author_missing": ({"author": None}, "author", "is missing"),
    "evidence_missing": ({"evidence": None}, "evidence", "is missing"),
    "field_unknown": ({"colour": "blue"}, "colour", "is not a field.*payload schema"),
    "field_unknown_in_evidence": ({"evidence": {"t": item(colour="blue")}}, "evidence.t.colour", "is not a field"),
    "kind_missing": ({"evidence": {"t": {"text": "all well"}}}, "evidence.t.kind", "is missing"),
    "kind_unknown": ({"evidence": {"t": item(kind="rumour")}}, "evidence.t.kind", "'approval', 'rejection'"),
    "evidence_is_a_list": ({"evidence": ["all well"]}, "evidence", "an object that maps names to evidence items"),
    "evidence_item_is_a_number": ({"evidence": {"t": 3}}, "evidence.t", "needs to be a text or an object"),
    "evidence_text_empty": ({"evidence": {"t": ""}}, "evidence.t.text", "must not be empty"),
    "summary_empty": ({"summary": ""}, "summary", "must not be empty"),
    "summary_is_a_number": ({"summary": 7}, "summary", "needs to be text"),
    "in_scope_is_a_number": ({"in_scope": 1}, "in_scope", "needs to be true or false"),
    "contributors_is_a_text": ({"contributors": "observer"}, "contributors", "needs to be a list"),
    "time_without_zone": ({"deployed_at": "2026-11-20T10:00:00"}, "deployed_at", "a time and a zone, such as 2026-"),
    "time_without_zone_in_evidence": ({"evidence": {"t": item(at="2026-11-20 10:00")}}, "evidence.t.at", "a zone"),
    "time_is_a_number": ({"deployed_at": 1795000000}, "deployed_at", "needs to be text: a date, a time and a zone"),
    "time_of_no_calendar": ({"deployed_at": "2026-13-20T10:00:00Z"}, "deployed_at", "month"),
    "time_before_the_first_year": ({"requested_at": "0001-01-01T00:00:00+10:00"}, "requested_at", "years 1 and 9999"),
    "nan": (attached(bytes=float("nan")), "evidence.tests.attachments.0.bytes", "its size in bytes as a whole number"),
    "infinity": (attached(bytes=float("inf")), "evidence.tests.attachments.0.bytes", "as a whole number"),
    "number_over_2_53": (attached(bytes=2**53), "evidence.tests.attachments.0.bytes", r"numbers end below 2\^53"),
    "size_negative": (attached(bytes=-1), "evidence.tests.attachments.0.bytes", "as a whole number"),
    "size_is_true": (attached(bytes=True), "evidence.tests.attachments.0.bytes", "as a whole number"),
    "content_not_base64": (attached(bytes="a report"), "evidence.tests.attachments.0.bytes", "not base64"),
    "content_of_another_digest": (
        attached(bytes=base64.b64encode(b"other").decode()), "evidence.tests.attachments.0", "does not have the digest",
    ),
    "digest_in_capitals": (attached(sha256=SHA256.upper()), "evidence.tests.attachments.0.sha256", "pattern"),
    "attachment_name_with_newline": (attached(name="a\nb"), "evidence.tests.attachments.0.name", "control character"),
    "id_with_slash": ({"id": "../CHG-1"}, "id", "path separator; replace"),
    "id_with_backslash": ({"id": "CHG\\1"}, "id", "path separator"),
    "id_of_dots": ({"id": ".."}, "id", "path separator"),
    "id_with_newline": ({"id": "CHG-1\n"}, "id", "control character; use printable"),
    "id_with_escape": ({"id": "CHG-\x1b[31m1"}, "id", "control character"),
    "id_with_bidi_override": ({"id": "CHG-\u202e1001"}, "id", "control character"),
    "id_blank": ({"id": "  "}, "id", "must not be empty"),
    "id_over_200_bytes": ({"id": "Ä" * 101}, "id", "is 202 bytes long; the limit is 200"),
    "system_over_200_bytes": ({"system": "s" * 201}, "system", "is 201 bytes long; the limit is 200"),
    "evidence_name_with_zero_width": ({"evidence": {"a\u200bb": "well"}}, r"evidence.a\u200bb", "control character"),
    "author_over_1000": ({"author": "a" * 1001}, "author", "at most 1000"),
    "combining_marks": ({"summary": "a" + "\u0301" * 31}, "summary", "more than 30 combining marks in a row"),
    "combining_marks_between_invisible": (
        {"evidence": {"t": "a" + "\u0301\u200b" * 31}}, "evidence.t", "more than 30 combining marks",
    ),
    "combining_marks_only_once_decomposed": ({"summary": "a" + "\uff9e" * 31}, "summary", "more than 30 combining"),
    "lone_surrogate": ({"summary": "half \ud83d"}, "summary", "character 5 is half of a surrogate pair"),
    "deep_nesting": ({"evidence": NESTED}, "", "nested too deeply; a payload has no more than four levels"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_payload_is_refused_with_field_and_remedy(case: str) -> None:
    changes, field, says = BAD[case]
    good = payload_with()
    refusal = refused({name: value for name, value in {**good, **changes}.items() if value is not None})
    assert (refusal.field or "") == field
    assert str(refusal).startswith(field)
    assert re.search(says, str(refusal))
    claimed = changes.get("id", good["id"])
    assert refusal.change_id == (claimed and printable(claimed))


def test_surrogate_in_a_key_is_refused_without_breaking_the_message() -> None:
    refusal = refused(payload_with(evidence={"a\ud800": "all well"}))
    assert str(refusal).encode()


def test_deployed_before_requested_is_refused_and_at_the_same_instant_is_not() -> None:
    at = "2026-11-20T10:00:00Z"
    assert accept(payload_with(requested_at=at, deployed_at="2026-11-20T05:00:00-05:00"), LIMITS)
    refusal = refused(payload_with(requested_at=at, deployed_at="2026-11-20T09:59:59.999999Z"))
    assert "deployed_at lies before requested_at; correct whichever is wrong" in str(refusal)
    assert refusal.change_id == "CHG-1001"


@pytest.mark.parametrize(
    ("value", "named"),
    [([], "a list"), ("text", "a text"), (3, "a number"), (1.5, "a number"), (True, "true or false"), (None, "null")],
    ids=["list", "text", "integer", "float", "bool", "null"],
)
def test_not_an_object_says_what_it_is_instead(value: object, named: str) -> None:
    assert str(refused(value)) == f"a payload is a JSON object, not {named}"


RECORDS: dict[str, tuple[bytes, str]] = {
    "not_json": (b'{"id": CHG-1}', "not JSON: Expecting value at line 1, column 8"),
    "cut_off": (b'{"id": "CHG-1"', "not JSON: Expecting ',' delimiter at line 1"),
    "empty": (b"", "not JSON: Expecting value"),
    "two_documents": (b"{} {}", "not JSON: Extra data"),
    "duplicate_keys": (b'{"id": "CHG-1", "id": "CHG-2"}', "id: the key 'id' is given twice in one object; keep one"),
    "duplicate_keys_inside": (b'{"evidence": {"t": "a", "t": "b"}}', "t: the key 't' is given twice"),
    "nan": (b'{"id": NaN}', "NaN is not JSON; leave the field out"),
    "infinity": (b'{"id": -Infinity}', "-Infinity is not JSON"),
    "invalid_utf8": (b'{"id": "CHG-\xff"}', "not UTF-8: byte 12 cannot be decoded; save the record as UTF-8"),
    "utf16": ('{"id": "CHG-1"}'.encode("utf-16"), "not UTF-8"),
    "byte_order_mark": (b"\xef\xbb\xbf{}", "not JSON: Unexpected UTF-8 BOM"),
    "deep_nesting": (b"[" * 100_000, "nested too deeply"),
    "number_of_5000_digits": (b"9" * 5000, "not JSON that can be read"),
}


@pytest.mark.parametrize("case", RECORDS)
def test_bad_record_is_refused_with_place_and_remedy(case: str) -> None:
    content, says = RECORDS[case]
    with pytest.raises(PayloadError) as refusal:
        parse_record(content, LIMITS)
    assert str(refusal.value).startswith(says)


def test_record_over_the_payload_limit_is_refused_before_it_is_parsed() -> None:
    """10 MiB by default; at the limit a record is read."""
    assert LIMITS.payload_bytes == 10 * 2**20
    assert parse_record(b'"' + b"a" * (LIMITS.payload_bytes - 2) + b'"', LIMITS)
    with pytest.raises(PayloadError, match="the record is 10485761 bytes; the limit is 10485760"):
        parse_record(b" " * (LIMITS.payload_bytes + 1), LIMITS)


def test_payload_over_the_limit_is_refused_however_it_came() -> None:
    refusal = refused(payload_with(summary="s" * 2000), SMALL)
    assert "bytes; the limit is 2000" in str(refusal)
    assert refusal.change_id == "CHG-1001"


@pytest.mark.parametrize(
    ("evidence", "field"),
    [
        ({"t": "x" * 101}, "evidence.t"),
        ({"t": "Ä" * 51}, "evidence.t"),
        ({"t": item(text="x" * 101)}, "evidence.t.text"),
        ({"t": item(uri="x" * 101)}, "evidence.t.uri"),
        ({"bytes": "x" * 101}, "evidence.bytes"),
        ({"t.attachments.0.bytes": "x" * 101}, "evidence.t.attachments.0.bytes"),
    ],
    ids=["text", "counted_in_bytes", "item", "uri", "named_bytes", "named_like_an_attachment"],
)
def test_evidence_over_its_limit_is_refused_whatever_its_name(evidence: dict[str, Any], field: str) -> None:
    refusal = refused(payload_with(evidence=evidence), SMALL)
    assert refusal.field == field
    assert "bytes; the limit for an evidence item is 100; attach it as a file" in str(refusal)


def test_evidence_at_its_limit_and_attached_content_above_it_are_taken() -> None:
    assert accept(payload_with(evidence={"t": "x" * 100}), SMALL)
    content = bytes(300)
    sent = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": base64.b64encode(content).decode()}
    assert accept(payload_with(**attached(**sent)), SMALL)


def test_thirty_combining_marks_are_taken() -> None:
    assert accept(payload_with(summary="a" + "\u0301" * 30 + "b" + "\u0301" * 30), LIMITS)


def test_bare_text_is_evidence_of_kind_other_and_defaults_are_what_the_schema_says() -> None:
    change = accept({"id": "C", "system": "s", "summary": "x", "author": "maker", "evidence": {"t": "well"}}, LIMITS)
    assert (change.change.evidence["t"].kind, change.change.evidence["t"].text) == ("other", "well")
    assert (change.change.change_type, change.change.in_scope) == ("normal", None)
    assert change.change.evidence["t"].origin == "submitted"


def test_times_are_read_in_their_zone() -> None:
    change = accept(payload_with(deployed_at="2026-11-20t18:30:00.5+08:00"), LIMITS).change
    assert change.deployed_at == datetime(2026, 11, 20, 10, 30, 0, 500000, tzinfo=UTC)


def test_a_time_that_is_no_text_has_no_canonical_form() -> None:
    refusal = refused(payload_with(deployed_at=datetime(2026, 11, 20, 10, tzinfo=UTC)))
    assert str(refusal).startswith("cannot be put into canonical JSON: ")
    assert refusal.change_id == "CHG-1001"


def test_attachments_carry_content_or_only_a_size() -> None:
    with_content = accept(payload_with(**attached(bytes=base64.b64encode(CONTENT).decode())), LIMITS)
    size_only = accept(payload_with(**attached()), LIMITS)
    assert with_content.change.evidence["tests"].attachments[0].content == CONTENT
    assert size_only.change.evidence["tests"].attachments[0].content is None
    assert size_only.change.evidence["tests"].attachments[0].content_or_size == len(CONTENT)


# --- identity


def canonical(value: Any) -> str:
    """RFC 8785 for what payloads hold, written a second time: keys by UTF-16 code units, JSON strings, integers."""
    match value:
        case dict():
            keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
            return "{" + ",".join(f"{canonical(key)}:{canonical(value[key])}" for key in keys) + "}"
        case list():
            return "[" + ",".join(canonical(part) for part in value) + "]"
        case _:
            return json.dumps(value, ensure_ascii=False)


def identity(value: dict[str, Any]) -> str:
    return hashlib.sha256(canonical({"workflow": "change", "payload": value}).encode()).hexdigest()


def test_run_id_of_a_known_payload_never_moves() -> None:
    """The vector: a changed digest would make every run of an existing evidence root a new one."""
    value = {"id": "CHG-1", "system": "s", "summary": "Grüße €", "author": "maker", "evidence": {"t": "a\u2028b"}}
    text = (
        '{"payload":{"author":"maker","evidence":{"t":"a\u2028b"},"id":"CHG-1","summary":"Grüße €","system":"s"},'
        '"workflow":"change"}'
    )
    digest = hashlib.sha256(text.encode()).hexdigest()
    payload = accept(value, LIMITS)
    assert payload.digest == digest
    assert payload.run_id == f"change-{digest[:16]}"


ASCII = st.text(st.characters(max_codepoint=0x7F), max_size=10)
NAMES = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=10)


@settings(deadline=None)
@given(st.dictionaries(NAMES, st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)), st.randoms())
def test_identity_follows_rfc_8785_and_not_the_order_of_keys(evidence: dict[str, str], random: Any) -> None:
    value = payload_with(evidence=evidence)
    keys = list(value)
    random.shuffle(keys)
    shuffled = {key: value[key] for key in keys}
    shuffled["evidence"] = dict(reversed(evidence.items()))
    one, other = accept(value, LIMITS), accept(shuffled, LIMITS)
    assert one.digest == other.digest == identity(value)
    assert one.run_id == f"change-{identity(value)[:16]}"


@settings(deadline=None)
@given(
    st.dictionaries(ASCII.filter(str.isprintable).filter(str.strip), ASCII.filter(bool), min_size=1),
    st.lists(st.integers(0, 2**53 - 1) | st.sampled_from([0, 2**53 - 1]), max_size=3),
    st.booleans(),
)
def test_a_payload_in_ascii_has_the_identity_that_the_library_gives(
    texts: dict[str, str], sizes: list[int], in_scope: bool
) -> None:
    """What is written in a quicker way has the very bytes of RFC 8785, numbers and control characters included."""
    attachments = [{"name": "report", "sha256": SHA256, "bytes": size} for size in sizes]
    evidence = {name: item(text=text, attachments=attachments) for name, text in texts.items()}
    value = payload_with(evidence=evidence, in_scope=in_scope)
    library = hashlib.sha256(rfc8785.dumps({"workflow": "change", "payload": value})).hexdigest()
    assert accept(value, LIMITS).digest == library == identity(value)


def test_an_instant_that_is_no_text_has_no_canonical_form() -> None:
    refusal = refused(payload_with(deployed_at=datetime(2026, 11, 20, 10, tzinfo=UTC)))
    assert "canonical JSON" in str(refusal)


def test_any_other_word_is_another_run() -> None:
    digests = {accept(payload_with(summary=summary), LIMITS).digest for summary in ("é", "e\u0301", "É", "é ")}
    assert len(digests) == 4


# --- schema


def schema_accepts(value: Any) -> bool:
    return bool(jsonschema.Draft202012Validator(payload_schema()).is_valid(value))


def test_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(payload_schema())
    assert set(payload_schema()["required"]) == {"id", "system", "summary", "author", "evidence"}
    assert payload_schema()["additionalProperties"] is False


GOOD: dict[str, dict[str, Any]] = {
    "clean": {},
    "bare_text": {"evidence": {"t": "all well"}},
    "attachment_by_size": attached(),
    "attachment_by_content": attached(bytes=base64.b64encode(CONTENT).decode()),
    "emergency": {"change_type": "emergency", "incident": "INC-1"},
    "assertion": {"assertions": [{"control": "C", "text": "t", "evidence": "tests", "quote": "q"}]},
    "out_of_scope": {"in_scope": False, "contributors": ["observer"]},
}


@pytest.mark.parametrize("case", GOOD)
def test_schema_and_product_accept_alike(case: str) -> None:
    value = payload_with(**GOOD[case])
    assert schema_accepts(value)
    assert isinstance(accept(value, LIMITS), Payload)


@pytest.mark.parametrize(
    "case",
    [case for case in BAD if case.split("_")[0] in ("change", "kind", "field", "evidence") and "zero" not in case]
    + ["id_missing", "author_missing", "summary_is_a_number", "in_scope_is_a_number", "contributors_is_a_text"],
)
def test_schema_and_product_refuse_alike(case: str) -> None:
    changes = BAD[case][0]
    value = {name: value for name, value in {**payload_with(), **changes}.items() if value is not None}
    assert not schema_accepts(value)
    assert refused(value)


def test_schema_names_every_field_of_a_change() -> None:
    assert set(payload_schema()["properties"]) == set(Change.model_fields)
