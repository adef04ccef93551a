"""A retention store in a folder: read-only files that are never written over.

The immutable flag of the file system keeps everybody but a capable root away from them; where it cannot be set, `stat`
says READ_ONLY, and whoever owns the folder can remove them. Beside each object `NAME.lock` says until when, and
`NAME.hold` that it is on legal hold. A file `.retention-store` marks the folder as a store, so that the empty folder
under a disk that is not mounted is not taken for a store that lost everything.
"""

import fcntl
import os
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from countersign.clocks.instant import parse_instant, stamp
from countersign.environment import Clock
from countersign.errors import StoreError
from countersign.evidence import durable
from countersign.retention.store import Stat

IMMUTABLE, READ_ONLY, WRITABLE = "IMMUTABLE", "READ_ONLY", "WRITABLE"
_GET_FLAGS, _SET_FLAGS, _IMMUTABLE_FLAG = 0x80086601, 0x40086602, 0x10  # linux/fs.h: FS_IOC_*FLAGS, FS_IMMUTABLE_FL
_PIECE = 1 << 20
_THE_VERSION = "1"
_MARK = ".retention-store"


class LocalStore:
    """A folder, which the first `put` makes a store."""

    modes = (IMMUTABLE, READ_ONLY)

    def __init__(self, folder: Path, *, clock: Clock) -> None:
        self._folder = folder.absolute()
        self._clock = clock
        self.name = f"local:{self._folder}"

    def put(self, key: str, content: Path, digest: str, until: datetime) -> str:
        """Keep a copy. The lock's file comes first: an object is never there without it."""
        path = self._folder / key
        with self._saying(f"{key} was not kept"):
            durable.make_folder(path.parent)
            with suppress(FileExistsError):
                durable.create_file(self._folder / _MARK, b"")
            if path.exists():
                if durable.digest_of_file(path) != digest:
                    raise StoreError(f"{path}: other content is kept under this key (SEV-1)")
                until = max(until, _until(path) or until)
            _set_immutable(_lock(path), on=False)
            durable.replace_file(_lock(path), stamp(until).encode())
            if not path.exists():
                _copy(content, path)
            for each in (path, _lock(path)):
                if not _is_immutable(each):
                    each.chmod(0o400)
                    _set_immutable(each, on=True)
            durable.sync_folder(path.parent)
        return _THE_VERSION

    def read(self, key: str, version: str) -> Iterator[bytes]:
        with self._saying(f"{key} cannot be read"), (self._folder / key).open("rb") as file:
            while piece := file.read(_PIECE):
                yield piece

    def stat(self, key: str, version: str) -> Stat | None:
        path = self._folder / key
        with self._saying(f"{key} cannot be looked at"):
            self._require_mark()
            try:
                status = path.lstat()
            except FileNotFoundError:
                return None
            mode = READ_ONLY if status.st_mode & 0o222 == 0 else WRITABLE
            if _is_immutable(path) and _is_immutable(_lock(path)):
                mode = IMMUTABLE
            return Stat(status.st_size, mode, _until(path), _hold(path).exists())

    def hold(self, key: str, version: str, *, on: bool) -> None:
        path = self._folder / key
        with self._saying(f"the hold of {key} was not changed"):
            if on:
                _hold(path).touch(mode=durable.FILE_MODE)
            else:
                _hold(path).unlink(missing_ok=True)
            durable.sync_folder(path.parent)

    def remove(self, key: str, version: str) -> None:
        stat = self.stat(key, version)
        if stat is None:
            return
        if stat.held or stat.until is None or self._clock() < stat.until:
            raise StoreError(f"{self.name}: {key} is on hold, or kept until {stat.until}")
        path = self._folder / key
        with self._saying(f"{key} was not removed"):
            for each in (path, _lock(path)):
                _set_immutable(each, on=False)
                each.unlink()
            durable.sync_folder(path.parent)

    def find(self, prefix: str) -> list[tuple[str, str]]:
        with self._saying("the folder cannot be listed"):
            self._require_mark()
            paths = (path for path in self._folder.rglob("*") if path.is_file() and not path.name.startswith("."))
            keys = (path.relative_to(self._folder).as_posix() for path in paths)
            return sorted(
                (key, _THE_VERSION)
                for key in keys
                if key.startswith(prefix) and Path(key).suffix not in (".lock", ".hold")
            )

    def _require_mark(self) -> None:
        if not (self._folder / _MARK).is_file():
            raise StoreError(f"{self.name}: has no {_MARK}; is its disk mounted? Where only this file is lost, make it")

    @contextmanager
    def _saying(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(f"{self.name}: {what}: {error.strerror}; nothing was lost, try again") from error


def _lock(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")


def _hold(path: Path) -> Path:
    return path.with_name(f"{path.name}.hold")


def _until(path: Path) -> datetime | None:
    try:
        return parse_instant(_lock(path).read_text("ascii"))
    except (FileNotFoundError, ValueError):
        return None


def _copy(content: Path, path: Path) -> None:
    """Whole or not at all, and never over another."""
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with content.open("rb") as source:
            while piece := source.read(_PIECE):
                durable.write_all(handle, piece)
        os.fsync(handle)
        path.hardlink_to(temporary)
    finally:
        os.close(handle)
        Path(temporary).unlink()


def _is_immutable(path: Path) -> bool:
    with suppress(OSError), path.open("rb") as file:
        return bool(_flags(file.fileno()) & _IMMUTABLE_FLAG)
    return False


def _set_immutable(path: Path, *, on: bool) -> None:
    """Set or clear the flag where file system and rights allow; `stat` says what came of it."""
    with suppress(OSError), path.open("rb") as file:
        flags = _flags(file.fileno())
        wanted = flags | _IMMUTABLE_FLAG if on else flags & ~_IMMUTABLE_FLAG
        fcntl.ioctl(file.fileno(), _SET_FLAGS, struct.pack("l", wanted))


def _flags(handle: int) -> int:
    return int(struct.unpack("l", fcntl.ioctl(handle, _GET_FLAGS, struct.pack("l", 0)))[0])
