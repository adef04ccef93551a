"""The rows of a ServiceNow export, CSV or JSON. What belongs here: shapes; not what a field means.

A field is bare, or an object with some of `display_value`, `value` and `link`, by how the table API was asked
(`sysparm_display_value`): `value` is what the database holds, `display_value` what the session shows.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from countersign.changes.payload import parse_record
from countersign.changes.sources.strict_csv import csv_rows
from countersign.clocks.wall_time import WallTime, parse_wall_time
from countersign.clocks.zones import zone_of
from countersign.errors import PayloadError, SourceError
from countersign.policy import Limits

_BOM = b"\xef\xbb\xbf"
_SHAPE = frozenset(("display_value", "value", "link"))
_SYS_ID = re.compile(r"[0-9a-f]{32}")
_FLAGS = {"true": True, "false": False, "1": True, "0": False, "": False}
_UTC = zone_of("UTC")


@dataclass(frozen=True, slots=True)
class Row:
    """One record. Every reading raises ValueError that names the field; a field that is not there reads as empty."""

    fields: Mapping[str, Any]

    @classmethod
    def of(cls, record: object) -> "Row":
        """The record as a row, where it is an object."""
        match record:
            case dict():
                return cls(record)
            case _:
                raise ValueError(f"needs to be an object of fields, not {type(record).__name__}")

    def require(self, *fields: str) -> None:
        """Hold that the export has these fields: one that is missing is not one that is empty."""
        if missing := [field for field in fields if field not in self.fields]:
            raise ValueError(f"lacks the fields {', '.join(missing)}; export them too (sysparm_fields)")

    def shown(self, field: str) -> str:
        """The text as people see it, or what the database holds where that is all there is."""
        display, value = self._parts(field)
        return display or value

    def stored(self, field: str) -> str:
        """The text as the database holds it, whatever language the session spoke; or else as people see it."""
        display, value = self._parts(field)
        return value or display

    def flag(self, field: str) -> bool:
        """A true or false; anything else is no answer."""
        text = self.stored(field).casefold()
        if text not in _FLAGS:
            raise ValueError(f"{field}: {text!r} is neither true nor false")
        return _FLAGS[text]

    def person(self, field: str) -> str:
        """A user as text that can be compared, or empty.

        A sys_id becomes `sys_user <id>`, which reads as a name: beside a user name or an e-mail it says nothing, and it
        must not look like a second login, which would make two people of one.
        """
        text = self.shown(field)
        return f"sys_user {text}" if _SYS_ID.fullmatch(text) else text

    def time(self, field: str, zone: ZoneInfo) -> WallTime | None:
        """A time on the clocks of a zone, or None where the field is empty.

        Where both are there, `value` is UTC, as the database holds every time, and `display_value` has to be the same
        instant in the zone: a wrong zone would shift every approval against its deployment.
        """
        display, value = self._parts(field)
        try:
            if not (display and value):
                return parse_wall_time(display or value, zone) if display or value else None
            instant, local = parse_wall_time(value, _UTC), parse_wall_time(display, zone)
        except ValueError as error:
            raise ValueError(f"{field}: {error}") from error
        if instant.earliest not in (local.earliest, local.latest):
            raise ValueError(f"{field}: {display!r} in {zone.key} is not {value!r} in UTC; name the session's zone")
        return instant

    def _parts(self, field: str) -> tuple[str, str]:
        """What is shown and what is stored; a bare field is only shown."""
        content = self.fields.get(field)
        if not isinstance(content, Mapping):
            return _text(field, content), ""
        if not content or not content.keys() <= _SHAPE:
            raise ValueError(f"{field}: {dict(content)!r} is no reference; it has display_value, value or link")
        return _text(field, content.get("display_value")), _text(field, content.get("value"))


def _text(field: str, content: object) -> str:
    match content:
        case None:
            return ""
        case bool():
            return "true" if content else "false"
        case int():
            return str(content)
        case str():
            return content.strip()
        case _:
            raise ValueError(f"{field}: needs to be text or a reference, not {type(content).__name__}")


def read_rows(content: bytes, where: str, needed: Sequence[str]) -> list[Any]:
    """The records of an export, in its order: objects, or whatever else a JSON list held in their place.

    Raises SourceError where the export is not whole: what was cut off must not look like a smaller population. `needed`
    are the columns that a CSV has to have.
    """
    content = content.removeprefix(_BOM)
    return _json(content, where) if content.lstrip()[:1] in (b"[", b"{") else _csv(content, where, needed)


def written(record: object) -> bytes:
    """A record as bytes, for whoever has to keep what was refused."""
    return json.dumps(record, sort_keys=True).encode()


def _json(content: bytes, where: str) -> list[Any]:
    try:
        document = parse_record(content, Limits(payload_bytes=len(content)))
    except PayloadError as error:
        raise SourceError(f"{where}: {error}; export it again, whole") from error
    if isinstance(document, dict):
        # the table API answers with `error` beside a partial `result` where a transaction ran out of time
        if document.keys() != {"result"}:
            keys = ", ".join(document) or "nothing"
            raise SourceError(f"{where}: holds {keys} in place of `result` alone; export it again, whole")
        document = document["result"]
    if not isinstance(document, list):
        raise SourceError(f'{where}: is no list of records; the table API writes {{"result": [...]}}')
    return document


def _csv(content: bytes, where: str, needed: Sequence[str]) -> list[Any]:
    (_, columns), *rows = csv_rows(content, where) or [(1, [])]
    header = _header(columns, where, needed)
    return [_record(header, cells, where, line) for line, cells in rows]


def _header(columns: list[str], where: str, needed: Sequence[str]) -> list[str]:
    if missing := [column for column in needed if column not in columns]:
        raise SourceError(f"{where}: the header lacks {', '.join(missing)}; export the fields by their names")
    if len(set(columns)) != len(columns):
        raise SourceError(f"{where}: the header names a column twice; export each once")
    return columns


def _record(header: list[str], cells: list[str], where: str, line: int) -> dict[str, str]:
    if len(cells) != len(header):
        reason = f"the record that ends at line {line} has {len(cells)} of {len(header)} columns"
        raise SourceError(f"{where}: {reason}; export it again, whole")
    return dict(zip(header, cells, strict=True))
