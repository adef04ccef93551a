"""Opening what lies in an evidence root: plain files alone, whatever else somebody put under a name.

What belongs here: opening and reading. What does not: making files (`durable`). A link could lead anywhere, and whoever
opens a FIFO waits for somebody at its other end.
"""

import errno
import io
import os
import stat
from pathlib import Path

from countersign.errors import EvidenceError


def is_plain(path: Path) -> bool:
    """Whether a file lies there: no folder, no link to one, no FIFO, socket or device."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def open_handle(path: Path, flags: int, mode: int = 0) -> int:
    """A descriptor of a plain file, at once. Raises OSError for whatever else lies there."""
    handle = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, mode)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "it is no plain file", str(path))
    return handle


def open_plain(path: Path) -> io.BufferedReader:
    """A plain file, for reading. Raises EvidenceError where there is none, or it cannot be read."""
    try:
        return os.fdopen(open_handle(path, os.O_RDONLY), "rb")
    except OSError as error:
        raise EvidenceError(f"{path}: cannot be read: {error.strerror}") from error


def read_plain(path: Path) -> bytes:
    """The content of a plain file. Raises EvidenceError, also where it is larger than memory."""
    try:
        with open_plain(path) as file:
            return file.read()
    except (OSError, MemoryError) as error:
        raise EvidenceError(f"{path}: cannot be read: {error!r}") from error
