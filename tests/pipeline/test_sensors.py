"""Sensors on an ephemeral instance with real run records."""

import pytest
from dagster import (
    DagsterInstance,
    DagsterRunStatus,
    RunRequest,
    SensorDefinition,
    SkipReason,
    build_run_status_sensor_context,
    build_sensor_context,
)

from countersign.errors import SourceError
from sensors.sensors import ASKED_BY_TAG, ATTEMPT_TAG, FACT_TAG, approval_sensor, failed_run_sensor, intake_sensor
from tests.pipeline.deployment import DAY, Deployment, materialised

# The instance stamps runs with the real time; an instant after all of them leaves no pause in the way.
LATER = "2100-01-01T12:00:00Z"
REAL_TIME = ""


def tick(
    sensor: SensorDefinition, deployment: Deployment, instance: DagsterInstance, at: str = f"{DAY}T15:00:00Z"
) -> SkipReason | RunRequest:
    made = deployment.definitions(at)
    context = build_sensor_context(
        instance=instance, resources=made.resources, definitions=made, sensor_name=sensor.name
    )
    answer = sensor(context)
    assert isinstance(answer, SkipReason | RunRequest)
    return answer


def asked(answer: SkipReason | RunRequest) -> RunRequest:
    assert isinstance(answer, RunRequest), answer
    return answer


def reason(answer: SkipReason | RunRequest) -> str:
    assert isinstance(answer, SkipReason), answer
    return answer.skip_message or ""


def start(deployment: Deployment, instance: DagsterInstance, request: RunRequest, job: str) -> str:
    """A record of the run that was asked for, as started; returns its id."""
    resolved = deployment.definitions().resolve_job_def(job)
    made = instance.create_run_for_job(resolved, tags=dict(request.tags), status=DagsterRunStatus.STARTED)
    return made.run_id


def fail(instance: DagsterInstance, run_id: str) -> None:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    instance.report_run_failed(run)


@pytest.fixture
def waiting(deployment: Deployment, instance: DagsterInstance) -> Deployment:
    """CHG-1 was taken in, and its review has been given."""
    deployment.drop("CHG-1")
    deployment.daily(instance)
    deployment.sign_all("independent_review")
    return deployment


@pytest.mark.parametrize("sensor", [intake_sensor, approval_sensor], ids=lambda sensor: sensor.name)
def test_a_tick_without_a_fact_says_so(
    deployment: Deployment, instance: DagsterInstance, sensor: SensorDefinition
) -> None:
    tick(intake_sensor, deployment, instance)
    deployment.daily(instance)
    assert reason(tick(sensor, deployment, instance)) == "nothing is pending"


def test_new_payloads_ask_once_for_daily_of_today(deployment: Deployment, instance: DagsterInstance) -> None:
    deployment.drop("CHG-1")
    deployment.drop("CHG-2")
    request = asked(tick(intake_sensor, deployment, instance))
    assert request.partition_key == DAY
    assert request.run_key == f"{request.tags[FACT_TAG]}:1"
    assert (request.tags[ASKED_BY_TAG], request.tags[ATTEMPT_TAG]) == ("intake_sensor", "1")
    assert deployment.execute(instance, "daily", day=DAY, tags=request.tags).success
    assert reason(tick(intake_sensor, deployment, instance, LATER)) == "nothing is pending"


def test_the_day_is_that_of_the_policys_zone(deployment: Deployment, instance: DagsterInstance) -> None:
    """Two o'clock in Greenwich is still the evening before in New York."""
    deployment.drop("CHG-1")
    assert asked(tick(intake_sensor, deployment, instance, f"{DAY}T02:00:00Z")).partition_key == "2026-11-19"


def test_a_payload_that_comes_while_another_is_known_is_another_fact(
    deployment: Deployment, instance: DagsterInstance
) -> None:
    deployment.drop("CHG-1")
    first = asked(tick(intake_sensor, deployment, instance))
    deployment.execute(instance, "daily", day=DAY, tags=first.tags)
    deployment.drop("CHG-2")
    second = asked(tick(intake_sensor, deployment, instance))
    assert second.run_key != first.run_key
    assert second.tags[ATTEMPT_TAG] == "1"


def test_sign_offs_ask_for_advance_of_their_days(waiting: Deployment, instance: DagsterInstance) -> None:
    request = asked(tick(approval_sensor, waiting, instance))
    assert request.run_config["ops"]["advance_days"]["config"] == {"days": [DAY], "attempt": 1}
    assert request.run_key == f"{request.tags[FACT_TAG]}:1"
    result = waiting.execute(instance, "advance", config=request.run_config, tags=request.tags)
    assert materialised(result) == [("sign_off", DAY), ("audit_log", DAY)]
    assert reason(tick(approval_sensor, waiting, instance, LATER)) == "nothing is pending"


def test_a_fact_stays_pending_until_a_log_shows_it_consumed(waiting: Deployment, instance: DagsterInstance) -> None:
    """A run that succeeds without taking the sign-off up has not consumed it."""
    request = asked(tick(approval_sensor, waiting, instance))
    elsewhere = {"ops": {"advance_days": {"config": {"days": ["2026-11-19"]}}}}
    assert waiting.execute(instance, "advance", config=elsewhere, tags=request.tags).success
    again = asked(tick(approval_sensor, waiting, instance, LATER))
    assert again.run_key == f"{request.tags[FACT_TAG]}:2"
    assert again.run_config["ops"]["advance_days"]["config"] == {"days": [DAY], "attempt": 2}


def test_a_failed_run_is_followed_by_another_attempt_after_a_pause(
    deployment: Deployment, instance: DagsterInstance
) -> None:
    deployment.drop("CHG-1")
    first = asked(tick(intake_sensor, deployment, instance, REAL_TIME))
    fail(instance, start(deployment, instance, first, "daily"))
    assert "attempt 2 is due at" in reason(tick(intake_sensor, deployment, instance, REAL_TIME))
    second = asked(tick(intake_sensor, deployment, instance, LATER))
    assert (first.run_key, second.run_key) == (f"{first.tags[FACT_TAG]}:1", f"{first.tags[FACT_TAG]}:2")


def test_a_run_in_progress_is_waited_for_whatever_its_fact(deployment: Deployment, instance: DagsterInstance) -> None:
    deployment.drop("CHG-1")
    run_id = start(deployment, instance, asked(tick(intake_sensor, deployment, instance)), "daily")
    assert f"run {run_id} is in progress" in reason(tick(intake_sensor, deployment, instance, LATER))
    deployment.drop("CHG-2")
    assert f"run {run_id} is in progress" in reason(tick(intake_sensor, deployment, instance, LATER))
    fail(instance, run_id)
    assert asked(tick(intake_sensor, deployment, instance, LATER)).tags[ATTEMPT_TAG] == "1"


def test_the_runs_of_one_sensor_do_not_hold_the_other_back(waiting: Deployment, instance: DagsterInstance) -> None:
    waiting.drop("CHG-2")
    start(waiting, instance, asked(tick(intake_sensor, waiting, instance)), "daily")
    assert asked(tick(approval_sensor, waiting, instance)).tags[ATTEMPT_TAG] == "1"


def test_a_source_that_cannot_be_looked_at_raises_instead_of_saying_that_nothing_is_new(
    deployment: Deployment, instance: DagsterInstance
) -> None:
    deployment.inbox.rmdir()
    with pytest.raises(SourceError, match="inbox"):
        tick(intake_sensor, deployment, instance)


def test_a_broken_source_does_not_hide_what_is_new_in_another(
    deployment: Deployment, instance: DagsterInstance
) -> None:
    deployment.write_policy(gone=deployment.folder / "gone", inbox=deployment.inbox)
    deployment.drop("CHG-1")
    request = asked(tick(intake_sensor, deployment, instance))
    assert deployment.execute(instance, "daily", day=DAY, tags=request.tags).success
    with pytest.raises(SourceError, match="gone"):
        tick(intake_sensor, deployment, instance, LATER)


def test_a_source_that_broke_off_is_pending_again_once_it_can_be_read(
    deployment: Deployment, instance: DagsterInstance
) -> None:
    deployment.drop("CHG-1")
    deployment.daily(instance)
    moved = deployment.inbox.rename(deployment.folder / "moved")
    deployment.daily(instance)
    moved.rename(deployment.inbox)
    assert asked(tick(intake_sensor, deployment, instance, LATER)).partition_key


def test_a_failed_run_is_on_record_once(deployment: Deployment, instance: DagsterInstance) -> None:
    nothing = {"ops": {"sign": {"config": {"statement": "{}", "signature": ""}}}}
    result = deployment.execute(instance, "record_sign_off", config=nothing)
    (failure,) = [event for event in result.all_events if event.is_run_failure]
    for _ in range(2):
        failed_run_sensor(
            build_run_status_sensor_context(
                sensor_name=failed_run_sensor.name,
                dagster_event=failure,
                dagster_instance=instance,
                dagster_run=result.dagster_run,
                resources=deployment.definitions().resources,
            ).for_run_failure()
        )
    records = [entry.data for entry in deployment.engine().register.records() if entry.event == "worker_failed"]
    assert [(record["worker"], record["job"]) for record in records] == [(result.run_id, "record_sign_off")]
