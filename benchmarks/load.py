"""What loading the code location costs, beside `import dagster`: interleaved pairs in fresh processes.

The ratio is that of whole processes, from start to exit, as a run's worker pays it. The load alone stands beside it.

python -m benchmarks.load [--pairs 11] [--json]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
FLOOR, OURS = "import dagster", "import pipeline_defs.definitions"
TIMED = "import time; start = time.perf_counter(); {}; print(time.perf_counter() - start)"
TARGET_RATIO = 1.3


def seconds(code: str) -> tuple[float, float]:
    """One fresh process, with bytecode cached as everybody has it: all of it, and the import alone."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-W", "ignore", "-c", TIMED.format(code)]
    start = time.perf_counter()
    done = subprocess.run(command, check=True, cwd=REPOSITORY, env=environment, capture_output=True, text=True)
    return time.perf_counter() - start, float(done.stdout)


def measure(pairs: int) -> dict[str, float]:
    """Medians in seconds, and the medians of the ratios within pairs."""
    for code in (FLOOR, OURS):
        seconds(code)
    took = [(seconds(FLOOR), seconds(OURS)) for _ in range(pairs)]
    return {
        "pairs": pairs,
        "dagster": round(statistics.median(floor for (floor, _), _ in took), 3),
        "definitions": round(statistics.median(ours for _, (ours, _) in took), 3),
        "ratio": round(statistics.median(ours / floor for (floor, _), (ours, _) in took), 3),
        "load_alone_ratio": round(statistics.median(ours / floor for (_, floor), (_, ours) in took), 3),
        "target": TARGET_RATIO,
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="load", description="What loading the code location costs.")
    parser.add_argument("--pairs", type=int, default=11)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    asked = parser.parse_args()
    found = measure(asked.pairs)
    if asked.json:
        print(json.dumps(found))
    else:
        print(f"{FLOOR:36} {found['dagster']:.3f} s")
        print(f"{OURS:36} {found['definitions']:.3f} s")
        print(f"ratio, median of {found['pairs']} pairs          {found['ratio']:.3f} (at most {TARGET_RATIO})")
        print(f"ratio of the load alone            {found['load_alone_ratio']:.3f}")
    return int(found["ratio"] > TARGET_RATIO)


if __name__ == "__main__":
    sys.exit(main())
