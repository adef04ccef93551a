"""The lines of a log: how an event and its texts become bytes, and how bytes are read back and judged.

Two kinds of line, each compact JSON ending in a newline. An event,
`{"prev":"<64 hex>","seq":n,"ts":"…Z","event":"…","actor":"…",…,"texts":{"<id>":"<sha256>"}}`, whose `prev` is the
SHA-256 of the whole previous event line, and whose `ts` is never before the one of that line. And a text,
`{"text":"<id>","salt":"…","value":"…"}`, directly after the event that carries the SHA-256 of that line. A text over
64 KiB lies under its digest among the blobs, and the event names it under `blobs` instead. The bytes that were written
are the bytes that are hashed. In place of a text that was erased stands `{"text":"<id>","erased":"<sha256>"}`; whether
it was for two people to erase it, the register says.

What belongs here: bytes in, bytes out. What does not: files, locks, the meaning of any event.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from typing import Any, NamedTuple

import orjson

from countersign.clocks.instant import stamp
from countersign.errors import EvidenceError

ZERO = "0" * 64
MAX_LINE = 16 << 20
BLOB_OVER = 64 << 10
ERASED = "[erased]"
OWNED = ("prev", "seq", "ts", "event", "actor", "texts", "blobs")
_SALT_BYTES = 16
_NEWLINE = orjson.OPT_APPEND_NEWLINE
_FIRST = ["prev", "seq", "ts", "event", "actor"]
_SCALARS = frozenset((str, int, bool, type(None)))
_OWNED = frozenset(OWNED)
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Draft:
    """An event to be written: `data` must be plain JSON without floats, `texts` are words from outside by id."""

    event: str
    actor: str
    data: Mapping[str, Any] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)


class Encoded(NamedTuple):
    """An event as bytes: `head` is the SHA-256 of its event line, `blobs` are text lines kept outside the log.

    A tuple, since a frozen dataclass takes a microsecond to make, a fifth of all that an event costs.
    """

    head: str
    ts: str
    content: bytes
    blobs: tuple[bytes, ...]


@dataclass(slots=True)
class Entry:
    """One event read back: `head` is the SHA-256 of its line, `texts` hold those that could be resolved.

    `erased` are those that were taken out, by id with their SHA-256; `texts` has `ERASED` in their place.
    """

    line: int
    head: str
    seq: int
    ts: str
    event: str
    actor: str
    data: dict[str, Any]
    texts: dict[str, str]
    missing: frozenset[str] = frozenset()
    erased: dict[str, str] = field(default_factory=dict)

    def take_erased(self, name: str, digest: str) -> None:
        """A text is known to have been here, and no more."""
        self.texts[name], self.erased[name] = ERASED, digest


@dataclass(frozen=True, slots=True)
class Fault:
    """The first thing wrong with a log: line number from 1, kind, and what was expected."""

    line: int
    kind: str
    detail: str


def _plain(value: object, where: str) -> None:
    """Refuse what JSON would silently bend: floats (so no NaN either), keys that are not text, other types."""
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise EvidenceError(f"{where}: a key must be text, not {key!r}")
            if type(item) not in _SCALARS:
                _plain(item, where)
    elif isinstance(value, list | tuple):
        for item in value:
            if type(item) not in _SCALARS:
                _plain(item, where)
    elif not isinstance(value, str | int):
        raise EvidenceError(f"{where}: a log line holds text, whole numbers, lists and objects, not {value!r}")


def _line(value: Mapping[str, Any], what: str, name: str) -> bytes:
    try:
        content = orjson.dumps(value, option=_NEWLINE)
    except TypeError as error:
        raise EvidenceError(f"{what} {name}: cannot be written as JSON: {error}") from error
    if len(content) > MAX_LINE:
        raise EvidenceError(f"{what} {name}: the line would be {len(content)} bytes; the limit is {MAX_LINE}")
    return content


def encode(
    draft: Draft, *, prev: str, seq: int, at: datetime, entropy: Callable[[int], bytes], not_before: str = ""
) -> Encoded:
    """One event and its texts as bytes. Raises EvidenceError for owned fields, floats, odd keys, lines over 16 MiB.

    `not_before` is the `ts` of the event before: in a chain time never goes back, whatever the machine's clock does.
    """
    if not _OWNED.isdisjoint(draft.data):
        name = next(name for name in OWNED if name in draft.data)
        raise EvidenceError(f"event {draft.event}: the field {name!r} belongs to the writer")
    for key, item in draft.data.items():
        if type(key) is not str or type(item) not in _SCALARS:
            _plain({key: item}, f"event {draft.event}")
    ts = max(stamp(at), not_before)
    event: dict[str, Any] = {"prev": prev, "seq": seq, "ts": ts, "event": draft.event, "actor": draft.actor}
    event.update(draft.data)
    if not draft.texts:
        line = _line(event, "event", draft.event)
        return Encoded(hashlib.sha256(line).hexdigest(), ts, line, ())
    salts = entropy(_SALT_BYTES * len(draft.texts)).hex()
    inline: list[bytes] = []
    outside: list[bytes] = []
    texts: dict[str, str] = {}
    blobs: dict[str, str] = {}
    for number, (name, value) in enumerate(draft.texts.items()):
        salt = salts[2 * _SALT_BYTES * number : 2 * _SALT_BYTES * (number + 1)]
        line = _line({"text": name, "salt": salt, "value": value}, "text", name)
        digest = hashlib.sha256(line).hexdigest()
        if len(line) > BLOB_OVER:
            outside.append(line)
            blobs[name] = digest
        else:
            inline.append(line)
            texts[name] = digest
    if texts:
        event["texts"] = texts
    if blobs:
        event["blobs"] = blobs
    first = _line(event, "event", draft.event)
    return Encoded(hashlib.sha256(first).hexdigest(), ts, b"".join([first, *inline]), tuple(outside))


class Scan:
    """A single pass over the raw lines of a log, in constant memory: iterate or `judge` it, then ask it.

    It stops at the first fault. `torn` says that the last line has no newline, `damage` is the SHA-256 of the last
    lines where they are unreadable (`damaged_lines`; more than one where a recovery was torn too), `incomplete` the
    last event when its texts are not all there: that is what a power cut leaves, and a `recovered` event, which carries
    that SHA-256, heals it. `resolve` finds the line of a text that lies among the blobs, or returns None. `prev`, `seq`
    and `ts` are of the event before the first line. In an `erasable` log a mark may stand in place of a text.
    """

    def __init__(
        self,
        lines: Iterable[bytes],
        resolve: Callable[[str], bytes | None] = lambda _: None,
        *,
        prev: str = ZERO,
        seq: int = -1,
        ts: str = "",
        erasable: bool = False,
    ) -> None:
        self._raw_lines = lines
        self._erasable = erasable
        self._resolve = resolve
        self.fault: Fault | None = None
        self.torn = False
        self.head = prev
        self.seq = seq
        self.ts = ts
        self.count = 0
        self.lines = 0
        self.damage: str | None = None
        self.damaged_lines = 0
        self.incomplete: Entry | None = None

    def __iter__(self) -> Iterator[Entry]:
        entry: Entry | None = None
        pending: list[tuple[str, str]] = []
        damaged: Damage | None = None
        sha256 = hashlib.sha256
        for number, raw in enumerate(self._raw_lines, start=self.lines + 1):
            self.lines = number
            value = parse_line(raw)
            if value is None and not raw.endswith(b"\n"):
                self.torn = True
                break
            if value is not None and "prev" in value:
                if damaged is not None or not _plainly_next(value, self.head, self.seq, self.ts):
                    self.fault = self._misplaced(number, value, damaged)
                    if self.fault is not None:
                        return
                if pending and value["event"] != "recovered":
                    self.fault = Fault(number, "text_missing", f"the text {pending[0][0]!r} of the event before")
                    return
                if entry is not None:
                    if pending:
                        entry.missing |= {name for name, _ in pending}
                    yield entry
                damaged = None
                self.head = sha256(raw).hexdigest()
                self.seq += 1
                self.count += 1
                take = value.pop
                del value["prev"], value["seq"]
                self.ts = take("ts")
                entry = Entry(number, self.head, self.seq, self.ts, take("event"), take("actor"), value, {})
                pending = self._texts_of(entry) if "texts" in value or "blobs" in value else []
            elif value is not None and "text" in value and pending and damaged is None:
                name, expected = pending.pop(0)
                assert entry is not None
                if self._erasable and value == _erased(name, expected):
                    entry.take_erased(name, expected)
                    continue
                if (
                    sha256(raw).hexdigest() != expected
                    or value["text"] != name
                    or not isinstance(value.get("value"), str)
                ):
                    self.fault = Fault(number, "text_changed", f"the text {name!r} with SHA-256 {expected}")
                    return
                entry.texts[name] = value["value"]
            else:
                damaged = damaged or Damage(number)
                damaged.take(raw)
        if damaged is not None:
            self.fault = Fault(damaged.line, "unreadable", "an event, or a text of the event before it")
            self.damage = None if self.torn else damaged.digest
            self.damaged_lines = damaged.count
        if entry is not None:
            if pending:
                entry.missing |= {name for name, _ in pending}
                self.incomplete = entry
            yield entry

    def judge(self) -> None:
        """Go over every line as iterating does, but make no entries: two thirds of the time, and enough for a seal.

        The first line that takes a closer look is left to iterating, and with it whatever follows.
        """
        head, seq, ts, sha256 = self.head, self.seq, self.ts, hashlib.sha256
        lines = iter(self._raw_lines)
        closer: tuple[bytes, ...] = ()
        for raw in lines:
            value = parse_line(raw)
            if value is None or not _plainly_next(value, head, seq, ts):
                closer = (raw,)
                break
            head, ts = sha256(raw).hexdigest(), value["ts"]
            seq += 1
        plain = seq - self.seq
        self.head, self.seq, self.ts = head, seq, ts
        self.count, self.lines = self.count + plain, self.lines + plain
        self._raw_lines = chain(closer, lines)
        for _ in self:
            pass

    def _misplaced(self, number: int, value: dict[str, Any], damaged: "Damage | None") -> Fault | None:
        """Why an event cannot stand here, or None; `damaged` are the unreadable lines before it."""
        over = value.get("damaged") if value.get("event") == "recovered" else None
        if damaged is not None and over != damaged.digest:
            return Fault(damaged.line, "unreadable", "a line of the log, or a `recovered` event over it")
        if damaged is None and over is not None:
            return Fault(number, "line_missing", f"before it, the damaged line with SHA-256 {over}")
        if value["prev"] != self.head:
            return Fault(number, "broken_chain", f"prev {self.head}")
        if not well_formed(value) or value["seq"] != self.seq + 1:
            return Fault(number, "bad_event", f"an event with seq {self.seq + 1}")
        if value["ts"] < self.ts:
            return Fault(number, "time_back", f"an instant that is not before {self.ts}")
        return None

    def _texts_of(self, entry: Entry) -> list[tuple[str, str]]:
        """The texts that have to follow an event, by id and SHA-256; those among the blobs are taken at once."""
        texts: dict[str, str] = entry.data.pop("texts", {})
        blobs: dict[str, str] = entry.data.pop("blobs", {})
        for name, expected in blobs.items():
            raw = self._resolve(expected)
            if self._erasable and raw == erased_line(name, expected):
                entry.take_erased(name, expected)
                continue
            content = parse_line(raw) if raw is not None and hashlib.sha256(raw).hexdigest() == expected else None
            if content is None or content.get("text") != name or not isinstance(content.get("value"), str):
                entry.missing |= {name}
            else:
                entry.texts[name] = content["value"]
        return list(texts.items())


def erased_line(name: str, digest: str) -> bytes:
    """What stands in place of a text that was erased, in a log or among the blobs."""
    return orjson.dumps(_erased(name, digest), option=orjson.OPT_APPEND_NEWLINE)


def _erased(name: str, digest: str) -> dict[str, str]:
    return {"text": name, "erased": digest}


class Damage:
    """Unreadable lines that follow each other, the first of them at `line`."""

    def __init__(self, line: int) -> None:
        self.line = line
        self.count = 0
        self._digest = hashlib.sha256()

    def take(self, raw: bytes) -> None:
        self.count += 1
        self._digest.update(raw)

    @property
    def digest(self) -> str:
        """SHA-256 of all of them, newlines included."""
        return self._digest.hexdigest()

    def healed_by(self, event: Mapping[str, Any]) -> bool:
        """Whether an event is the recovery over them: then they are what a torn write left, and say nothing."""
        return event.get("event") == "recovered" and event.get("damaged") == self.digest


def parse_line(raw: bytes) -> dict[str, Any] | None:
    """A line's object, or None unless it is compact JSON in exactly the bytes that this module would have written.

    Writing it again must give the same bytes, which also refuses duplicate keys, white space and NaN.
    """
    try:
        value = orjson.loads(raw)
        again = orjson.dumps(value, option=_NEWLINE)
    except (orjson.JSONDecodeError, TypeError):
        return None
    return value if again == raw and type(value) is dict and len(raw) <= MAX_LINE else None


def _plainly_next(value: dict[str, Any], head: str, seq: int, ts: str) -> bool:
    """Whether a line's object is the event after these and has nothing that takes a closer look; most are."""
    return (
        [*value][:5] == _FIRST
        and value["prev"] == head
        and value["seq"] == seq + 1
        and type(value["seq"]) is int
        and type(value["ts"]) is type(value["event"]) is type(value["actor"]) is str
        and value["ts"] >= ts
        and value["event"] != "recovered"
        and "texts" not in value
        and "blobs" not in value
    )


def well_formed(value: dict[str, Any]) -> bool:
    """Whether an object has the writer's fields of an event, in order and of their types."""
    if list(value)[:5] != _FIRST or type(value["seq"]) is not int:
        return False
    if not (type(value["prev"]) is type(value["ts"]) is type(value["event"]) is type(value["actor"]) is str):
        return False
    for name in ("texts", "blobs"):
        digests = value.get(name)
        if digests is not None and not (isinstance(digests, dict) and all(map(is_digest, digests.values()))):
            return False
    return True


def is_digest(value: object) -> bool:
    """Whether this is a SHA-256 in hexadecimal: it becomes the name of a file, so nothing else may pass."""
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None
