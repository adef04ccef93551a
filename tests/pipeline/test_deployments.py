"""Deployments in the daily graph: read after the changes, and judged by a check of their own."""

import json

import yaml
from dagster import AssetCheckSeverity, DagsterInstance

from tests.pipeline.deployment import Deployment, evaluations, verdicts

_ROW = {"environment": "production", "system": "billing", "at": "2026-11-20T10:00:00Z", "by": "deployer"}


def test_a_deployment_without_a_change_fails_its_check_until_the_change_turns_up(
    deployment: Deployment, instance: DagsterInstance
) -> None:
    deployment.write_policy()
    content = yaml.safe_load(deployment.policy.read_text())
    shipped = {"name": "shipped", "adapter": "deployments", "path": str(deployment.folder / "shipped.jsonl")}
    content["sources"] = [shipped, *content["sources"]]
    deployment.policy.write_text(yaml.safe_dump(content))
    rows = [{**_ROW, "id": "D-1", "revision": "4f2a9c1d7e"}, {**_ROW, "id": "D-2", "revision": "5" * 40}]
    (deployment.folder / "shipped.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    deployment.drop("CHG-1")
    result = deployment.daily(instance)
    assert result.success
    found = evaluations(result)["every_deployment_has_a_change"]
    assert (found.passed, found.severity) == (False, AssetCheckSeverity.ERROR)
    said = str(found.metadata["findings"].value)
    assert ("D-1" in said, "D-2" in said) == (False, True)
    assert not verdicts(deployment.execute(instance, "integrity"))["every_deployment_has_a_change"]
    deployment.drop("CHG-2", revision="5" * 40)
    assert verdicts(deployment.daily(instance))["every_deployment_has_a_change"]
    runs = deployment.runs()
    assert runs["deployment:D-2"].superseded_by == runs["CHG-2"].run_id
