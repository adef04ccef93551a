"""The jobs: `daily` over the evidence chain, and the op jobs that work on what run config names."""

from datetime import date
from typing import Literal

from dagster import (
    AssetMaterialization,
    AssetsDefinition,
    AssetSelection,
    Config,
    DefaultScheduleStatus,
    JobDefinition,
    OpExecutionContext,
    ScheduleDefinition,
    define_asset_job,
    in_process_executor,
    job,
    op,
)
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from pydantic import Field

from assets.checks import log_evaluations
from assets.evidence_chain import POOL
from assets.findings import FINDING, operations
from assets.metadata import findings_metadata, stage_metadata
from countersign.errors import UnknownRunError
from countersign.runs.daywork import needs_somebody, work_days
from countersign.runs.sign_offs import SignOffDesk
from resources.evidence import Evidence, WallClock

DAILY, ADVANCE, RECORD_SIGN_OFF, INTEGRITY = "daily", "advance", "record_sign_off", "integrity"
WATCH, ROLL_UP = "watch", "sla_roll_up"


class AdvanceConfig(Config):
    """Which intake days to work on; a day where nothing is left to do costs nothing."""

    days: list[str] = Field(min_length=1, description="Intake days as YYYY-MM-DD.")
    attempt: int = Field(default=1, ge=1, description="Which try this is for the fact that asked for it.")


class SignOffConfig(Config):
    """A sign-off by one named person. It attests the assessment, not the change."""

    run_id: str = Field(description="The run, such as change-0123456789abcdef.")
    key: Literal["independent_review", "maker_checker"] = Field(description="Which sign-off this is.")
    approver: str = Field(description="Who signs: an id of the roster.")
    decision: Literal["approved", "rejected"] = Field(default="approved", description="A rejection needs a reason.")
    reason: str = Field(default="", description="Why, in the signer's own words.")


@op(pool=POOL)
def advance_days(context: OpExecutionContext, config: AdvanceConfig, evidence: Evidence, clock: WallClock) -> None:
    """Move the runs of the given days to their next pause; one materialisation for each asset and day that changed."""
    engine = evidence.engine(clock)
    evidence.look(engine, send=False)  # what is late is on record before a workpaper is written
    touched: list[str] = []
    for report in work_days(engine, (date.fromisoformat(day) for day in config.days)):
        needed = needs_somebody(engine, report.day)
        for stage in report.stages():
            metadata = stage_metadata(engine, report, stage, needed)
            context.log_event(AssetMaterialization(stage, partition=report.day.isoformat(), metadata=metadata))
        touched += report.runs
    evidence.look(engine, send=False)
    log_evaluations(context, engine, touched)


@op(pool=POOL)
def watch_clocks(context: OpExecutionContext, evidence: Evidence, clock: WallClock) -> None:
    """Record what ran out and tell who is to be told; one materialisation of `finding` where anything is new."""
    engine = evidence.engine(clock)
    watched = evidence.look(engine, send=True)
    if watched.did_something:
        metadata = findings_metadata(evidence.findings(engine).read(), watched.looked_at)
        context.log_event(AssetMaterialization(FINDING, metadata=metadata))
    log_evaluations(context, engine, ())


@op(pool=POOL)
def sign(context: OpExecutionContext, config: SignOffConfig, evidence: Evidence, clock: WallClock) -> None:
    """Record one sign-off; the approval sensor asks for `advance` afterwards. The same again is a success."""
    engine = evidence.engine(clock)
    run = engine.index.run(config.run_id)
    if run is None:
        raise UnknownRunError(f"{config.run_id}: no such run in {evidence.root}")
    receipt = SignOffDesk(engine).record(
        engine.root.rundir(run.day, run.run_id), config.key, config.approver, config.decision, config.reason or None
    )
    was = "was recorded before" if receipt.repeated else "is recorded"
    context.log.info(f"{receipt.key} of {receipt.run_id} {was}: {receipt.decision} by {receipt.by}")


def daily_job(chain: AssetsDefinition) -> UnresolvedAssetJobDefinition:
    """All seven stages of one day, without check steps: the step itself logs the evaluations."""
    return define_asset_job(
        DAILY,
        selection=AssetSelection.assets(chain).without_checks(),
        executor_def=in_process_executor,
        description="Read the sources (today only) and move every change of one day to its next pause.",
    )


def integrity_job() -> UnresolvedAssetJobDefinition:
    """Every check by itself, over everything, without touching an asset."""
    return define_asset_job(
        INTEGRITY,
        selection=AssetSelection.all_asset_checks(),
        executor_def=in_process_executor,
        description="Judge every check over the whole evidence root.",
    )


def roll_up_job() -> UnresolvedAssetJobDefinition:
    """What went wrong and how everything stands, once a day."""
    return define_asset_job(
        ROLL_UP,
        selection=AssetSelection.assets(*operations()).without_checks(),
        executor_def=in_process_executor,
        description="Findings and the operations report.",
    )


def op_jobs() -> list[JobDefinition]:
    """The jobs without assets of their own."""

    @job(name=ADVANCE, executor_def=in_process_executor, description="Work scattered over days, in one run.")
    def advance() -> None:
        advance_days()

    @job(name=RECORD_SIGN_OFF, executor_def=in_process_executor, description="Sign a run off from the launchpad.")
    def record_sign_off() -> None:
        sign()

    @job(name=WATCH, executor_def=in_process_executor, description="Look at the clocks that are due; record and send.")
    def watch() -> None:
        watch_clocks()

    return [advance, record_sign_off, watch]


def schedules(time_zone: str) -> list[ScheduleDefinition]:
    """What happens by the clock: the integrity of everything every night, the roll-up of clocks every morning."""
    return [
        ScheduleDefinition(
            name="nightly_integrity",
            job_name=INTEGRITY,
            cron_schedule="30 2 * * *",
            execution_timezone=time_zone,
            default_status=DefaultScheduleStatus.RUNNING,
        ),
        ScheduleDefinition(
            name="daily_sla_roll_up",
            job_name=ROLL_UP,
            cron_schedule="0 7 * * *",
            execution_timezone=time_zone,
            default_status=DefaultScheduleStatus.RUNNING,
        ),
    ]
