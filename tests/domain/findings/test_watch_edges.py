"""What stands in the way of a look: logs that others hold or that cannot be read, channels that are down."""

import resource
from errno import EIO
from pathlib import Path
from typing import Any

import pytest

from countersign.clocks.instant import stamp
from countersign.errors import CountersignError, FindingRefused
from countersign.evidence.chain import Writer
from countersign.evidence.index import Index
from countersign.evidence.lines import Draft
from countersign.evidence.log import AuditLog
from countersign.evidence.register import Opening, Pause, Register
from countersign.evidence.root import EvidenceRoot
from countersign.findings.desk import FindingDesk
from countersign.findings.disposal import Answer
from countersign.findings.due import due_now
from countersign.findings.incidents import record_faults, record_incidents, with_findings
from countersign.findings.sending import Sender, routes_of
from countersign.findings.watch import Watch
from countersign.policy import Policy
from countersign.runs.judgements import every_log_verifies
from countersign.runs.workpaper import workpaper_document
from tests.conftest import StepClock, payload_with
from tests.domain.evidence.conftest import AT, DAY
from tests.domain.findings.test_watch import MONDAY, REVIEW, Office
from tests.domain.runs.conftest import Bench, events, log_of, policy_with

ROUTES = {
    "reviewer": [{"name": "mail", "address": "mailto://example.com"}],
    "control_owner": [{"name": "mail", "address": "mailto://example.com"}],
}


def incidents(office: Office) -> list[str]:
    """What the nightly check records."""
    return record_incidents(office.engine, every_log_verifies(office.engine).runs)


@pytest.fixture
def told(policy: Policy) -> Policy:
    escalation = policy.escalation.model_dump(mode="json") | {"routes": ROUTES}
    return policy_with(policy, escalation=escalation)


@pytest.fixture
def office(root: Path, told: Policy, clock: StepClock) -> Office:
    return Office(Bench(root, told, clock))


class Post:
    """Takes messages, or does not."""

    def __init__(self, office: Office) -> None:
        self.office, self.down, self.titles = office, False, list[str]()

    def deliver(self, _: str, title: str, body: str) -> bool:
        if not self.down:
            self.titles.append(f"{title[:8]} {body.split(maxsplit=1)[0]}")
        return not self.down

    def look(self) -> int:
        engine, log = self.office.engine, self.office.log
        routes = routes_of(engine.current.policy)
        sender = Sender(log, routes, {}, clock=self.office.bench.clock, deliver=self.deliver)
        return len(Watch(engine, log, sender).look().sent)


def test_a_look_warns_at_half_and_three_quarters_and_tells_the_owner_of_the_breach(office: Office) -> None:
    post = Post(office)
    office.bench.execute()
    for hours in (0, 2.1, 2.2, 3.1, 4.1, 4.2):
        office.at(hours)
        post.look()
    assert post.titles == ["independ Half", "independ Three", "[SEV-3]  Finding"]


def test_a_warning_that_did_not_arrive_is_tried_again(office: Office) -> None:
    post = Post(office)
    office.bench.execute()
    office.at(2.1)
    post.down = True
    assert post.look() == 1
    post.down = False
    assert post.look() == 0
    office.bench.clock.move(minutes=2)
    assert len(due_now(office.engine, office.findings, office.bench.clock.now).clocks) == 1
    assert post.look() == 1
    assert post.titles == ["independ Half"]


def test_whoever_looks_without_sending_leaves_the_warning_to_the_next_who_does(office: Office) -> None:
    post = Post(office)
    office.bench.execute()
    office.at(2.1)
    office.look()
    assert post.look() == 1
    assert post.titles == ["independ Half"]


def test_a_step_about_a_finding_is_due_until_it_is_sent(office: Office) -> None:
    office.bench.execute()
    office.at(5)
    office.look()
    assert [step.to for step in due_now(office.engine, office.findings, office.bench.clock.now).steps] == [
        "control_owner"
    ]
    Post(office).look()
    assert due_now(office.engine, office.findings, office.bench.clock.now).steps == []


def test_a_log_that_somebody_is_at_is_looked_at_again_soon(office: Office) -> None:
    run = office.bench.execute()
    office.at(5)
    with office.engine.log_of(DAY, run.run_id).writing():
        office.look()
    assert office.breaches() == []
    office.bench.clock.move(seconds=2)
    office.look()
    assert [subject for subject, _, _ in office.breaches()] == [REVIEW]
    assert events(run).count("breached") == 1


@pytest.mark.parametrize("spoiled", ["gone", "cut", "changed"])
def test_a_log_that_cannot_be_gone_on_from_keeps_no_breach_from_being_a_finding(office: Office, spoiled: str) -> None:
    run = office.bench.execute()
    path = log_of(run)
    content = path.read_bytes()
    match spoiled:
        case "gone":
            path.unlink()
        case "cut":
            path.write_bytes(b"".join(content.splitlines(keepends=True)[:-1]))
        case "changed":
            path.write_bytes(content.replace(b'"maker"', b'"faker"'))
    left = path.read_bytes() if path.exists() else None
    office.at(5)
    office.look()
    assert [subject for subject, _, _ in office.breaches()] == [REVIEW]
    assert (path.read_bytes() if path.exists() else None) == left
    assert "head" not in office.bench.registered("breached")[0]
    assert len(incidents(office)) == 1
    assert incidents(office) == []


def test_a_log_that_is_spoiled_again_after_the_disposition_is_another_finding(office: Office) -> None:
    path = log_of(office.bench.execute())
    content = path.read_bytes()
    first, second, *others = content.splitlines(keepends=True)

    def spoil(*lines: bytes) -> list[str]:
        path.write_bytes(b"".join(lines))
        opened = incidents(office)
        assert incidents(office) == []
        for finding_id in opened:
            for owner in ("control-owner", "process-owner"):
                FindingDesk(office.bench.root, clock=office.bench.clock).dispose(finding_id, owner, Answer("restored"))
        return opened

    spoiled = [
        (first.replace(b"CHG-1001", b"CHG-1002"), second, *others),
        (first.replace(b"CHG-1001", b"CHG-1003"), second, *others),
        (first, second, *others[:-1]),
        (first, b" " + second, *others),
    ]
    assert [len(spoil(*lines)) for lines in spoiled] == [1, 1, 1, 1]
    assert spoil(*spoiled[0]) == []
    path.unlink()
    assert len(incidents(office)) == 1


def test_who_made_a_change_is_asked_of_its_log_when_a_finding_is_disposed_of(office: Office) -> None:
    """What the log cannot say while it is spoiled counts again once it is restored."""
    run = office.bench.execute(payload_with(author="control-owner"))
    path, content = log_of(run), log_of(run).read_bytes()
    path.unlink()
    office.at(5)
    office.look()
    (incident_id,) = incidents(office)
    (breach_id,) = set(office.findings.by_id) - {incident_id}
    assert "control-owner" not in office.findings.by_id[breach_id].what.barred
    desk = FindingDesk(office.bench.root, clock=office.bench.clock)
    with pytest.raises(FindingRefused, match="does not say who made the change"):
        desk.dispose(breach_id, "process-owner", Answer("late"))
    assert not desk.dispose(incident_id, "process-owner", Answer("the disk")).disposed
    path.write_bytes(content.replace(b'"assessed"', b'"accessed"'))  # its first line is enough
    for finding_id in (breach_id, incident_id):
        with pytest.raises(FindingRefused, match="the author of this change"):
            desk.dispose(finding_id, "control-owner", Answer("the disk"))


def test_whoever_made_the_change_is_barred_from_its_incident_too(office: Office) -> None:
    run = office.bench.execute()
    log_of(run).write_bytes(log_of(run).read_bytes()[:-20])
    (incident_id,) = incidents(office)
    assert office.findings.by_id[incident_id].what.barred == ("maker", "deployer")


def test_a_log_that_cannot_be_read_now_is_looked_at_again_and_says_the_breach_then(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading fails as on a disk that is full of errors; the run would otherwise end clean."""
    run = office.bench.execute()
    office.at(5)

    def unreadable(_: Writer, start: int = 0) -> bytes:
        raise OSError(EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(Writer, "read", unreadable)
        office.look()
    assert (office.breaches(), office.bench.registered("breached")) == ([], [])
    assert not due_now(office.engine, office.findings, office.bench.clock.now).clocks
    office.bench.clock.move(minutes=2)
    office.look()
    assert events(run)[-1] == "breached"
    done = office.bench.complete()
    assert done.state is not None
    assert not workpaper_document(done.state)["clean"]


def test_a_workpaper_that_waits_for_its_handoff_waits_with_its_addendum(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Draft:
        raise CountersignError("the handoff cannot be made")

    office.bench.execute()
    office.at(5)
    with monkeypatch.context() as patch:
        patch.setattr("countersign.runs.steps.handoff_event", broken)
        run = office.bench.complete()
        assert events(run)[-2:] == ["workpaper", "failed"]
        office.look()
    assert office.breaches() == []
    office.bench.execute()
    office.bench.clock.move(minutes=2)
    office.look()
    (addendum,) = office.findings.addenda[run.run_id]
    assert addendum.finding in office.findings.by_id
    assert office.faults() == []


def test_many_overdue_runs_need_few_open_files(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [office.bench.execute(payload_with(id=f"CHG-{number}")) for number in range(40)]
    office.at(5)
    monkeypatch.setattr("countersign.findings.watch.AT_ONCE", 8)
    limits, open_now = resource.getrlimit(resource.RLIMIT_NOFILE), len(list(Path("/dev/fd").iterdir()))
    resource.setrlimit(resource.RLIMIT_NOFILE, (open_now + 30, limits[1]))
    try:
        office.look()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert [events(run).count("breached") for run in runs] == [1] * 40
    assert len(office.bench.registered("breached")) == len(office.findings.by_id) == 40
    assert office.faults() == []


def test_nobody_writes_into_a_run_that_is_held_and_its_breach_is_a_finding(office: Office) -> None:
    run = office.bench.execute()
    log = office.engine.log_of(DAY, run.run_id)
    log.hold("held: its log could not be made durable")
    before = log.path.read_bytes()
    office.at(5)
    office.look()
    assert [subject for subject, _, _ in office.breaches()] == [REVIEW]
    assert log.path.read_bytes() == before


def test_findings_that_are_not_what_they_were_fail_the_check_and_get_no_more_lines(office: Office) -> None:
    run = office.bench.execute()
    office.at(5)
    office.look()
    logs = every_log_verifies(office.engine)
    assert with_findings(office.engine, logs) is logs
    findings = office.engine.root.findings
    findings.write_bytes(b"".join(findings.read_bytes().splitlines(keepends=True)[:-1]))
    judgement = with_findings(office.engine, logs)
    assert (judgement.passed, "SEV-1" in judgement.says) == (False, True)
    assert [said.split(":")[0] for _, said in judgement.rows] == ["findings_cut", "finding_missing"]
    log_of(run).unlink()
    assert incidents(office) == []


def test_a_pause_of_a_clock_beyond_the_calendar_is_no_guess_either(office: Office) -> None:
    office.bench.clock.now = MONDAY.replace(year=2032, month=12, day=31, hour=21)
    run = office.bench.execute(payload_with(deployed_at="2032-12-30T10:00:00Z"))
    office.pause(run)
    office.look()
    assert office.clocks(run)[REVIEW].deadline is None


def opened(run_id: str, at: str, *, supersedes: str | None = None, trace: Any = None) -> list[Any]:
    digest = run_id[-16:] * 4
    opening = Opening(
        run_id, digest, run_id, "billing", "standard", DAY, "inbox", "submitted", supersedes, "c" * 64, trace
    )
    return [opening.draft(), Pause(run_id, "1" * 64, "AWAITING_APPROVAL", REVIEW, None, False, (), at).draft()]


def test_of_two_clocks_that_are_taken_over_the_earlier_start_counts(root: Path) -> None:
    """A corrected record takes over its own earlier run and the one of its deployment."""
    place = EvidenceRoot(root)
    place.create()
    register = Register(place)
    first, second, third = (f"change-{number:016x}" for number in (1, 2, 3))
    register.append_many([*opened(first, stamp(AT)), *opened(second, "2026-11-20T10:00:00.000000Z")])
    opening, pause = opened(third, "2026-11-25T10:00:00.000000Z", supersedes=first)
    taken: dict[str, Any] = {
        "given": None,
        "revisions": [],
        "deployed": True,
        "deployments": [],
        "without_change": False,
    }
    opening.data["trace"] = {**taken, "takes_over": [second]}
    register.append_many([opening, pause])
    index = Index(place, register)
    index.sync()
    ends = {run: index.clocks.of_run(run)[0] for run in (first, second, third)}
    assert [ends[run].taken_over_by for run in (first, second, third)] == [third, third, None]
    assert ends[third].started_at == ends[second].started_at < ends[first].started_at
    assert [one.run_id for one in index.clocks.running()] == [third]


def test_a_whole_log_whose_gate_decision_does_not_follow_is_an_incident_too(office: Office) -> None:
    """A chain alone would not show it: only what a verification decides again does."""
    run, root = office.bench.execute(), office.engine.root
    known = office.engine.index.runs([run.run_id]).values()
    once, twice = (
        record_faults(root, office.engine.current, {run.run_id: "gate_forged"}, known, clock=office.bench.clock)
        for _ in range(2)
    )
    assert once == twice == list(office.findings.by_id)
    assert (
        office.findings.by_id[once[0]].what.subject == f"audit_log, gate_forged, at {AuditLog(log_of(run)).head[:16]}"
    )
