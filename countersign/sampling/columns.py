"""The columns of a population: the dictionary that analysts and observers get with every file.

What belongs here: names, types, units and meanings, as plain data, and the schema that carries them. What does not:
where a value comes from (`population`), and what a draw adds.
"""

from collections.abc import Sequence
from enum import StrEnum

import pyarrow as pa

from countersign.evidence.columns import Column, ColumnKind
from countersign.evidence.datasets import schema_of


class Outcome(StrEnum):
    """What became of a change; only a clean one is drawn."""

    CLEAN = "clean"
    EXCEPTION = "exception"  # completed, but with an exception, an abstention left open, or somebody late
    BLOCKED = "blocked"
    AWAITING = "awaiting"
    FAILED = "failed"
    OUT_OF_SCOPE = "out_of_scope"
    SUPERSEDED = "superseded"


class Stratum(StrEnum):
    """The parts that are drawn and evaluated each on its own."""

    EMERGENCY = "emergency"
    STANDARD = "standard"
    LATE = "late"  # whatever the freeze did not have: it arrived, or became clean, afterwards


_CONTROL = (
    Column("control", "text", "the control, by its id in the catalogue"),
    Column("result", "text", "met, exception, abstained or not_applicable; determinations taken in"),
)
_CLOCK = (
    Column("clock", "text", "independent_review, maker_checker or exception_observation, and what about"),
    Column("deadline", "instant", "until when; null where nobody could compute it"),
    Column("outcome", "text", "met, breached or running"),
)
COLUMNS = (
    Column("change_id", "text", "the change, as its source names it; system/id where two systems use the id"),
    Column("run_id", "text", "the run that assessed it"),
    Column("stratum", "text", "emergency, standard or late"),
    Column("outcome", "text", "clean, exception, blocked, awaiting, failed, out_of_scope or superseded"),
    Column("system", "text", "the system that was changed"),
    Column("change_type", "text", "normal, preapproved or emergency"),
    Column("source", "text", "the source it was read from"),
    Column("origin", "text", "extracted or submitted"),
    Column("source_digest", "text", "SHA-256 of the extract it was read from; null where it was handed in"),
    Column("payload", "text", "SHA-256 of the payload, from which the run id follows"),
    Column("author", "text", "who made it, as a roster id; null where the roster does not know them"),
    Column("contributors", "texts", "who else made it, as roster ids"),
    Column(
        "deployed_by",
        "text",
        "who deployed it, by change or evidence, as a roster id; null for a pipeline",
    ),
    Column("authorised_by", "text", "whose approval in the source is cited, as a roster id"),
    Column("reviewed_by", "text", "who gave the independent review, as a roster id"),
    Column("approved_by", "text", "who gave the maker-checker approval, as a roster id"),
    Column("requested_at", "instant", "when it was requested"),
    Column("approved_at", "instant", "when the approval that is cited was given"),
    Column("tested_at", "instant", "when the test that is cited was run"),
    Column("deployed_at", "instant", "when it was first deployed: by this it belongs to the month"),
    Column("controls", "records", "each control with its result", _CONTROL),
    Column("clocks", "records", "each clock with its deadline and outcome", _CLOCK),
    Column("log_head", "text", "SHA-256 of the last event of its audit log that the register knew"),
)

_TYPES: dict[ColumnKind, tuple[str, str]] = {  # the type and the unit, as the dictionary has them
    "text": ("text (UTF-8)", ""),
    "texts": ("list of texts", ""),
    "flag": ("true or false", ""),
    "count": ("whole number, 64 bits", "1"),
    "share": ("number, 64 bits", "share of 1"),
    "instant": ("timestamp", "microseconds since 1970-01-01, UTC"),
    "records": ("list of records", ""),
}
_NEVER_NULL = frozenset({"change_id", "run_id", "stratum", "outcome"})


def described(columns: Sequence[Column]) -> pa.Schema:
    """The Arrow schema of these columns; each field carries meaning, type and unit, and so does the Parquet file."""
    plain = schema_of(columns)
    return pa.schema([_described(plain.field(column.name), column) for column in columns])


def dictionary(columns: Sequence[Column], within: str = "") -> list[tuple[str, str, str, str]]:
    """Name, type, unit and meaning of each column; a field of a record stands as `column.field`."""
    rows = []
    for column in columns:
        rows.append((within + column.name, *_TYPES[column.kind], column.meaning))
        rows += dictionary(column.fields, f"{within}{column.name}.")
    return rows


def _described(field: pa.Field, column: Column) -> pa.Field:
    kind, unit = _TYPES[column.kind]
    said = {"meaning": column.meaning, "type": kind, "unit": unit}
    return field.with_metadata(said).with_nullable(column.name not in _NEVER_NULL)


SCHEMA = described(COLUMNS)

# Columns whose values repeat, which Parquet keeps as a dictionary; to look for repetitions in the others costs more
# than all the rest, and to read these as dictionaries a quarter of what reading them as texts does.
_DISTINCT = ("change_id", "run_id", "source_digest", "payload", "log_head")
REPEATING = [
    *(column.name for column in COLUMNS if column.kind == "text" and column.name not in _DISTINCT),
    *(
        f"{column.name}.list.element.{field.name}"
        for column in COLUMNS
        for field in column.fields
        if field.kind == "text"
    ),
]
