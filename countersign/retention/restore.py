"""Bringing a kept day back: into its evidence root, or into an empty folder.

What is missing is put in place, and nothing that is there is ever written over: where it differs, it is named and left
as the evidence that it is. What does not belong here: reading packs (`unpack`).
"""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from countersign.errors import EvidenceError, TamperedError
from countersign.evidence import durable
from countersign.evidence.lines import Draft
from countersign.evidence.root import FINDINGS, LOG, REGISTER
from countersign.retention.keep import Archive, alone, scratch_in
from countersign.retention.ledger import HALVES
from countersign.retention.store import RetentionStore
from countersign.retention.unpack import TREE, About, Unpacked, unpack, unpacked
from countersign.runs.account import read_account
from countersign.runs.approvals import ACTOR
from countersign.runs.erasure import take_out
from countersign.runs.published import Published
from countersign.runs.verification import RunFault, Verifier

_PIECE = 1 << 20


@dataclass(slots=True)
class Restored:
    """What came of a restoration. `differing` are files that are there and are not what was kept."""

    day: date
    placed: int = 0
    same: int = 0
    differing: list[str] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)


def restore(archive: Archive, store: RetentionStore, day: date) -> Restored:
    """Put back what the root has lost of a day, and let the register say so.

    Raises EvidenceError for a day that is not kept, TamperedError where the store gives other bytes than the register
    knows.
    """
    ledger = archive.ledger()
    kept = ledger.days.get(day)
    if kept is None or kept.purged:
        raise EvidenceError(f"{day}: is not in the store; `countersign retention status` lists what is")
    if kept.store != store.name:
        raise EvidenceError(f"{day}: is in {kept.store}; the policy names {store.name} (RUNBOOK.md, `other_store`)")
    with _saying(day), alone(archive.root.path), scratch_in(archive.root.path) as scratch:
        wanted = [(half, stored.key, stored.version, stored.sha256) for half, stored in kept.objects.items()]
        _fetch_all(store, wanted, scratch)
        restored = _place(scratch, archive.root.path, ledger.erased, into_root=True)
    data = {"day": day.isoformat(), "placed": restored.placed, "differing": restored.differing[:100]}
    archive.register.append_many([Draft("restored", ACTOR, data)])
    return restored


def restore_into(folder: Path, store: RetentionStore, day: date) -> Restored:
    """Put a day into a folder without asking any register: for whoever has lost it, and for auditors.

    Restored in order from the first, the days are a whole evidence root again. A day whose lines do not go on from what
    the folder has brings them as `register-DAY.jsonl`. Raises EvidenceError unless the store has one pack of the day.
    """
    found = {half: _only_pack(store, day, half) for half in HALVES}
    durable.make_folder(folder)
    with _saying(day), alone(folder), scratch_in(folder) as scratch:
        digests = {half: key.removesuffix(".tar")[-64:] for half, (key, _) in found.items()}
        _fetch_all(store, [(half, *found[half], digests[half]) for half in HALVES], scratch)
        return _place(scratch, folder, {}, into_root=False)


def verify_restored(archive: Archive, restored: Restored) -> list[RunFault]:
    """Everything that is wrong with the runs of a day that was restored into its root."""
    verifier = Verifier(archive.root.path)
    known = read_account(archive.register).runs
    published = {run_id: Published(archive.root, known[run_id].day) for run_id in restored.runs}
    return [fault for run_id in restored.runs for fault in verifier.verify_run(known[run_id], published[run_id])]


def _only_pack(store: RetentionStore, day: date, half: str) -> tuple[str, str]:
    found = store.find(f"days/{day.isoformat()}/{half}-")
    if len({key for key, _ in found}) != 1:
        raise EvidenceError(f"{store.name}: has {len(found)} packs of {day} ({half}); the register says which counts")
    return found[0]


def _fetch_all(store: RetentionStore, wanted: Iterable[tuple[str, str, str, str]], folder: Path) -> None:
    """Both halves at once: each with its name, key, version and SHA-256."""
    with ThreadPoolExecutor(len(HALVES)) as threads:
        begun = [
            threads.submit(_fetch, store, key, version, digest, folder / half) for half, key, version, digest in wanted
        ]
        for done in begun:
            done.result()


def _fetch(store: RetentionStore, key: str, version: str, digest: str, path: Path) -> None:
    sha256 = hashlib.sha256()
    with durable.new_file(path) as file:
        for piece in store.read(key, version):
            sha256.update(piece)
            file.write(piece)
    if sha256.hexdigest() != digest:
        raise TamperedError(f"{store.name}: {key} is not what was put there, {digest} (SEV-1)")


@contextmanager
def _saying(day: date) -> Iterator[None]:
    """What the disk refuses, in words; only whole files were given a name, and the same again goes on."""
    try:
        yield
    except OSError as error:
        raise EvidenceError(f"{day}: not restored: {error.filename}: {error.strerror}; restore it again") from error


def _place(scratch: Path, target: Path, erased: Mapping[str, Mapping[str, str]], *, into_root: bool) -> Restored:
    """Everything into scratch and on disk first, so that a name is only given to whole files.

    What was erased since the day was packed stays so: a pack under lock still has it, and a root does not get it back.
    """
    about = unpack(scratch / HALVES[0], scratch / HALVES[1], scratch)
    for half in HALVES:
        (scratch / half).unlink()  # so that the sync need not write what nobody reads any more
    for run_id, texts in erased.items():
        for log in (scratch / TREE).glob(f"runs/*/*/*/{run_id}/{LOG}"):
            take_out(log, scratch / TREE / "blobs", texts)
    durable.sync_file_system(scratch)
    restored, count, tree = Restored(about.day), 0, scratch / TREE
    if into_root:
        shutil.rmtree(tree / "keys", ignore_errors=True)  # a root has the keys that its seals name in these seals
    for file in unpacked(scratch):
        if file.name in (REGISTER, FINDINGS):
            _place_lines(file, tree / file.name, about, target, restored)
            (tree / file.name).unlink()
        elif file.name.endswith(f"/{LOG}"):
            restored.runs.append(file.name.split("/")[-2])
        count += not (into_root and file.name.startswith("keys/"))
    _merge(tree, target, "", restored)
    durable.sync_file_system(target)
    restored.placed = count - restored.same - len(restored.differing)
    return restored


def _merge(source: Path, target: Path, name: str, restored: Restored) -> None:
    """Move what the target lacks, whole folders at once, and compare what it has."""
    for entry in sorted(os.scandir(source), key=lambda entry: entry.name):
        here, there, named = Path(entry.path), target / entry.name, f"{name}{entry.name}"
        if not entry.is_dir(follow_symlinks=False):
            _place_file(here, there, named, restored)
        elif there.is_dir():
            _merge(here, there, f"{named}/", restored)
        elif os.path.lexists(there):
            restored.differing.append(named)
        else:
            here.rename(there)


def _place_file(source: Path, path: Path, name: str, restored: Restored) -> None:
    try:
        path.hardlink_to(source)  # unlike a rename, it never replaces
    except FileExistsError:
        _count(restored, name, same=path.is_file() and durable.digest_of_file(path) == durable.digest_of_file(source))


def _place_lines(file: Unpacked, lines: Path, about: About, target: Path, restored: Restored) -> None:
    """A day's lines of a file that goes on: appended where they follow, compared where they are."""
    start, end = about.register if file.name == REGISTER else about.findings
    path = target / file.name
    size = path.stat().st_size if path.exists() else 0
    if size >= end:
        _count(restored, file.name, same=_digest_of_part(path, start, end) == file.sha256)
    elif size == start or _has_some(path, start, size, lines):
        _append(lines, size - start, path, size)
    else:
        name, suffix = file.name.split(".")
        beside = f"{name}-{about.day.isoformat()}.{suffix}"
        _place_file(lines, target / beside, beside, restored)


def _has_some(path: Path, start: int, size: int, lines: Path) -> bool:
    """Whether a file of this size ends with the beginning of some lines, as a disk that was full leaves it."""
    return size > start and _digest_of_part(path, start, size) == _digest_of_part(lines, 0, size - start)


def _append(lines: Path, there_are: int, path: Path, size: int) -> None:
    """The rest of some lines, of which so many bytes are there, at the end of a file that nobody else writes to."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, durable.FILE_MODE)
    with os.fdopen(handle, "ab") as there, lines.open("rb") as source:
        fcntl.flock(there, fcntl.LOCK_EX)
        if there.seek(0, os.SEEK_END) != size:
            raise EvidenceError(f"{path}: is being written to; stop what does it, and restore again")
        source.seek(there_are)
        shutil.copyfileobj(source, there)


def _digest_of_part(path: Path, start: int, end: int) -> str:
    sha256 = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(start)
        while piece := file.read(min(_PIECE, end - file.tell())):
            sha256.update(piece)
    return sha256.hexdigest()


def _count(restored: Restored, name: str, *, same: bool) -> None:
    if same:
        restored.same += 1
    else:
        restored.differing.append(name)
