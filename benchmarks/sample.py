"""What a draw costs, beside a bare sha256 loop over the same bytes: time, memory, and whether a row costs the same.

python -m benchmarks.sample [--ids 10000000] [--n 59] [--json]

Each size runs in a process of its own, so that its peak memory is its own. The ids are made up on the way in both.
"""

import argparse
import hashlib
import json
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial

from countersign.sampling.draw import SEPARATOR, Seed, draw

SEED = Seed(hashlib.sha256(b"benchmark").digest(), "observer")
SMALL = 100_000


def ids(size: int) -> Iterator[str]:
    return (f"CHG-{number:010}" for number in range(size))


def drawn(n: int, size: int) -> None:
    draw(ids(size), n, SEED)


def bare(size: int) -> None:
    """What no draw can do without: one digest for each id."""
    sha256, start = hashlib.sha256, SEED.value + SEPARATOR
    for change_id in ids(size):
        sha256(start + change_id.encode()).digest()


def seconds(work: Callable[[int], None], size: int) -> float:
    start = time.perf_counter()
    work(size)
    return time.perf_counter() - start


def measured(work: Callable[[int], None], size: int) -> dict[str, float]:
    """Seconds (the best of five where it is small), microseconds an id and peak memory in MiB."""
    took = min(seconds(work, size) for _ in range(5 if size <= SMALL else 1))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"ids": size, "seconds": round(took, 2), "us_per_id": round(took / size * 1e6, 3), "peak_mib": round(peak)}


def main() -> int:
    parser = argparse.ArgumentParser(prog="sample", description="What a draw costs.")
    parser.add_argument("--ids", type=int, default=10_000_000)
    parser.add_argument("--n", type=int, default=59)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    asked = parser.parse_args()
    found = {}
    for name, work in (("bare", bare), ("drawn", partial(drawn, asked.n))):
        for size in (SMALL, asked.ids):
            with multiprocessing.get_context("spawn").Pool(1) as alone:
                found[f"{name} {size:,}"] = alone.apply(measured, (work, size))
    if asked.json:
        print(json.dumps(found))
        return 0
    for name, row in found.items():
        print(f"{name:20} {row['seconds']:7.2f} s {row['us_per_id']:6.3f} µs an id, peak {row['peak_mib']:4.0f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
