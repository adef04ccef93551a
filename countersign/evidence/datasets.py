"""Parquet datasets by intake day: views of the logs, replaced whole, their digests in the register.

What belongs here: merging rows into a day's file, durably and in bounded memory. What does not: what a row says.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from countersign.errors import EvidenceError
from countersign.evidence import durable
from countersign.evidence.columns import Column
from countersign.evidence.lines import Draft
from countersign.evidence.root import EvidenceRoot

KEY = "run_id"
_ROW_GROUP = 4096


def schema_of(columns: Sequence[Column]) -> pa.Schema:
    """The Arrow schema of these columns; each field carries its meaning as metadata."""
    return pa.schema([_field(column) for column in columns])


def _field(column: Column) -> pa.Field:
    return pa.field(column.name, _type(column), metadata={"meaning": column.meaning})


def _type(column: Column) -> pa.DataType:
    match column.kind:
        case "text":
            return pa.string()
        case "texts":
            return pa.list_(pa.string())
        case "flag":
            return pa.bool_()
        case "count":
            return pa.int64()
        case "instant":
            return pa.timestamp("us", tz="UTC")
        case "records":
            return pa.list_(pa.struct([_field(field) for field in column.fields]))


class Dataset:
    """The files of one asset: `datasets/<asset>/day=<day>.parquet`, a row a run."""

    def __init__(self, root: EvidenceRoot, asset: str, schema: pa.Schema) -> None:
        self.asset = asset
        self.schema = schema
        self._folder = root.datasets / asset

    def path(self, day: date) -> Path:
        """The file of an intake day."""
        return self._folder / f"day={day.isoformat()}.parquet"

    def batch(self, rows: Sequence[dict[str, Any]]) -> pa.RecordBatch:
        """Rows as one Arrow batch of the schema."""
        return pa.RecordBatch.from_pylist(list(rows), schema=self.schema)

    def run_ids(self, day: date) -> set[str]:
        """The runs that a day's file has."""
        return {run_id for batch in self._batches(self.path(day), [KEY]) for run_id in batch.column(0).to_pylist()}

    def rows(self, day: date) -> int:
        """How many rows a day's file has."""
        return sum(batch.num_rows for batch in self._batches(self.path(day), [KEY]))

    def table(self, day: date) -> pa.Table:
        """Every row of a day's file. Raises EvidenceError for one that cannot be read."""
        return pa.Table.from_batches(self._batches(self.path(day)), schema=self.schema)

    def keep_only(self, day: date, digest: str | None) -> None:
        """Remove a day's file unless its SHA-256 is this one. The caller holds `locked(day)`."""
        path = self.path(day)
        if path.exists():
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != digest:
                path.unlink()

    def merge(self, day: date, batches: Iterable[pa.RecordBatch]) -> Draft | None:
        """Add rows to a day's file, those of a run that is there already left out; None when nothing was new.

        Returns the register event that names the new file's digest. The caller holds `locked(day)`.
        """
        durable.make_folder(self._folder)
        path = self.path(day)
        present = pa.array(sorted(self.run_ids(day)), pa.string())
        fresh = [batch for batch in (_without(batch, present) for batch in batches) if batch.num_rows]
        if not fresh:
            return None
        temporary = self._folder / f".{path.name}.{os.getpid()}.tmp"
        # private from its first byte, since a crash may leave it there
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, durable.FILE_MODE))
        with pq.ParquetWriter(temporary, self.schema, compression="zstd") as writer:
            rows = 0
            for table in _grouped(fresh, self._batches(path), self.schema):
                writer.write_table(table, row_group_size=_ROW_GROUP)
                rows += table.num_rows
        with temporary.open("r+b") as file:
            os.fsync(file.fileno())
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        durable.publish(temporary, path)
        data = {"asset": self.asset, "day": day.isoformat(), "digest": digest, "rows": rows}
        return Draft("dataset", "countersign", data)

    @contextmanager
    def locked(self, day: date) -> Iterator[None]:
        """One writer of a day's file at a time."""
        durable.make_folder(self._folder)
        handle = os.open(self._folder / f".{self.path(day).name}.lock", os.O_RDWR | os.O_CREAT, durable.FILE_MODE)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _batches(self, path: Path, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The rows of a file, none where there is no file."""
        if not path.exists():
            return
        try:
            file = pq.ParquetFile(path)
            if not file.schema_arrow.equals(self.schema):
                raise pa.ArrowInvalid("its columns are others")
            yield from file.iter_batches(batch_size=_ROW_GROUP, columns=columns)
        except (OSError, pa.ArrowInvalid) as error:
            raise EvidenceError(
                f"{path}: cannot be read: {error}; delete it and it is rebuilt from the logs"
            ) from error


def _without(batch: pa.RecordBatch, present: pa.Array) -> pa.RecordBatch:
    return batch.filter(pc.invert(pc.is_in(batch.column(KEY), value_set=present)))


def _grouped(fresh: list[pa.RecordBatch], old: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    """Old rows as they were, then the new ones by run id; one table per row group."""
    for batch in old:
        yield pa.Table.from_batches([batch], schema=schema)
    yield pa.Table.from_batches(fresh, schema=schema).sort_by(KEY)
