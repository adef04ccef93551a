"""The engine: moves runs from pause to pause, many at once, with one durable write each, two where a model answered.

Order of writes: register (opened) → log → fsync → register (head) → index → datasets. Locks in the order runs,
dataset day, register. A crash between any two is repaired by going on from the log. What belongs here: that order.
What does not: what a step says (`steps`), what a log means (`state`), where changes come from (`intake`).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from itertools import groupby, islice
from pathlib import Path
from typing import TypeVar

from countersign.changes.payload import Change
from countersign.clocks.instant import local_day
from countersign.controls.model.combined import assessor
from countersign.controls.model.interface import ModelFactory
from countersign.controls.model.opening import open_model
from countersign.environment import Clock, Entropy, random_bytes, utc_now
from countersign.errors import BusyError, CountersignError, TamperedError
from countersign.evidence import durable
from countersign.evidence.chain import Writer
from countersign.evidence.indexed import OPENED, IndexedRun
from countersign.evidence.lines import ZERO, Draft
from countersign.evidence.log import AuditLog
from countersign.evidence.register import Pause, Register
from countersign.evidence.root import EvidenceRoot
from countersign.policy import Configuration
from countersign.runs.account import could_be_in_force
from countersign.runs.attestation import Attestations
from countersign.runs.fold import apply, read_state
from countersign.runs.pauses import cannot_go_on, pause_of
from countersign.runs.signatures import RosterKeys
from countersign.runs.state import RunState, SignOff, Status, Step
from countersign.runs.steps import Arrival, failure, next_drafts
from countersign.runs.versions import MapperFactory, VersionStore, genesis, require_adopted

CHUNK = 200
THREADS = 4

STAGES = (
    "change_record",
    "control_assertion",
    "grounding_gate",
    "sign_off",
    "workpaper",
    "handoff_report",
    "audit_log",
)
_STAGE_OF_EVENT = {
    "ingested": "change_record",
    "out_of_scope": "change_record",
    "model_asked": "control_assertion",
    "assessed": "control_assertion",
    "gated": "grounding_gate",
    "sign_off_requested": "sign_off",
    "blocked": "sign_off",
    "workpaper": "workpaper",
    "handed_off": "handoff_report",
}
_FEW = 8  # a register with more events has begun, whatever they are; so it is not read for nothing
Progress = Callable[[int], None]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where a run stands after the engine looked at it; `stages` are those that did something."""

    run_id: str
    change_id: str
    day: date
    rundir: Path
    status: str
    pending: str | None
    reason: str | None
    stages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Job:
    """A run to be looked at, with what the register knows of it and, for a new one, its payload."""

    run_id: str
    change_id: str
    day: date
    head: str = ZERO
    status: str = OPENED
    reason: str | None = None
    arrival: Arrival | None = None
    configuration: str = ""
    closed: bool = False


@dataclass(frozen=True, slots=True)
class _Done:
    """A run that was looked at, its lock still held: its state, and what did something to it.

    `state` and `writer` are None where the log could not be gone on from, and `fault` says why.
    """

    job: Job
    state: RunState | None = None
    stages: tuple[str, ...] = ()
    writer: Writer | None = None
    fault: str | None = None


class Engine:
    """Runs of one evidence root, under the configuration in force there.

    The first configuration is the genesis; any other has to be adopted first, and until then nothing runs with it
    (UnadoptedError). `clock` and `entropy` are the only sources of time and randomness; `mapper` builds what assesses a
    change, `model` opens the model that a policy names.
    """

    def __init__(
        self,
        root: Path,
        configuration: Configuration,
        *,
        clock: Clock = utc_now,
        entropy: Entropy = random_bytes,
        mapper: MapperFactory = assessor,
        model: ModelFactory = open_model,
        index_url: str | None = None,
    ) -> None:
        from countersign.evidence.index import Index  # noqa: PLC0415  (brings SQLAlchemy; definitions load without)
        from countersign.runs.views import Views  # noqa: PLC0415  (brings pyarrow; definitions load without)

        self.root = EvidenceRoot(root)
        self.root.create()
        self.clock = clock
        self.entropy = entropy
        self.versions = VersionStore(self.root, mapper, model)
        self.register = Register(self.root, clock=clock, entropy=entropy)
        self.genesis = self._open_root(configuration)
        self.index = Index(self.root, self.register, index_url)
        self.views = Views(self.root, self.register, self.index)
        self.index.sync()
        require_adopted(self.index.configuration(), configuration)
        self.current = self.versions.keep(configuration)
        self._adopted = self.index.adopted()
        self._attestations = Attestations(self.versions, self.register.environment(), configuration.digest)

    def _open_root(self, configuration: Configuration) -> bool:
        """The register's first line, where there is none yet; whether this configuration is thereby the genesis.

        A root that has runs and no register has lost it, and gets no new one.
        """
        if not self.root.register.exists() and any((self.root.path / "runs").glob("*/*/*/*")):
            raise TamperedError(f"{self.root.register}: gone, though runs are there; restore it from a copy (SEV-1)")
        with self.register.writing() as writer:
            if _not_begun(writer):
                RosterKeys(configuration).require_usable()
                self.versions.keep(configuration)
                writer.append([genesis(configuration)])
                return True
        return False

    @property
    def today(self) -> date:
        """The intake day now, in the policy's zone."""
        return local_day(self.clock(), self.current.policy.zone)

    def log_of(self, day: date, run_id: str) -> AuditLog:
        """The log of a run."""
        return AuditLog(self.root.log(day, run_id), root=self.root, clock=self.clock, entropy=self.entropy)

    def outcome_of(self, run: IndexedRun) -> Outcome:
        """A run as the register last described it."""
        rundir = self.root.rundir(run.day, run.run_id)
        return Outcome(run.run_id, run.change_id, run.day, rundir, run.status, run.pending, run.reason, ())

    def advance(
        self, day: date | None = None, *, run_ids: Sequence[str] | None = None, progress: Progress | None = None
    ) -> Iterator[Outcome]:
        """Move every run with work left (of a day, or among these) to its next pause, then publish the days touched."""
        self.index.sync()
        chosen = self.index.with_work_left(day)
        if run_ids is not None:
            among = set(run_ids)
            chosen = [run_id for run_id in chosen if run_id in among]
        days = {day} if day is not None else set()
        for chunk in chunks(chosen, CHUNK):
            jobs = [job_of(run) for run in self.index.runs(chunk).values() if self._can_go_on(run)]
            days |= {job.day for job in jobs}
            yield from self.work(jobs)
            if progress:
                progress(len(chunk))
        for touched in sorted(days):
            self.views.publish(touched)

    def go_on(self, run: IndexedRun) -> Outcome:
        """Move one run to its next pause, also where the register knows of nothing left to do.

        Its log may hold more than the register heard of before a crash; looking at it lets the register know.
        """
        (outcome,) = self.work([job_of(run)], blocking=True)
        self.views.publish(run.day)
        return outcome

    def _can_go_on(self, run: IndexedRun) -> bool:
        """Not while its log was never begun: only its payload, read again, can begin it."""
        return run.head != ZERO or self.root.log(run.day, run.run_id).exists()

    def work(self, jobs: Sequence[Job], *, blocking: bool = False) -> list[Outcome]:
        """Look at these runs, ascending; a run that another process is at is left out unless `blocking`."""
        ordered = sorted(jobs, key=lambda job: job.run_id)
        days = {self.root.rundir(job.day, job.run_id).parent for job in ordered if job.head == ZERO}
        for day in days:
            durable.make_folder(day)
        with ExitStack() as locks:
            # the interpreter computes in one thread at a time anyway; what the others are for is to wait for the disk
            with ThreadPoolExecutor(THREADS) as disk:
                begun = [disk.submit(self._begin, job) for job in ordered]
                done = list(disk.map(self._make_durable, self._looked_at(ordered, begun, locks, blocking)))
            for day in days:
                durable.sync_folder(day)  # the names of the run folders, day by day rather than run by run
            self._register_pauses(done)
        by_day = sorted((result for result in done if result.stages), key=lambda result: result.job.day)
        for day, results in groupby(by_day, key=lambda result: result.job.day):
            self.views.collect(day, [result.state for result in results if result.state is not None])
        return [self._outcome(result) for result in done]

    def _begin(self, job: Job) -> AuditLog:
        """The log of a run, which is there: an empty one where the run is new, else TamperedError."""
        log = self.log_of(job.day, job.run_id)
        if job.head == ZERO and job.arrival is not None:
            log.path.parent.mkdir(mode=durable.FOLDER_MODE, exist_ok=True)
            log.create()
        return log

    def _looked_at(
        self, jobs: Sequence[Job], begun: Sequence[Future[AuditLog]], locks: ExitStack, blocking: bool
    ) -> Iterator[_Done]:
        """Each run taken as far as it goes, in memory, under its lock; one that another process holds is left out."""
        held = self.index.held(job.run_id for job in jobs)
        for job, log_begun in zip(jobs, begun, strict=True):
            if job.run_id in held:
                yield _Done(job, fault=held[job.run_id])
                continue
            try:
                log = log_begun.result()
                if job.head != ZERO and not log.path.exists():
                    raise TamperedError(
                        f"{log.path}: the register knows {job.head}, which the log has lost; run held, SEV-1"
                    )
                writer = locks.enter_context(log.writing(blocking=blocking))
                yield self._walk(job, writer)
            except BusyError:
                continue
            except (CountersignError, OSError) as error:
                yield _Done(job, fault=_fault(error))

    def _walk(self, job: Job, writer: Writer) -> _Done:
        """Read the log and stage steps until a pause."""
        entries = writer.entries()
        if job.head != ZERO and all(entry.head != job.head for entry in entries):
            path = self.root.log(job.day, job.run_id)
            raise TamperedError(f"{path}: the register knows {job.head}, which the log has lost; run held, SEV-1")
        state = read_state(job.run_id, entries, self.root.blobs)
        staged = self._stage(state, job, writer)
        if not staged:
            return _Done(job, state, (), writer)
        touched = dict.fromkeys(_STAGE_OF_EVENT[draft.event] for draft in staged if draft.event in _STAGE_OF_EVENT)
        return _Done(job, state, (*touched, "audit_log"), writer)

    def _make_durable(self, done: _Done) -> _Done:
        """Everything of a run that the register is about to hear of, on disk: attachments before a log names them.

        What was written may not be on disk after an error: nothing of it is acknowledged, and the others go on.
        """
        if done.state is None or done.writer is None:
            return done
        try:
            if "change_record" in done.stages and done.job.arrival is not None:
                self._keep_attachments(done.job.arrival.payload.change)
            if done.stages:
                done.writer.commit()
            elif done.state.head != done.job.head:
                done.writer.sync()  # whoever wrote it may have been killed while waiting for the disk
        except (CountersignError, OSError) as error:
            return _Done(done.job, fault=_fault(error))
        return done

    def _stage(self, state: RunState, job: Job, writer: Writer) -> list[Draft]:
        """Steps until a pause; one that raises becomes a `failed` event and is the one to be tried again."""
        staged: list[Draft] = []
        arrival = job.arrival
        arrived = arrival.payload if arrival else None
        versions = self.versions.at(job.configuration)
        while True:
            now = self.clock()  # of the decision and of its event, so that it can be taken again as it was
            try:
                self._require_attested(state)
                drafts = next_drafts(state, arrival, versions, now)
            except Exception as error:  # whatever a step raises belongs into the log, not up the stack
                drafts = [failure(state, error)]
            for draft in drafts:
                apply(state, writer.stage(draft, now), self.root.blobs, arrived=arrived)
            staged += drafts
            if drafts and drafts[-1].event == "model_asked":
                self._keep_answer(job, writer)
            if not drafts or drafts[-1].event == "failed":
                return staged

    def _require_attested(self, state: RunState) -> None:
        """Raise TamperedError where a run would be concluded on a sign-off that does not stand.

        Before the handoff too: whoever could write a sign-off into a log could write a workpaper after it.
        """
        if state.attested or state.next_step not in (Step.WORKPAPER, Step.HANDOFF):
            return
        for signed in state.sign_offs.values():
            for kind, expected in self._attestations.faults(state, signed, signed.at, self._in_force(signed)):
                raise TamperedError(f"{state.run_id}: {kind}: expected {expected}; SEV-1")
        state.attested = True

    def _in_force(self, signed: SignOff) -> set[str]:
        """The configurations that a sign-off could be given under; asked for again where its own is not among them."""
        if signed.configuration not in could_be_in_force(self._adopted, signed.at):
            self._adopted = self.index.adopted()
        return could_be_in_force(self._adopted, signed.at)

    def _keep_answer(self, job: Job, writer: Writer) -> None:
        """A model's answer on disk before it is read: the one write that does not wait for the pause.

        A step that completed is never computed again, and an answer cannot be: whatever reading it may do to this
        process, it is not asked for twice, and what was said cannot be lost.
        """
        if job.arrival is not None:
            self._keep_attachments(job.arrival.payload.change)
        writer.commit()
        durable.sync_folder(self.root.rundir(job.day, job.run_id).parent)

    def _keep_attachments(self, change: Change) -> None:
        """Attachment contents are on disk before a log names them."""
        for item in change.evidence.values():
            for attachment in item.attachments:
                if attachment.content is not None:
                    durable.keep_by_digest(self.root.blobs, attachment.content)

    def _register_pauses(self, done: Sequence[_Done]) -> None:
        """The register learns every new head while the runs' locks are still held."""
        pauses = [pause for pause in map(_pause, done) if pause is not None]
        if pauses:
            with self.register.writing() as writer:
                self.index.sync(writer)
                known = self.index.runs(pause.run_id for pause in pauses)
                unread = {result.job.run_id for result in done if result.state is None}
                news = [one for one in pauses if _is_news(one, known[one.run_id], read=one.run_id not in unread)]
                writer.append([pause.draft() for pause in news])
                self.index.sync(writer)

    def _outcome(self, result: _Done) -> Outcome:
        job, state = result.job, result.state
        rundir = self.root.rundir(job.day, job.run_id)
        if state is None:
            return Outcome(job.run_id, job.change_id, job.day, rundir, Status.FAILED, None, result.fault, ())
        status, pending, reason = state.status, state.pending, state.reason
        return Outcome(job.run_id, job.change_id, job.day, rundir, status, pending, reason, result.stages)


def _fault(error: CountersignError | OSError) -> str:
    return f"its log cannot be written: {error}" if isinstance(error, OSError) else str(error)


def _not_begun(register: Writer) -> bool:
    """Whether the register holds nothing yet, but for what crashes have left of its first line."""
    return register.tail.seq < _FEW and all(entry.event == "recovered" for entry in register.entries())


def job_of(run: IndexedRun) -> Job:
    """A known run as a job."""
    return Job(
        run.run_id,
        run.change_id,
        run.day,
        run.head,
        run.status,
        run.reason,
        configuration=run.configuration,
        closed=run.closed,
    )


def _pause(result: _Done) -> Pause | None:
    """What the register has to learn of a run, or None where it knows it all."""
    job, state = result.job, result.state
    if state is None:
        if (job.status, job.reason) == (Status.FAILED, result.fault) or job.closed:
            return None  # of a run that is over the register has said the last; what is wrong now, verifying names
        return cannot_go_on(job.run_id, job.head, result.fault)
    if not result.stages and (not state.ingested or (job.head, job.status) == (state.head, state.status)):
        return None
    return pause_of(state, result.stages)


def _is_news(pause: Pause, known: IndexedRun, *, read: bool) -> bool:
    """Whether the register learns anything: another process may have told it the same.

    Of a log that could not be read this one knows an older head, where another one has gone on with it.
    """
    if not read:
        return known.head == pause.head
    return (known.head, known.status) != (pause.head, pause.status)


def chunks(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    """Successive lists of at most `size` items."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
