"""The rows of a population: what the logs of its members add to what the register says of them.

What belongs here: reading a log as far as the register knew it, its row, and holding the two against each other. What
does not: which runs are members, and what became of them (`population`).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa

from countersign.changes.hands import deployers_of
from countersign.changes.people import People
from countersign.clocks.instant import from_micros, stamp
from countersign.controls.assessment import Result
from countersign.errors import CountersignError, TamperedError
from countersign.evidence.indexed import IndexedRun
from countersign.evidence.lines import ZERO, Entry
from countersign.policy import Key, Kind
from countersign.runs.engine import Engine
from countersign.runs.fold import read_state
from countersign.runs.state import RunState
from countersign.sampling.columns import SCHEMA, Outcome
from countersign.sampling.population import Cut, Member, is_breached

_AT_ONCE = 1000


@dataclass(slots=True)
class Assembly:
    """Rows in the making, and what comes to light on the way.

    Logs that cannot be read, logs that say otherwise than the register, changes that claim to belong to another month.
    """

    engine: Engine
    cut: Cut
    source_digests: Mapping[str, str]
    unreadable: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)
    astride: list[str] = field(default_factory=list)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows of all members, in the order of a list."""
        people = Roster(self.engine.current.people)
        members = self.cut.members
        for start in range(0, len(members), _AT_ONCE):
            rows = [self._row(member, people) for member in members[start : start + _AT_ONCE]]
            yield pa.RecordBatch.from_pylist(rows, schema=SCHEMA)

    def _row(self, member: Member, people: "Roster") -> dict[str, Any]:
        row = _registered(member, self.source_digests.get(member.run.run_id))
        if member.run.head == ZERO:
            self.unreadable.append(f"{member.change_id}: {member.run.run_id}: opened, and its log was never begun")
            return row
        try:
            state = state_at(self.engine, member.run)
            row.update(_logged(state, people))
        except CountersignError as error:
            self.unreadable.append(f"{member.change_id}: {error}")
            return row
        self._compare(member, state)
        return row

    def _compare(self, member: Member, state: RunState) -> None:
        """What the register says otherwise than the log, and deployments on either side of the month's end."""
        run, change = member.run, state.change
        first = change.first_deployed_at
        clean = state.handoff["clean"] if state.handoff is not None else None
        said = (run.change_id, run.system, run.tier, run.deployed_at, run.clean)
        if said != (change.id, change.system, state.tier, first and stamp(first), clean):
            self.differing.append(f"{member.change_id}: {run.run_id}: the register says otherwise than its log")
        claimed = stamp(change.deployed_at) if change.deployed_at else None
        standing = member.outcome is not Outcome.SUPERSEDED
        if standing and claimed is not None and not self.cut.begin <= claimed < self.cut.until:
            self.astride.append(f"{member.change_id}: claims {claimed}, and its evidence shows {run.deployed_at}")


class Roster:
    """Names as roster ids, each asked for once."""

    def __init__(self, people: People) -> None:
        self._people = people
        self._known: dict[str, str | None] = {}

    def id_of(self, text: str | None) -> str | None:
        """The roster id of somebody, None where the roster knows nobody of that name."""
        if text is None:
            return None
        if text not in self._known:
            self._known[text] = self._people.identify(text).person
        return self._known[text]

    def ids_of(self, texts: Iterable[str]) -> list[str]:
        """The same of several, leaving out whom the roster does not know."""
        return [found for text in texts if (found := self.id_of(text)) is not None]


def state_at(engine: Engine, run: IndexedRun) -> RunState:
    """A run as its log says it up to the head that the register knew. Raises CountersignError."""
    entries = engine.log_of(run.day, run.run_id).records()
    return read_state(run.run_id, _until(entries, run), engine.root.blobs)


def _until(entries: Iterator[Entry], run: IndexedRun) -> Iterator[Entry]:
    for entry in entries:
        yield entry
        if entry.head == run.head:
            return
    raise TamperedError(f"{run.run_id}: its log does not come to the head that the register knows, {run.head} (SEV-1)")


def _registered(member: Member, source_digest: str | None) -> dict[str, Any]:
    """What a row has from the register alone."""
    run = member.run
    return {
        **dict.fromkeys(SCHEMA.names),
        "change_id": member.change_id,
        "run_id": run.run_id,
        "stratum": str(member.stratum),
        "outcome": str(member.outcome),
        "system": run.system,
        "source": run.source,
        "origin": run.origin,
        "source_digest": source_digest,
        "payload": run.digest,
        "deployed_at": datetime.fromisoformat(run.deployed_at) if run.deployed_at else None,
        "clocks": [
            {
                "clock": f"{clock.kind} of {clock.about}" if clock.about else clock.kind,
                "deadline": None if clock.deadline is None else from_micros(clock.deadline),
                "outcome": "breached" if is_breached(clock) else "running" if clock.stopped_at is None else "met",
            }
            for clock in member.clocks
            if clock.taken_over_by is None
        ],
        "log_head": run.head,
    }


def _logged(state: RunState, people: Roster) -> dict[str, Any]:
    """What a row has from the log."""
    change = state.change
    met = [judged.evidence for judged in state.results if judged.result is Result.MET]
    cited = [change.evidence[name] for name in met if name in change.evidence]
    approval = next((item for item in cited if item.kind is Kind.APPROVAL), None)
    test = next((item for item in cited if item.kind is Kind.TEST), None)
    signed = {key: state.sign_offs[key].by if key in state.sign_offs else None for key in Key}
    return {
        "change_type": change.change_type.value,
        "author": people.id_of(change.author),
        "contributors": people.ids_of(change.contributors),
        "deployed_by": next(iter(people.ids_of(deployers_of(change))), None),
        "authorised_by": people.id_of(approval.by) if approval else None,
        "reviewed_by": signed[Key.INDEPENDENT_REVIEW],
        "approved_by": signed[Key.MAKER_CHECKER],
        "requested_at": change.requested_at,
        "approved_at": approval.at if approval else None,
        "tested_at": test.at if test else None,
        "controls": [{"control": judged.control, "result": judged.result.value} for judged in state.results],
    }
