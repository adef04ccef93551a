"""Freezing a month: what belongs to it, what became of it, once and for good; and what came after."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from countersign.errors import SamplingError, TamperedError
from countersign.evidence.register import events_of
from countersign.sampling import frozen
from countersign.sampling.month import Month
from countersign.sampling.rows import Assembly
from tests.conftest import payload_with
from tests.domain.sampling.conftest import AFTER, NOVEMBER, MonthEnd, a_change

Make = Callable[..., MonthEnd]
UNGROUNDED = [{"control": "ITGC-CM-01", "text": "Approved.", "evidence": "approval", "quote": "never said"}]


def by_outcome(month: MonthEnd, of: Month = NOVEMBER) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for member in month.preview(of).cut.members:
        found.setdefault(member.outcome, []).append(member.change_id)
    return found


def test_a_month_is_frozen_with_every_change_deployed_in_it_by_outcome(month_end: Make) -> None:
    month = month_end()
    late = payload_with(id="CHG-3")
    late["evidence"]["approval"].update(text="CHG-3 approved for deployment.", at="2026-11-20T11:00:00Z")
    month.completed(a_change(1), a_change(2), late)
    month.bench.execute(a_change(4, assertions=UNGROUNDED))
    month.bench.execute(a_change(5))
    month.bench.execute(a_change(6, system="intranet"))
    month.bench.execute(a_change(7))
    month.bench.execute(a_change(7, summary="Corrected"))
    month.over()
    assert by_outcome(month) == {
        "clean": ["CHG-1", "CHG-2"],
        "exception": ["CHG-3"],
        "blocked": ["CHG-4"],
        "awaiting": ["CHG-5", "CHG-7"],
        "out_of_scope": ["CHG-6"],
        "superseded": ["CHG-7"],
    }
    done = month.freeze()
    assert done.written == ("population",)
    assert (done.frozen.complete, done.frozen.strata()) == (True, {"emergency": 0, "standard": 2, "late": 0})
    assert list(done.frozen.clean_ids("standard")) == ["CHG-1", "CHG-2"]


def test_a_row_has_what_the_log_and_the_register_say(month_end: Make) -> None:
    month = month_end()
    month.completed(a_change(1, contributors=["example-maker"]))
    month.over()
    done = month.freeze().frozen
    (row,) = done.rows(["CHG-1"]).to_pylist()
    run = month.engine.index.run(row["run_id"])
    assert run is not None
    assert {name: row[name] for name in ("system", "change_type", "source", "origin", "source_digest")} == {
        "system": "billing", "change_type": "normal", "source": "python", "origin": "submitted", "source_digest": None,
    }  # fmt: skip
    assert (row["payload"], row["log_head"]) == (run.digest, run.head)
    people = [row[name] for name in ("author", "deployed_by", "authorised_by", "reviewed_by", "approved_by")]
    assert people == ["maker", "deployer", "authoriser", "reviewer", "checker"]
    assert row["contributors"] == ["maker"]
    assert [row[name] for name in ("requested_at", "approved_at", "tested_at", "deployed_at")] == [
        datetime(2026, 11, 19, 10, tzinfo=UTC),
        *(datetime(2026, 11, 20, hour, tzinfo=UTC) for hour in (9, 8, 10)),
    ]
    assert {each["control"]: each["result"] for each in row["controls"]} == {
        **{f"ITGC-CM-0{number}": "met" for number in (1, 2, 3, 5, 6)},
        **{f"ITGC-CM-0{number}": "not_applicable" for number in (4, 7)},
    }
    assert [(each["clock"], each["outcome"]) for each in row["clocks"]] == [
        ("independent_review", "met"),
        ("maker_checker", "met"),
    ]


def test_a_row_names_who_deployed_by_the_evidence_where_the_change_declares_nobody(month_end: Make) -> None:
    month = month_end()
    by_pipeline = a_change(2, deployed_by=None)
    by_pipeline["evidence"]["deployment"]["by"] = "pipeline:cd"
    month.completed(a_change(1, deployed_by=None), by_pipeline)
    month.over()
    rows = month.freeze().frozen.rows(["CHG-1", "CHG-2"]).to_pylist()
    assert [row["deployed_by"] for row in rows] == ["deployer", None]


@pytest.mark.parametrize(
    ("deployed_at", "month"),
    [
        ("2026-11-01T03:59:59.999999Z", "2026-10"),
        ("2026-11-01T04:00:00Z", "2026-11"),
        ("2026-12-01T04:59:59Z", "2026-11"),
        ("2026-12-01T05:00:00Z", "2026-12"),
        ("2026-11-30T23:59:59-05:00", "2026-11"),
    ],
)
def test_the_policys_zone_says_to_which_month_a_deployment_belongs(
    deployed_at: str, month: str, month_end: Make
) -> None:
    end = month_end()
    payload = a_change(1, deployed_at=deployed_at, requested_at=None)
    payload["evidence"]["deployment"]["at"] = deployed_at
    end.bench.execute(payload)
    end.over()
    found = {str(of): [one.change_id for one in end.preview(of).cut.members] for of in MONTHS}
    assert found == {str(of): ["CHG-1"] if str(of) == month else [] for of in MONTHS}


MONTHS = [Month.parse(text) for text in ("2026-10", "2026-11", "2026-12")]


def test_a_correction_counts_where_it_says_and_what_it_replaced_where_that_said(month_end: Make) -> None:
    month = month_end()
    october = a_change(1, deployed_at="2026-10-20T10:00:00Z", requested_at=None)
    october["evidence"]["deployment"]["at"] = "2026-10-20T10:00:00Z"
    month.bench.execute(october)
    month.bench.execute(a_change(1))
    month.over()
    assert by_outcome(month, MONTHS[0]) == {"superseded": ["CHG-1"]}
    assert by_outcome(month, MONTHS[1]) == {"awaiting": ["CHG-1"]}


def test_changes_that_were_not_deployed_are_listed_apart(month_end: Make) -> None:
    month = month_end()
    waiting = a_change(1, deployed_at=None, deployed_by=None)
    del waiting["evidence"]["deployment"]
    month.bench.execute(waiting)
    month.over()
    done = month.freeze().frozen
    assert sum(done.counts.values()) == 0
    system, change_id, run_id, status = (done.folder / "not_deployed.txt").read_text().rstrip("\n").split("\t")
    assert (json.loads(system), json.loads(change_id), status) == ("billing", "CHG-1", "AWAITING_APPROVAL")
    assert run_id.startswith("change-")


def test_an_id_that_two_systems_use_names_its_system(month_end: Make) -> None:
    month = month_end()
    month.completed(a_change(1), a_change(1, system="ledger"), a_change(2))
    month.over()
    assert list(month.freeze().frozen.clean_ids("standard")) == ["CHG-2", "billing/CHG-1", "ledger/CHG-1"]


def test_an_emergency_is_a_stratum_of_its_own(month_end: Make) -> None:
    month = month_end()
    month.bench.execute(a_change(1, change_type="emergency", incident="INC-1"))
    month.over()
    assert list(month.freeze().frozen.counts) == [("emergency", "awaiting")]


def test_whoever_was_late_is_not_clean(month_end: Make) -> None:
    """The handoff came before the breach was known; the register has it, and that counts."""
    month = month_end()
    month.completed(a_change(1))
    (run,) = month.engine.index.all_runs()
    said = {"run_id": run.run_id, "kind": "maker_checker", "about": "", "deadline": "2026-11-24T14:00:00.000000Z",
            "finding": "finding-1", "carried": False}  # fmt: skip
    month.engine.register.append("breached", "countersign", **said)
    month.over()
    assert by_outcome(month) == {"exception": ["CHG-1"]}
    assert month.freeze().frozen.counts == {("standard", "exception"): 1}


def test_a_month_that_lasts_is_not_frozen(month_end: Make) -> None:
    month = month_end()
    month.completed(a_change(1))
    month.bench.clock.now = datetime(2026, 12, 1, 4, 59, 58, tzinfo=UTC)
    with pytest.raises(SamplingError, match=r"2026-11: lasts until 2026-12-01T05:00:00.000000Z \(America/New_York\)"):
        month.freeze()
    assert not frozen.folder_of(month.engine.root, NOVEMBER).exists()


def test_to_freeze_again_changes_no_byte(month_end: Make) -> None:
    month = month_end()
    month.completed(a_change(1))
    month.over()
    first = month.freeze()
    contents = {path: path.read_bytes() for path in first.frozen.folder.iterdir()}
    register = month.engine.root.register.read_bytes()
    month.bench.fresh()
    again = month.freeze()
    assert (again.written, again.frozen) == ((), first.frozen)
    assert {path: path.read_bytes() for path in first.frozen.folder.iterdir()} == contents
    assert month.engine.root.register.read_bytes() == register


def test_what_a_crash_left_before_the_register_knew_is_replaced(month_end: Make) -> None:
    month = month_end()
    month.completed(a_change(1))
    month.over()
    first = month.freeze().frozen
    month.bench.cut_register("population_frozen")
    month.bench.fresh()
    (first.folder / "population.txt").write_text("half of a list")
    month.completed(a_change(2))
    again = month.freeze().frozen
    assert list(again.clean_ids("standard")) == ["CHG-1", "CHG-2"]


def test_the_register_names_every_file_and_what_it_was_read_at(month_end: Make) -> None:
    month = month_end()
    month.completed(a_change(1))
    month.over()
    size, head = month.engine.register.size_and_head()
    done = month.freeze().frozen
    (line,) = events_of(month.engine.root.register, "population_frozen")
    within = f"datasets/clean_population_sample/month={NOVEMBER}"
    names = ("population.parquet", "population.txt", "completeness.json", "not_deployed.txt")
    assert list(line["files"]) == [f"{within}/{name}" for name in names]
    assert (line["month"], line["zone"], line["digest"]) == ("2026-11", "America/New_York", done.digest)
    assert (line["changes"], line["counts"], line["complete"]) == (1, {"standard/clean": 1}, True)
    assert line["register"] == {"size": size, "head": head}
    assert line["adds_to"] is None


def test_what_comes_after_the_freeze_is_a_late_stratum_and_makes_the_month_incomplete(month_end: Make) -> None:
    month = month_end()
    month.completed(a_change(1))
    month.over()
    first = month.freeze().frozen
    month.completed(a_change(2))
    month.bench.execute(a_change(3))
    done = month.freeze()
    assert done.written == ("late-1",)
    assert (done.frozen.digest, done.frozen.complete) == (first.digest, False)
    assert done.frozen.counts == {("late", "awaiting"): 1, ("late", "clean"): 1, ("standard", "clean"): 1}
    assert list(done.frozen.clean_ids("late")) == ["CHG-2"]
    assert month.freeze().written == ()
    said = json.loads((done.frozen.folder / "late-1.json").read_text())
    (test,) = said["tests"]
    assert (said["complete"], test["passed"], test["counts"]) == (False, False, {"offenders": 2})
    month.completed(a_change(3))
    again = month.freeze()
    assert (again.written, list(again.frozen.clean_ids("late"))) == (("late-2",), ["CHG-2", "CHG-3"])


def test_what_became_clean_after_the_freeze_is_late_and_was_never_missing(month_end: Make) -> None:
    """Nobody keeps a change out of the sample by signing it a day later."""
    month = month_end()
    month.over()
    month.bench.execute(a_change(1))
    month.watch()
    month.freeze()
    month.completed(a_change(1))
    done = month.freeze().frozen
    assert (list(done.clean_ids("late")), done.complete) == (["CHG-1"], True)


def test_a_frozen_file_that_was_changed_stops_everything(month_end: Make) -> None:
    month = month_end()
    month.completed(a_change(1))
    month.over()
    path = month.freeze().frozen.folder / "completeness.json"
    path.write_text(path.read_text().replace('"complete": true', '"complete": tru'))
    with pytest.raises(TamperedError, match=r"completeness\.json: missing, or not what was frozen"):
        month.freeze()


def test_a_log_that_cannot_be_read_stays_in_the_population_and_makes_it_incomplete(month_end: Make) -> None:
    month = month_end()
    month.completed(a_change(1), a_change(2))
    month.over()
    run = month.engine.index.newest_of_changes(["CHG-1"])["billing", "CHG-1"]
    path = month.engine.root.log(run.day, run.run_id)
    path.write_bytes(path.read_bytes().replace(b"Raise the invoice limit", b"Raise the invoice limir"))
    (offender,) = month.failing()["everything_is_readable"]
    assert offender.startswith("CHG-1: ")
    done = month.freeze().frozen
    assert (done.complete, done.strata()["standard"]) == (False, 2)
    assert done.rows(["CHG-1"]).to_pylist()[0]["author"] is None


def test_a_log_that_went_on_is_read_as_far_as_the_register_knew_it(month_end: Make) -> None:
    month = month_end()
    month.bench.execute(a_change(1))
    month.over()
    cut = month.preview().cut
    month.completed(a_change(1))
    assembly = Assembly(month.engine, cut, {})
    (row,) = [row for batch in assembly.batches() for row in batch.to_pylist()]
    assert (row["outcome"], row["reviewed_by"], assembly.unreadable) == ("awaiting", None, [])


def test_a_run_without_a_log_counts_and_is_named(month_end: Make, tmp_path: Path) -> None:
    month = month_end()
    month.bench.execute(a_change(1))
    month.bench.cut_register("run_head")
    (path,) = month.engine.root.path.glob("runs/*/*/*/*/audit.jsonl")
    path.unlink()
    month.bench.fresh()
    month.over()
    assert by_outcome(month) == {"awaiting": ["CHG-1"]}
    (offender,) = month.failing()["everything_is_readable"]
    assert offender.endswith("opened, and its log was never begun")
    assert month.bench.clock.now > AFTER


@pytest.mark.parametrize(
    ("harm", "kind"),
    [
        (lambda folder: (folder / "population.txt").unlink(), "file_missing"),
        (lambda folder: (folder / "population.parquet").write_bytes(b"PAR1"), "file_differs"),
        (lambda folder: (folder / "sample.parquet").write_bytes(b"PAR1"), "file_unregistered"),
    ],
)
def test_verify_holds_the_files_of_a_month_against_the_register(
    harm: Callable[[Path], object], kind: str, month_end: Make
) -> None:
    month = month_end()
    month.completed(a_change(1))
    month.over()
    folder = month.freeze().frozen.folder
    assert month.bench.kinds() == []
    harm(folder)
    for path in folder.iterdir():
        path.chmod(0o600)
    assert month.bench.kinds() == [kind]
