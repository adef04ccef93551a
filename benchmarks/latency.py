"""Seconds from a person's act to its effect, with the real webserver, daemon and workers.

    python -m benchmarks.latency [--payloads 7] [--json]

Payloads are dropped one at a time, at random moments of the sensors' rhythm, into a deployment of their own. Legs: a
payload dropped until it awaits its review, the review signed until the approval is awaited, the approval signed until
the run is completed. The floor is the same leg with nothing around it: `Run.execute` in this process, on the same disk.
"""

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from countersign import Run, record_approval
from tests.end_to_end.live import Live, live_in, until
from tests.pipeline.deployment import SIGNERS, payload_for

LEGS = ("dropped until review is due", "review until approval is due", "approval until completed")
PAUSES = (("AWAITING_APPROVAL", "independent_review"), ("AWAITING_APPROVAL", "maker_checker"), ("COMPLETED", None))
TARGET_SECONDS = 12.0


def through_dagster(live: Live, change_id: str, chance: random.Random) -> list[float]:
    """The legs of one payload through everything."""
    engine = live.deployment.engine("")

    def stands_at(pause: tuple[str, str | None]) -> bool:
        engine.index.sync()
        found = [run for run in engine.index.all_runs() if run.change_id == change_id]
        return [(run.status, run.pending) for run in found] == [pause]

    def sign(key: str) -> None:
        record_approval(live.deployment.log(change_id).parent, key, SIGNERS[key], policy=live.deployment.policy)

    legs = []
    acts = [partial(live.deployment.drop, change_id), *(partial(sign, key) for key in SIGNERS)]
    for act, pause in zip(acts, PAUSES, strict=True):
        arrived = partial(until, partial(stands_at, pause), f"{change_id} is {pause}", every=0.05)
        until(live.idle, "the run before is over, so that this leg needs one of its own")
        time.sleep(chance.uniform(0, 5))
        legs.append(timed(act, arrived))
    return legs


def bare(live: Live, change_id: str, folder: Path) -> list[float]:
    """The legs of the same payload, executed in this process."""
    run = Run(folder, policy=live.deployment.policy)
    payload = payload_for(change_id)
    execute = partial(run.execute, payload)
    legs = [timed(execute)]
    rundir = execute().rundir
    for key, signer in SIGNERS.items():
        legs.append(timed(partial(record_approval, rundir, key, signer, policy=live.deployment.policy), execute))
    return legs


def timed(*acts: Callable[[], Any]) -> float:
    start = time.perf_counter()
    for act in acts:
        act()
    return time.perf_counter() - start


def measure(payloads: int, seed: int) -> dict[str, Any]:
    """Median and maximum of every leg, beside the median of its floor, in seconds."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder, live_in(Path(folder)) as live:
        ids = [f"CHG-{number}" for number in range(payloads)]
        ours = []
        for number, change_id in enumerate(ids, start=1):
            ours.append(through_dagster(live, change_id, chance))
            print(f"{number}/{payloads}: {', '.join(f'{leg:.1f} s' for leg in ours[-1])}", file=sys.stderr)
        floor = [bare(live, change_id, Path(folder) / "bare") for change_id in ids]
    legs = [
        {
            "leg": leg,
            "median": round(statistics.median(took[position] for took in ours), 2),
            "max": round(max(took[position] for took in ours), 2),
            "floor": round(statistics.median(took[position] for took in floor), 3),
        }
        for position, leg in enumerate(LEGS)
    ]
    return {"payloads": payloads, "seed": seed, "target": TARGET_SECONDS, "legs": legs}


def main() -> int:
    parser = argparse.ArgumentParser(prog="latency", description="Seconds from a person's act to its effect.")
    parser.add_argument("--payloads", type=int, default=7)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    asked = parser.parse_args()
    found = measure(asked.payloads, asked.seed)
    if asked.json:
        print(json.dumps(found))
    else:
        print(f"{'leg':30} {'median':>8} {'max':>8} {'floor':>8}   seconds, {found['payloads']} payloads")
        for leg in found["legs"]:
            print(f"{leg['leg']:30} {leg['median']:8.2f} {leg['max']:8.2f} {leg['floor']:8.3f}")
    return int(any(leg["median"] > TARGET_SECONDS for leg in found["legs"]))


if __name__ == "__main__":
    sys.exit(main())
