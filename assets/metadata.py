"""What people read beside a materialisation. What belongs here: domain reports as Dagster metadata."""

from collections.abc import Iterable, Sequence
from typing import Any

from dagster import MarkdownMetadataValue, MetadataValue

from countersign.runs.daywork import DayReport, Judgement, Needed, Reading
from countersign.runs.engine import Engine

_MOST_ROWS = 50


def stage_metadata(engine: Engine, report: DayReport, stage: str, needed: Sequence[Needed]) -> dict[str, Any]:
    """Changes touched, how the day stands, who is needed, and where the evidence lies."""
    counts = engine.index.counts_by_day([report.day]).get(report.day, {})
    metadata: dict[str, Any] = {
        "changes_touched": MetadataValue.int(report.touched[stage]),
        "changes_of_the_day": MetadataValue.int(sum(counts.values())),
        "status": table(("status", "changes"), sorted(counts.items())),
        "needs_somebody": MetadataValue.int(len(needed)),
        "who_is_needed": needs_table(needed),
        "run_folders": MetadataValue.path(str(engine.root.rundir(report.day, "x").parent)),
    }
    dataset = engine.root.datasets / stage / f"day={report.day.isoformat()}.parquet"
    if dataset.exists():
        metadata["dataset"] = MetadataValue.path(str(dataset))
    return metadata


def needs_table(needed: Sequence[Needed]) -> MarkdownMetadataValue:
    """The changes that wait for a person, with their run folders."""
    rows = [(row.change_id, row.status, row.reason, row.run_id, row.rundir) for row in needed[:_MOST_ROWS]]
    more = f"\n\n… and {len(needed) - _MOST_ROWS} more" if len(needed) > _MOST_ROWS else ""
    shown = table(("change", "status", "because", "run", "folder"), rows)
    return MetadataValue.md("nobody" if not rows else f"{shown.md_str}{more}")


def reading_metadata(reading: Reading) -> dict[str, Any]:
    """One reading of a source: its control totals, whether they add up, and what it gave, raw and by digest."""
    if reading.broken is not None:
        return {"broken": MetadataValue.text(reading.broken)}
    rows = [(one.digest, one.rows, one.bytes, one.query) for one in reading.extracts]
    extracts = table(("SHA-256", "rows", "bytes", "asked"), rows) if rows else MetadataValue.md("submitted payloads")
    return {
        "totals": MetadataValue.json(reading.totals.as_dict()),
        "reconciled": MetadataValue.bool(reading.totals.reconciled),
        "read": MetadataValue.int(reading.totals.read),
        "opened": MetadataValue.int(reading.totals.opened),
        "extracts": extracts,
    }


def judgement_metadata(judgement: Judgement) -> dict[str, Any]:
    """A check's rows."""
    return {"findings": table(("where", "finding"), judgement.rows) if judgement.rows else MetadataValue.md("none")}


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> MarkdownMetadataValue:
    """A Markdown table; words from outside cannot break out of their cell."""
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    lines += [f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows]
    return MetadataValue.md("\n".join(lines))


def _cell(value: object) -> str:
    text = " ".join(str(value).split())
    for character in "\\|`<>[]*_":
        text = text.replace(character, f"\\{character}")
    return text
