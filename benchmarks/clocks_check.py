"""Deadlines against walking minute by minute, over five zones and six years; ends with 1 where any differ.

    python -m benchmarks.clocks_check [--cases 20000] [--seed 1]

The tests do the same with fewer cases.
"""

import argparse
import random
import sys
import time

from tests.domain.clocks.stepping import calendars, cases, differences, instant


def main() -> int:
    parser = argparse.ArgumentParser(prog="clocks_check", description="Deadlines against walking minute by minute.")
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    made_up = calendars(asked.seed)
    each, begun, found = asked.cases // len(made_up), time.monotonic(), 0
    for number, calendar in enumerate(made_up):
        wrong = differences(calendar, cases(calendar, each, random.Random(asked.seed + number)))
        found += len(wrong)
        print(f"{calendar.zone:22} {each} cases, {len(wrong)} differ, {time.monotonic() - begun:.0f} s", flush=True)
        for case, walked, computed in wrong[:3]:
            print(f"  {case.allowance} from {instant(case.start)}, pauses {case.pauses}: {walked}, not {computed}")
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
