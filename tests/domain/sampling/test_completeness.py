"""Each completeness test, failing for its own reason and no other."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pyarrow.parquet as pq
import pytest

from countersign.evidence.durable import keep_by_digest
from countersign.evidence.register import KeptExtract
from countersign.runs.intake import record_broken_source, take_in_one
from countersign.sampling.source_completeness import looks_cut_off, rows_add_up
from countersign.sampling.verdict import CompletenessTest, complete
from tests.domain.sampling.conftest import NOVEMBER, MonthEnd, a_change

Make = Callable[..., MonthEnd]
DEPLOYMENTS = {"name": "pipeline", "adapter": "deployments", "path": "deployments.jsonl"}
PULLS = {"name": "pulls", "adapter": "github", "path": "pulls.json"}
OTHER_PULLS = {"name": "mirror", "adapter": "github", "path": "mirror.json"}
INBOX = {"name": "inbox", "adapter": "files", "path": "inbox.jsonl"}


def a_pull(number: int, at: str = "2026-11-20T10:00:00Z", **changes: Any) -> dict[str, Any]:
    """A merged pull request, as `gh pr list` exports it."""
    commit = f"{number:040x}"
    pull = {
        "number": number,
        "title": f"Change {number}",
        "body": "",
        "url": f"https://github.com/office/ledger/pull/{number}",
        "state": "MERGED",
        "author": {"login": "example-maker"},
        "createdAt": "2026-10-30T10:00:00Z",
        "mergedAt": at,
        "mergedBy": {"login": "example-deployer"},
        "mergeCommit": {"oid": commit},
        "baseRefName": "main",
        "headRefOid": f"{number + 1000:040x}",
        "labels": [],
        "reviews": [],
        "commits": [],
        "comments": [],
        "statusCheckRollup": [],
    }
    return {**pull, **changes}


A_DEPLOYMENT = json.dumps(
    {
        "id": "D-1",
        "environment": "production",
        "system": "billing",
        "revision": "abcdef0",
        "at": "2026-11-20T10:00:00Z",
        "by": "deployer",
    }
)


def judged(month: MonthEnd) -> Mapping[str, CompletenessTest]:
    return {test.name: test for test in month.preview().tests}


def read_on(month: MonthEnd, name: str, content: Any) -> None:
    """Read an export after the month has ended, as the cut-off asks for."""
    month.bench.clock.now = month.bench.clock.now.replace(month=12, day=1, hour=12)
    month.read(name, content)
    month.over()


def test_nothing_fails_where_everything_is_there(month_end: Make) -> None:
    month = month_end(PULLS, DEPLOYMENTS)
    month.read("pulls", [a_pull(number) for number in (1, 2, 7)])
    read_on(month, "pipeline", A_DEPLOYMENT.replace("11-20", "10-20") + "\n")
    assert month.failing() == {}
    tests = judged(month)
    assert {name for name, test in tests.items() if test.passed is None} == {"sources_agree"}
    assert tests["outcomes_add_up"].counts["changes"] == 3
    assert tests["source_to_register"].says == "3 records of 2 sources are known"
    assert tests["register_to_source"].counts == {"runs": 3, "offenders": 0}
    assert month.freeze().frozen.complete


def test_a_row_names_the_extract_that_it_was_read_from(month_end: Make) -> None:
    month = month_end(PULLS)
    month.read("pulls", [a_pull(1)])
    read_on(month, "pulls", [a_pull(1), a_pull(2)])
    first, second = (one.digest for one in month.engine.index.extracts("pulls"))
    rows = month.freeze().frozen.population
    found = pq.read_table(rows.parquet, columns=["change_id", "source_digest"]).to_pylist()
    assert {row["change_id"]: row["source_digest"] for row in found} == {
        "office:ledger#1": first,
        "office:ledger#2": second,
    }


def test_a_deployment_that_no_change_names_skipped_the_process(month_end: Make) -> None:
    month = month_end(DEPLOYMENTS)
    read_on(month, "pipeline", A_DEPLOYMENT + "\n")
    assert month.failing() == {"deployments_have_changes": ("billing: D-1 at 2026-11-20T10:00:00.000000Z by deployer",)}


def test_what_a_source_gave_and_nobody_opened_is_missing_from_the_register(month_end: Make) -> None:
    """An extract was kept and registered, and what it holds was never worked."""
    month = month_end(PULLS)
    read_on(month, "pulls", [a_pull(1)])
    raw = json.dumps([a_pull(1), a_pull(2), a_pull(3, mergedAt="soon"), a_pull(4, "2026-10-31T00:00:00Z")]).encode()
    digest = keep_by_digest(month.engine.root.extracts, raw)
    kept = KeptExtract("pulls", "github/1", "pulls.json", digest, len(raw), 4)
    month.engine.register.append_many([kept.draft()])
    first, second = month.failing()["source_to_register"]
    assert first == "pulls: office/ledger office:ledger#2"
    assert second.startswith("pulls: ")
    assert "odd field" in second


def test_a_deployment_that_the_register_never_took_in_is_missing_from_it(month_end: Make) -> None:
    month = month_end(DEPLOYMENTS)
    raw = A_DEPLOYMENT.encode()
    digest = keep_by_digest(month.engine.root.extracts, raw)
    month.engine.register.append_many(
        [KeptExtract("pipeline", "deployments/1", "deployments.jsonl", digest, len(raw), 1).draft()]
    )
    month.over()
    assert month.failing()["source_to_register"] == ("pipeline: deployment D-1 of billing",)


def test_a_run_that_its_source_never_gave_is_named(month_end: Make) -> None:
    month = month_end(PULLS)
    read_on(month, "pulls", [a_pull(1)])
    made_up = take_in_one(month.engine, a_change(9), source="pulls", where="nowhere", origin="submitted")
    month.watch()
    assert month.failing()["register_to_source"] == (f"pulls: CHG-9 {made_up.run_id}",)


def test_two_sources_of_one_system_have_to_agree(month_end: Make) -> None:
    month = month_end(PULLS, OTHER_PULLS)
    month.bench.clock.now = month.bench.clock.now.replace(month=12, day=1, hour=12)
    month.read("pulls", [a_pull(1), a_pull(2), a_pull(4, "2026-12-01T04:59:59Z")])
    month.read("mirror", [a_pull(2), a_pull(3), a_pull(4, "2026-12-01T05:00:01Z")])
    month.over()
    assert month.failing() == {
        "sources_agree": (
            "office/ledger: office:ledger#3 is told by mirror, and not by pulls",
            "office/ledger: office:ledger#1 is told by pulls, and not by mirror",
        )
    }


def test_a_reading_that_broke_off_and_was_not_repeated_is_named(month_end: Make) -> None:
    month = month_end(PULLS)
    read_on(month, "pulls", [a_pull(1)])
    record_broken_source(month.engine, month.sources[0], "the line was cut")
    (offender,) = month.failing()["rows_add_up"]
    assert offender.endswith("broke off, and was not read to its end since: the line was cut")


@pytest.mark.parametrize(
    ("changes", "offender"),
    [
        ({"read": 5}, "pulls at t: read 5, and accounted for 4"),
        ({"declared": 6}, "pulls at t: read 4 of 6 that it counts"),
        ({"rows": 9}, "pulls: its extracts have [9] rows, and 4 were read"),
        ({"rows": None}, "pulls: its extracts have [0] rows, and 4 were read"),
        ({"joined": 1}, "pulls: its extracts have [4] rows, and 4 were read with 1 rows joined to them"),
        ({"extracts": ["a", "b"], "joined": 4}, "pulls: its extracts have [4, 0] rows, and 4 were read with 4 rows"),
    ],
)
def test_a_reading_that_does_not_add_up_is_named(changes: dict[str, Any], offender: str) -> None:
    line = {"source": "pulls", "ts": "t", "seq": 9, "broken": None, "read": 4, "declared": 4, "opened": 1, "known": 1,
            "refused": 1, "out_of_scope": 1, "joined": 0, "extracts": ["a"]}  # fmt: skip
    extract = {"source": "pulls", "query": "q", "digest": "a", "seq": 5, "rows": 4}
    others = [{**extract, "seq": 12, "rows": 77}, {**extract, "source": "other", "rows": 1}, {**extract, "digest": "c"}]
    assert rows_add_up([line], [extract, *others]).passed
    extract["rows"] = changes.pop("rows", 4)
    found = rows_add_up([{**line, **changes}], [extract, *others])
    assert any(said.startswith(offender) for said in found.offenders)


@pytest.mark.parametrize(
    ("extractor", "rows", "read", "passed"),
    [
        *(("github/1", [4], read, read == 4) for read in (3, 4, 5)),
        *(("servicenow/1", [2, 4], read, 2 <= read <= 6) for read in (1, 2, 3, 6, 7)),
        *(("git/1", [356], read, read <= 356) for read in (0, 287, 356, 357)),
        ("github/1", [4, None], 9, True),
    ],
)
def test_a_reading_of_a_root_made_before_does_not_say_what_it_read(
    extractor: str, rows: list[int | None], read: int, passed: bool
) -> None:
    line = {"source": "s", "ts": "t", "seq": 9, "broken": None, "read": read, "declared": None, "opened": read,
            "known": 0, "refused": 0, "out_of_scope": 0}  # fmt: skip
    extracts = [
        {"source": "s", "extractor": extractor, "query": str(place), "digest": str(place), "seq": place, "rows": count}
        for place, count in enumerate(rows)
    ]
    assert rows_add_up([line], extracts).passed is passed


def test_a_source_that_nobody_read_since_the_month_ended_may_have_more(month_end: Make) -> None:
    month = month_end(PULLS)
    month.read("pulls", [a_pull(1)])
    month.over()
    assert month.failing() == {}, "what it would give now is what it gave"
    (month.folder / "pulls.json").write_text("[]")
    assert month.failing() == {"cut_off_is_clear": ("pulls: not read to its end since the month ended",)}
    (month.folder / "pulls.json").unlink()
    assert month.failing() == {"cut_off_is_clear": ("pulls: not read to its end since the month ended",)}


def test_a_change_that_claims_another_month_than_its_evidence_shows_is_named(month_end: Make) -> None:
    month = month_end()
    month.bench.execute(a_change(1, deployed_at="2026-12-01T06:00:00Z"))
    month.over()
    assert month.failing() == {
        "cut_off_is_clear": (
            "CHG-1: claims 2026-12-01T06:00:00.000000Z, and its evidence shows 2026-11-20T10:00:00.000000Z",
        )
    }


def test_an_export_of_exactly_a_hundred_rows_is_not_called_complete_until_a_longer_one_comes(month_end: Make) -> None:
    month = month_end(PULLS)
    pulls = [a_pull(number, f"2026-11-0{1 + number % 9}T10:00:00Z") for number in range(1, 104)]
    read_on(month, "pulls", pulls[:100])
    (offender,) = month.failing()["exports_are_whole"]
    assert offender.startswith("pulls: pulls.json: exactly 100 rows")
    assert not month.preview().complete
    month.read("pulls", pulls)
    month.watch()
    assert month.failing() == {}


def test_an_export_that_never_changes_may_be_cut_off_too(month_end: Make) -> None:
    """It was read before the month, gives the same since, and so has nothing of the month."""
    month = month_end(PULLS)
    month.bench.clock.now = month.bench.clock.now.replace(month=10, day=20)
    month.read("pulls", [a_pull(number, "2026-10-19T10:00:00Z") for number in range(1, 31)])
    month.over()
    (offender,) = month.failing()["exports_are_whole"]
    assert "exactly 30 rows" in offender


@pytest.mark.parametrize(
    ("rows", "query", "cut"),
    [
        *((rows, "export.json", True) for rows in (30, 50, 100, 200, 250, 500, 1000, 2500, 5000, 10_000, 65_535)),
        *((rows, "export.json", False) for rows in (0, 1, 10, 20, 31, 99, 101, 110, 332, 999, 1001, 1200, 10_001)),
        (73, "sysparm_limit=73&sysparm_offset=0", True),
        (73, "gh pr list --limit 73", True),
        (73, "maxResults: 73", True),
        (73, "git log --max-count=73", True),
        (73, "sysparm_limit=74", False),
        (73, "export-73.json", False),
        (333, "export.json", True),
    ],
)  # fmt: skip
def test_a_round_number_of_rows_or_the_limit_that_was_asked_for_looks_cut_off(rows: int, query: str, cut: bool) -> None:
    assert looks_cut_off(rows, query, caps=[333]) is cut


def test_ids_are_held_against_the_series_that_the_policy_names(month_end: Make) -> None:
    month = month_end(population={"gapless_ids": ["^CHG-[0-9]+$"], "export_caps": []})
    for number in (1, 2, 5, 9):
        month.bench.execute(a_change(number))
    october = a_change(6, deployed_at="2026-10-20T10:00:00Z", requested_at=None)
    october["evidence"]["deployment"]["at"] = "2026-10-20T10:00:00Z"
    month.bench.execute(october)
    month.over()
    test = judged(month)["ids_are_whole"]
    assert test.offenders == ("billing: CHG-3 to 4", "billing: CHG-7 to 8")
    assert (test.passed, test.counts["series without gaps"]) == (False, 1)


def test_one_id_in_two_spellings_is_a_duplicate(month_end: Make) -> None:
    month = month_end()
    month.bench.execute(a_change(1))
    month.bench.execute({**a_change(1), "id": "chg-1 "})
    month.over()
    assert month.failing() == {"ids_are_whole": ("billing: CHG-1, chg-1 ",)}


def test_a_refused_record_is_unreadable_until_its_change_comes(month_end: Make) -> None:
    month = month_end(PULLS)
    read_on(month, "pulls", [a_pull(1), a_pull(2, mergedAt="soon")])
    (offender,) = month.failing()["everything_is_readable"]
    assert offender.startswith("pulls: ")
    assert "source_to_register" not in month.failing(), "the refusal is in the register"


def test_a_register_that_says_otherwise_than_a_log_is_named(month_end: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    month = month_end()
    month.bench.execute(a_change(1))
    month.over()
    index = month.engine.index
    found = index.deployed_between

    def moved(*between: str) -> Any:
        return [replace(run, deployed_at="2026-11-02T00:00:00.000000Z") for run in found(*between)]

    monkeypatch.setattr(index, "deployed_between", moved)
    (offender,) = month.failing()["everything_is_readable"]
    assert offender.endswith("the register says otherwise than its log")


def test_a_clock_that_nobody_looked_at_leaves_the_month_incomplete(month_end: Make) -> None:
    month = month_end()
    month.completed(a_change(1))
    month.bench.clock.move(days=9)
    (run,) = month.engine.index.all_runs()
    assert month.failing() == {"clocks_are_watched": (run.run_id,)}
    month.watch()
    assert month.failing() == {}


def test_what_cannot_be_read_again_is_said(month_end: Make) -> None:
    month = month_end(PULLS)
    read_on(month, "pulls", [a_pull(1)])
    (extract,) = month.engine.root.extracts.iterdir()
    extract.unlink()
    (offender,) = month.failing()["source_to_register"]
    assert "gone, though the register names it" in offender
    assert month.failing()["register_to_source"]


def test_an_older_extract_is_read_again_where_a_run_came_from_it(month_end: Make) -> None:
    """A change that was taken in before the month, and deployed in it, is in no extract of the month."""
    month = month_end(PULLS)
    month.bench.clock.now = month.bench.clock.now.replace(month=10, day=20)
    month.read("pulls", [a_pull(1, "2026-11-20T10:00:00Z")])
    month.bench.clock.now = month.bench.clock.now.replace(month=12, day=1)
    month.read("pulls", [a_pull(2)])
    month.over()
    assert month.failing() == {}
    assert judged(month)["register_to_source"].counts["runs"] == 2


def test_a_month_without_sources_has_tests_that_nobody_can_judge(month_end: Make) -> None:
    month = month_end()
    month.completed(a_change(1))
    month.over()
    tests = judged(month)
    unjudged = {name for name, test in tests.items() if test.passed is None}
    assert unjudged == {"source_to_register", "register_to_source", "sources_agree", "rows_add_up", "exports_are_whole"}
    assert complete(tests.values())
    assert tests["exports_are_whole"].says == "not judged: no source keeps what it gave"
    assert str(NOVEMBER) == "2026-11"
