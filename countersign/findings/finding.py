"""Findings and what became of them: the fold of `findings.jsonl`.

What belongs here: the words, one way to read every event, and what is open. What does not: who may dispose of a
finding (`disposal`), when somebody is told (`ladder`), and writing (`log`).

An event out of order is TamperedError: an id comes once, and only what was opened is acknowledged or disposed of.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import rfc8785

from countersign.clocks.instant import parse_instant, stamp
from countersign.errors import TamperedError
from countersign.evidence.lines import Entry
from countersign.runs.fold import without_voided

NOBODY = ""  # the channel of a role that has none
_LOST_AFTER = timedelta(minutes=10)  # no channel takes so long; whoever began the attempt has died
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(minutes=1), timedelta(hours=1)


class FindingKind(StrEnum):
    """What a finding is about; `subject` says which clock, control, path or population."""

    SLA_BREACH = "sla_breach"
    CONTROL_EXCEPTION = "control_exception"
    BLOCK = "block"
    INTEGRITY_INCIDENT = "integrity_incident"
    EARLY_DELETION = "early_deletion"
    INCOMPLETE_POPULATION = "incomplete_population"


class Severity(StrEnum):
    """The severities of ESCALATION.md."""

    SEV_1 = "SEV-1"
    SEV_2 = "SEV-2"
    SEV_3 = "SEV-3"
    SEV_4 = "SEV-4"

    @property
    def people_needed(self) -> int:
        """How many people dispose of such a finding."""
        return 2 if self in (Severity.SEV_1, Severity.SEV_2) else 1


class Deficiency(StrEnum):
    """How an auditor classes what a finding shows."""

    DEFICIENCY = "deficiency"
    SIGNIFICANT_DEFICIENCY = "significant_deficiency"
    MATERIAL_WEAKNESS = "material_weakness"


class Outcome(StrEnum):
    """What became of telling somebody over one channel; `unknown` where the process died before it knew."""

    SENT = "sent"
    FAILED = "failed"
    UNKNOWN = "unknown"
    NO_ROUTE = "no_route"


def short_id(prefix: str, facts: dict[str, str | int | None]) -> str:
    """An id that follows from facts alone, so that the same facts are recorded once."""
    return f"{prefix}-{hashlib.sha256(rfc8785.dumps(facts)).hexdigest()[:16]}"


@dataclass(frozen=True, slots=True)
class Occurrence:
    """What happened. `barred` are the roster ids of whoever was late, or did it: they cannot dispose of it.

    `breached_at` is when it happened, whenever it was seen; `due` is until when it is to be disposed of.
    """

    kind: FindingKind
    subject: str
    severity: Severity
    owner: str
    run_id: str | None
    system: str | None
    barred: tuple[str, ...]
    breached_at: datetime
    due: datetime

    @property
    def id(self) -> str:
        """The same for the same run, kind and subject, whoever computes it."""
        return short_id("finding", {"kind": str(self.kind), "run": self.run_id, "subject": self.subject})

    def data(self) -> dict[str, Any]:
        """The fields of the event that opens it."""
        return {
            "finding": self.id,
            "kind": str(self.kind),
            "subject": self.subject,
            "severity": str(self.severity),
            "owner": self.owner,
            "run_id": self.run_id,
            "system": self.system,
            "barred": list(self.barred),
            "breached_at": stamp(self.breached_at),
            "due": stamp(self.due),
        }


@dataclass(frozen=True, slots=True)
class Disposition:
    """How one person disposed of a finding, and when."""

    by: str
    at: datetime
    reason: str
    root_cause: str | None
    corrective_action: str | None
    deficiency: Deficiency | None
    compensating_control: str | None
    compensating_evidence: str | None


@dataclass(slots=True)
class Finding:
    """A finding as it stands."""

    what: Occurrence
    detected_at: datetime
    acknowledged_by: dict[str, datetime] = field(default_factory=dict)
    dispositions: dict[str, Disposition] = field(default_factory=dict)

    @property
    def disposed(self) -> bool:
        """Whether as many people as its severity needs have disposed of it."""
        return len(self.dispositions) >= self.what.severity.people_needed


@dataclass(slots=True)
class Notice:
    """One step of the ladder over one channel: how often it was tried, when last, and what came of that."""

    attempts: int
    at: datetime
    outcome: Outcome | None

    def lost(self, now: datetime) -> bool:
        """Whether it was begun so long ago that its outcome will not come."""
        return self.outcome is None and now >= self.at + _LOST_AFTER

    def uncertain(self, now: datetime) -> bool:
        """Whether nobody will ever know if it was sent."""
        return self.outcome is Outcome.UNKNOWN or self.lost(now)

    @property
    def may_be_tried_again(self) -> bool:
        """Whether it failed, so that it is tried again sooner or later."""
        return self.outcome is Outcome.FAILED

    def may_go(self, now: datetime) -> bool:
        """Whether it is to be tried again by now: only what failed, after a pause that doubles up to an hour."""
        pause = min(_FIRST_PAUSE * 2 ** min(self.attempts - 1, 10), _LONGEST_PAUSE)
        return self.outcome is Outcome.FAILED and now >= self.at + pause


class Observed(StrEnum):
    """What an observer makes of what was noticed of a run."""

    NOTED = "noted"
    CHALLENGED = "challenged"


@dataclass(frozen=True, slots=True)
class Observation:
    """An observer has looked at a run, and what they made of it."""

    by: str
    at: datetime
    outcome: Observed
    reason: str


@dataclass(frozen=True, slots=True)
class Addendum:
    """A breach that came to light after its run was handed off: to whom the handoff is thereby completed, and when."""

    finding: str
    to: tuple[str, ...]
    at: datetime


@dataclass(slots=True)
class Findings:
    """Everything that `findings.jsonl` says.

    Findings by id, notices by step and channel, observations and addenda by run.
    """

    by_id: dict[str, Finding] = field(default_factory=dict)
    notices: dict[str, dict[str, Notice]] = field(default_factory=dict)
    observations: dict[str, list[Observation]] = field(default_factory=dict)
    addenda: dict[str, list[Addendum]] = field(default_factory=dict)

    def may_go(self, step: str, channel: str, now: datetime) -> bool:
        """Whether a step is to be tried over a channel now."""
        notice = self.notices.get(step, {}).get(channel)
        return notice is None or notice.may_go(now)

    def open(self) -> list[Finding]:
        """What nobody has disposed of, the gravest and oldest first."""
        left = [finding for finding in self.by_id.values() if not finding.disposed]
        return sorted(left, key=lambda finding: (finding.what.severity, finding.what.breached_at, finding.what.id))


def read_findings(entries: Iterable[Entry]) -> Findings:
    """Fold the events. Raises TamperedError for one that cannot stand where it stands."""
    findings = Findings()
    for entry in without_voided(entries):
        apply(findings, entry)
    return findings


def apply(findings: Findings, entry: Entry) -> None:
    """Take in one event. Raises TamperedError."""
    try:
        match entry.event:
            case "opened":
                what = _occurrence(entry.data)
                _expect(entry, what.id == entry.data["finding"], "its id does not follow from what it says")
                _expect(entry, what.id not in findings.by_id, "it was opened before")
                findings.by_id[what.id] = Finding(what, parse_instant(entry.ts))
            case "acknowledged":
                finding = findings.by_id[entry.data["finding"]]
                finding.acknowledged_by.setdefault(entry.actor, parse_instant(entry.ts))
            case "disposed":
                finding = findings.by_id[entry.data["finding"]]
                _expect(entry, not finding.disposed, "the finding was disposed of before")
                _expect(entry, entry.actor not in finding.dispositions, "the same person disposed of it before")
                _expect(entry, entry.actor not in finding.what.barred, "that person is barred from it")
                finding.dispositions[entry.actor] = _disposition(entry)
            case "notifying":
                _attempted(findings, entry)
            case "notified":
                _told(findings, entry)
            case "observed":
                findings.observations.setdefault(entry.data["run_id"], []).append(_observation(entry))
            case "addendum":
                _added(findings, entry)
            case "recovered":
                pass
            case _:
                _expect(entry, False, "there is no such event")
    except (KeyError, TypeError, ValueError) as error:
        raise TamperedError(f"findings: event {entry.seq} ({entry.event}) is not of its form: {error!r}") from error


def _expect(entry: Entry, holds: bool, why_not: str) -> None:
    if not holds:
        raise TamperedError(f"findings: event {entry.seq} ({entry.event}) cannot stand here: {why_not}")


def _occurrence(data: dict[str, Any]) -> Occurrence:
    return Occurrence(
        FindingKind(data["kind"]),
        data["subject"],
        Severity(data["severity"]),
        data["owner"],
        data["run_id"],
        data["system"],
        tuple(data["barred"]),
        parse_instant(data["breached_at"]),
        parse_instant(data["due"]),
    )


def _disposition(entry: Entry) -> Disposition:
    texts, deficiency = entry.texts, entry.data["deficiency"]
    return Disposition(
        entry.actor,
        parse_instant(entry.ts),
        texts["reason"],
        texts.get("root_cause"),
        texts.get("corrective_action"),
        None if deficiency is None else Deficiency(deficiency),
        texts.get("compensating_control"),
        texts.get("compensating_evidence"),
    )


def _observation(entry: Entry) -> Observation:
    return Observation(entry.actor, parse_instant(entry.ts), Observed(entry.data["outcome"]), entry.texts["reason"])


def _added(findings: Findings, entry: Entry) -> None:
    finding = findings.by_id[entry.data["finding"]]
    addenda = findings.addenda.setdefault(entry.data["run_id"], [])
    _expect(entry, all(one.finding != finding.what.id for one in addenda), "the handoff has this addendum")
    addenda.append(Addendum(finding.what.id, tuple(entry.data["to"]), parse_instant(entry.ts)))


def _attempted(findings: Findings, entry: Entry) -> None:
    channels = findings.notices.setdefault(entry.data["step"], {})
    before = channels.get(entry.data["channel"])
    again = before is None or before.outcome is Outcome.FAILED
    _expect(entry, again, "the step was tried over this channel before, and that did not fail")
    number = before.attempts + 1 if before else 1
    _expect(entry, entry.data["attempt"] == number, f"it would be attempt {number}")
    channels[entry.data["channel"]] = Notice(number, parse_instant(entry.ts), None)


def _told(findings: Findings, entry: Entry) -> None:
    step, channel, outcome = entry.data["step"], entry.data["channel"], Outcome(entry.data["outcome"])
    if outcome is Outcome.NO_ROUTE:
        _expect(entry, step not in findings.notices, "somebody could be told")
        findings.notices[step] = {channel: Notice(0, parse_instant(entry.ts), outcome)}
        return
    notice = findings.notices[step][channel]
    _expect(entry, notice.outcome is None and notice.attempts == entry.data["attempt"], "no such attempt is open")
    notice.outcome, notice.at = outcome, parse_instant(entry.ts)
