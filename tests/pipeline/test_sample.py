"""The monthly asset: freezes, seals, draws when it may, and says so; and the schedule that asks for it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster import (
    AssetKey,
    DagsterInstance,
    ExecuteInProcessResult,
    RunRequest,
    ScheduleDefinition,
    build_schedule_context,
)

from countersign.runs.intake import take_in
from countersign.sampling import frozen
from countersign.sampling.month import Month
from pipeline_defs.build import build
from resources.evidence import Evidence, WallClock
from tests.keys import make_key
from tests.pipeline.deployment import Deployment, payload_for

OCTOBER = Month.parse("2026-10")
LATER, LATER_STILL = "2026-11-20T16:00:00Z", "2026-11-21T16:00:00Z"


def in_october(change_id: str) -> dict[str, Any]:
    """A change that meets every control, deployed in October."""
    payload = payload_for(change_id)
    payload |= {"requested_at": "2026-10-19T10:00:00Z", "deployed_at": "2026-10-20T10:00:00Z"}
    for item in payload["evidence"].values():
        item["at"] = item["at"].replace("2026-11-20", "2026-10-20")
    return payload


@dataclass
class MonthEnd:
    """A deployment with a key that seals, and one clean change of November."""

    deployment: Deployment
    instance: DagsterInstance
    key: Path

    def definitions(self, at: str) -> Any:
        evidence = Evidence(root=str(self.deployment.root), policy=str(self.deployment.policy), seal_key=str(self.key))
        return build(evidence=evidence, clock=WallClock(fixed=at))

    def sample(self, at: str = LATER, month: str = "2026-10") -> ExecuteInProcessResult:
        job = self.definitions(at).resolve_job_def("monthly_sample")
        done: ExecuteInProcessResult = job.execute_in_process(
            instance=self.instance, partition_key=month, raise_on_error=False
        )
        return done

    def shown(self, at: str = LATER) -> dict[str, Any]:
        """What a materialisation shows."""
        done = self.sample(at)
        assert done.success
        (made,) = done.asset_materializations_for_node("clean_population_sample")
        assert made.partition == "2026-10"
        return {name: value.value for name, value in made.metadata.items()}

    def tick(self, at: str) -> RunRequest | str:
        """What the schedule answers at an instant: a run, or why there is none."""
        repository = self.definitions(at).get_repository_def()
        schedule = repository.get_schedule_def("monthly_sample_due")
        assert isinstance(schedule, ScheduleDefinition)
        resources = {"evidence": self.deployment.evidence, "clock": WallClock(fixed=at)}
        with build_schedule_context(resources=resources, repository_def=repository) as context:
            data = schedule.evaluate_tick(context)
        if data.run_requests:
            return data.run_requests[0]
        return data.skip_message or ""


@pytest.fixture
def month_end(deployment: Deployment, instance: DagsterInstance, tmp_path: Path) -> Callable[..., MonthEnd]:
    def make(nonce: str = "optional") -> MonthEnd:
        content = yaml.safe_load(deployment.policy.read_text(encoding="utf-8"))
        content["sample"] |= {"nonce": nonce}
        content["trusted_submitters"] = ["inbox"]
        deployment.policy.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
        deployment.complete(in_october("CHG-1"))
        return MonthEnd(deployment, instance, make_key(tmp_path / "seal"))

    return make


def test_a_month_is_frozen_sealed_and_drawn_in_one_run(month_end: Callable[..., MonthEnd]) -> None:
    end = month_end()
    shown = end.shown()
    assert (shown["complete"], shown["changes"], shown["clean"], shown["findings_opened"]) == (True, 1, 1, 0)
    assert shown["stands"] == "the sample is drawn, producer-seeded"
    assert "| standard | clean | 1 |" in shown["population"]
    assert "| outcomes add up | holds |" in shown["completeness"]
    assert "| standard | 1 | 1 |" in shown["sample"]
    assert shown["by_day"].startswith("![by_day](data:image/svg+xml;base64,")
    assert [path.name for path in sorted((end.deployment.root / "seals").glob("*.sig"))] == [
        "000001.json.sig",  # before the draw, so that it could be drawn at all
        "000002.json.sig",  # after it, so that a bundle can show it
    ]
    assert (Path(shown["folder"]) / "sample.parquet").is_file()


def test_materialising_again_gives_the_same_rows(month_end: Callable[..., MonthEnd]) -> None:
    end = month_end()
    first = end.shown()
    contents = {path: path.read_bytes() for path in Path(first["folder"]).iterdir()}
    again = end.shown(LATER_STILL)
    assert again["stands"] == "the sample was drawn before, producer-seeded"
    assert {name: value for name, value in again.items() if name != "stands"} == {
        name: value for name, value in first.items() if name != "stands"
    }
    assert {path: path.read_bytes() for path in Path(first["folder"]).iterdir()} == contents
    assert len(list((end.deployment.root / "seals").glob("*.sig"))) == 2


def test_without_the_observers_nonce_it_ends_well_and_says_that_it_waits(month_end: Callable[..., MonthEnd]) -> None:
    end = month_end("required")
    shown = end.shown()
    assert shown["stands"].startswith("not drawn: 2026-10: the policy requires the observer's nonce")
    assert "sample" not in shown
    assert frozen.read(end.deployment.engine().root, OCTOBER) is not None


def test_without_a_key_a_month_is_frozen_and_not_drawn(month_end: Callable[..., MonthEnd]) -> None:
    end = month_end()
    end.key = Path()
    evidence = Evidence(root=str(end.deployment.root), policy=str(end.deployment.policy))
    job = build(evidence=evidence, clock=WallClock(fixed=LATER)).resolve_job_def("monthly_sample")
    done = job.execute_in_process(instance=end.instance, partition_key="2026-10")
    (made,) = done.asset_materializations_for_node("clean_population_sample")
    assert str(made.metadata["stands"].value).startswith("not drawn: no key seals this evidence root")


def test_what_comes_late_is_shown_as_incomplete_and_opens_a_finding(month_end: Callable[..., MonthEnd]) -> None:
    end = month_end()
    end.shown()
    (end.deployment.inbox / "CHG-2.json").write_text(json.dumps(in_october("CHG-2")))
    engine = end.deployment.engine(LATER)
    take_in(engine, *end.deployment.evidence.sources(engine))
    shown = end.shown(LATER_STILL)
    assert (shown["complete"], shown["findings_opened"]) == (False, 1)
    assert shown["stands"].startswith("INCOMPLETE (changes that came after the freeze); ")
    assert "| late | awaiting | 1 |" in shown["population"]
    assert "| nothing came late | CHG-2: change-" in shown["offenders"]


def test_a_month_that_lasts_fails_and_freezes_nothing(month_end: Callable[..., MonthEnd]) -> None:
    """By the clock of the graph; Dagster's own partitions end with the month before."""
    end = month_end()
    assert not end.sample("2026-10-31T15:00:00Z").success
    assert frozen.read(end.deployment.engine().root, OCTOBER) is None


def test_a_month_hangs_on_its_own_days(month_end: Callable[..., MonthEnd]) -> None:
    graph = month_end().definitions(LATER).resolve_asset_graph()
    mapping = graph.get(AssetKey("clean_population_sample")).partition_mappings[AssetKey("audit_log")]
    found = mapping.get_upstream_mapped_partitions_result_for_partitions(
        graph.get(AssetKey("clean_population_sample")).partitions_def.subset_with_partition_keys(["2026-10"]),
        graph.get(AssetKey("clean_population_sample")).partitions_def,
        graph.get(AssetKey("audit_log")).partitions_def,
    )
    days = sorted(found.partitions_subset.get_partition_keys())
    assert (len(days), days[0], days[-1]) == (31, "2026-10-01", "2026-10-31")


def test_the_schedule_asks_from_the_second_business_day_on_until_the_month_is_drawn(
    month_end: Callable[..., MonthEnd],
) -> None:
    end = month_end()
    before, due, next_day = (end.tick(f"2026-11-0{day}T12:00:00Z") for day in (2, 3, 4))
    assert [getattr(one, "partition_key", one) for one in (before, due, next_day)] == ["2026-09", "2026-10", "2026-10"]
    assert [getattr(one, "run_key", one) for one in (due, next_day)] == [
        "2026-10 on 2026-11-03",
        "2026-10 on 2026-11-04",
    ]
    end.shown()
    assert end.tick(LATER_STILL) == "2026-10: drawn; 2026-11 is due on 2026-12-02"


def test_the_schedule_waits_for_the_nonce_without_asking_again(month_end: Callable[..., MonthEnd]) -> None:
    end = month_end("required")
    end.shown()
    answer = end.tick(LATER_STILL)
    assert answer == "2026-10: frozen, and waits for the observer's nonce; 2026-11 is due on 2026-12-02"


def test_a_month_before_the_first_intake_day_is_nobodys(month_end: Callable[..., MonthEnd]) -> None:
    end = month_end()
    assert str(end.tick("2026-01-20T12:00:00Z")).startswith("2025-12: over before the first intake day")
