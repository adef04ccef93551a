"""The register: it knows every run before its first step, its head at every pause, and its closing.

What belongs here: the register's own events. What does not: the meaning of a run's state beyond the words it is told.
"""

import hashlib
import mmap
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import orjson

from countersign.environment import Clock, Entropy, random_bytes, utc_now
from countersign.errors import TamperedError
from countersign.evidence.chain import ChainFile, open_lines, read_tail
from countersign.evidence.deployed import Trace
from countersign.evidence.lines import ZERO, Damage, Draft, Entry, parse_line
from countersign.evidence.root import MONTHS, EvidenceRoot

ACTOR = "countersign"
_ERASED = b'"event":"erased"'
_FINDINGS_HEAD = b'"event":"findings_head"'
OF_MONTHS = ("population_frozen", "sample_drawn", "sample_observed")  # events that name files, and no others do
_OF_MONTH = re.compile(rf"{MONTHS}([0-9-]+)(?:/\w[\w.-]*)+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Opening:
    """What the register says of a run before its first step.

    `deployed_at` is when its change was first deployed, by which it belongs to a month's population.
    """

    run_id: str
    digest: str
    change_id: str
    system: str
    tier: str
    day: date
    source: str
    origin: str
    supersedes: str | None
    configuration: str
    trace: Trace | None = None
    deployed_at: str | None = None

    def draft(self) -> Draft:
        data = {
            "run_id": self.run_id,
            "digest": self.digest,
            "change_id": self.change_id,
            "system": self.system,
            "tier": self.tier,
            "day": self.day.isoformat(),
            "source": self.source,
            "origin": self.origin,
            "supersedes": self.supersedes,
            "configuration": self.configuration,
            "trace": asdict(self.trace) if self.trace else None,
            "deployed_at": self.deployed_at,
        }
        return Draft("run_opened", ACTOR, data)


@dataclass(frozen=True, slots=True)
class Pause:
    """Where a run stands: the head of its log and what it waits for, asked for at `asked_at`.

    `noticed` is what the observer was told of (`block`, `exception`), and when; `clean` what the handoff of a run said.
    """

    run_id: str
    head: str
    status: str
    pending: str | None
    reason: str | None
    closed: bool
    stages: tuple[str, ...]
    asked_at: str | None = None
    noticed: Mapping[str, str] = field(default_factory=dict)
    clean: bool | None = None

    def draft(self) -> Draft:
        data: dict[str, Any] = {
            "run_id": self.run_id,
            "head": self.head,
            "status": self.status,
            "pending": self.pending,
            "reason": self.reason,
            "stages": list(self.stages),
        }
        if self.asked_at is not None:
            data["asked_at"] = self.asked_at
        if self.noticed:
            data["noticed"] = dict(self.noticed)
        if self.clean is not None:
            data["clean"] = self.clean
        return Draft("run_closed" if self.closed else "run_head", ACTOR, data)


def claim_of(event: str, data: Mapping[str, Any]) -> bytes:
    """What a line about a head says that follows from the log, as a digest: all but words, and what Dagster counts."""
    follows = {name: value for name, value in data.items() if name not in ("reason", "stages")}
    return hashlib.sha256(orjson.dumps([event, follows], option=orjson.OPT_SORT_KEYS)).digest()


@dataclass(frozen=True, slots=True)
class Refusal:
    """A record that could not become a run; `record` is the SHA-256 of what was read."""

    source: str
    where: str
    change_id: str | None
    reason: str
    record: str

    def draft(self) -> Draft:
        data = {
            "source": self.source,
            "where": self.where,
            "change_id": self.change_id,
            "reason": self.reason,
            "record": self.record,
        }
        return Draft("refused", ACTOR, data)


@dataclass(frozen=True, slots=True)
class KeptExtract:
    """What a source gave, raw, under `digest` among the extracts; `rows` is None where its reading broke off."""

    source: str
    extractor: str
    query: str
    digest: str
    bytes: int
    rows: int | None

    def draft(self) -> Draft:
        data = {
            "source": self.source,
            "extractor": self.extractor,
            "query": self.query,
            "digest": self.digest,
            "bytes": self.bytes,
            "rows": self.rows,
        }
        return Draft("extract", ACTOR, data)


@dataclass(frozen=True, slots=True)
class IntakeTotals:
    """Control totals of one reading of a source: read = opened + known + refused + out_of_scope."""

    read: int = 0
    opened: int = 0
    known: int = 0
    refused: int = 0
    out_of_scope: int = 0

    @property
    def reconciled(self) -> bool:
        return self.read == self.opened + self.known + self.refused + self.out_of_scope

    def __add__(self, other: "IntakeTotals") -> "IntakeTotals":
        return IntakeTotals(
            self.read + other.read,
            self.opened + other.opened,
            self.known + other.known,
            self.refused + other.refused,
            self.out_of_scope + other.out_of_scope,
        )

    def as_dict(self) -> dict[str, int]:
        return {
            "read": self.read,
            "opened": self.opened,
            "known": self.known,
            "refused": self.refused,
            "out_of_scope": self.out_of_scope,
        }


class Register(ChainFile):
    """`register.jsonl` of an evidence root."""

    def __init__(self, root: EvidenceRoot, *, clock: Clock = utc_now, entropy: Entropy = random_bytes) -> None:
        super().__init__(root.register, clock=clock, entropy=entropy)

    def records(self) -> Iterator[Entry]:
        """Every event but those that lost their texts in a power cut: each is void by the recovery after it."""
        return (entry for entry in super().records() if not entry.missing)

    def size_and_head(self) -> tuple[int, str]:
        """Bytes and head of the register now: what a sign-off says it was given on."""
        tail = self.tail()
        if not tail.whole:
            with self.writing() as writer:  # which heals it, since `head_at` knows no head in the middle of a line
                tail = writer.tail
        return tail.size, tail.head

    def standing(self) -> str:
        """How far it goes, in words for whatever leaves the root: whoever keeps them can tell if it is cut back."""
        tail = self.tail()
        return f"register of {tail.size} bytes with the head {tail.head}"

    def environment(self) -> str:
        """SHA-256 of the first line, which no other evidence root has: its salt and its instant are its own."""
        with self.reading() as file:
            return hashlib.sha256(file.readline()).hexdigest()

    def head_at(self, size: int) -> str | None:
        """The head that the register had when it was so many bytes long; None where no line ends there.

        A size that somebody signed may be of any type, and one below zero would be taken from the file's end.
        """
        if type(size) is not int or size < 0:
            return None
        with self.reading() as file:
            tail = read_tail(file, size)
        return tail.head if tail.whole else None


def registered_heads(root: EvidenceRoot, run_id: str) -> list[str] | None:
    """The heads that the register came to know of a run's log, in its order; 64 zeros first, None for an unknown run.

    Raises TamperedError for a run that is opened twice, and for a line about it that is not one of a register; only a
    scan judges the others.
    """
    needle = f'"run_id":"{run_id}"'.encode("utf-8", "surrogateescape")
    found: list[str] | None = None
    with _mapped(root.register) as content:
        at = content.find(needle)
        while at >= 0:
            event = _event_around(at, content, root.register, run_id)
            if event.get("run_id") == run_id and event.get("event") == "run_opened":
                if found is not None:
                    raise TamperedError(f"{root.register}: {run_id} is opened twice (SEV-1)")
                found = [ZERO]
            elif event.get("run_id") == run_id and "head" in event and found is not None:
                found.append(str(event["head"]))
            at = content.find(needle, at + len(needle))
    return found


def erased_texts(root: EvidenceRoot, run_id: str) -> set[str]:
    """The SHA-256 of every text of a run that the register says was erased. Raises TamperedError for a broken line."""
    found: set[str] = set()
    with _mapped(root.register) as content:
        at = content.find(_ERASED)
        while at >= 0:
            event = _event_around(at, content, root.register, "an erasure")
            if event.get("event") == "erased" and event.get("run_id") == run_id:
                found.update(event["digests"])
            at = content.find(_ERASED, at + len(_ERASED))
    return found


def newest_findings_head(register: Path) -> str | None:
    """The newest head of `findings.jsonl` that a register knows, or None. Raises TamperedError for a broken line."""
    with _mapped(register) as content:
        at = content.rfind(_FINDINGS_HEAD)
        while at >= 0:
            event = _event_around(at, content, register, "findings")
            if event.get("event") == "findings_head":
                return str(event["head"])
            at = content.rfind(_FINDINGS_HEAD, 0, at)
    return None


def events_of(register: Path, kind: str, *, before: int | None = None) -> Iterator[dict[str, Any]]:
    """The register's lines of one kind, as they stand, in their order, all or those before a size in bytes.

    Raises TamperedError for a broken one.
    """
    needle = f'"event":"{kind}"'.encode()
    with _mapped(register) as content:
        end = len(content) if before is None else before
        at = content.find(needle)
        while 0 <= at < end:
            event = _event_around(at, content, register, kind)
            if event.get("event") == kind:
                yield event
            at = content.find(needle, at + len(needle))


def files_of(event: str, data: Mapping[str, Any]) -> dict[str, str]:
    """The files that a line names, by their paths in the root; another event than those of months names none.

    Raises ValueError and TypeError unless they are paths in the folder of the line's month, each in its only form.
    """
    files: dict[str, str] = dict(data.get("files", {})) if event in OF_MONTHS else {}
    for name in files:
        found = _OF_MONTH.fullmatch(name)
        if found is None or found[1] != data["month"]:
            raise ValueError(f"{name!r} is no file of the month {data['month']}")
    return files


@contextmanager
def _mapped(path: Path) -> Iterator[mmap.mmap | bytes]:
    """The bytes of a file, to look for words without reading all of it."""
    with open_lines(path) as file:
        if os.fstat(file.fileno()).st_size == 0:
            yield b""
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            yield content


def _event_around(at: int, content: mmap.mmap | bytes, path: Path, about: str) -> dict[str, Any]:
    """The event on whose line a position stands; nothing of one that was not finished.

    A torn line has a `recovered` event after it, over it and over recoveries that were torn themselves. Raises
    TamperedError for any other line that cannot be read.
    """
    lines = _lines_from(content.rfind(b"\n", 0, at) + 1, content)
    line = next(lines, None)
    if line is None:
        return {}
    event, torn = parse_line(line), Damage(at)
    if event is not None:
        return event
    torn.take(line)
    for line in lines:
        event = parse_line(line)
        if event is None:
            torn.take(line)
        elif torn.healed_by(event):
            return {}
        else:
            break
    raise TamperedError(f"{path}: a line that names {about} cannot be read (SEV-1)")


def _lines_from(start: int, content: mmap.mmap | bytes) -> Iterator[bytes]:
    """The finished lines from a line's beginning."""
    while end := content.find(b"\n", start) + 1:
        yield content[start:end]
        start = end
