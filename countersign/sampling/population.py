"""A month's population: which runs belong to it, and what became of each.

What belongs here: one look at the register (`Cut`). What does not: the rows that logs add to it (`rows`), whether
anything is missing (`completeness`), and files.

A run belongs to the month in which its change was first deployed, in the policy's zone; the intake day only says where
it lies. The register says that and what became of it, so an observer who has the register finds the same.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from countersign.clocks.instant import stamp, to_micros
from countersign.evidence.indexed import IndexedClock, IndexedRun
from countersign.runs.engine import Engine
from countersign.sampling.columns import Outcome, Stratum
from countersign.sampling.listing import Header
from countersign.sampling.month import Month

_OUTCOMES = {
    "BLOCKED": Outcome.BLOCKED,
    "FAILED": Outcome.FAILED,
    "OUT_OF_SCOPE": Outcome.OUT_OF_SCOPE,
    "AWAITING_APPROVAL": Outcome.AWAITING,
    "OPENED": Outcome.AWAITING,
}


@dataclass(frozen=True, slots=True)
class Member:
    """A run of the month: the id of its change in the population, what became of it, and where it is counted."""

    change_id: str
    run: IndexedRun
    outcome: Outcome
    stratum: Stratum
    clocks: tuple[IndexedClock, ...]


@dataclass(frozen=True, slots=True)
class Cut:
    """What the register says of a month at one of its sizes; nothing that comes later changes it.

    `not_deployed` are the runs, opened before the month's end, whose changes were not; of those that are `unwatched`
    nobody has looked whether a clock has run out.
    """

    month: Month
    zone: str
    begin: str
    until: str
    register_size: int
    register_head: str
    members: tuple[Member, ...]
    not_deployed: tuple[IndexedRun, ...]
    unwatched: frozenset[str]

    def header(self, *, complete: bool, adds_to: str | None = None) -> Header:
        """The header of a list of these members."""
        counts = Counter((str(member.stratum), str(member.outcome)) for member in self.members)
        return Header(
            self.month,
            self.zone,
            self.begin,
            self.until,
            self.register_size,
            self.register_head,
            complete,
            counts,
            adds_to,
        )

    def counts(self) -> dict[str, int]:
        """How many members have each outcome, in the order of the outcomes."""
        counted = Counter(member.outcome for member in self.members)
        return {str(outcome): counted[outcome] for outcome in Outcome}


def look(engine: Engine, month: Month) -> Cut:
    """Everything that the register says of a month now, seen under its lock."""
    zone = engine.current.policy.zone
    begin, until = stamp(month.begin(zone)), stamp(month.end(zone))
    with engine.register.writing() as writer:
        engine.index.sync(writer)
        at, size, head = engine.clock(), writer.tail.size, writer.tail.head
        runs = engine.index.deployed_between(begin, until)
        clocks = engine.index.clocks.by_run([run.run_id for run in runs])
        waiting = engine.index.not_deployed(until)
    unwatched = {run_id for run_id, found in clocks.items() if any(_unwatched(clock, at) for clock in found)}
    members = _members(runs, clocks)
    return Cut(month, zone.key, begin, until, size, head, tuple(members), tuple(waiting), frozenset(unwatched))


def _members(runs: Sequence[IndexedRun], clocks: Mapping[str, Sequence[IndexedClock]]) -> list[Member]:
    """The runs as members, by change id and run id: an id that two systems use stands as `system/id` for both.

    No payload's id holds a slash, so such an id is no other change's.
    """
    systems: dict[str, set[str]] = {}
    for run in runs:
        systems.setdefault(run.change_id, set()).add(run.system)
    members = []
    for run in runs:
        shared = len(systems[run.change_id]) > 1
        own = tuple(clocks.get(run.run_id, ()))
        members.append(
            Member(
                f"{run.system}/{run.change_id}" if shared else run.change_id,
                run,
                outcome_of(run, own),
                Stratum.EMERGENCY if run.tier == "emergency" else Stratum.STANDARD,
                own,
            )
        )
    return sorted(members, key=lambda member: (member.change_id, member.run.run_id))


def outcome_of(run: IndexedRun, clocks: Iterable[IndexedClock]) -> Outcome:
    """What became of a run, by the register: clean is what its handoff says so of, and nobody was late."""
    if run.superseded_by is not None:
        return Outcome.SUPERSEDED
    if run.status != "COMPLETED":
        return _OUTCOMES[run.status]
    return Outcome.CLEAN if run.clean and not any(map(is_breached, clocks)) else Outcome.EXCEPTION


def is_breached(clock: IndexedClock) -> bool:
    """Whether the register has a breach of it."""
    return clock.recorded and clock.breached_at is not None


def _unwatched(clock: IndexedClock, at: datetime) -> bool:
    """Whether its time is used up, or nobody could tell, and no breach is on record."""
    ended = to_micros(at) if clock.stopped_at is None else clock.stopped_at
    return not clock.closed and not clock.recorded and (clock.deadline is None or clock.deadline < ended)
