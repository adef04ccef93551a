"""Deployments from a file that a deployment tool exports: JSON Lines, or CSV with a header.

`{id, environment, system, revision, at, by, pipeline?, change?}` a row. Only a file that ends where a row ends was
written to its end, so a file that does not is an error, and so is an empty one.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from countersign.changes.deployment import OPTIONAL, REQUIRED, read_deployment
from countersign.changes.payload import parse_record
from countersign.changes.sources.interface import BY_HAND, Item, Raw, Unreadable, fetch_file, file_state
from countersign.changes.sources.strict_csv import csv_rows
from countersign.errors import PayloadError, SourceError
from countersign.policy import Limits

_JSON_LINES = (".jsonl", ".ndjson")


class DeploymentsSource:
    """The deployments of one export; the end of its name says which form it has."""

    adapter = "deployments"
    extractor = "deployments/1"

    def __init__(self, path: Path, limits: Limits, *, name: str = BY_HAND + adapter) -> None:
        self.name = name
        self._path = path
        self._limits = limits
        self._count = 0

    def state(self) -> str | None:
        return file_state(self._path)

    def fetch(self, scratch: Path) -> Sequence[Raw]:
        return [fetch_file(self._path, scratch)]

    def items(self, kept: Sequence[Path]) -> Iterator[Item]:
        (export,) = kept
        content = export.read_bytes()
        if not content.strip():
            raise SourceError(f"{self._path}: empty; an export that holds nothing is no export, write it again")
        if self._path.suffix in _JSON_LINES:
            yield from self._json_lines(content)
        elif self._path.suffix == ".csv":
            yield from self._csv(content)
        else:
            raise SourceError(f"{self._path}: ends in none of {', '.join(_JSON_LINES)} and .csv; rename it")

    def rows(self) -> Sequence[int]:
        return [self._count]

    def joined(self) -> int:
        return 0

    def declared(self) -> int | None:
        return None

    def _json_lines(self, content: bytes) -> Iterator[Item]:
        lines = content.splitlines(keepends=True)
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            self._count += 1
            try:
                row = parse_record(line, self._limits)
            except PayloadError as error:
                if number == len(lines) and not line.endswith(b"\n"):
                    raise self._cut_off(number) from error
                yield Unreadable(f"{self._path}:{number}", error.change_id, str(error), line)
            else:
                yield self._item(row, f"{self._path}:{number}", line)

    def _csv(self, content: bytes) -> Iterator[Item]:
        (_, columns), *rows = csv_rows(content, str(self._path)) or [(1, [])]
        header = self._header(columns)
        for line, cells in rows:
            self._count += 1
            where = f"{self._path}:{line}"
            written = json.dumps(cells).encode()
            if len(cells) == len(header):
                given = zip(header, cells, strict=True)
                row = {name: cell for name, cell in given if cell or name not in OPTIONAL}
                yield self._item(row, where, written)
            else:
                reason = f"has {len(cells)} cells where the header has {len(header)}"
                yield Unreadable(where, None, reason, written)

    def _header(self, header: list[str]) -> list[str]:
        missing = [name for name in REQUIRED if name not in header]
        odd = [name for name in header if name not in (*REQUIRED, *OPTIONAL) or header.count(name) > 1]
        if missing or odd:
            said = f"misses {', '.join(missing)}" if missing else f"has {odd[0]!r}, which is no column or there twice"
            columns = ", ".join((*REQUIRED, *(f"{name} (optional)" for name in OPTIONAL)))
            raise SourceError(f"{self._path}: the header {said}; the columns are {columns}")
        return header

    def _cut_off(self, line: int) -> SourceError:
        return SourceError(f"{self._path}: cut off in line {line}; export it again, whole, with its last line ended")

    def _item(self, row: object, where: str, content: bytes) -> Item:
        try:
            return read_deployment(row, where)
        except PayloadError as error:
            return Unreadable(where, error.change_id, str(error), content)
