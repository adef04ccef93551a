"""Parquet datasets by intake day: views of the logs, replaced whole, their digests in the register.

What belongs here: merging rows into a day's file, durably and in bounded memory. What does not: what a row says.
"""

import os
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import date
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from countersign.errors import EvidenceError
from countersign.evidence import durable
from countersign.evidence.columns import Column
from countersign.evidence.contents import lock_of
from countersign.evidence.lines import Draft
from countersign.evidence.plain import open_plain
from countersign.evidence.root import EvidenceRoot

KEY = "run_id"
_ROW_GROUP = 1024  # held in memory several times over while it is written, so memory grows with it


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
        case "share":
            return pa.float64()
        case "instant":
            return pa.timestamp("us", tz="UTC")
        case "records":
            return pa.list_(pa.struct([_field(field) for field in column.fields]))


class Dataset:
    """The files of one asset: `datasets/<asset>/day=<day>.parquet`, a row a run."""

    def __init__(self, root: EvidenceRoot, asset: str, schema: pa.Schema) -> None:
        self.asset = asset
        self.schema = schema
        self._root = root
        self._folder = root.datasets / asset

    def path(self, day: date) -> Path:
        """The file of an intake day."""
        return self._root.dataset(self.asset, day.isoformat())

    def batch(self, rows: Sequence[dict[str, Any]]) -> pa.RecordBatch:
        """Rows as one Arrow batch of the schema."""
        return pa.RecordBatch.from_pylist(list(rows), schema=self.schema)

    def run_ids(self, day: date) -> set[str]:
        """The runs that a day's file has."""
        return {run_id for batch in self._batches(self.path(day), [KEY]) for run_id in batch.column(0).to_pylist()}

    def rows(self, day: date) -> int:
        """How many rows a day's file has, by its own metadata."""
        file = self._open(self.path(day))
        return file.metadata.num_rows if file else 0

    def table(self, day: date) -> pa.Table:
        """Every row of a day's file. Raises EvidenceError for one that cannot be read."""
        return pa.Table.from_batches(self._batches(self.path(day)), schema=self.schema)

    def keep_only(self, day: date, digest: str | None) -> None:
        """Remove a day's file unless its SHA-256 is this one. The caller holds `locked(day)`."""
        path = self.path(day)
        if path.exists() and durable.digest_of_file(path) != digest:
            path.unlink()

    def waiting(self) -> "Waiting":
        """Room for rows until they are merged."""
        durable.make_folder(self._folder)
        return Waiting(self._folder, self.schema)

    def merge(self, day: date, batches: Iterable[pa.RecordBatch]) -> Draft | None:
        """Add rows to a day's file, those of a run that is there already left out; None when nothing was new.

        Returns the register event that names the new file's digest. The caller holds `locked(day)`.
        """
        durable.make_folder(self._folder)
        path = self.path(day)
        fresh = _without(batches, self.run_ids(day))
        first = next(fresh, None)
        if first is None:
            return None
        temporary = self._folder / f".{path.name}.{os.getpid()}.tmp"
        # private from its first byte, since a crash may leave it there
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, durable.FILE_MODE))
        with pq.ParquetWriter(temporary, self.schema, compression="zstd") as writer:
            rows = 0
            for group in chain(self._old_groups(path), _new_groups(chain([first], fresh))):
                writer.write_table(group, row_group_size=_ROW_GROUP)
                rows += group.num_rows
        durable.sync_file(temporary)
        digest = durable.digest_of_file(temporary)
        durable.publish(temporary, path)
        data = {"asset": self.asset, "day": day.isoformat(), "digest": digest, "rows": rows}
        return Draft("dataset", "countersign", data)

    def locked(self, day: date) -> AbstractContextManager[None]:
        """One writer of a day's file at a time."""
        durable.make_folder(self._folder)
        return durable.alone(lock_of(self.path(day)))

    def _old_groups(self, path: Path) -> Iterator[pa.Table]:
        """The rows of a file as they are."""
        for batch in self._batches(path):
            yield pa.Table.from_batches([batch], schema=self.schema)

    def _batches(self, path: Path, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The rows of a file, none where there is no file."""
        file = self._open(path)
        if file is None:
            return
        try:
            yield from file.iter_batches(batch_size=_ROW_GROUP, columns=columns)
        except (OSError, pa.ArrowInvalid) as error:
            raise _unreadable(path, error) from error

    def _open(self, path: Path) -> pq.ParquetFile | None:
        """A file with the columns of this dataset, or None where there is none."""
        if not path.exists():
            return None
        try:
            open_plain(path).close()  # Arrow opens by name, whatever lies there
            file = pq.ParquetFile(path)
            if not file.schema_arrow.equals(self.schema):
                raise pa.ArrowInvalid("its columns are others")
        except (OSError, pa.ArrowInvalid) as error:
            raise _unreadable(path, error) from error
        return file


def _unreadable(path: Path, error: Exception) -> EvidenceError:
    return EvidenceError(f"{path}: cannot be read: {error}; delete it and it is rebuilt from the logs")


class Waiting:
    """Rows that wait for their day's file to be written: on disk, in a file without a name.

    So memory stays flat however many there are, and a crash leaves nothing behind.
    """

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        self.run_ids: set[str] = set()
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  (it is open for as long as the rows wait)
        weakref.finalize(self, self._file.close)  # rows that nobody fetched are read from the logs again
        self._stream = pa.ipc.new_stream(self._file, schema)

    def add(self, batch: pa.RecordBatch) -> None:
        """Keep a batch."""
        self._stream.write_batch(batch)
        self.run_ids.update(batch.column(KEY).to_pylist())

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Every batch that was kept, in order; nothing can be added afterwards."""
        self._stream.close()
        with self._file:
            self._file.seek(0)
            yield from pa.ipc.open_stream(self._file)


def _without(batches: Iterable[pa.RecordBatch], present: set[str]) -> Iterator[pa.RecordBatch]:
    """The rows of runs that are not present, empty batches left out."""
    value_set: pa.Array | None = None
    for batch in batches:
        if value_set is None:
            value_set = pa.array(sorted(present), pa.string())
        left = batch.filter(pc.invert(pc.is_in(batch.column(KEY), value_set=value_set)))
        if left.num_rows:
            yield left


def _new_groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Batches gathered into row groups, each by run id."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        waiting.append(batch)
        if sum(gathered.num_rows for gathered in waiting) >= _ROW_GROUP:
            yield pa.Table.from_batches(waiting).sort_by(KEY)
            waiting = []
    if waiting:
        yield pa.Table.from_batches(waiting).sort_by(KEY)
