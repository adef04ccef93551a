"""A frozen population, read back: what is drawn from, and how many of what there are.

What belongs here: reading the files that the register names, never others. What does not: writing them (`files`), the
order of a freeze (`freeze`), and drawing.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from countersign.errors import SamplingError, TamperedError, printable
from countersign.evidence.durable import digest_of_file
from countersign.evidence.plain import is_plain, open_plain, read_plain
from countersign.evidence.register import events_of
from countersign.evidence.root import MONTHS, EvidenceRoot
from countersign.sampling.columns import REPEATING, SCHEMA, Outcome, Stratum
from countersign.sampling.listing import Counts, Header
from countersign.sampling.month import Month
from countersign.sampling.verdict import CompletenessTest

FROZEN = "population_frozen"


@dataclass(frozen=True, slots=True)
class Listed:
    """One list with its Parquet file: a population, or changes that came late to it; `frozen_at` is the register's."""

    header: Header
    digest: str
    frozen_at: str
    parquet: Path
    list: Path
    completeness: Path

    def tests(self) -> tuple[CompletenessTest, ...]:
        """The completeness tests as they were put down."""
        said = orjson.loads(read_plain(self.completeness))
        return tuple(map(CompletenessTest.parse, said["tests"]))

    def ids(self, stratum: str, outcome: str) -> Iterator[str]:
        """The change ids of a stratum and outcome, ascending."""
        file = self._opened()
        for group in range(file.num_row_groups):
            rows = file.read_row_group(group, ["change_id", "stratum", "outcome"])
            wanted = pc.and_(pc.equal(rows.column("stratum"), stratum), pc.equal(rows.column("outcome"), outcome))
            yield from rows.column("change_id").filter(wanted).to_pylist()

    def outcomes(self) -> Iterator[tuple[str, str]]:
        """Each run id with its outcome."""
        file = self._opened()
        for group in range(file.num_row_groups):
            rows = file.read_row_group(group, ["run_id", "outcome"])
            yield from zip(rows.column("run_id").to_pylist(), rows.column("outcome").to_pylist(), strict=True)

    def clean_rows(self, change_ids: pa.Array) -> Iterator[pa.Table]:
        """The clean rows of these changes, as far as they stand here."""
        file = self._opened()
        for group in range(file.num_row_groups):
            rows = file.read_row_group(group, ["change_id", "outcome"])
            clean = pc.equal(rows.column("outcome"), Outcome.CLEAN)
            wanted = pc.and_(clean, pc.is_in(rows.column("change_id"), change_ids))
            if pc.any(wanted).as_py():
                yield file.read_row_group(group).filter(wanted).cast(SCHEMA)

    def _opened(self) -> pq.ParquetFile:
        return pq.ParquetFile(self.parquet, read_dictionary=REPEATING)


@dataclass(frozen=True, slots=True)
class Frozen:
    """The population of a month as it was frozen, and what came late to it."""

    folder: Path
    population: Listed
    late: tuple[Listed, ...] = ()

    @property
    def month(self) -> Month:
        return self.population.header.month

    @property
    def digest(self) -> str:
        """The population digest; late lists have digests of their own."""
        return self.population.digest

    @property
    def complete(self) -> bool:
        """Whether nothing was found to be missing, and nothing arrived late; what became clean late was there."""
        return all(each.header.complete for each in (self.population, *self.late))

    def tests(self) -> tuple[CompletenessTest, ...]:
        """Every completeness test, those of the population first."""
        return tuple(test for each in (self.population, *self.late) for test in each.tests())

    def lacks(self) -> tuple[str, ...]:
        """What the population lacks, in the words of a finding, each once."""
        return tuple(dict.fromkeys(test.missing for test in self.tests() if test.passed is False))

    @property
    def counts(self) -> Counts:
        """How many changes there are by stratum and outcome."""
        counted = Counter(self.population.header.counts)
        for each in self.late:
            counted.update(each.header.counts)
        return dict(sorted(counted.items()))

    def strata(self) -> dict[str, int]:
        """How many clean changes each stratum has: what is drawn from."""
        return {stratum.value: self.counts.get((stratum, Outcome.CLEAN), 0) for stratum in Stratum}

    def clean_ids(self, stratum: str) -> Iterator[str]:
        """The clean changes of a stratum."""
        for each in (self.population, *self.late):
            yield from each.ids(stratum, Outcome.CLEAN)

    def outcomes(self) -> dict[str, str]:
        """The outcome of every run, as it was listed last."""
        found: dict[str, str] = {}
        for each in (self.population, *self.late):
            found.update(each.outcomes())
        return found

    def rows(self, change_ids: Sequence[str], stratum: str | None = None) -> pa.Table:
        """The rows of clean changes, of one stratum or all, in this order. Raises SamplingError for an id without one.

        A change whose run was superseded after the freeze may have a row in its stratum and another that came late.
        """
        wanted = pa.array(change_ids, pa.string())
        of_the_freeze = () if stratum == Stratum.LATE else (self.population,)
        lists = (*of_the_freeze, *(self.late if stratum in (None, Stratum.LATE) else ()))
        found = pa.concat_tables(
            [SCHEMA.empty_table(), *(rows for each in lists for rows in each.clean_rows(wanted))],
        )
        place = pc.index_in(wanted, found.column("change_id").combine_chunks())
        if place.null_count:
            missing = wanted.filter(place.is_null())[0].as_py()
            raise SamplingError(f"{printable(missing)}: no clean change of {self.month}, so it is in no sample of it")
        return found.take(place)


def folder_of(root: EvidenceRoot, month: Month) -> Path:
    """Where everything about a month's sample lies."""
    return root.path / f"{MONTHS}{month}"


def registered(root: EvidenceRoot, month: Month) -> list[dict[str, Any]]:
    """The register's lines about the population of a month and what came late to it, in their order."""
    return [said for said in events_of(root.register, FROZEN) if said["month"] == str(month)]


def read(root: EvidenceRoot, month: Month, lists: int | None = None) -> Frozen | None:
    """The frozen population of a month, None where there is none yet; of its first `lists`, or of all.

    Raises TamperedError where a file is not the one that the register names.
    """
    listed = [_listed(root, said) for said in registered(root, month)[:lists]]
    return Frozen(folder_of(root, month), listed[0], tuple(listed[1:])) if listed else None


def _listed(root: EvidenceRoot, said: Mapping[str, Any]) -> Listed:
    for name, digest in said["files"].items():
        path = root.path / name
        if not is_plain(path) or digest_of_file(path) != digest:
            raise TamperedError(f"{path}: missing, or not what was frozen; restore it from the retention store (SEV-1)")
    path = root.path / next(name for name, digest in said["files"].items() if digest == said["digest"])
    try:
        with open_plain(path) as lines:
            header = Header.parse(lines)
    except (KeyError, ValueError, SamplingError) as error:
        raise TamperedError(f"{path}: its header is not of its form: {error} (SEV-1)") from error
    completeness = root.path / next(name for name in said["files"] if name.endswith(".json"))
    return Listed(header, said["digest"], said["ts"], path.with_suffix(".parquet"), path, completeness)
