"""Intake: a source read to its end, every in-scope change a run, and every item counted.

read = opened + known + refused + out of scope, always. What belongs here: opening runs and refusing records. What
does not: reading any one system (`changes.sources`), and the steps of a run (`engine`).
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from countersign.changes.classification import classify
from countersign.changes.deployment import Deployment, out_of_scope, stands_for_deployment
from countersign.changes.origin import EXTRACTED, as_extracted, as_submitted
from countersign.changes.payload import Payload, accept
from countersign.changes.sources.build import origin_of
from countersign.changes.sources.interface import Item, Origin, Record, Skipped, Source, Unreadable
from countersign.clocks.instant import stamp
from countersign.errors import PayloadError, SourceError
from countersign.evidence import durable
from countersign.evidence.deployed import RegisteredDeployment
from countersign.evidence.durable import digest_of
from countersign.evidence.lines import ZERO
from countersign.evidence.register import IntakeTotals, KeptExtract, Opening, Refusal
from countersign.policy import Limits
from countersign.runs.deployments import Followed, follow, register, settle
from countersign.runs.engine import CHUNK, Engine, Job, Outcome, Progress, chunks, job_of
from countersign.runs.state import Status
from countersign.runs.steps import Arrival
from countersign.runs.versions import require_adopted


@dataclass(slots=True)
class Intake:
    """One reading of a source: totals, and what became of everything that was read.

    `runs` are those that this reading opened or found; `fresh` says that it found other things than the one before. A
    deployment counts as opened when it is registered; what followed from all of them stands in `followed`. `joined` are
    rows that are part of another row's item: read + joined = rows of the extracts.
    """

    source: str
    totals: IntakeTotals = field(default_factory=IntakeTotals)
    declared: int | None = None
    runs: list[Outcome] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    fingerprint: str = ""
    fresh: bool = False
    extracts: list[KeptExtract] = field(default_factory=list)
    joined: int = 0
    state: str | None = None
    deployments: list[RegisteredDeployment] = field(default_factory=list)
    followed: list[Followed] = field(default_factory=list)


@dataclass(slots=True)
class _Sorted:
    """The items of a chunk by what they are; arrivals by the digest of what was given."""

    arrivals: dict[str, Arrival] = field(default_factory=dict)
    deployments: list[Deployment] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    repeated: int = 0


def take_in(engine: Engine, source: Source, *, progress: Progress | None = None) -> Intake:
    """Read a source to its end; each new change goes to its first pause.

    Raises SourceError when the source breaks off or counts otherwise than was read; what was opened until then stays,
    and reading it again opens only the rest.
    """
    intake = Intake(source.name, state=source.state())
    kept = _fetch(engine, source)
    try:
        _read(engine, source, kept, intake, progress)
    except SourceError:
        _register_extracts(engine, kept)
        raise
    intake.extracts = [replace(one, rows=rows) for one, rows in zip(kept, source.rows(), strict=True)]
    intake.joined = source.joined()
    _register_extracts(engine, intake.extracts)
    intake.declared = source.declared()
    if intake.declared is not None and intake.declared != intake.totals.read:
        reason = f"read {intake.totals.read} records, but the source counts {intake.declared}; read it again"
        raise SourceError(f"{source.name}: {reason}")
    _follow(engine, source, intake)
    _register(engine, intake)
    engine.views.publish(engine.today)
    return intake


def _fetch(engine: Engine, source: Source) -> list[KeptExtract]:
    """What the source gives now, kept before a byte of it is read."""
    with engine.root.scratch() as scratch:
        kept = []
        for raw in source.fetch(scratch):
            size = raw.path.stat().st_size
            digest = durable.keep_file(engine.root.extracts, raw.path)
            kept.append(KeptExtract(source.name, source.extractor, raw.query, digest, size, None))
        return kept


def _register_extracts(engine: Engine, kept: Sequence[KeptExtract]) -> None:
    """A register line for each extract of a reading, unless they are what its source gave last, with these row counts.

    All or none, in one go: what stands together was read together. What was given before something else, and is given
    again, is on record again.
    """
    if kept and engine.index.extracts(kept[0].source)[-len(kept) :] != list(kept):
        engine.register.append_many([one.draft() for one in kept])
        engine.index.sync()


def _read(
    engine: Engine, source: Source, kept: Sequence[KeptExtract], intake: Intake, progress: Progress | None
) -> None:
    """Every item of the source, chunk by chunk, to the first pause of its run."""
    day = engine.today
    prints = hashlib.sha256()
    for chunk in chunks(source.items([engine.root.extracts / one.digest for one in kept]), CHUNK):
        found = _sort(engine, source, chunk)
        for mark in (*found.arrivals, *(refusal.record for refusal in found.refusals)):
            prints.update(mark.encode())
        if found.deployments:
            extract = kept[0].digest if kept else None
            _register_deployments(engine, source, found, extract, intake)
            prints.update(b"".join(deployment.content for deployment in found.deployments))
        _open_and_work(engine, found, day, intake, len(chunk))
        if progress:
            progress(len(chunk))
    intake.fingerprint = prints.hexdigest()


def _register_deployments(engine: Engine, source: Source, found: _Sorted, extract: str | None, intake: Intake) -> None:
    """The deployments of a chunk on record; what they say of changes is followed once all of them were read."""
    origin = origin_of(engine.current.policy, source)
    done = register(engine, found.deployments, source.name, origin, extract)
    found.refusals += done.conflicts
    found.repeated += done.known
    intake.totals += IntakeTotals(opened=len(done.deployments) - done.known)
    intake.deployments += done.deployments


def _follow(engine: Engine, source: Source, intake: Intake) -> None:
    """Every deployment of the reading joined to its changes, or a run of its own, to the first pause."""
    origin = origin_of(engine.current.policy, source)
    for chunk in chunks(intake.deployments, CHUNK):
        found = follow(engine, chunk, source.name, origin)
        outcomes = engine.work(_open(engine, found.arrivals, [], engine.today).jobs)
        standing = engine.index.runs(found.standing)
        intake.runs += [*outcomes, *found.unreadable, *map(engine.outcome_of, standing.values())]
        intake.followed.append(found)


def take_in_one(engine: Engine, value: object, *, source: str, where: str, origin: Origin) -> Outcome:
    """One payload, to its next pause, waiting for whoever else is at it. Raises PayloadError, after it is on record."""
    try:
        payload = accepted(value, "submitted", engine.current.policy.limits)
    except PayloadError as error:
        _open(engine, [], [_refusal(source, where, error.change_id, str(error), written(value))], engine.today)
        raise
    arrival = Arrival(payload, source, where, origin, None)
    opened = _open(engine, [arrival], [], engine.today)
    if opened.conflicts:
        raise PayloadError(opened.conflicts[0].reason, change_id=payload.change.id)
    (run,) = engine.index.runs(opened.run_ids).values()
    if run.superseded_by is not None:
        stands = engine.outcome_of(run)
        return replace(stands, reason=f"superseded by {run.superseded_by}; that run goes on")
    job = next(iter(opened.jobs), job_of(run))
    (outcome,) = engine.work([job], blocking=True)
    engine.views.publish(outcome.day)
    return outcome


def _sort(engine: Engine, source: Source, items: Sequence[Item]) -> _Sorted:
    policy = engine.current.policy
    origin = origin_of(policy, source)
    found = _Sorted()
    for item in items:
        match item:
            case Skipped():
                found.skipped.append(item)
            case Deployment():
                if (reason := out_of_scope(policy, item)) is not None:
                    found.skipped.append(Skipped(item.where, item.change_id, reason))
                else:
                    found.deployments.append(item)
            case Unreadable(where, change_id, reason, content):
                found.refusals.append(_refusal(source.name, where, change_id, reason, content))
            case Record(where, value):
                try:
                    payload = accepted(value, origin, policy.limits)
                except PayloadError as error:
                    content = written(value)
                    found.refusals.append(_refusal(source.name, where, error.change_id, str(error), content))
                    continue
                if payload.digest in found.arrivals:
                    found.repeated += 1
                else:
                    found.arrivals[payload.digest] = Arrival(payload, source.name, where, origin, None)
    return found


def accepted(value: object, origin: Origin, limits: Limits) -> Payload:
    """What was read, as a payload under an id that is its own: those that stand for deployments are given here alone.

    Raises PayloadError.
    """
    payload = accept(as_extracted(value) if origin == EXTRACTED else as_submitted(value), limits)
    if stands_for_deployment(payload.change.id):
        reason = "stands for a deployment that no change record names; give the change an id of its own"
        raise PayloadError(reason, field="id", change_id=payload.change.id)
    return payload


def written(value: object) -> bytes:
    """A refused value as bytes, for its digest on record."""
    try:
        return repr(value).encode("utf-8", "backslashreplace")
    except RecursionError:
        return b"(nested too deeply to be written down)"


def _refusal(source: str, where: str, change_id: str | None, reason: str, content: bytes) -> Refusal:
    return Refusal(source, where, change_id, reason, digest_of(content))


def _open_and_work(engine: Engine, found: _Sorted, day: date, intake: Intake, read: int) -> None:
    opened = _open(engine, found.arrivals.values(), found.refusals, day)
    outcomes = engine.work(opened.jobs)
    fresh = {job.run_id: job for job in opened.jobs if job.reason != _RESUMED}
    outside = sum(outcome.status == Status.OUT_OF_SCOPE for outcome in outcomes if outcome.run_id in fresh)
    refusals = found.refusals + opened.conflicts
    intake.totals += IntakeTotals(
        read=read,
        opened=len(fresh) - outside,
        known=len(found.arrivals) - len(fresh) - len(opened.conflicts) + found.repeated,
        refused=len(refusals),
        out_of_scope=len(found.skipped) + outside,
    )
    known = engine.index.runs(set(opened.run_ids) - {outcome.run_id for outcome in outcomes})
    intake.runs += [*outcomes, *(engine.outcome_of(run) for run in known.values())]
    intake.refusals += refusals
    intake.skipped += found.skipped


_RESUMED = "opened, but its log was never begun"


@dataclass(frozen=True, slots=True)
class _Opened:
    """What became of arrivals: what is to be worked, the runs that they are, and id conflicts (SEV-1)."""

    jobs: list[Job]
    run_ids: list[str]
    conflicts: list[Refusal]


def _open(engine: Engine, arrivals: Iterable[Arrival], refusals: Sequence[Refusal], day: date) -> _Opened:
    """Register what is new before its first step. Raises UnadoptedError where what is in force was replaced."""
    with engine.register.writing() as writer:
        engine.index.sync(writer)
        settled, conflicts = _by_run(settle(engine.index, arrivals))
        known = engine.index.runs(settled)
        conflicts += [
            _conflict(settled[run_id], run_id, run.digest)
            for run_id, run in known.items()
            if settled[run_id].trace is not None and run.digest != settled[run_id].payload.digest
        ]
        openings = _openings(
            engine, {run_id: arrival for run_id, arrival in settled.items() if run_id not in known}, day
        )
        if openings:  # under the lock, since another one may have been adopted after this process began
            require_adopted(engine.index.configuration(), engine.current.configuration)
        drafts = [opening.draft() for opening in openings]
        drafts += [refusal.draft() for refusal in _unknown(engine, [*refusals, *conflicts])]
        if drafts:
            writer.append(drafts)
            engine.index.sync(writer)
    jobs = [_job(opening, settled[opening.run_id]) for opening in openings]
    for run_id, run in known.items():
        arrival = settled[run_id]
        if run.head == ZERO and run.digest == arrival.payload.digest:
            again = replace(arrival, supersedes=run.supersedes)
            jobs.append(replace(job_of(run), reason=_RESUMED, arrival=again))
    return _Opened(jobs, list(settled), conflicts)


def _by_run(settled: Iterable[tuple[str, Arrival]]) -> tuple[dict[str, Arrival], list[Refusal]]:
    """New payloads by their run, and those whose id an earlier one of them has under another digest."""
    runs: dict[str, Arrival] = {}
    conflicts = []
    for run_id, arrival in settled:
        first = runs.get(run_id, arrival)
        both_new = first.trace is not None and arrival.trace is not None
        if both_new and first.payload.digest != arrival.payload.digest:
            conflicts.append(_conflict(arrival, run_id, first.payload.digest))
        else:
            runs[run_id] = arrival
    return runs, conflicts


def _job(opening: Opening, arrival: Arrival) -> Job:
    arrival = replace(arrival, supersedes=opening.supersedes)
    return Job(opening.run_id, opening.change_id, opening.day, arrival=arrival, configuration=opening.configuration)


def _openings(engine: Engine, new: dict[str, Arrival], day: date) -> list[Opening]:
    """What the register says of each new run; a change that has a run already is superseded by the new one."""
    ids = [arrival.payload.change.id for arrival in new.values()]
    newest = {key: run.run_id for key, run in engine.index.newest_of_changes(ids).items()}
    openings = []
    for run_id, arrival in new.items():
        payload = arrival.payload
        key = (payload.change.system, payload.change.id)
        deployed_at = payload.change.first_deployed_at
        openings.append(
            Opening(
                run_id=run_id,
                digest=payload.digest,
                change_id=payload.change.id,
                system=payload.change.system,
                tier=classify(payload.change, engine.current.policy, engine.clock()).tier,
                day=day,
                source=arrival.source,
                origin=arrival.origin,
                supersedes=newest.get(key),
                configuration=engine.current.configuration.digest,
                trace=arrival.trace,
                deployed_at=stamp(deployed_at) if deployed_at else None,
            )
        )
        newest[key] = run_id
    return openings


def _unknown(engine: Engine, refusals: Iterable[Refusal]) -> list[Refusal]:
    """Refusals that the register does not have yet, once each."""
    distinct = {(refusal.source, refusal.record): refusal for refusal in refusals}
    for source in {source for source, _ in distinct}:
        for record in engine.index.known_refusals(source, [record for name, record in distinct if name == source]):
            del distinct[source, record]
    return list(distinct.values())


def _conflict(arrival: Arrival, run_id: str, other: str) -> Refusal:
    digest = arrival.payload.digest
    reason = f"{run_id} is the id of another payload, {other}; a control incident, SEV-1, see ESCALATION.md"
    return Refusal(arrival.source, arrival.where, arrival.payload.change.id, reason, digest)


def record_broken_source(engine: Engine, source: Source, reason: str) -> None:
    """Put on record that a source could not be read to its end; the same again needs no second line."""
    latest = engine.index.latest_intakes().get(source.name)
    if latest is None or latest.broken != reason:
        _append(engine, Intake(source.name), reason)


def _register(engine: Engine, intake: Intake) -> None:
    """One register line for a reading; one that found the very same as the last needs no second line."""
    latest = engine.index.latest_intakes().get(intake.source)
    read = (intake.fingerprint, intake.state, None)
    if latest is None or (latest.fingerprint, latest.state, latest.broken) != read or intake.totals.opened:
        intake.fresh = True
        _append(engine, intake, None)


def _append(engine: Engine, intake: Intake, broken: str | None) -> None:
    data = {
        "source": intake.source,
        "fingerprint": intake.fingerprint,
        "state": intake.state,
        "declared": intake.declared,
        "broken": broken,
        "joined": intake.joined,
        "extracts": [one.digest for one in intake.extracts],
    }
    engine.register.append("intake", "countersign", **data, **intake.totals.as_dict())
    engine.index.sync()
