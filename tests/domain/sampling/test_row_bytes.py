"""The bytes of a row: put together by columns, and the same as RFC 8785 and as the standard library makes them."""

import json
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from countersign.clocks.instant import stamp
from countersign.sampling.columns import SCHEMA
from countersign.sampling.row_bytes import json_ascii, row_bytes
from tests.domain.sampling.populations import a_row, batches_of

texts = st.text(st.characters(codec="utf-8"), max_size=8)
instants = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)).map(lambda at: at.replace(tzinfo=UTC))  # noqa: DTZ001
EVERY_KIND = pa.schema(
    [
        ("text", pa.string()),
        ("at", pa.timestamp("us", tz="UTC")),
        ("flag", pa.bool_()),
        ("count", pa.int64()),
        ("texts", pa.list_(pa.string())),
        ("pairs", pa.list_(pa.struct([("one", pa.string()), ("other", pa.string())]))),
        ("records", pa.list_(pa.struct([("of", pa.string()), ("at", pa.timestamp("us", tz="UTC"))]))),
    ]
)
rows = st.fixed_dictionaries(
    {
        "text": st.none() | texts,
        "at": st.none() | instants,
        "flag": st.none() | st.booleans(),
        "count": st.none() | st.integers(-(2**53) + 1, 2**53 - 1),
        "texts": st.none() | st.lists(st.none() | texts, max_size=3),
        "pairs": st.none() | st.lists(st.fixed_dictionaries({"one": texts, "other": st.none() | texts}), max_size=3),
        "records": st.none()
        | st.lists(st.fixed_dictionaries({"of": st.none() | texts, "at": st.none() | instants}), max_size=3),
    }
)


def plain(value: Any) -> Any:
    match value:
        case datetime():
            return stamp(value)
        case dict():
            return {key: plain(item) for key, item in value.items()}
        case list():
            return [plain(item) for item in value]
        case _:
            return value


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.lists(rows, max_size=5), st.integers(0, 3))
def test_a_row_is_its_rfc_8785_bytes_wherever_its_batch_was_cut(given_rows: list[dict[str, Any]], cut: int) -> None:
    batch = pa.RecordBatch.from_pylist(given_rows, schema=EVERY_KIND).slice(cut)
    assert row_bytes(batch).to_pylist() == [rfc8785.dumps(plain(row)) for row in given_rows[cut:]]


def test_the_standard_library_makes_the_same_bytes_of_a_population_row() -> None:
    odd = a_row('say "no" \\ \x1f\t\n ü 𝔘 \u2028', controls=[], clocks=None, contributors=[])
    for row, made in zip(
        sorted([a_row("CHG-1"), odd], key=lambda row: str(row["change_id"])),
        row_bytes(batches_of([a_row("CHG-1"), odd])[0]).to_pylist(),
        strict=True,
    ):
        assert made == json.dumps(
            plain(row), sort_keys=True, separators=(",", ":"), ensure_ascii=False
        ).encode("utf-8")  # fmt: skip


def test_the_bytes_of_a_row_stay_the_same() -> None:
    """A digest that was published must be found again by every later version."""
    batch = pa.RecordBatch.from_pylist(
        [{**dict.fromkeys(SCHEMA.names), "change_id": "CHG-7", "run_id": "r", "stratum": "s", "outcome": "o"}],
        schema=SCHEMA,
    )
    assert row_bytes(batch)[0].as_py() == (
        b'{"approved_at":null,"approved_by":null,"author":null,"authorised_by":null,"change_id":"CHG-7",'
        b'"change_type":null,"clocks":null,"contributors":null,"controls":null,"deployed_at":null,"deployed_by":null,'
        b'"log_head":null,"origin":null,"outcome":"o","payload":null,"requested_at":null,"reviewed_by":null,'
        b'"run_id":"r","source":null,"source_digest":null,"stratum":"s","system":null,"tested_at":null}'
    )


@settings(deadline=None, derandomize=True)
@given(st.lists(texts, max_size=4))
def test_an_id_is_one_word_of_ascii_whatever_it_holds(given_texts: list[str]) -> None:
    made = json_ascii(pa.array(given_texts, pa.string())).to_pylist()
    assert made == [json.dumps(text) for text in given_texts]
