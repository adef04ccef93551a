"""A month: which instants it holds in which zone."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from countersign.clocks.instant import local_day
from countersign.errors import SamplingError
from countersign.sampling.month import Month

ZONES = [ZoneInfo(name) for name in ("America/New_York", "Asia/Kolkata", "Pacific/Apia", "America/Sao_Paulo", "UTC")]


@pytest.mark.parametrize(
    "text", ["", "2026-13", "2026-00", "2026-1", "0000-01", "2026-10-01", "２０２６-10", "2026-10\n"]
)
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(SamplingError, match="not a month"):
        Month.parse(text)


def test_a_month_is_written_as_it_is_read() -> None:
    assert str(Month.parse("2026-10")) == "2026-10"
    assert str(Month.parse("2026-12").next) == "2027-01"
    assert Month.of(date(2026, 10, 31)) == Month.parse("2026-10") < Month.parse("2026-11")


def test_a_month_begins_at_midnight_of_its_zone_on_either_side_of_a_clock_change() -> None:
    november, zone = Month.parse("2026-11"), ZoneInfo("America/New_York")
    assert november.begin(zone) == datetime(2026, 11, 1, 4, tzinfo=UTC)
    assert november.end(zone) == datetime(2026, 12, 1, 5, tzinfo=UTC)


@settings(deadline=None, derandomize=True)
@given(st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)), st.sampled_from(ZONES))  # noqa: DTZ001
def test_every_instant_is_in_the_month_of_its_local_day_and_in_no_other(at: datetime, zone: ZoneInfo) -> None:
    month = Month.of(local_day(at, zone))
    assert month.begin(zone) <= at < month.end(zone)
