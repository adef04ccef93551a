"""Performing runs again from the command line: counts, diffs, findings and exit codes."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from countersign.controls.assessment import Assessment
from countersign.runs.run import Run
from tests.conftest import StepClock, payload_with
from tests.domain.cli.conftest import Cli
from tests.domain.runs.conftest import changed_results

DAY, MONTH = "2026-11-23", "2026-11"


def _reworded(assessment: Assessment) -> Assessment:
    first, *others = assessment.results
    return replace(assessment, results=(replace(first, reason="Because I say so."), *others))


@pytest.fixture
def worked(cli: Cli, root: Path, tmp_path: Path) -> Cli:
    """Two runs that follow from the rules, and one that was judged by something else and says that it was not."""
    policy, clock = tmp_path / "configuration" / "policy.yaml", StepClock(datetime(2026, 11, 23, 14, tzinfo=UTC))
    run = Run(root, policy=policy, clock=clock)
    run.execute(payload_with())
    run.execute(payload_with(id="CHG-2", system="intranet"))
    Run(root, policy=policy, clock=clock, mapper=changed_results(_reworded)).execute(payload_with(id="CHG-3"))
    return cli


def test_counts_add_up_and_a_difference_is_shown_and_a_finding(worked: Cli) -> None:
    answer = worked("reperform", "--day", DAY)
    assert answer.code == 1
    assert "3 runs: 2 identical, 1 differ, 0 could not be performed again" in answer.out
    assert "DIFFERS: assessed" in answer.out
    assert "Because I say so." in answer.out
    (finding,) = worked("finding", "list", "--json").document["findings"]
    assert finding["finding"] in answer.out
    assert (finding["severity"], finding["kind"]) == ("SEV-1", "integrity_incident")
    assert finding["subject"].startswith("re-performance differs in assessed, workpaper: ")


def test_the_same_difference_is_on_record_once(worked: Cli) -> None:
    first = worked("reperform", "--month", MONTH, "--json").document
    assert (first["runs"], first["identical"], first["differs"], first["not_performed"]) == (3, 2, 1, 0)
    assert [result["outcome"] for result in first["results"]] == ["differs"]
    assert len(first["findings"]) == 1
    again = worked("reperform", "--month", MONTH)
    assert "on record already" in again.out
    assert len(worked("finding", "list", "--json").document["findings"]) == 1


def test_one_run_that_is_the_same(worked: Cli) -> None:
    runs = worked("status", "--json").document["runs"]
    run_id = next(run["run_id"] for run in runs if run["change_id"] == "CHG-1001")
    answer = worked("reperform", run_id, "--json")
    assert answer.code == 0
    assert answer.document["ok"] is True
    assert answer.document["asked_again"] is None


def test_what_could_not_be_performed_is_counted_with_its_reason(worked: Cli, root: Path) -> None:
    path = next(path for path in root.glob("runs/*/*/*/*/audit.jsonl") if b"CHG-1001" in path.read_bytes())
    path.write_bytes(path.read_bytes()[:-50])
    answer = worked("reperform", "--day", DAY, "--json")
    assert answer.code == 1
    assert answer.document["not_performed"] == 1
    (one,) = [result for result in answer.document["results"] if result["outcome"] == "not_performed"]
    assert one["why"].startswith("does not verify: ")
    assert "NOT PERFORMED: does not verify" in worked("reperform", "--day", DAY).out


def test_findings_that_are_at_fault_get_no_other_one(worked: Cli, root: Path) -> None:
    assert worked("reperform", "--day", DAY).code == 1
    findings = root / "findings.jsonl"
    findings.write_bytes(findings.read_bytes().replace(b"integrity_incident", b"integrity_INCIDENT"))
    answer = worked("reperform", "--day", DAY)
    assert answer.code == 2
    assert "no finding was recorded (SEV-1)" in answer.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "name one of RUN_ID, --day and --month"),
        (("--day", DAY, "--month", MONTH), "name one of RUN_ID, --day and --month"),
        (("--day", "yesterday"), "is not a day as YYYY-MM-DD"),
        (("--month", "2026-13"), "is not a month as YYYY-MM"),
        (("--month", "2026-12"), "no run was opened from 2026-12-01 to 2026-12-31"),
        (("change-0000000000000000",), "no such run"),
    ],
)
def test_what_cannot_be_chosen_is_refused(worked: Cli, arguments: tuple[str, ...], says: str) -> None:
    answer = worked("reperform", *arguments)
    assert answer.code == 2
    assert says in " ".join(answer.err.replace("│", " ").split())


def test_a_fault_of_the_root_is_said_and_nothing_is_ok(worked: Cli, root: Path) -> None:
    (root / "seals").mkdir()
    (root / "seals" / "000001.json").write_text(json.dumps({}))
    answer = worked("reperform", "--day", DAY, "--json")
    assert answer.code == 1
    assert answer.document["faults"] != []
