"""Deployments and runs: what is joined to which change, which deployment stands alone, which change was never deployed.

What belongs here: registering deployments once each, and the arrivals that follow from them. What does not: opening
runs (`intake`), and whether a deployment matches (`changes.matching`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from countersign.changes.deployment import (
    Deployment,
    change_id_of,
    joined,
    revisions_of,
    shows_deployment,
    without_change,
)
from countersign.changes.matching import match
from countersign.changes.sources.interface import Origin
from countersign.errors import CountersignError
from countersign.evidence.deployed import Deployable, Key, RegisteredDeployment, Trace
from countersign.evidence.durable import digest_of
from countersign.evidence.indexed import IndexedRun
from countersign.evidence.lines import ZERO
from countersign.evidence.register import Refusal
from countersign.runs.engine import Engine, Outcome
from countersign.runs.fold import read_state
from countersign.runs.state import Status
from countersign.runs.steps import Arrival

if TYPE_CHECKING:
    from countersign.evidence.index import Index  # brings SQLAlchemy; definitions load without


@dataclass(slots=True)
class Registered:
    """A chunk of deployments after it was registered; `known` counts those that were there before."""

    deployments: list[RegisteredDeployment] = field(default_factory=list)
    known: int = 0
    conflicts: list[Refusal] = field(default_factory=list)


def register(
    engine: Engine, read: Sequence[Deployment], source: str, origin: Origin, extract: str | None
) -> Registered:
    """A register line for each deployment that has none; one that says otherwise than its line is refused (SEV-1)."""
    done = Registered()
    with engine.register.writing() as writer:
        engine.index.sync(writer)
        known = engine.index.deployments.known([(deployment.system, deployment.id) for deployment in read])
        new: list[RegisteredDeployment] = []
        for deployment in read:
            now = deployment.registered(source, origin, extract)
            before = known.setdefault(now.key, now)
            if before is now:
                new.append(now)
            elif before.says_the_same(now):
                done.known += 1
            else:
                done.conflicts.append(_conflict(deployment, before, source))
                continue
            done.deployments.append(before)
        if new:
            writer.append([deployment.draft() for deployment in new])
            engine.index.sync(writer)
    return done


def _conflict(deployment: Deployment, before: RegisteredDeployment, source: str) -> Refusal:
    reason = (
        f"the deployment {deployment.id} of {deployment.system} said otherwise when it was read before, from "
        f"{before.source} ({before.revision} to {before.environment} at {before.deployed_at}); a control incident, "
        "SEV-1, see ESCALATION.md"
    )
    return Refusal(source, deployment.where, change_id_of(deployment.id), reason, digest_of(deployment.content))


def settle(index: "Index", arrivals: Iterable[Arrival]) -> list[tuple[str, Arrival]]:
    """Arrivals, each with the run that it is, to be asked under the register's lock.

    A payload that a source gave before is the run that it became then, whatever was joined since: reading it again
    opens nothing, and a payload that was corrected does not come back. A new one is joined with the deployments that
    are known. An arrival that follows from deployments counts only while what it follows from still holds.
    """
    arrived = list(arrivals)
    given = {arrival.payload.digest: arrival for arrival in arrived if arrival.trace is None}
    known = index.deployments.given_as(given)
    first = _given_first(index, [arrival for digest, arrival in given.items() if digest not in known])
    followed = _still_follow(index, [arrival for arrival in arrived if arrival.trace is not None])
    fresh = [(arrival.payload.run_id, arrival) for arrival in (*first, *followed)]
    return [*_given_before(index, given, known).items(), *fresh]


def _given_before(index: "Index", given: Mapping[str, Arrival], known: Mapping[str, str]) -> dict[str, Arrival]:
    """The runs of payloads that were read before; what was joined is needed only where a log was never begun."""
    runs = index.runs(known.values())
    settled: dict[str, Arrival] = {}
    for digest, run_id in known.items():
        arrival = given[digest]
        if runs[run_id].head == ZERO:
            trace = index.deployments.traces([run_id])[run_id]
            deployments = index.deployments.known([(runs[run_id].system, name) for name in trace.deployments])
            arrival = replace(arrival, payload=joined(arrival.payload, deployments.values()))
        settled[run_id] = arrival
    return settled


def _given_first(index: "Index", arrivals: Sequence[Arrival]) -> Iterator[Arrival]:
    """Payloads that were never read before, joined with the deployments that are known."""
    traced = [
        replace(arrival, trace=Trace(arrival.payload.digest, revisions_of(arrival.payload.change)))
        for arrival in arrivals
    ]
    return _joined(index, traced)


def _joined(index: "Index", arrivals: Sequence[Arrival]) -> Iterator[Arrival]:
    """These arrivals with every known deployment that belongs to them; each takes over what stood without a change."""
    faces = [face for arrival in arrivals for face in _faces(arrival)]
    belonging: dict[str, dict[Key, RegisteredDeployment]] = {}
    for deployment, face in match(index.deployments.that_may_match(faces), faces):
        belonging.setdefault(face.run_id, {})[deployment.key] = deployment
    alone = index.deployments.runs_without_change({key for found in belonging.values() for key in found})
    for arrival in arrivals:
        found = belonging.get(arrival.payload.run_id, {})
        payload = joined(arrival.payload, found.values()) if found else arrival.payload
        assert arrival.trace is not None
        trace = replace(
            arrival.trace,
            given=arrival.trace.given if found else None,
            deployed=shows_deployment(payload.change),
            deployments=tuple(deployment.id for deployment in found.values()),
            takes_over=tuple(run_id for key in found for run_id, by in alone.get(key, ()) if by is None),
        )
        yield replace(arrival, payload=payload, trace=trace)


def _faces(arrival: Arrival) -> list[Deployable]:
    assert arrival.trace is not None
    change = arrival.payload.change
    revisions = arrival.trace.revisions or (None,)
    return [Deployable(arrival.payload.run_id, change.system, change.id, revision) for revision in revisions]


def _still_follow(index: "Index", arrivals: Sequence[Arrival]) -> Iterator[Arrival]:
    """The arrivals whose predecessor is still the newest, and the deployments that still belong to no change."""
    predecessors = index.runs({arrival.supersedes for arrival in arrivals if arrival.supersedes})
    keys = {arrival.payload.run_id: _key_alone(arrival) for arrival in arrivals}
    named = index.deployments.named([key for key in keys.values() if key is not None])
    for arrival in arrivals:
        key = keys[arrival.payload.run_id]
        predecessor = predecessors.get(arrival.supersedes or "")
        newest = predecessor is None or predecessor.superseded_by in (None, arrival.payload.run_id)
        if newest and (key is None or key not in named):
            yield arrival


def _key_alone(arrival: Arrival) -> Key | None:
    trace = arrival.trace
    return (arrival.payload.change.system, trace.deployments[0]) if trace and trace.without_change else None


@dataclass(slots=True)
class Followed:
    """What follows from deployments.

    `matched` are those that belong to a change, `without_change` those that belong to none; `arrivals` are to be
    opened, `standing` are runs that show them already, `unreadable` those whose log could not be read.
    """

    matched: list[RegisteredDeployment] = field(default_factory=list)
    without_change: list[RegisteredDeployment] = field(default_factory=list)
    arrivals: list[Arrival] = field(default_factory=list)
    standing: list[str] = field(default_factory=list)
    unreadable: list[Outcome] = field(default_factory=list)


def follow(engine: Engine, deployments: Sequence[RegisteredDeployment], source: str, origin: Origin) -> Followed:
    """A successor for every change that lacks one of these, and a run of its own for each that belongs to none."""
    index = engine.index
    index.sync()
    pairs = list(match(deployments, index.deployments.changes_that_may_match(deployments)))
    matched = {deployment.key for deployment, _ in pairs}
    found = Followed(
        matched=[deployment for deployment in deployments if deployment.key in matched],
        without_change=[deployment for deployment in deployments if deployment.key not in matched],
    )
    runs = index.runs({face.run_id for _, face in pairs})
    traces = index.deployments.traces(runs)
    lacking = {face.run_id for one, face in pairs if one.id not in traces[face.run_id].deployments}
    arrivals = []
    for run_id, run in sorted(runs.items()):
        if run_id not in lacking and run.head != ZERO:
            found.standing.append(run_id)
            continue
        try:
            arrival = _as_it_stands(engine, run, traces[run_id])
        except CountersignError as error:
            rundir = engine.root.rundir(run.day, run_id)
            reason = f"a deployment cannot be joined: {error}"
            found.unreadable.append(Outcome(run_id, run.change_id, run.day, rundir, Status.FAILED, None, reason, ()))
            continue
        if arrival is not None:
            arrivals.append(arrival)
    found.arrivals += _joined(index, arrivals)
    _stand_alone(index, found, source, origin)
    return found


def _as_it_stands(engine: Engine, run: IndexedRun, trace: Trace) -> Arrival | None:
    """What a successor of a run starts from; where its log was never begun, a run that had less joined, or None."""
    with_log = run
    while with_log.head == ZERO and not engine.root.log(with_log.day, with_log.run_id).exists():
        before = engine.index.run(with_log.supersedes) if with_log.supersedes else None
        if before is None or engine.index.deployments.traces([before.run_id])[before.run_id].given != trace.given:
            return None  # its source alone has it, and gives it again
        with_log = before
    log = engine.log_of(with_log.day, with_log.run_id)
    state = read_state(with_log.run_id, log.records(), engine.root.blobs)
    origin: Origin = "extracted" if run.origin == "extracted" else "submitted"
    return Arrival(state.payload, run.source, state.where, origin, run.run_id, trace)


def _stand_alone(index: "Index", found: Followed, source: str, origin: Origin) -> None:
    """A run for each deployment without a change that has none standing; one that was taken over gets another."""
    alone = index.deployments.runs_without_change([deployment.key for deployment in found.without_change])
    known = index.runs(run_id for runs in alone.values() for run_id, _ in runs)
    begun = {run_id for run_id, run in known.items() if run.head != ZERO}
    for deployment in found.without_change:
        runs = alone.get(deployment.key, [])
        stands = bool(runs) and runs[-1][1] is None
        if stands and runs[-1][0] in begun:
            found.standing.append(runs[-1][0])
            continue
        before = runs[:-1] if stands else runs
        payload = without_change(deployment, before[-1][1] if before else None)
        trace = Trace(deployed=True, deployments=(deployment.id,), without_change=True)
        where = f"deployment {deployment.id}"
        found.arrivals.append(Arrival(payload, source, where, origin, None, trace))


def never_deployed(index: "Index") -> list[IndexedRun]:
    """The changes in scope whose evidence shows no deployment, by their newest runs, in the order of intake."""
    waiting = index.deployments.never_deployed()
    return [run for run in index.all_runs() if run.run_id in waiting and run.status != Status.OUT_OF_SCOPE]


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """Deployments that were read against all changes, and the changes that have none or more than one."""

    matched: list[RegisteredDeployment]
    without_change: list[RegisteredDeployment]
    never_deployed: list[IndexedRun]
    deployed_again: list[IndexedRun]


def reconcile(index: "Index", followed: Sequence[Followed]) -> Reconciliation:
    """What was followed, and how the changes stand after it, in the order of intake."""
    again = index.deployments.deployed_again()
    return Reconciliation(
        matched=[deployment for found in followed for deployment in found.matched],
        without_change=[deployment for found in followed for deployment in found.without_change],
        never_deployed=never_deployed(index),
        deployed_again=[run for run in index.all_runs() if run.run_id in again],
    )
