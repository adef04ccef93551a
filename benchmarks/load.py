"""What loading the code location costs, beside `import dagster`: interleaved pairs in fresh processes.

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
TARGET_RATIO = 1.3


def seconds(code: str) -> float:
    """One fresh process, with bytecode cached as everybody has it."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, cwd=REPOSITORY, env=environment)
    return time.perf_counter() - start


def measure(pairs: int) -> dict[str, float]:
    """Medians in seconds, and the median of the ratios within pairs."""
    for code in (FLOOR, OURS):
        seconds(code)
    took = [(seconds(FLOOR), seconds(OURS)) for _ in range(pairs)]
    return {
        "pairs": pairs,
        "dagster": round(statistics.median(floor for floor, _ in took), 3),
        "definitions": round(statistics.median(ours for _, ours in took), 3),
        "ratio": round(statistics.median(ours / floor for floor, ours in took), 3),
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
    return int(found["ratio"] > TARGET_RATIO)


if __name__ == "__main__":
    sys.exit(main())
