import hashlib
import stat
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd  # type: ignore[import-untyped]
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from countersign.errors import EvidenceError
from countersign.evidence.columns import Column
from countersign.evidence.datasets import Dataset, schema_of
from countersign.evidence.root import EvidenceRoot
from tests.domain.evidence.conftest import DAY

_COLUMNS = (
    Column("run_id", "text", "the run"),
    Column("people", "texts", "who made it"),
    Column("clean", "flag", "nothing left open"),
    Column("events", "count", "how many"),
    Column("at", "instant", "when"),
    Column("controls", "records", "each control", (Column("id", "text", "the control"),)),
)
_AT = datetime(2026, 11, 23, 14, 5, 6, 7, tzinfo=UTC)


def row(run_id: str, **fields: Any) -> dict[str, Any]:
    return {
        "run_id": run_id, "people": ["a", "b"], "clean": True, "events": 7, "at": _AT, "controls": [{"id": "CM-01"}],
        **fields,
    }  # fmt: skip


@pytest.fixture
def dataset(root: Path) -> Dataset:
    return Dataset(EvidenceRoot(root), "workpaper", schema_of(_COLUMNS))


def merge(dataset: Dataset, *runs: str, **fields: Any) -> dict[str, Any] | None:
    draft = dataset.merge(DAY, [dataset.batch([row(run, **fields) for run in runs])])
    return None if draft is None else dict(draft.data)


def stored(dataset: Dataset) -> list[str]:
    return list(pq.read_table(dataset.path(DAY)).column("run_id").to_pylist())


def test_a_merge_says_what_the_register_has_to_know(dataset: Dataset) -> None:
    data = merge(dataset, "b", "a")
    digest = hashlib.sha256(dataset.path(DAY).read_bytes()).hexdigest()
    assert data == {"asset": "workpaper", "day": "2026-11-23", "digest": digest, "rows": 2}
    assert dataset.path(DAY).name == "day=2026-11-23.parquet"
    assert stat.S_IMODE(dataset.path(DAY).stat().st_mode) == 0o600
    assert [path.name for path in dataset.path(DAY).parent.iterdir()] == [dataset.path(DAY).name]


def test_merging_again_changes_nothing(dataset: Dataset) -> None:
    merge(dataset, "a", "b")
    before = dataset.path(DAY).read_bytes()
    assert merge(dataset, "b", "a", clean=False) is None
    assert dataset.merge(DAY, []) is None
    assert dataset.path(DAY).read_bytes() == before


def test_old_rows_stay_where_they_are_and_new_ones_follow_by_run(dataset: Dataset) -> None:
    merge(dataset, "m", "k")
    merge(dataset, "z", "a", "m")
    assert stored(dataset) == ["k", "m", "a", "z"]
    assert (dataset.run_ids(DAY), dataset.rows(DAY)) == ({"a", "k", "m", "z"}, 4)


def test_a_day_without_a_file_has_no_rows(dataset: Dataset) -> None:
    assert (dataset.run_ids(DAY), dataset.rows(DAY)) == (set(), 0)


def test_a_file_of_many_row_groups_keeps_every_row(dataset: Dataset) -> None:
    first = [f"{number:05}" for number in range(0, 10_000, 2)]
    second = [f"{number:05}" for number in range(1, 10_000, 2)]
    merge(dataset, *first)
    merge(dataset, *second)
    assert stored(dataset) == first + second


def test_waiting_rows_take_no_memory_and_leave_no_file_behind(dataset: Dataset) -> None:
    batches = [dataset.batch([row(f"{number:03}-{n:03}") for n in range(200)]) for number in range(20)]
    waiting = dataset.waiting()
    before = pa.total_allocated_bytes()
    for batch in batches:
        waiting.add(batch)
    assert pa.total_allocated_bytes() - before < batches[0].nbytes
    assert list(dataset.path(DAY).parent.iterdir()) == []
    assert len(waiting.run_ids) == 20 * 200
    assert list(waiting.batches()) == batches


def test_new_rows_are_merged_by_the_row_group_in_bounded_memory(dataset: Dataset) -> None:
    """However many there are, no more than a row group of them is held while the file is written."""
    held: list[int] = []
    start = pa.total_allocated_bytes()

    def arriving() -> Iterator[pa.RecordBatch]:
        for number in range(100):
            held.append(pa.total_allocated_bytes() - start)
            yield dataset.batch([row(f"{number:03}-{n:03}") for n in range(200)])

    draft = dataset.merge(DAY, arriving())
    assert draft is not None
    assert draft.data["rows"] == 100 * 200
    assert stored(dataset) == [f"{number:03}-{n:03}" for number in range(100) for n in range(200)]
    assert max(held[50:]) < 1.5 * max(held[:50])


def test_every_column_says_what_it_means_in_the_file(dataset: Dataset) -> None:
    merge(dataset, "a")
    schema = pq.read_schema(dataset.path(DAY))
    assert {name: schema.field(name).metadata[b"meaning"].decode() for name in schema.names} == {
        column.name: column.meaning for column in _COLUMNS
    }


def test_pandas_duckdb_and_polars_read_proper_types(dataset: Dataset) -> None:
    merge(dataset, "a")
    merge(dataset, "b", people=[], controls=[], at=None, clean=None)
    path = str(dataset.path(DAY))
    frame = pd.read_parquet(path)
    assert (str(frame["at"].dtype), frame["at"][0].to_pydatetime()) == ("datetime64[us, UTC]", _AT)
    assert [list(value) for value in frame["people"]] == [["a", "b"], []]
    assert pd.isna(frame["at"][1])

    database = duckdb.connect()
    assert [str(column[1]) for column in database.execute(f"select * from '{path}'").description or []] == [
        "VARCHAR", "VARCHAR[]", "BOOLEAN", "BIGINT", "TIMESTAMP WITH TIME ZONE", "STRUCT(id VARCHAR)[]",
    ]  # fmt: skip
    epoch = database.execute(f"select epoch_us(\"at\"), people from '{path}'").fetchall()
    assert epoch == [(int(_AT.timestamp()) * 1_000_000 + 7, ["a", "b"]), (None, [])]

    table = pl.read_parquet(path)
    assert table.schema == {
        "run_id": pl.String, "people": pl.List(pl.String), "clean": pl.Boolean, "events": pl.Int64,
        "at": pl.Datetime("us", "UTC"), "controls": pl.List(pl.Struct({"id": pl.String})),
    }  # fmt: skip
    assert table["at"].to_list() == [_AT, None]
    assert table["controls"].to_list() == [[{"id": "CM-01"}], []]


@pytest.mark.parametrize("damage", ["no-parquet", "cut", "rows", "empty"])
def test_a_file_that_cannot_be_read_says_so_and_is_left(dataset: Dataset, damage: str) -> None:
    merge(dataset, *(f"{number:05}" for number in range(2000)))
    path = dataset.path(DAY)
    content = path.read_bytes()
    damaged = {
        "no-parquet": b"not a file of rows",
        "cut": content[:-20],
        "rows": content[:4] + b"\xff" * 2000 + content[2004:],
        "empty": b"",
    }[damage]
    path.write_bytes(damaged)
    counted = () if damage == "rows" else (dataset.rows,)  # which asks the file's metadata, and reads no row
    for ask in (dataset.run_ids, *counted, lambda day: merge(dataset, "new")):
        with pytest.raises(EvidenceError, match="delete it and it is rebuilt from the logs"):
            ask(DAY)
    assert path.read_bytes() == damaged
    path.unlink()
    assert merge(dataset, "new") is not None


def test_a_file_of_other_columns_is_not_mixed_with_these(dataset: Dataset) -> None:
    merge(dataset, "a")
    pq.write_table(pa.table({"run_id": ["a"], "other": [1]}), dataset.path(DAY))
    with pytest.raises(EvidenceError, match="delete it and it is rebuilt"):
        merge(dataset, "b")


def test_one_writer_of_a_day_at_a_time(dataset: Dataset) -> None:
    order: list[str] = []

    def other() -> None:
        with dataset.locked(DAY):
            order.append("other")

    thread = threading.Thread(target=other)
    with dataset.locked(DAY):
        thread.start()
        thread.join(0.1)
        order.append("first")
    thread.join()
    assert order == ["first", "other"]
