"""Local times without a zone: one instant, two on the night when clocks go back, none on the night they go forward."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.clocks.wall_time import parse_wall_time

_ZONES = ("America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kolkata", "UTC")
_START = datetime(2026, 1, 1, tzinfo=UTC)


def instants_by_search(text: str, zone: ZoneInfo) -> list[datetime]:
    """Every instant at which the clocks of a zone show this: tried offset by offset, quarter hour by quarter hour."""
    shown = datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    tried = (shown + timedelta(minutes=minutes) for minutes in range(-14 * 60, 14 * 60 + 1, 15))
    return [instant for instant in tried if instant.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S") == text]


@given(st.integers(0, 366 * 24 * 60), st.sampled_from(_ZONES))
def test_readings_are_those_that_a_search_finds(minutes: int, name: str) -> None:
    zone = ZoneInfo(name)
    text = (_START + timedelta(minutes=minutes)).strftime("%Y-%m-%d %H:%M:%S")  # any local time, even a skipped one
    found = instants_by_search(text, zone)
    if not found:
        with pytest.raises(ValueError, match="does not exist"):
            parse_wall_time(text, zone)
        return
    time = parse_wall_time(text, zone)
    assert [time.earliest, time.latest] == [found[0], found[-1]]
    assert time.ambiguous == (len(found) == 2)


NIGHTS = {
    "last_second_before_they_go_back": ("2026-11-01 00:59:59", ["04:59:59"]),
    "first_time_shown_twice": ("2026-11-01 01:00:00", ["05:00:00", "06:00:00"]),
    "last_time_shown_twice": ("2026-11-01 01:59:59", ["05:59:59", "06:59:59"]),
    "first_time_after_it": ("2026-11-01 02:00:00", ["07:00:00"]),
    "last_second_before_they_go_forward": ("2026-03-08 01:59:59", ["06:59:59"]),
    "first_skipped_time": ("2026-03-08 02:00:00", []),
    "last_skipped_time": ("2026-03-08 02:59:59", []),
    "first_time_after_the_gap": ("2026-03-08 03:00:00", ["07:00:00"]),
}


@pytest.mark.parametrize("name", NIGHTS)
def test_the_nights_when_clocks_change(name: str) -> None:
    text, expected = NIGHTS[name]
    zone = ZoneInfo("America/New_York")
    if not expected:
        with pytest.raises(ValueError, match="does not exist in America/New_York: the clocks went forward over it"):
            parse_wall_time(text, zone)
        return
    time = parse_wall_time(text, zone)
    assert [f"{instant:%H:%M:%S}" for instant in dict.fromkeys((time.earliest, time.latest))] == expected


@pytest.mark.parametrize(
    "text",
    ["", "2026-11-20", "2026-11-20T09:30:00", "2026-11-20 09:30", "2026-11-20 09:30:00Z", "20/11/2026 09:30:00",
     "2026-02-30 09:30:00", "2026-11-20 24:00:01", "0001-01-01 00:00:00", "9999-12-31 23:59:59"],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=f"^{text!r} is no time"):
        parse_wall_time(text, ZoneInfo("Asia/Kolkata" if text.startswith("0001") else "America/New_York"))
