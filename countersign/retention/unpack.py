"""Reading a pack: the files of a day as they were in the evidence root, held against the pack's manifest.

What belongs here: joining the halves, in memory that does not grow with the day. What does not: where files go
(`restore`).
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from countersign.errors import TamperedError
from countersign.evidence import durable
from countersign.evidence.root import FINDINGS, LOG, REGISTER
from countersign.retention.days import Span
from countersign.retention.halves import join
from countersign.retention.pack import FORMAT, MANIFEST, README, TEXTS, WHOLE, manifest_line
from countersign.retention.tar import Member, members


@dataclass(frozen=True, slots=True)
class About:
    """Which day a pack is of, and which bytes of the root's register and findings it holds."""

    day: date
    register: Span
    findings: Span


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A file of the root as a pack has it: `at` holds its bytes."""

    name: str
    size: int
    sha256: str
    at: Path


def unpack(chain: Path, texts: Path, folder: Path) -> About:
    """Write every file of a pack into a folder under a number, in the order of `unpacked`.

    Raises TamperedError where the two archives do not hold what the manifest says.
    """
    with chain.open("rb") as chain_file, texts.open("rb") as texts_file, (folder / "found").open("w+b") as found:
        reader = _Reader(chain_file, texts_file, folder / MANIFEST)
        for number, (name, pieces) in enumerate(reader.files()):
            size, digest = _write(folder / str(number), pieces)
            found.write(manifest_line(name, size, digest))
        found.seek(0)
        return _compare(folder / MANIFEST, found, chain)


def unpacked(folder: Path) -> Iterator[Unpacked]:
    """What `unpack` wrote into a folder."""
    with (folder / "found").open("rb") as found:
        for number, line in enumerate(found):
            said = orjson.loads(line)
            yield Unpacked(said["path"], said["bytes"], said["sha256"], folder / str(number))


class _Reader:
    """Both archives, read side by side."""

    def __init__(self, chain: BinaryIO, texts: BinaryIO, manifest: Path) -> None:
        self._chain = members(chain)
        self._texts = members(texts)
        self._next = next(self._texts, None)
        self._manifest = manifest

    def files(self) -> Iterator[tuple[str, Iterator[bytes]]]:
        for member in self._chain:
            if member.name == MANIFEST:
                _write(self._manifest, member.pieces())
            elif member.name in (REGISTER, FINDINGS) or member.name.endswith(f"/{LOG}"):
                yield member.name, self._joined(member)
            elif member.name != README:
                yield member.name, member.pieces()
        while self._next is not None:
            if self._next.name != README:
                yield self._next.name, self._next.pieces()
            self._go_on()

    def _joined(self, events: Member) -> Iterator[bytes]:
        if self._next is not None and self._next.name == README:
            self._go_on()
        there = self._next.name if self._next is not None else ""
        if self._next is not None and there == events.name + WHOLE:
            yield from self._next.pieces()
        elif self._next is not None and there == events.name + TEXTS:
            yield from join(_lines(events), _lines(self._next))
        else:
            yield from events.pieces()
            return
        self._go_on()

    def _go_on(self) -> None:
        self._next = next(self._texts, None)


def _lines(member: Member) -> Iterator[bytes]:
    rest = b""
    for piece in member.pieces():
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            yield line + b"\n"
    if rest:
        yield rest


def _write(path: Path, pieces: Iterator[bytes]) -> tuple[int, str]:
    sha256, size = hashlib.sha256(), 0
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, durable.FILE_MODE), "wb") as file:
        for piece in pieces:
            file.write(piece)
            sha256.update(piece)
            size += len(piece)
    return size, sha256.hexdigest()


def _compare(manifest: Path, found: BinaryIO, where: Path) -> About:
    """Every file of the manifest is there with its bytes, and no other one."""
    try:
        with manifest.open("rb") as said:
            first = orjson.loads(said.readline())
            if first["format"] != FORMAT:
                raise ValueError(f"the format {first['format']!r} is not known")
            for line in said:
                expected = orjson.loads(line)
                if "sha256" in expected and _without_fault(expected) != found.readline():
                    raise ValueError(f"{expected['path']} is not what the manifest says")
            if more := found.readline():
                raise ValueError(f"{orjson.loads(more)['path']} is not in the manifest")
            return About(date.fromisoformat(first["day"]), _span(first["register"]), _span(first["findings"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TamperedError(f"{where.name}: not the pack that it was: {error} (SEV-1)") from error


def _without_fault(said: dict[str, Any]) -> bytes:
    return manifest_line(said["path"], said["bytes"], said["sha256"])


def _span(value: list[int]) -> Span:
    start, end = value
    return int(start), int(end)
