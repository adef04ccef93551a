"""Figures and intervals, against the same resampling written out."""

from typing import Any, cast

import numpy as np
import pytest

from countersign.evaluation.intervals import RESAMPLES, Figure, difference, figure
from countersign.evaluation.scores import Score

PAIRS = [(3, 4), (4, 4), (0, 2), (5, 5), (0, 0), (2, 3), (1, 5), (4, 4), (3, 3), (0, 1)]
OTHERS = [(2, 4), (4, 4), (1, 2), (3, 5), (0, 0), (1, 3), (1, 5), (2, 4), (3, 3), (0, 1)]


def scores(pairs: list[tuple[int, int]]) -> list[Score]:
    """Counts in place of scores: the figures look at nothing else."""
    return cast("list[Score]", pairs)


def ratio(counts: Any) -> tuple[int, int]:
    return cast("tuple[int, int]", counts)


def percentiles(rows: Any, statistic: Any) -> tuple[float, float]:
    rng = np.random.default_rng(7)
    drawn = [statistic(rows[rng.integers(0, len(rows), len(rows))]) for _ in range(4 * RESAMPLES)]
    return float(np.percentile(drawn, 2.5)), float(np.percentile(drawn, 97.5))


def test_a_figure_and_its_interval() -> None:
    found = figure(ratio, scores(PAIRS), seed=1)
    low, high = percentiles(np.array([pair for pair in PAIRS if pair[1]]), lambda r: r[:, 0].sum() / r[:, 1].sum())
    assert found.value == pytest.approx(22 / 31)
    assert [found.low, found.high] == pytest.approx([low, high], abs=0.03)


def test_a_difference_is_drawn_in_pairs() -> None:
    found = difference(ratio, scores(PAIRS), scores(OTHERS), seed=1)
    rows = np.array([(*one, *other) for one, other in zip(PAIRS, OTHERS, strict=True) if one[1]])
    low, high = percentiles(rows, lambda r: r[:, 0].sum() / r[:, 1].sum() - r[:, 2].sum() / r[:, 3].sum())
    assert found.value == pytest.approx(22 / 31 - 17 / 31)
    assert [found.low, found.high] == pytest.approx([low, high], abs=0.03)
    assert difference(ratio, scores(PAIRS), scores(PAIRS), seed=1) == Figure(0.0, 0.0, 0.0)


def test_the_same_seed_gives_the_same_interval() -> None:
    assert figure(ratio, scores(PAIRS), seed=3) == figure(ratio, scores(PAIRS), seed=3)
    assert figure(ratio, scores(PAIRS), seed=3) != figure(ratio, scores(PAIRS), seed=4)


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([], Figure(None, None, None)),
        ([(0, 0), (0, 0)], Figure(None, None, None)),
        ([(1, 2)], Figure(0.5, None, None)),
        ([(2, 2), (3, 3)], Figure(1.0, 1.0, 1.0)),
    ],
)
def test_where_there_is_little_to_draw_from(pairs: list[tuple[int, int]], expected: Figure) -> None:
    assert figure(ratio, scores(pairs), seed=1) == expected


def test_a_difference_from_nothing_is_none() -> None:
    assert difference(ratio, scores([(1, 1), (0, 1)]), scores([(0, 0), (0, 0)]), seed=1) == Figure(None, None, None)
