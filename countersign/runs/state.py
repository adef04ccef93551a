"""What a run's log says so far, as values; and what follows from them alone: its payload, its next step, its status.

What belongs here: the state of a run, and the parts that it is made of. What does not: reading events (`fold`), and
deciding anything new.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from countersign.changes.payload import Change, Payload, accept
from countersign.controls.assessment import Result
from countersign.controls.model.interface import Asked
from countersign.errors import EvidenceError, PayloadError, TamperedError
from countersign.evidence.lines import ZERO, is_digest
from countersign.evidence.plain import is_plain, read_plain
from countersign.policy import Key, Limits
from countersign.runs.concealment import reveal

_UNLIMITED = Limits(evidence_bytes=1 << 40, payload_bytes=1 << 40)


class Status(StrEnum):
    """How a run stands."""

    COMPLETED = "COMPLETED"
    AWAITING_APPROVAL = "AWAITING_APPROVAL"
    BLOCKED = "BLOCKED"
    FAILED = "FAILED"
    OUT_OF_SCOPE = "OUT_OF_SCOPE"


class Step(StrEnum):
    """The steps of a run, in order."""

    INGEST = "ingest"
    ASSESS = "assess"
    GATE = "gate"
    INDEPENDENT_REVIEW = "independent_review"
    MAKER_CHECKER = "maker_checker"
    WORKPAPER = "workpaper"
    HANDOFF = "handoff"


@dataclass(frozen=True, slots=True)
class Judged:
    """One control's result as logged; `span` is where the quote stands in the evidence text, in code points.

    A quote without a span stands nowhere, and the gate blocks it.
    """

    control: str
    result: Result
    reason: str
    evidence: str | None
    quote: str | None
    span: tuple[int, int] | None
    judged_by: str


@dataclass(frozen=True, slots=True)
class Request:
    """A sign-off asked for: `head` is that of the event that asked, the handoff from which its clock runs."""

    key: Key
    role: str
    head: str
    at: datetime


@dataclass(frozen=True, slots=True)
class SignOff:
    """A sign-off given: by whom (roster ids), on which log and register heads, and what it determined.

    `head` is that of its own event, `log_head` the one before it, on which it was given.
    """

    key: Key
    head: str
    by: str
    role: str
    decision: str
    reason: str | None
    at: datetime
    log_head: str
    register_size: int
    register_head: str
    configuration: str
    determinations: tuple[Judged, ...]
    acting_for: str | None
    statement: str | None = None
    signature: str | None = None
    by_key: str | None = None


@dataclass(frozen=True, slots=True)
class Breach:
    """A clock that ran out while the run was open; `finding` is the id under which it is followed."""

    clock: str
    about: str
    deadline: datetime
    finding: str


@dataclass(slots=True)
class RunState:
    """Everything that a run's log says so far.

    `asked` is what a model was asked and said, `asked_head` that of its event, `claims` what the model asserted;
    `erased` are the ids of texts that were taken out and read as `[erased]`: what needs them is not decided again.
    `judged` is every control as it was assessed, `results` the same with the reviewer's determinations in place of the
    abstentions that they settle. `gate_holds`, `attested` and `workpaper_holds` say of this very state that the gate
    was decided again, that the sign-offs were judged again, and that the workpaper is the one that follows.
    """

    run_id: str
    head: str = ZERO
    digest: str = ""
    origin: str = ""
    source: str = ""
    where: str = ""
    supersedes: str | None = None
    opened_at: datetime | None = None
    texts: Mapping[str, str] = field(default_factory=dict)
    erased: set[str] = field(default_factory=set)
    skeleton: Mapping[str, Any] | None = None
    blobs: Path | None = None
    accepted: Payload | None = None
    configuration: Mapping[str, str] = field(default_factory=dict)
    classified: Mapping[str, Any] = field(default_factory=dict)
    asked: Asked | None = None
    asked_head: str = ZERO
    mapper: str = ""
    assessed_at: datetime | None = None
    judged: tuple[Judged, ...] = ()
    claims: tuple[Judged, ...] = ()
    results: tuple[Judged, ...] = ()
    verdicts: tuple[Mapping[str, Any], ...] = ()
    passed: bool | None = None
    gate_reason: str | None = None
    gate_holds: bool = False
    attested: bool = False
    workpaper_holds: bool = False
    requests: dict[Key, Request] = field(default_factory=dict)
    sign_offs: dict[Key, SignOff] = field(default_factory=dict)
    assessed_head: str = ZERO
    gated_head: str = ZERO
    sign_off_head: str = ZERO
    notices: dict[str, datetime] = field(default_factory=dict)
    breaches: list[Breach] = field(default_factory=list)
    workpaper: Mapping[str, Any] | None = None
    workpaper_head: str = ZERO
    workpaper_at: datetime | None = None
    handoff: Mapping[str, Any] | None = None
    handoff_at: datetime | None = None
    error: str | None = None
    failures: int = 0
    closed_as: Status | None = None

    @property
    def ingested(self) -> bool:
        """Whether the log holds a payload."""
        return self.skeleton is not None

    @property
    def payload(self) -> Payload:
        """The payload, put together and judged again when first asked for, its identity with it.

        Raises TamperedError where it is not the one that this run was opened for, EvidenceError where there is none.
        Where a text of it was erased it is not that one any more, and its identity is left out.
        """
        if self.accepted is None:
            if self.skeleton is None:
                raise EvidenceError(f"{self.run_id}: nothing is ingested yet")
            try:
                payload = accept(reveal(self.skeleton, self.texts, _Blobs(self.blobs)), _UNLIMITED)
            except PayloadError as error:
                raise TamperedError(f"{self.run_id}: its payload would not be accepted: {error}") from error
            whole = self.erased.isdisjoint(self.texts)
            if whole and (payload.digest != self.digest or payload.run_id != self.run_id):
                raise TamperedError(f"{self.run_id}: its payload is that of {payload.run_id}, {payload.digest}")
            self.accepted = payload
        return self.accepted

    @property
    def change(self) -> Change:
        """The change of the payload."""
        return self.payload.change

    @property
    def cited_words_erased(self) -> bool:
        """Whether words were erased that the gate or a determination was decided on, so that neither can be again."""
        return any(name.startswith(("evidence/", "assertion/", "determination/")) for name in self.erased)

    @property
    def tier(self) -> str:
        """The runbook tier, as the policy has it."""
        return str(self.classified["tier"])

    @property
    def pending(self) -> Key | None:
        """The sign-off that was asked for and is not there."""
        if self.closed_as is not None:
            return None
        return next((key for key in self.requests if key not in self.sign_offs), None)

    @property
    def next_step(self) -> Step | None:
        """What the engine does next; None at a pause and at the end."""
        if self.closed_as is not None or self.pending is not None:
            return None
        if not self.ingested:
            return Step.INGEST
        if not self.judged:
            return Step.ASSESS
        if not self.passed:
            return Step.GATE
        for key in Key:
            if key not in self.sign_offs or self.sign_offs[key].decision != "approved":
                return Step(key)
        return Step.WORKPAPER if self.workpaper is None else Step.HANDOFF

    @property
    def status(self) -> Status:
        """How the run stands."""
        if self.closed_as is not None:
            return self.closed_as
        return Status.AWAITING_APPROVAL if self.error is None and self.requests else Status.FAILED

    @property
    def reason(self) -> str | None:
        """Why it stands so, in one line."""
        if self.closed_as is Status.BLOCKED:
            rejected = next((signed for signed in self.sign_offs.values() if signed.decision == "rejected"), None)
            return f"{rejected.key} rejected by {rejected.by}" if rejected else self.gate_reason
        if self.closed_as is Status.OUT_OF_SCOPE:
            return "the policy has its system out of scope"
        if self.pending is not None:
            return f"{self.pending} is due from the role {self.requests[self.pending].role}"
        if self.closed_as is None and self.error is None and self.sign_offs:
            return f"{list(self.sign_offs)[-1]} is recorded and waits to be taken up"
        return self.error


class _Blobs(dict[str, str]):
    """Attachment contents as base64, read when asked for."""

    def __init__(self, folder: Path | None) -> None:
        super().__init__()
        self._folder = folder

    def __missing__(self, digest: str) -> str:
        path = self._folder / digest if self._folder and is_digest(digest) else None
        if path is None or not is_plain(path):
            raise TamperedError(f"the attachment {digest} is not among the blobs")
        return base64.b64encode(read_plain(path)).decode("ascii")
