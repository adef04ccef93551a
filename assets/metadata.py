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


def readings_metadata(readings: Sequence[Reading]) -> dict[str, Any]:
    """The control totals of each source that was read, as a table and as numbers."""
    rows = [
        (reading.source, *((reading.totals.as_dict().values()) if reading.broken is None else (reading.broken,)))
        for reading in readings
    ]
    columns = ("source", "read", "opened", "known", "refused", "out of scope")
    broken = {reading.source: reading.broken for reading in readings if reading.broken is not None}
    return {
        "totals": table(columns, rows),
        "readings": MetadataValue.json({reading.source: reading.totals.as_dict() for reading in readings}),
        "broken_sources": MetadataValue.json(broken),
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
