"""`findings.jsonl`: one chained file, written under one lock.

What belongs here: recording what happened, what people said of it, and what was sent. Recording the same again is
harmless: ids follow from facts. No call removes anything, and since the register learns every new head while the lock
is still held, nobody cuts a tail off unseen either.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from countersign.changes.hands import Hands
from countersign.environment import Clock, Entropy, random_bytes, utc_now
from countersign.errors import FindingRefused, TamperedError, UnknownFindingError
from countersign.evidence.chain import ChainFile, Writer
from countersign.evidence.lines import ZERO, Draft
from countersign.evidence.register import Register, newest_findings_head
from countersign.evidence.root import EvidenceRoot
from countersign.findings.disposal import Answer, why_not_acknowledge, why_not_dispose
from countersign.findings.finding import (
    NOBODY,
    Finding,
    Findings,
    Observed,
    Occurrence,
    Outcome,
    apply,
    read_findings,
)
from countersign.runs.versions import Versions

ACTOR = "countersign"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One step over one channel, for the nth time."""

    step: str
    channel: str
    number: int

    def data(self) -> dict[str, str | int]:
        """The fields of its events."""
        return {"step": self.step, "channel": self.channel, "attempt": self.number}


@dataclass(frozen=True, slots=True)
class Addition:
    """What completes the handoff of a run that was closed: a finding, for these observers."""

    run_id: str
    finding: str
    to: tuple[str, ...]

    def data(self) -> dict[str, str | list[str]]:
        """The fields of its event."""
        return {"run_id": self.run_id, "finding": self.finding, "to": list(self.to)}


class FindingsLog:
    """The findings of an evidence root."""

    def __init__(self, root: EvidenceRoot, *, clock: Clock = utc_now, entropy: Entropy = random_bytes) -> None:
        self.path = root.findings
        self._clock = clock
        self._register = Register(root, clock=clock, entropy=entropy)
        self._chain = ChainFile(self.path, blobs=root.blobs, clock=clock, entropy=entropy)
        self._read: tuple[str, Findings] = (ZERO, Findings())

    def read(self) -> Findings:
        """What the file says; nothing where there is none yet. Raises TamperedError."""
        return read_findings(self._chain.records()) if self.path.exists() else Findings()

    def open(self, occurrences: Iterable[Occurrence], addenda: Iterable[Addition] = ()) -> list[str]:
        """Record what happened, and what thereby completes a handoff, in one durable write.

        Returns the ids that were not on record.
        """
        with self._writing() as (writer, findings):
            fresh = {what.id: what for what in occurrences if what.id not in findings.by_id}
            drafts = [Draft("opened", ACTOR, what.data()) for what in fresh.values()]
            for added in addenda:
                there = {addendum.finding for addendum in findings.addenda.get(added.run_id, ())}
                if added.finding not in there:
                    drafts.append(Draft("addendum", ACTOR, added.data()))
            _record(writer, findings, drafts)
        return list(fresh)

    def observe(self, run_id: str, observer: str, outcome: Observed, reason: str) -> bool:
        """An observer has looked at a run; whether that was not on record. The same again is harmless."""
        with self._writing() as (writer, findings):
            said = {(one.by, one.outcome, one.reason) for one in findings.observations.get(run_id, ())}
            fresh = (observer, outcome, reason) not in said
            if fresh:
                data = {"run_id": run_id, "outcome": str(outcome)}
                _record(writer, findings, [Draft("observed", observer, data, {"reason": reason})])
        return fresh

    def register_standing(self) -> str:
        """The register's size and head, in words for whoever is told something."""
        return self._register.standing()

    def register_tail(self) -> None:
        """Let the register know the newest head, where a crash came between the two."""
        if self.path.exists() and self._chain.head != (newest_findings_head(self._register.path) or ZERO):
            with self._writing():
                pass

    def acknowledge(self, finding_id: str, person: str, reason: str, in_force: Versions, hands: Hands | None) -> None:
        """Somebody takes a finding on: it is no longer sent again. Raises FindingRefused; harmless to repeat.

        `hands` as for `dispose`.
        """
        with self._writing() as (writer, findings):
            finding = _known(findings, finding_id)
            _refuse(finding_id, why_not_acknowledge(finding, person, reason, in_force, hands, self._clock()))
            if person not in finding.acknowledged_by:
                _record(writer, findings, [Draft("acknowledged", person, {"finding": finding_id}, {"reason": reason})])

    def dispose(self, finding_id: str, person: str, answer: Answer, in_force: Versions, hands: Hands | None) -> Finding:
        """Somebody disposes of a finding; SEV-1 and SEV-2 stay open until a second person has. Raises FindingRefused.

        `hands` are in the change that it is about, None where nobody can tell. Returns it as it then stands.
        """
        with self._writing() as (writer, findings):
            finding = _known(findings, finding_id)
            _refuse(finding_id, why_not_dispose(finding, person, answer, in_force, hands, self._clock()))
            data = {"finding": finding_id, "deficiency": None if answer.deficiency is None else str(answer.deficiency)}
            _record(writer, findings, [Draft("disposed", person, data, answer.texts())])
            return finding

    def attempt(self, step: str, channel: str, now: datetime) -> Attempt | None:
        """Take a step over a channel on oneself before it is sent.

        None where it was sent, is being sent, may have been sent, or failed too short a while ago.
        """
        with self._writing() as (writer, findings):
            if not findings.may_go(step, channel, now):
                return None
            notice = findings.notices.get(step, {}).get(channel)
            attempt = Attempt(step, channel, 1 if notice is None else notice.attempts + 1)
            _record(writer, findings, [Draft("notifying", ACTOR, attempt.data())])
            return attempt

    def conclude(self, attempt: Attempt, outcome: Outcome, reason: str | None = None) -> None:
        """What came of an attempt; `reason` is in our own words, since a channel's may hold a secret.

        An attempt that took so long that it was given up stays so.
        """
        with self._writing() as (writer, findings):
            if findings.notices[attempt.step][attempt.channel].outcome is None:
                _record(writer, findings, [_concluded(attempt, outcome, reason)])

    def without_route(self, step: str) -> None:
        """Nobody can be told of a step, which is on record once."""
        with self._writing() as (writer, findings):
            if step not in findings.notices:
                nobody = Attempt(step, NOBODY, 0)
                _record(writer, findings, [_concluded(nobody, Outcome.NO_ROUTE, "the role has no route")])

    def give_up_lost(self, now: datetime) -> list[Attempt]:
        """Conclude attempts that were begun long ago and have no outcome: their process died, so it is unknown."""
        if not self.path.exists():
            return []
        with self._writing() as (writer, findings):
            lost = [
                Attempt(step, channel, notice.attempts)
                for step, channels in findings.notices.items()
                for channel, notice in channels.items()
                if notice.lost(now)
            ]
            reason = "the process that sent it did not come back"
            _record(writer, findings, [_concluded(attempt, Outcome.UNKNOWN, reason) for attempt in lost])
        return lost

    @contextmanager
    def _writing(self) -> Iterator[tuple[Writer, Findings]]:
        """The lock, and what the file says; it is only read again where somebody else has written since."""
        with self._chain.writing() as writer:
            known, findings = self._read
            if writer.tail.head != known or known == ZERO:
                known, entries = newest_findings_head(self._register.path) or ZERO, writer.entries()
                self._guard(known, {ZERO, *(entry.head for entry in entries)})
                findings = read_findings(entries)
            self._read = (ZERO, Findings())  # until it is on disk, nothing staged counts
            yield writer, findings
            if writer.tail.head != known:
                self._register.append("findings_head", ACTOR, size=writer.tail.size, head=writer.tail.head)
            self._read = (writer.tail.head, findings)

    def _guard(self, known: str, heads: set[str]) -> None:
        """Nothing goes on from a file that lost what the register knows of it."""
        if known not in heads:
            raise TamperedError(f"{self.path}: the register knows the head {known}, which this file has lost; SEV-1")


def _concluded(attempt: Attempt, outcome: Outcome, reason: str | None) -> Draft:
    return Draft("notified", ACTOR, {**attempt.data(), "outcome": str(outcome), "reason": reason})


def _record(writer: Writer, findings: Findings, drafts: Iterable[Draft]) -> None:
    """Judge every event as it will be read, and only then write them."""
    for draft in drafts:
        apply(findings, writer.stage(draft))
    writer.commit()


def _known(findings: Findings, finding_id: str) -> Finding:
    finding = findings.by_id.get(finding_id)
    if finding is None:
        raise UnknownFindingError(f"{finding_id}: no such finding; `countersign finding list` shows them")
    return finding


def _refuse(finding_id: str, why: str | None) -> None:
    if why is not None:
        raise FindingRefused(f"{finding_id}: {why}")
