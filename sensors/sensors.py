"""Sensors: read the facts, call the pure decision, wrap its answer. At most one run request a tick."""

from datetime import UTC, datetime

from dagster import (
    DagsterInstance,
    DagsterRunStatus,
    DefaultSensorStatus,
    RunConfig,
    RunFailureSensorContext,
    RunRequest,
    RunsFilter,
    SensorDefinition,
    SensorEvaluationContext,
    SkipReason,
    run_failure_sensor,
    sensor,
)

from countersign.runs.daywork import record_failed_run
from resources.evidence import Evidence, WallClock
from sensors.asked import ADVANCE, DAILY, WATCH, AdvanceConfig
from sensors.decisions import Attempts, Launch, Wait, decide
from sensors.facts import Fact, due_clocks, new_payloads, recorded_sign_offs

FACT_TAG = "countersign/fact"
ASKED_BY_TAG = "countersign/asked_by"
ATTEMPT_TAG = "countersign/attempt"
EVERY_SECONDS = 2
SLA_SECONDS = 5
UNFINISHED = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]


def attempts_for(instance: DagsterInstance, asked_by: str, fact_key: str) -> Attempts:
    """Read from the run records what this sensor already asked for."""
    running = instance.get_run_records(RunsFilter(tags={ASKED_BY_TAG: asked_by}, statuses=UNFINISHED), limit=1)
    made = instance.get_run_records(RunsFilter(tags={FACT_TAG: fact_key, ASKED_BY_TAG: asked_by}))
    ends = [record.end_time or record.update_timestamp.replace(tzinfo=UTC).timestamp() for record in made]
    return Attempts(
        made=len(made),
        last_ended=datetime.fromtimestamp(max(ends), UTC) if ends else None,
        in_progress=running[0].dagster_run.run_id if running else "",
    )


def _decide(context: SensorEvaluationContext, clock: WallClock, fact: Fact | None) -> Launch | Wait:
    if fact is None:
        return decide(None, Attempts(), clock.now())
    attempts = attempts_for(context.instance, context.sensor_name, fact.key)
    return decide(fact, attempts, clock.now())


def _tags(context: SensorEvaluationContext, launch: Launch) -> dict[str, str]:
    return {FACT_TAG: launch.fact.key, ASKED_BY_TAG: context.sensor_name, ATTEMPT_TAG: str(launch.attempt)}


@sensor(job_name=DAILY, minimum_interval_seconds=EVERY_SECONDS, default_status=DefaultSensorStatus.RUNNING)
def intake_sensor(context: SensorEvaluationContext, evidence: Evidence, clock: WallClock) -> SkipReason | RunRequest:
    """New payloads at the sources ask for `daily` of today."""
    engine = evidence.engine(clock)
    match _decide(context, clock, new_payloads(engine, evidence.sources(engine))):
        case Wait(reason):
            return SkipReason(reason)
        case Launch(fact) as launch:
            return RunRequest(launch.run_key, partition_key=fact.days[0].isoformat(), tags=_tags(context, launch))


@sensor(job_name=ADVANCE, minimum_interval_seconds=EVERY_SECONDS, default_status=DefaultSensorStatus.RUNNING)
def approval_sensor(context: SensorEvaluationContext, evidence: Evidence, clock: WallClock) -> SkipReason | RunRequest:
    """Sign-offs that no log shows as consumed ask for `advance` of their days."""
    match _decide(context, clock, recorded_sign_offs(evidence.engine(clock))):
        case Wait(reason):
            return SkipReason(reason)
        case Launch(fact, attempt) as launch:
            config = RunConfig(
                ops={"advance_days": AdvanceConfig(days=[day.isoformat() for day in fact.days], attempt=attempt)}
            )
            return RunRequest(launch.run_key, run_config=config, tags=_tags(context, launch))


@sensor(job_name=WATCH, minimum_interval_seconds=SLA_SECONDS, default_status=DefaultSensorStatus.RUNNING)
def sla_sensor(context: SensorEvaluationContext, evidence: Evidence, clock: WallClock) -> SkipReason | RunRequest:
    """Clocks whose instant has come, and steps to be sent, ask for `watch`."""
    engine = evidence.engine(clock)
    match _decide(context, clock, due_clocks(engine, evidence.findings(engine).read())):
        case Wait(reason):
            return SkipReason(reason)
        case Launch() as launch:
            return RunRequest(launch.run_key, tags=_tags(context, launch))


@run_failure_sensor(minimum_interval_seconds=10, default_status=DefaultSensorStatus.RUNNING)
def failed_run_sensor(context: RunFailureSensorContext, evidence: Evidence, clock: WallClock) -> None:
    """Put a failed Dagster run on record in the register, once; the facts it was for stay pending and are retried."""
    engine = evidence.engine(clock)
    record_failed_run(
        engine, context.dagster_run.run_id, context.dagster_run.job_name, context.failure_event.message or ""
    )


def sensors() -> list[SensorDefinition]:
    """Every sensor; all of them run by default."""
    return [intake_sensor, approval_sensor, sla_sensor, failed_run_sensor]
