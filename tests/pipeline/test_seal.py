"""The nightly seal: made where there is a key, skipped with a reason where there is none."""

from pathlib import Path

import pytest
from dagster import (
    DagsterInstance,
    DefaultScheduleStatus,
    Definitions,
    RunRequest,
    ScheduleDefinition,
    build_schedule_context,
)

from countersign.runs.verification import Verifier
from pipeline_defs.build import build
from resources.evidence import Evidence, WallClock
from tests.keys import make_key
from tests.pipeline.deployment import AT, Deployment


def definitions(deployment: Deployment, key: Path | str) -> Definitions:
    evidence = Evidence(root=str(deployment.root), policy=str(deployment.policy), seal_key=str(key))
    return build(evidence=evidence, clock=WallClock(fixed=AT))


def nightly(made: Definitions) -> ScheduleDefinition:
    schedule = made.get_repository_def().get_schedule_def("nightly_seal")
    assert isinstance(schedule, ScheduleDefinition)
    return schedule


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return make_key(tmp_path / "key")


def test_the_job_seals_the_root(deployment: Deployment, instance: DagsterInstance, key: Path) -> None:
    deployment.drop("CHG-1")
    deployment.daily(instance)
    job = definitions(deployment, key).resolve_job_def("seal")
    for number in (1, 2):
        assert job.execute_in_process(instance=instance).success
        assert (deployment.root / "seals" / f"{number:06}.json.sig").is_file()
    verified = Verifier(deployment.root).verify()
    assert (verified.faults, verified.trust) == ([], "seal")


def test_without_a_key_the_job_fails_and_seals_nothing(deployment: Deployment, instance: DagsterInstance) -> None:
    job = definitions(deployment, "").resolve_job_def("seal")
    assert not job.execute_in_process(instance=instance, raise_on_error=False).success
    assert not (deployment.root / "seals").exists()


def test_the_schedule_runs_only_where_there_is_a_key(deployment: Deployment, key: Path) -> None:
    with_key, without = nightly(definitions(deployment, key)), nightly(definitions(deployment, ""))
    assert with_key.default_status is DefaultScheduleStatus.RUNNING
    assert without.default_status is DefaultScheduleStatus.STOPPED
    with build_schedule_context() as context:
        (request,) = with_key.evaluate_tick(context).run_requests or []
        assert isinstance(request, RunRequest)
        skipped = without.evaluate_tick(context)
    assert not skipped.run_requests
    assert "COUNTERSIGN_SEAL_KEY" in (skipped.skip_message or "")
