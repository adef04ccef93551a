"""`advance` and `record_sign_off` on an ephemeral instance."""

from pathlib import Path

import pytest
from dagster import DagsterInstance, ExecuteInProcessResult

from countersign.runs.sign_offs import SignOffDesk
from tests.pipeline.deployment import AT, DAY, Deployment, materialised, verdicts

NEXT_DAY, QUIET_DAY = "2026-11-21", "2026-11-19"


@pytest.fixture
def reviewed(deployment: Deployment, instance: DagsterInstance) -> Deployment:
    """CHG-1 of one day and CHG-2 of the next wait for their review; that of CHG-2 has been given."""
    deployment.drop("CHG-1")
    deployment.daily(instance)
    deployment.sign_all("independent_review")
    deployment.advance(instance, DAY)
    deployment.drop("CHG-2")
    deployment.daily(instance, at=AT.replace(DAY, NEXT_DAY))
    deployment.sign_all("independent_review")
    return deployment


def failure_of(result: ExecuteInProcessResult) -> str:
    """Why the run failed, down to the first cause."""
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    error = failed.step_failure_data.error
    said = ""
    while error is not None:
        said, error = f"{said}\n{error.message}", error.cause
    return said


def test_advance_materialises_only_the_days_that_changed(reviewed: Deployment, instance: DagsterInstance) -> None:
    result = reviewed.advance(instance, QUIET_DAY, DAY, NEXT_DAY)
    assert result.success
    assert materialised(result) == [("sign_off", NEXT_DAY), ("audit_log", NEXT_DAY)]
    checks = {"nothing_blocked", "totals_reconcile", "every_deployment_has_a_change", "no_clock_overdue"}
    assert verdicts(result).keys() == checks | {"every_log_verifies", "seals_hold"}


def test_advance_takes_several_days_in_one_run(reviewed: Deployment, instance: DagsterInstance) -> None:
    reviewed.sign_all("maker_checker")
    result = reviewed.advance(instance, NEXT_DAY, DAY, DAY)
    last = [(stage, DAY) for stage in ("workpaper", "handoff_report", "audit_log")]
    assert materialised(result) == [*last, ("sign_off", NEXT_DAY), ("audit_log", NEXT_DAY)]


def test_advance_leaves_other_days_alone(reviewed: Deployment, instance: DagsterInstance) -> None:
    assert materialised(reviewed.advance(instance, DAY)) == []
    assert reviewed.runs()["CHG-2"].signed


@pytest.mark.parametrize("days", [[], ["20 November"]], ids=["no day", "not a day"])
def test_advance_fails_on_days_that_are_none(
    deployment: Deployment, instance: DagsterInstance, days: list[str]
) -> None:
    assert not deployment.advance(instance, *days).success


REVIEW = "independent_review"


@pytest.fixture
def waiting(deployment: Deployment, instance: DagsterInstance, keys: Path) -> Deployment:
    """A change that waits for its review, and a roster with keys."""
    deployment.give_keys(keys)
    deployment.drop("CHG-1")
    deployment.daily(instance)
    return deployment


def test_a_signed_statement_from_the_launchpad_is_recorded_and_the_same_again_succeeds(
    waiting: Deployment, instance: DagsterInstance, keys: Path
) -> None:
    statement = waiting.statement("CHG-1", REVIEW, "reviewer")
    assert waiting.sign(instance, statement, keys / "reviewer", REVIEW).success
    assert waiting.runs()["CHG-1"].signed
    log = waiting.log("CHG-1")
    before = log.read_bytes()
    assert waiting.sign(instance, statement, keys / "reviewer", REVIEW).success
    assert log.read_bytes() == before
    waiting.advance(instance, DAY)
    assert waiting.runs()["CHG-1"].pending == "maker_checker"


def test_a_run_that_cannot_be_signed_fails_the_job_by_its_name_and_the_others_are_signed(
    waiting: Deployment, instance: DagsterInstance, keys: Path
) -> None:
    waiting.drop("CHG-2")
    waiting.daily(instance)
    engine, runs = waiting.engine(), waiting.runs()
    rundirs = [engine.root.rundir(run.day, run.run_id) for run in (runs["CHG-1"], runs["CHG-2"])]
    both = SignOffDesk(engine).request(rundirs, REVIEW, "reviewer").content
    alone = waiting.statement("CHG-1", REVIEW, "second-reviewer")
    assert waiting.sign(instance, alone, keys / "second-reviewer", REVIEW).success
    result = waiting.sign(instance, both, keys / "reviewer", REVIEW)
    assert not result.success
    assert f"{runs['CHG-1'].run_id}: independent_review is not pending" in failure_of(result)
    assert waiting.runs()["CHG-2"].signed


def test_a_rejection_with_a_reason_ends_blocked(waiting: Deployment, instance: DagsterInstance, keys: Path) -> None:
    reason = "The tests are of another revision."
    statement = waiting.statement("CHG-1", REVIEW, "reviewer", "rejected", reason)
    assert waiting.sign(instance, statement, keys / "reviewer", REVIEW).success
    result = waiting.advance(instance, DAY)
    assert waiting.runs()["CHG-1"].status == "BLOCKED"
    assert not verdicts(result)["nothing_blocked"]


@pytest.mark.parametrize(
    ("old", "new", "signer", "why"),
    [
        ("", "", "checker", "does not stand"),
        ('"approved"', '"rejected"', "reviewer", "a rejection needs a reason"),
        ('"change-', '"change-0', "reviewer", "no such run"),
        ('"countersign/sign-off/1"', '"another/1"', "reviewer", "not a statement"),
    ],
    ids=["key_of_another", "rejection_without_reason", "unknown_run", "another_schema"],
)
def test_a_refused_statement_fails_the_run_with_the_reason_and_signs_nothing(
    waiting: Deployment, instance: DagsterInstance, keys: Path, old: str, new: str, signer: str, why: str
) -> None:
    statement = waiting.statement("CHG-1", REVIEW, "reviewer").replace(old.encode(), new.encode())
    result = waiting.sign(instance, statement, keys / signer, REVIEW)
    assert not result.success
    assert why in failure_of(result)
    assert not waiting.runs()["CHG-1"].signed
