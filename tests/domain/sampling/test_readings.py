"""Every way in which a source is read, from intake to the completeness tests: a good month is complete, a bad one not.

Nothing here is put on record by a test: each register line is what `take_in` wrote.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from countersign.changes.sources.build import git_source, github_source
from countersign.changes.sources.deployments import DeploymentsSource
from countersign.changes.sources.files import FilesSource
from countersign.changes.sources.interface import BY_HAND, Source
from countersign.changes.sources.servicenow import ServicenowSource
from countersign.errors import SourceError
from countersign.evidence.register import events_of
from countersign.policy import Policy, SourceSpec
from countersign.runs.intake import record_broken_source, take_in
from countersign.runs.judgements import totals_reconcile
from countersign.sampling.gathering import gather
from countersign.sampling.population import look
from tests.domain.changes.sources.servicenow_export import approval, as_csv, change
from tests.domain.changes.sources.test_git import Repository
from tests.domain.sampling.conftest import NOVEMBER, MonthEnd, a_change
from tests.domain.sampling.test_completeness import A_DEPLOYMENT, DEPLOYMENTS, PULLS, a_pull

Make = Callable[..., MonthEnd]
FIRST, AFTER = datetime(2026, 11, 18, 13, tzinfo=UTC), datetime(2026, 12, 1, 5, tzinfo=UTC)
ITSM = {"name": "itsm", "adapter": "servicenow", "path": "changes.csv", "approvals": "approvals.csv", "zone": "UTC"}
NAMED = json.dumps(json.loads(A_DEPLOYMENT) | {"change": "CHG-1"}) + "\n"


@dataclass(frozen=True)
class Hand:
    """Readings by hand, as the command line makes them, of what is written into a folder."""

    folder: Path
    policy: Policy

    def put(self, name: str, content: Any) -> Path:
        path = self.folder / name
        raw = content if isinstance(content, bytes) else content.encode() if isinstance(content, str) else None
        path.write_bytes(json.dumps(content).encode() if raw is None else raw)
        return path

    def files(self, *payloads: dict[str, Any]) -> Source:
        return FilesSource(self.put("payloads.json", list(payloads)), self.policy.limits)

    def git(self, *, times: Iterable[int] = range(4), **options: Any) -> Source:
        """A commit an hour, from 12:06 UTC of 18 November on."""
        repository = Repository(self.folder / "ledger")
        for _ in times:
            repository.commit()
        return git_source(self.policy, repository.path, **options)

    def github(self, *pulls: dict[str, Any], name: str = "by-hand.json") -> Source:
        return github_source(self.policy, self.put(name, list(pulls)))

    def deployments(self, content: str, name: str = "by-hand.jsonl") -> Source:
        return DeploymentsSource(self.put(name, content), self.policy.limits)

    def servicenow(self, rows: list[dict[str, str]], approvals: list[dict[str, str]] | None = None) -> Source:
        path = None if approvals is None else self.put("approved.csv", as_csv(approvals))
        return ServicenowSource(self.put("changed.csv", as_csv(rows)), zone=ZoneInfo("UTC"), approvals=path)


def hand(month: MonthEnd) -> Hand:
    return Hand(month.folder, month.bench.policy)


def requests(*numbers: int) -> list[dict[str, str]]:
    return [change(number=f"CHG{number:07}", sys_id=f"{number:032x}") for number in numbers]


def approvals(*numbers: int) -> list[dict[str, str]]:
    return [
        approval(sysapproval=f"CHG{number:07}", approver=f"Approver {place}") for place, number in enumerate(numbers)
    ]


def a_csv(export: str) -> str:
    rows = [json.loads(line) for line in export.splitlines()]
    return "".join(",".join(cells) + "\n" for cells in [[*rows[0]], *([*row.values()] for row in rows)])


BY_HAND_READINGS: dict[str, Callable[[Hand], Source]] = {
    "files": lambda hand: hand.files(a_change(1), a_change(2)),
    "git": lambda hand: hand.git(),
    "git since": lambda hand: hand.git(since=FIRST),
    "git until": lambda hand: hand.git(until=FIRST),
    "git since and until": lambda hand: hand.git(since=FIRST, until=AFTER, system="ledger, since Monday"),
    "git merges": lambda hand: hand.git(merges_only=True, since=FIRST),
    "git nothing in range": lambda hand: hand.git(since=AFTER),
    "github": lambda hand: hand.github(a_pull(1), a_pull(2, state="CLOSED"), a_pull(3)),
    "deployments": lambda hand: hand.deployments(NAMED),
    "deployments as CSV": lambda hand: hand.deployments(a_csv(NAMED), "by-hand.csv"),
    "servicenow": lambda hand: hand.servicenow(requests(1, 2)),
    "servicenow with approvals": lambda hand: hand.servicenow(requests(1, 2), approvals(1, 2, 2, 2)),
    "servicenow with approvals of others": lambda hand: hand.servicenow(requests(1, 2), approvals(1, 2, 2, 9)),
}


@pytest.mark.parametrize("reading", BY_HAND_READINGS)
def test_a_good_month_that_was_read_by_hand_is_complete(reading: str, month_end: Make) -> None:
    month = month_end()
    if "deployments" in reading:
        month.bench.execute(a_change(1))
    source = BY_HAND_READINGS[reading](hand(month))
    intake = take_in(month.engine, source)
    assert intake.totals.reconciled
    assert source.name == f"by hand/{source.adapter}"
    month.over()
    again = gather(month.engine, look(month.engine, NOVEMBER)).sources
    assert [one.why_not for one in again.values()] == ([] if reading == "files" else [None])
    assert month.failing() == {}


@pytest.mark.parametrize(
    ("spec", "write"),
    [
        ({"adapter": "git", "path": "ledger", "since": "2026-11-18T13:00:00Z"}, lambda hand: hand.git()),
        ({"adapter": "git", "path": "ledger", "system": "books"}, lambda hand: hand.git()),
        ({"adapter": "github", "path": "by-hand.json"}, lambda hand: hand.github(a_pull(1))),
        ({"adapter": "deployments", "path": "by-hand.jsonl"}, lambda hand: hand.deployments(NAMED)),
        ({"adapter": "git_tags", "path": "ledger", "system": "billing", "tags": "v*"}, lambda hand: hand.git()),
        ({**ITSM, "path": "changed.csv", "approvals": "approved.csv"},
         lambda hand: hand.servicenow(requests(1, 2), approvals(1, 2, 2, 9))),
    ],
    ids=["git since", "git", "github", "deployments", "git_tags", "servicenow"],
)  # fmt: skip
def test_a_good_month_of_a_source_that_the_policy_names_is_complete(
    spec: dict[str, Any], write: Callable[[Hand], Source], month_end: Make
) -> None:
    month = month_end({"name": "given", **spec})
    if spec["adapter"] == "deployments":
        month.bench.execute(a_change(1))
    write(hand(month))
    take_in(month.engine, *month.sources)
    month.over()
    assert month.failing() == {}


def test_only_what_is_in_the_range_is_read_again(month_end: Make) -> None:
    month = month_end()
    take_in(month.engine, hand(month).git(since=FIRST))
    month.over()
    (again,) = gather(month.engine, look(month.engine, NOVEMBER)).sources.values()
    assert again.changes.keys() == {run.digest for run in month.engine.index.all_runs()}
    (extract,) = events_of(month.engine.root.register, "extract")
    assert extract["rows"] == 3
    assert extract["query"].endswith(" --, since 2026-11-18T13:00:00.000000Z, system ledger")


def test_readings_of_two_repositories_and_two_ranges_are_told_apart(month_end: Make) -> None:
    month = month_end()
    source = hand(month).git(until=FIRST)
    other = Repository(month.folder / "journal")
    other.commit(b"another repository\n")
    for one in (
        source,
        git_source(month.bench.policy, other.path),
        git_source(month.bench.policy, month.folder / "ledger"),
    ):
        take_in(month.engine, one)
    month.over()
    assert month.failing() == {}


def test_two_exports_that_were_read_by_hand_are_two_readings(month_end: Make) -> None:
    month = month_end()
    month.bench.execute(a_change(1))
    for source in (
        hand(month).github(a_pull(1), name="one.json"),
        hand(month).github(a_pull(2), a_pull(3), name="two.json"),
        hand(month).deployments(NAMED, "one.jsonl"),
        hand(month).deployments(a_csv(NAMED), "two.csv"),
        hand(month).servicenow(requests(1), approvals(1)),
        hand(month).servicenow(requests(2)),
        hand(month).servicenow(requests(1, 2), approvals(1)),
    ):
        take_in(month.engine, source)
    month.over()
    assert month.failing() == {}


def test_an_export_that_was_given_before_another_counts_when_it_is_given_again(month_end: Make) -> None:
    month = month_end(PULLS)
    for pulls in ([a_pull(1), a_pull(2)], [a_pull(1), a_pull(2), a_pull(3)], [a_pull(1), a_pull(2)]):
        month.read("pulls", pulls)
    month.over()
    assert month.failing() == {}
    assert [line["rows"] for line in events_of(month.engine.root.register, "extract")] == [2, 3, 2]


class Losing:
    """A source that leaves out an item, and still knows how many rows it had."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def declared(self) -> None:
        return None

    def items(self, kept: Any) -> Any:
        return list(self._source.items(kept))[:-1]


@pytest.mark.parametrize(
    ("reading", "rows"),
    [("github", "[3] rows, and 2 were read"), ("servicenow", "[2] rows, and 1 were read"),
     ("git since", "[3] rows, and 2 were read"),
     ("servicenow with approvals of others", "[2, 4] rows, and 2 were read with 3 rows joined to them")],
)  # fmt: skip
def test_a_row_that_became_nothing_is_named(reading: str, rows: str, month_end: Make) -> None:
    """Of an export with approvals, too: what is joined to a change, and what belongs to none, is counted row by row."""
    month = month_end()
    source = BY_HAND_READINGS[reading](hand(month))
    losing: Any = Losing(source)
    take_in(month.engine, losing)
    month.over()
    assert month.failing()["rows_add_up"] == (f"{source.name}: its extracts have {rows}",)


def test_a_reading_by_hand_says_nothing_of_a_source_of_the_policy(month_end: Make) -> None:
    """Its export is missing, and another file is read by hand: nothing of that makes the source whole."""
    spec = {**DEPLOYMENTS, "name": "deployments"}
    month = month_end(spec)
    month.bench.execute(a_change(1))
    (source,) = month.sources
    with pytest.raises(SourceError) as broken:
        take_in(month.engine, source)
    record_broken_source(month.engine, source, str(broken.value))
    take_in(month.engine, hand(month).deployments(NAMED, "other.jsonl"))
    month.over()
    assert not totals_reconcile(month.engine).passed
    assert month.failing().keys() == {"rows_add_up", "cut_off_is_clear"}
    (month.folder / "deployments.jsonl").write_text(NAMED)
    take_in(month.engine, *month.sources)
    assert totals_reconcile(month.engine).passed
    month.watch()
    assert month.failing() == {}


def test_no_source_of_the_policy_can_have_the_name_of_a_reading_by_hand() -> None:
    with pytest.raises(ValidationError):
        SourceSpec(name=f"{BY_HAND}git", adapter="git", path=".")


def test_a_part_that_was_read_by_hand_is_no_second_source_of_its_system(month_end: Make) -> None:
    """The whole is read every day, and a part of it by hand; what only the part has is missing from the whole."""
    month = month_end(PULLS)
    month.read("pulls", [a_pull(1), a_pull(2)])
    take_in(month.engine, hand(month).github(a_pull(2)))
    month.over()
    assert month.failing() == {}
    take_in(month.engine, hand(month).github(a_pull(2), a_pull(3)))
    month.watch()
    offender = "office/ledger: office:ledger#3 is told by by hand/github, and not by pulls"
    assert month.failing() == {"sources_agree": (offender,)}
