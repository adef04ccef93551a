"""`daily` on an ephemeral instance: what materialises, what its metadata says, what the checks say."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster import AssetCheckSeverity, DagsterEventType, DagsterInstance, ExecuteInProcessResult

from tests.pipeline.deployment import AT, DAY, Deployment, evaluations, materialised, verdicts

ALL_PASS = {
    "nothing_blocked": True,
    "totals_reconcile": True,
    "every_deployment_has_a_change": True,
    "no_clock_overdue": True,
    "every_log_verifies": True,
    "seals_hold": True,
}
UNGROUNDED = [
    {"control": "ITGC-CM-03", "text": "Load tests passed", "evidence": "tests", "quote": "500 users at once passed"}
]


def metadata_of(result: ExecuteInProcessResult, asset: str) -> dict[str, Any]:
    (event,) = [
        event
        for event in result.all_events
        if event.event_type == DagsterEventType.ASSET_MATERIALIZATION
        and event.asset_key is not None
        and event.asset_key.to_user_string() == asset
    ]
    return {label: value.value for label, value in event.materialization.metadata.items()}


def test_a_day_with_nothing_to_do_succeeds_without_a_materialisation(
    deployment: Deployment, instance: DagsterInstance
) -> None:
    assert materialised(deployment.daily(instance)) == [("source/inbox", DAY)]  # which was never read before
    result = deployment.daily(instance)
    assert result.success
    assert materialised(result) == []
    assert verdicts(result) == ALL_PASS


def test_only_the_stages_up_to_the_pause_materialise(deployment: Deployment, instance: DagsterInstance) -> None:
    deployment.drop("CHG-1")
    touched = ["change_record", "control_assertion", "grounding_gate", "sign_off", "audit_log"]
    assert materialised(deployment.daily(instance)) == [(stage, DAY) for stage in ("source/inbox", *touched)]
    deployment.sign_all("independent_review")
    assert materialised(deployment.daily(instance)) == [("sign_off", DAY), ("audit_log", DAY)]
    deployment.sign_all("maker_checker")
    assert materialised(deployment.daily(instance)) == [
        (stage, DAY) for stage in ("workpaper", "handoff_report", "audit_log")
    ]


def test_metadata_count_name_and_lead_to_the_evidence(deployment: Deployment, instance: DagsterInstance) -> None:
    deployment.drop("CHG-1", "CHG-2")
    deployment.drop("CHG-3", assertions=UNGROUNDED)
    result = deployment.daily(instance)
    record, sign_off = metadata_of(result, "change_record"), metadata_of(result, "sign_off")
    assert (record["changes_touched"], record["changes_of_the_day"], record["needs_somebody"]) == (3, 3, 3)
    assert "| AWAITING\\_APPROVAL | 2 |" in record["status"]
    assert "| BLOCKED | 1 |" in record["status"]
    runs = deployment.runs()
    assert all(f"| {change} |" in sign_off["who_is_needed"] for change in runs)
    assert all(run.run_id in sign_off["who_is_needed"] for run in runs.values())
    assert {folder.name for folder in Path(record["run_folders"]).iterdir()} == {run.run_id for run in runs.values()}


def test_the_dataset_of_a_stage_is_named_once_it_is_there(deployment: Deployment, instance: DagsterInstance) -> None:
    deployment.drop("CHG-1")
    assert "dataset" not in metadata_of(deployment.daily(instance), "sign_off")
    deployment.sign_all("independent_review")
    deployment.daily(instance)
    deployment.sign_all("maker_checker")
    metadata = metadata_of(deployment.daily(instance), "workpaper")
    assert Path(metadata["dataset"]).is_file()
    assert metadata["who_is_needed"] == "nobody"


def test_a_source_is_materialised_with_its_control_totals(deployment: Deployment, instance: DagsterInstance) -> None:
    deployment.drop("CHG-1")
    deployment.drop("CHG-2", system="intranet")
    deployment.drop("CHG-3", change_type="standard")
    result = deployment.daily(instance)
    metadata = metadata_of(result, "source/inbox")
    assert metadata["totals"] == {"read": 3, "opened": 1, "known": 0, "refused": 1, "out_of_scope": 1}
    assert (metadata["reconciled"], metadata["extracts"]) == (True, "submitted payloads")


def test_a_source_that_extracts_names_what_it_gave(deployment: Deployment, instance: DagsterInstance) -> None:
    repository = deployment.folder / "service"
    identity = ["-c", "user.name=Example Maker", "-c", "user.email=maker@example.com"]
    subprocess.run(["git", "init", "-q", str(repository)], check=True)
    subprocess.run(
        ["git", "-C", str(repository), *identity, "commit", "-q", "--allow-empty", "-m", "First"], check=True
    )
    content = yaml.safe_load(deployment.policy.read_text())
    content["sources"] = [{"name": "history", "adapter": "git", "path": str(repository)}]
    deployment.policy.write_text(yaml.safe_dump(content))
    metadata = metadata_of(deployment.daily(instance), "source/history")
    (extract,) = (deployment.root / "extracts").iterdir()
    assert f"| {extract.name} | 1 | {extract.stat().st_size} | git log" in metadata["extracts"]


def test_a_blocked_change_fails_a_check_and_not_the_run(deployment: Deployment, instance: DagsterInstance) -> None:
    deployment.drop("CHG-1", assertions=UNGROUNDED)
    deployment.drop("CHG-2")
    result = deployment.daily(instance)
    assert result.success
    assert verdicts(result) == {**ALL_PASS, "nothing_blocked": False}
    found = evaluations(result)["nothing_blocked"]
    assert found.severity is AssetCheckSeverity.WARN
    assert DAY in str(found.metadata["findings"].value)
    assert deployment.runs()["CHG-2"].status == "AWAITING_APPROVAL"


def test_a_step_that_raises_fails_its_change_alone_and_is_retried(
    deployment: Deployment, instance: DagsterInstance
) -> None:
    """The version of the policy that CHG-1 was assessed with is lost for a while."""
    deployment.drop("CHG-1")
    deployment.daily(instance)
    deployment.sign_all("independent_review")
    lost = deployment.root / "policies" / f"{deployment.engine().current.policy.digest}.json"
    kept = lost.read_bytes()
    deployment.policy.write_text(deployment.policy.read_text().replace("2026-11", "2026-12", 1))
    deployment.adopt()
    lost.unlink()
    deployment.drop("CHG-2")
    result = deployment.daily(instance)
    assert result.success
    assert {change: run.status for change, run in deployment.runs().items()} == {
        "CHG-1": "FAILED",
        "CHG-2": "AWAITING_APPROVAL",
    }
    assert "not kept here" in metadata_of(result, "audit_log")["who_is_needed"]
    lost.write_bytes(kept)
    deployment.daily(instance)
    assert deployment.runs()["CHG-1"].pending == "maker_checker"


def test_a_broken_source_does_not_stop_the_others_and_does_not_reconcile(
    deployment: Deployment, instance: DagsterInstance
) -> None:
    deployment.write_policy(inbox=deployment.inbox, gone=deployment.folder / "gone")
    deployment.drop("CHG-1")
    result = deployment.daily(instance)
    assert result.success
    assert list(deployment.runs()) == ["CHG-1"]
    assert verdicts(result) == {**ALL_PASS, "totals_reconcile": False}
    found = evaluations(result)["totals_reconcile"]
    assert found.severity is AssetCheckSeverity.ERROR
    assert "gone" in str(found.metadata["findings"].value)
    (deployment.folder / "gone").mkdir()
    assert verdicts(deployment.daily(instance)) == ALL_PASS


def tamper(deployment: Deployment, change_id: str) -> None:
    log = deployment.log(change_id)
    log.write_bytes(log.read_bytes().replace(b'"event":"gated"', b'"event":"gaten"'))


@pytest.mark.parametrize("signed", [True, False], ids=["with a sign-off to take up", "with nothing to do"])
def test_a_tampered_log_fails_its_check_and_not_the_run(
    deployment: Deployment, instance: DagsterInstance, signed: bool
) -> None:
    """Right after work only the logs that were to be worked on are judged, in the integrity job all of them."""
    deployment.drop("CHG-1")
    deployment.daily(instance)
    if signed:
        deployment.sign_all("independent_review")
    tamper(deployment, "CHG-1")
    result = deployment.daily(instance) if signed else deployment.execute(instance, "integrity")
    assert result.success
    # integrity judges every check: nothing is kept elsewhere in this deployment, and that check says so
    beside = {} if signed else {"nothing_left_early": False, "files_hold": True}
    assert verdicts(result) == {**ALL_PASS, "every_log_verifies": False, **beside}
    found = evaluations(result)["every_log_verifies"]
    assert found.severity is AssetCheckSeverity.ERROR
    assert "SEV-1" in (found.description or "")


def test_a_tampered_log_is_not_declared_sound_by_work_on_others(
    deployment: Deployment, instance: DagsterInstance
) -> None:
    deployment.drop("CHG-1")
    deployment.daily(instance)
    tamper(deployment, "CHG-1")
    assert not verdicts(deployment.execute(instance, "integrity"))["every_log_verifies"]
    deployment.drop("CHG-2")
    assert not verdicts(deployment.daily(instance))["every_log_verifies"]


def test_integrity_judges_everything_and_touches_no_asset(deployment: Deployment, instance: DagsterInstance) -> None:
    deployment.drop("CHG-1")
    deployment.daily(instance)
    result = deployment.execute(instance, "integrity")
    assert result.success
    assert materialised(result) == []
    assert "1 logs verify" in (evaluations(result)["every_log_verifies"].description or "")


def test_materialising_again_changes_nothing(deployment: Deployment, instance: DagsterInstance) -> None:
    deployment.drop(*(f"CHG-{number}" for number in range(1, 6)))
    deployment.daily(instance)
    deployment.sign_all("independent_review")
    deployment.daily(instance)
    deployment.sign_all("maker_checker")
    deployment.daily(instance)
    paths = [*deployment.root.glob("runs/**/audit.jsonl"), *deployment.root.glob("datasets/**/*.parquet")]
    assert len(paths) == 7
    before = {path: path.read_bytes() for path in [*paths, deployment.root / "register.jsonl"]}
    assert materialised(deployment.daily(instance)) == []
    assert {path: path.read_bytes() for path in before} == before


def test_an_older_day_is_worked_on_without_reading_the_sources(
    deployment: Deployment, instance: DagsterInstance
) -> None:
    deployment.drop("CHG-1")
    later = AT.replace(DAY, "2026-11-21")
    result = deployment.execute(instance, "daily", at=later, day=DAY)
    assert result.success
    assert deployment.runs() == {}


def test_a_policy_that_is_not_adopted_stops_the_run_and_says_what_to_do(
    deployment: Deployment, instance: DagsterInstance
) -> None:
    deployment.drop("CHG-1")
    assert deployment.daily(instance).success
    before = (deployment.root / "register.jsonl").read_bytes()
    deployment.policy.write_text(deployment.policy.read_text().replace("2026-11", "2026-12", 1))
    result = deployment.daily(instance)
    assert not result.success
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert "countersign policy adopt --as PERSON" in str(failure.step_failure_data.error)
    assert (deployment.root / "register.jsonl").read_bytes() == before
    deployment.adopt()
    assert deployment.daily(instance).success
