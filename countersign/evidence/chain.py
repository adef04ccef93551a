"""A chained file: many readers, one writer, and nothing acknowledged that is not on disk.

What belongs here: locks, appends, recovery of a torn tail. What does not: what any event means, and any other file.
"""

import fcntl
import hashlib
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

from countersign.clocks.instant import parse_instant
from countersign.environment import Clock, Entropy, random_bytes, utc_now
from countersign.errors import BusyError, EvidenceError, TamperedError
from countersign.evidence import durable
from countersign.evidence.lines import (
    MAX_LINE,
    ZERO,
    Damage,
    Draft,
    Encoded,
    Entry,
    Scan,
    encode,
    parse_line,
    well_formed,
)
from countersign.evidence.plain import open_handle, open_plain, read_plain

_BLOCK = 64 << 10
_EVENT = b'{"prev":"'


@dataclass(frozen=True, slots=True)
class Tail:
    """The end of a chained file: SHA-256, number and instant of its last event, size in bytes.

    `whole` is False where the end is not that of a finished write, so that only a full scan can tell what it is.
    """

    head: str
    seq: int
    size: int
    whole: bool = True
    ts: str = ""


class ChainFile:
    """An append-only file of chained lines.

    `blobs` is the folder of texts over 64 KiB. A reader holds the shared lock, since an unlocked one would see the
    middle of a write as a torn tail.
    """

    erasable = False

    def __init__(
        self, path: Path, *, blobs: Path | None = None, clock: Clock = utc_now, entropy: Entropy = random_bytes
    ) -> None:
        self.path = path
        self.blobs = blobs
        self._clock = clock
        self._entropy = entropy

    def resolve(self, digest: str) -> bytes | None:
        """The line of a text kept among the blobs, or None."""
        try:
            return read_plain(self.blobs / digest) if self.blobs else None
        except EvidenceError:
            return None

    @contextmanager
    def reading(self) -> Iterator[BinaryIO]:
        """The file under the shared lock. Raises EvidenceError where there is none."""
        with open_lines(self.path) as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            yield file

    def records(self) -> Iterator[Entry]:
        """Every event from the first. Raises TamperedError at the first fault, EvidenceError for an unreadable file."""
        with self.reading() as file:
            scan = self.scan(file)
            for entry in scan:
                self.require_erased(entry)
                yield entry
        raise_for(self.path, scan)

    @property
    def head(self) -> str:
        """SHA-256 of the last event line; 64 zeros for an empty file."""
        return self.tail().head

    def tail(self) -> Tail:
        """The file's end, its last event and size seen under one lock. Raises TamperedError."""
        with self.reading() as file:
            tail = read_tail(file)
            if tail.whole:
                return tail
            file.seek(0)
            scan = self.scan(file)
            scan.judge()
            raise_for(self.path, scan)
            return Tail(scan.head, scan.seq, tail.size, whole=False, ts=scan.ts)

    def now(self) -> datetime:
        """The clock's instant, or the next one after the last event's: in a chain time never goes back."""
        last = self.tail().ts
        return max(self._clock(), parse_instant(last) + timedelta(microseconds=1)) if last else self._clock()

    def append(self, event: str, actor: str, /, **data: Any) -> str:
        """Append one event durably and return the new head."""
        return self.append_many([Draft(event, actor, data)])

    def append_many(self, drafts: Sequence[Draft], at: datetime | None = None) -> str:
        """Append events with one durable write and return the new head; `at` as in `Writer.stage`."""
        with self.writing() as writer:
            return writer.append(drafts, at)

    @contextmanager
    def writing(self, *, blocking: bool = True) -> Iterator["Writer"]:
        """The only writer. Raises BusyError when not blocking and another one is at work.

        A torn tail is healed before the writer is handed out, unless `_guard` objects.
        """
        with os.fdopen(self._open(), "r+b", buffering=0) as file:
            _require_lines(file, self.path)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if blocking else fcntl.LOCK_NB))
            except BlockingIOError as error:
                raise BusyError(f"{self.path}: another process is writing; try again") from error
            writer = Writer(self, file, self._clock, self._entropy)
            if not writer.tail.whole:
                self._recover(writer)
            yield writer

    def create(self) -> None:
        """An empty file where there is none, not durable before the first write."""
        os.close(self._open())

    def _open(self) -> int:
        try:
            return open_handle(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, durable.FILE_MODE)
        except OSError as error:
            raise EvidenceError(f"{self.path}: cannot be written: {error.strerror}") from error

    def scan(self, lines: Iterable[bytes]) -> Scan:
        """A pass over lines of this file."""
        return Scan(lines, self.resolve, erasable=self.erasable)

    def require_erased(self, entry: Entry) -> None:
        """Raise where a text of an event was taken out and nothing says that it was allowed."""

    def _guard(self, heads: set[str]) -> None:
        """Raise where something else vouches for a head that is not among these: then the tail was acknowledged."""

    def hold(self, reason: str) -> None:
        """Tell whoever vouches for this file that nobody may go on with it."""

    def _recover(self, writer: "Writer") -> None:
        """Never cut, never glue to: a newline, then a `recovered` event that carries the damaged lines' SHA-256."""
        content = writer.read()
        ended = content.endswith(b"\n")
        scan = self.scan(io.BytesIO(content if ended else content + b"\n"))
        entries = list(scan)
        if scan.fault is not None and (ended or not scan.damage or not _only_recoveries(content, scan)):
            raise_for(self.path, scan)
        self._guard({ZERO, *(entry.head for entry in entries if entry is not scan.incomplete)})
        voids = [scan.incomplete.seq] if scan.incomplete else []
        draft = Draft("recovered", "countersign", {"damaged": scan.damage, "voids": voids})
        line = encode(
            draft, prev=scan.head, seq=scan.seq + 1, at=self._clock(), entropy=self._entropy, not_before=scan.ts
        )
        writer.heal((b"" if ended else b"\n") + line.content)


class Writer:
    """The holder of the exclusive lock."""

    def __init__(self, chain: ChainFile, file: BinaryIO, clock: Clock, entropy: Entropy) -> None:
        self._chain = chain
        self._file = file
        self._clock = clock
        self._entropy = entropy
        self._staged: list[Encoded] = []
        self._settle()

    def _settle(self) -> None:
        self.tail = read_tail(self._file)
        self._head, self._seq, self._ts = self.tail.head, self.tail.seq, self.tail.ts

    def read(self, start: int = 0) -> bytes:
        """The file from an offset in bytes."""
        self._file.seek(start)
        return self._file.read()

    def entries(self) -> list[Entry]:
        """Every event so far, judged. Raises TamperedError."""
        scan = self._chain.scan(io.BytesIO(self.read()))
        entries = list(scan)
        raise_for(self._chain.path, scan)
        for entry in entries:
            self._chain.require_erased(entry)
        return entries

    def _stage(self, draft: Draft, at: datetime | None = None) -> Encoded:
        line = encode(
            draft,
            prev=self._head,
            seq=self._seq + 1,
            at=at or self._clock(),
            entropy=self._entropy,
            not_before=self._ts,
        )
        if line.blobs and self._chain.blobs is None:
            raise EvidenceError(f"{self._chain.path}: a text over the inline limit needs a blob folder")
        self._staged.append(line)
        self._head, self._seq, self._ts = line.head, self._seq + 1, line.ts
        return line

    def stage(self, draft: Draft, at: datetime | None = None) -> Entry:
        """Chain one event to what is there and staged so far, without writing it; returns it as it will be read.

        `at` is the instant of what it says, where that was decided for one; else the event is of now.
        """
        line = self._stage(draft, at)
        data, texts = dict(draft.data), dict(draft.texts)
        return Entry(0, line.head, self._seq, line.ts, draft.event, draft.actor, data, texts)

    def commit(self) -> str:
        """One durable write of everything staged: blobs first, then the lines; returns the new head."""
        staged, self._staged = self._staged, []
        for blob in (blob for line in staged for blob in line.blobs):
            assert self._chain.blobs is not None
            durable.keep_by_digest(self._chain.blobs, blob)
        if staged:
            content = b"".join(line.content for line in staged)
            self._write(content)
            self.tail = Tail(self._head, self._seq, self.tail.size + len(content), ts=self._ts)
        return self._head

    def append(self, drafts: Sequence[Draft], at: datetime | None = None) -> str:
        """Stage and commit; `at` as in `stage`."""
        for draft in drafts:
            self._stage(draft, at)
        return self.commit()

    def heal(self, content: bytes) -> None:
        """Bytes that make a torn file whole again."""
        self._write(content)
        self._settle()

    def _write(self, content: bytes) -> None:
        """Bytes at the end of the file and on disk, a new file's name first."""
        if self.tail.size == 0:
            with self._holding():
                durable.sync_folder(self._chain.path.parent)
        durable.write_all(self._file.fileno(), content)
        self.sync()

    def sync(self) -> None:
        """What stands in the file, on disk."""
        with self._holding():
            os.fsync(self._file.fileno())

    @contextmanager
    def _holding(self) -> Iterator[None]:
        """A failed fsync is never retried, by nobody: what the file seems to say may not be on disk."""
        try:
            yield
        except OSError as error:
            self._chain.hold(f"held: its log could not be made durable ({error}); see RUNBOOK.md")
            raise


def _only_recoveries(content: bytes, scan: Scan) -> bool:
    """Whether every damaged line after the first is a recovery of it that was itself torn."""
    begun = f'{{"prev":"{scan.head}","seq":{scan.seq + 1},"ts":"'.encode()
    later = io.BytesIO(content).readlines()[-scan.damaged_lines :][1:]
    return all(begun.startswith(line.rstrip(b"\n")[: len(begun)]) for line in later)


def raise_for(path: Path, scan: Scan) -> None:
    """Raise TamperedError when a finished scan found a fault."""
    if scan.fault is not None:
        fault = scan.fault
        raise TamperedError(f"{path}: line {fault.line}: {fault.kind}: expected {fault.detail}")


def open_lines(path: Path) -> BinaryIO:
    """A chained file, for reading line by line. Raises EvidenceError for what is none, or has a line without end."""
    file = open_plain(path)
    try:
        _require_lines(file, path)
    except EvidenceError:
        file.close()
        raise
    return file


def _require_lines(file: BinaryIO, path: Path) -> None:
    """Raise EvidenceError for a line longer than any of ours: a file of a terabyte may take no room on a disk.

    It looks only where lines end before the limit, a block in 16 MiB, so whoever reads the lines need not count bytes.
    """
    handle, start = file.fileno(), 0
    size = os.fstat(handle).st_size
    while size - start > MAX_LINE:
        places = range(start + MAX_LINE - _BLOCK, start - 1, -_BLOCK)
        ends = (at + os.pread(handle, _BLOCK, at).rfind(b"\n") + 1 for at in places)
        after = next((end for end, at in zip(ends, places, strict=True) if end > at), None)
        if after is None:
            raise EvidenceError(f"{path}: cannot be read: from byte {start} on, a line of more than {MAX_LINE} bytes")
        start = after


def read_tail(file: BinaryIO, end: int | None = None) -> Tail:
    """The last event of a file, found from its end, or from where it once ended."""
    length = file.seek(0, os.SEEK_END)
    size = length if end is None else end
    if size > length:
        return Tail(ZERO, -1, length, whole=False)
    lines = _last_written(file, size)
    if not lines:
        return Tail(ZERO, -1, 0)
    event = parse_line(lines[0])
    if event is None or not well_formed(event):
        return Tail(ZERO, -1, size, whole=False)
    texts = [hashlib.sha256(line).hexdigest() for line in lines[1:]]
    if texts != list(event.get("texts", {}).values()):
        return Tail(ZERO, -1, size, whole=False)
    return Tail(hashlib.sha256(lines[0]).hexdigest(), event["seq"], size, ts=event["ts"])


class Reading:
    """Reads those lines of a chained file that matter to somebody, past what torn writes left of such.

    Whoever looks for lines by their beginning meets half of one, too. At the end of a file it waits for its recovery.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._torn: Damage | None = None

    def read(self, line: bytes, *, at: int, matters: bool) -> dict[str, Any] | None:
        """What a line says that matters; None for any other one and for what a `recovered` event is over.

        `at` is where it stands, for the error. Raises TamperedError for one that cannot be read and was not recovered.
        """
        if not matters and self._torn is None:
            return None
        said = parse_line(line)
        if said is None:
            self._torn = self._torn or Damage(at)
            self._torn.take(line)
            return None
        if self._torn is not None and not self._torn.healed_by(said):
            raise TamperedError(f"{self._path}: what stands at {self._torn.line} is not of its form (SEV-1)")
        self._torn = None
        return said if matters else None


def is_torn(file: BinaryIO) -> bool:
    """Whether a file ends amid a write: in a line without its end, or before all texts of its last event."""
    lines = _last_written(file, file.seek(0, os.SEEK_END))
    if not lines or not lines[-1].endswith(b"\n"):
        return bool(lines)
    event = parse_line(lines[0])
    return event is not None and well_formed(event) and len(lines) - 1 < len(event.get("texts", {}))


def _last_written(file: BinaryIO, size: int) -> list[bytes]:
    """The lines of a file of this size from the one on that begins its last event, found from the end."""
    span, start, at, block = _BLOCK, size, -1, b""
    while at < 0 and start > 0:
        start = max(0, size - span)
        file.seek(start)
        block = file.read(size - start)
        at = block.rfind(b"\n" + _EVENT) + 1 or (0 if start == 0 else -1)
        span *= 8
    return io.BytesIO(block[max(at, 0) :]).readlines()
