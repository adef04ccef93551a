"""The two export files as items. What belongs here: which approvals belong to which change, and each row counted once.

Every row of the changes is an item, and so is every approval row that belongs to none of them: a decision that is
left aside is counted as such.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self
from zoneinfo import ZoneInfo

from countersign.changes.sources.interface import (
    BY_HAND,
    Item,
    Raw,
    Record,
    Skipped,
    Unreadable,
    fetch_file,
    file_state,
)
from countersign.changes.sources.servicenow.approvals import APPROVAL_FIELDS, decisions
from countersign.changes.sources.servicenow.change import CHANGE_FIELDS, payload_of, why_not_a_change
from countersign.changes.sources.servicenow.rows import Row, read_rows, written
from countersign.clocks.zones import zone_of

_TABLES = (CHANGE_FIELDS, APPROVAL_FIELDS)  # the columns that each file has to have
_QUERY = re.compile(r"(?P<file>.*), times in (?P<zone>\S+)", re.DOTALL)


class ServicenowSource:
    """Change requests of an export, with the approvals of another where there is one.

    `zone` is the one in which the exports show times: that of the session which exported, or UTC where they hold what
    the database does (ServiceNow's CSV and XML exports, and the table API unless asked for display values).
    """

    adapter = "servicenow"
    extractor = "servicenow/1"

    def __init__(
        self, path: Path, *, zone: ZoneInfo, approvals: Path | None = None, name: str = BY_HAND + adapter
    ) -> None:
        self.name = name
        self._paths = [path] if approvals is None else [path, approvals]
        self._zone = zone
        self._rows: list[int] = []
        self._joined = 0

    @classmethod
    def of(cls, queries: Sequence[str], name: str) -> Self | None:
        """What reads kept exports, as their queries say they were read; None where these say nothing of that."""
        said = [match for query in queries if (match := _QUERY.fullmatch(query))]
        if not 0 < len(said) <= len(_TABLES):
            return None
        path, *approvals = (Path(match["file"]) for match in said)
        return cls(path, zone=zone_of(said[0]["zone"]), approvals=next(iter(approvals), None), name=name)

    def queries(self) -> list[str]:
        """How each of its files is put on record."""
        return [f"{path.name}, times in {self._zone.key}" for path in self._paths]

    def state(self) -> str | None:
        return " ".join(file_state(path) for path in self._paths)

    def fetch(self, scratch: Path) -> Sequence[Raw]:
        fetched = []
        for position, (path, query) in enumerate(zip(self._paths, self.queries(), strict=True)):
            folder = scratch / str(position)  # the two may have one name
            folder.mkdir()
            fetched.append(fetch_file(path, folder, query=query))
        return fetched

    def items(self, kept: Sequence[Path]) -> Iterator[Item]:
        tables = [
            read_rows(file.read_bytes(), str(path), columns)
            for file, path, columns in zip(kept, self._paths, _TABLES, strict=False)
        ]
        self._rows = [len(table) for table in tables]
        changes = tables[0]
        approvals, aside = self._sorted(changes, tables[1]) if len(tables) > 1 else ({}, [])
        seen: dict[str, tuple[str, bytes]] = {}
        for position, record in enumerate(changes):
            yield self._once(self._change(f"{self._paths[0]}[{position}]", record, approvals), record, seen)
        # by the items that came out, not by what was sorted to go into them: an approval that no item took is missed
        self._joined = sum(len(rows) for number, rows in approvals.items() if number in seen)
        yield from aside

    def rows(self) -> Sequence[int]:
        return self._rows

    def joined(self) -> int:
        return self._joined

    def declared(self) -> int | None:
        return None

    def _sorted(self, changes: list[Any], approvals: list[Any]) -> tuple[dict[str, list[Row]], list[Item]]:
        """The approval rows of each change by its number, and an item for every other row."""
        numbers = _numbers(changes)
        found: dict[str, list[Row]] = {}
        aside: list[Item] = []
        for position, record in enumerate(approvals):
            where = f"{self._paths[1]}[{position}]"
            try:
                row = Row.of(record)
                row.require("sysapproval")
                names = [name for name in (row.shown("sysapproval"), row.stored("sysapproval")) if name]
                if not names:
                    raise ValueError("sysapproval: empty; an approval has to say what was approved")
            except ValueError as error:
                aside.append(Unreadable(where, None, f"the approval cannot be read: {error}", written(record)))
                continue
            number = next((numbers[name] for name in names if name in numbers), None)
            if number is None:
                aside.append(Skipped(where, names[0], "an approval of a record that is not in the export of changes"))
            else:
                found.setdefault(number, []).append(row)
        return found, aside

    def _change(self, where: str, record: Any, approvals: dict[str, list[Row]]) -> Item:
        number = None
        try:
            row = Row.of(record)
            number = row.shown("number") or None
            row.require(*CHANGE_FIELDS)
            if number is None:
                raise ValueError("number: empty")
            if reason := why_not_a_change(row):
                return Skipped(where, number, reason)
            given = decisions(approvals.get(number, ()), number, self._zone)
            return Record(where, payload_of(row, given, self._zone))
        except ValueError as error:
            return Unreadable(where, number, f"the change request cannot be read: {error}", written(record))

    def _once(self, item: Item, record: Any, seen: dict[str, tuple[str, bytes]]) -> Item:
        """The item, unless an earlier row with this number said something else: nobody can tell which one holds."""
        number = item.payload["id"] if isinstance(item, Record) else item.change_id
        if number is None:
            return item
        first, content = seen.setdefault(number, (item.where, _print(item)))
        if isinstance(item, Unreadable) or _print(item) == content:
            return item
        reason = f"the number {number} stands in {first} with other content; correct the export"
        return Unreadable(item.where, number, reason, written(record))


def _numbers(changes: list[Any]) -> dict[str, str]:
    """The number of each change by that number and by its sys_id, as approvals may name it either way."""
    found: dict[str, str] = {}
    for record in changes:
        try:
            row = Row.of(record)
            number, sys_id = row.shown("number"), row.stored("sys_id")
        except ValueError:  # the change is refused for it
            continue
        found |= {name: number for name in (number, sys_id) if name and number}
    return found


def _print(item: Item) -> bytes:
    """What tells one content from another, whatever place it stands in."""
    return hashlib.sha256(repr(replace(item, where="")).encode("utf-8", "backslashreplace")).digest()
