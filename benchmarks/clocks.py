"""Deadlines a second, and what a tick over a million clocks costs.

    python -m benchmarks.clocks [--clocks 1000000] [--json]

- Deadlines: starts at random in the calendar that ships. The floor is one bare `numpy.searchsorted` of the same starts
  among as many openings, in the same run; a deadline needs at least two of them.
- A tick from nothing: for every open clock its deadline and the instants at which half and three quarters of its time
  are used, and which of these have passed.
- A tick from the index: the instants were written down when the clock started, so a tick asks the evidence index for
  the clocks whose instant has come, a thousand of a million, and for a hundred beside a million closed ones.

Each tick runs in a process of its own, whose largest resident memory is shown.
"""

import argparse
import json
import resource
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from countersign.clocks.allowance import Allowance, Unit
from countersign.clocks.business import SECOND, BusinessTime, Instants
from countersign.clocks.clock import deadlines, shares_used
from countersign.evidence.index import Index
from countersign.evidence.register import Register
from countersign.evidence.root import EvidenceRoot
from countersign.findings.due import MOST
from countersign.policy import read_calendar
from tests.conftest import REPOSITORY

ALLOWANCES = (Allowance(4, Unit.BUSINESS_HOURS), Allowance(1, Unit.BUSINESS_DAYS), Allowance(1, Unit.HOURS))
BLOCK = 1 << 16  # starts that fit the processor's cache together with what is computed from them
DEADLINES_A_SECOND, TICK_SECONDS, TICK_MEGABYTES, QUIET_TICK_SECONDS = 3e6, 2.0, 500, 0.05
_MONTH = 30 * 86_400 * SECOND


def shipped() -> BusinessTime:
    return BusinessTime(read_calendar(REPOSITORY / "calendar.yaml"))


def starts_in(business: BusinessTime, count: int) -> Instants:
    return np.random.default_rng(1).integers(business.begin, business.end - _MONTH, count)


def in_blocks(starts: Instants, answer: Callable[[Instants], Instants]) -> Instants:
    return np.concatenate([answer(starts[at : at + BLOCK]) for at in range(0, len(starts), BLOCK)])


def seconds(act: Callable[[], Any], times: int = 3) -> float:
    """The best of a few, since the machine has other things to do as well."""
    best = float("inf")
    for _ in range(times):
        start = time.perf_counter()
        act()
        best = min(best, time.perf_counter() - start)
    return best


def throughput(count: int) -> dict[str, Any]:
    business = shipped()
    starts = starts_in(business, count)
    epoch = date(1970, 1, 1)
    openings = np.array(
        [
            (day - epoch).days * 86_400 * SECOND + opens * SECOND
            for day in business.calendar.days()
            for opens, _ in business.calendar.hours_of(day)
        ]
    )
    rates = {}
    for allowance in ALLOWANCES:
        work = partial(in_blocks, starts, partial(deadlines, business, allowance))
        rates[f"{allowance.value} {allowance.unit}"] = count / seconds(work)
    floor = count / seconds(partial(in_blocks, starts, openings.searchsorted))
    return {"deadlines_a_second": {name: round(rate) for name, rate in rates.items()}, "floor": round(floor)}


def tick_from_nothing(count: int) -> dict[str, Any]:
    business = shipped()
    starts = starts_in(business, count)
    now = int(np.median(starts))

    def tick() -> int:
        passed = 0
        for allowance, some in zip(ALLOWANCES, np.array_split(starts, len(ALLOWANCES)), strict=True):
            for at in range(0, len(some), BLOCK):
                block = some[at : at + BLOCK]
                passed += int(np.count_nonzero(deadlines(business, allowance, block) < now))
                for percent in (50, 75):
                    passed += int(np.count_nonzero(shares_used(business, allowance, block, percent) <= now))
        return passed

    return {"seconds": round(seconds(tick), 3), "passed": tick(), "megabytes": megabytes()}


def tick_from_index(open_clocks: int, closed_clocks: int, due: int) -> dict[str, Any]:
    """What the sensor asks of the real index, with so many clocks due, and what it decides from the answer."""
    now = 1_800_000_000 * SECOND
    with tempfile.TemporaryDirectory() as folder:
        root = EvidenceRoot(Path(folder) / "evidence")
        root.create()
        index = Index(root, Register(root))
        database = sqlite3.connect(root.index)
        rows = (
            (
                f"change-{number:016x}",
                now + number,
                now - 1 if number < due else now + number + 1,
                number >= open_clocks,
            )
            for number in range(open_clocks + closed_clocks)
        )
        database.executemany(
            "INSERT INTO clocks (run_id, kind, about, tier, configuration, system, source, day, started_at, deadline,"
            " next_at, recorded, closed) VALUES (?, 'maker_checker', '', 'standard', 'c', 'billing', 'inbox',"
            f" '2026-11-23', {now - _MONTH}, ?, ?, 0, ?)",
            rows,
        )
        database.commit()
        database.close()
        took = seconds(lambda: index.clocks.due(now, MOST))
        found = len(index.clocks.due(now, MOST))
        judged = seconds(lambda: index.clocks.overdue(now))
    return {
        "open": open_clocks,
        "closed": closed_clocks,
        "due": found,
        "seconds": round(took, 5),
        "overdue_check_seconds": round(judged, 5),
        "megabytes": megabytes(),
    }


def megabytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def alone(work: Callable[..., dict[str, Any]], *arguments: int) -> dict[str, Any]:
    """Run it in a fresh process, so that its memory is its own."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def main() -> int:
    parser = argparse.ArgumentParser(prog="clocks", description="Deadlines a second, and the cost of a tick.")
    parser.add_argument("--clocks", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    asked = parser.parse_args()
    found = {
        **alone(throughput, asked.clocks),
        "tick_from_nothing": alone(tick_from_nothing, asked.clocks),
        "tick_from_index": alone(tick_from_index, asked.clocks, 0, 1000),
        "quiet_tick_from_index": alone(tick_from_index, 100, asked.clocks, 100),
    }
    if asked.json:
        print(json.dumps(found))
    else:
        for name, rate in found["deadlines_a_second"].items():
            print(f"{name:22} {rate / 1e6:7.1f} M deadlines/s   floor {found['floor'] / 1e6:.1f} M bare searches/s")
        for name in ("tick_from_nothing", "tick_from_index", "quiet_tick_from_index"):
            print(f"{name:22} {', '.join(f'{key} {value}' for key, value in found[name].items())}")
    busy, quiet = (found["tick_from_nothing"], found["tick_from_index"]), found["quiet_tick_from_index"]
    return int(
        min(found["deadlines_a_second"].values()) < DEADLINES_A_SECOND
        or any(tick["seconds"] > TICK_SECONDS or tick["megabytes"] > TICK_MEGABYTES for tick in busy)
        or quiet["seconds"] > QUIET_TICK_SECONDS
    )


if __name__ == "__main__":
    sys.exit(main())
