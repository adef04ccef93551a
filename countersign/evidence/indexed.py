"""What the index answers with: plain values, so that whoever reads them needs no database library."""

from dataclasses import dataclass
from datetime import date

from countersign.evidence.register import IntakeTotals

OPENED = "OPENED"


@dataclass(frozen=True, slots=True)
class IndexedRun:
    """A run as the register last described it; `since` is when, `signed` that a sign-off waits to be taken up.

    `heads` are all that the register came to know of its log, from 64 zeros to `head`. `deployed_at` is when its change
    was first deployed, `clean` what its handoff said, None before there is one. One that is `abandoned` was opened, and
    its log not begun before a seal; its payload, handed in again, goes on with it.
    """

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
    heads: tuple[str, ...]
    status: str
    pending: str | None
    reason: str | None
    since: str
    closed: bool
    signed: bool
    configuration: str
    deployed_at: str | None
    clean: bool | None
    abandoned: bool


ClockKey = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class IndexedClock:
    """A clock as the register's lines have it; every instant in microseconds since 1970, in UTC.

    `about` tells the observation clocks of a run apart. The instants of its course are None until they were computed;
    `next_at` is when to look at it again, 0 for now. `recorded` says that the register has its breach.
    """

    run_id: str
    kind: str
    about: str
    tier: str
    configuration: str
    system: str
    source: str
    day: date
    started_at: int
    stopped_at: int | None
    half_at: int | None
    three_quarters_at: int | None
    deadline: int | None
    next_at: int
    breached_at: int | None
    finding: str | None
    recorded: bool
    taken_over_by: str | None
    closed: bool

    @property
    def key(self) -> ClockKey:
        """What a clock is known by."""
        return self.run_id, self.kind, self.about


@dataclass(frozen=True, slots=True)
class IndexedPause:
    """Time that a clock stood still, as recorded; `end` is None while it lasts."""

    run_id: str
    kind: str
    about: str
    begin: int
    end: int | None
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """Running clocks of one kind: how many, how many of them are overdue, and when the next one is due."""

    kind: str
    running: int
    overdue: int
    next_at: int | None


@dataclass(frozen=True, slots=True)
class Attainment:
    """How the clocks of one kind and tier that were due in a month came out; the month is that of the deadline."""

    month: str
    kind: str
    tier: str
    met: int
    breached: int


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
