"""Finished days kept by the graph, and a finding for whatever left early."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from dagster import AssetCheckSeverity, DagsterInstance, ExecuteInProcessResult

from tests.domain.retention.conftest import loosen
from tests.pipeline.deployment import DAY, Deployment, evaluations

AFTER = "2026-11-21T15:00:00Z"


@pytest.fixture
def storing(deployment: Deployment, instance: DagsterInstance) -> Iterator[Deployment]:
    """A deployment with a folder to keep in, and a day on which a change closed at once."""
    content = yaml.safe_load(deployment.policy.read_text(encoding="utf-8"))
    content["retention_store"] = {"kind": "local", "folder": "worm"}
    deployment.policy.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    deployment.drop("CHG-1", system="intranet")
    assert deployment.daily(instance).success
    yield deployment
    loosen(deployment.folder)


def work(deployment: Deployment, instance: DagsterInstance) -> ExecuteInProcessResult:
    return deployment.execute(instance, "retention", at=AFTER)


def test_a_finished_day_is_kept_and_everything_is_there(storing: Deployment, instance: DagsterInstance) -> None:
    result = work(storing, instance)
    assert result.success
    (made,) = result.asset_materializations_for_node("retention_inventory")
    assert (made.metadata["kept_now"].value, made.metadata["days"].value) == (1, 1)
    assert DAY in str(made.metadata["newest_days"].value)
    found = evaluations(result)["nothing_left_early"]
    assert (found.passed, found.description) == (True, "nothing left early")
    again = work(storing, instance).asset_materializations_for_node("retention_inventory")
    assert again[0].metadata["kept_now"].value == 0


def test_what_left_early_fails_the_check_and_is_a_finding(storing: Deployment, instance: DagsterInstance) -> None:
    work(storing, instance)
    shutil.rmtree(storing.root / "runs")
    for _ in range(2):
        found = evaluations(work(storing, instance))["nothing_left_early"]
        assert (found.passed, found.severity) == (False, AssetCheckSeverity.ERROR)
        assert DAY in str(found.metadata["faults"].value)
    (finding,) = storing.evidence.findings(storing.engine(AFTER)).read().open()
    assert (finding.what.kind, finding.what.severity) == ("early_deletion", "SEV-1")


def test_a_day_that_cannot_be_kept_fails_the_run(storing: Deployment, instance: DagsterInstance) -> None:
    log = min(storing.root.glob("runs/*/*/*/*/audit.jsonl"))
    log.rename(storing.folder / "away")
    Path(log).mkdir()
    result = work(storing, instance)
    assert not result.success
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    assert "1 days are not kept yet" in str(failed.event_specific_data)


def test_without_a_store_the_check_says_that_nothing_is_kept(deployment: Deployment, instance: DagsterInstance) -> None:
    deployment.daily(instance)
    result = work(deployment, instance)
    assert result.success
    found = evaluations(result)["nothing_left_early"]
    assert (found.passed, found.severity) == (False, AssetCheckSeverity.WARN)
    assert "nothing is kept elsewhere" in (found.description or "")
