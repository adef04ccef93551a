"""Recovery and DAGSTER_HOME: which runs are dead, and who may start a daemon."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster import DagsterEvent, DagsterEventType, DagsterInstance, DagsterRunStatus, EventLogEntry
from dagster._core.events import EngineEventData
from dagster._daemon.types import DaemonHeartbeat

from pipeline_defs.home import AlreadyLive, daemon_lock, prepare_home
from pipeline_defs.recovery import CLOCK_SLACK_SECONDS, fail_dead_runs, process_start
from tests.pipeline.deployment import Deployment

SLEEPER = [sys.executable, "-c", "import time; print(flush=True); time.sleep(600)"]


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    """A process that lives until the test is over."""
    with subprocess.Popen(SLEEPER, stdout=subprocess.PIPE) as process:
        yield process
        process.kill()


def run_of(
    deployment: Deployment,
    instance: DagsterInstance,
    pid: int | None,
    *,
    at: float | None = None,
    status: DagsterRunStatus = DagsterRunStatus.STARTED,
) -> str:
    """A run whose worker called itself `pid` (nobody yet when None) at an instant, now by default."""
    job = deployment.definitions().resolve_job_def("integrity")
    run = instance.create_run_for_job(job, status=status)
    if pid is not None:
        said = DagsterEvent(
            DagsterEventType.ENGINE_EVENT.value,
            run.job_name,
            message=f"Started process (pid: {pid}).",
            event_specific_data=EngineEventData(),
        )
        when = at or time.time()
        entry = EventLogEntry(None, 20, "", run.run_id, when, job_name=run.job_name, dagster_event=said)  # type: ignore[no-untyped-call]
        instance.handle_new_event(entry)
    return run.run_id


def status_of(instance: DagsterInstance, run_id: str) -> DagsterRunStatus:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


def test_a_run_whose_worker_is_gone_is_failed_and_one_whose_worker_lives_is_not(
    deployment: Deployment, instance: DagsterInstance, sleeper: "subprocess.Popen[bytes]"
) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    dead, live = run_of(deployment, instance, gone.pid), run_of(deployment, instance, sleeper.pid)
    assert [run.run_id for run in fail_dead_runs(instance)] == [dead]
    assert status_of(instance, dead) is DagsterRunStatus.FAILURE
    assert status_of(instance, live) is DagsterRunStatus.STARTED
    assert fail_dead_runs(instance) == []


def test_a_killed_worker_that_nobody_has_waited_for_is_gone(
    deployment: Deployment, instance: DagsterInstance, sleeper: "subprocess.Popen[bytes]"
) -> None:
    run_id = run_of(deployment, instance, sleeper.pid)
    sleeper.kill()
    assert sleeper.stdout is not None
    sleeper.stdout.read()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert [run.run_id for run in fail_dead_runs(instance)] == [run_id]


def test_a_process_id_that_was_given_away_since_is_no_worker(
    deployment: Deployment, instance: DagsterInstance, sleeper: "subprocess.Popen[bytes]"
) -> None:
    started = process_start(sleeper.pid)
    assert started is not None
    dead = run_of(deployment, instance, sleeper.pid, at=started - CLOCK_SLACK_SECONDS - 1)
    assert [run.run_id for run in fail_dead_runs(instance)] == [dead]


@pytest.mark.parametrize("status", [DagsterRunStatus.STARTING, DagsterRunStatus.CANCELING], ids=lambda each: each.name)
def test_a_run_that_holds_the_queue_without_a_worker_is_failed(
    deployment: Deployment, instance: DagsterInstance, status: DagsterRunStatus
) -> None:
    run_id = run_of(deployment, instance, None, status=status)
    assert [run.run_id for run in fail_dead_runs(instance)] == [run_id]


def test_runs_that_wait_and_finished_ones_are_left_alone(deployment: Deployment, instance: DagsterInstance) -> None:
    for status in (DagsterRunStatus.NOT_STARTED, DagsterRunStatus.SUCCESS, DagsterRunStatus.CANCELED):
        run_of(deployment, instance, None, status=status)
    assert fail_dead_runs(instance) == []


def test_a_process_started_about_when_it_did(sleeper: "subprocess.Popen[bytes]") -> None:
    started = process_start(sleeper.pid)
    assert started is not None
    assert abs(started - time.time()) < 60


def test_a_second_daemon_is_refused_until_the_first_is_gone(tmp_path: Path, instance: DagsterInstance) -> None:
    with daemon_lock(tmp_path, instance), pytest.raises(AlreadyLive, match="stop that one first"):
        daemon_lock(tmp_path, instance).__enter__()
    with daemon_lock(tmp_path, instance):
        pass


def test_a_daemon_that_outlives_its_launcher_keeps_the_lock(tmp_path: Path, instance: DagsterInstance) -> None:
    with daemon_lock(tmp_path, instance) as lock:
        daemon = subprocess.Popen(SLEEPER, stdout=subprocess.DEVNULL, pass_fds=[lock.fd])
    try:
        with pytest.raises(AlreadyLive):
            daemon_lock(tmp_path, instance).__enter__()
    finally:
        daemon.kill()
        daemon.wait()
    with daemon_lock(tmp_path, instance):
        pass


@pytest.mark.parametrize(
    ("age", "remembered", "refused"),
    [(0, False, True), (0, True, False), (600, False, False)],
    ids=["a stranger's", "our own from before a kill", "a stranger's of long ago"],
)
def test_a_heartbeat_bars_the_way_when_it_is_fresh_and_not_ours(
    tmp_path: Path, instance: DagsterInstance, age: int, remembered: bool, refused: bool
) -> None:
    instance.add_daemon_heartbeat(DaemonHeartbeat(time.time() - age, "SENSOR", "daemon-1"))
    (tmp_path / "daemon.lock").write_text("daemon-1" if remembered else "daemon-0")
    if refused:
        with pytest.raises(AlreadyLive, match="daemon-1"):
            daemon_lock(tmp_path, instance).__enter__()
    else:
        with daemon_lock(tmp_path, instance) as lock:
            assert lock.remembered()


def test_the_home_uses_the_repositorys_settings_unless_it_has_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    settings = prepare_home(tmp_path) / "dagster.yaml"
    assert settings.resolve() == tmp_path / "dagster.yaml"
    settings.unlink()
    settings.symlink_to(tmp_path / "moved away")
    prepare_home(tmp_path)
    assert settings.resolve() == tmp_path / "dagster.yaml"
    settings.unlink()
    settings.write_text("telemetry: {enabled: true}\n")
    prepare_home(tmp_path)
    assert "true" in settings.read_text()


def test_the_home_lies_in_the_repository_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")
    (tmp_path / "dagster.yaml").touch()
    assert prepare_home(tmp_path) == tmp_path / ".dagster"
    assert os.environ["DAGSTER_HOME"] == str(tmp_path / ".dagster")
