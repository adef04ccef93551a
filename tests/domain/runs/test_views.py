"""Workpaper and handoff: the documents, the pages for people, and the datasets that readers open."""

import hashlib
from datetime import UTC, datetime
from typing import Any

import duckdb
import orjson
import pandas as pd  # type: ignore[import-untyped]
import polars as pl
import pyarrow.parquet as pq
import pytest

from countersign.evidence.columns import Column
from countersign.evidence.log import AuditLog
from countersign.runs import handoff, pages, workpaper
from countersign.runs.state import RunState
from tests.conftest import payload_with
from tests.domain.runs.conftest import Bench, log_of
from tests.domain.runs.test_sign_offs import determined, undecided


def _claim() -> dict[str, str]:
    claim = {"control": "ITGC-CM-01", "text": "It was authorised."}
    return {**claim, "evidence": "approval", "quote": "approved for deployment"}


def completed(bench: Bench, payload: dict[str, Any], *determinations: Any) -> RunState:
    state = bench.complete(payload, *determinations).state
    assert state is not None
    return state


def excepted() -> dict[str, Any]:
    """A change with two helpers that was deployed by its author."""
    return payload_with(system="shipping", author="deployer", contributors=["maker", "a@example.net"])


def test_a_workpaper_names_change_people_controls_sign_offs_conclusion_and_versions(bench: Bench) -> None:
    state = completed(bench, payload_with())
    document = workpaper.workpaper_document(state)
    assert document["change"].items() >= {"id": "CHG-1001", "system": "billing", "tier": "standard"}.items()
    assert document["people"] == {"author": "maker", "contributors": [], "deployed_by": "deployer"}
    assert {control["id"]: control["result"] for control in document["controls"]} == {
        "ITGC-CM-01": "met",
        "ITGC-CM-02": "met",
        "ITGC-CM-03": "met",
        "ITGC-CM-04": "not_applicable",
        "ITGC-CM-05": "met",
        "ITGC-CM-06": "met",
        "ITGC-CM-07": "not_applicable",
    }
    texts = {name: item["text"] for name, item in payload_with()["evidence"].items()}
    for control in document["controls"]:
        assert {"id", "result", "evidence", "quote", "reason"} <= control.keys()
        if control["quote"] is not None:
            assert texts[control["evidence"]][slice(*control["span"])] == control["quote"]
    assert [(signed["key"], signed["by"]) for signed in document["sign_offs"]] == [
        ("independent_review", "reviewer"),
        ("maker_checker", "checker"),
    ]
    assert document["versions"]["policy"] == bench.policy.digest
    assert (document["gate"], document["clean"], document["exceptions"]) == ("passed", True, [])
    assert orjson.loads(orjson.dumps(document)) == document


def test_the_log_names_the_digest_of_the_workpaper_and_the_handoff_its_line(bench: Bench) -> None:
    state = completed(bench, payload_with())
    entries = list(AuditLog(log_of(bench.execute())).records())
    made, handed = entries[-2], entries[-1]
    assert made.data["document"] == workpaper.document_digest(workpaper.workpaper_document(state))
    document = handoff.handoff_document(state)
    assert (handed.data["log_head"], handed.data["to"]) == (made.head, ["observer"])
    assert document["log_head"] == made.head
    assert document["workpaper_digest"] == made.data["document"]
    assert any(f"countersign verify {state.run_id}" in line for line in document["verify"])


def test_pages_say_what_the_documents_say(bench: Bench) -> None:
    state = completed(bench, undecided() | {"assertions": [_claim()]}, determined())
    page = "\n".join(pages.handoff_page(handoff.handoff_document(state)))
    for words in (
        "HANDOFF REPORT",
        "HOW TO VERIFY",
        "WORKPAPER",
        "ITGC-CM-03  met",
        "determined by reviewer:reviewer",
        "claimed by the payload: ITGC-CM-01: It was authorised.",
        "approved by checker (approver)",
        state.run_id,
        state.configuration["policy"],
    ):
        assert words in page
    assert "DRAFT" not in page
    evidence = "\n".join(pages.evidence_page(state))
    assert "tests  (test, by pipeline:ci, at 2026-11-20T08:00:00+00:00, on 4f2a9c1d7e)" in evidence
    assert "  | CHG-1001 approved for deployment." in evidence
    log = pages.log_page(list(AuditLog(log_of(bench.execute(undecided() | {"assertions": [_claim()]}))).records()))
    assert [line.split()[2] for line in log][-1] == "handed_off"


_KINDS = {
    "text": "string",
    "texts": "list<element: string>",
    "flag": "bool",
    "instant": "timestamp[us, tz=UTC]",
    "records": "list<element: struct<",
}


@pytest.mark.parametrize(("asset", "columns"), [("workpaper", workpaper.COLUMNS), ("handoff_report", handoff.COLUMNS)])
def test_pandas_duckdb_and_polars_read_the_same_rows_with_proper_types(
    bench: Bench, asset: str, columns: tuple[Column, ...]
) -> None:
    states = [completed(bench, payload_with()), completed(bench, excepted()), completed(bench, undecided())]
    path = bench.root / "datasets" / asset / "day=2026-11-23.parquet"
    schema = pq.read_schema(path)
    assert schema.names == [column.name for column in columns]
    for column in columns:
        assert str(schema.field(column.name).type).startswith(_KINDS[column.kind])
        assert schema.field(column.name).metadata[b"meaning"].decode() == column.meaning
    rows = {row["run_id"]: row for row in pq.read_table(path).to_pylist()}
    assert rows.keys() == {state.run_id for state in states}
    by_pandas = pd.read_parquet(path).set_index("run_id")
    by_polars = {row["run_id"]: row for row in pl.read_parquet(path).to_dicts()}
    by_duckdb = duckdb.sql(f"select * from '{path}'")
    assert by_duckdb is not None
    names = by_duckdb.columns
    assert by_polars == rows
    assert {row[0]: dict(zip(names, row, strict=True))["clean"] for row in by_duckdb.fetchall()} == {
        run_id: row["clean"] for run_id, row in rows.items()
    }
    instants = [column.name for column in columns if column.kind == "instant"]
    for name in instants:
        assert str(by_pandas[name].dtype) == "datetime64[us, UTC]"
        assert dict(zip(names, map(str, by_duckdb.types), strict=True))[name] == "TIMESTAMP WITH TIME ZONE"
        assert by_pandas[name].map(lambda at: at.to_pydatetime()).to_dict() == {
            run_id: row[name] for run_id, row in rows.items()
        }
    if asset == "workpaper":
        row = rows[states[1].run_id]
        assert row["deployed_at"] == datetime(2026, 11, 20, 10, tzinfo=UTC)
        assert row["contributors"] == ["maker", "a@example.net"]
        assert list(by_pandas.loc[states[1].run_id, "exceptions"]) == row["exceptions"] == ["ITGC-CM-06"]
        assert [control["result"] for control in row["controls"]].count("exception") == 1
    else:
        (finding,) = rows[states[1].run_id]["exceptions"]
        assert (finding["control"], finding["quote"]) == ("ITGC-CM-06", "Deployed 4f2a9c1d7e to production.")
        assert [found["control"] for found in rows[states[2].run_id]["abstentions"]] == ["ITGC-CM-03"]


def test_the_register_names_the_digest_of_the_file_as_it_is(bench: Bench) -> None:
    bench.complete()
    bench.clock.move(days=1)
    bench.complete(payload_with(system="shipping"))
    for day in (23, 24):
        line = next(line for line in bench.registered("dataset") if line["day"] == f"2026-11-{day}")
        path = bench.root / "datasets" / line["asset"] / f"day=2026-11-{day}.parquet"
        assert (line["digest"], line["rows"]) == (hashlib.sha256(path.read_bytes()).hexdigest(), 1)


@pytest.mark.parametrize("damage", [b"", b"PAR1 but not really PAR1"], ids=["empty", "noise"])
def test_a_dataset_that_is_not_the_registered_one_is_named_and_made_anew(bench: Bench, damage: bytes) -> None:
    state = completed(bench, payload_with())
    path = bench.root / "datasets" / "workpaper" / "day=2026-11-23.parquet"
    path.write_bytes(damage)
    assert bench.kinds() == ["dataset_differs"]
    bench.execute()
    assert bench.kinds() == []
    assert pq.read_table(path).column("run_id").to_pylist() == [state.run_id]
