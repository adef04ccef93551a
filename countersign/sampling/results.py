"""What the observer hands in: a table with a row for each item that was drawn, read strictly.

What belongs here: bytes into results, and whether they are about this sample, whole, and by people who may have tested.
What does not: what they show (`evaluate`), signing and recording them (`review`).
"""

import io
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from countersign.changes.hands import Hands, not_shown_apart
from countersign.changes.people import People
from countersign.changes.sources.strict_csv import csv_rows
from countersign.clocks.instant import parse_instant, stamp
from countersign.errors import SampleRefused, SourceError, printable
from countersign.runs.versions import Versions
from countersign.sampling.evaluate import Outcome, Result
from countersign.sampling.sample import OBSERVED, attribute_columns, controls_in
from countersign.sampling.statements import require_observer

OPERATED, DEVIATION, NOT_EXAMINABLE, NOT_APPLICABLE = "operated", "deviation", "not examinable", "not applicable"
_FOUND = (OPERATED, DEVIATION, NOT_EXAMINABLE, NOT_APPLICABLE)
_FLAGS = {"true": True, "false": False}
_HANDS = ("author", "deployed_by", "authorised_by", "reviewed_by", "approved_by")
_NAMED = 5  # in a message
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found of one item, by whom and when; `attributes` by control column."""

    run_id: str
    change_id: str
    stratum: str
    attributes: Mapping[str, str]
    tester: str
    examined_at: datetime

    @property
    def result(self) -> Result:
        """The outcome that follows from the attributes."""
        found = set(self.attributes.values())
        if DEVIATION in found:
            return Result(self.change_id, Outcome.DEVIATION)
        return Result(self.change_id, Outcome.NOT_EXAMINABLE if NOT_EXAMINABLE in found else Outcome.OPERATED)


def read_results(content: bytes, name: str) -> list[dict[str, str]]:
    """The rows of a results file, CSV or, by its name, Parquet; every cell as text. Raises SampleRefused."""
    try:
        if name.endswith(".parquet"):
            rows = pq.read_table(io.BytesIO(content)).to_pylist()
            return [{column: _text(value) for column, value in row.items()} for row in rows]
        (_, header), *lines = csv_rows(content, name)
    except (SourceError, pa.ArrowInvalid, ValueError) as error:
        raise SampleRefused(f"{name}: cannot be read: {error}") from error
    for line, cells in lines:
        if len(cells) != len(header):
            raise SampleRefused(f"{name}: line {line} has {len(cells)} cells; the header has {len(header)}")
    return [dict(zip(header, cells, strict=True)) for _, cells in lines]


def _text(value: object) -> str:
    """A cell as CSV would have it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return stamp(value if value.tzinfo else value.replace(tzinfo=UTC))
    return "" if value is None else str(value)


def examine(
    rows: Sequence[Mapping[str, str]], drawn: pa.Table, drawn_at: datetime, versions: Versions, now: datetime
) -> list[Examined]:
    """What the rows say of a sample that was drawn then, in its order. Raises SampleRefused with what is wrong.

    They are one for each item, every cell filled in, each by an observer whom the row has as no hand in that change.
    """
    controls = [column.name for column in attribute_columns(controls_in(drawn))]
    wanted = ["run_id", "change_id", *controls, *(column.name for column in OBSERVED)]
    _refuse("columns that are missing", [name for name in wanted if any(name not in row for row in rows)])
    given = [row["run_id"] for row in rows]
    items: dict[str, Row] = {item["run_id"]: item for item in drawn.to_pylist()}
    ids = {row["run_id"]: row["change_id"] for row in rows}
    _refuse("a row for what was not drawn", [f"{ids[run]} ({run})" for run in ids if run not in items])
    _refuse("more than one row", [f"{ids[run]} ({run})" for run, times in Counter(given).items() if times > 1])
    _refuse("drawn, and without a row", [f"{items[run]['change_id']} ({run})" for run in items if run not in ids])
    by_run = {row["run_id"]: row for row in rows}
    return [_examined(by_run[run], item, controls, drawn_at, versions, now) for run, item in items.items()]


def refuse_hands(examined: Iterable[Examined], hands_of: Callable[[str], Hands | None], people: People) -> None:
    """Raise SampleRefused unless every tester is shown to have had no hand in the change and its run.

    `hands_of` says who had one in a run, as its log has it: more than a row, which has one deployer and roster ids.
    """
    for one in examined:
        hands, where = hands_of(one.run_id), f"results: {printable(one.change_id)}"
        if hands is None:
            raise SampleRefused(
                f"{where}: its log does not say who made the change; restore it first, see ESCALATION.md"
            )
        if hand := not_shown_apart(people, people.identify(one.tester), hands):
            part, text = hand
            told = f"is, or cannot be told apart from, the {part} of this change, {text!r}"
            raise SampleRefused(f"{where}: tester: {one.tester!r} {told}")


def _refuse(what: str, names: Iterable[str]) -> None:
    found = list(names)
    if found:
        shown = ", ".join(map(printable, found[:_NAMED]))
        raise SampleRefused(f"results: {what}: {shown} ({len(found)} in all); give one row for each item drawn")


def _examined(
    row: Mapping[str, str], item: Row, controls: Sequence[str], drawn_at: datetime, versions: Versions, now: datetime
) -> Examined:
    where = f"results: {printable(item['change_id'])}"
    if row["change_id"] != item["change_id"]:
        raise SampleRefused(f"{where}: its row says {printable(row['change_id'])!r}")
    attributes = {name: row[name] for name in controls}
    for name, found in attributes.items():
        if found not in _FOUND:
            raise SampleRefused(f"{where}: {name}: {printable(found)!r} is none of {', '.join(_FOUND)}")
    deviates = bool({DEVIATION, NOT_EXAMINABLE} & set(attributes.values()))
    if _FLAGS.get(row["deviation"].lower()) is not deviates:
        says = str(deviates).lower()
        raise SampleRefused(f"{where}: deviation: {printable(row['deviation'])!r}; its attributes make it {says}")
    tester = row["tester"]
    try:
        examined_at = parse_instant(row["examined_at"])
        require_observer(tester, versions, examined_at)
    except ValueError as error:
        raise SampleRefused(f"{where}: examined_at: {error}") from error
    except SampleRefused as refusal:
        raise SampleRefused(f"{where}: tester: {refusal}") from refusal
    if not drawn_at <= examined_at <= now:
        raise SampleRefused(f"{where}: examined_at: not between the draw, {stamp(drawn_at)}, and now")
    if tester in {*(item[name] for name in _HANDS), *(item["contributors"] or ())}:
        raise SampleRefused(f"{where}: tester: {tester!r} had a hand in this change")
    return Examined(item["run_id"], item["change_id"], item["stratum"], attributes, tester, examined_at)
