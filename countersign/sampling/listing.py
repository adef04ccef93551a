"""The list of a population: digests in plain text, so that an observer needs nothing but the standard library.

What belongs here: the form of `population.txt`. What does not: files (`files`), and the bytes of a row (`row_bytes`).

A header of `key<TAB>value` lines, an empty line, then a line for each change, by change id and run id:

    stratum<TAB>outcome<TAB>run id<TAB>"change id" as a JSON string in ASCII<TAB>SHA-256 of the row

Lines end in a newline. The SHA-256 of the whole file is the population digest.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc

from countersign.sampling.month import Month
from countersign.sampling.row_bytes import json_ascii, row_bytes

FORMAT = "countersign-population/1"
_JOIN = pc.binary_join_element_wise

Counts = Mapping[tuple[str, str], int]  # how many changes by stratum and outcome


@dataclass(frozen=True, slots=True)
class Header:
    """What a list says of itself before its lines.

    `begin` and `until` are the month's first instant and the next month's, in UTC; `register` is the size in bytes and
    the head of the register that it was read at. `adds_to` is the population digest that a list of late changes adds
    to, None for the population itself.
    """

    month: Month
    zone: str
    begin: str
    until: str
    register_size: int
    register_head: str
    complete: bool
    counts: Counts
    adds_to: str | None = None

    @property
    def size(self) -> int:
        """How many lines the list has."""
        return sum(self.counts.values())

    @property
    def named_counts(self) -> dict[str, int]:
        """The counts by `stratum/outcome`, sorted."""
        return {f"{stratum}/{outcome}": count for (stratum, outcome), count in sorted(self.counts.items())}

    @property
    def written(self) -> bytes:
        """The header as it stands in the file, with the empty line after it."""
        said = {
            "format": FORMAT,
            "month": str(self.month),
            "zone": self.zone,
            "from": self.begin,
            "until": self.until,
            "register_size": str(self.register_size),
            "register_head": self.register_head,
            "complete": "true" if self.complete else "false",
            **({"adds_to": self.adds_to} if self.adds_to is not None else {}),
            "changes": str(self.size),
            **{name: str(count) for name, count in self.named_counts.items()},
        }
        return "".join(f"{key}\t{value}\n" for key, value in said.items()).encode("ascii") + b"\n"

    @classmethod
    def parse(cls, lines: Iterable[bytes]) -> Self:
        """The header that these lines begin with. Raises ValueError or KeyError unless they are written like that."""
        raw = []
        for line in lines:
            if line == b"\n":
                break
            raw.append(line.decode("ascii"))
        else:
            raise ValueError("it has no end")
        said = dict(line.removesuffix("\n").split("\t") for line in raw)
        counts = {(key.split("/")[0], key.split("/")[1]): int(value) for key, value in said.items() if "/" in key}
        header = cls(
            Month.parse(said["month"]),
            said["zone"],
            said["from"],
            said["until"],
            int(said["register_size"]),
            said["register_head"],
            said["complete"] == "true",
            counts,
            said.get("adds_to"),
        )
        if header.written != "".join(raw).encode("ascii") + b"\n":
            raise ValueError("it would be written otherwise")
        return header


def lines_of(batch: pa.RecordBatch) -> bytes:
    """The lines of a batch of rows."""
    sha256 = hashlib.sha256
    digests = pa.array([sha256(row).hexdigest() for row in row_bytes(batch).to_pylist()], pa.string())
    ids = json_ascii(batch.column("change_id"))
    lines = _JOIN(batch.column("stratum"), batch.column("outcome"), batch.column("run_id"), ids, digests, "\t")
    whole = pc.binary_join(pa.ListArray.from_arrays(pa.array([0, len(lines)], pa.int32()), lines), "\n")
    return bytes(whole[0].as_buffer()) + b"\n" if len(lines) else b""
