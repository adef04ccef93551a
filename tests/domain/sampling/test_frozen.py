"""A frozen population: what is written is what is read, and nothing else passes for it."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd  # type: ignore[import-untyped]
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from countersign.errors import SamplingError, TamperedError
from countersign.sampling import files, frozen
from countersign.sampling.columns import COLUMNS, SCHEMA, dictionary
from countersign.sampling.files import write
from countersign.sampling.listing import Header
from countersign.sampling.row_bytes import row_bytes
from tests.domain.sampling.populations import OCTOBER, a_row, an_evidence_root, batches_of, freeze_rows, header_of

ROWS = [
    a_row("CHG-1"),
    a_row("CHG-2", "exception"),
    a_row("CHG-2", "superseded"),
    a_row("CHG-3", stratum="emergency"),
    a_row("CHG-4", "awaiting"),
    a_row("a\ttab and ü", source_digest="e" * 64),
]


def test_what_was_frozen_is_what_is_read(tmp_path: Path) -> None:
    found = freeze_rows(an_evidence_root(tmp_path), ROWS)
    assert (found.month, found.complete, found.counts) == (OCTOBER, True, header_of(ROWS).counts)
    assert found.strata() == {"emergency": 1, "standard": 2, "late": 0}
    assert list(found.clean_ids("standard")) == ["CHG-1", "a\ttab and ü"]
    assert list(found.clean_ids("emergency")) == ["CHG-3"]
    assert found.rows(["CHG-3", "CHG-1"]).to_pylist() == [ROWS[3], ROWS[0]]
    assert found.population.header == header_of(ROWS)


def test_the_list_needs_nothing_but_the_standard_library(tmp_path: Path) -> None:
    """An observer reads it by splitting lines, and computes each digest from the row."""
    found = freeze_rows(an_evidence_root(tmp_path), ROWS)
    content = found.population.list.read_bytes()
    assert hashlib.sha256(content).hexdigest() == found.digest
    head, body = content.decode("ascii").split("\n\n")
    said = dict(line.split("\t") for line in head.split("\n"))
    assert (said["month"], said["complete"], said["changes"], said["standard/clean"]) == ("2026-10", "true", "6", "2")
    ordered = sorted(ROWS, key=lambda row: (row["change_id"], row["run_id"]))
    digests = [hashlib.sha256(row).hexdigest() for row in row_bytes(batches_of(ROWS)[0]).to_pylist()]
    assert [line.split("\t") for line in body.splitlines()] == [
        [row["stratum"], row["outcome"], row["run_id"], json.dumps(row["change_id"]), digest]
        for row, digest in zip(ordered, digests, strict=True)
    ]


def test_how_the_rows_are_cut_into_batches_changes_no_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [a_row(f"CHG-{number:03}") for number in range(200)]
    whole = write(tmp_path / "one", "population", header_of(rows), batches_of(rows))
    monkeypatch.setattr(files, "_AT_ONCE", 7)
    assert write(tmp_path / "other", "population", header_of(rows), batches_of(rows, 13)) == whole
    monkeypatch.setattr(files, "_ROW_GROUP", 50)
    write(tmp_path / "other", "population", header_of(rows), batches_of(rows, 13))
    parquet = pq.ParquetFile(tmp_path / "other" / "population.parquet")
    assert (parquet.num_row_groups, parquet.metadata.num_rows) == (4, 200)
    assert parquet.read().equals(pq.read_table(tmp_path / "one" / "population.parquet"))


def test_what_came_late_is_a_part_of_the_population_and_makes_it_incomplete(tmp_path: Path) -> None:
    root = an_evidence_root(tmp_path)
    first = freeze_rows(root, ROWS)
    late = [a_row("CHG-4", stratum="late"), a_row("CHG-9", "blocked", "late")]
    found = freeze_rows(root, late, stem="late-1", adds_to=first.digest, complete=False)
    assert (found.digest, found.complete) == (first.digest, False)
    assert found.strata() == {"emergency": 1, "standard": 2, "late": 1}
    assert list(found.clean_ids("late")) == ["CHG-4"]
    assert found.rows(["CHG-4", "CHG-1"]).to_pylist() == [late[0], ROWS[0]]
    assert found.late[0].header.adds_to == first.digest


def test_a_change_that_is_not_clean_is_in_no_sample(tmp_path: Path) -> None:
    found = freeze_rows(an_evidence_root(tmp_path), ROWS)
    with pytest.raises(SamplingError, match="CHG-4: no clean change"):
        found.rows(["CHG-1", "CHG-4"])


def test_a_month_that_nobody_froze_has_no_population(tmp_path: Path) -> None:
    assert frozen.read(an_evidence_root(tmp_path), OCTOBER) is None


def test_an_empty_month_is_frozen_as_such(tmp_path: Path) -> None:
    found = freeze_rows(an_evidence_root(tmp_path), [])
    assert (sum(found.strata().values()), list(found.clean_ids("standard"))) == (0, [])
    assert found.population.list.read_bytes().endswith(b"changes\t0\n\n")


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ([a_row("CHG-1"), a_row("CHG-1")], "comes twice"),
        ([a_row("CHG-2"), a_row("CHG-1")], "out of order"),
        ([a_row("CHG-1"), a_row("CHG-1", run_id="change-z")], "stands twice without being superseded"),
        ([a_row("CHG-1", "superseded"), a_row("CHG-1", run_id="change-z"), a_row("CHG-1", run_id="z")], "stands twice"),
        ([a_row("CHG-1"), a_row("CHG-2"), a_row("CHG-3")], "the header counts others"),
        ([a_row("CHG-1"), a_row("CHG-2", "blocked")], "the header counts others"),
    ],
)
@pytest.mark.parametrize("at_once", [1, 100])
def test_a_population_that_is_none_is_not_written(
    rows: list[dict[str, Any]], fault: str, at_once: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_AT_ONCE", at_once)
    header = header_of([a_row("CHG-1"), a_row("CHG-2")])
    with pytest.raises(SamplingError, match=fault):
        write(tmp_path, "population", header, [batch for row in rows for batch in batches_of([row])])
    assert list(tmp_path.iterdir()) == []


def test_a_population_that_breaks_off_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a thread still writes what came before."""
    monkeypatch.setattr(files, "_ROW_GROUP", 1)
    monkeypatch.setattr(files, "_AT_ONCE", 10)
    rows = [a_row(f"CHG-{number:03}") for number in range(100)]

    def broken() -> Iterator[pa.RecordBatch]:
        yield from batches_of(rows)
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        write(tmp_path, "population", header_of(rows), broken())
    assert list(tmp_path.iterdir()) == []


def test_batches_of_other_columns_are_refused(tmp_path: Path) -> None:
    (batch,) = batches_of(ROWS)
    with pytest.raises(SamplingError, match="other columns"):
        write(tmp_path, "population", header_of(ROWS), [batch.drop_columns(["author"])])


@pytest.mark.parametrize("name", ["population.txt", "population.parquet"])
@pytest.mark.parametrize("harm", ["edited", "gone"])
def test_a_file_that_is_not_what_was_frozen_is_tampering(name: str, harm: str, tmp_path: Path) -> None:
    root = an_evidence_root(tmp_path)
    path = freeze_rows(root, ROWS).folder / name
    if harm == "gone":
        path.unlink()
    else:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(bytes(content))
    with pytest.raises(TamperedError, match=f"{name}: missing, or not what was frozen"):
        frozen.read(root, OCTOBER)


@pytest.mark.parametrize(
    "written",
    [b"", b"\n", b"month\t2026-10\n\n", header_of(ROWS).written.replace(b"2026-10\n", b"2026-1O\n"),
     header_of(ROWS).written.replace(b"complete\ttrue", b"complete\tyes"), header_of(ROWS).written[:-1]],
)  # fmt: skip
def test_a_header_that_would_be_written_otherwise_is_none(written: bytes) -> None:
    with pytest.raises((ValueError, KeyError, SamplingError)):
        Header.parse(written.splitlines(keepends=True))


def test_the_dictionary_stands_in_the_file(tmp_path: Path) -> None:
    path = freeze_rows(an_evidence_root(tmp_path), ROWS).population.parquet
    schema = pq.read_schema(path)
    assert schema.equals(SCHEMA)
    assert schema.field("deployed_at").metadata == {
        b"meaning": b"when it was first deployed: by this it belongs to the month",
        b"type": b"timestamp",
        b"unit": b"microseconds since 1970-01-01, UTC",
    }
    names = [name for name, *_ in dictionary(COLUMNS)]
    assert names[:2] == ["change_id", "run_id"]
    assert {"controls.result", "clocks.deadline"} < set(names)


def test_pandas_duckdb_and_polars_open_it_with_the_same_types_and_rows(tmp_path: Path) -> None:
    path = str(freeze_rows(an_evidence_root(tmp_path), ROWS).population.parquet)
    frame, polar = pd.read_parquet(path), pl.read_parquet(path)
    query = duckdb.read_parquet(path)
    assert len(frame) == len(polar) == len(query) == len(ROWS)
    assert list(frame.columns) == polar.columns == query.columns == SCHEMA.names
    assert str(frame["deployed_at"].dtype) == "datetime64[us, UTC]"
    assert polar.schema["deployed_at"] == pl.Datetime("us", "UTC")
    assert str(query.types[SCHEMA.names.index("deployed_at")]) == "TIMESTAMP WITH TIME ZONE"
    assert polar.schema["controls"] == pl.List(pl.Struct({"control": pl.String, "result": pl.String}))
    assert str(query.types[SCHEMA.names.index("controls")]) == "STRUCT(control VARCHAR, result VARCHAR)[]"
    assert frame["controls"][0][0] == {"control": "ITGC-CM-01", "result": "met"}
    assert (polar["contributors"][0].to_list(), frame["change_id"][0]) == (["second-maker"], "CHG-1")
