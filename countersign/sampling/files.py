"""Writing the files of a population from Arrow batches: columns all the way, so that ten million rows take a minute.

What belongs here: `population.parquet` and `population.txt`, durably, in bounded memory, in one pass over the rows.
What does not: the form of a line (`listing`), and which changes there are.
"""

import hashlib
import os
import tempfile
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from countersign.errors import SamplingError, printable
from countersign.evidence import durable
from countersign.sampling.columns import REPEATING, SCHEMA, Outcome
from countersign.sampling.listing import Header, lines_of

_ROW_GROUP = 131_072  # large enough for a scan of one column, small enough to hold two of them in memory
_AT_ONCE = 8_192  # rows whose bytes are put together at a time: as many as fit into a processor's cache
_BOUNDED = [
    "change_id",
    "stratum",
    "outcome",
    "system",
    "deployed_at",
]  # what scans ask for; no digest has useful bounds
_AHEAD = 4  # pieces that threads are at while the first of them is waited for


def write(folder: Path, stem: str, header: Header, batches: Iterable[pa.RecordBatch]) -> dict[str, str]:
    """Write `<stem>.parquet` and `<stem>.txt`, durably; returns each name with the SHA-256 of its content.

    Batches are of `SCHEMA` and in the order of the list: by change id and run id, strictly ascending; of a change, all
    rows but one are superseded. Raises SamplingError where they are not, or not as many as the header counts. Files of
    these names are replaced: the caller knows that the register names none.
    """
    durable.make_folder(folder)
    with _temporary(folder, f"{stem}.parquet") as parquet, _temporary(folder, f"{stem}.txt") as listed:
        digest = hashlib.sha256(header.written)
        with listed.open("wb") as file:
            file.write(header.written)
            with Groups(parquet) as groups:
                for piece, lines in _with_lines(in_order(_pieces(batches))):
                    digest.update(lines)
                    file.write(lines)
                    groups.add(piece)
        if groups.counted != header.counts:
            raise SamplingError(f"{folder}: {groups.counted.total()} changes came, and the header counts others")
        digests = {f"{stem}.parquet": durable.digest_of_file(parquet), f"{stem}.txt": digest.hexdigest()}
        for temporary, name in ((parquet, f"{stem}.parquet"), (listed, f"{stem}.txt")):
            _sync(temporary)
            durable.publish(temporary, folder / name)
    return digests


class Groups:
    """A Parquet file in the making; a thread writes one row group while the next one is gathered."""

    def __init__(self, path: Path) -> None:
        self.counted: Counter[tuple[str, str]] = Counter()
        self._writer = pq.ParquetWriter(
            path, SCHEMA, compression="zstd", use_dictionary=REPEATING, write_statistics=_BOUNDED
        )
        self._thread = ThreadPoolExecutor(1)
        self._written: Future[None] | None = None
        self._waiting: list[pa.RecordBatch] = []
        self._rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        with self._writer, self._thread:  # the file is closed after the thread is done with it, whatever went wrong
            if kind is None:
                self._hand_over()
                self._wait()

    def add(self, batch: pa.RecordBatch) -> None:
        """Take rows in."""
        self._waiting.append(batch)
        self._rows += len(batch)
        if self._rows >= _ROW_GROUP:
            self._hand_over()

    def _hand_over(self) -> None:
        self._wait()
        if self._rows:
            table = pa.Table.from_batches(self._waiting)
            counts = table.group_by(["stratum", "outcome"]).aggregate([([], "count_all")])
            for row in counts.to_pylist():
                self.counted[row["stratum"], row["outcome"]] += row["count_all"]
            self._written = self._thread.submit(self._writer.write_table, table, row_group_size=len(table))
            self._waiting, self._rows = [], 0

    def _wait(self) -> None:
        if self._written is not None:
            self._written.result()


def in_order(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The batches as they come. Raises SamplingError at a row out of order, or a change that stands twice."""
    row, live = "", ""
    for batch in batches:
        keys = pc.binary_join_element_wise(batch.column("change_id"), batch.column("run_id"), "\0")
        row = _ascend(keys, row, "comes twice, or out of order")
        standing = pc.not_equal(batch.column("outcome"), Outcome.SUPERSEDED)
        live = _ascend(batch.column("change_id").filter(standing), live, "stands twice without being superseded")
        yield batch


def _ascend(keys: pa.Array, last: str, fault: str) -> str:
    """The last of these keys, each of which is greater than the one before. Raises SamplingError."""
    if len(keys) == 0:
        return last
    ascending = pc.greater(keys, pa.concat_arrays([pa.array([last], pa.string()), keys[:-1]]))
    if not pc.all(ascending).as_py():
        first = keys.filter(pc.invert(ascending))[0].as_py()
        raise SamplingError(f"{printable(first)}: {fault}; a population has each change once, by its id")
    return str(keys[-1].as_py())


def _pieces(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        if not batch.schema.equals(SCHEMA):
            raise SamplingError("a batch of other columns; the columns of a population are those of its dictionary")
        for start in range(0, len(batch), _AT_ONCE):
            yield batch.slice(start, _AT_ONCE)


def _with_lines(pieces: Iterable[pa.RecordBatch]) -> Iterator[tuple[pa.RecordBatch, bytes]]:
    """Each piece with its lines, in order; threads are at the next ones, since Arrow lets others run meanwhile."""
    with ThreadPoolExecutor(2) as threads:
        begun: deque[tuple[pa.RecordBatch, Future[bytes]]] = deque()
        for piece in pieces:
            begun.append((piece, threads.submit(lines_of, piece)))
            if len(begun) > _AHEAD:
                first, lines = begun.popleft()
                yield first, lines.result()
        for first, lines in begun:
            yield first, lines.result()


@contextmanager
def _temporary(folder: Path, name: str) -> Iterator[Path]:
    """A private file of its own beside the name that it will get; gone afterwards, unless it got it."""
    handle, path = tempfile.mkstemp(prefix=f".{name}.", suffix=".tmp", dir=folder)
    os.close(handle)
    try:
        yield Path(path)
    finally:
        Path(path).unlink(missing_ok=True)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
