"""Attainment as a picture: for each month a bar, met below and breached above. What belongs here: SVG, drawn by hand.

It is small enough for Dagster to show it in place (under a thousand characters of Markdown, longer ones hide behind a
link), so it has two paths, and the figures stand in the table beside it.
"""

from collections.abc import Iterable, Sequence

from countersign.evidence.indexed import Attainment

_MONTHS, _TOP, _HEIGHT, _BAR, _STEP = 12, 16, 64, 28, 34
_MET, _BREACHED = "#2f7d4f", "#b3372f"


def attainment_chart(rows: Sequence[Attainment]) -> str:
    """An SVG document of the last twelve months that have clocks; all kinds and tiers together."""
    months = sorted({row.month for row in rows})[-_MONTHS:]
    highs = [_met_height([row for row in rows if row.month == month]) for month in months]
    ground = _TOP + _HEIGHT
    met = "".join(_bar(number, ground, high) for number, high in enumerate(highs))
    breached = "".join(_bar(number, ground - high, _HEIGHT - high) for number, high in enumerate(highs))
    width = max(200, _STEP * len(months))
    last = f'<text x="{_STEP * len(months) - _STEP + _BAR}" y="92" text-anchor="end">{months[-1]}</text>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="96" font-size="10" fill="#777">'
        f'<text y="10">met (green) and breached (red)</text>'
        f'<path fill="{_MET}" d="{met}"/><path fill="{_BREACHED}" d="{breached}"/>'
        f'<text y="92">{months[0]}</text>{last if len(months) > 2 else ""}</svg>'
    )


def _met_height(rows: Iterable[Attainment]) -> int:
    """Rounded down, so that a full bar says all."""
    counts = [(row.met, row.met + row.breached) for row in rows]
    return _HEIGHT * sum(met for met, _ in counts) // sum(total for _, total in counts)


def _bar(number: int, bottom: int, high: int) -> str:
    """A rectangle as a path."""
    return f"M{number * _STEP} {bottom}v-{high}h{_BAR}v{high}z" if high else ""
