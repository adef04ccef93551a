"""The payload: what a source hands in for one change, and everything that makes one unacceptable.

What belongs here: the form of a payload, its identity, and one clear refusal for each way of being wrong. What does
not: where payloads come from, and any judgement of the change itself.
"""

import base64
import binascii
import hashlib
import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any, Literal, NoReturn

import orjson
import rfc8785
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from countersign.changes.invisible import without_invisible
from countersign.clocks.instant import parse_instant
from countersign.errors import PayloadError
from countersign.policy import Kind, Limits

WORKFLOW = "change"
MAX_ID_BYTES = 200
MAX_MARKS = 30
MAX_NUMBER = 2**53


class ChangeType(StrEnum):
    """ITIL's standard change is `preapproved`; the runbook's standard tier is everything but an emergency."""

    NORMAL = "normal"
    PREAPPROVED = "preapproved"
    EMERGENCY = "emergency"


def _instant(value: object) -> datetime:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value
    if isinstance(value, str):
        return parse_instant(value)
    raise ValueError("needs to be text: a date, a time and a zone, such as 2026-11-20T09:30:00Z")


def _identifier(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be empty")
    if len(value.encode()) > MAX_ID_BYTES:
        raise ValueError(f"is {len(value.encode())} bytes long; the limit is {MAX_ID_BYTES}")
    if not value.isprintable():  # the control, format, surrogate and separator characters of Unicode
        raise ValueError("holds a control character; use printable characters only")
    return value


def _change_id(value: str) -> str:
    if "/" in value or "\\" in value or value in (".", ".."):
        raise ValueError("holds a path separator; replace '/' and '\\' by another character such as ':'")
    return _identifier(value)


def _change_type(value: object) -> object:
    if value == "standard":
        raise ValueError(
            "'standard' means two things; say 'preapproved' for a pre-approved change from a template (ITIL standard), "
            "or 'normal' for any other change of the standard tier"
        )
    return value


def _content(value: object) -> object:
    if isinstance(value, str):
        try:
            base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError) as error:
            raise ValueError("is text but not base64; give the content as base64 or its size in bytes") from error
    elif isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("needs the content as base64, or its size in bytes as a whole number")
    elif value >= MAX_NUMBER:
        raise ValueError(f"is too large; numbers end below 2^53 ({MAX_NUMBER})")
    return value


Instant = Annotated[datetime, BeforeValidator(_instant), WithJsonSchema({"type": "string", "format": "date-time"})]
ChangeId = Annotated[str, AfterValidator(_change_id)]
Name = Annotated[str, AfterValidator(_identifier)]
PersonText = Annotated[str, Field(min_length=1, max_length=1000)]
Content = Annotated[str | int, BeforeValidator(_content)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Attachment(_Part):
    """A file that belongs to an evidence item: kept, never quoted.

    `bytes` is the content as base64, which is then kept in the evidence root, or only its size in bytes.
    """

    name: Name
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    content_or_size: Annotated[Content, Field(alias="bytes")]

    @property
    def content(self) -> bytes | None:
        """The bytes themselves, or None where only the size was given."""
        return base64.b64decode(self.content_or_size) if isinstance(self.content_or_size, str) else None

    @model_validator(mode="after")
    def _matching(self) -> "Attachment":
        content = self.content
        if content is not None and hashlib.sha256(content).hexdigest() != self.sha256:
            raise ValueError("the content in 'bytes' does not have the digest in 'sha256'; send both from one file")
        return self


class Evidence(_Part):
    """One evidence item: who said what, when, about which revision.

    `on_behalf_of` is whose decision it was to give, where `by`, who gave it, may have acted for them: neither may be a
    maker for it to be independent. `pipeline` is what a deployment went through, where `by` started it.
    """

    kind: Annotated[Kind, Field(strict=False)]
    text: Annotated[str, Field(min_length=1)]
    by: PersonText | None = None
    on_behalf_of: PersonText | None = None
    at: Instant | None = None
    uri: str | None = None
    revision: str | None = None
    is_bot: bool | None = None
    pipeline: PersonText | None = None
    authority: str | None = None
    origin: Literal["extracted", "submitted"] = "submitted"
    attachments: list[Attachment] = []


class BroughtAssertion(_Part):
    """A claim that came with the payload: it has to pass the gate, and it never decides a control."""

    control: Annotated[str, Field(min_length=1)]
    text: Annotated[str, Field(min_length=1)]
    evidence: Annotated[str, Field(min_length=1)]
    quote: str


class _TextOrItem:
    """The shorthand of an evidence item: a bare text is an item of kind `other`."""

    @staticmethod
    def expand(value: object) -> object:
        return {"kind": "other", "text": value} if isinstance(value, str) else value

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [{"type": "string", "minLength": 1}, handler(core)]}


class Change(_Part):
    """A change record. Times carry a zone; `evidence` maps a name to a text or to an evidence item.

    `in_scope` and `change_type` are claims: the policy has the last word, and a contradiction is an exception.
    """

    id: ChangeId
    system: Name
    summary: Annotated[str, Field(min_length=1)]
    author: PersonText
    in_scope: bool | None = None
    contributors: list[PersonText] = []
    deployed_by: PersonText | None = None
    change_type: Annotated[ChangeType, Field(strict=False), BeforeValidator(_change_type)] = ChangeType.NORMAL
    requested_at: Instant | None = None
    deployed_at: Instant | None = None
    revision: Annotated[str, Field(min_length=1, max_length=MAX_ID_BYTES)] | None = None
    incident: Name | None = None
    template: Name | None = None
    assertions: list[BroughtAssertion] = []
    evidence: dict[Name, Annotated[Evidence, BeforeValidator(_TextOrItem.expand), _TextOrItem()]]

    @property
    def first_deployed_at(self) -> datetime | None:
        """When it was first deployed, by the payload or a deployment record, whichever is earlier."""
        times = [item.at for item in self.evidence.values() if item.kind is Kind.DEPLOYMENT and item.at is not None]
        return min([*times, *([self.deployed_at] if self.deployed_at else [])], default=None)

    @model_validator(mode="after")
    def _in_order(self) -> "Change":
        if self.requested_at and self.deployed_at and self.deployed_at < self.requested_at:
            raise ValueError("deployed_at lies before requested_at; correct whichever is wrong")
        return self


@dataclass(frozen=True, slots=True)
class Payload:
    """An accepted payload: the object as handed in, what it says, and its identity."""

    raw: Mapping[str, Any]
    change: Change
    digest: str

    @property
    def run_id(self) -> str:
        """The id of the one run that this payload has."""
        return run_id_of(self.digest)


def run_id_of(digest: str) -> str:
    """`change-` and the first 16 hexadecimal digits of a payload's digest."""
    return f"{WORKFLOW}-{digest[:16]}"


def payload_schema() -> dict[str, Any]:
    """The JSON Schema of a payload."""
    schema = Change.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Change payload"
    return schema


def parse_record(content: bytes, limits: Limits) -> Any:
    """The JSON value in a record's bytes (UTF-8). Raises PayloadError for what JSON parsers let through in silence."""
    if len(content) > limits.payload_bytes:
        raise PayloadError(f"the record is {len(content)} bytes; the limit is {limits.payload_bytes}")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise PayloadError(f"not UTF-8: byte {error.start} cannot be decoded; save the record as UTF-8") from error
    try:
        return json.loads(text, object_pairs_hook=_distinct, parse_constant=_not_a_number)
    except RecursionError as error:
        raise PayloadError("nested too deeply; a payload has no more than four levels") from error
    except json.JSONDecodeError as error:
        raise PayloadError(f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from error
    except ValueError as error:  # an integer of thousands of digits
        raise PayloadError(f"not JSON that can be read: {error}") from error


def accept(value: object, limits: Limits) -> Payload:
    """Judge a payload. Raises PayloadError naming the change, the field and what would be right."""
    if not isinstance(value, Mapping):
        raise PayloadError(f"a payload is a JSON object, not {_type_name(value)}")
    claimed = value.get("id")
    change_id = claimed[:MAX_ID_BYTES] if isinstance(claimed, str) else None
    try:
        document: dict[str, Any] = {"workflow": WORKFLOW, "payload": dict(value)}
        plain = _sorted_ascii(document)
        # a payload in ASCII that is shorter than one text may be has no text too long and no marks
        if plain is None or len(plain) > limits.evidence_bytes:
            _check_texts(value, limits, change_id)
        change = Change.model_validate(value)
        # no field of a change takes a float or a number over 2^53, where the two ways of writing would differ
        canonical = plain if plain is not None else rfc8785.dumps(document)
    except ValidationError as error:
        _refuse(error, change_id)
    except RecursionError as error:
        raise PayloadError("nested too deeply; a payload has no more than four levels", change_id=change_id) from error
    except rfc8785.CanonicalizationError as error:
        raise PayloadError(f"cannot be put into canonical JSON: {error}", change_id=change_id) from error
    if len(canonical) > limits.payload_bytes:
        reason = f"the payload is {len(canonical)} bytes; the limit is {limits.payload_bytes}"
        raise PayloadError(reason, change_id=change_id)
    return Payload(value, change, hashlib.sha256(canonical).hexdigest())


def _sorted_ascii(document: Mapping[str, Any]) -> bytes | None:
    """Sorted compact JSON where all of it is ASCII, else None.

    But for floats and numbers over 2^53 that is RFC 8785, at a hundredth of the time; a test holds the two against
    each other.
    """
    try:
        written = orjson.dumps(document, option=orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATETIME)
    except TypeError:
        return None
    return written if written.isascii() else None


def _check_texts(value: object, limits: Limits, change_id: str | None, path: tuple[str, ...] = ()) -> None:
    """What a schema cannot say: sizes in bytes, characters that are none, marks that make NFKC quadratic."""
    if isinstance(value, str):
        if not value.isascii() or len(value) > limits.evidence_bytes:
            _check_text(value, limits, change_id, path)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            _check_texts(item, limits, change_id, (*path, str(key)))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            _check_texts(item, limits, change_id, (*path, str(number)))


def _check_text(text: str, limits: Limits, change_id: str | None, path: tuple[str, ...]) -> None:
    field = ".".join(path)
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        reason = f"character {error.start} is half of a surrogate pair, so the text is not valid UTF-8"
        raise PayloadError(reason, field=field, change_id=change_id) from error
    attached = len(path) == 5 and path[2] == "attachments" and path[4] == "bytes"
    if size > limits.evidence_bytes and path[0] == "evidence" and not attached:
        reason = f"is {size} bytes; the limit for an evidence item is {limits.evidence_bytes}; attach it as a file"
        raise PayloadError(reason, field=field, change_id=change_id)
    if _longest_marks(text) > MAX_MARKS:
        reason = f"holds more than {MAX_MARKS} combining marks in a row; no writing needs them, remove them"
        raise PayloadError(reason, field=field, change_id=change_id)


def _longest_marks(text: str) -> int:
    longest = run = 0
    for character in without_invisible(text):  # as it will be folded: what is not seen separates nothing
        run = run + 1 if _is_mark(character) else 0
        longest = max(longest, run)
    return longest


@lru_cache(maxsize=4096)
def _is_mark(character: str) -> bool:
    """Whether a character combines, itself or once it is decomposed (such as the half-width voiced sound mark)."""
    return unicodedata.combining(unicodedata.normalize("NFKD", character)[0]) != 0


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise PayloadError(f"the key {twice!r} is given twice in one object; keep one", field=twice)
    return result


def _not_a_number(name: str) -> NoReturn:
    raise PayloadError(f"{name} is not JSON; leave the field out or give a number")


def _type_name(value: object) -> str:
    names: dict[type, str] = {list: "a list", str: "a text", int: "a number", float: "a number", bool: "true or false"}
    return "null" if value is None else names.get(type(value), type(value).__name__)


_EXPECTED = {
    "missing": "is missing; it is required",
    "extra_forbidden": "is not a field of a payload; `countersign payload schema` lists them",
    "string_type": "needs to be text",
    "bool_type": "needs to be true or false",
    "list_type": "needs to be a list",
    "dict_type": "needs to be an object that maps names to evidence items",
    "model_type": "needs to be a text or an object",
    "model_attributes_type": "needs to be a text or an object",
    "string_too_short": "must not be empty",
    "invalid_key": "has a key that is not text",
}


def _refuse(error: ValidationError, change_id: str | None) -> NoReturn:
    first = error.errors(include_url=False)[0]
    parts = [str(part) for part in first["loc"] if part not in ("str", "int", "constrained-int", "[key]")]
    reason = _EXPECTED.get(first["type"])
    if reason is None and first["type"] == "enum":
        reason = f"is not one of {first['ctx']['expected']}"
    if reason is None:
        reason = first["msg"].removeprefix("Value error, ")
    raise PayloadError(reason, field=".".join(parts) or None, change_id=change_id) from error
