"""Clocks read off real runs: started, stopped, breached, taken over, paused and closed, whoever looks and whenever.

The clock of the tests stands at Monday 2026-11-23 09:00 in New York; reviews have 4 business hours, approvals a day.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import pytest

from countersign.clocks.instant import from_micros, stamp
from countersign.errors import ClockRefused, FindingRefused, UnknownRunError
from countersign.evidence.chain import Writer
from countersign.evidence.clock_index import NEVER
from countersign.evidence.indexed import Attainment, IndexedClock
from countersign.findings.chart import attainment_chart
from countersign.findings.desk import FindingDesk
from countersign.findings.disposal import Answer
from countersign.findings.due import due_now, no_clock_overdue
from countersign.findings.finding import Findings
from countersign.findings.log import FindingsLog
from countersign.findings.observation import ObservationReceipt, observe
from countersign.findings.occurrences import early_deletion, incomplete_population, integrity_incident
from countersign.findings.pausing import pause, resume
from countersign.findings.report import monthly, report
from countersign.findings.verification import check_findings
from countersign.findings.watch import Watch, Watched
from countersign.policy import Policy
from countersign.runs.run import RunResult
from countersign.runs.workpaper import workpaper_document
from tests.conftest import Counted, StepClock, payload_with
from tests.domain.runs.conftest import Bench, events

REVIEW, APPROVAL, OBSERVATION = "independent_review", "maker_checker", "exception_observation"
MONDAY = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)
# an approval that names no change the gate knows: the claim has no quote, so the gate blocks it
UNGROUNDED = [{"control": "ITGC-CM-01", "text": "Approved.", "evidence": "approval", "quote": "never said"}]
LATE_APPROVAL = {"text": "CHG-1001 approved for deployment.", "at": "2026-11-20T11:00:00Z"}


@pytest.fixture
def bench(root: Any, policy: Policy, clock: StepClock, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(root, policy, clock)


class Office:
    """A bench whose clocks are watched."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    @property
    def engine(self) -> Any:
        return self.bench.run.engine

    @property
    def log(self) -> FindingsLog:
        return FindingsLog(self.engine.root, clock=self.bench.clock, entropy=Counted())

    @property
    def findings(self) -> Findings:
        return self.log.read()

    def observe(self, run: RunResult, *words: str) -> ObservationReceipt:
        return observe(self.engine, run.run_id, *words)

    def pause(self, run: RunResult, kind: str = REVIEW, who: str = "control-owner", why: str = "flooded") -> None:
        pause(self.engine, run.run_id, kind, who, why)

    def resume(self, run: RunResult, kind: str = REVIEW, who: str = "control-owner", why: str = "dry again") -> None:
        resume(self.engine, run.run_id, kind, who, why)

    def faults(self) -> list[str]:
        """What `verify` finds, by name."""
        return [*self.bench.kinds(), *(fault.kind for fault in check_findings(self.engine.root))]

    def look(self) -> Watched:
        return Watch(self.engine, self.log).look()

    def clocks(self, run: RunResult) -> dict[str, IndexedClock]:
        self.engine.index.sync()
        found = self.engine.index.clocks.of_run(run.run_id)
        return {f"{clock.kind} {clock.about}".strip(): clock for clock in found}

    def breaches(self) -> list[tuple[str, str, str]]:
        """Subject, run and instant of every finding."""
        return [
            (one.what.subject, one.what.run_id or "", stamp(one.what.breached_at)[:19])
            for one in self.findings.by_id.values()
        ]

    def at(self, hours: float) -> None:
        """Move to so many hours after the test began."""
        self.bench.clock.now = MONDAY + timedelta(hours=hours)


@pytest.fixture
def office(bench: Bench) -> Office:
    return Office(bench)


def blocked_payload(number: int = 1) -> dict[str, Any]:
    payload = payload_with(id=f"CHG-{number}", assertions=UNGROUNDED)
    payload["evidence"]["approval"]["text"] = f"CHG-{number} approved for deployment."
    return payload


def excepted_payload() -> dict[str, Any]:
    """Approved an hour after it was deployed."""
    payload = payload_with()
    payload["evidence"]["approval"] |= LATE_APPROVAL
    return payload


def test_a_review_clock_starts_at_the_handoff_and_stops_when_the_register_has_the_sign_off(office: Office) -> None:
    run = office.bench.execute()
    clock = office.clocks(run)[REVIEW]
    assert run.state is not None
    assert from_micros(clock.started_at) == run.state.requests[next(iter(run.state.requests))].at
    office.look()
    started = office.clocks(run)[REVIEW]
    course = (started.half_at, started.three_quarters_at, started.deadline)
    assert [stamp(from_micros(at or 0))[11:16] for at in course] == ["16:00", "17:00", "18:00"]
    assert started.next_at == started.half_at
    office.at(1)
    office.bench.sign(run, REVIEW, "reviewer")
    office.bench.execute()
    office.look()
    closed = office.clocks(run)
    (line,) = office.bench.registered("signed_off")
    assert stamp(from_micros(closed[REVIEW].stopped_at or 0)) == line["ts"]
    assert (closed[REVIEW].closed, closed[REVIEW].breached_at, closed[APPROVAL].closed) == (True, None, False)


def test_a_closed_clock_keeps_answer_and_versions_in_the_register(office: Office) -> None:
    office.bench.complete()
    office.look()
    lines = office.bench.registered("clock_closed")
    assert [(line["kind"], line["breached_at"]) for line in lines] == [(REVIEW, None), (APPROVAL, None)]
    manifest = office.engine.current.configuration.manifest
    for line in lines:
        assert (line["calendar"], line["policy"]) == (manifest["calendar"], manifest["policy"])
        assert line["tzdata"].startswith("20")
        assert line["started_at"] < line["stopped_at"] < line["deadline"]
    assert not office.look().did_something


def test_a_breach_happens_when_it_happens_however_late_somebody_looks(office: Office) -> None:
    run = office.bench.execute()
    office.at(72)
    office.look()
    assert office.breaches() == [
        (REVIEW, run.run_id, "2026-11-23T18:00:00"),
        (f"{OBSERVATION} of breach of {REVIEW}", run.run_id, "2026-11-24T18:00:00"),
    ]
    finding, _ = office.findings.by_id.values()
    assert (finding.what.owner, finding.what.barred) == (
        "control_owner", ("reviewer", "second-reviewer", "second-checker", "maker", "deployer")
    )  # fmt: skip
    line, _ = office.bench.registered("breached")
    assert (line["finding"], line["deadline"][:19]) == (finding.what.id, "2026-11-23T18:00:00")
    assert events(run)[-2:] == ["breached", "breached"]
    assert office.faults() == []
    assert not office.look().did_something


@pytest.mark.parametrize(("late", "found"), [(0, []), (0.002, [REVIEW])], ids=["on time", "just after"])
def test_stopping_exactly_at_the_deadline_is_met(office: Office, late: float, found: list[str]) -> None:
    run = office.bench.execute()
    office.look()
    deadline = from_micros(office.clocks(run)[REVIEW].deadline or 0)
    office.bench.sign(run, REVIEW, "reviewer")
    (line,) = office.bench.registered("signed_off")
    # the line as it would be had it been written just then
    moved = office.bench.register.read_bytes().replace(
        line["ts"].encode(), stamp(deadline + timedelta(seconds=late)).encode()
    )
    office.bench.register.write_bytes(moved)
    office.bench.forget_index()
    office.bench.fresh()
    office.at(5)
    office.look()
    assert [subject for subject, _, _ in office.breaches()] == found


def test_a_late_sign_off_closes_no_finding_and_the_workpaper_says_late(office: Office) -> None:
    run = office.bench.execute()
    office.at(5)
    office.bench.sign(run, REVIEW, "reviewer")
    office.look()
    done = office.bench.complete()
    assert done.state is not None
    assert [breach.clock for breach in done.state.breaches] == [REVIEW]
    document = workpaper_document(done.state)
    (finding,) = office.findings.open()
    assert (document["clean"], document["conclusion"]) == (False, "Late: independent_review")
    assert document["breaches"] == [
        {"clock": REVIEW, "about": "", "breached_at": stamp(finding.what.breached_at), "finding": finding.what.id}
    ]
    (row, *_) = office.bench.registered("clock_closed")
    assert row["breached_at"][:19] == "2026-11-23T18:00:00"
    assert office.faults() == []


def test_a_breach_that_comes_to_light_after_the_handoff_is_an_addendum(office: Office) -> None:
    office.bench.execute()
    office.at(5)
    run = office.bench.complete()
    before = events(run)
    office.look()
    assert events(run) == before
    (addendum,) = office.findings.addenda[run.run_id]
    assert (addendum.finding, addendum.to) == (next(iter(office.findings.by_id)), ("observer",))
    assert office.bench.registered("breached")[0].get("head") is None
    assert office.faults() == []
    assert not office.look().did_something


def test_a_breach_changes_nothing_else_about_a_run_that_failed(office: Office) -> None:
    run = office.bench.execute()
    office.at(5)
    office.look()
    again = office.bench.execute()
    assert (again.status, again.pending, again.reason) == (run.status, run.pending, run.reason)


def test_an_observer_has_a_clock_for_a_block_an_exception_and_a_breach(office: Office) -> None:
    blocked, excepted = office.bench.execute(blocked_payload()), office.bench.execute(excepted_payload())
    office.look()
    assert list(office.clocks(blocked)) == [f"{OBSERVATION} block"]
    assert set(office.clocks(excepted)) == {f"{OBSERVATION} exception", REVIEW}
    office.at(5)
    office.look()
    started = office.clocks(excepted)[f"{OBSERVATION} breach of {REVIEW}"]
    assert stamp(from_micros(started.started_at))[:19] == "2026-11-23T18:00:00"
    office.at(100)
    office.look()
    kinds = {(one.what.kind.value, one.what.subject): one.what.severity.value for one in office.findings.by_id.values()}
    assert kinds == {
        ("block", "gate"): "SEV-3",
        ("control_exception", "controls"): "SEV-3",
        ("sla_breach", REVIEW): "SEV-3",
        ("sla_breach", f"{OBSERVATION} of block"): "SEV-2",
        ("sla_breach", f"{OBSERVATION} of exception"): "SEV-3",
        ("sla_breach", f"{OBSERVATION} of breach of {REVIEW}"): "SEV-3",
    }


def test_who_made_a_blocked_change_disposes_of_nothing(office: Office) -> None:
    office.bench.execute(blocked_payload())
    office.look()
    (finding,) = office.findings.by_id.values()
    assert finding.what.barred == ("maker", "deployer")


def test_an_owner_who_made_the_change_disposes_of_no_finding_in_it(office: Office) -> None:
    """Under an address that the roster does not have, too: only the log, as it is at the disposal, can tell."""
    office.bench.execute(payload_with(author="Example Control Owner <private@example.com>", id="CHG-1"))
    office.at(5)
    office.look()
    (finding_id,) = office.findings.by_id
    desk = FindingDesk(office.bench.root, clock=office.bench.clock)
    with pytest.raises(FindingRefused, match="the author of this change"):
        desk.dispose(finding_id, "control-owner", Answer("nothing to see"))
    assert desk.dispose(finding_id, "process-owner", Answer("the reviewer was ill")).disposed


def test_the_third_block_of_a_source_within_a_week_is_sev_2(office: Office) -> None:
    for number in range(1, 5):
        office.bench.execute(blocked_payload(number))
        office.bench.clock.move(days=4 if number == 1 else 1)
        office.look()
    blocks = [one.what.severity.value for one in office.findings.by_id.values() if one.what.kind == "block"]
    assert blocks == ["SEV-3", "SEV-3", "SEV-2", "SEV-2"]


def test_an_observation_stops_every_observation_clock_of_a_run(office: Office) -> None:
    run = office.bench.execute(blocked_payload())
    receipt = office.observe(run, "observer", "noted", "seen, the claim was wrong")
    assert (receipt.stopped, receipt.repeated) == (("block",), False)
    office.look()
    assert office.clocks(run)[f"{OBSERVATION} block"].closed
    again = office.observe(run, "observer", "noted", "seen, the claim was wrong")
    assert (again.stopped, again.repeated) == ((), True)
    assert len(office.bench.registered("observed")) == 1
    (said,) = office.findings.observations[run.run_id]
    assert (said.by, said.outcome, said.reason) == ("observer", "noted", "seen, the claim was wrong")


@pytest.mark.parametrize(
    ("who", "outcome", "reason", "says"),
    [
        ("reviewer", "noted", "seen", "does not have the role 'observer'"),
        ("passer-by", "noted", "seen", "is not on the roster"),
        ("observer", "fine", "seen", "unknown outcome 'fine'"),
        ("observer", "noted", " ", "an observation needs a reason"),
    ],
)
def test_an_observation_that_is_refused_writes_nothing(
    office: Office, who: str, outcome: str, reason: str, says: str
) -> None:
    run = office.bench.execute(blocked_payload())
    before = office.bench.contents()
    with pytest.raises(ClockRefused, match=says):
        office.observe(run, who, outcome, reason)
    assert office.bench.contents() == before


def test_who_made_a_change_does_not_observe_it(office: Office) -> None:
    run = office.bench.execute(blocked_payload() | {"author": "observer@example.com"})
    with pytest.raises(ClockRefused, match="the author of this change"):
        office.observe(run, "observer", "noted", "seen")
    with pytest.raises(UnknownRunError):
        observe(office.engine, "change-0000000000000000", "observer", "noted", "seen")


def corrected() -> dict[str, Any]:
    return payload_with(summary="Raise the invoice limit, corrected")


def test_a_corrected_run_takes_over_the_clock_with_its_start(office: Office) -> None:
    first = office.bench.execute()
    office.look()
    office.at(1)
    office.pause(first)
    office.at(2)
    second = office.bench.execute(corrected())
    assert second.state is not None
    assert second.state.supersedes == first.run_id
    old, new = office.clocks(first)[REVIEW], office.clocks(second)[REVIEW]
    assert (old.closed, old.taken_over_by, new.started_at) == (True, second.run_id, old.started_at)
    office.resume(second)
    office.at(6)
    office.look()
    assert office.breaches() == [(REVIEW, second.run_id, "2026-11-23T19:00:00")]


def test_a_clock_that_was_late_when_it_was_taken_over_stays_the_one_finding(office: Office) -> None:
    first = office.bench.execute()
    office.at(5)
    office.look()
    second = office.bench.execute(corrected())
    office.look()
    assert office.breaches() == [(REVIEW, first.run_id, "2026-11-23T18:00:00")]
    assert events(second)[-1] == "breached"
    assert [line["carried"] for line in office.bench.registered("breached")] == [False, True]
    done = office.bench.complete(corrected())
    assert done.state is not None
    assert not workpaper_document(done.state)["clean"]
    assert office.faults() == []


def test_what_was_noticed_of_a_replaced_run_stays_with_the_observer(office: Office) -> None:
    first = office.bench.execute(blocked_payload())
    payload = blocked_payload()
    del payload["assertions"]
    second = office.bench.execute(payload)
    assert second.state is not None
    assert second.state.supersedes == first.run_id
    clock = office.clocks(first)[f"{OBSERVATION} block"]
    assert (clock.closed, clock.taken_over_by) == (False, None)
    assert office.observe(first, "observer", "challenged", "twice this week").stopped == ("block",)


def test_a_pause_puts_a_clock_off_and_is_on_record(office: Office) -> None:
    run = office.bench.execute()
    office.at(1)
    office.pause(run, REVIEW, "control-owner", "the system is down")
    office.look()
    assert office.clocks(run)[REVIEW].next_at == NEVER
    office.at(3)
    office.resume(run)
    office.at(5.9)
    office.look()
    assert office.breaches() == []
    office.at(6.1)
    office.look()
    assert office.breaches() == [(REVIEW, run.run_id, "2026-11-23T20:00:00")]
    ((stood_still,),) = office.engine.index.clocks.pauses([run.run_id]).values()
    assert (stood_still.by, stood_still.reason, stamp(from_micros(stood_still.begin))[:16]) == (
        "control-owner", "the system is down", "2026-11-23T15:00"
    )  # fmt: skip
    assert office.engine.index.clocks.pauses_between(0, stood_still.begin + 1) == [stood_still]


def after(hours: float) -> Callable[[Office], None]:
    return lambda office: office.at(hours)


def paused(office: Office) -> None:
    office.pause(office.bench.execute())


def recorded(office: Office) -> None:
    office.at(5)
    office.look()


@pytest.mark.parametrize(
    ("before", "kind", "who", "reason", "says"),
    [
        (after(0), REVIEW, "reviewer", "because", "waits for 'reviewer'"),
        (after(0), REVIEW, "process-owner", "because", "does not have the role 'control_owner'"),
        (after(0), REVIEW, "passer-by", "because", "is not on the roster"),
        (after(0), REVIEW, "control-owner", " ", "needs a reason"),
        (after(0), APPROVAL, "process-owner", "because", "does not run"),
        (after(0), "lunch", "control-owner", "because", "unknown clock"),
        (paused, REVIEW, "control-owner", "because", "stands still already"),
        (after(5), REVIEW, "control-owner", "because", "was breached"),
        (recorded, REVIEW, "control-owner", "because", "breached at 2026-11-23 18:00"),
    ],
)
def test_a_pause_that_is_refused(
    office: Office, before: Callable[[Office], None], kind: str, who: str, reason: str, says: str
) -> None:
    run = office.bench.execute()
    before(office)
    with pytest.raises(ClockRefused, match=says):
        office.pause(run, kind, who, reason)


def test_only_what_stands_still_goes_on(office: Office) -> None:
    run = office.bench.execute()
    with pytest.raises(ClockRefused, match="does not stand still"):
        office.resume(run)


def test_a_rebuilt_index_has_the_same_clocks(office: Office) -> None:
    run = office.bench.execute(blocked_payload())
    office.observe(run, "observer", "noted", "seen")
    first = office.bench.execute()
    office.at(1)
    office.pause(first)
    office.at(2)
    office.resume(first)
    second = office.bench.execute(corrected())
    office.at(20)
    office.look()
    office.bench.complete(corrected())
    office.look()

    def everything() -> list[Any]:
        runs = (run, first, second)
        return [office.clocks(one) for one in runs] + [office.engine.index.clocks.pauses([one.run_id for one in runs])]

    before = everything()
    office.engine.index.rebuild()
    office.look()
    assert everything() == before


def test_a_sign_off_whose_line_was_lost_stops_its_clock_when_the_run_goes_on(office: Office) -> None:
    run = office.bench.execute()
    office.bench.sign(run, REVIEW, "reviewer")
    office.bench.cut_register("signed_off")
    office.bench.fresh()
    office.bench.execute()
    assert office.clocks(run)[REVIEW].stopped_at is not None
    assert office.clocks(run)[APPROVAL].stopped_at is None


def test_no_clock_overdue_says_which_and_whose(office: Office) -> None:
    run = office.bench.execute()
    office.look()
    assert no_clock_overdue(office.engine).passed
    office.at(5)
    office.look()
    judgement = no_clock_overdue(office.engine)
    assert (judgement.passed, judgement.says) == (False, "1 clocks are overdue")
    ((where, said),) = judgement.rows
    assert where == run.run_id
    assert said.startswith("independent_review since 2026-11-23T18:00:00.0")  # four business hours after it was asked
    assert said.endswith("Z, due from reviewer: reviewer, second-reviewer, second-checker")
    office.bench.sign(run, REVIEW, "reviewer")
    office.engine.index.sync()
    assert no_clock_overdue(office.engine).passed


def test_a_tick_asks_only_for_clocks_whose_instant_has_come(office: Office) -> None:
    office.bench.execute()

    def due() -> int:
        return len(due_now(office.engine, Findings(), office.bench.clock.now).clocks)

    assert due() == 1
    office.look()
    assert due() == 0
    office.at(2.1)
    assert due() == 1


def test_a_clock_beyond_the_calendar_is_no_guess(office: Office, policy: Policy) -> None:
    """The calendar that ships ends with 2032."""
    office.bench.clock.now = datetime(2032, 12, 31, 21, 0, tzinfo=UTC)
    run = office.bench.execute(payload_with(deployed_at="2032-12-30T10:00:00Z"))
    office.look()
    assert office.clocks(run)[REVIEW].deadline is None
    assert no_clock_overdue(office.engine).rows[0] == (
        run.run_id,
        f"{REVIEW}: its deadline cannot be told: beyond the calendar, or its configuration is gone",
    )


class Crash(BaseException):
    """The process dies."""


@pytest.mark.parametrize("point", range(4), ids=["log", "findings", "findings_head", "breached"])
@pytest.mark.parametrize("written", [False, True], ids=["before", "after"])
def test_a_crash_around_any_write_of_a_look_loses_and_doubles_nothing(
    office: Office, monkeypatch: pytest.MonkeyPatch, point: int, written: bool
) -> None:
    run = office.bench.execute()
    office.at(5)
    commit, left = Writer.commit, [point]

    def dying(writer: Writer) -> str:
        left[0] -= 1
        if left[0] >= 0:
            return commit(writer)
        if written:
            commit(writer)
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(Writer, "commit", dying)
        with pytest.raises(Crash):
            office.look()
    office.bench.fresh()
    office.look()
    assert office.breaches() == [(REVIEW, run.run_id, office.breaches()[0][2])]
    assert events(run).count("breached") == len(office.bench.registered("breached")) == 1
    assert office.faults() == []
    assert not office.look().did_something


def test_the_report_counts_what_is_clean_and_whose_turn_it_is(office: Office) -> None:
    clean = office.bench.complete()
    office.bench.execute(blocked_payload())
    late = office.bench.execute(payload_with(id="CHG-77"))
    office.at(5)
    office.look()
    found = report(office.engine, office.findings)
    assert clean.status == "COMPLETED"
    assert (found.clean, found.issues, found.waiting) == (1, {"blocked": 1, "late": 1}, 0)
    assert {turn.role: (turn.running, turn.overdue) for turn in found.queue} == {"observer": (2, 0), "reviewer": (1, 1)}
    (observer,) = (turn for turn in found.queue if turn.role == "observer")
    assert observer.people == ("observer",)
    assert observer.next_due is not None
    assert {(one.kind, one.met, one.breached) for one in found.attainment} == {(REVIEW, 1, 1), (APPROVAL, 1, 0)}
    assert found.open_findings == {("control_owner", "SEV-3"): 1, ("process_owner", "SEV-3"): 1}
    month = monthly(office.engine, MONDAY.date())
    assert (month.month, month.pauses) == ("2026-11", ())
    assert late.run_id in office.engine.index.clocks.late_runs()


def test_a_chart_of_twelve_months_is_small_enough_to_be_shown_in_place() -> None:
    rows = [Attainment(f"2026-{month:02}", REVIEW, "standard", month, 1) for month in range(1, 13)]
    rows += [Attainment("2026-12", APPROVAL, "standard", 3, 0), Attainment("2025-12", REVIEW, "standard", 1, 0)]
    chart = ElementTree.fromstring(attainment_chart(rows))
    met, breached = (path.attrib["d"] for path in chart.iter("{http://www.w3.org/2000/svg}path"))
    assert met.startswith("M0 80v-32h28v32z")  # a half of the first of the last twelve
    assert met.endswith("M374 80v-60h28v60z")  # fifteen of sixteen
    assert met.count("M") == breached.count("M") == 12
    assert len(attainment_chart(rows)) < 720


def test_every_other_kind_of_finding_has_an_owner_and_a_severity(policy: Policy) -> None:
    found = [
        integrity_incident("change-0", "billing", "torn", ["maker"], MONDAY, policy),
        early_deletion("runs/2026/11/23", MONDAY, policy),
        incomplete_population(MONDAY.date(), "three runs of the register", MONDAY, policy),
    ]
    assert [(one.kind.value, one.severity.value, one.owner) for one in found] == [
        ("integrity_incident", "SEV-1", "control_owner"),
        ("early_deletion", "SEV-1", "control_owner"),
        ("incomplete_population", "SEV-2", "control_owner"),
    ]
    assert len({one.id for one in found}) == 3
