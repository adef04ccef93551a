"""Figures with their intervals: the bootstrap over changes (Efron and Tibshirani 1993, ch. 13, percentiles).

Whole changes are drawn again, since the controls of one change are not independent of each other. Where every change is
right each draw is too, and the interval is a single point: it then says nothing about changes unlike these. What
belongs here: figures from counts. scipy is imported here and nowhere on the way to a run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import bootstrap

from countersign.evaluation.scores import Ratio, Score

CONFIDENCE = 0.95
RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Figure:
    """A value with the ends of its interval; None where there is nothing to divide by, or too little to draw from."""

    value: float | None
    low: float | None
    high: float | None


def figure(ratio: Ratio, scores: Sequence[Score], seed: int) -> Figure:
    """A ratio over changes; those that have no part in it are left out, which leaves its value as it is."""
    counted = [pair for pair in map(ratio, scores) if pair[1]]
    return _figure(np.array(counted, dtype=float).reshape(-1, 2).T, _share, seed)


def difference(ratio: Ratio, one: Sequence[Score], other: Sequence[Score], seed: int) -> Figure:
    """By how much the first exceeds the second on the same changes, drawn in pairs."""
    pairs = [(*ratio(first), *ratio(second)) for first, second in zip(one, other, strict=True)]
    counted = [pair for pair in pairs if pair[1] or pair[3]]
    return _figure(np.array(counted, dtype=float).reshape(-1, 4).T, _excess, seed)


def _share(numerator: Any, denominator: Any, axis: int = -1) -> Any:
    below = denominator.sum(axis=axis)
    empty = np.full(np.shape(below), np.nan)
    return np.divide(numerator.sum(axis=axis), below, out=empty, where=below > 0)


def _excess(numerator: Any, denominator: Any, others: Any, below: Any, axis: int = -1) -> Any:
    return _share(numerator, denominator, axis) - _share(others, below, axis)


def _figure(columns: Any, statistic: Any, seed: int) -> Figure:
    if columns.shape[1] == 0:
        return Figure(None, None, None)
    value = _number(statistic(*columns))
    if value is None or columns.shape[1] == 1:
        return Figure(value, None, None)
    drawn = bootstrap(
        tuple(columns),
        statistic,
        paired=True,
        vectorized=True,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    interval = drawn.confidence_interval
    return Figure(value, _number(interval.low), _number(interval.high))


def _number(value: Any) -> float | None:
    return None if np.isnan(value) else float(value)
