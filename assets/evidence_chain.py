"""The seven assets of an intake day, made in one step that materialises only what it touched."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date

from dagster import (
    AssetExecutionContext,
    AssetKey,
    AssetObservation,
    AssetsDefinition,
    AssetSpec,
    MaterializeResult,
    PartitionsDefinition,
    multi_asset,
)

from assets.checks import log_evaluations
from assets.metadata import reading_metadata, stage_metadata
from countersign.policy import SourceSpec
from countersign.runs.daywork import needs_somebody, work_day
from resources.evidence import Evidence, WallClock

POOL = "evidence"
GROUP = "evidence_chain"
OWNER = "team:change-control"
DESCRIPTIONS: Mapping[str, str] = {
    "change_record": "Every change that was taken in on this day; the register knew it before its first step.",
    "control_assertion": "Each control of the catalogue judged: met, exception, abstained or not applicable, with a "
    "verbatim quote from evidence wherever something is claimed.",
    "grounding_gate": "What the gate let through and what it blocked. It has no override: fix the input.",
    "sign_off": "Independent review and then maker-checker approval, asked for and taken up. A sign-off attests the "
    "assessment, not the change.",
    "workpaper": "One workpaper for each change with both sign-offs: controls, quotes, versions, conclusion.",
    "handoff_report": "The workpaper handed to the third-party observer, with the log head and how to verify it.",
    "audit_log": "The hash-chained log of each change, its only source of truth. Materialising again is always safe "
    "and does only what is left.",
}


def source_key(name: str) -> AssetKey:
    """The asset of a source that the policy names."""
    return AssetKey(["source", name])


def evidence_chain(days: PartitionsDefinition[str], sources: Sequence[SourceSpec]) -> AssetsDefinition:
    """The step `daily_changes` over one intake day, from the sources that the policy names."""
    names = list(DESCRIPTIONS)
    origins = [
        AssetSpec(
            source_key(source.name),
            description=f"What the source {source.name} ({source.adapter}) gave when it was read: control totals and "
            "extracts. Only today is read; what is the same as before is observed, and materialises nothing.",
            group_name="sources",
            kinds={source.adapter},
            owners=[OWNER],
            skippable=True,
        )
        for source in sources
    ]
    specs = [
        AssetSpec(
            name,
            deps=names[position - 1 : position] if position else [origin.key for origin in origins],
            description=DESCRIPTIONS[name],
            group_name=GROUP,
            kinds={"parquet"} if name in ("workpaper", "handoff_report") else {"json"},
            owners=[OWNER],
            skippable=True,
        )
        for position, name in enumerate(names)
    ]

    @multi_asset(specs=[*origins, *specs], name="daily_changes", partitions_def=days, pool=POOL)
    def daily_changes(
        context: AssetExecutionContext, evidence: Evidence, clock: WallClock
    ) -> Iterator[MaterializeResult[None]]:
        engine = evidence.engine(clock)
        evidence.look(engine, send=False)  # what is late is on record before a workpaper is written
        report = work_day(engine, date.fromisoformat(context.partition_key), evidence.sources(engine))
        for reading in report.readings:
            key, metadata = source_key(reading.source), reading_metadata(reading)
            if reading.fresh:
                yield MaterializeResult(asset_key=key, metadata=metadata)
            else:
                context.log_event(AssetObservation(key, partition=context.partition_key, metadata=metadata))
        needed = needs_somebody(engine, report.day)
        for stage in report.stages():
            yield MaterializeResult(asset_key=stage, metadata=stage_metadata(engine, report, stage, needed))
        evidence.look(engine, send=False)
        log_evaluations(context.op_execution_context, engine, evidence, report.runs)

    return daily_changes
