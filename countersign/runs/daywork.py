"""A day's work: what the daily graph and the `advance` job do, and what there is to say about it.

What belongs here: sequencing intake and the engine over days, and the report that people and Dagster read. What does
not: Dagster, and any change of a run.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from countersign.changes.sources.build import DEPLOYMENT_ADAPTERS, source_of
from countersign.changes.sources.interface import Source
from countersign.errors import CountersignError, SourceError
from countersign.evidence.indexed import IndexedRun
from countersign.evidence.lines import ZERO
from countersign.evidence.register import IntakeTotals, KeptExtract
from countersign.evidence.seals import RootFault
from countersign.runs.engine import CHUNK, STAGES, Engine, Outcome, Progress, chunks
from countersign.runs.intake import record_broken_source, take_in

_PEOPLE_MATTER = ("AWAITING_APPROVAL", "BLOCKED", "FAILED")


@dataclass(frozen=True, slots=True)
class Reading:
    """One source read: its totals and what it gave, or why it could not be read.

    `fresh` says that it found other things than the reading before.
    """

    source: str
    totals: IntakeTotals
    broken: str | None = None
    extracts: tuple[KeptExtract, ...] = ()
    fresh: bool = False


@dataclass(slots=True)
class DayReport:
    """What was done on a day: changes touched by stage, ids of the runs touched, what was read."""

    day: date
    touched: Counter[str] = field(default_factory=Counter)
    runs: list[str] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)

    def take(self, outcomes: Iterable[Outcome]) -> None:
        """Count what these runs went through."""
        for outcome in outcomes:
            if outcome.stages:
                self.touched.update(outcome.stages)
                self.runs.append(outcome.run_id)

    def add(self, published: Mapping[str, int]) -> None:
        """Count rows that were published for runs which an earlier, broken-off run had completed."""
        for stage, rows in published.items():
            self.touched[stage] = max(self.touched[stage], rows)

    def stages(self) -> list[str]:
        """The stages that did something, in the order of the graph."""
        return [stage for stage in STAGES if self.touched[stage]]


def sources_of(engine: Engine, base: Path) -> list[Source]:
    """The sources that the policy names, changes before deployments, so that none seems to be without a change.

    Relative paths start at `base`.
    """
    policy = engine.current.policy
    specs = sorted(policy.sources, key=lambda spec: spec.adapter in DEPLOYMENT_ADAPTERS)
    return [source_of(policy, spec, base) for spec in specs]


def work_day(
    engine: Engine, day: date, sources: Sequence[Source] = (), *, progress: Progress | None = None
) -> DayReport:
    """Read the sources if the day is today, then move every run of the day to its next pause.

    A source that breaks off is on record and in the report, and does not stop the others.
    """
    report = DayReport(day)
    if day == engine.today:
        for source in sources:
            try:
                intake = take_in(engine, source, progress=progress)
            except SourceError as error:
                record_broken_source(engine, source, str(error))
                report.readings.append(Reading(source.name, IntakeTotals(), str(error)))
            else:
                report.readings.append(
                    Reading(source.name, intake.totals, extracts=tuple(intake.extracts), fresh=intake.fresh)
                )
                report.take(intake.runs)
    report.take(engine.advance(day, progress=progress))
    report.add(engine.views.take_added(day))
    return report


def work_days(engine: Engine, days: Iterable[date]) -> list[DayReport]:
    """Move every run of these days to its next pause; nothing is read."""
    return [work_day(engine, day) for day in sorted(set(days))]


@dataclass(frozen=True, slots=True)
class Needed:
    """A run that needs somebody, and who or why."""

    run_id: str
    change_id: str
    status: str
    reason: str
    rundir: Path


def needs_somebody(engine: Engine, day: date | None = None) -> list[Needed]:
    """The runs, of a day or all, that wait for a person; superseded ones do not."""
    found = []
    for run in engine.index.standing_at(_PEOPLE_MATTER, day):
        if run.superseded_by is None:
            reason = f"{run.pending} is recorded and will be taken up" if run.signed else run.reason or ""
            rundir = engine.root.rundir(run.day, run.run_id)
            found.append(Needed(run.run_id, run.change_id, run.status, reason, rundir))
    return found


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a check says, with a table of day or source and finding.

    `runs` are the ids of those that failed it, `faults` what is wrong with the root itself.
    """

    passed: bool
    says: str
    rows: tuple[tuple[str, str], ...] = ()
    runs: tuple[str, ...] = ()
    faults: tuple[RootFault, ...] = ()


def nothing_blocked(engine: Engine) -> Judgement:
    """No run is blocked that a corrected one has not superseded."""
    blocked = Counter(run.day for run in engine.index.standing_at(["BLOCKED"]) if not run.superseded_by)
    rows = tuple((day.isoformat(), f"{count} blocked") for day, count in sorted(blocked.items()))
    total = blocked.total()
    return Judgement(
        not total, f"{total} blocked: fix the input, never the gate" if total else "nothing is blocked", rows
    )


def totals_reconcile(engine: Engine) -> Judgement:
    """Every source's latest reading adds up, agrees with the source's own count, and went to its end."""
    rows = []
    wrong = 0
    for name, intake in engine.index.latest_intakes().items():
        said = ", ".join(f"{key} {count}" for key, count in intake.totals.as_dict().items())
        if intake.broken is not None:
            said = intake.broken
        elif not intake.totals.reconciled:
            said = f"does not add up: {said}"
        elif intake.declared not in (None, intake.totals.read):
            said = f"the source counts {intake.declared}: {said}"
        else:
            rows.append((name, said))
            continue
        wrong += 1
        rows.append((name, said))
    return Judgement(
        not wrong, f"{wrong} sources do not reconcile" if wrong else "every source reconciles", tuple(rows)
    )


def every_deployment_has_a_change(engine: Engine) -> Judgement:
    """Every deployment in scope is named by a change that stands; a deployment whose change turned up is."""
    alone = engine.index.deployments.without_change()
    rows = tuple((one.system, f"{one.id}: {one.revision} by {one.deployed_by} at {one.deployed_at}") for one in alone)
    says = f"{len(alone)} deployments without a change; see RUNBOOK.md" if alone else "every deployment has a change"
    return Judgement(not alone, says, rows)


def every_log_verifies(engine: Engine) -> Judgement:
    """Every log is whole, from its first line, and the one that the register knows."""
    return _judge_logs(engine, engine.index.all_runs(), "verify", _verifies)


def logs_are_sound_after_work(engine: Engine, run_ids: Iterable[str]) -> Judgement:
    """The logs of these runs, which the engine has just read to their end, still end in the head the register knows.

    Those of runs that are FAILED verify from their first line: a log that cannot be gone on from is touched by nobody.
    """
    failed = {run.run_id: run for run in engine.index.standing_at(["FAILED"])}
    touched = {run.run_id: run for chunk in chunks(run_ids, CHUNK) for run in engine.index.runs(chunk).values()}

    def sound(engine: Engine, run: IndexedRun) -> bool:
        return _verifies(engine, run) if run.run_id in failed else _ends_as_registered(engine, run)

    return _judge_logs(engine, (touched | failed).values(), "end as the register knows", sound)


def _verifies(engine: Engine, run: IndexedRun) -> bool:
    log = engine.log_of(run.day, run.run_id)
    never_begun = run.head == ZERO and not log.path.exists()  # its payload, read again, goes on from here
    return never_begun or log.check(registered=run.heads).ok


def _ends_as_registered(engine: Engine, run: IndexedRun) -> bool:
    return engine.log_of(run.day, run.run_id).head == run.head


def _judge_logs(
    engine: Engine, runs: Iterable[IndexedRun], what: str, sound: Callable[[Engine, IndexedRun], bool]
) -> Judgement:
    wrong: list[IndexedRun] = []
    checked = 0
    for run in runs:
        checked += 1
        try:
            holds = sound(engine, run)
        except CountersignError:
            holds = False
        if not holds:
            wrong.append(run)
    days = Counter(run.day for run in wrong)
    rows = tuple((day.isoformat(), f"{count} do not {what}") for day, count in sorted(days.items()))
    total = len(wrong)
    says = f"{total} of {checked} logs do not {what}: SEV-1, see ESCALATION.md" if total else f"{checked} logs {what}"
    return Judgement(not total, says, rows, tuple(run.run_id for run in wrong))


def record_failed_run(engine: Engine, worker: str, job: str, message: str) -> None:
    """Put on record that a worker's run failed; the same one again is harmless."""
    if not any(
        entry.event == "worker_failed" and entry.data["worker"] == worker for entry in engine.register.records()
    ):
        engine.register.append("worker_failed", "countersign", worker=worker, job=job, message=message[:500])
