"""What the commands print: documents and tables on standard output, everything else on standard error."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from countersign.runs.engine import Progress as Advance

_STYLES = {"COMPLETED": "green", "AWAITING_APPROVAL": "yellow", "BLOCKED": "red", "FAILED": "red"}


def say(line: str) -> None:
    """A line for people, on standard error."""
    print(line, file=sys.stderr)


def print_json(document: object) -> None:
    """One JSON document on standard output."""
    json.dump(document, sys.stdout, indent=2, ensure_ascii=False)
    print()


def print_lines(lines: Iterable[str]) -> None:
    """Plain lines on standard output; words from outside are never read as markup."""
    for line in lines:
        print(line)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str | None = None) -> None:
    """A table on standard output; a cell that is a run status gets its colour where there are colours."""
    table = Table(*columns, title=title, title_justify="left", header_style="bold", expand=False)
    for row in rows:
        table.add_row(*(Text("" if cell is None else str(cell), style=_STYLES.get(str(cell), "")) for cell in row))
    console().print(table)


def console() -> Console:
    """Standard output; wide enough for ids where it is a pipe."""
    return Console(width=None if sys.stdout.isatty() else 200, highlight=False)


@contextmanager
def progress(what: str, total: int | None = None) -> Iterator[Advance]:
    """A progress line on standard error while something takes long; nothing where that is no terminal."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    error = Console(stderr=True)
    with Progress(*columns, console=error, transient=True, disable=not error.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.advance(task, done)
