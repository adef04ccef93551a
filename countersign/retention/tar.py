"""A tar file that has the same bytes whoever writes it: no owner, no time, one mode, no compression.

POSIX.1-1988 (ustar), which every `tar` reads. `tarfile` writes the same and takes five times as long over ten thousand
small files. What does not belong here: which files.
"""

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from countersign.errors import EvidenceError

BLOCK = 512
_PIECE = 1 << 20
_LONGEST_NAME = 100
_LARGEST_FILE = (8 << 30) - 1
_LAYOUT = struct.Struct("100s8s8s8s12s12s8s1s100s6s2s32s32s8s8s155s12x")
_UNSUMMED = b" " * 8


class TarWriter:
    """Appends files to an open file, and knows the SHA-256 of all that it wrote."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._sha256 = hashlib.sha256()
        self.size = 0

    def add(self, name: str, content: bytes) -> None:
        """A file with this content."""
        self._write(header(name, len(content)) + content + bytes(-len(content) % BLOCK))

    def add_file(self, name: str, source: BinaryIO, size: int) -> str:
        """The next `size` bytes of an open file; returns their SHA-256. Raises EvidenceError where it ends before."""
        self._write(header(name, size))
        sha256 = hashlib.sha256()
        left = size
        while left:
            piece = source.read(min(_PIECE, left))
            if not piece:
                raise EvidenceError(f"{name}: became shorter while it was read; try again")
            sha256.update(piece)
            self._write(piece)
            left -= len(piece)
        self._write(bytes(-size % BLOCK))
        return sha256.hexdigest()

    def close(self) -> str:
        """Write the end of the archive; returns the SHA-256 of the whole file."""
        self._write(bytes(2 * BLOCK))
        return self._sha256.hexdigest()

    def _write(self, content: bytes) -> None:
        self._file.write(content)
        self._sha256.update(content)
        self.size += len(content)


def header(name: str, size: int) -> bytes:
    """The block before a file."""
    encoded = name.encode("ascii")
    if len(encoded) > _LONGEST_NAME or size > _LARGEST_FILE:
        raise EvidenceError(
            f"{name}: {size} bytes; a pack holds names up to {_LONGEST_NAME} bytes and files below 8 GiB"
        )
    number, nothing = b"%011o\0" % size, b"0000000\0"
    fields = (encoded, b"0000400\0", nothing, nothing, number, b"00000000000\0", _UNSUMMED, b"0", b"")
    block = _LAYOUT.pack(*fields, b"ustar\0", b"00", b"", b"", nothing, nothing, b"")
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


@dataclass(slots=True)
class Member:
    """A file in an archive; its content is read before the next one is asked for, or is passed over."""

    name: str
    size: int
    _file: BinaryIO
    _left: int

    def read(self) -> bytes:
        """All of it."""
        return b"".join(self.pieces())

    def pieces(self) -> Iterator[bytes]:
        """All of it, in pieces."""
        while self._left:
            piece = self._file.read(min(_PIECE, self._left))
            if not piece:
                raise EvidenceError(f"{self.name}: the pack ends in the middle of it")
            self._left -= len(piece)
            yield piece

    def skip(self) -> None:
        """Go to the end of it, padding included."""
        for _ in self.pieces():
            pass
        self._file.read(-self.size % BLOCK)


def members(file: BinaryIO) -> Iterator[Member]:
    """The files of an archive that a `TarWriter` wrote, in order. Raises EvidenceError for any other archive."""
    while True:
        block = file.read(BLOCK)
        if block == bytes(BLOCK):
            return
        member = _member(block, file)
        yield member
        member.skip()


def _member(block: bytes, file: BinaryIO) -> Member:
    try:
        name = block[:_LONGEST_NAME].rstrip(b"\0").decode("ascii")
        size = int(block[124:135], 8)
        if header(name, size) != block:
            raise ValueError("another form")
    except ValueError as error:
        raise EvidenceError("the pack holds something that is no file of a pack, or ends before its end") from error
    if not all(part not in ("", ".", "..") for part in name.split("/")):
        raise EvidenceError(f"the pack holds the name {name!r}, which leads out of it")
    return Member(name, size, file, size)
