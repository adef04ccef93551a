"""What the pictures of a month show, counted: from its population, its sample, and the results of all months.

What belongs here: counting, in columns. What does not: shapes (`pictures`) and pages (`page`).
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from countersign.sampling.columns import Outcome
from countersign.sampling.frozen import Frozen
from countersign.sampling.ledger import MonthLines
from countersign.sampling.month import Month
from countersign.sampling.pictures import Limit
from countersign.sampling.sample import Sample

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Figures:
    """Changes by day and outcome, and by part (system and type) of the clean population and of the sample.

    `limits` are the months whose results came, the earliest first.
    """

    days: tuple[str, ...]
    by_day: Mapping[tuple[str, str], int]
    population: Mapping[str, int]
    sample: Mapping[str, int]
    limits: tuple[Limit, ...]


def figures(population: Frozen, sample: Sample | None, months: Mapping[Month, MonthLines]) -> Figures:
    """What there is to show of a month; `months` are those whose results count for the third picture."""
    by_day, clean = Counter[tuple[str, str]](), Counter[str]()
    for listed in (population.population, *population.late):
        file = pq.ParquetFile(listed.parquet)
        for batch in file.iter_batches(columns=["deployed_at", "outcome", "system", "change_type"]):
            by_day.update(_days(batch, population.population.header.zone))
            clean.update(_parts(pa.Table.from_batches([batch]).filter(pc.field("outcome") == Outcome.CLEAN)))
    drawn = _parts(sample.rows()) if sample is not None else Counter[str]()
    return Figures(tuple(_days_of(population.month)), by_day, clean, drawn, tuple(_limits(months.values())))


def _days(batch: pa.RecordBatch, zone: str) -> Counter[tuple[str, str]]:
    at = batch.column("deployed_at").cast(pa.timestamp("us", tz=zone))
    table = pa.table({"day": pc.strftime(at, "%Y-%m-%d"), "outcome": batch.column("outcome")})
    rows = table.group_by(["day", "outcome"]).aggregate([([], "count_all")]).to_pylist()
    return Counter({(row["day"], row["outcome"]): row["count_all"] for row in rows})


def _parts(rows: pa.Table) -> Counter[str]:
    counted = rows.group_by(["system", "change_type"]).aggregate([([], "count_all")]).to_pylist()
    return Counter({f"{row['system']}, {row['change_type']}": row["count_all"] for row in counted})


def _days_of(month: Month) -> Iterable[str]:
    day = month.first
    while day < month.next.first:
        yield day.isoformat()
        day += _DAY


def _limits(months: Iterable[MonthLines]) -> Iterable[Limit]:
    for lines in months:
        said = lines.observed
        if said is not None:
            highest = max((float(one["limit"]) for one in said.data["strata"].values()), default=0.0)
            yield Limit(str(lines.month), highest, float(said.data["tolerable"]))
