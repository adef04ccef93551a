"""The review of a month as an asset: what was found, or due by when; late, it opens a finding by itself."""

from dataclasses import dataclass
from typing import Any

import pytest
import yaml
from dagster import DagsterInstance, RunRequest, ScheduleDefinition, build_schedule_context

from countersign.evidence.keyring import KeyRing
from countersign.sampling.drawing import draw_month
from countersign.sampling.review import ReviewDesk
from pipeline_defs.build import build
from resources.evidence import Evidence, WallClock
from tests.domain.sampling.observing import as_csv, results_of
from tests.keys import key_entry, make_key
from tests.pipeline.deployment import Deployment
from tests.pipeline.test_sample import LATER, OCTOBER, in_october

AFTER = "2026-12-20T16:00:00Z"  # ten business days after the freeze have passed


@dataclass
class Reviewed:
    """A deployment whose month is frozen and drawn, one clean change in it."""

    deployment: Deployment
    instance: DagsterInstance
    keys: Any

    def definitions(self, at: str) -> Any:
        evidence = Evidence(
            root=str(self.deployment.root), policy=str(self.deployment.policy), seal_key=str(self.keys / "seal")
        )
        return build(evidence=evidence, clock=WallClock(fixed=at))

    def run(self, job: str, at: str, month: str | None = "2026-10") -> dict[str, Any]:
        """What the last asset of a job shows."""
        resolved = self.definitions(at).resolve_job_def(job)
        done = resolved.execute_in_process(instance=self.instance, partition_key=month)
        made = list(done.get_asset_materialization_events())[-1]
        return {name: value.value for name, value in made.materialization.metadata.items()}

    def tick(self, at: str) -> list[RunRequest]:
        """What the schedule asks for at an instant; nothing where it says why not."""
        repository = self.definitions(at).get_repository_def()
        schedule = repository.get_schedule_def("monthly_review_due")
        assert isinstance(schedule, ScheduleDefinition)
        resources = {"evidence": self.deployment.evidence, "clock": WallClock(fixed=at)}
        with build_schedule_context(resources=resources, repository_def=repository) as context:
            data = schedule.evaluate_tick(context)
        assert bool(data.run_requests) is (data.skip_message != "no frozen month waits for its observer")
        return list(data.run_requests or [])

    def findings(self) -> list[str]:
        log = self.deployment.evidence.findings(self.deployment.engine())
        return [finding.what.subject for finding in log.read().by_id.values()]

    def observed(self, found: str = "operated") -> None:
        engine = self.deployment.engine(LATER)
        sample = draw_month(engine.root, OCTOBER, key=self.keys / "seal", clock=engine.clock)
        rows = results_of(sample, engine.clock(), {sample.rows().column("change_id")[0].as_py(): found})
        ReviewDesk(engine, KeyRing(folder=self.keys)).record(OCTOBER, "observer", "results.csv", as_csv(rows))


@pytest.fixture
def month(deployment: Deployment, instance: DagsterInstance, tmp_path: Any) -> Reviewed:
    keys = tmp_path / "keys"
    keys.mkdir()
    make_key(keys / "seal")
    content = yaml.safe_load(deployment.policy.read_text(encoding="utf-8"))
    content["sample"] |= {"nonce": "optional"}
    content["trusted_submitters"] = ["inbox"]
    entry = key_entry(make_key(keys / "observer"), "results@countersign")
    next(person for person in content["people"] if person["id"] == "observer")["keys"] = [entry]
    deployment.policy.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    deployment.complete(in_october("CHG-1"))
    return Reviewed(deployment, instance, keys)


def test_a_month_is_reviewed_from_nothing_to_its_conclusion(month: Reviewed) -> None:
    assert month.run("monthly_review", LATER)["stands"] == "2026-10 is not frozen yet"
    assert month.tick(LATER) == []
    month.run("monthly_sample", LATER)
    waits = month.run("monthly_review", LATER)
    assert (waits["stands"], waits["due"][:10]) == ("drawn, and no results yet", "2026-12-07")
    (asked,) = month.tick(LATER)
    assert (asked.partition_key, asked.run_key) == ("2026-10", "2026-10 on 2026-11-20")
    month.observed()
    shown = month.run("monthly_review", LATER)
    assert (shown["stands"], shown["conclusion"], shown["tolerable"]) == (
        "supported; producer-seeded", "supported", "5.00 %",
    )  # fmt: skip
    assert "| standard | 1 | 1 | 0 | supported | 0.00 % |" in shown["strata"]
    assert len(month.tick("2026-11-21T12:00:00Z")) == 1
    assert month.tick("2026-11-25T12:00:00Z") == []
    assert month.findings() == []


def test_no_results_by_the_due_date_open_a_completeness_review(month: Reviewed) -> None:
    month.run("monthly_sample", LATER)
    shown = month.run("monthly_review", AFTER)
    assert (shown["stands"], shown["findings_opened"]) == ("late; drawn, and no results yet", 1)
    assert month.findings() == ["population_observation of 2026-10: completeness review"]
    assert month.run("monthly_review", AFTER)["findings_opened"] == 0


def test_the_roll_up_sees_it_too(month: Reviewed) -> None:
    month.run("monthly_sample", LATER)
    month.run("sla_roll_up", AFTER, None)
    assert "population_observation of 2026-10: completeness review" in month.findings()


def test_a_deviation_is_a_finding_wherever_it_is_seen(month: Reviewed) -> None:
    month.run("monthly_sample", LATER)
    month.observed("deviation")
    shown = month.run("monthly_review", LATER)
    assert (shown["conclusion"], shown["findings_opened"]) == ("not supported", 1)
    assert month.findings() == ["sample of 2026-10, standard: 1 of 1 deviate"]
