"""What people read beside a materialisation. What belongs here: domain reports as Dagster metadata."""

import base64
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dagster import MarkdownMetadataValue, MetadataValue

from countersign.clocks.instant import stamp
from countersign.findings.chart import attainment_chart
from countersign.findings.finding import Findings
from countersign.runs.daywork import DayReport, Needed, Reading
from countersign.runs.engine import Engine
from countersign.runs.judgements import Judgement

if TYPE_CHECKING:
    from countersign.findings.report import Report

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


def findings_metadata(findings: Findings, looked_at: int) -> dict[str, Any]:
    """The open findings, the gravest and oldest first."""
    opened = findings.open()
    rows = [
        (what.severity, what.kind, what.subject, what.run_id or "", what.owner, stamp(what.breached_at)[:19], what.id)
        for what in (one.what for one in opened[:_MOST_ROWS])
    ]
    columns = ("severity", "kind", "about", "run", "owner", "since (UTC)", "finding")
    more = f"\n\n… and {len(opened) - _MOST_ROWS} more" if len(opened) > _MOST_ROWS else ""
    return {
        "open_findings": MetadataValue.int(len(opened)),
        "clocks_looked_at": MetadataValue.int(looked_at),
        "findings": MetadataValue.md(f"{table(columns, rows).md_str}{more}" if rows else "none is open"),
    }


def report_metadata(report: "Report") -> dict[str, Any]:
    """How everything stands, with a chart of how clocks came out by month."""
    standing = [("clean", report.clean), *report.issues.items(), ("waits for somebody", report.waiting)]
    queue = [
        (turn.role, ", ".join(turn.people) or "nobody", turn.running, turn.overdue, _minute(turn.next_due))
        for turn in report.queue
    ]
    clocks = [
        (one.month, one.kind, one.tier, one.met, one.breached, f"{100 * one.met // (one.met + one.breached)} %")
        for one in report.attainment
    ]
    metadata: dict[str, Any] = {
        "clean": MetadataValue.int(report.clean),
        "issues": MetadataValue.int(sum(report.issues.values())),
        "overdue": MetadataValue.int(sum(turn.overdue for turn in report.queue)),
        "runs": table(("standing", "runs"), standing),
        "queue": table(("due from", "who", "clocks", "overdue", "next due (UTC)"), queue),
        "attainment": table(("month", "clock", "tier", "met", "breached", "met of all"), clocks),
        "open_findings": table(
            ("owner", "severity", "findings"), [(*key, count) for key, count in report.open_findings.items()]
        ),
    }
    if report.attainment:
        picture = base64.b64encode(attainment_chart(report.attainment).encode()).decode("ascii")
        metadata["chart"] = MetadataValue.md(f"![attainment by month](data:image/svg+xml;base64,{picture})")
    return metadata


def _minute(instant: datetime | None) -> str:
    return "" if instant is None else stamp(instant)[:16]


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
