"""Reading a pack: the files of a day as they were in the evidence root, held against the pack's manifest.

What belongs here: joining the halves, in memory that does not grow with the day. What does not: where files go
(`restore`).
"""

import hashlib
import io
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from itertools import chain
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

TREE = "tree"
_FOUND = "found"
_LOG, _FAULT = f"/{LOG}", b'"fault":'
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_OURS = frozenset((REGISTER, FINDINGS, "seals", "keys", "policies", "runs", "blobs", "extracts", "datasets"))
_SMALL = _BUFFER = 1 << 20
_WRITERS, _TOGETHER, _MOST_BEGUN = 2, 16, 8  # so at most 144 MiB wait for the disk


@dataclass(frozen=True, slots=True)
class About:
    """Which day a pack is of, and which bytes of the root's register and findings it holds."""

    day: date
    register: Span
    findings: Span


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A file of the root as a pack has it, by its name there, which it has in the tree too."""

    name: str
    sha256: str


def unpack(proof: Path, texts: Path, folder: Path) -> About:
    """Write every file of a pack into a folder's `TREE`; `unpacked` lists them.

    Raises TamperedError where the two archives do not hold what the manifest says.
    """
    tree = folder / TREE
    tree.mkdir(mode=durable.FOLDER_MODE)
    with (
        proof.open("rb", buffering=_BUFFER) as chain_file,
        texts.open("rb", buffering=_BUFFER) as texts_file,
        durable.new_file(folder / _FOUND) as found,
        _Threads(tree, found) as threads,
    ):
        reader = _Reader(chain_file, texts_file, folder / MANIFEST)
        for name, pieces in reader.files():
            threads.write(name, pieces)
        threads.wait()
        found.seek(0)
        return _compare(folder / MANIFEST, found, proof)


def unpacked(folder: Path) -> Iterator[Unpacked]:
    """What `unpack` wrote into a folder."""
    with (folder / _FOUND).open("rb") as found:
        for line in found:
            said = orjson.loads(line)
            yield Unpacked(said["path"], said["sha256"])


class _Threads:
    """Small files are hashed and made by a few threads, since each waits for the disk; a large one as it is read.

    `found` gets a line of each file, in the order in which they came.
    """

    def __init__(self, tree: Path, found: BinaryIO) -> None:
        self._tree = str(tree)
        self._found = found
        self._pool = ThreadPoolExecutor(_WRITERS)
        self._batch: list[tuple[str, list[bytes]]] = []
        self._begun: deque[Future[list[bytes]]] = deque()

    def __enter__(self) -> "_Threads":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def write(self, name: str, pieces: Iterator[bytes]) -> None:
        """A file that is there once `wait` returned. Raises what an earlier file met."""
        beginning = list(_up_to(pieces, _SMALL))
        if sum(map(len, beginning)) > _SMALL:
            self.wait()
            hashed = _Hashed(chain(beginning, pieces))
            _write(Path(self._tree, name), hashed)
            self._found.write(manifest_line(name, hashed.size, hashed.sha256.hexdigest()))
        else:
            self._batch.append((name, beginning))
            if len(self._batch) == _TOGETHER:
                self._begin()

    def _begin(self) -> None:
        self._begun.append(self._pool.submit(self._make, self._batch))
        self._batch = []
        while len(self._begun) > _MOST_BEGUN:
            self._found.writelines(self._begun.popleft().result())

    def _make(self, files: list[tuple[str, list[bytes]]]) -> list[bytes]:
        """The files, and the line of each."""
        lines = []
        for name, pieces in files:
            content = b"".join(pieces)
            _make_small(f"{self._tree}/{name}", content)
            lines.append(manifest_line(name, len(content), durable.digest_of(content)))
        return lines

    def wait(self) -> None:
        """Every file is written."""
        self._begin()
        while self._begun:
            self._found.writelines(self._begun.popleft().result())


def _up_to(pieces: Iterator[bytes], size: int) -> Iterator[bytes]:
    """All pieces, or as many as are more than a size."""
    for piece in pieces:
        yield piece
        size -= len(piece)
        if size < 0:
            return


class _Hashed:
    """Pieces that are counted and hashed as they pass."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self.sha256 = hashlib.sha256()
        self.size = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self.sha256.update(piece)
            self.size += len(piece)
            yield piece


class _Reader:
    """Both archives, read side by side."""

    def __init__(self, chain: BinaryIO, texts: BinaryIO, manifest: Path) -> None:
        self._chain = members(chain)
        self._texts = members(texts)
        self._next = next(self._texts, None)
        self._manifest = manifest

    def files(self) -> Iterator[tuple[str, Iterator[bytes]]]:
        """Every file of the root by its name. Raises TamperedError for one that no root has."""
        for name, pieces in self._all():
            if name.split("/")[0] not in _OURS:
                raise TamperedError(f"the pack holds {name!r}, which no evidence root has (SEV-1)")
            yield name, pieces

    def _all(self) -> Iterator[tuple[str, Iterator[bytes]]]:
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
            joined = join(_lines(events), _lines(self._next))
            if events.size + self._next.size <= _SMALL:
                yield b"".join(joined)
            else:
                yield from joined
        else:
            yield from events.pieces()
            return
        self._go_on()

    def _go_on(self) -> None:
        self._next = next(self._texts, None)


def _lines(member: Member) -> Iterable[bytes]:
    return io.BytesIO(member.read()) if member.size <= _SMALL else _lines_of(member)


def _lines_of(member: Member) -> Iterator[bytes]:
    rest = b""
    for piece in member.pieces():
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            yield line + b"\n"
    if rest:
        yield rest


def _make_small(path: str, content: bytes) -> None:
    """`_write` in as few calls as there can be: strings for paths, no buffer, and a log's own folder before it."""
    if path.endswith(_LOG):
        make_folder(Path(path[: -len(_LOG)]))
    try:
        handle = os.open(path, _NEW, durable.FILE_MODE)
    except FileNotFoundError:
        make_folder(Path(path).parent)
        handle = os.open(path, _NEW, durable.FILE_MODE)
    try:
        durable.write_all(handle, content)
    finally:
        os.close(handle)


def _write(path: Path, pieces: Iterable[bytes]) -> None:
    """A new private file in private folders, which is on disk when the file system is synced."""
    try:
        file = durable.new_file(path)
    except FileNotFoundError:
        make_folder(path.parent)
        file = durable.new_file(path)
    with file:
        file.writelines(pieces)


def make_folder(folder: Path) -> None:
    """A private folder with its parents, which is on disk when the file system is synced."""
    try:
        folder.mkdir(mode=durable.FOLDER_MODE)
    except FileNotFoundError:
        make_folder(folder.parent)
        make_folder(folder)
    except FileExistsError:
        pass


def _compare(manifest: Path, found: BinaryIO, where: Path) -> About:
    """Every file of the manifest is there with its bytes, and no other one."""
    try:
        with manifest.open("rb") as said:
            first = orjson.loads(said.readline())
            if first["format"] != FORMAT:
                raise ValueError(f"the format {first['format']!r} is not known")
            for line in said:
                if _FAULT not in line:
                    expected = line
                elif "sha256" in (said_of := orjson.loads(line)):
                    expected = _without_fault(said_of)
                else:
                    continue
                if expected != found.readline():
                    raise ValueError(f"{orjson.loads(line)['path']} is not what the manifest says")
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
