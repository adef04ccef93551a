"""scipy's floats against whole numbers, and who decides where they touch."""

from fractions import Fraction

import pytest

from countersign.sampling.risk import Deviating, Finite, Unlimited, is_within, smallest_sample
from tests.domain.sampling import exact


@pytest.mark.parametrize("deviations", [0, 1, 5, 20])
@pytest.mark.parametrize("n", [1, 59, 600, 3000])
@pytest.mark.parametrize("population", [None, 3000, 250_000, 10_000_000, 100_000_000])
def test_floats_agree_with_whole_numbers(population: int | None, n: int, deviations: int) -> None:
    """To a twentieth of what counts as a tie."""
    deviations = min(deviations, n)
    deviating: Deviating = Unlimited(Fraction(1, 20)) if population is None else Finite(population, population // 20)
    if population is None:
        counted = exact.at_most(deviations, n, Fraction(1, 20))
    else:
        counted = exact.at_most_of(deviations, n, population // 20, population)
    assert deviating.exactly_at_most(deviations, n) == counted
    assert deviating.at_most(deviations, n) == pytest.approx(float(counted), rel=deviating.precision / 20, abs=1e-300)


class _Wrong(Unlimited):
    """A process whose float is off in the last place."""

    def at_most(self, deviations: int, n: int) -> float:
        return super().at_most(deviations, n) * (1 + 1e-12)


def test_whole_numbers_decide_a_tie() -> None:
    """Two of two at one half: exactly 1/4."""
    process = _Wrong(Fraction(1, 2))
    assert process.at_most(0, 2) > 0.25
    assert is_within(Fraction(1, 4), process, 0, 2)
    assert not is_within(Fraction(1, 4) - Fraction(1, 10**15), process, 0, 2)


@pytest.mark.parametrize(
    ("deviating", "deviations", "above", "up_to", "n"),
    [
        (Unlimited(Fraction(1, 20)), 0, 0, 1000, 59),
        (Unlimited(Fraction(1, 20)), 0, 0, 58, None),
        (Unlimited(Fraction(1, 20)), 0, 59, 100, 60),  # only what lies above is asked for
        (Unlimited(Fraction(1, 20)), 0, 59, 59, None),
        (Finite(20, 1), 0, 0, 20, 19),
        (Finite(20, 2), 2, 0, 20, None),  # two deviating items cannot show more than two
    ],
)
def test_the_smallest_sample(deviating: Deviating, deviations: int, above: int, up_to: int, n: int | None) -> None:
    assert smallest_sample(Fraction(1, 20), deviating, deviations, above=above, up_to=up_to) == n
