"""The three pictures of a month: SVG, drawn by hand, without script. What belongs here: shapes; no counting, no HTML.

Each is a whole document that also stands inside a page. The figures are in the tables beside them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _LEFT, _ROW = 640, 170, 18
_TOP, _HEIGHT = 34, 120
_MOST_BARS = 12
_COLOURS = {
    "clean": "#2f7d4f",
    "exception": "#c98a1b",
    "blocked": "#b3372f",
    "awaiting": "#7a8794",
    "failed": "#7b3f8c",
    "out_of_scope": "#c4ccd4",
    "superseded": "#dfe4e8",
}
_POPULATION, _SAMPLE, _LINE = "#9fb4c7", "#1f5f99", "#b3372f"


@dataclass(frozen=True, slots=True)
class Limit:
    """What a month's results showed: the highest upper limit of its strata, and the rate that is tolerable."""

    month: str
    limit: float
    tolerable: float


def by_day(counts: Mapping[tuple[str, str], int], days: Sequence[str]) -> str:
    """A stacked bar for each day of a month: changes by day and outcome."""
    highest = max((sum(counts.get((day, outcome), 0) for outcome in _COLOURS) for day in days), default=0) or 1
    step = _WIDTH / max(len(days), 1)
    shapes = []
    for number, day in enumerate(days):
        bottom = float(_TOP + _HEIGHT)
        for outcome, colour in _COLOURS.items():
            count = counts.get((day, outcome), 0)
            high = _HEIGHT * count / highest
            bottom -= high
            if count:
                shapes.append(_bar(number * step + 1, bottom, step - 2, high, colour, f"{day}: {count} {outcome}"))
        if number % 5 == 0:
            shapes.append(_text(number * step, _TOP + _HEIGHT + 14, day[-2:]))
    legend = [
        f'<rect x="{90 * number}" y="18" width="9" height="9" fill="{colour}"/>{_text(90 * number + 12, 26, outcome)}'
        for number, (outcome, colour) in enumerate(_COLOURS.items())
    ]
    title = f"changes by day of deployment and outcome; the highest day has {highest}"
    return _document(_TOP + _HEIGHT + 20, [_text(0, 11, title), *legend, *shapes])


def against(population: Mapping[str, int], sample: Mapping[str, int]) -> str:
    """For each part the share that it has of the clean population (pale) and of the sample (dark)."""
    parts = sorted(population, key=lambda part: (-population[part], part))[:_MOST_BARS]
    of_population, of_sample = sum(population.values()) or 1, sum(sample.values()) or 1
    shapes = [_text(0, 11, "share of the clean population (pale) and of the sample (dark)")]
    for number, part in enumerate(parts):
        top = 20 + number * (_ROW + 8)
        shapes.append(_text(0, top + 12, part if len(part) <= 26 else f"{part[:25]}…"))
        for count, whole, colour, down in (
            (population[part], of_population, _POPULATION, 0),
            (sample.get(part, 0), of_sample, _SAMPLE, _ROW // 2),
        ):
            wide = (_WIDTH - _LEFT) * count / whole
            shapes.append(_bar(_LEFT, top + down, wide, _ROW / 2, colour, f"{part}: {count} of {whole}"))
    return _document(24 + len(parts) * (_ROW + 8), shapes)


def limits(months: Sequence[Limit]) -> str:
    """The upper limit of each month as a bar, with the tolerable rate of then as a line across it."""
    shown = months[-_MOST_BARS:]
    highest = max((max(one.limit, one.tolerable) for one in shown), default=0.0) or 1.0
    step = _WIDTH / _MOST_BARS
    shapes = [_text(0, 11, "upper limit of the deviation rate (bar) against the tolerable rate (line)")]
    for number, one in enumerate(shown):
        left, high = number * step, _HEIGHT * one.limit / highest
        colour = _COLOURS["clean" if one.limit < one.tolerable else "blocked"]
        says = f"{one.month}: {100 * one.limit:.1f} %, tolerable {100 * one.tolerable:g} %"
        shapes.append(_bar(left + 2, _TOP + _HEIGHT - high, step - 6, high, colour, says))
        line = _TOP + _HEIGHT * (1 - one.tolerable / highest)
        shapes.append(f'<path d="M{left:.1f} {line:.1f}h{step:.1f}" stroke="{_LINE}" stroke-width="1.5"/>')
        shapes.append(_text(left, _TOP + _HEIGHT + 14, one.month))
    return _document(_TOP + _HEIGHT + 20, shapes)


def _bar(left: float, top: float, wide: float, high: float, colour: str, says: str) -> str:
    size = f'x="{left:.1f}" y="{top:.1f}" width="{max(wide, 0):.1f}" height="{high:.1f}"'
    return f'<rect {size} fill="{colour}"><title>{escape(says)}</title></rect>'


def _text(left: float, base: float, words: str) -> str:
    return f'<text x="{left:.1f}" y="{base:.1f}">{escape(words)}</text>'


def _document(high: float, shapes: Sequence[str]) -> str:
    size = f'viewBox="0 0 {_WIDTH} {high:.0f}" width="{_WIDTH}" height="{high:.0f}"'
    font = 'font-family="sans-serif" font-size="10" fill="#555"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {font}>{"".join(shapes)}</svg>'
