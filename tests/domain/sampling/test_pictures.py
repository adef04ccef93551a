"""The pictures: figures in proportion, nothing to load or run, and words from outside only as words."""

from xml.etree import ElementTree as ET

import pytest

from countersign.sampling.pictures import Limit, against, by_day, limits

SVG = "{http://www.w3.org/2000/svg}"


def bars(picture: str) -> dict[str, tuple[float, float]]:
    """Width and height of each bar, by what it says."""
    found = {}
    for shape in ET.fromstring(picture).iter(f"{SVG}rect"):
        title = shape.find(f"{SVG}title")
        if title is not None:
            found[str(title.text)] = (float(shape.get("width", "")), float(shape.get("height", "")))
    return found


def test_a_day_is_as_high_as_it_has_changes() -> None:
    days = [f"2026-10-{day:02}" for day in range(1, 32)]
    counts = {(days[0], "clean"): 40, (days[0], "blocked"): 10, (days[2], "clean"): 25}
    found = bars(by_day(counts, days))
    assert {says: high for says, (_, high) in found.items()} == {
        "2026-10-01: 40 clean": 96.0, "2026-10-01: 10 blocked": 24.0, "2026-10-03: 25 clean": 60.0,
    }  # fmt: skip
    assert bars(by_day({}, days)) == {}


def test_sample_and_population_are_compared_by_their_shares() -> None:
    found = bars(against({"billing, normal": 75, "ledger, normal": 25}, {"billing, normal": 5}))
    assert {says: wide for says, (wide, _) in found.items()} == {
        "billing, normal: 75 of 100": 352.5, "billing, normal: 5 of 5": 470.0,
        "ledger, normal: 25 of 100": 117.5, "ledger, normal: 0 of 5": 0.0,
    }  # fmt: skip
    assert len(bars(against({f"s{number:02}": 1 for number in range(20)}, {}))) == 24


@pytest.mark.parametrize(("limit", "colour"), [(0.049, "#2f7d4f"), (0.05, "#b3372f"), (0.2, "#b3372f")])
def test_a_limit_that_is_not_below_the_tolerable_rate_is_red(limit: float, colour: str) -> None:
    picture = limits([Limit("2026-10", limit, 0.05)])
    (bar,) = ET.fromstring(picture).iter(f"{SVG}rect")
    assert bar.get("fill") == colour


def test_only_the_last_twelve_months_are_shown() -> None:
    months = [Limit(f"20{year}-{month:02}", 0.01, 0.05) for year in (25, 26) for month in range(1, 13)]
    assert [says[:7] for says in bars(limits(months))] == [one.month for one in months[-12:]]


def test_words_from_outside_are_words() -> None:
    picture = against({"<script>alert(1)</script>, normal": 1}, {})
    assert "<script" not in picture
    assert "<script>alert(1)</script>, normal: 1 of 1" in bars(picture)
