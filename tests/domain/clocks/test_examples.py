"""Deadlines worked out by hand, each with its reasoning."""

import pytest

from countersign.clocks.allowance import Allowance, Pause, Unit
from countersign.clocks.business import BusinessTime
from countersign.clocks.clock import deadline
from tests.domain.clocks.offices import (
    KOLKATA,
    LONDON,
    NEW_YORK,
    NEW_YORK_ALWAYS,
    NEW_YORK_EARLY,
    NEW_YORK_NIGHTS,
    at,
    shown,
)

Row = tuple[BusinessTime, str, Allowance, str]


def hours(count: int) -> Allowance:
    return Allowance(count, Unit.BUSINESS_HOURS)


def days(count: int) -> Allowance:
    return Allowance(count, Unit.BUSINESS_DAYS)


def elapsed(count: int) -> Allowance:
    return Allowance(count, Unit.HOURS)


EXAMPLES: dict[str, Row] = {
    # The issue's own.
    "over_a_weekend": (NEW_YORK, "2026-11-20 16:00", hours(4), "Mon 2026-11-23 12:00"),
    "from_a_saturday": (NEW_YORK, "2026-11-21 11:00", hours(4), "Mon 2026-11-23 13:00"),
    "over_thanksgiving": (NEW_YORK, "2026-11-25 16:00", hours(4), "Fri 2026-11-27 12:00"),
    "a_day_over_a_weekend": (NEW_YORK, "2026-11-20 15:00", days(1), "Mon 2026-11-23 15:00"),
    "a_day_from_an_evening": (NEW_YORK, "2026-11-20 20:00", days(1), "Tue 2026-11-24 09:00"),
    # Edges of a day. 09:00 to 13:00 is four hours; used up at closing is due at closing, not at the next opening.
    "from_opening": (NEW_YORK, "2026-11-23 09:00", hours(4), "Mon 2026-11-23 13:00"),
    "used_up_at_closing": (NEW_YORK, "2026-11-23 13:00", hours(4), "Mon 2026-11-23 17:00"),
    # At closing nobody works any more: hours and days both count from the next opening.
    "from_closing": (NEW_YORK, "2026-11-23 17:00", hours(4), "Tue 2026-11-24 13:00"),
    "a_day_from_closing": (NEW_YORK, "2026-11-23 17:00", days(1), "Wed 2026-11-25 09:00"),
    # Before opening the same day's opening is the next one; a day later is the next day's opening.
    "a_day_from_before_opening": (NEW_YORK, "2026-11-23 06:00", days(1), "Tue 2026-11-24 09:00"),
    # Clocks leap in the night of Sunday 2026-03-08: business hours are those of the wall, two on Friday, two on Monday.
    "hours_over_spring": (NEW_YORK, "2026-03-06 15:00", hours(4), "Mon 2026-03-09 11:00"),
    # The same wall time on Monday, though only 71 hours later.
    "a_day_over_spring": (NEW_YORK, "2026-03-06 15:00", days(1), "Mon 2026-03-09 15:00"),
    # 24 elapsed hours from Saturday 12:00 EST end at 13:00 EDT: the wall has lost an hour, time has not.
    "elapsed_over_spring": (NEW_YORK, "2026-03-07 12:00", elapsed(24), "Sun 2026-03-08 13:00"),
    "elapsed_over_autumn": (NEW_YORK, "2026-10-31 12:00", elapsed(24), "Sun 2026-11-01 11:00"),
    # Who works around the clock works through the hour that comes twice: 02:00 is three hours after midnight …
    "around_the_clock_in_autumn": (NEW_YORK_ALWAYS, "2026-11-01 00:00", hours(3), "Sun 2026-11-01 02:00"),
    # … and has one hour less in spring: 04:00 is three hours after midnight.
    "around_the_clock_in_spring": (NEW_YORK_ALWAYS, "2026-03-08 00:00", hours(3), "Sun 2026-03-08 04:00"),
    # Hours from 02:30 begin at 03:00 on the Sunday that has no 02:30, so an hour of them ends at 04:00.
    "opening_that_is_leapt_over": (NEW_YORK_NIGHTS, "2026-03-07 12:00", hours(1), "Sun 2026-03-08 04:00"),
    # One day after Sunday 02:45 is next Sunday 02:45, which does not exist: the first instant after it, 03:00.
    "same_time_that_is_leapt_over": (NEW_YORK_NIGHTS, "2026-03-01 02:45", days(1), "Sun 2026-03-08 03:00"),
    # 02:00 comes once in autumn, after the hour that comes twice: 25 hours after Saturday's.
    "same_time_after_the_hour_that_comes_twice": (NEW_YORK_ALWAYS, "2026-10-31 02:00", days(1), "Sun 2026-11-01 02:00"),
    # 01:30 comes twice; the first is meant, so that nobody waits longer than they must.
    "same_time_that_comes_twice": (NEW_YORK_ALWAYS, "2026-10-31 01:30", days(1), "Sun 2026-11-01 01:30"),
    # The Friday after Thanksgiving ends at 13:00: one hour on Wednesday, three on Friday, still in time …
    "early_close_in_time": (NEW_YORK_EARLY, "2026-11-25 16:00", hours(4), "Fri 2026-11-27 12:00"),
    # … but 30 minutes on Wednesday and four hours on Friday are not enough for five: 30 minutes are left for Monday.
    "early_close_too_early": (NEW_YORK_EARLY, "2026-11-25 16:30", hours(5), "Mon 2026-11-30 09:30"),
    # After an early close is outside working hours: Monday's opening counts, and a day later is Tuesday's.
    "a_day_from_after_an_early_close": (NEW_YORK_EARLY, "2026-11-27 14:00", days(1), "Tue 2026-12-01 09:00"),
    # Same local time on the next business day, literally: Friday 15:00, although nobody works by then.
    "a_day_onto_an_early_close": (NEW_YORK_EARLY, "2026-11-25 15:00", days(1), "Fri 2026-11-27 15:00"),
    # From the calendar's very first instant, west and east of Greenwich: 1 January is a holiday here, and not there.
    "first_instant_west": (NEW_YORK, "2026-01-01 00:00", hours(4), "Fri 2026-01-02 13:00"),
    "first_instant_east": (KOLKATA, "2026-01-01 00:00", hours(4), "Thu 2026-01-01 14:30"),
    # New Year's Day is a Friday: one hour on Thursday, three on Monday, in the next year.
    "over_new_year": (NEW_YORK, "2026-12-31 16:00", hours(4), "Mon 2027-01-04 12:00"),
    # 1 January 2028 is a Saturday, kept on Friday 31 December 2027: from Thursday straight to Monday.
    "over_a_new_year_kept_the_year_before": (NEW_YORK, "2027-12-30 16:00", hours(4), "Mon 2028-01-03 12:00"),
    # London closes at 17:30: 90 minutes on Thursday, Good Friday and Easter Monday off, 150 minutes on Tuesday.
    "london_over_easter": (LONDON, "2026-04-02 16:00", hours(4), "Tue 2026-04-07 11:30"),
    # London's clocks leap on 2026-03-29, three weeks after New York's.
    "london_a_day_over_spring": (LONDON, "2026-03-27 17:15", days(1), "Mon 2026-03-30 17:15"),
    # Christmas on Friday, Boxing Day kept on Monday 28: two business days from Thursday end on Wednesday.
    "london_over_christmas": (LONDON, "2026-12-24 11:00", days(2), "Wed 2026-12-30 11:00"),
    # Kolkata has no changes of the clocks, a lunch hour and half Saturdays: 12:30 to 13:00, 14:00 to 17:30.
    "kolkata_over_lunch": (KOLKATA, "2026-10-30 12:30", hours(4), "Fri 2026-10-30 17:30"),
    # In the lunch hour nobody works: the day counts from 14:00.
    "kolkata_a_day_from_lunch": (KOLKATA, "2026-10-29 13:20", days(1), "Fri 2026-10-30 14:00"),
    # One hour on Friday, three on Saturday.
    "kolkata_half_saturday": (KOLKATA, "2026-10-30 17:30", hours(4), "Sat 2026-10-31 12:30"),
    # Republic Day, Monday 26 January 2026: half an hour on Saturday, then Tuesday 09:30 to 13:00.
    "kolkata_over_republic_day": (KOLKATA, "2026-01-24 13:00", hours(4), "Tue 2026-01-27 13:00"),
    # Gandhi Jayanti is listed twice; a holiday is a holiday. Thursday 18:00: half an hour, then Saturday.
    "kolkata_holiday_listed_twice": (KOLKATA, "2026-10-01 18:00", hours(2), "Sat 2026-10-03 11:00"),
}


@pytest.mark.parametrize("example", EXAMPLES)
def test_a_deadline_is_what_was_worked_out(example: str) -> None:
    business, start, allowance, due = EXAMPLES[example]
    assert shown(business, deadline(business, allowance, at(business, start))) == due


# What each row holds: the office, start, allowance and pauses, and when it is due.
PAUSED: dict[str, tuple[BusinessTime, str, Allowance, list[tuple[str, str]], str]] = {
    # An hour of Monday does not count, so four hours from Friday 16:00 take one more.
    "an_hour": (
        NEW_YORK, "2026-11-20 16:00", hours(4), [("2026-11-23 10:00", "2026-11-23 11:00")], "Mon 2026-11-23 13:00",
    ),
    # A night and a weekend are no business time, so to pause them takes nothing.
    "a_weekend": (
        NEW_YORK, "2026-11-20 16:00", hours(4), [("2026-11-20 17:00", "2026-11-23 09:00")], "Mon 2026-11-23 12:00",
    ),
    # Pauses that overlap take their time once: 10:00 to 12:00.
    "overlapping": (
        NEW_YORK, "2026-11-20 16:00", hours(4),
        [("2026-11-23 10:30", "2026-11-23 12:00"), ("2026-11-23 10:00", "2026-11-23 11:00")], "Mon 2026-11-23 14:00",
    ),
    # What lies before the start takes nothing from it.
    "begun_before_the_start": (
        NEW_YORK, "2026-11-23 10:00", hours(4), [("2026-11-23 09:00", "2026-11-23 11:00")], "Mon 2026-11-23 15:00",
    ),
    # Due Monday 12:00; the first pause makes it 13:00, and so the second, at 12:30, still comes in time.
    "second_within_what_the_first_gave": (
        NEW_YORK, "2026-11-20 16:00", hours(4),
        [("2026-11-23 10:00", "2026-11-23 11:00"), ("2026-11-23 12:30", "2026-11-23 13:30")], "Mon 2026-11-23 14:00",
    ),
    # A pause from the very deadline comes too late.
    "from_the_deadline": (
        NEW_YORK, "2026-11-20 16:00", hours(4), [("2026-11-23 12:00", "2026-11-23 16:00")], "Mon 2026-11-23 12:00",
    ),
    # Two business hours put a day off by two business hours, up to closing …
    "a_day_by_two_hours": (
        NEW_YORK, "2026-11-20 15:00", days(1), [("2026-11-23 10:00", "2026-11-23 12:00")], "Mon 2026-11-23 17:00",
    ),
    # … and three beyond it: as if the clock had started one business hour after Friday's closing, on Monday 10:00.
    "a_day_by_three_hours": (
        NEW_YORK, "2026-11-20 15:00", days(1), [("2026-11-23 10:00", "2026-11-23 13:00")], "Tue 2026-11-24 10:00",
    ),
    # The whole short Friday takes four hours: as if from Wednesday 16:00, so Friday 16:00; but no clock runs out while
    # it is paused, so it is due when the pause ends.
    "a_day_that_would_end_in_the_pause": (
        NEW_YORK_EARLY, "2026-11-25 12:00", days(1), [("2026-11-27 00:00", "2026-11-28 00:00")], "Sat 2026-11-28 00:00",
    ),
    # Elapsed hours are paused in elapsed time, at night too.
    "elapsed": (
        NEW_YORK, "2026-11-20 23:00", elapsed(1), [("2026-11-20 23:30", "2026-11-21 01:00")], "Sat 2026-11-21 01:30",
    ),
}  # fmt: skip


@pytest.mark.parametrize("example", PAUSED)
def test_a_paused_clock_is_due_as_if_it_had_started_later(example: str) -> None:
    business, start, allowance, pauses, due = PAUSED[example]
    set_by = [Pause(at(business, begin), at(business, end), "waiting", "control-owner") for begin, end in pauses]
    assert shown(business, deadline(business, allowance, at(business, start), set_by)) == due
