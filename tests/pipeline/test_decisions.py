"""The decision behind the sensors, as a table."""

from datetime import UTC, date, datetime, timedelta

import pytest

from sensors.decisions import FIRST_PAUSE, LONGEST_PAUSE, Attempts, Launch, Wait, decide, pause_after
from sensors.facts import Fact

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
FACT = Fact("f00d", (date(2026, 11, 23),), "new in inbox")


def ended(made: int, seconds_ago: int) -> Attempts:
    return Attempts(made, NOW - timedelta(seconds=seconds_ago))


@pytest.mark.parametrize(
    ("fact", "attempts", "answer"),
    [
        (None, Attempts(), Wait("nothing is pending")),
        (FACT, Attempts(), Launch(FACT, 1)),
        (FACT, Attempts(1, None, "r1"), Wait("new in inbox; run r1 is in progress")),
        (FACT, Attempts(0, None, "r0"), Wait("new in inbox; run r0 is in progress")),
        (FACT, ended(1, 9), Wait("new in inbox; attempt 2 is due at 2026-11-23T12:00:01+00:00")),
        (FACT, ended(1, 10), Launch(FACT, 2)),
        (FACT, ended(3, 39), Wait("new in inbox; attempt 4 is due at 2026-11-23T12:00:01+00:00")),
        (FACT, ended(3, 40), Launch(FACT, 4)),
        (FACT, ended(50, 3599), Wait("new in inbox; attempt 51 is due at 2026-11-23T12:00:01+00:00")),
        (FACT, ended(50, 3600), Launch(FACT, 51)),
    ],
    ids=[
        "nothing",
        "a fresh fact",
        "its own run goes on",
        "the run of another fact goes on",
        "first pause lasts",
        "first pause is over",
        "third pause lasts",
        "third pause is over",
        "longest pause lasts",
        "longest pause is over",
    ],
)
def test_a_pending_fact_is_launched_once_nothing_runs_and_the_pause_is_over(
    fact: Fact | None, attempts: Attempts, answer: Launch | Wait
) -> None:
    assert decide(fact, attempts, NOW) == answer


def test_a_run_key_names_the_fact_and_the_attempt() -> None:
    assert Launch(FACT, 3).run_key == "f00d:3"


def test_the_pause_doubles_from_ten_seconds_to_an_hour() -> None:
    assert [pause_after(made) / FIRST_PAUSE for made in (0, 1, 2, 3, 4)] == [1, 1, 2, 4, 8]
    assert pause_after(10_000) == LONGEST_PAUSE == timedelta(hours=1)
