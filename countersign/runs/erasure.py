"""Erasing one text of a run where law demands it: by two owners who sign, and on record before it is done.

The log's events never change, so every head, seal and signature stands as it did; in place of the text stands a mark
with its SHA-256. Only a run that is over, or was superseded, can lose words, since an open one goes on from them. What
belongs here: what may be erased, and doing it so that the same command repairs a crash between line and log. What does
not: whose approval stands (`approvals`), the Parquet files, and copies elsewhere.
"""

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from countersign.clocks.instant import parse_instant
from countersign.environment import Clock, Entropy, random_bytes
from countersign.errors import RetentionRefused
from countersign.evidence import durable
from countersign.evidence.indexed import IndexedRun
from countersign.evidence.lines import Entry, erased_line, parse_line
from countersign.evidence.log import AuditLog
from countersign.evidence.plain import read_plain
from countersign.evidence.register import Register
from countersign.evidence.root import EvidenceRoot
from countersign.runs.approvals import APPROVED, Act, Approval, Approver, Done, settle
from countersign.runs.owners import OWNERS, require_owner
from countersign.runs.versions import Versions

ERASED = "erased"


@dataclass(slots=True)
class Erasures:
    """What the register says of erasures: those that were done, and the approvals of those that were not done yet."""

    done: list[Done] = field(default_factory=list)
    waiting: dict[bytes, list[tuple[Approval, str]]] = field(default_factory=dict)

    def take(self, entry: Entry, in_force: str) -> None:
        """Take a register line in; `in_force` is the configuration then. Raises KeyError for one of no form.

        Two owners who approve at once may both have been the second one: the act is done once.
        """
        if entry.event == APPROVED and entry.data["act"] == ERASED:
            approval = Approval.read(entry.data, entry.actor, parse_instant(entry.ts), entry.texts)
            self.waiting.setdefault(approval.act.canonical, []).append((approval, in_force))
        elif entry.event == ERASED:
            act = Act(ERASED, {name: entry.data[name] for name in ("run_id", "text", "digests")})
            if not isinstance(act.on["digests"], list):
                raise TypeError(f"digests is {act.on['digests']!r}")
            if all(act.canonical != done.act.canonical for done in self.done):
                approvals = tuple(self.waiting.pop(act.canonical, ()))
                self.done.append(Done(act, parse_instant(entry.ts), tuple(entry.data["by"]), approvals))

    def of(self, run_id: str) -> dict[str, str]:
        """The texts of a run that were erased, by SHA-256, with their ids."""
        return {
            digest: done.act.on["text"]
            for done in self.done
            if done.act.on["run_id"] == run_id
            for digest in done.act.on["digests"]
        }


def read_erasures(register: Register) -> Erasures:
    """What a register's lines say."""
    erasures, in_force = Erasures(), ""
    for entry in register.records():
        if entry.event in ("root_opened", "configuration_adopted"):
            in_force = entry.data["configuration"]
        erasures.take(entry, in_force)
    return erasures


@dataclass(frozen=True, slots=True)
class Erasure:
    """What became of an approval: `done` says whether it was the second one, and the text is gone."""

    run_id: str
    text: str
    by: list[str]
    done: bool

    @property
    def waits_for(self) -> str | None:
        """What is missing, in words."""
        return None if self.done else f"another of the roles {', '.join(OWNERS)} than {', '.join(self.by)}"


class Eraser:
    """Erases texts in an evidence root, by the configuration in force."""

    def __init__(
        self, root: EvidenceRoot, in_force: Versions, *, clock: Clock, entropy: Entropy = random_bytes
    ) -> None:
        self._root = root
        self._in_force = in_force
        self._register = Register(root, clock=clock, entropy=entropy)

    def approve(self, run: IndexedRun, text: str, approver: Approver) -> Erasure:
        """Approve that a text leaves a run's log; with the second approval it does.

        Once the register has it, the same command by any owner finishes what a crash left. Raises RetentionRefused.
        """
        if not run.closed and run.superseded_by is None:
            raise RetentionRefused(f"{run.run_id}: is not over yet, and goes on from its words")
        log = AuditLog(self._root.log(run.day, run.run_id), root=self._root)
        erasures = read_erasures(self._register)
        known = [digest for digest, name in erasures.of(log.run_id).items() if name == text]
        if known:
            require_owner(approver.by, self._in_force, self._register.now(), RetentionRefused)
            by, done = list[str](), True
        else:
            act = Act(ERASED, {"run_id": log.run_id, "text": text, "digests": self._digests(log, text)})
            waiting = [approval for approval, _ in erasures.waiting.get(act.canonical, ())]
            by, done = settle(act, approver, waiting, self._in_force, self._register)
            known = list(act.on["digests"])
        if done:
            take_out(log.path, self._root.blobs, dict.fromkeys(known, text))
        return Erasure(log.run_id, text, by, done)

    def _digests(self, log: AuditLog, text: str) -> list[str]:
        """The SHA-256 of every text of that id in a log that verifies."""
        report = log.check()
        if report.fault is not None:
            raise RetentionRefused(
                f"{log.path}: does not verify: {report.fault.kind}; nothing is erased from it (SEV-1)"
            )
        with log.reading() as file:
            events = [event for event in map(parse_line, file) if event is not None and "prev" in event]
        found = [texts[text] for event in events for texts in _named(event) if text in texts]
        if not found:
            names = sorted({name for event in events for texts in _named(event) for name in texts})
            raise RetentionRefused(f"{log.run_id}: has no text {text!r}; it has {', '.join(names)}")
        return found


def _named(event: dict[str, Any]) -> Iterator[dict[str, str]]:
    yield event.get("texts", {})
    yield event.get("blobs", {})


def take_out(path: Path, blobs: Path, texts: Mapping[str, str]) -> None:
    """Put marks in place of texts (ids by SHA-256) of a log that nobody writes to any more; harmless to repeat."""
    lines = io.BytesIO(read_plain(path)).readlines()
    marked = [_marked(line, texts) for line in lines]
    if marked != lines:
        durable.replace_file(path, b"".join(marked))
    for digest, text in texts.items():
        if (blobs / digest).exists():
            durable.replace_file(blobs / digest, erased_line(text, digest))


def _marked(line: bytes, texts: Mapping[str, str]) -> bytes:
    digest = durable.digest_of(line)
    return erased_line(texts[digest], digest) if digest in texts else line
