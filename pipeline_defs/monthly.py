"""The monthly jobs and when they run. What belongs here: schedules; whether a month is due is `sampling`'s to say."""

from datetime import timedelta

from dagster import (
    AssetsDefinition,
    AssetSelection,
    DefaultScheduleStatus,
    RunRequest,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SkipReason,
    define_asset_job,
    in_process_executor,
    schedule,
)
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from countersign.sampling.due import due_month, waiting_months
from resources.evidence import Evidence, WallClock

MONTHLY, REVIEWING = "monthly_sample", "monthly_review"
_NEWS = timedelta(days=2)  # two mornings see results that came: one of them may find the machine off


def monthly_job(sample: AssetsDefinition) -> UnresolvedAssetJobDefinition:
    """The population of one month and its sample; by hand for any month that is over."""
    return define_asset_job(
        MONTHLY,
        selection=AssetSelection.assets(sample),
        executor_def=in_process_executor,
        description="Freeze a month's population, seal it, and draw its sample once the observer's nonce is there.",
    )


def monthly_schedule(time_zone: str) -> ScheduleDefinition:
    """Every morning: the newest month that is due, until it is drawn; nothing on the days between."""

    @schedule(
        name="monthly_sample_due",
        job_name=MONTHLY,
        cron_schedule="0 6 * * *",
        execution_timezone=time_zone,
        default_status=DefaultScheduleStatus.RUNNING,
    )
    def monthly_sample_due(
        _: ScheduleEvaluationContext, evidence: Evidence, clock: WallClock
    ) -> RunRequest | SkipReason:
        engine = evidence.engine(clock)
        month, why_not = due_month(engine)
        if why_not is not None:
            return SkipReason(f"{month}: {why_not}")
        # a key that was used is never run again: so it carries the day, and each day is another attempt
        return RunRequest(f"{month} on {engine.today}", partition_key=str(month))

    return monthly_sample_due


def review_job(review: AssetsDefinition) -> UnresolvedAssetJobDefinition:
    """What the observer found in one month, or until when they have."""
    return define_asset_job(
        REVIEWING,
        selection=AssetSelection.assets(review),
        executor_def=in_process_executor,
        description="How a month stands with its observer; what is late becomes a finding.",
    )


def review_schedule(time_zone: str) -> ScheduleDefinition:
    """Every morning: each frozen month that waits for its observer, or has heard of them since."""

    @schedule(
        name="monthly_review_due",
        job_name=REVIEWING,
        cron_schedule="30 6 * * *",
        execution_timezone=time_zone,
        default_status=DefaultScheduleStatus.RUNNING,
    )
    def monthly_review_due(
        _: ScheduleEvaluationContext, evidence: Evidence, clock: WallClock
    ) -> list[RunRequest] | SkipReason:
        engine = evidence.engine(clock)
        months = waiting_months(engine.root.register, engine.clock() - _NEWS)
        if not months:
            return SkipReason("no frozen month waits for its observer")
        return [RunRequest(f"{month} on {engine.today}", partition_key=month) for month in months]

    return monthly_review_due
