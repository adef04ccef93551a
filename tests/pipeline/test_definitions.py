"""The graph as it stands, so that a change of it gets seen; and what loading it costs."""

import json
import os
import subprocess
import sys

import pytest
from dagster import DefaultScheduleStatus, DefaultSensorStatus
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.definitions.partitions.definition import TimeWindowPartitionsDefinition

from pipeline_defs.home import REPOSITORY
from tests.pipeline.deployment import Deployment

DEPS = {
    "source/inbox": [],
    "change_record": ["source/inbox"],
    "control_assertion": ["change_record"],
    "grounding_gate": ["control_assertion"],
    "sign_off": ["grounding_gate"],
    "workpaper": ["sign_off"],
    "handoff_report": ["workpaper"],
    "audit_log": ["handoff_report"],
    "finding": ["handoff_report", "sign_off"],
    "ops_report": ["finding"],
    "retention_inventory": ["audit_log"],
    "clean_population_sample": ["audit_log"],
    "completeness_review": ["clean_population_sample"],
}
CHECKS = {
    "grounding_gate:nothing_blocked",
    "change_record:totals_reconcile",
    "change_record:every_deployment_has_a_change",
    "audit_log:every_log_verifies",
    "audit_log:seals_hold",
    "finding:no_clock_overdue",
    "audit_log:files_hold",
    "retention_inventory:nothing_left_early",
}
JOBS = {
    "daily",
    "advance",
    "record_sign_off",
    "integrity",
    "seal",
    "watch",
    "sla_roll_up",
    "retention",
    "monthly_sample",
    "monthly_review",
}
SAMPLE = {"clean_population_sample", "completeness_review"}
OPERATIONS = {"finding", "ops_report", "retention_inventory"}


@pytest.fixture
def graph(deployment: Deployment) -> AssetGraph:
    return deployment.definitions().resolve_asset_graph()


def test_assets_and_what_they_depend_on(graph: AssetGraph) -> None:
    found = {
        node.key.to_user_string(): sorted(key.to_user_string() for key in node.parent_keys)
        for node in graph.asset_nodes
    }
    assert found == DEPS


def test_every_asset_says_what_it_is_and_whose(graph: AssetGraph) -> None:
    for node in graph.asset_nodes:
        assert len(node.description or "") > 30, node.key
        group = {"source": "sources", **dict.fromkeys(OPERATIONS, "operations"), **dict.fromkeys(SAMPLE, "sample")}
        assert (node.group_name, node.owners) == (
            group.get(node.key.path[0], "evidence_chain"),
            ["team:change-control"],
        )
        kinds = {"inbox": {"files"}, "workpaper": {"parquet"}, "handoff_report": {"parquet"}}
        kinds |= {"retention_inventory": {"tar"}, "clean_population_sample": {"parquet"}}
        assert node.kinds == kinds.get(node.key.path[-1], {"json"})


def test_days_run_from_the_policys_first_to_today_in_its_zone(graph: AssetGraph) -> None:
    for node in graph.asset_nodes:
        days = node.partitions_def
        if node.key.path[0] in OPERATIONS:
            assert days is None
            continue
        assert isinstance(days, TimeWindowPartitionsDefinition)
        if node.key.path[0] in SAMPLE:
            assert (days.timezone, days.end_offset, days.get_first_partition_key()) == (
                "America/New_York",
                0,
                "2026-01",
            )
            continue
        assert (days.timezone, days.end_offset) == ("America/New_York", 1)
        assert days.get_first_partition_key() == "2026-01-01"


def test_checks_are_described_unpartitioned_and_never_blocking(graph: AssetGraph) -> None:
    assert {f"{key.asset_key.to_user_string()}:{key.name}" for key in graph.asset_check_keys} == CHECKS
    for key in graph.asset_check_keys:
        node = graph.get(key)
        assert (node.blocking, node.partitions_def) == (False, None)
        assert node.description


def test_jobs_select_what_they_are_for(deployment: Deployment) -> None:
    definitions = deployment.definitions()
    repository = definitions.get_repository_def()
    assert {name for name in repository.job_names if not name.startswith("__")} == JOBS
    daily, integrity = definitions.resolve_job_def("daily"), definitions.resolve_job_def("integrity")
    assert {key.to_user_string() for key in daily.asset_layer.selected_asset_keys} == set(DEPS) - OPERATIONS - SAMPLE
    assert [node.name for node in daily.nodes] == ["daily_changes"]
    assert not integrity.asset_layer.selected_asset_keys
    assert {node.name for node in integrity.nodes} == {check.replace(":", "_") for check in CHECKS}
    for name in JOBS:
        assert definitions.resolve_job_def(name).description
        assert definitions.resolve_job_def(name).executor_def.name == "in_process"


def test_every_op_that_writes_asks_for_the_pool_of_the_evidence_root(deployment: Deployment) -> None:
    """With `default_limit: 1` in dagster.yaml, one of them at a time."""
    definitions = deployment.definitions()
    for name in JOBS - {"integrity"}:
        assert {node.definition.pools == {"evidence"} for node in definitions.resolve_job_def(name).nodes} == {True}


def test_sensors_and_schedules_are_running_by_default(deployment: Deployment) -> None:
    repository = deployment.definitions().get_repository_def()
    sensors = {sensor.name: [target.job_name for target in sensor.targets] for sensor in repository.sensor_defs}
    assert sensors == {"intake_sensor": ["daily"], "approval_sensor": ["advance"], "sla_sensor": ["watch"],
                       "failed_run_sensor": []}  # fmt: skip
    assert {sensor.default_status for sensor in repository.sensor_defs} == {DefaultSensorStatus.RUNNING}
    retention, roll_up, review, monthly, nightly, sealing = sorted(
        repository.schedule_defs, key=lambda schedule: schedule.name
    )
    assert (roll_up.name, roll_up.job_name, roll_up.cron_schedule) == ("daily_sla_roll_up", "sla_roll_up", "0 7 * * *")
    assert (nightly.name, nightly.job_name, nightly.cron_schedule) == ("nightly_integrity", "integrity", "30 2 * * *")
    assert (retention.name, retention.job_name, retention.cron_schedule) == (
        "daily_retention", "retention", "0 4 * * *",
    )  # fmt: skip
    assert (monthly.name, monthly.job_name, monthly.cron_schedule) == (
        "monthly_sample_due", "monthly_sample", "0 6 * * *",
    )  # fmt: skip
    assert (review.name, review.job_name, review.cron_schedule) == (
        "monthly_review_due", "monthly_review", "30 6 * * *",
    )  # fmt: skip
    for schedule in (retention, roll_up, review, monthly, nightly):
        assert schedule.execution_timezone == "America/New_York"
        assert schedule.default_status is DefaultScheduleStatus.RUNNING
    assert (sealing.name, sealing.job_name, sealing.cron_schedule) == ("nightly_seal", "seal", "0 2 * * *")
    assert sealing.default_status is DefaultScheduleStatus.STOPPED  # this deployment has no key


def test_loading_the_code_location_imports_no_heavy_library() -> None:
    """pandas and scipy have no place there; pyarrow and SQLAlchemy together would cost more than 1.3 times Dagster."""
    code = "import json, sys, pipeline_defs.definitions as location; location.defs.get_repository_def()"
    shown = f"{code}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", shown], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stderr == ""  # no warning greets whoever starts it
    loaded = json.loads(done.stdout)
    assert {"dagster", "sensors.sensors", "countersign.runs.engine"} <= set(loaded)
    assert not {"pandas", "scipy", "numpy", "sqlalchemy", "pyarrow", "openai", "anthropic", "apprise", "boto3"} & set(
        loaded
    )


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [("COUNTERSIGN_POLICY", "/nowhere/policy.yaml", "not found"), ("COUNTERSIGN_PORT", "eighty", "invalid int value")],
)
def test_a_setting_that_is_none_is_wrong_usage_without_a_traceback(variable: str, value: str, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pipeline_defs.operate", "ui"],
        cwd=REPOSITORY,
        env={**os.environ, variable: value},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
