"""What follows from a monthly sample: a completeness review where nobody looked in time, and deviations.

What belongs here: recording them, for whoever has read how a month stands. What does not: samples, which know no
findings.
"""

from collections.abc import Iterable
from datetime import date, datetime

from countersign.findings.finding import Occurrence
from countersign.findings.log import FindingsLog
from countersign.findings.occurrences import late_sample, sample_deviations
from countersign.runs.engine import Engine


def record_late_samples(engine: Engine, log: FindingsLog, late: Iterable[tuple[date, datetime]]) -> list[str]:
    """A finding for each of these months whose results had not come when they were due; returns the new ids."""
    found = [_late(engine, month, due) for month, due in late]
    return log.open(found) if found else []


def _late(engine: Engine, month: date, due: datetime) -> Occurrence:
    """Barred are the observers of then: they were late."""
    return late_sample(month, due, engine.current.people.holding("observer", due), engine.current.policy)


def record_deviations(
    engine: Engine, log: FindingsLog, month: date, found: Iterable[tuple[str, int, int, bool]], seen_at: datetime
) -> list[str]:
    """A finding for each stratum whose sample deviates: its name, deviations, size, and whether the limit is too high.

    Returns the new ids. One of them is what a larger sample is drawn for.
    """
    what = [
        sample_deviations(month, f"{stratum}: {deviations} of {n} deviate", seen_at, engine.current.policy, grave=grave)
        for stratum, deviations, n, grave in found
        if deviations
    ]
    return log.open(what) if what else []
