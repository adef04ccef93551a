"""A day's work: what the daily graph and the `advance` job do, and what there is to say about it.

What belongs here: sequencing intake and the engine over days, and the report that people and Dagster read. What does
not: Dagster, any change of a run, and whether all is well (`judgements`).
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from countersign.changes.sources.build import DEPLOYMENT_ADAPTERS, source_of
from countersign.changes.sources.interface import Source
from countersign.errors import SourceError
from countersign.evidence.register import IntakeTotals, KeptExtract
from countersign.runs.engine import STAGES, Engine, Outcome, Progress
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


def record_failed_run(engine: Engine, worker: str, job: str, message: str) -> None:
    """Put on record that a worker's run failed; the same one again is harmless."""
    if not any(
        entry.event == "worker_failed" and entry.data["worker"] == worker for entry in engine.register.records()
    ):
        engine.register.append("worker_failed", "countersign", worker=worker, job=job, message=message[:500])
