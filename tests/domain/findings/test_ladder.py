"""Who is told what, and when: the ladder as tables."""

from datetime import UTC, datetime, timedelta

import pytest

from countersign.clocks.allowance import ClockKind
from countersign.findings.finding import NOBODY, Finding, Findings, Notice, Outcome
from countersign.findings.ladder import OpenClock, Rung, Step, clock_step, due_steps, finding_step
from tests.domain.findings.conftest import BREACHED, RUN, SETTINGS, occurrence

DETECTED = BREACHED + timedelta(minutes=5)
CLOCK = OpenClock(
    RUN,
    ClockKind.INDEPENDENT_REVIEW,
    "reviewer",
    half_at=datetime(2026, 11, 23, 15, tzinfo=UTC),
    three_quarters_at=datetime(2026, 11, 23, 16, tzinfo=UTC),
    deadline=BREACHED,
)
CHANNELS = {"control_owner": ["mail", "chat"], "reviewer": ["mail"], "process_owner": ["mail"]}


@pytest.mark.parametrize(
    ("at", "rung"),
    [
        ("14:59:59", None),
        ("15:00:00", Rung.HALF),
        ("15:59:59", Rung.HALF),
        ("16:00:00", Rung.THREE_QUARTERS),
        ("17:00:00", Rung.THREE_QUARTERS),
        ("17:00:01", None),
    ],
)
def test_a_running_clock_warns_who_is_due_at_half_and_three_quarters(at: str, rung: Rung | None) -> None:
    step = clock_step(CLOCK, datetime.fromisoformat(f"2026-11-23T{at}+00:00"))
    assert (step and (step.rung, step.to)) == (rung and (rung, "reviewer"))


def fresh() -> Finding:
    return Finding(occurrence(), DETECTED)


def notices(*steps: Step, outcome: Outcome | None = Outcome.SENT) -> dict[str, dict[str, Notice]]:
    return {step.id: {"mail": Notice(1, DETECTED, outcome)} for step in steps}


def rung_at(hours: float, told: dict[str, dict[str, Notice]]) -> tuple[Rung, int, str]:
    step = finding_step(fresh(), SETTINGS, DETECTED + timedelta(hours=hours), told)
    assert step is not None
    return step.rung, step.number, step.to


FIRST = finding_step(fresh(), SETTINGS, DETECTED, {})
assert FIRST is not None


@pytest.mark.parametrize(
    ("hours", "stands"),
    [
        (0, (Rung.FIRST, 0, "control_owner")),
        (3.99, (Rung.FIRST, 0, "control_owner")),
        (4, (Rung.AGAIN, 1, "control_owner")),
        (8, (Rung.AGAIN, 2, "control_owner")),
        (12, (Rung.RAISED, 3, "process_owner")),
        (72, (Rung.RAISED, 18, "process_owner")),
    ],
)
def test_a_finding_climbs_while_nobody_takes_it_on(hours: float, stands: tuple[Rung, int, str]) -> None:
    assert FIRST is not None
    assert rung_at(hours, notices(FIRST)) == stands


@pytest.mark.parametrize("hours", [0, 4, 72])
def test_the_first_rung_is_never_left_out(hours: float) -> None:
    assert rung_at(hours, {}) == (Rung.FIRST, 0, "control_owner")


def test_whoever_may_not_have_been_told_is_told_by_the_next_rung_at_once() -> None:
    assert FIRST is not None
    assert rung_at(0, notices(FIRST, outcome=Outcome.UNKNOWN)) == (Rung.AGAIN, 1, "control_owner")
    assert rung_at(0.16, notices(FIRST, outcome=None)) == (Rung.FIRST, 0, "control_owner")
    assert rung_at(0.17, notices(FIRST, outcome=None)) == (Rung.AGAIN, 1, "control_owner")


def test_a_channel_that_always_breaks_does_not_make_a_finding_climb() -> None:
    assert FIRST is not None
    told = notices(FIRST, outcome=Outcome.UNKNOWN)
    second = finding_step(fresh(), SETTINGS, DETECTED, told)
    assert second is not None
    assert rung_at(3.9, told | notices(second, outcome=Outcome.UNKNOWN)) == (Rung.AGAIN, 1, "control_owner")


def test_without_anybody_above_the_owner_is_told_again() -> None:
    finding = Finding(occurrence(owner="process_owner"), DETECTED)
    first = finding_step(finding, SETTINGS, DETECTED, {})
    assert first is not None
    step = finding_step(finding, SETTINGS, DETECTED + timedelta(hours=40), notices(first))
    assert step is not None
    assert (step.rung, step.number, step.to) == (Rung.AGAIN, 10, "process_owner")


def test_who_takes_a_finding_on_is_left_in_peace() -> None:
    finding = fresh()
    finding.acknowledged_by["control-owner"] = DETECTED
    assert finding_step(finding, SETTINGS, DETECTED + timedelta(hours=4), {}) is None


def test_steps_have_ids_of_their_own_that_repeat() -> None:
    def ids() -> list[str]:
        told: dict[str, dict[str, Notice]] = {}
        found = []
        for hours in (0, 4, 8, 12, 16):
            step = finding_step(fresh(), SETTINGS, DETECTED + timedelta(hours=hours), told)
            assert step is not None
            told |= notices(step)
            found.append(step.id)
        for at in (CLOCK.half_at, CLOCK.three_quarters_at):
            warning = clock_step(CLOCK, at)
            assert warning is not None
            found.append(warning.id)
        return found

    assert ids() == ids()
    assert len(set(ids())) == 7


def test_a_step_says_what_to_do_and_nothing_confidential() -> None:
    assert FIRST is not None
    assert FIRST.title == f"[SEV-3] breach of independent_review of {RUN}"
    assert f"countersign finding acknowledge {occurrence().id} --as PERSON" in FIRST.body
    assert "since 2026-11-23T17:00:00.000000Z" in FIRST.body


def due(findings: Findings, now: datetime, channels: dict[str, list[str]] = CHANNELS) -> list[str]:
    return [step.rung for step in due_steps([CLOCK], findings, SETTINGS, channels, now)]


SENT, BEING_SENT = Notice(1, DETECTED, Outcome.SENT), Notice(1, DETECTED, None)


def failed(times: int) -> Notice:
    return Notice(times, DETECTED, Outcome.FAILED)


# name: (what came of the first rung by channel, minutes since, whether it is due)
TOLD: dict[str, tuple[dict[str, Notice], float, bool]] = {
    "nobody_yet": ({}, 0, True),
    "one_channel_of_two": ({"mail": SENT}, 0, True),
    "both": ({"mail": SENT, "chat": SENT}, 0, False),
    "being_sent": ({"mail": BEING_SENT, "chat": BEING_SENT}, 9.9, False),
    "failed_just_now": ({"mail": SENT, "chat": failed(1)}, 0.9, False),
    "failed_a_minute_ago": ({"mail": SENT, "chat": failed(1)}, 1, True),
    "failed_thrice": ({"mail": failed(3), "chat": failed(3)}, 3.9, False),
    "failed_thrice_a_while_ago": ({"mail": failed(3), "chat": failed(3)}, 4, True),
    "failed_for_ever": ({"mail": failed(90), "chat": failed(90)}, 60, True),
}


@pytest.mark.parametrize("case", TOLD)
def test_a_step_is_due_while_a_channel_has_not_taken_it(case: str) -> None:
    told, minutes, expected = TOLD[case]
    assert FIRST is not None
    findings = Findings({occurrence().id: fresh()}, {FIRST.id: told} if told else {})
    assert due(findings, DETECTED + timedelta(minutes=minutes)) == ([Rung.FIRST] if expected else [])


def test_a_role_without_a_route_is_put_on_record_once() -> None:
    assert FIRST is not None
    findings = Findings({occurrence().id: fresh()})
    assert due(findings, DETECTED, {}) == [Rung.FIRST]
    findings.notices[FIRST.id] = {NOBODY: Notice(0, DETECTED, Outcome.NO_ROUTE)}
    assert due(findings, DETECTED, {}) == []


def test_findings_go_before_warnings() -> None:
    findings = Findings({occurrence().id: fresh()})
    assert due(findings, CLOCK.half_at) == [Rung.FIRST, Rung.HALF]
