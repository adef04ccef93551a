"""Whether a draw favours anybody, over many seeds: `make sample-check` runs all 20,000.

How often each change was drawn is compared with n/N by chi-square. Within one draw the counts are not independent:
without replacement their variance is (N − n)/(N − 1) of that of independent ones, so the sum is divided by it.
"""

import hashlib
import sys

from scipy.stats import chi2

from countersign.sampling.draw import Seed, draw


def chi_square_p(*, seeds: int, population: int, n: int, favoured: int = 0) -> float:
    """The probability of counts at least this uneven from a uniform draw; `favoured` ids are put in twice as likely."""
    ids = [f"CHG-{number:05}" for number in range(population)]
    entered = ids + [f"{id_}+" for id_ in ids[:favoured]]
    times = dict.fromkeys(ids, 0)
    for number in range(seeds):
        for item in draw(entered, n, Seed(hashlib.sha256(number.to_bytes(4, "big")).digest(), "observer")).items:
            times[item.change_id.removesuffix("+")] += 1
    expected = seeds * n / population
    statistic = sum((found - expected) ** 2 for found in times.values()) / expected
    return float(chi2.sf(statistic * (population - 1) / (population - n), population - 1))


def main() -> int:
    p = chi_square_p(seeds=20_000, population=332, n=52)
    sys.stdout.write(f"20,000 seeds, 52 of 332 changes each: chi-square p = {p:.4f} (below 0.001 once in 1,000)\n")
    return int(p < 0.001)


if __name__ == "__main__":
    sys.exit(main())
