"""A run's audit log. What belongs here: one chained file and how far to trust it. What does not: what events mean."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from countersign.environment import Clock, Entropy, random_bytes, utc_now
from countersign.errors import CountersignError, EvidenceError, TamperedError
from countersign.evidence.chain import ChainFile
from countersign.evidence.lines import ZERO, Entry, Fault, Scan
from countersign.evidence.rawchain import Followed, follow
from countersign.evidence.register import Register, erased_texts, newest_head
from countersign.evidence.root import EvidenceRoot

# `seal` and `witness` are for who judges the seals too: the verification of runs
Trust = Literal["chain", "register", "seal", "witness"]


@dataclass(frozen=True, slots=True)
class Report:
    """What a check could show: the first fault, or none, and how far to trust the answer."""

    ok: bool
    fault: Fault | None
    events: int
    head: str
    trust: Trust


class AuditLog(ChainFile):
    """`audit.jsonl` of a run, or any chained log that lies alone."""

    erasable = True

    def __init__(
        self,
        path: Path | str,
        *,
        root: EvidenceRoot | None = None,
        clock: Clock = utc_now,
        entropy: Entropy = random_bytes,
    ) -> None:
        self.root = root or EvidenceRoot.around(Path(path))
        super().__init__(Path(path), blobs=self.root.blobs if self.root else None, clock=clock, entropy=entropy)

    @property
    def run_id(self) -> str:
        """A run's folder is named after it."""
        return self.path.absolute().parent.name

    def verify(self) -> bool:
        """Whether `check` finds nothing wrong.

        On a lone file that means only that each line follows the one before. Inside an evidence root the register
        must also know this very head. An empty log is False, and so is one that cannot be read.
        """
        return self.check().ok

    def check(self, registered: str | None = None) -> Report:
        """The first fault of the log, or none.

        `registered` is a head that the register was seen to know: where it is this log's, nothing is looked up. Where
        it is not, it may be out of date, so the register is asked while the lock keeps every writer away.
        """
        trust: Trust = "register" if self.root else "chain"
        heads = {ZERO}
        try:
            with self.reading() as file:
                whole = self._follow(file, registered)
                if whole is not None:
                    return Report(True, None, whole.events, whole.head, trust)
                scan = self.scan(file)
                erased: dict[str, Fault] = {}
                unresolved = _unresolved(scan, heads, erased)
                if erased:
                    allowed = self._allowed()
                    taken = next((fault for digest, fault in erased.items() if digest not in allowed), None)
                    unresolved = unresolved or taken
                known = registered
                if self.root is not None and known != scan.head:
                    known = newest_head(self.root, self.run_id)
        except (EvidenceError, OSError) as error:
            return Report(False, Fault(0, "unreadable", str(error)), 0, ZERO, trust)
        fault = scan.fault
        if fault is None and scan.count == 0:
            fault = Fault(0, "torn_tail" if scan.torn else "empty", "at least one event")
        elif fault is None and (scan.torn or scan.incomplete):
            fault = Fault(scan.lines, "torn_tail", "a whole last line; execute the run again and it is recovered")
        if fault is None and unresolved is not None:
            fault = unresolved
        if fault is None and self.root is not None and known != scan.head:
            if known is None:
                fault = Fault(0, "unregistered", f"a register line that opens {self.run_id}")
            elif known in heads:
                fault = Fault(
                    scan.lines, "unregistered_tail", f"nothing after the head that the register knows, {known}"
                )
            else:
                fault = Fault(scan.lines, "head_differs", f"the head that the register knows, {known}")
        return Report(fault is None, fault, scan.count, scan.head, trust)

    def _follow(self, file: BinaryIO, registered: str | None) -> Followed | None:
        """The quick way, where the register vouches for the head; otherwise only the strict one has an answer."""
        whole = follow(file) if self.root else None
        if whole is None or self.root is None or whole.head not in self._vouched(self.root, registered):
            file.seek(0)
            return None
        return whole

    def _vouched(self, root: EvidenceRoot, registered: str | None) -> Iterator[str | None]:
        """The head that the register was seen to know, and only where that is another, the one that it knows now."""
        yield registered
        yield newest_head(root, self.run_id)

    def _allowed(self) -> set[str]:
        """The texts, by their SHA-256, that the register says were erased."""
        return erased_texts(self.root, self.run_id) if self.root else set()

    def require_erased(self, entry: Entry) -> None:
        if entry.erased and not self._allowed().issuperset(entry.erased.values()):
            names = ", ".join(sorted(entry.erased))
            raise TamperedError(
                f"{self.path}: line {entry.line}: {names} is gone, and no register line erased it; SEV-1"
            )

    def _guard(self, heads: set[str]) -> None:
        """Hold the run when the register vouched for a head that the torn log no longer has."""
        known = newest_head(self.root, self.run_id) if self.root else None
        if known is not None and known not in heads:
            raise TamperedError(f"{self.path}: the register knows the head {known}, which this log has lost; SEV-1")

    def hold(self, reason: str) -> None:
        """On record in the register, so that it holds for every process to come. The error itself is the caller's."""
        if self.root is not None:
            with suppress(CountersignError, OSError):
                register = Register(self.root, clock=self._clock, entropy=self._entropy)
                register.append("run_held", "countersign", run_id=self.run_id, reason=reason)


def _unresolved(scan: Scan, heads: set[str], erased: dict[str, Fault]) -> Fault | None:
    """Drain a scan, noting every head; the first event whose texts are neither there nor void by a recovery.

    `erased` learns every text that was taken out, by its SHA-256, with the fault that it is where nobody allowed it.
    """
    waiting: Fault | None = None
    for entry in scan:
        heads.add(entry.head)
        for name, digest in entry.erased.items():
            erased[digest] = Fault(
                entry.line, "text_erased", f"the text {name!r}, or a register line that it was erased"
            )
        if waiting is not None and not (entry.event == "recovered" and entry.data.get("voids") == [entry.seq - 1]):
            return waiting
        waiting = None
        if entry.missing:
            waiting = Fault(entry.line, "text_missing", f"the text {min(entry.missing)!r}, here or among the blobs")
    return waiting
