"""Payloads in files: a folder of them, a JSON file, a JSON Lines file, or a stream.

Payloads are submitted, not extracted: what counts of each stands in the log of its run, so nothing else is kept.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from countersign.changes.payload import parse_record
from countersign.changes.sources.interface import BY_HAND, Item, Raw, Record, Unreadable
from countersign.errors import PayloadError, SourceError
from countersign.policy import Limits

_SUFFIXES = (".json", ".jsonl", ".ndjson")


class FilesSource:
    """Payload files under a path: `*.json` holds one payload or a list of them, `*.jsonl` one a line.

    In a folder, names that start with a dot or end otherwise are left alone, so that a file can be written under
    such a name and then renamed into place.
    """

    adapter = "files"
    extractor = "files/1"

    def __init__(self, path: Path, limits: Limits, *, name: str = BY_HAND + adapter) -> None:
        self.name = name
        self._path = path
        self._limits = limits

    def state(self) -> str | None:
        found = hashlib.sha256()
        for path in payload_files(self._path):
            try:
                status = path.stat()
            except OSError as error:
                raise SourceError(f"{path}: cannot be read: {error.strerror}") from error
            found.update(os.fsencode(path.name))
            found.update(f"\0{status.st_size}\0{status.st_mtime_ns}\0{status.st_ino}\0".encode())
        return found.hexdigest()

    def fetch(self, scratch: Path) -> Sequence[Raw]:
        return []

    def items(self, kept: Sequence[Path]) -> Iterator[Item]:
        for path in payload_files(self._path):
            try:
                with path.open("rb") as file:
                    if path.suffix == ".json":
                        yield from _document(file, path, self._limits)
                    else:
                        yield from _lines(file, _shown(path), self._limits)
            except OSError as error:
                raise SourceError(f"{path}: cannot be read: {error.strerror}") from error

    def rows(self) -> Sequence[int]:
        return []

    def joined(self) -> int:
        return 0

    def declared(self) -> int | None:
        return None


class StreamSource:
    """Payloads from an open stream: one a line, or one JSON document."""

    adapter = "files"
    extractor = "files/1"

    def __init__(self, stream: BinaryIO, limits: Limits, *, name: str = BY_HAND + adapter) -> None:
        self.name = name
        self._stream = stream
        self._limits = limits

    def state(self) -> str | None:
        return None

    def fetch(self, scratch: Path) -> Sequence[Raw]:
        return []

    def items(self, kept: Sequence[Path]) -> Iterator[Item]:
        content = self._stream.read()
        try:
            parse_record(content, _limits_for(content, self._limits))
        except PayloadError:
            yield from _lines(iter(content.splitlines(keepends=True)), "-", self._limits)
        else:
            yield from _values(content, "-", self._limits)

    def rows(self) -> Sequence[int]:
        return []

    def joined(self) -> int:
        return 0

    def declared(self) -> int | None:
        return None


def payload_files(path: Path) -> list[Path]:
    """The payload files at a path, in order of their names. Raises SourceError when there is nothing to read."""
    if path.is_file():
        return [path]
    try:
        with os.scandir(path) as entries:
            names = [entry.name for entry in entries if entry.is_file()]
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}; name a file or a folder of payloads") from error
    return [path / name for name in sorted(names) if name.endswith(_SUFFIXES) and not name.startswith(".")]


def _document(file: BinaryIO, path: Path, limits: Limits) -> Iterator[Item]:
    content = file.read()
    yield from _values(content, _shown(path), limits)


def _shown(path: Path) -> str:
    """A path as text that can be stored, whatever bytes are in it."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _values(content: bytes, where: str, limits: Limits) -> Iterator[Item]:
    try:
        value = parse_record(content, _limits_for(content, limits))
    except PayloadError as error:
        yield Unreadable(where, error.change_id, str(error), content)
        return
    if isinstance(value, list):
        for number, payload in enumerate(value):
            yield Record(f"{where}[{number}]", payload)
    else:
        yield Record(where, value)


def _limits_for(content: bytes, limits: Limits) -> Limits:
    """A list is a container of payloads, each of which has the limit to itself."""
    return Limits(payload_bytes=max(len(content), 1)) if content.lstrip()[:1] == b"[" else limits


def _lines(lines: Iterator[bytes] | BinaryIO, where: str, limits: Limits) -> Iterator[Item]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        place = f"{where}:{number}"
        try:
            yield Record(place, parse_record(line, limits))
        except PayloadError as error:
            yield Unreadable(place, error.change_id, str(error), line)
