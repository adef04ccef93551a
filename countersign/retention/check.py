"""Whether everything that was kept is still kept: in the store and in the root.

What belongs here: asking, and faults by name. What does not: putting anything back (`restore`), and findings.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from countersign.clocks.instant import stamp
from countersign.evidence.lines import ZERO
from countersign.evidence.seal import seal_path, signature_path
from countersign.retention.days import FinishedDay
from countersign.retention.holds import unapproved
from countersign.retention.keep import Archive, digest_in
from countersign.retention.ledger import KeptDay, Ledger, StoredObject
from countersign.retention.store import RetentionStore

LATE = timedelta(days=3)  # a day is over at midnight, is packed in the night after it, and may fail once
INCIDENTS = frozenset(
    ("missing", "changed", "shortened", "downgraded", "delete_marker", "hold_lifted", "local_missing", "not_approved")
)


@dataclass(frozen=True, slots=True)
class Lost:
    """What is wrong with a day: `part` is a half of its pack, the root, or an act; `detail` what was expected."""

    day: date
    kind: str
    part: str
    detail: str

    @property
    def incident(self) -> bool:
        """Whether evidence left early, or is no longer what it was: SEV-1."""
        return self.kind in INCIDENTS

    @property
    def subject(self) -> str:
        """What a finding is called by."""
        return f"{self.day.isoformat()} {self.part}: {self.kind}"


def check(archive: Archive, store: RetentionStore, *, read: bool = False) -> Iterator[Lost]:
    """Everything that is not as the register says. Raises StoreError where the store cannot be asked.

    An object whose digest the store vouches for is only read where that is asked for; any other one always is.
    """
    ledger = archive.ledger()
    for kept in ledger.standing():
        if kept.store != store.name:
            yield Lost(kept.day, "other_store", "store", f"kept in {kept.store}; the policy names {store.name}")
            continue
        for half, stored in kept.objects.items():
            yield from _object(kept, half, stored, store, read=read)
    for done, why in unapproved(archive, ledger):
        part, detail = f"{done.act.what} at {stamp(done.at)}", f"two people for {done.act.what}: {why}"
        for each in done.act.on["days"]:
            yield Lost(date.fromisoformat(each["day"]), "not_approved", part, detail)
    for finished in archive.days(ledger):
        yield from _local(archive, finished, ledger)


def _object(kept: KeptDay, half: str, stored: StoredObject, store: RetentionStore, *, read: bool) -> Iterator[Lost]:
    def lost(kind: str, detail: str) -> Lost:
        return Lost(kept.day, kind, half, detail)

    stat = store.stat(stored.key, stored.version)
    if stat is None:
        yield lost("missing", f"{stored.key} in {store.name}")
        return
    if stat.over == "delete_marker":
        yield lost("delete_marker", f"{stored.key} without a delete marker over it")
    elif stat.over is not None:
        yield lost("changed", f"{stored.key} without another version over it")
    if stat.until is None or stat.until < kept.until:
        yield lost("shortened", f"locked until {kept.until.isoformat()}, not {stat.until}")
    if _strength(store, stat.mode) > _strength(store, stored.mode):
        yield lost("downgraded", f"locked as {stored.mode}, not {stat.mode}")
    if kept.held and not stat.held:
        yield lost("hold_lifted", f"{stored.key} on legal hold, as two people have put it")
    digest = digest_in(store, stored.key, stored.version) if read or stat.digest is None else stat.digest
    if (stat.size, digest) != (stored.bytes, stored.sha256):
        yield lost("changed", f"{stored.bytes} bytes with the SHA-256 {stored.sha256}, not {digest}")


def _strength(store: RetentionStore, mode: str) -> int:
    """0 for the strongest lock."""
    return store.modes.index(mode) if mode in store.modes else len(store.modes)


def _local(archive: Archive, finished: FinishedDay, ledger: Ledger) -> Iterator[Lost]:
    """What is no longer in the root of a day that is kept, and whether one that is not kept has waited too long."""
    kept = ledger.days.get(finished.day)
    if kept is None:
        if archive.today - finished.day > LATE:
            yield Lost(
                finished.day, "not_kept", "store", "a copy; `countersign retention keep` says what is in its way"
            )
        return
    if kept.purged:
        return
    gone = [name for name in _names(archive, finished) if not os.path.lexists(name)]
    if gone:
        detail = f"{gone[0]}" + (f" and {len(gone) - 1} more files" if len(gone) > 1 else "")
        yield Lost(finished.day, "local_missing", "root", detail)


def _names(archive: Archive, finished: FinishedDay) -> Iterator[str]:
    root = archive.root
    for run in finished.runs.values():
        if run.head != ZERO:
            yield str(root.log(run.day, run.run_id))
    for digest in finished.extracts:
        yield str(root.extracts / digest)
    for digest in finished.configurations:
        yield str(root.policies / f"{digest}.json")
    for number in finished.seals:
        yield str(seal_path(root, number))
        yield str(signature_path(root, number))
    for name in finished.witnesses:
        yield str(root.seals / name)
    for name in finished.files:
        yield str(root.path / name)
