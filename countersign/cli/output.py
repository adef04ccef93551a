"""What the commands print: documents and tables on standard output, everything else on standard error.

Words from outside reach a terminal as words: never as markup, never as an escape sequence.
"""

import json
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from countersign.runs.engine import Progress as Advance

_STYLES = {"COMPLETED": "green", "AWAITING_APPROVAL": "yellow", "BLOCKED": "red", "FAILED": "red"}


def visible(text: str) -> str:
    """A line as a terminal may show it: what it would act on, reorder or hide, as escapes."""
    return _escaped(text, lambda character: repr(character)[1:-1])


def _escaped(line: str, escape: Callable[[str], str]) -> str:
    if line.isprintable():
        return line
    return "".join(part if part.isprintable() or unicodedata.category(part) == "Zs" else escape(part) for part in line)


def say(text: str) -> None:
    """Lines for people, on standard error."""
    for line in text.split("\n"):
        print(visible(line), file=sys.stderr)


def print_json(document: object) -> None:
    """One JSON document on standard output; its strings hold what is not printable as JSON escapes."""
    for line in json.dumps(document, indent=2, ensure_ascii=False).split("\n"):
        print(_escaped(line, lambda character: json.dumps(character)[1:-1]))


def print_lines(lines: Iterable[str]) -> None:
    """Plain lines on standard output, each of them one line whatever it holds."""
    for line in lines:
        print(visible(line))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str | None = None) -> None:
    """A table on standard output; a cell that is a run status gets its colour where there are colours."""
    table = Table(*columns, title=title, title_justify="left", header_style="bold", expand=False)
    for row in rows:
        cells = ("" if cell is None else visible(str(cell)) for cell in row)
        table.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in cells))
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
