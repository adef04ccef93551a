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

from countersign.evidence.root import EvidenceRoot
from countersign.evidence.sealing import Sealer
from countersign.evidence.signers import PIPELINE, SEAL, PublicKey, Signer, allowed_signers
from countersign.runs.verification import Verifier
from pipeline_defs.build import build
from resources.evidence import Evidence, WallClock
from tests.keys import make_key
from tests.pipeline.deployment import AT, Deployment


def definitions(deployment: Deployment, key: Path | str, signers: Path | str = "") -> Definitions:
    evidence = Evidence(
        root=str(deployment.root), policy=str(deployment.policy), seal_key=str(key), allowed_signers=str(signers)
    )
    return build(evidence=evidence, clock=WallClock(fixed=AT))


def seals_hold(made: Definitions, instance: DagsterInstance) -> bool:
    """The nightly check of seals, as the integrity job judges it."""
    done = made.resolve_job_def("integrity").execute_in_process(instance=instance, raise_on_error=False)
    return {one.check_name: one.passed for one in done.get_asset_check_evaluations()}["seals_hold"]


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


def test_a_sealing_key_that_was_replaced_holds_for_who_names_both(
    deployment: Deployment, instance: DagsterInstance, key: Path, tmp_path: Path
) -> None:
    deployment.drop("CHG-1")
    deployment.daily(instance)
    root, other, signers = EvidenceRoot(deployment.root), make_key(tmp_path / "other"), tmp_path / "signers"
    assert definitions(deployment, key).resolve_job_def("seal").execute_in_process(instance=instance).success
    Sealer(root, other, clock=WallClock(fixed=AT).reader(), new_key=True).seal("c" * 64)
    keys = [PublicKey.parse(path.with_suffix(".pub").read_text("ascii")) for path in (key, other)]
    signers.write_bytes(allowed_signers(Signer(PIPELINE, SEAL, one) for one in keys))
    assert seals_hold(definitions(deployment, other, signers), instance)
    signers.write_bytes(allowed_signers([Signer(PIPELINE, SEAL, keys[1])]))
    assert not seals_hold(definitions(deployment, other, signers), instance)
    assert not seals_hold(definitions(deployment, other), instance)


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
