"""Which items: a draw that nobody can steer and anybody can repeat.

What belongs here: the seed, the tickets, the n lowest of them. Not how many (`plan`), not where the ids come from.

A ticket is sha256(seed ‖ 0x1f ‖ change id) and the n lowest are the sample, so the order of the input does not matter,
a larger sample contains the smaller, and an observer repeats it with `sha256sum` alone. Nobody can steer it as long
as the population is frozen, and its digest out, before the observer gives the nonce.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from heapq import nsmallest
from itertools import count, pairwise
from typing import Literal

from countersign.errors import SamplingError, printable

NonceRule = Literal["required", "optional"]
SeededBy = Literal["observer", "producer"]

SEPARATOR = b"\x1f"
SHORTEST_NONCE = 16  # characters: whoever could try all nonces in advance could shape the population to them


@dataclass(frozen=True, slots=True)
class Seed:
    """32 bytes, and whether anybody but the producer of the population had a part in them."""

    value: bytes
    seeded_by: SeededBy


@dataclass(frozen=True, slots=True)
class Drawn:
    """One item of a sample; ranks count from 1, the inclusion probability is that of every item of its stratum."""

    rank: int
    ticket: str
    change_id: str
    inclusion_probability: float


@dataclass(frozen=True, slots=True)
class Draw:
    """The sample of one stratum, by rank, and how many items it was drawn from."""

    population: int
    items: tuple[Drawn, ...]


def seed(population_digest: bytes, nonce: str | None, rule: NonceRule) -> Seed:
    """sha256(digest ‖ 0x1f ‖ nonce), or sha256(digest) where there is no nonce and the policy asks for none.

    The digest has 32 bytes. Raises SamplingError where a nonce is required and missing, or too short to be one.
    """
    if len(population_digest) != hashlib.sha256().digest_size:
        raise SamplingError(f"population digest: {len(population_digest)} bytes; a SHA-256 digest has 32")
    if nonce is None:
        if rule == "required":
            raise SamplingError(
                "nonce: the policy requires one of the observer's and there is none, so nothing is drawn; ask the"
                " observer for it, who gives it after the population digest is published"
            )
        return Seed(hashlib.sha256(population_digest).digest(), "producer")
    return Seed(hashlib.sha256(population_digest + SEPARATOR + require_nonce(nonce).encode()).digest(), "observer")


def require_nonce(nonce: str) -> str:
    """The nonce, where it can be one. Raises SamplingError."""
    if len(nonce) < SHORTEST_NONCE or not nonce.isprintable() or nonce != nonce.strip():
        raise SamplingError(
            f"nonce: {printable(nonce)!r} can be guessed or misread; it has {SHORTEST_NONCE} printable characters or"
            " more, and no space around them (`openssl rand -hex 16` makes one)"
        )
    return nonce


def draw(change_ids: Iterable[str], n: int, with_seed: Seed) -> Draw:
    """The n lowest tickets of a stratum, lowest first. Reads the ids once and keeps no more than n of them.

    Of an empty stratum nothing is drawn. Raises SamplingError where n is no sample of what there is, where there are
    fewer than n, or an id stands among them twice.
    """
    if n < 1:
        if n == 0 and not any(True for _ in change_ids):
            return Draw(0, ())
        raise SamplingError(f"n: {n} items are no sample of a stratum that is not empty; it has at least one")
    started = hashlib.sha256(with_seed.value + SEPARATOR)

    def ticket(change_id: str) -> bytes:
        hashed = started.copy()  # cheaper than hashing the seed anew
        hashed.update(change_id.encode())
        return hashed.digest()

    counted = count()  # zip asks it after the ids, so at their end it stands at their number
    lowest = nsmallest(n, ((ticket(change_id), change_id) for change_id, _ in zip(change_ids, counted, strict=False)))
    population = next(counted)
    if len(lowest) < n:
        raise SamplingError(f"n: {n} is more than the population of {population}")
    for (_, one), (_, next_one) in pairwise(lowest):
        if one == next_one:
            raise SamplingError(f"{printable(one)}: stands in the population twice; a change is drawn from it once")
    items = (Drawn(rank, hit.hex(), change_id, n / population) for rank, (hit, change_id) in enumerate(lowest, 1))
    return Draw(population, tuple(items))
