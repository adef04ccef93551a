"""DICTIONARY.md says of every column what the Parquet files say of it themselves."""

from collections.abc import Iterable, Iterator

from countersign.evidence.columns import Column
from countersign.sampling.columns import COLUMNS, SCHEMA, dictionary
from countersign.sampling.sample import DRAWN, OBSERVED, attribute_columns
from tests.conftest import REPOSITORY

HEAD = """\
# Dictionary

The columns of a month's population and sample, under `evidence/datasets/clean_population_sample/month=2026-10/`. Every
Parquet file has the same in its own metadata: `pyarrow.parquet.read_schema(FILE).field(NAME).metadata`. What is missing
is null. The row that a digest in `population.txt` is over is the JSON object of exactly the columns under *Population*:
`json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=False)`, an instant as
`2026-11-23T14:05:06.000007Z`, which is what stands in `sample.jsonl`.
"""


def table(columns: Iterable[Column]) -> Iterator[str]:
    yield "| column | type | unit | meaning |"
    yield "|---|---|---|---|"
    for name, kind, unit, meaning in dictionary(tuple(columns)):
        yield f"| `{name}` | {kind} | {unit} | {meaning} |"


def page() -> str:
    """The whole page; what a control's column is called follows from the catalogue, so one stands for all."""
    parts = (
        ("Population", COLUMNS),
        ("Sample: what the draw adds", DRAWN),
        ("Sample: blank, for the observer", (*attribute_columns(["ITGC-CM-01"]), *OBSERVED)),
    )
    lines = [HEAD]
    for title, columns in parts:
        lines += [f"## {title}", "", *table(columns), ""]
    return "\n".join(lines)


def test_the_page_is_what_the_files_say() -> None:
    """Where it is not: `python -c 'from tests.domain.sampling.test_dictionary import page; print(page(), end="")'`."""
    assert (REPOSITORY / "DICTIONARY.md").read_text(encoding="utf-8") == page()


def test_every_field_of_a_file_has_a_meaning_a_type_and_where_it_is_a_quantity_a_unit() -> None:
    for field in SCHEMA:
        assert set(field.metadata) == {b"meaning", b"type", b"unit"}
        assert field.metadata[b"meaning"]
        assert (field.metadata[b"unit"] != b"") == (field.metadata[b"type"] == b"timestamp")
