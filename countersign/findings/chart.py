"""Attainment as a picture: for each month a bar, met below and breached above. What belongs here: SVG, drawn by hand.

Colours stand for nothing alone: every bar carries its percentage, and both parts are named.
"""

from collections.abc import Sequence

from countersign.evidence.indexed import Attainment

_MONTHS, _HEIGHT, _BAR, _GAP, _LEFT, _TOP = 12, 120, 44, 16, 12, 44
_MET, _BREACHED, _INK = "#2f7d4f", "#b3372f", "#444"


def attainment_chart(rows: Sequence[Attainment]) -> str:
    """An SVG document of the last twelve months that have clocks; all kinds and tiers together."""
    months = sorted({row.month for row in rows})[-_MONTHS:]
    bars = []
    for number, month in enumerate(months):
        met = sum(row.met for row in rows if row.month == month)
        breached = sum(row.breached for row in rows if row.month == month)
        bars += _bar(_LEFT + number * (_BAR + _GAP), month, met, breached)
    width = max(260, 2 * _LEFT + len(months) * (_BAR + _GAP))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{_TOP + _HEIGHT + 40}"'
    legend = [
        _text(_LEFT, 16, "Clocks by the month they were due in", anchor="start"),
        _box(_LEFT, 24, 10, 10, _MET),
        _text(_LEFT + 14, 33, "met", anchor="start"),
        _box(_LEFT + 50, 24, 10, 10, _BREACHED),
        _text(_LEFT + 64, 33, "breached", anchor="start"),
    ]
    background = _box(0, 0, width, _TOP + _HEIGHT + 40, "#fff")
    return "\n".join([f'{head} font-family="sans-serif" font-size="11">', background, *legend, *bars, "</svg>"])


def _bar(left: int, month: str, met: int, breached: int) -> list[str]:
    """One month: the share that was met, out of the whole height, with what it is of."""
    total = met + breached
    share = met / total
    high = round(_HEIGHT * share)
    middle, ground = left + _BAR // 2, _TOP + _HEIGHT
    return [
        _box(left, ground - high, _BAR, high, _MET),
        _box(left, _TOP, _BAR, _HEIGHT - high, _BREACHED),
        _text(middle, ground - 6, _percent(met, total), fill="#fff"),
        _text(middle, ground + 14, month),
        _text(middle, ground + 28, f"{met} of {total}"),
    ]


def _percent(part: int, whole: int) -> str:
    """Rounded down, so that 100 % says all."""
    return f"{100 * part // whole} %"


def _box(left: int, top: int, width: int, height: int, fill: str) -> str:
    return f'<rect x="{left}" y="{top}" width="{width}" height="{height}" fill="{fill}"/>'


def _text(left: int, top: int, words: str, *, fill: str = _INK, anchor: str = "middle") -> str:
    return f'<text x="{left}" y="{top}" fill="{fill}" text-anchor="{anchor}">{words}</text>'
