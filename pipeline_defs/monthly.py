"""The monthly jobs and when they run. What belongs here: schedules; whether a month is due is `sampling`'s to say."""

from datetime import datetime, timedelta
from pathlib import Path

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

from countersign.clocks.instant import parse_instant
from countersign.evidence.register import events_of
from countersign.runs.engine import Engine
from countersign.sampling.due import due_on, newest_due
from countersign.sampling.month import Month
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


def due_month(engine: Engine) -> tuple[Month, str | None]:
    """The newest month whose day has come, and why there is nothing to do for it, if so."""
    policy, calendar = engine.current.policy, engine.current.configuration.calendar
    number = policy.sample.drawn_on_business_day
    month = newest_due(engine.clock(), policy.zone, calendar, number)
    why_not = _why_not(engine, month)
    if why_not is not None:
        why_not = f"{why_not}; {month.next} is due on {due_on(month.next, calendar, number)}"
    return month, why_not


def _why_not(engine: Engine, month: Month) -> str | None:
    """Why there is nothing to do for a month, or None."""
    policy = engine.current.policy
    if month < Month.of(policy.intake_since):
        return "over before the first intake day"

    def has(event: str) -> bool:
        return any(line["month"] == str(month) for line in events_of(engine.root.register, event))

    if has("sample_drawn"):
        return "drawn"
    if has("population_frozen") and policy.sample.nonce == "required" and not has("sample_nonce"):
        return "frozen, and waits for the observer's nonce"
    return None


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


def waiting_months(register: Path, since: datetime) -> list[str]:
    """The frozen months without results, and those whose results came since an instant."""
    heard = {line["month"]: parse_instant(line["ts"]) for line in events_of(register, "sample_observed")}
    frozen = sorted({line["month"] for line in events_of(register, "population_frozen")})
    return [month for month in frozen if month not in heard or heard[month] >= since]
