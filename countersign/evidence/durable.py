"""Files that are there after a power cut. What belongs here: the few ways in which this product creates a file.

Nothing here retries: after a failed fsync the kernel may have dropped the pages (invariant 10), so every error
leaves through the caller as it is.
"""

import ctypes
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from countersign.errors import EvidenceError
from countersign.evidence.plain import open_handle, open_plain, read_plain

FILE_MODE = 0o600
FOLDER_MODE = 0o700


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_file_system(folder: Path) -> None:
    """Make everything on a folder's file system durable: one call for ten thousand files.

    Linux says since 5.8 whether it could (syncfs); without such a call, the kernel is asked to write all it has.
    """
    syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if syncfs is None:
        os.sync()
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if syncfs(handle):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(folder))
    finally:
        os.close(handle)


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Nobody else who asks for this lock file, in an existing folder, goes on meanwhile.

    Raises EvidenceError where something else than a file lies under its name.
    """
    try:
        handle = open_handle(lock, os.O_RDWR | os.O_CREAT, FILE_MODE)
    except OSError as error:
        raise EvidenceError(f"{lock}: cannot be locked: {error.strerror}") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def make_folder(folder: Path) -> None:
    """Create a folder and its missing parents, private and durable; one that exists is left as it is."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for path in reversed(missing):
        try:
            path.mkdir(mode=FOLDER_MODE)
        except FileExistsError:
            continue
        sync_folder(path.parent)


def write_all(handle: int, content: bytes) -> None:
    """Write every byte; a short write goes on where it stopped."""
    view = memoryview(content)
    while view:
        view = view[os.write(handle, view) :]


def new_file(path: Path) -> BinaryIO:
    """A new private file, open for writing and reading; it is on disk when its file system is synced."""
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, FILE_MODE), "w+b")


def replace_file(path: Path, content: bytes) -> None:
    """Put whole new content under a name: readers see the old file or the new one, never a part."""
    # a name of its own, mode 0600: threads, and pods that share a volume and a process id, never meet in it
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        write_all(handle, content)
        os.fsync(handle)
    finally:
        os.close(handle)
    publish(Path(temporary), path)


def publish(temporary: Path, path: Path) -> None:
    """Give a finished and synced temporary file its name, durably."""
    temporary.replace(path)
    sync_folder(path.parent)


def create_file(path: Path, content: bytes) -> None:
    """Put content under a name that nothing has yet, whole or not at all. Raises FileExistsError."""
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        write_all(handle, content)
        os.fsync(handle)
        path.hardlink_to(temporary)  # unlike a rename, it never replaces
    finally:
        os.close(handle)
        Path(temporary).unlink()
    sync_folder(path.parent)


def digest_of(content: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def digest_of_file(path: Path) -> str:
    """SHA-256 of a plain file's content, of any size, in hexadecimal. Raises EvidenceError where there is none."""
    with open_plain(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_file(path: Path) -> None:
    """Make the content of a finished file durable."""
    handle = os.open(path, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def keep_file(folder: Path, temporary: Path) -> str:
    """Move a finished file of any size under its own SHA-256 and return it; `folder` is on the same file system."""
    digest = digest_of_file(temporary)
    sync_file(temporary)
    temporary.chmod(FILE_MODE)
    publish(temporary, folder / digest)
    return digest


def keep_by_digest(folder: Path, content: bytes) -> str:
    """Keep bytes under their own SHA-256 and return it. The same again is harmless; other bytes there are an error."""
    digest = digest_of(content)
    path = folder / digest
    if path.exists():
        if digest_of(read_plain(path)) != digest:
            raise EvidenceError(f"{path}: the content is not what its name says; restore it from the retention store")
        sync_folder(folder)  # whoever put it there may not have come so far
        return digest
    make_folder(folder)
    replace_file(path, content)
    return digest
