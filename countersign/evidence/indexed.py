"""What the index answers with: plain values, so that whoever reads them needs no database library."""

from dataclasses import dataclass
from datetime import date

from countersign.evidence.register import IntakeTotals

OPENED = "OPENED"


@dataclass(frozen=True, slots=True)
class IndexedRun:
    """A run as the register last described it; `since` is when, `signed` that a sign-off waits to be taken up."""

    run_id: str
    digest: str
    change_id: str
    system: str
    tier: str
    day: date
    source: str
    origin: str
    opened_at: str
    supersedes: str | None
    superseded_by: str | None
    head: str
    status: str
    pending: str | None
    reason: str | None
    since: str
    closed: bool
    signed: bool
    configuration: str


@dataclass(frozen=True, slots=True)
class IndexedIntake:
    """The latest reading of a source.

    `fingerprint` says what it found, `state` what the source looked like before, `declared` what the source itself
    counted, `broken` why it could not be read to its end.
    """

    source: str
    at: str
    fingerprint: str
    state: str | None
    totals: IntakeTotals
    declared: int | None
    broken: str | None
