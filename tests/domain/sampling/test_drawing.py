"""Drawing a month: what has to come first, the same rows whoever asks again, and no second sample without a reason."""

import hashlib
import json
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd  # type: ignore[import-untyped]
import polars as pl
import pyarrow.parquet as pq
import pytest

from countersign.errors import SampleRefused, TamperedError
from countersign.evidence.lines import Draft
from countersign.evidence.merkle import includes, leaf_hash
from countersign.evidence.seal import read_seal
from countersign.evidence.sealing import Sealer
from countersign.evidence.signature import verify_itself
from countersign.policy import Policy
from countersign.sampling import drawing
from countersign.sampling.columns import COLUMNS, dictionary
from countersign.sampling.draw import seed
from countersign.sampling.drawing import draw_month
from countersign.sampling.sample import NAMESPACE, columns_of, planned
from tests.domain.runs.conftest import chain, read_lines
from tests.domain.sampling.observing import MONTH, NONCE, Observing, a_finding, an_observing
from tests.domain.sampling.populations import a_row
from tests.keys import make_key

CONTROLS = ["ITGC-CM-01", "ITGC-CM-02", "ITGC-CM-03"]
ROWS = [
    *(a_row(f"CHG-{number:03}") for number in range(90)),
    *(a_row(f"EMG-{number}", stratum="emergency") for number in range(3)),
    a_row("CHG-900", "exception"),
    a_row("CHG-901", "blocked"),
    a_row("a\ttab and ü"),
]


@pytest.fixture
def bench(policy: Policy, tmp_path: Path) -> Observing:
    return an_observing(policy, tmp_path)


@pytest.fixture
def seeded(bench: Observing) -> Observing:
    """A month that is ready to be drawn."""
    bench.published(ROWS)
    bench.nonces.record(MONTH, "observer", NONCE)
    return bench


@pytest.fixture(scope="module")
def drawn(policy: Policy, tmp_path_factory: pytest.TempPathFactory) -> Observing:
    """A month that is drawn, for whoever only looks."""
    bench = an_observing(policy, tmp_path_factory.mktemp("drawn"))
    bench.published(ROWS)
    bench.nonces.record(MONTH, "observer", NONCE)
    bench.draw()
    return bench


def by_hand(seed_: bytes, ids: list[str], n: int) -> list[str]:
    return [one for _, one in sorted((hashlib.sha256(seed_ + b"\x1f" + one.encode()).digest(), one) for one in ids)][:n]


def test_a_month_is_drawn_as_anybody_can_draw_it(drawn: Observing) -> None:
    sample = drawn.draw()
    assert {name: (one.population, one.n) for name, one in sample.strata.items()} == {
        "emergency": (3, 3), "standard": (91, 41), "late": (0, 0),
    }  # fmt: skip
    seed_ = hashlib.sha256(bytes.fromhex(sample.said.data["digest"]) + b"\x1f" + NONCE.encode()).digest()
    clean = [row["change_id"] for row in ROWS if row["outcome"] == "clean" and row["stratum"] == "standard"]
    assert sample.drawn()["standard"] == by_hand(seed_, clean, 41)
    assert set(sample.drawn()["emergency"]) == {"EMG-0", "EMG-1", "EMG-2"}
    assert (sample.seeded_by, sample.complete, sample.finding) == ("observer", True, None)
    assert {row["inclusion_probability"] for row in sample.rows().to_pylist()} == {1.0, 41 / 91}


def test_the_key_that_seals_signs_the_manifest_and_no_other(seeded: Observing, tmp_path: Path) -> None:
    other, before = make_key(tmp_path / "other"), seeded.register.read_bytes()
    with pytest.raises(SampleRefused, match=r"other: the key SHA256:\S+ is not that of seal \d+, SHA256:\S+; the key"):
        draw_month(seeded.evidence, MONTH, key=other, clock=seeded.clock)
    assert seeded.register.read_bytes() == before
    Sealer(seeded.evidence, other, clock=seeded.clock, new_key=True).seal("c" * 64)
    with pytest.raises(SampleRefused, match="seal: the key SHA256"):
        seeded.draw()
    assert draw_month(seeded.evidence, MONTH, key=other, clock=seeded.clock).complete


def test_each_row_carries_its_place_in_the_register_and_a_proof_of_it(drawn: Observing) -> None:
    sample = drawn.draw()
    raw = drawn.register.read_bytes().splitlines(keepends=True)
    for row in sample.rows().to_pylist():
        line = raw[row["register_line"] - 1]
        assert json.loads(line)["head"] == row["log_head"]
        assert sum(map(len, raw[: row["register_line"]])) == row["register_size"]
        seal = read_seal(drawn.evidence, row["seal"])
        path = [bytes.fromhex(part) for part in row["inclusion_proof"]]
        assert includes(bytes.fromhex(seal.root), seal.lines, row["register_line"] - 1, leaf_hash(line), path)


def test_the_rows_are_there_as_the_bytes_of_their_digests(drawn: Observing) -> None:
    sample = drawn.draw()
    listed = (sample.folder / "population.txt").read_text().split("\n\n")[1].splitlines()
    digests = {json.loads(line.split("\t")[3]): line.split("\t")[4] for line in listed}
    rows = (sample.folder / "sample.jsonl").read_bytes().splitlines()
    ids = [json.loads(row)["change_id"] for row in rows]
    assert ids == [one for of_stratum in sample.drawn().values() for one in of_stratum]
    assert [hashlib.sha256(row).hexdigest() for row in rows] == [digests[one] for one in ids]


def test_the_manifest_says_how_and_is_signed(drawn: Observing) -> None:
    sample = drawn.draw()
    content = (sample.folder / "manifest.json").read_bytes()
    signature = (sample.folder / "manifest.json.sig").read_bytes()
    key = verify_itself(content, signature, namespace=NAMESPACE).key
    assert f"{key.kind} {key.text}" in (drawn.folder / "seal.pub").read_text()
    said = json.loads(content)
    assert (said["seeded_by"], said["nonce"]) == ("observer", {"by": "observer", "value": NONCE})
    assert said["plan"]["standard"]["formula"].startswith("smallest n with")
    assert hashlib.sha256(content).hexdigest() == sample.digest
    (line,) = drawn.registered("sample_drawn")
    assert set(line["files"]) == {
        f"datasets/clean_population_sample/month=2026-10/{name}"
        for name in ("sample.parquet", "sample.jsonl", "manifest.json", "manifest.json.sig")
    }


def test_drawn_again_it_is_the_same_and_writes_nothing(seeded: Observing) -> None:
    first, contents = seeded.draw(), seeded.contents()
    again = seeded.draw()
    assert (again.repeated, first.repeated, again.digest) == (True, False, first.digest)
    assert seeded.contents() == contents


def test_without_the_nonce_that_the_policy_requires_nothing_is_drawn(bench: Observing) -> None:
    bench.published(ROWS)
    with pytest.raises(SampleRefused, match="requires the observer's nonce and there is none, so nothing is drawn"):
        bench.draw()
    assert not list(bench.root.glob("datasets/*/*/sample*"))
    assert bench.registered("sample_drawn") == []


def test_where_it_may_be_left_out_the_digest_alone_draws_and_the_sample_says_so(policy: Policy, tmp_path: Path) -> None:
    bench = an_observing(policy, tmp_path, nonce="optional", plan="many-times-a-day")
    population = bench.published(ROWS)
    sample = bench.draw()
    assert (sample.seeded_by, sample.manifest["seeded_by"], sample.manifest["nonce"]) == ("producer", "producer", None)
    assert sample.said.data["seed"] == seed(bytes.fromhex(population.digest), None, "optional").value.hex()
    assert {name: one.n for name, one in sample.strata.items()} == {"emergency": 3, "standard": 25, "late": 0}
    assert sample.manifest["plan"]["standard"]["formula"].startswith("the firms' table, many-times-a-day: n = 25")
    with pytest.raises(SampleRefused, match="it was drawn without a nonce"):
        bench.nonces.record(MONTH, "observer", NONCE)


def test_the_policy_at_the_freeze_counts_and_not_a_later_one(bench: Observing) -> None:
    bench.published(ROWS)
    content = bench.policy.model_dump(mode="json")
    later = Policy.model_validate_json(json.dumps({**content, "sample": {**content["sample"], "nonce": "optional"}}))
    bench.fresh(policy=later)
    with pytest.raises(SampleRefused, match="requires the observer's nonce"):
        bench.draw()


def test_nothing_is_drawn_that_is_not_frozen_and_sealed(bench: Observing) -> None:
    with pytest.raises(SampleRefused, match="not frozen"):
        bench.draw()
    bench.opened(ROWS)
    bench.freeze(ROWS)
    with pytest.raises(SampleRefused, match="no seal covers"):
        bench.draw()


def test_what_came_late_is_examined_whole_and_needs_a_finding(seeded: Observing) -> None:
    first = seeded.draw()
    late = [a_row("CHG-950", stratum="late"), a_row("CHG-951", stratum="late")]
    seeded.published(late, late=1, complete=False)
    with pytest.raises(SampleRefused, match="name the finding that says why"):
        seeded.draw()
    with pytest.raises(SampleRefused, match="no such finding"):
        seeded.draw(finding="finding-of-nobody")
    finding = a_finding(seeded)
    second = seeded.draw(finding=finding)
    assert second.drawn() == {**first.drawn(), "late": second.drawn()["late"]}
    assert set(second.drawn()["late"]) == {"CHG-950", "CHG-951"}
    assert (second.complete, second.finding, second.folder.name) == (False, finding, "draw-2")
    assert first.rows().num_rows + 2 == second.rows().num_rows
    assert seeded.draw().digest == second.digest


def test_a_sample_is_expanded_by_the_next_tickets(seeded: Observing) -> None:
    first = seeded.draw()
    finding = a_finding(seeded)
    with pytest.raises(SampleRefused, match="name the finding"):
        seeded.draw(expand={"standard": 60})
    second = seeded.draw(expand={"standard": 60}, finding=finding)
    assert second.drawn()["standard"][:41] == first.drawn()["standard"]
    assert seeded.draw().digest == second.digest  # it never shrinks
    for name, n in (("standard", 92), ("nightly", 1)):
        with pytest.raises(SampleRefused, match=f"there are not {n} of it to draw; the strata are emergency of 3"):
            seeded.draw(expand={name: n}, finding=finding)


def test_the_first_draw_is_the_planned_one(seeded: Observing) -> None:
    with pytest.raises(SampleRefused, match="the first draw is the planned one"):
        seeded.draw(expand={"standard": 60}, finding=a_finding(seeded))


@pytest.mark.parametrize("name", ["sample.parquet", "sample.jsonl", "manifest.json", "manifest.json.sig"])
def test_a_sample_that_is_not_what_was_drawn_is_not_given_out(drawn: Observing, name: str) -> None:
    path = drawn.draw().folder / name
    kept = path.read_bytes()
    try:
        path.write_bytes(kept + b" ")
        with pytest.raises(TamperedError, match=f"{name}: missing, or not what was drawn"):
            drawn.draw()
        path.unlink()
        with pytest.raises(TamperedError, match=f"{name}: missing, or not what was drawn"):
            drawn.draw()
    finally:
        path.write_bytes(kept)


def test_a_row_whose_head_the_register_does_not_know_is_not_drawn(bench: Observing) -> None:
    bench.opened(ROWS)
    bench.freeze([{**row, "log_head": "0" * 64} for row in ROWS])
    bench.seal()
    bench.nonces.record(MONTH, "observer", NONCE)
    with pytest.raises(TamperedError, match="covers no line with the head of change-"):
        bench.draw()


def test_a_register_that_is_not_what_its_seal_says_is_not_drawn_from(seeded: Observing) -> None:
    lines = read_lines(seeded.register)
    opened = next(line for line in lines if line.name == "run_opened")
    opened.event["source"] = "other"
    seeded.register.write_bytes(chain(lines, {}))
    with pytest.raises(TamperedError):
        seeded.draw()


def test_two_that_draw_at_once_are_one(seeded: Observing, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another process recorded while this one computed is seen under the lock."""

    def slow(*arguments: Any) -> Any:
        made = manifest(*arguments)
        seeded.run.engine.register.append_many([Draft("sample_drawn", "countersign", {"month": "2026-10"})])
        return made

    manifest = drawing._manifest
    monkeypatch.setattr(drawing, "_manifest", slow)
    with pytest.raises(SampleRefused, match="recorded in the meantime"):
        seeded.draw()


def test_an_empty_month_has_an_empty_sample(bench: Observing) -> None:
    rows = [a_row("CHG-1", "blocked")]
    bench.published(rows)
    bench.nonces.record(MONTH, "observer", NONCE)
    sample = bench.draw()
    assert (sample.rows().num_rows, sample.drawn()) == (0, {"emergency": [], "standard": [], "late": []})


# a column: its type in DuckDB, in Polars and in pandas
TYPES = {
    "change_id": ("VARCHAR", pl.String(), "str"),
    "rank": ("BIGINT", pl.Int64(), "int64"),
    "inclusion_probability": ("DOUBLE", pl.Float64(), "float64"),
    "inclusion_proof": ("VARCHAR[]", pl.List(pl.String()), "object"),
    "deployed_at": ("TIMESTAMP WITH TIME ZONE", pl.Datetime("us", "UTC"), "datetime64[us, UTC]"),
    "attribute_ITGC_CM_01": ("VARCHAR", pl.String(), "str"),
    "deviation": ("BOOLEAN", pl.Boolean(), "object"),
    "examined_at": ("TIMESTAMP WITH TIME ZONE", pl.Datetime("us", "UTC"), "datetime64[us, UTC]"),
}


@pytest.mark.parametrize("name", ["sample.parquet", "population.parquet"])
def test_the_files_open_alike_in_pandas_duckdb_and_polars(drawn: Observing, name: str) -> None:
    sample = drawn.draw()
    path = sample.folder / name
    table = "read_parquet(?, hive_partitioning = false)"  # else the folder's name would be a column more
    rows = {"sample.parquet": 44, "population.parquet": len(ROWS)}[name]
    columns = [column.name for column in (columns_of(CONTROLS) if name == "sample.parquet" else COLUMNS)]
    frame, polar = pd.read_parquet(path), pl.read_parquet(path)
    with duckdb.connect() as database:
        counted = database.execute(f"SELECT count(*) FROM {table}", [str(path)]).fetchone()
        described = database.execute(f"DESCRIBE SELECT * FROM {table}", [str(path)]).fetchall()
    assert (len(frame), polar.height, counted) == (rows, rows, (rows,))
    assert list(frame.columns) == polar.columns == [row[0] for row in described] == columns
    in_duckdb = {row[0]: row[1] for row in described}
    for column in set(TYPES) & set(columns):
        assert (in_duckdb[column], polar.schema[column], str(frame[column].dtype)) == TYPES[column]


def test_the_dictionary_stands_in_the_file(drawn: Observing) -> None:
    schema = pq.read_schema(drawn.draw().folder / "sample.parquet")
    for name, kind, unit, meaning in dictionary(columns_of(CONTROLS)):
        if "." not in name:
            said = schema.field(name).metadata
            assert (said[b"meaning"], said[b"type"], said[b"unit"]) == (
                meaning.encode(), kind.encode(), unit.encode(),
            )  # fmt: skip


def test_a_stratum_that_the_table_covers_is_planned_as_ever(policy: Policy) -> None:
    table = policy.model_copy(update={"sample": policy.sample.model_copy(update={"plan": "daily"})})
    plans = {one.tier: one for one in planned(table, {"emergency": 40, "standard": 15, "other": 21, "late": 30})}
    assert [(one.n, one.population) for one in plans.values()] == [(40, 40), (15, 15), (20, 21), (30, 30)]
