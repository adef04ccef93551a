"""Webserver, daemon and workers really running: from a dropped payload to the end, and through kills."""

import os
import signal
import time
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path

import polars
import pytest

from countersign import AuditLog, record_approval
from countersign.runs.verification import Verifier
from tests.end_to_end.live import Live, live_in, until

MANY = 500
MONITORING_SECONDS = 30.0

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds its processes through /proc")


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with live_in(tmp_path_factory.mktemp("live")) as started:
        yield started


def statuses(live: Live) -> Counter[tuple[str, str | None]]:
    """How many runs stand where: status and what is pending."""
    return Counter((run.status, run.pending) for run in live.deployment.engine("").index.all_runs())


def all_stand_at(live: Live, count: int, status: str, pending: str | None) -> None:
    until(
        lambda: statuses(live)[status, pending] >= count,
        f"{count} runs {status} {pending}: {statuses(live)}",
        every=0.5,
    )


def test_a_dropped_payload_goes_to_the_end_with_two_sign_offs_and_no_other_touch(live: Live) -> None:
    live.deployment.drop("CHG-1")
    all_stand_at(live, 1, "AWAITING_APPROVAL", "independent_review")
    run = live.deployment.runs()["CHG-1"]
    day, rundir = run.day.isoformat(), live.deployment.log("CHG-1").parent
    until(lambda: live.client.runs("daily", "SUCCESS"), "daily is a success")
    first = ("change_record", "control_assertion", "grounding_gate", "sign_off", "audit_log")
    assert {asset: live.client.materialised(asset, day) for asset in (*first, "workpaper")} == {
        **{asset: [1] for asset in first},
        "workpaper": [],
    }

    assert record_approval(rundir, "independent_review", "reviewer", policy=live.deployment.policy).repeated is False
    all_stand_at(live, 1, "AWAITING_APPROVAL", "maker_checker")
    record_approval(rundir, "maker_checker", "checker", policy=live.deployment.policy)
    all_stand_at(live, 1, "COMPLETED", None)
    until(lambda: len(live.client.runs("advance", "SUCCESS")) == 2, "both advances are a success")

    assert live.client.materialised("sign_off", day) == [1, 1]
    assert live.client.materialised("audit_log", day) == [1, 1, 1]
    assert live.client.materialised("workpaper", day) == live.client.materialised("handoff_report", day) == [1]
    for asset, checks, beside in (
        ("audit_log", ["every_log_verifies", "seals_hold"], {"files_hold": None}),  # which waits for the night
        ("grounding_gate", ["nothing_blocked"], {}),
        ("change_record", ["every_deployment_has_a_change", "totals_reconcile"], {}),
    ):
        assert live.client.checks(asset) == dict.fromkeys(checks, "SUCCEEDED") | beside
    jobs = [run["jobName"] for run in live.client.runs() if run["jobName"] != "watch"]  # clocks that stopped ask for it
    assert jobs == ["advance", "advance", "daily"]
    assert AuditLog(rundir / "audit.jsonl").verify()


def test_a_second_ui_on_the_instance_is_refused(live: Live) -> None:
    second = live.command()
    assert second.wait(60) == 1
    assert "in use by another `make ui`" in live.output.read_text()
    assert live.client.ready()


def test_a_worker_killed_amid_500_changes_is_followed_by_one_that_does_the_rest(live: Live) -> None:
    known = len(live.deployment.runs())
    logs = live.deployment.root / "runs"
    with live.instance() as instance:
        live.deployment.drop(*(f"BULK-{number}" for number in range(MANY)))
        (started, *_) = until(lambda: live.client.runs("daily", "STARTED"), "a worker runs", every=0.05)
        (worker, *_) = until(lambda: live.workers(instance, started["runId"]), "it says who it is", every=0.01)
        until(lambda: len(list(logs.glob("*/*/*/*/audit.jsonl"))) > known, "its first logs", every=0.005)
        os.kill(worker, signal.SIGKILL)
        until(lambda: live.client.runs("daily", "FAILURE"), "the run counts as failed")
    assert statuses(live)["AWAITING_APPROVAL", "independent_review"] < MANY, "killed too late to show anything"
    all_stand_at(live, MANY, "AWAITING_APPROVAL", "independent_review")
    until(live.idle, "the second attempt is over")
    assert [run["status"] for run in live.client.runs("daily")][:2] == ["SUCCESS", "FAILURE"]
    assert statuses(live).total() == known + MANY
    assert Verifier(live.deployment.root).verify().ok


def test_everything_killed_at_once_loses_nothing_and_the_queue_moves_after_the_restart(live: Live) -> None:
    """A worker that waits for the register holds the pool, and two runs queue behind it, when the power goes.

    Everything that waits is signed while all is down: it is taken up, and every run has its one workpaper.
    """
    config = {"ops": {"advance_days": {"config": {"days": ["2026-11-20"]}}}}
    until(live.idle, "nothing runs")
    with live.deployment.engine("").register.writing():
        cut_off = live.client.launch("advance", config)
        until(lambda: live.client.runs("advance", "STARTED"), "the first run has its worker")
        queued = [live.client.launch("advance", config) for _ in range(2)]
        until(lambda: len(live.client.runs("advance", "QUEUED")) == 2, "two runs wait for the pool")
        live.kill()
    live.deployment.sign_all("independent_review", at="")
    deque(live.deployment.engine("").advance(), maxlen=0)
    live.deployment.sign_all("maker_checker", at="")

    live.start()
    restarted = time.time()
    assert f"run {cut_off} (advance) was cut off" in live.output.read_text()
    until(
        lambda: {*queued} <= {run["runId"] for run in live.client.runs("advance", "SUCCESS")}, "the queue is worked off"
    )
    moved = min(run["startTime"] for run in live.client.runs("advance") if run["runId"] in queued)
    assert moved - restarted < MONITORING_SECONDS
    assert cut_off in {run["runId"] for run in live.client.runs("advance", "FAILURE")}

    everything = len(live.deployment.runs())
    all_stand_at(live, everything, "COMPLETED", None)
    until(live.idle, "nothing runs any more")
    workpapers = polars.read_parquet(live.deployment.root / "datasets" / "workpaper" / "*.parquet")
    assert len(workpapers) == workpapers["run_id"].n_unique() == everything
    verified = Verifier(live.deployment.root).verify()
    assert (verified.checked, verified.faults) == (everything, [])
    register = live.deployment.engine("").register
    until(lambda: cut_off in {entry.data.get("worker") for entry in register.records()}, "the failed run is on record")
