"""Which items: known answers, and what steers the draw (the seed) and what does not (everything else)."""

import hashlib
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.errors import SamplingError
from countersign.sampling.draw import Draw, Seed, draw, seed
from tests.domain.sampling.uniformity import chi_square_p

DIGEST = hashlib.sha256(b"a population").digest()
NONCE = "5f0c7e6a1b2d3c4e"
SEED = Seed(hashlib.sha256(b"a seed").digest(), "observer")
ids = st.lists(st.text(st.characters(codec="utf-8"), max_size=12), unique=True, min_size=1, max_size=60)


def test_a_draw_is_the_lowest_tickets_as_anybody_computes_them() -> None:
    population = [f"CHG-{number}" for number in range(500)]
    by_hand = sorted((hashlib.sha256(SEED.value + b"\x1f" + id_.encode()).hexdigest(), id_) for id_ in population)
    drawn = draw(population, 20, SEED)
    assert [(item.ticket, item.change_id) for item in drawn.items] == by_hand[:20]
    assert [item.rank for item in drawn.items] == list(range(1, 21))
    assert (drawn.population, {item.inclusion_probability for item in drawn.items}) == (500, {20 / 500})


def test_the_bytes_that_are_hashed_stay_the_same() -> None:
    """An observer's script computes them on its own: these are `printf … | sha256sum`."""
    assert seed(bytes(32), NONCE, "required") == Seed(
        bytes.fromhex("68cbc74c9e04b304080c4b6f4369597690aa53d2922a5d96625df5d5dcc097b2"), "observer"
    )
    assert seed(bytes(32), None, "optional") == Seed(
        bytes.fromhex("66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925"), "producer"
    )
    (only,) = draw(["CHG-1"], 1, Seed(bytes(32), "observer")).items
    assert only.ticket == "8e69ab2ab54e7a658893099820b5d3feb1d299c7c7420a611cf124ab856516c5"


@given(population=ids, data=st.data())
def test_the_order_of_the_input_does_not_matter(population: list[str], data: st.DataObject) -> None:
    n = data.draw(st.integers(1, len(population)))
    shuffled = data.draw(st.permutations(population))
    assert draw(shuffled, n, SEED) == draw(population, n, SEED)


@given(population=ids, data=st.data())
def test_a_larger_sample_begins_with_the_smaller(population: list[str], data: st.DataObject) -> None:
    larger = data.draw(st.integers(1, len(population)))
    smaller = data.draw(st.integers(1, larger))
    drawn = [item.change_id for item in draw(population, larger, SEED).items]
    assert [item.change_id for item in draw(population, smaller, SEED).items] == drawn[:smaller]


@given(population=ids)
def test_all_of_a_population_is_all_of_it(population: list[str]) -> None:
    drawn = draw(population, len(population), SEED)
    assert {item.change_id for item in drawn.items} == set(population)
    assert all(item.inclusion_probability == 1 for item in drawn.items)


def test_another_nonce_or_another_population_is_another_draw() -> None:
    population = [f"CHG-{number}" for number in range(500)]
    other = hashlib.sha256(b"another population").digest()
    seeds = [
        seed(DIGEST, NONCE, "required"),
        seed(DIGEST, NONCE + "x", "required"),
        seed(other, NONCE, "required"),
        seed(DIGEST, None, "optional"),
    ]
    assert len({tuple(item.change_id for item in draw(population, 10, one).items) for one in seeds}) == 4


def test_a_nonce_counts_as_the_observers_where_none_is_required_too() -> None:
    assert seed(DIGEST, NONCE, "optional") == seed(DIGEST, NONCE, "required")


def test_without_the_observers_nonce_nothing_is_drawn_where_one_is_required() -> None:
    with pytest.raises(SamplingError, match="so nothing is drawn"):
        seed(DIGEST, None, "required")


@pytest.mark.parametrize(
    "nonce", ["", "short", "15 characters..", NONCE + "\n", " " + NONCE, NONCE[:8] + "\x1f" + NONCE]
)
@pytest.mark.parametrize("rule", ["required", "optional"])
def test_what_can_be_guessed_or_misread_is_no_nonce(nonce: str, rule: str) -> None:
    with pytest.raises(SamplingError, match="openssl rand -hex 16"):
        seed(DIGEST, nonce, "required" if rule == "required" else "optional")


def test_a_digest_has_32_bytes() -> None:
    with pytest.raises(SamplingError, match="31 bytes"):
        seed(DIGEST[:31], NONCE, "required")


def test_a_sample_larger_than_its_population_is_refused() -> None:
    with pytest.raises(SamplingError, match="n: 4 is more than the population of 3"):
        draw(["a", "b", "c"], 4, SEED)


def test_a_change_that_would_be_drawn_twice_is_refused_by_name() -> None:
    with pytest.raises(SamplingError, match=r"CHG-7\\n: stands in the population twice"):
        draw(["CHG-6", "CHG-7\n", "CHG-8", "CHG-7\n"], 4, SEED)


def test_memory_follows_the_sample_and_not_the_population() -> None:
    def stream(size: int) -> Iterator[str]:
        return (f"CHG-{number}" for number in range(size))

    peaks = []
    for size in (2_000, 100_000):
        tracemalloc.start()
        draw(stream(size), 50, SEED)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0] + 4096


def test_every_change_is_as_likely_as_every_other() -> None:
    """A small run of `make sample-check`; its seeds are fixed, so it passes always or never."""
    assert 0.001 < chi_square_p(seeds=600, population=50, n=10) < 0.999


@pytest.mark.parametrize("n", [0, -1])
def test_a_sample_of_nothing_is_refused(n: int) -> None:
    with pytest.raises(SamplingError, match=f"n: {n} items are no sample"):
        draw(["CHG-1"], n, seed(bytes(32), None, "optional"))


def test_an_empty_stratum_has_an_empty_sample() -> None:
    assert draw([], 0, seed(bytes(32), None, "optional")) == Draw(0, ())


def test_the_uniformity_check_sees_a_draw_that_favours_some() -> None:
    """The same statistic on a draw that takes the first ids more often."""
    assert chi_square_p(seeds=600, population=50, n=10, favoured=5) < 1e-6
