from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.clocks.instant import hours_after, local_day, parse_instant, stamp

_instants = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=st.timezones())  # noqa: DTZ001


@given(_instants)
def test_an_instant_is_read_back_as_it_was_printed(instant: datetime) -> None:
    assert parse_instant(stamp(instant)) == instant.astimezone(UTC)


@given(_instants, _instants)
def test_the_order_of_texts_is_the_order_of_instants(one: datetime, other: datetime) -> None:
    assert (stamp(one) < stamp(other)) is (one.astimezone(UTC) < other.astimezone(UTC))


def test_a_whole_second_has_six_digits_too() -> None:
    eastern = timezone(timedelta(hours=-5))
    assert stamp(datetime(2026, 11, 23, 9, 5, 6, tzinfo=eastern)) == "2026-11-23T14:05:06.000000Z"


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-20T09:30:00Z", datetime(2026, 11, 20, 9, 30, tzinfo=UTC)),
        ("2026-11-20t09:30:00z", datetime(2026, 11, 20, 9, 30, tzinfo=UTC)),
        ("2026-11-20 09:30+00:00", datetime(2026, 11, 20, 9, 30, tzinfo=UTC)),
        ("2026-11-20T09:30:00-05:00", datetime(2026, 11, 20, 14, 30, tzinfo=UTC)),
        ("2026-11-20T23:30:00-0500", datetime(2026, 11, 21, 4, 30, tzinfo=UTC)),
        ("2026-11-20T09:30:00.1Z", datetime(2026, 11, 20, 9, 30, 0, 100_000, tzinfo=UTC)),
    ],
)
def test_a_time_with_a_zone_is_read_as_utc(text: str, instant: datetime) -> None:
    read = parse_instant(text)
    assert (read, read.tzinfo) == (instant, UTC)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("2026-11-20", id="no-time"),
        pytest.param("2026-11-20T09:30:00", id="no-zone"),
        pytest.param("2026-11-20T09:30:00 America/New_York", id="named-zone"),
        pytest.param("20261120T093000Z", id="basic-form"),
        pytest.param("2026-W47-5T09:30:00Z", id="week-date"),
        pytest.param("2026-11-20T09:30:00Z\n", id="newline-after"),
        pytest.param("2026-11-20T09:30:00.1234567Z", id="seven-digits"),
        pytest.param("2026-02-30T09:30:00Z", id="no-such-day"),
        pytest.param("2026-11-20T24:00:00Z", id="hour-24"),
        pytest.param("2026-11-20T09:30:60Z", id="leap-second"),
        pytest.param("2026-11-20T09:30:00+24:00", id="no-such-offset"),
        pytest.param("2026-11-20T09:30:00+05:00:30", id="offset-with-seconds"),
        pytest.param("２０２６-11-20T09:30:00Z", id="wide-digits"),
        pytest.param("0001-01-01T00:00:00+23:59", id="before-the-year-1"),
        pytest.param("9999-12-31T23:59:59-05:00", id="after-the-year-9999"),
    ],
)
def test_anything_else_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"needs|Invalid|must be|out of range|strictly between"):
        parse_instant(text)


@pytest.mark.parametrize(
    ("zone", "day"),
    [("UTC", 24), ("America/New_York", 23), ("Asia/Tokyo", 24)],
)
def test_the_day_of_an_instant_is_that_of_the_zone(zone: str, day: int) -> None:
    assert local_day(datetime(2026, 11, 24, 4, 59, tzinfo=UTC), ZoneInfo(zone)) == date(2026, 11, day)


def test_hours_are_elapsed_hours_over_a_change_of_the_clocks() -> None:
    before = datetime(2026, 3, 8, 6, 30, tzinfo=UTC)
    assert hours_after(before, 24) == datetime(2026, 3, 9, 6, 30, tzinfo=UTC)
    assert hours_after(before, 0.5) == datetime(2026, 3, 8, 7, tzinfo=UTC)
