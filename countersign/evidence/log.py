"""A run's audit log. What belongs here: one chained file and how far to trust it. What does not: what events mean."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from countersign.environment import Clock, Entropy, random_bytes, utc_now
from countersign.errors import CountersignError, EvidenceError, TamperedError
from countersign.evidence.chain import ChainFile
from countersign.evidence.lines import ZERO, Entry, Fault, Scan
from countersign.evidence.rawchain import Followed, follow
from countersign.evidence.register import Register, erased_texts, registered_heads
from countersign.evidence.root import EvidenceRoot

# `seal` and `witness` are for who judges the seals too: the verification of runs
Trust = Literal["chain", "register", "seal", "witness"]


@dataclass(frozen=True, slots=True)
class Report:
    """What a check could show: the first fault, or none, and how far to trust the answer.

    `sound_until` is the `ts` of the last event before a fault of the chain; empty where that cannot be told.
    """

    ok: bool
    fault: Fault | None
    events: int
    head: str
    trust: Trust
    sound_until: str = ""


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

    def check(self, registered: Sequence[str] | None = None) -> Report:
        """The first fault of the log, or none.

        `registered` are the heads that the register was seen to know, in its order: where the log comes by all of them
        and ends in the last, nothing is looked up. Where it does not, they may be out of date, so the register is asked
        while the lock keeps every writer away.
        """
        trust: Trust = "register" if self.root else "chain"
        order: dict[str, int] = {ZERO: -1}
        try:
            with self.reading() as file:
                whole = self._follow(file, registered)
                if whole is not None:
                    return Report(True, None, whole.events, whole.head, trust)
                scan = self.scan(file)
                erased: dict[str, Fault] = {}
                unresolved = _unresolved(scan, order, erased)
                if erased:
                    allowed = self._allowed()
                    taken = next((fault for digest, fault in erased.items() if digest not in allowed), None)
                    unresolved = unresolved or taken
                known = registered_heads(self.root, self.run_id) if self.root else None
        except (EvidenceError, OSError) as error:
            return Report(False, Fault(0, "unreadable", str(error)), 0, ZERO, trust)
        fault = scan.fault
        if fault is None and scan.count == 0:
            fault = Fault(0, "torn_tail" if scan.torn else "empty", "at least one event")
        elif fault is None and (scan.torn or scan.incomplete):
            fault = Fault(scan.lines, "torn_tail", "a whole last line; execute the run again and it is recovered")
        fault = fault or unresolved
        if fault is None and self.root is not None:
            fault = self._against_register(known, order, scan)
        sound_until = "" if fault is None or fault is unresolved else scan.ts
        return Report(fault is None, fault, scan.count, scan.head, trust, sound_until)

    def _follow(self, file: BinaryIO, registered: Sequence[str] | None) -> Followed | None:
        """The quick way, where the register vouches for every head; otherwise only the strict one has an answer."""
        for heads in self._vouched(registered):
            whole = follow(file, heads)
            if whole is not None and heads and whole.head == heads[-1]:
                return whole
            file.seek(0)
        return None

    def _vouched(self, registered: Sequence[str] | None) -> Iterator[Sequence[str]]:
        """The heads that the register was seen to know, and only where these are not the log's, those it knows now."""
        if self.root is not None and registered is not None:
            yield registered
        if self.root is not None:
            yield registered_heads(self.root, self.run_id) or ()

    def _against_register(self, known: list[str] | None, order: Mapping[str, int], scan: Scan) -> Fault | None:
        """What the register knows of a whole log that the log does not say; `order` numbers its heads."""
        if known is None:
            return Fault(0, "unregistered", f"a register line that opens {self.run_id}")
        lost = first_lost(known, order)
        if lost is not None:
            return Fault(scan.lines, "head_differs", f"the head that the register knows, {lost}")
        if known[-1] != scan.head:
            detail = f"nothing after the head that the register knows, {known[-1]}"
            return Fault(scan.lines, "unregistered_tail", detail)
        return None

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
        known = registered_heads(self.root, self.run_id) if self.root else None
        lost = next((head for head in known or () if head not in heads), None)
        if lost is not None:
            raise TamperedError(f"{self.path}: the register knows {lost}, which the log has lost; run held, SEV-1")

    def hold(self, reason: str) -> None:
        """On record in the register, so that it holds for every process to come. The error itself is the caller's."""
        if self.root is not None:
            with suppress(CountersignError, OSError):
                register = Register(self.root, clock=self._clock, entropy=self._entropy)
                register.append("run_held", "countersign", run_id=self.run_id, reason=reason)


def first_lost(registered: Iterable[str], order: Mapping[str, int]) -> str | None:
    """The first registered head that a log does not come by after the one before it; `order` numbers the log's heads.

    A log that only its newest head vouched for could be another one, registered by whoever wrote it.
    """
    last = -1
    for head in registered:
        at = order.get(head)
        if at is None or at < last:
            return head
        last = at
    return None


def _unresolved(scan: Scan, order: dict[str, int], erased: dict[str, Fault]) -> Fault | None:
    """Drain a scan, numbering every head; the first event whose texts are neither there nor void by a recovery.

    `erased` learns every text that was taken out, by its SHA-256, with the fault that it is where nobody allowed it.
    """
    waiting: Fault | None = None
    for entry in scan:
        if not entry.missing:  # nobody was told of what was never whole
            order[entry.head] = entry.seq
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
