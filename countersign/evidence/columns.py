"""What the columns of a dataset are, as plain data: the dictionary that readers get with every file."""

from dataclasses import dataclass
from typing import Literal

ColumnKind = Literal["text", "texts", "flag", "count", "share", "instant", "records"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its kind (an instant is UTC in microseconds) and meaning; `fields` are those of a list of records."""

    name: str
    kind: ColumnKind
    meaning: str
    fields: tuple["Column", ...] = ()
