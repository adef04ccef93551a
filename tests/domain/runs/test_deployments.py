"""Deployments against changes: joined to what they match, a run of their own where nothing does, nothing read twice."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from countersign.changes.deployment import read_deployment
from countersign.changes.sources.build import source_of
from countersign.changes.sources.deployments import DeploymentsSource
from countersign.changes.sources.files import FilesSource
from countersign.errors import SourceError
from countersign.evidence.indexed import IndexedRun
from countersign.evidence.log import AuditLog
from countersign.evidence.register import IntakeTotals
from countersign.policy import Policy, SourceSpec
from countersign.runs.daywork import sources_of, work_day
from countersign.runs.deployments import follow, never_deployed, reconcile, register, settle
from countersign.runs.fold import read_state
from countersign.runs.intake import Intake, take_in
from countersign.runs.judgements import every_deployment_has_a_change
from countersign.runs.state import RunState
from tests.conftest import StepClock, payload_with
from tests.domain.runs.conftest import Bench, policy_with

REVISION = "4f2a9c1d7e"


def change(number: int = 1, **fields: Any) -> dict[str, Any]:
    """A change whose evidence shows no deployment."""
    payload = payload_with(id=f"CHG-{number}", deployed_at=None, deployed_by=None, **fields)
    del payload["evidence"]["deployment"]
    payload["evidence"]["approval"]["text"] = f"CHG-{number} approved for deployment."
    return payload


def deployment(name: str = "D-1", **fields: Any) -> dict[str, Any]:
    row = {
        "id": name,
        "environment": "production",
        "system": "billing",
        "revision": REVISION,
        "at": "2026-11-20T10:00:00Z",
        "by": "deployer",
        "pipeline": "pipeline:cd",
    }
    return {field: value for field, value in (row | fields).items() if value is not None}


class Desk:
    """A bench with a file of payloads and one of deployments, each read through its source."""

    def __init__(self, bench: Bench, folder: Path) -> None:
        self.bench = bench
        self.changes_file, self.deployments_file = folder / "changes.jsonl", folder / "deployments.jsonl"

    @property
    def index(self) -> Any:
        return self.bench.run.engine.index

    def changes(self, *payloads: dict[str, Any]) -> Intake:
        self.changes_file.write_text("".join(json.dumps(payload) + "\n" for payload in payloads))
        return take_in(self.bench.run.engine, FilesSource(self.changes_file, self.bench.policy.limits))

    def deployments(self, *rows: dict[str, Any]) -> Intake:
        self.deployments_file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return take_in(self.bench.run.engine, DeploymentsSource(self.deployments_file, self.bench.policy.limits))

    def standing(self) -> dict[str, IndexedRun]:
        """The runs that nothing supersedes, by their changes."""
        runs = [run for run in self.index.all_runs() if run.superseded_by is None]
        assert len({run.change_id for run in runs}) == len(runs)
        return {run.change_id: run for run in runs}

    def state(self, change_id: str) -> RunState:
        run = self.standing()[change_id]
        engine = self.bench.run.engine
        return read_state(run.run_id, engine.log_of(run.day, run.run_id).records(), engine.root.blobs)

    def judged(self, change_id: str) -> dict[str, tuple[str, str | None]]:
        return {judged.control: (judged.result.value, judged.quote) for judged in self.state(change_id).judged}

    def deployments_of(self, change_id: str) -> list[str]:
        return [name for name in self.state(change_id).change.evidence if name.startswith("deployment ")]

    def without_change(self) -> list[str]:
        """The deployments that the check names."""
        judgement = every_deployment_has_a_change(self.bench.run.engine)
        assert judgement.passed is (not judgement.rows)
        return [said.split(":")[0] for _, said in judgement.rows]


@pytest.fixture
def desk(bench: Bench, tmp_path: Path) -> Iterator[Desk]:
    """Whatever a test does, every log and the register verify afterwards."""
    made = Desk(bench, tmp_path)
    yield made
    assert bench.faults() == []


def test_a_deployment_opens_a_successor_that_shows_it(desk: Desk) -> None:
    before = desk.changes(change()).runs[0]
    read = desk.deployments(deployment())
    run = desk.standing()["CHG-1"]
    assert (run.supersedes, run.source, run.origin) == (before.run_id, "by hand/files", "submitted")
    assert read.totals == IntakeTotals(read=1, opened=1)
    item = desk.state("CHG-1").change.evidence["deployment D-1"]
    assert item.text == (
        f"deployment D-1: {REVISION} of billing deployed to production by deployer at 2026-11-20T10:00:00.000000Z "
        "through the pipeline pipeline:cd"
    )
    assert (item.kind, item.by, item.revision, item.origin) == ("deployment", "deployer", REVISION, "extracted")
    assert desk.judged("CHG-1")["ITGC-CM-06"] == ("met", item.text)
    assert desk.judged("CHG-1")["ITGC-CM-01"][0] == "met"
    assert desk.without_change() == []


def test_a_deployment_is_on_record_before_anything_follows_from_it(desk: Desk) -> None:
    desk.changes(change())
    desk.deployments(deployment())
    registered = desk.bench.registered()
    (line,) = [line for line in registered if line["event"] == "deployment"]
    (successor,) = [line for line in registered if line["event"] == "run_opened" and line["supersedes"]]
    assert line["seq"] < successor["seq"]
    digest = desk.index.extracts("by hand/deployments")[0].digest
    said = {name: line[name] for name in ("system", "id", "revision", "deployed_by", "origin", "extract")}
    assert said == {
        "system": "billing", "id": "D-1", "revision": REVISION, "deployed_by": "deployer", "origin": "extracted",
        "extract": digest,
    }  # fmt: skip
    assert (desk.bench.root / "extracts" / digest).read_bytes() == desk.deployments_file.read_bytes()


@pytest.mark.parametrize("deployments_first", [True, False])
def test_a_change_has_its_deployments_whichever_was_read_first(desk: Desk, deployments_first: bool) -> None:
    rows = [deployment("D-1"), deployment("D-2", revision="9" * 40, change="CHG-1", at="2026-11-21T10:00:00Z")]
    if deployments_first:
        desk.deployments(*rows)
        assert desk.without_change() == ["D-1", "D-2"]
        desk.changes(change())
    else:
        desk.changes(change())
        desk.deployments(*rows)
    assert list(desk.standing()) == ["CHG-1"]
    assert desk.deployments_of("CHG-1") == ["deployment D-1", "deployment D-2"]
    assert desk.without_change() == []


def test_reading_either_source_again_opens_nothing(desk: Desk) -> None:
    payloads = [change(1), change(2, revision="7" * 40), change(3, revision="8" * 40)]
    rows = [deployment("D-1"), deployment("D-2", revision="7" * 12), deployment("D-9", revision="1" * 40)]
    desk.changes(*payloads)
    desk.deployments(*rows)
    before = desk.bench.contents()
    assert desk.changes(*payloads).totals == IntakeTotals(read=3, known=3)
    again = desk.deployments(*rows)
    assert again.totals == IntakeTotals(read=3, known=3)
    assert {run.change_id for run in again.runs} == {"CHG-1", "CHG-2", "deployment:D-9"}
    opened = [line for line in desk.bench.registered() if line["event"] in ("run_opened", "deployment")]
    assert len(opened) == 3 + 3 + 3
    after = desk.bench.contents()
    assert {name for name in after if after[name] != before.get(name)} <= {"register.jsonl"}
    assert desk.bench.execute(change(1)).run_id == desk.standing()["CHG-1"].run_id


def test_a_second_deployment_stands_beside_the_first(desk: Desk) -> None:
    desk.changes(change())
    desk.deployments(deployment("D-1"))
    first = desk.standing()["CHG-1"]
    desk.deployments(deployment("D-1"), deployment("D-2", at="2026-11-21T10:00:00Z"))
    assert desk.standing()["CHG-1"].supersedes == first.run_id
    assert desk.deployments_of("CHG-1") == ["deployment D-1", "deployment D-2"]


def test_one_deployment_of_several_changes_stands_in_each(desk: Desk) -> None:
    desk.changes(change(1), change(2))
    desk.deployments(deployment())
    assert desk.deployments_of("CHG-1") == desk.deployments_of("CHG-2") == ["deployment D-1"]


def test_another_system_of_the_same_revision_is_another_matter(desk: Desk) -> None:
    desk.changes(change(1))
    desk.deployments(deployment(system="payroll", change="CHG-1"))
    assert desk.without_change() == ["D-1"]
    assert [run.change_id for run in never_deployed(desk.index)] == ["CHG-1"]


def test_a_completed_run_is_superseded_by_what_was_deployed_later(desk: Desk) -> None:
    done = desk.bench.complete(change())
    assert done.status == "COMPLETED"
    desk.deployments(deployment())
    run = desk.standing()["CHG-1"]
    assert (run.supersedes, run.status) == (done.run_id, "AWAITING_APPROVAL")
    assert desk.judged("CHG-1")["ITGC-CM-06"][0] == "met"


def test_a_deployment_without_a_change_is_an_exception_of_its_own(desk: Desk) -> None:
    read = desk.deployments(deployment("a/b%1"))
    assert read.totals == IntakeTotals(read=1, opened=1)
    state = desk.state("deployment:a%2Fb%251")
    text = state.change.evidence["deployment a/b%1"].text
    assert text.startswith(f"no change record names the deployment a/b%1 or its revision {REVISION}: deployment a/b%1:")
    assert desk.judged("deployment:a%2Fb%251")["ITGC-CM-01"] == ("exception", text)
    assert desk.judged("deployment:a%2Fb%251")["ITGC-CM-06"] == ("abstained", None)
    assert desk.without_change() == ["a/b%1"]
    assert never_deployed(desk.index) == []


def test_a_run_without_a_change_can_be_signed_and_completed(desk: Desk) -> None:
    desk.deployments(deployment())
    run = desk.standing()["deployment:D-1"]
    engine = desk.bench.run.engine
    for key, signer in (("independent_review", "reviewer"), ("maker_checker", "checker")):
        desk.bench.desk.record(engine.root.rundir(run.day, run.run_id), key, signer)
        desk.bench.advance()
    state = desk.state("deployment:D-1")
    assert (state.status, state.results[0].result) == ("COMPLETED", "exception")
    assert desk.without_change() == ["D-1"]


def test_a_change_that_turns_up_takes_every_run_over(desk: Desk) -> None:
    desk.deployments(deployment("D-1"), deployment("D-2"))
    alone = {run.run_id for run in desk.standing().values()}
    desk.changes(change())
    runs = {run.run_id: run for run in desk.index.all_runs()}
    stands = desk.standing()["CHG-1"]
    assert {runs[run_id].superseded_by for run_id in alone} == {stands.run_id}
    assert stands.supersedes is None
    desk.bench.forget_index()
    desk.bench.fresh()
    assert {desk.index.run(run_id).superseded_by for run_id in alone} == {stands.run_id}


def test_a_correction_that_gives_a_deployment_up_leaves_it_without_a_change_again(desk: Desk) -> None:
    """Else a change record that is handed in and corrected away would end what it had nothing to do with."""
    desk.deployments(deployment())
    desk.changes(change())
    claimed = desk.standing()["CHG-1"]
    desk.changes(change(revision="5" * 40))
    assert desk.without_change() == ["D-1"]
    desk.deployments(deployment())
    said = desk.state("deployment:D-1").change.evidence["deployment D-1"].text
    assert f"since a correction of {claimed.run_id}: deployment D-1" in said
    opened = len(desk.bench.registered("run_opened"))
    desk.deployments(deployment())
    assert len(desk.bench.registered("run_opened")) == opened
    assert desk.judged("deployment:D-1")["ITGC-CM-01"][0] == "exception"


def test_a_corrected_payload_does_not_come_back_when_the_old_one_is_read_again(desk: Desk) -> None:
    old, new = change(), change(summary="Corrected")
    desk.changes(old, new)
    desk.deployments(deployment())
    read = desk.changes(old, new)
    assert read.totals == IntakeTotals(read=2, known=2)
    assert desk.state("CHG-1").change.summary == "Corrected"
    assert desk.deployments_of("CHG-1") == ["deployment D-1"]


def test_a_corrected_payload_keeps_its_deployments(desk: Desk) -> None:
    desk.changes(change())
    desk.deployments(deployment())
    desk.changes(change(summary="Corrected"))
    assert desk.deployments_of("CHG-1") == ["deployment D-1"]


def test_the_same_id_that_says_otherwise_is_refused_once_and_the_others_go_on(desk: Desk) -> None:
    desk.changes(change())
    desk.deployments(deployment("D-1"))
    for _ in range(2):
        rows = [deployment("D-1", by="maker"), deployment("D-1", system="payroll"), deployment("D-2")]
        read = desk.deployments(*rows)
        assert (read.totals.read, read.totals.refused, read.totals.reconciled) == (3, 1, True)
        assert "said otherwise when it was read before" in read.refusals[0].reason
        assert "SEV-1" in read.refusals[0].reason
    assert len(desk.bench.registered("refused")) == 1
    assert desk.deployments_of("CHG-1") == ["deployment D-1", "deployment D-2"]
    assert desk.state("CHG-1").change.evidence["deployment D-1"].by == "deployer"


def test_what_is_out_of_scope_is_counted_apart(desk: Desk) -> None:
    read = desk.deployments(
        deployment("staged", environment="staging"),
        deployment("aside", system="intranet"),
        deployment("early", at="2025-12-31T23:59:59-05:00"),
        deployment("unknown system", system="payroll"),
        {"id": "no system"},
    )
    assert read.totals == IntakeTotals(read=5, opened=1, refused=1, out_of_scope=3)
    assert [skipped.reason for skipped in read.skipped] == [
        "the environment staging is none that the policy counts (production, prod)",
        "the system intranet is not in scope on 2026-11-20, says the policy's inventory",
        "the system billing is not in scope on 2025-12-31, says the policy's inventory",
    ]
    assert desk.without_change() == ["unknown system"]


def test_no_payload_can_stand_for_a_deployment(desk: Desk) -> None:
    """It would end the run that nobody can end without a change."""
    desk.deployments(deployment())
    run = desk.standing()["deployment:D-1"]
    forged = change() | {"id": "deployment:D-1"}
    assert desk.changes(forged).totals == IntakeTotals(read=1, refused=1)
    with pytest.raises(Exception, match="stands for a deployment that no change record names"):
        desk.bench.execute(forged)
    assert desk.standing()["deployment:D-1"] == run


def test_an_item_that_came_under_the_name_of_a_deployment_stays_beside_it(desk: Desk) -> None:
    payload = change()
    payload["evidence"]["deployment D-1"] = {"kind": "deployment", "text": "deployed by nobody at all", "by": "maker"}
    desk.changes(payload)
    desk.deployments(deployment())
    evidence = desk.state("CHG-1").change.evidence
    assert evidence["deployment D-1"].by == "maker"
    assert (evidence["deployment D-1 (2)"].by, evidence["deployment D-1 (2)"].origin) == ("deployer", "extracted")
    assert desk.judged("CHG-1")["ITGC-CM-06"][0] == "exception"
    assert desk.deployments(deployment()).totals == IntakeTotals(read=1, known=1)


def test_without_the_policys_word_a_deployment_is_only_submitted(desk: Desk) -> None:
    desk.bench.fresh(policy=policy_with(desk.bench.policy, extractors=[]))
    desk.changes(change())
    desk.deployments(deployment())
    assert desk.state("CHG-1").change.evidence["deployment D-1"].origin == "submitted"


@pytest.mark.parametrize("line", ["deployment", "run_opened"])
def test_a_crash_between_two_writes_is_made_good_by_reading_again(desk: Desk, line: str) -> None:
    """The register ends with the deployment, or with a successor whose log was never begun."""
    desk.changes(change())
    desk.deployments(deployment("D-1"), deployment("D-2", revision="3" * 40))
    cut_after(desk.bench, line)
    desk.bench.fresh()
    desk.deployments(deployment("D-1"), deployment("D-2", revision="3" * 40))
    assert desk.deployments_of("CHG-1") == ["deployment D-1"]
    assert set(desk.standing()) == {"CHG-1", "deployment:D-2"}
    assert {run.status for run in desk.standing().values()} == {"AWAITING_APPROVAL"}


def test_a_crash_before_a_joined_log_is_made_good_by_the_change_as_well(desk: Desk) -> None:
    desk.deployments(deployment())
    desk.changes(change())
    cut_after(desk.bench, "run_opened")
    desk.bench.fresh()
    assert desk.standing()["CHG-1"].status == "OPENED"
    desk.deployments(deployment())
    assert desk.standing()["CHG-1"].status == "OPENED"
    assert desk.changes(change()).totals == IntakeTotals(read=1, known=1)
    assert desk.deployments_of("CHG-1") == ["deployment D-1"]


@pytest.mark.parametrize("meanwhile", [change(), change(summary="Corrected")], ids=["first", "corrected"])
def test_what_another_process_opened_in_between_is_not_superseded_by_what_was_seen_before(
    desk: Desk, meanwhile: dict[str, Any]
) -> None:
    if meanwhile != change():
        desk.changes(change())
    engine = desk.bench.run.engine
    registered = register(engine, [read_deployment(deployment(), "shipped:1")], "shipped", "extracted", None)
    found = follow(engine, registered.deployments, "shipped", "extracted")
    assert len(settle(engine.index, found.arrivals)) == 1
    desk.changes(meanwhile)
    assert settle(engine.index, found.arrivals) == []
    assert desk.deployments_of("CHG-1") == ["deployment D-1"]


def cut_after(bench: Bench, event: str) -> None:
    """As after a crash that came right after the last register line of an event, before any log of it."""
    lines = bench.register.read_bytes().splitlines(keepends=True)
    parsed = [json.loads(line) for line in lines]
    last = max(number for number, line in enumerate(parsed) if line.get("event") == event)
    known = {line["run_id"] for line in parsed[: last + 1] if "head" in line}
    bench.register.write_bytes(b"".join(lines[: last + 1]))
    for log in bench.root.glob("runs/*/*/*/*/audit.jsonl"):
        if log.parent.name not in known:
            log.unlink()
    bench.forget_index()


def test_a_change_whose_log_cannot_be_read_stops_no_other(bench: Bench, tmp_path: Path) -> None:
    desk = Desk(bench, tmp_path)
    desk.changes(change(1), change(2))
    broken = desk.standing()["CHG-1"]
    AuditLog(bench.run.engine.root.log(broken.day, broken.run_id)).path.write_bytes(b"{}\n")
    read = desk.deployments(deployment())
    failed = {run.change_id: run.reason for run in read.runs if run.status == "FAILED"}
    assert list(failed) == ["CHG-1"]
    assert "a deployment cannot be joined" in str(failed["CHG-1"])
    assert desk.deployments_of("CHG-2") == ["deployment D-1"]


def test_an_export_that_is_cut_off_opens_nothing_and_goes_on_when_it_is_whole(desk: Desk) -> None:
    desk.changes(change())
    whole = "".join(json.dumps(row) + "\n" for row in (deployment("D-1"), deployment("D-2", revision="2" * 40)))
    desk.deployments_file.write_text(whole[:-20])
    source = DeploymentsSource(desk.deployments_file, desk.bench.policy.limits)
    with pytest.raises(SourceError, match="cut off in line 2"):
        take_in(desk.bench.run.engine, source)
    assert [run.supersedes for run in desk.standing().values()] == [None]
    desk.deployments_file.write_text(whole)
    assert take_in(desk.bench.run.engine, source).totals == IntakeTotals(read=2, opened=2)


def test_a_day_reads_changes_before_deployments(desk: Desk) -> None:
    folder = desk.changes_file.parent
    desk.changes_file.write_text(json.dumps(change()) + "\n")
    desk.deployments_file.write_text(json.dumps(deployment()) + "\n")
    specs = [
        SourceSpec(name="shipped", adapter="deployments", path="deployments.jsonl"),
        SourceSpec(name="inbox", adapter="files", path="changes.jsonl"),
    ]
    policy = policy_with(desk.bench.policy, sources=[spec.model_dump() for spec in specs])
    engine = desk.bench.fresh(policy=policy).engine
    report = work_day(engine, engine.today, sources_of(engine, folder))
    assert [reading.source for reading in report.readings] == ["inbox", "shipped"]
    assert list(desk.standing()) == ["CHG-1"]
    assert source_of(policy, specs[0], folder).name == "shipped"


_REVISIONS = ("a" * 40, "b" * 40, "ab" * 20)
_changes = st.builds(
    lambda number, revision: ("change", f"CHG-{number}", revision), st.integers(1, 3), st.sampled_from(_REVISIONS)
)
_deployed = st.builds(
    lambda number, revision, names: ("deployment", f"D-{number}", revision, names),
    st.integers(1, 4),
    st.sampled_from([*_REVISIONS, "a" * 7]),
    st.sampled_from([None, "CHG-1", "CHG-2"]),
)


@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(_changes | _deployed, max_size=9, unique_by=lambda one: one[1]))
def test_in_whatever_order_they_come_everything_ends_where_it_belongs(
    tmp_path_factory: pytest.TempPathFactory, policy: Policy, given_one_by_one: list[tuple[str, ...]]
) -> None:
    folder = tmp_path_factory.mktemp("mix")
    desk = Desk(Bench(folder / "evidence", policy, StepClock(datetime(2026, 11, 23, 14, tzinfo=UTC))), folder)
    changes, deployments = {}, {}
    for kind, name, revision, *names in given_one_by_one:
        if kind == "change":
            changes[name] = revision
            desk.changes(change(int(name[-1]), revision=revision))
        else:
            deployments[name] = (revision, names[0])
            desk.deployments(deployment(name, revision=revision, change=names[0]))
    expected = {
        change_id: sorted(
            f"deployment {name}"
            for name, (revision, names) in deployments.items()
            if names == change_id or own.startswith(revision)
        )
        for change_id, own in changes.items()
    }
    belonging = {name for found in expected.values() for name in found}
    alone = {f"deployment {name}" for name in deployments} - belonging
    expected |= {name.replace(" ", ":"): [name] for name in alone}
    assert {change_id: sorted(desk.deployments_of(change_id)) for change_id in desk.standing()} == expected
    assert {f"deployment {name}" for name in desk.without_change()} == alone
    assert {run.change_id for run in never_deployed(desk.index)} == {name for name in expected if not expected[name]}
    assert desk.bench.faults() == []


def test_a_thousand_deployments_against_their_changes(desk: Desk) -> None:
    """20 without a change, 15 changes never deployed, 10 deployed twice: all 45 are named, and none of the rest."""
    revisions = {number: f"{number:07x}{'0' * 33}" for number in range(1, 1006)}
    payloads = [change(number, revision=revisions[number]) for number in range(1, 986)]
    once = [
        deployment(f"D-{number}", revision=revisions[number][: 7 + number % 34])
        if number % 2
        else deployment(f"D-{number}", revision="release", change=f"CHG-{number}")
        for number in range(1, 971)
    ]
    twice = [deployment(f"D-{number}-again", revision=revisions[number]) for number in range(1, 11)]
    alone = [deployment(f"X-{number}", revision=revisions[number]) for number in range(986, 1006)]
    rows = [*once, *alone, *twice]
    assert len(rows) == 1000
    desk.changes(*payloads)
    read = desk.deployments(*rows)
    assert read.totals == IntakeTotals(read=1000, opened=1000)
    found = reconcile(desk.index, read.followed)
    assert {one.id for one in found.without_change} == {row["id"] for row in alone} == set(desk.without_change())
    assert {run.change_id for run in found.never_deployed} == {f"CHG-{number}" for number in range(971, 986)}
    assert {run.change_id for run in found.deployed_again} == {f"CHG-{number}" for number in range(1, 11)}
    assert [one.id for one in found.matched] == [row["id"] for row in (*once, *twice)]
    assert desk.deployments_of("CHG-7") == ["deployment D-7", "deployment D-7-again"]
    assert len(desk.standing()) == 985 + 20
