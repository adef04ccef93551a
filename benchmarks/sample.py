"""What freezing a month and drawing from it cost: time, memory, and whether a row costs the same at every size.

python -m benchmarks.sample [--rows 10000000] [--n 59] [--folder DIR] [--json]

Beside it: pyarrow writing the same columns once, which nobody can do without. Rows are made up on the way, in both, and
what that takes is measured by itself and left in. Each size runs in a process of its own, so that its peak memory is
its own. Everything is on disk (fsync) before its time is taken.
"""

import argparse
import hashlib
import json
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from countersign.evidence import durable
from countersign.evidence.lines import Draft
from countersign.evidence.register import Register
from countersign.evidence.root import EvidenceRoot
from countersign.sampling import frozen
from countersign.sampling.columns import SCHEMA
from countersign.sampling.draw import Seed, draw
from countersign.sampling.files import write
from countersign.sampling.listing import Header
from countersign.sampling.month import Month

SEED = Seed(hashlib.sha256(b"benchmark").digest(), "observer")
MONTH = Month.parse("2026-10")
BATCH = 131_072
EMERGENCIES = 1000  # one row in so many; all of them are drawn
_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)


def _texts(values: np.ndarray) -> pa.Array:
    """Rows of ASCII characters as texts."""
    rows, width = values.shape
    ends = np.arange(0, (rows + 1) * width, width, dtype=np.int32)
    return pa.StringArray.from_buffers(rows, pa.py_buffer(ends), pa.py_buffer(np.ascontiguousarray(values)))


def _digests(random: np.random.Generator, rows: int) -> np.ndarray:
    raw = random.integers(0, 256, (rows, 32), dtype=np.uint8)
    return np.stack([_HEX[raw >> 4], _HEX[raw & 15]], axis=2).reshape(rows, 64)


def _ids(first: int, rows: int) -> pa.Array:
    numbers = np.arange(first, first + rows)[:, None] // 10 ** np.arange(9, -1, -1)[None, :] % 10 + ord("0")
    return _texts(np.hstack([np.tile(np.frombuffer(b"CHG-", np.uint8), (rows, 1)), numbers.astype(np.uint8)]))


def _instants(random: np.random.Generator, rows: int) -> pa.Array:
    seconds = random.integers(0, 31 * 86_400, rows) + 1_790_827_200
    return pa.array(seconds * 1_000_000, pa.timestamp("us", tz="UTC"))


def _records(rows: int, each: int, **fields: pa.Array) -> pa.Array:
    ends = pa.array(np.arange(0, (rows + 1) * each, each, dtype=np.int32))
    return pa.ListArray.from_arrays(ends, pa.StructArray.from_arrays(list(fields.values()), list(fields)))


@cache
def _template() -> dict[str, pa.Array]:
    """The columns of `BATCH` rows, but for their ids, each with seven controls and two clocks."""
    random = np.random.default_rng(6)
    hexadecimal = [_digests(random, BATCH) for _ in range(3)]
    run = np.hstack([np.tile(np.frombuffer(b"change-", np.uint8), (BATCH, 1)), hexadecimal[0][:, :16]])
    emergency = [number % EMERGENCIES == 0 for number in range(BATCH)]
    columns: dict[str, pa.Array] = {
        "run_id": _texts(run),
        "stratum": pa.array(["emergency" if one else "standard" for one in emergency]),
        "change_type": pa.array(["emergency" if one else "normal" for one in emergency]),
        **dict(zip(("payload", "log_head", "source_digest"), map(_texts, hexadecimal), strict=True)),
        **{name: _instants(random, BATCH) for name in SCHEMA.names if name.endswith("_at")},
        "contributors": pa.array([[]] * BATCH, pa.list_(pa.string())),
        "controls": _records(
            BATCH,
            7,
            control=pa.array([f"ITGC-CM-0{number}" for number in range(1, 8)] * BATCH),
            result=pa.array(["met"] * (7 * BATCH)),
        ),
        "clocks": _records(
            BATCH,
            2,
            clock=pa.array(["independent_review", "maker_checker"] * BATCH),
            deadline=_instants(random, 2 * BATCH),
            outcome=pa.array(["met"] * (2 * BATCH)),
        ),
    }
    usual = {"outcome": "clean", "system": "billing", "source": "github", "origin": "extracted"}
    others = [name for name in SCHEMA.names if name not in (*columns, "change_id")]
    return columns | {name: pa.array([usual.get(name, f"somebody-{name}")] * BATCH) for name in others}


def batches(size: int) -> Iterator[pa.RecordBatch]:
    """So many rows of a population; they differ in their ids, and within a row group in everything that would."""
    template = _template()
    for first in range(0, size, BATCH):
        columns = {**template, "change_id": _ids(first, BATCH)}
        arrays = [columns[name].cast(SCHEMA.field(name).type) for name in SCHEMA.names]
        yield pa.RecordBatch.from_arrays(arrays, schema=SCHEMA).slice(0, size - first)


def _emergencies(size: int) -> int:
    whole, rest = divmod(size, BATCH)
    return whole * -(-BATCH // EMERGENCIES) + -(-rest // EMERGENCIES)


def made_up(size: int, _folder: Path, _n: int) -> None:
    """Only the rows, so that what the benchmark itself takes can be told apart."""
    for _ in batches(size):
        pass


def bare(size: int, folder: Path, _n: int) -> None:
    """One Parquet file of the same columns, as pyarrow writes them by itself."""
    path = folder / "bare.parquet"
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        for batch in batches(size):
            writer.write_batch(batch)
    with path.open("rb") as file:
        os.fsync(file.fileno())


def frozen_and_drawn(size: int, folder: Path, n: int) -> None:
    """Freeze, register, read back as an observer's draw does, draw every stratum, and write the sample."""
    root = EvidenceRoot(folder)
    root.create()
    emergencies = _emergencies(size)
    counts = {("emergency", "clean"): emergencies, ("standard", "clean"): size - emergencies}
    header = Header(MONTH, "UTC", "2026-10-01", "2026-11-01", 0, "0" * 64, True, counts)
    month = frozen.folder_of(root, MONTH)
    digests = write(month, "population", header, batches(size))
    tests = b'{"tests":[]}'
    durable.replace_file(month / "completeness.json", tests)
    digests["completeness.json"] = durable.digest_of(tests)
    named = {f"{month.relative_to(folder)}/{name}": digest for name, digest in digests.items()}
    line = {"month": str(MONTH), "digest": digests["population.txt"], "files": named}
    Register(root).append_many([Draft(frozen.FROZEN, "countersign", line)])
    population = frozen.read(root, MONTH)
    assert population is not None
    drawn = [
        item.change_id
        for stratum, of in population.strata().items()
        for item in draw(population.clean_ids(stratum), of if stratum == "emergency" else min(n, of), SEED).items
    ]
    with (month / "sample.parquet").open("wb") as file:
        pq.write_table(population.rows(drawn), file)
        os.fsync(file.fileno())


def measured(work: Callable[[int, Path, int], None], size: int, folder: Path, n: int) -> dict[str, float]:
    """Seconds on the clock and of processors, microseconds a row on the clock, and peak memory in MB."""
    _template()
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        start, cpu = time.perf_counter(), time.process_time()
        work(size, Path(scratch), n)
        took, busy = time.perf_counter() - start, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    per_row = {"us_per_row": round(took / size * 1e6, 2)}
    return {"rows": size, "seconds": round(took, 2), **per_row, "cpu_seconds": round(busy, 2), "peak_mb": round(peak)}


def main() -> int:
    parser = argparse.ArgumentParser(prog="sample", description="What freezing and drawing cost.")
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--n", type=int, default=59)
    parser.add_argument("--folder", type=Path, default=None, help="where the files go for as long as it takes")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    asked = parser.parse_args()
    found = {}
    for size in sorted({100_000, min(1_000_000, asked.rows), asked.rows}):
        for name, work in (("made up", made_up), ("bare pyarrow", bare), ("freeze and draw", frozen_and_drawn)):
            with multiprocessing.get_context("spawn").Pool(1) as alone:
                found[f"{name} {size:,}"] = row = alone.apply(measured, (work, size, asked.folder, asked.n))
            if not asked.json:
                took = f"{row['seconds']:7.2f} s ({row['cpu_seconds']:.2f} s of a processor)"
                cost = f"{row['us_per_row']:6.2f} µs a row, peak {row['peak_mb']:5.0f} MB"
                print(f"{name:16} {size:>12,} {took:>32} {cost}", flush=True)
    if asked.json:
        print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
