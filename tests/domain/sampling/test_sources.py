"""What sources gave, read again: as it came, with the policy of that day, or with the reason why not."""

import json
import os
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from countersign.changes.sources.build import git_source
from countersign.errors import SourceError
from countersign.evidence.durable import keep_by_digest
from countersign.evidence.register import KeptExtract
from countersign.policy import Policy, complete
from countersign.runs.adoption import ConfigurationDesk
from countersign.runs.intake import take_in
from countersign.sampling.gathering import gather
from countersign.sampling.population import look
from countersign.sampling.sources import ReadAgain
from tests.conftest import POLICY
from tests.domain.changes.sources.servicenow_export import approval, as_csv, change
from tests.domain.changes.sources.test_git import Repository
from tests.domain.runs.conftest import policy_with
from tests.domain.sampling.conftest import NOVEMBER, MonthEnd, a_change
from tests.domain.sampling.test_completeness import A_DEPLOYMENT, DEPLOYMENTS, PULLS, a_pull

Make = Callable[..., MonthEnd]


def again(month: MonthEnd) -> dict[str, ReadAgain]:
    return gather(month.engine, look(month.engine, NOVEMBER)).sources


def keep(
    month: MonthEnd, content: Any, *, source: str = "pulls", extractor: str = "github/1", query: str = "an export"
) -> None:
    """An extract on record, whoever read it."""
    raw = content.encode() if isinstance(content, str) else json.dumps(content).encode()
    digest = keep_by_digest(month.engine.root.extracts, raw)
    month.engine.register.append_many([KeptExtract(source, extractor, query, digest, len(raw), 1).draft()])


def test_a_source_is_read_again_to_the_same_payloads(month_end: Make) -> None:
    month = month_end(PULLS)
    month.read("pulls", [a_pull(1), a_pull(2, state="CLOSED"), a_pull(3)])
    found = again(month)["pulls"]
    runs = {run.digest: run.change_id for run in month.engine.index.all_runs()}
    assert {digest: one.change_id for digest, one in found.changes.items()} == runs
    assert (found.extracts, found.why_not, found.unreadable) == (1, None, {})
    one = next(iter(found.changes.values()))
    assert (one.system, one.deployed_at) == ("office/ledger", "2026-11-20T10:00:00.000000Z")
    assert one.revisions == (f"{1001:040x}", f"{1:040x}")


def test_what_was_read_by_hand_needs_no_entry_in_the_policy(month_end: Make) -> None:
    month = month_end()
    keep(month, [a_pull(1)], source="github")
    assert [one.change_id for one in again(month)["github"].changes.values()] == ["office:ledger#1"]


@pytest.mark.parametrize("named", [True, False], ids=["of the policy", "by hand"])
def test_a_file_that_was_as_before_got_no_second_line_in_roots_made_before(named: bool, month_end: Make) -> None:
    """Of an export of changes with one of their approvals, only the first was new the second time."""
    spec = {"name": "servicenow", "adapter": "servicenow", "path": "c.csv", "approvals": "a.csv", "zone": "UTC"}
    month = month_end(*([spec] if named else []))
    changed = [change(number=f"CHG003000{number}", sys_id=str(number) * 32) for number in (1, 2)]
    approved, one, two = (
        as_csv(rows).decode() for rows in ([approval(sysapproval="CHG0030001")], changed[:1], changed)
    )
    for query, content in (("c.csv, times in UTC", one), ("a.csv, times in UTC", approved)):
        keep(month, content, source="servicenow", extractor="servicenow/1", query=query)
    month.bench.execute(a_change(1))  # so that nothing was written in one go with what comes
    keep(month, two, source="servicenow", extractor="servicenow/1", query="c.csv, times in UTC")
    found = again(month)["servicenow"]
    assert (found.why_not, found.extracts, len(found.changes)) == (None, 2, 2)


def test_a_repository_whose_query_says_no_system_is_read_again_by_the_policy(month_end: Make) -> None:
    """As none did in roots made before; nor did they say since when."""
    month = month_end(
        {"name": "git", "adapter": "git", "path": "x", "system": "ledger", "since": "2026-11-18T13:00:00Z"}
    )
    repository = Repository(month.folder / "x")
    for _ in range(3):
        repository.commit()
    (raw,) = git_source(month.bench.policy, repository.path).fetch(month.folder)
    query = raw.query.partition(",")[0]
    keep(month, raw.path.read_text(), source="git", extractor="git/1", query=query)
    found = again(month)["git"]
    assert (found.why_not, {one.system for one in found.changes.values()}, len(found.changes)) == (None, {"ledger"}, 2)


def test_a_repository_that_was_read_by_hand_is_read_again_under_its_system(month_end: Make) -> None:
    month = month_end()
    for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "Raise the limit"]):
        environment = {f"GIT_{who}_{what}": said for who in ("AUTHOR", "COMMITTER") for what, said in COMMIT.items()}
        subprocess.run(["git", *command], cwd=month.folder, check=True, env={**os.environ, **environment})
    source = git_source(month.bench.policy, month.folder, system="ledger")
    take_in(month.engine, source)
    month.over()
    (run,) = month.engine.index.all_runs()
    found = again(month)[source.name]
    assert (found.why_not, list(found.changes)) == (None, [run.digest])
    assert month.failing() == {}


COMMIT = {"NAME": "Example Maker", "EMAIL": "maker@example.com", "DATE": "2026-11-20T10:00:00Z"}


@pytest.mark.parametrize(
    ("extractor", "why_not"),
    [
        ("git/1", "the policy names no source pulls, so nothing can read what was kept of it"),
        ("github/0", "read by github/0; this version has github/1, which may differ"),
    ],
)
def test_what_nothing_can_read_says_why(extractor: str, why_not: str, month_end: Make) -> None:
    month = month_end(PULLS)
    keep(month, [a_pull(1)], extractor=extractor)
    assert again(month)["pulls"].why_not == why_not


def test_an_extract_that_breaks_off_says_why(month_end: Make) -> None:
    month = month_end(PULLS)
    keep(month, "[")
    assert "export it again, whole" in (again(month)["pulls"].why_not or "")


def test_an_extract_whose_reading_broke_off_is_left_out_once_a_whole_one_came(month_end: Make) -> None:
    month = month_end(PULLS)
    with pytest.raises(SourceError):
        month.read("pulls", "[")
    month.read("pulls", [a_pull(1)])
    month.over()
    found = again(month)["pulls"]
    assert (found.extracts, found.why_not, len(found.changes)) == (1, None, 1)
    assert month.failing() == {}


def test_each_extract_is_read_with_the_policy_that_was_in_force_when_it_came(month_end: Make, policy: Policy) -> None:
    """Since then a label makes an emergency; what was read before is still the payload that it was."""
    month = month_end(PULLS)
    pull = a_pull(1, labels=[{"name": "asap"}])
    month.read("pulls", [pull])
    later = policy_with(policy, sources=[PULLS], emergency_labels=["asap"])
    ConfigurationDesk(month.bench.root, clock=month.bench.clock).adopt(
        complete(later, POLICY), "process-owner", "A test needs it."
    )
    month.bench.policy = later
    month.bench.fresh()
    known = {run.digest for run in month.engine.index.all_runs()}
    assert again(month)["pulls"].changes.keys() == known


def test_deployments_and_what_is_out_of_scope_are_told_apart(month_end: Make) -> None:
    month = month_end(DEPLOYMENTS)
    rows = [json.loads(A_DEPLOYMENT), json.loads(A_DEPLOYMENT) | {"id": "D-2", "environment": "test"}]
    month.read("pipeline", "".join(json.dumps(row) + "\n" for row in rows))
    assert again(month)["pipeline"].deployments == {("billing", "D-1"): "2026-11-20T10:00:00.000000Z"}


def test_files_that_were_read_together_are_read_together_again(month_end: Make) -> None:
    """An export of changes with one of their approvals, of which only the first was new the second time."""
    spec = {"name": "itsm", "adapter": "servicenow", "path": "changes.csv", "approvals": "approvals.csv", "zone": "UTC"}
    month = month_end(spec)
    first, second = change(number="CHG0030001", sys_id="1" * 32), change(number="CHG0030002", sys_id="2" * 32)
    (month.folder / "approvals.csv").write_bytes(as_csv([approval(sysapproval="CHG0030001")]))
    month.read("itsm", as_csv([first]).decode())
    month.read("itsm", as_csv([first, second]).decode())
    runs = {run.change_id for run in month.engine.index.all_runs()}
    found = again(month)["itsm"]
    assert found.why_not is None
    assert {one.change_id for one in found.changes.values()} == runs


def test_a_record_that_was_refused_is_known_by_the_digest_that_the_register_has(month_end: Make) -> None:
    month = month_end(PULLS)
    month.read("pulls", [a_pull(1, title="x" * 10, url="https://github.com/office/ledger/pull/1", createdAt="never")])
    (record,) = again(month)["pulls"].unreadable
    assert [refusal.record for refusal in month.engine.index.refusals()] == [record]
