"""Reading a pack: the files of a day as they were in the evidence root, held against the pack's manifest.

What belongs here: joining the halves, in memory that does not grow with the day. What does not: where files go
(`restore`).
"""

import hashlib
import io
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
    """A file of the root as a pack has it: `at` holds its bytes."""

    name: str
    sha256: str
    at: Path


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
        _Threads() as threads,
    ):
        reader = _Reader(chain_file, texts_file, folder / MANIFEST)
        for name, pieces in reader.files():
            size, digest = threads.write(tree / name, pieces)
            found.write(manifest_line(name, size, digest))
        threads.wait()
        found.seek(0)
        return _compare(folder / MANIFEST, found, proof)


def unpacked(folder: Path) -> Iterator[Unpacked]:
    """What `unpack` wrote into a folder."""
    with (folder / _FOUND).open("rb") as found:
        for line in found:
            said = orjson.loads(line)
            yield Unpacked(said["path"], said["sha256"], folder / TREE / said["path"])


class _Threads:
    """Small files are made by a few threads, since each waits for the disk; a large one is written as it is read."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_WRITERS)
        self._batch: list[tuple[Path, list[bytes]]] = []
        self._begun: deque[Future[None]] = deque()

    def __enter__(self) -> "_Threads":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def write(self, path: Path, pieces: Iterator[bytes]) -> tuple[int, str]:
        """Size and SHA-256 of a file that is there once `wait` returned. Raises what an earlier file met."""
        hashed = _Hashed(pieces)
        beginning = list(hashed.up_to(_SMALL))
        if hashed.size > _SMALL:
            _write(path, chain(beginning, hashed))
        else:
            self._batch.append((path, beginning))
            if len(self._batch) == _TOGETHER:
                self._begin()
        return hashed.size, hashed.sha256.hexdigest()

    def _begin(self) -> None:
        self._begun.append(self._pool.submit(_write_all, self._batch))
        self._batch = []
        while len(self._begun) > _MOST_BEGUN:
            self._begun.popleft().result()

    def wait(self) -> None:
        """Every file is written."""
        self._begin()
        while self._begun:
            self._begun.popleft().result()


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

    def up_to(self, size: int) -> Iterator[bytes]:
        """All pieces, or as many as are more than a size."""
        for piece in self:
            yield piece
            if self.size > size:
                return


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


def _write_all(files: list[tuple[Path, list[bytes]]]) -> None:
    for path, pieces in files:
        _write(path, pieces)


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
