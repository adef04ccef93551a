"""Keeping finished days: pack, put, read back, and only then let the register say so.

Order of writes: pack in a scratch folder → both halves in the store → read back and compared → register line. A crash
between any two is repaired by the next pass, which packs the same bytes again and finds them there. Nothing local is
ever removed. What does not belong here: judging what is kept (`check`).
"""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from countersign.clocks.instant import local_day
from countersign.environment import Clock, Entropy, random_bytes
from countersign.errors import BusyError, CountersignError, StoreError
from countersign.evidence import durable
from countersign.evidence.chain import ChainFile
from countersign.evidence.register import Register
from countersign.evidence.root import EvidenceRoot
from countersign.retention.days import FinishedDay, Reach, Span, finished_days
from countersign.retention.ledger import HALVES, KeptDay, Ledger, StoredObject, read_ledger
from countersign.retention.pack import Packed, pack
from countersign.retention.store import RetentionStore
from countersign.runs.versions import Versions

_SCRATCH = ".retaining-"


@dataclass(frozen=True, slots=True)
class NotKept:
    """A finished day that is not in the store yet, and why; the next pass tries again."""

    day: date
    why: str


class Archive:
    """The finished days of an evidence root, and what the register says of their copies.

    `versions` is the configuration in force.
    """

    def __init__(
        self, root: EvidenceRoot, versions: Versions, *, clock: Clock, entropy: Entropy = random_bytes
    ) -> None:
        self.root = root.existing()
        self.versions = versions
        self.policy = versions.policy
        self.clock = clock
        self.entropy = entropy
        self.register = Register(root, clock=clock, entropy=entropy)

    @property
    def today(self) -> date:
        """The day that is not over yet, in the policy's zone."""
        return local_day(self.clock(), self.policy.zone)

    def ledger(self) -> Ledger:
        """What the register says of the store."""
        return read_ledger(self.root.register)

    def days(self, ledger: Ledger) -> Iterator[FinishedDay]:
        """Every finished day, ascending, those that are kept as they were kept."""
        known: dict[date, tuple[Span, Span]] = {
            day: (kept.register, kept.findings) for day, kept in ledger.days.items()
        }
        findings = ChainFile(self.root.findings, blobs=self.root.blobs, clock=self.clock, entropy=self.entropy)
        reach = Reach(_whole(self.register), _whole(findings) if self.root.findings.exists() else 0)
        return finished_days(self.root, self.policy.zone, self.today, reach, known)


def keep(archive: Archive, store: RetentionStore) -> Iterator[KeptDay | NotKept]:
    """Keep every finished day that is not in the store. What one day lacks does not stop the others.

    Raises BusyError while another pass is at work, StoreError where the store cannot be reached at all.
    """
    with alone(archive.root.path):
        ledger = archive.ledger()
        _require_mounted(store, ledger)
        for finished in archive.days(ledger):
            if finished.day not in ledger.days:
                try:
                    yield _keep_day(archive, store, finished)
                except OSError as error:
                    yield NotKept(finished.day, f"{error.filename or archive.root.path}: {error.strerror}")
                except CountersignError as error:
                    yield NotKept(finished.day, str(error))


def _require_mounted(store: RetentionStore, ledger: Ledger) -> None:
    """Ask for a day that is kept there, before anything is put: a disk that is not mounted is no new store."""
    here = [kept for kept in ledger.standing() if kept.store == store.name]
    for stored in here[-1].objects.values() if here else ():
        store.stat(stored.key, stored.version)


def _keep_day(archive: Archive, store: RetentionStore, finished: FinishedDay) -> KeptDay:
    until = archive.policy.retention.until(finished.day, archive.policy.zone)
    with scratch_in(archive.root.path) as scratch:
        packed = pack(archive.root, finished, scratch)
        halves = zip(HALVES, (packed.chain, packed.texts), strict=True)
        objects = {half: _put(store, finished.day, half, archived, until) for half, archived in halves}
    kept = KeptDay(
        finished.day,
        store.name,
        until,
        finished.register,
        finished.findings,
        packed.runs,
        len(packed.faults),
        objects,
    )
    archive.register.append_many([kept.draft()])
    return kept


def _put(store: RetentionStore, day: date, half: str, packed: Packed, until: datetime) -> StoredObject:
    """Put one half and believe only what comes back. Raises StoreError."""
    key = f"days/{day.isoformat()}/{half}-{packed.sha256}.tar"
    version = store.put(key, packed.path, packed.sha256, until)
    stat = store.stat(key, version)
    if stat is None or stat.over is not None:
        raise StoreError(f"{store.name}: {key} was put and is not there; nothing local was removed")
    if stat.mode not in store.modes:
        raise StoreError(f"{store.name}: {key} was put and is not locked (its mode is {stat.mode})")
    if stat.until is None or stat.until < until:
        raise StoreError(f"{store.name}: {key} is locked until {stat.until}, not until {until}")
    if stat.size != packed.bytes or digest_in(store, key, version) != packed.sha256:
        raise StoreError(f"{store.name}: {key} comes back with other bytes than were put")
    return StoredObject(key, version, packed.sha256, packed.bytes, stat.mode)


def digest_in(store: RetentionStore, key: str, version: str) -> str:
    """The SHA-256 of what a store gives back."""
    sha256 = hashlib.sha256()
    for piece in store.read(key, version):
        sha256.update(piece)
    return sha256.hexdigest()


def _whole(chain: ChainFile) -> int:
    """The size of a file that goes on, its torn tail healed first: what is packed ends where a line ends."""
    tail = chain.tail()
    if not tail.whole:
        with chain.writing() as writer:
            tail = writer.tail
    return tail.size


@contextmanager
def scratch_in(folder: Path) -> Iterator[Path]:
    """A private folder on the same file system, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=folder) as scratch:
        yield Path(scratch)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """One pass at a time; the scratch folder of one that died is removed. Raises BusyError."""
    handle = os.open(folder / ".retention.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, durable.FILE_MODE)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise BusyError(f"{folder}: another process is keeping, restoring or holding; try again") from error
    try:
        for left in folder.glob(f"{_SCRATCH}*"):
            shutil.rmtree(left)
        yield
    finally:
        os.close(handle)
