"""How a clock stands; what always holds of deadlines; and the same deadlines found by walking."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from countersign.clocks.allowance import Allowance, Pause, Unit
from countersign.clocks.business import SECOND, BusinessTime, to_datetime, to_instants
from countersign.clocks.calendar import Calendar
from countersign.clocks.clock import Course, course, deadline, deadlines, shares_used, time_left
from countersign.clocks.instant import from_micros, to_micros
from countersign.errors import CalendarError
from tests.domain.clocks.offices import KOLKATA, LONDON, NEW_YORK, NEW_YORK_EARLY, NEW_YORK_NIGHTS, at, calendar, shown
from tests.domain.clocks.stepping import calendars, cases, differences

FOUR = Allowance(4, Unit.BUSINESS_HOURS)
DAY = Allowance(1, Unit.BUSINESS_DAYS)
START = at(NEW_YORK, "2026-11-20 16:00")
DUE = at(NEW_YORK, "2026-11-23 12:00")
SECOND_LATER = timedelta(seconds=1)


def pause(begin: str, end: str | None) -> Pause:
    return Pause(at(NEW_YORK, begin), at(NEW_YORK, end) if end else None, "waiting for the vendor", "control-owner")


def seen(now: datetime, pauses: Sequence[Pause] = (), *, stopped: datetime | None = None) -> Course:
    """Four business hours from Friday 16:00 on, as they are seen at an instant."""
    spans = [(to_micros(one.begin), None if one.end is None else to_micros(one.end)) for one in pauses]
    end = None if stopped is None else to_micros(stopped)
    return course(NEW_YORK, FOUR, to_micros(START), spans, stopped=end, now=to_micros(now))


def breached(its: Course, now: datetime, stopped: datetime | None = None) -> bool:
    return its.breached(None if stopped is None else to_micros(stopped), to_micros(now))


def test_stopped_at_the_deadline_is_met_and_a_microsecond_later_is_breached() -> None:
    for stopped, late in ((DUE, False), (DUE + timedelta(microseconds=1), True)):
        its = seen(DUE + timedelta(days=1), stopped=stopped)
        assert (from_micros(its.deadline), breached(its, DUE + timedelta(days=1), stopped)) == (DUE, late)


def test_a_clock_that_was_met_stays_so() -> None:
    stopped = at(NEW_YORK, "2026-11-23 10:30")
    for now in (stopped, stopped + timedelta(days=1), stopped + timedelta(days=300)):
        assert not breached(seen(now, stopped=stopped), now, stopped)


def test_a_running_clock_counts_down_in_business_time() -> None:
    for now, left in (
        ("2026-11-20 16:00", 4),
        ("2026-11-20 16:30", 3.5),
        ("2026-11-20 23:00", 3),
        ("2026-11-22 12:00", 3),
        ("2026-11-23 11:00", 1),
        ("2026-11-23 12:00", 0),
        ("2026-11-23 14:00", 0),
    ):
        assert time_left(NEW_YORK, FOUR, DUE, at(NEW_YORK, now)) == timedelta(hours=left), now


def test_elapsed_hours_count_down_by_night() -> None:
    allowance, start = Allowance(4, Unit.HOURS), at(NEW_YORK, "2026-11-20 22:00")
    due = deadline(NEW_YORK, allowance, start)
    assert shown(NEW_YORK, due) == "Sat 2026-11-21 02:00"
    assert time_left(NEW_YORK, allowance, due, at(NEW_YORK, "2026-11-21 00:30")) == timedelta(hours=1.5)


@pytest.mark.parametrize("days", [0, 3, 3000])
def test_a_breach_happens_when_it_happens_whoever_looks_and_whenever(days: int) -> None:
    """Even when the calendar is long over."""
    now = DUE + SECOND_LATER + timedelta(days=days)
    assert (from_micros(seen(now).deadline), breached(seen(now), now)) == (DUE, True)
    assert time_left(NEW_YORK, FOUR, DUE, now) == timedelta(0)


def test_a_pause_that_lasts_holds_the_clock() -> None:
    """The deadline is the one that would stand if it ended now, and moves on; nothing is breached meanwhile."""
    waiting = [pause("2026-11-23 10:00", None)]
    for text, due in (
        ("2026-11-23 10:00", "Mon 2026-11-23 12:00"),
        ("2026-11-23 11:00", "Mon 2026-11-23 13:00"),
        ("2026-11-24 17:00", "Wed 2026-11-25 11:00"),
    ):
        now = at(NEW_YORK, text)
        its = seen(now, waiting)
        assert (its.paused, shown(NEW_YORK, from_micros(its.deadline)), breached(its, now)) == (True, due, False)
        assert time_left(NEW_YORK, FOUR, from_micros(its.deadline), now) == timedelta(hours=2)


def test_a_pause_that_is_over_has_put_the_deadline_off() -> None:
    over = [pause("2026-11-23 10:00", "2026-11-23 11:00")]
    its = seen(at(NEW_YORK, "2026-11-23 12:30"), over)
    assert (from_micros(its.deadline), its.paused) == (DUE + timedelta(hours=1), False)
    later = DUE + timedelta(hours=1, seconds=1)
    assert breached(seen(later, over), later)


def test_what_was_recorded_after_the_stop_does_not_count() -> None:
    stopped = at(NEW_YORK, "2026-11-23 10:30")
    its = seen(DUE, [pause("2026-11-23 10:31", None)], stopped=stopped)
    assert (from_micros(its.deadline), its.paused) == (DUE, False)


def test_a_pause_that_lasted_when_the_clock_was_stopped_counts_until_then() -> None:
    stopped = at(NEW_YORK, "2026-11-23 10:30")
    its = seen(DUE, [pause("2026-11-23 10:00", None)], stopped=stopped)
    assert (from_micros(its.deadline), its.paused) == (DUE + timedelta(minutes=30), False)


@pytest.mark.parametrize("end", [None, "2027-01-04 09:00"])
def test_a_pause_never_unbreaches(end: str | None) -> None:
    late = at(NEW_YORK, "2026-11-23 12:30")
    after = Pause(late, at(NEW_YORK, end) if end else None, "too late", "control-owner")
    its = seen(late + SECOND_LATER, [after])
    assert (from_micros(its.deadline), its.paused, breached(its, late + SECOND_LATER)) == (DUE, False, True)


@pytest.mark.parametrize("end", [None, "2026-11-23 09:59"])
def test_a_deadline_is_not_computed_over_a_pause_that_is_not_one(end: str | None) -> None:
    with pytest.raises(ValueError, match="is not one that is over"):
        deadline(NEW_YORK, FOUR, START, [pause("2026-11-23 10:00", end)])


@pytest.mark.parametrize("value", [0, -1, 1_000_001])
def test_an_allowance_is_a_sensible_number(value: int) -> None:
    with pytest.raises(ValueError, match="between 1 and"):
        Allowance(value, Unit.HOURS)


# name: (start, allowance, what the message says)
OUTSIDE = {
    "before": ("2025-12-31 23:59", FOUR, "2026-01-01T04:59:00Z lies outside the business calendar US 2026-2032"),
    "after": ("2033-01-01 00:01", DAY, "2033-01-01T05:01:00Z lies outside"),
    "hours_too_late": ("2032-12-30 16:00", FOUR, "the deadline lies after the end of the business calendar"),
    "day_too_late": ("2032-12-30 16:00", DAY, "the deadline lies after the end of"),
    "no_opening_left": ("2032-12-31 10:00", DAY, "which covers 2026 to 2032 in America/New_York; add the years"),
}


@pytest.mark.parametrize("case", OUTSIDE)
def test_beyond_the_calendar_nothing_is_guessed(case: str) -> None:
    """31 December 2032 is a holiday, so Thursday 30 is the last business day."""
    start, allowance, says = OUTSIDE[case]
    with pytest.raises(CalendarError) as refusal:
        deadline(NEW_YORK, allowance, at(NEW_YORK, start))
    assert says in str(refusal.value)


def test_one_clock_beyond_the_calendar_is_named_among_many() -> None:
    starts = to_instants(START, at(NEW_YORK, "2040-06-01 10:00"))
    with pytest.raises(CalendarError, match="2040-06-01T14:00:00Z"):
        deadlines(NEW_YORK, FOUR, starts)


def test_elapsed_hours_ask_no_calendar_but_end_with_the_years_there_are() -> None:
    assert deadline(NEW_YORK, Allowance(1, Unit.HOURS), datetime(2050, 1, 1, tzinfo=UTC)).hour == 1
    with pytest.raises(CalendarError, match="after the year 9999"):
        deadline(NEW_YORK, Allowance(1, Unit.HOURS), datetime(9999, 12, 31, 23, 30, tzinfo=UTC))


def test_a_calendar_of_holidays_only_has_no_deadlines() -> None:
    days = [{"date": f"2026-{month:02}-01", "name": "closed"} for month in range(1, 13)]
    made = BusinessTime(calendar(last_year=2026, hours={"friday": ["09:00-10:00"]}, holidays=[
        *days, *({"date": str(day), "name": "closed"} for day in calendar(last_year=2026).days()),
    ]))  # fmt: skip
    for allowance in (FOUR, DAY):
        with pytest.raises(CalendarError, match="the deadline lies after"):
            deadline(made, allowance, datetime(2026, 6, 1, tzinfo=UTC))


def test_shares_of_the_time_are_reached_in_business_time() -> None:
    """Half of four hours from Friday 16:00 is Monday 10:00; a pause puts off what lies behind it."""
    paused = [(to_instants(at(NEW_YORK, "2026-11-23 10:30")), to_instants(at(NEW_YORK, "2026-11-23 11:00")))]
    for percent, pauses, expected in (
        (25, [], "Fri 2026-11-20 17:00"),
        (50, [], "Mon 2026-11-23 10:00"),
        (75, [], "Mon 2026-11-23 11:00"),
        (50, paused, "Mon 2026-11-23 10:00"),
        (75, paused, "Mon 2026-11-23 11:30"),
        (100, paused, "Mon 2026-11-23 12:30"),
    ):
        reached = shares_used(NEW_YORK, FOUR, to_instants(START), percent, pauses)
        assert shown(NEW_YORK, to_datetime(reached[0])) == expected
    # a business day from Friday 15:00 to Monday 15:00 has eight hours, so half of it is used by Monday 11:00
    half = shares_used(NEW_YORK, DAY, to_instants(at(NEW_YORK, "2026-11-20 15:00")), 50)
    assert shown(NEW_YORK, to_datetime(half[0])) == "Mon 2026-11-23 11:00"


@pytest.mark.parametrize("allowance", [FOUR, DAY, Allowance(3, Unit.HOURS)], ids=lambda allowance: allowance.unit)
def test_many_at_once_are_what_each_is_alone(allowance: Allowance) -> None:
    """Down to the microsecond, since starts are what a log stamped; each with two pauses, which may be empty."""
    chance = np.random.default_rng(7)
    starts = chance.integers(NEW_YORK.begin, NEW_YORK.end - 30 * 86_400 * SECOND, 200)
    gaps = np.cumsum(chance.integers(0, 20 * 3600, (4, 200)) * SECOND, axis=0)
    pauses = [(starts + gaps[0], starts + gaps[1]), (starts + gaps[2], starts + gaps[3])]
    together = deadlines(NEW_YORK, allowance, starts, pauses)
    assert [to_datetime(due) for due in together] == [
        deadline(
            NEW_YORK,
            allowance,
            to_datetime(start),
            [Pause(to_datetime(begin[number]), to_datetime(end[number]), "waiting", "by") for begin, end in pauses],
        )
        for number, start in enumerate(starts)
    ]


@pytest.mark.parametrize("made_up", calendars(1), ids=lambda made_up: made_up.zone)
def test_walking_minute_by_minute_finds_the_same_deadlines(made_up: Calendar) -> None:
    """`make clocks-check` does it 20,000 times."""
    assert differences(made_up, cases(made_up, 50, random.Random(3))) == []


OFFICES = (NEW_YORK, NEW_YORK_EARLY, NEW_YORK_NIGHTS, LONDON, KOLKATA)
_offices = st.sampled_from(OFFICES)
_allowances = st.builds(Allowance, st.integers(1, 20), st.sampled_from(Unit))
_starts = st.datetimes(datetime(2026, 1, 2), datetime(2026, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
_spans = st.tuples(
    st.timedeltas(timedelta(hours=-30), timedelta(days=9)), st.timedeltas(timedelta(0), timedelta(days=3))
)


def _pauses(start: datetime, spans: list[tuple[timedelta, timedelta]]) -> list[Pause]:
    return [Pause(start + after, start + after + length, "waiting", "control-owner") for after, length in spans]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(_offices, _allowances, _starts, st.timedeltas(timedelta(0), timedelta(days=4)), st.lists(_spans, max_size=3))
def test_who_starts_later_is_never_due_sooner(
    business: BusinessTime,
    allowance: Allowance,
    start: datetime,
    later: timedelta,
    spans: list[tuple[timedelta, timedelta]],
) -> None:
    pauses = _pauses(start, spans)
    assert deadline(business, allowance, start, pauses) <= deadline(business, allowance, start + later, pauses)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(_offices, _allowances, _starts, st.lists(_spans, max_size=3), _spans)
def test_a_pause_never_brings_a_deadline_nearer_and_never_unbreaches(
    business: BusinessTime,
    allowance: Allowance,
    start: datetime,
    spans: list[tuple[timedelta, timedelta]],
    more: tuple[timedelta, timedelta],
) -> None:
    pauses, further = _pauses(start, spans), _pauses(start, [more])
    before = deadline(business, allowance, start, pauses)
    after = deadline(business, allowance, start, [*pauses, *further])
    assert start < before <= after
    assert after == before or further[0].begin < before


@settings(max_examples=100, deadline=None, derandomize=True)
@given(_offices, _allowances, _starts, st.lists(_spans, max_size=3), st.integers(1, 99))
def test_shares_come_in_order_before_the_deadline(
    business: BusinessTime,
    allowance: Allowance,
    start: datetime,
    spans: list[tuple[timedelta, timedelta]],
    percent: int,
) -> None:
    one = to_instants(start)
    pauses = [
        (one + int(a.total_seconds()) * SECOND, one + int((a + b).total_seconds()) * SECOND) for a, b in spans[:1]
    ]
    due = deadlines(business, allowance, one, pauses)
    reached = shares_used(business, allowance, one, percent, pauses)
    assert reached[0] <= shares_used(business, allowance, one, percent + 1, pauses)[0] <= due[0]
