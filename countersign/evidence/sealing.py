"""Making seals: read what is new, state it, sign it, and let the register say so.

A run that was opened and whose log was never begun, as a crash between the two leaves it, is abandoned first: a line of
the register says so, until its payload is handed in again. Order of writes: statement → signature → register line. A
number belongs to the first statement that was linked under it, and only a signature of that one is ever kept; a crash
between any two is repaired by the next sealing. Locks in the order seals, findings, register. What does not belong
here: judging what is there (`seals`).
"""

import io
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import date, datetime
from functools import cache
from pathlib import Path

from countersign.clocks.instant import parse_instant, stamp
from countersign.environment import Clock
from countersign.errors import EvidenceError, SealRefused, TamperedError
from countersign.evidence import durable
from countersign.evidence.chain import ChainFile, Writer, raise_for, read_tail
from countersign.evidence.lines import ZERO, Draft, Scan, parse_line
from countersign.evidence.merkle import CompactRange
from countersign.evidence.plain import open_plain, read_plain
from countersign.evidence.register import ACTOR, Register
from countersign.evidence.root import EvidenceRoot
from countersign.evidence.seal import (
    Extent,
    Seal,
    first_changed,
    key_of,
    read_seal,
    seal_numbers,
    seal_path,
    sealing_alone,
    signature_path,
)
from countersign.evidence.signature import Signature, sign
from countersign.evidence.signers import SEAL, PublicKey

_KIND = "ssh-ed25519"


class Sealer:
    """Seals an evidence root with one key: a private key file, or a public one whose private half an agent has.

    `people` are the keys that sign for somebody, none of which seals. Another key than that of the seal before is
    taken only as a `new_key`.
    """

    def __init__(
        self,
        root: EvidenceRoot,
        key: Path,
        *,
        clock: Clock,
        people: Mapping[PublicKey, str] | None = None,
        new_key: bool = False,
    ) -> None:
        self._root = root.existing()
        self._key = key
        self._clock = clock
        self._people = people or {}
        self._new_key = new_key

    def seal(self, policy: str) -> Seal:
        """Seal the root as it is now, under the policy of this digest; what a crash left of a seal is finished first.

        Raises TamperedError where register or findings do not go on from the last seal, SignatureError where the key
        cannot sign, SealRefused where it may not seal. What came after the last seal is strictly checked line by line,
        what came before only by its bytes.
        """
        durable.make_folder(self._root.seals)
        with sealing_alone(self._root):
            seals = [read_seal(self._root, number) for number in seal_numbers(self._root)]
            last = seals[-1] if seals else None

            @cache
            def now() -> datetime:
                """One instant, so that the register's line is of when the seal was made; never before the last seal."""
                return max(self._clock(), parse_instant(last.at)) if last else self._clock()

            with self._findings() as findings, Register(self._root, clock=now).writing() as register:
                changed = first_changed(self._root.register, seals)
                if changed is not None:
                    raise TamperedError(f"{self._root.register}: not what seal {changed.number} says of it (SEV-1)")
                return self._go_on(last, register, findings, policy, now)

    def _go_on(self, last: Seal | None, register: Writer, findings: Writer | None, policy: str, now: Clock) -> Seal:
        """Finish the last seal and make the next."""
        if last is not None:
            self._finish(last, register, findings)
        self._abandon(register, last.register if last else Extent())
        at = max(stamp(now()), register.tail.ts)  # in a chain time does not go back
        seal = self._state(last, register, findings, policy, at)
        signature = self._sign(seal)  # a key that cannot, or may not, leaves nothing behind
        durable.create_file(seal_path(self._root, seal.number), seal.statement)
        self._keep(signature, seal, register)
        return seal

    def _state(
        self,
        last: Seal | None,
        register: Writer,
        findings: Writer | None,
        policy: str,
        at: str,
        ends: tuple[int | None, int | None] = (None, None),
    ) -> Seal:
        """What there is to say after the last seal: about all that is there, or as far as these sizes in bytes."""
        known, found = (last.register, last.findings) if last else (Extent(), Extent())
        lines = _lines(register, known, ends[0])
        if last is None and not lines:
            raise EvidenceError(f"{self._root.register}: empty; there is nothing to seal yet")
        tree = last.tree if last else CompactRange()
        for line in lines:
            tree.append(line)
        return Seal(
            number=last.number + 1 if last else 1,
            previous=last.digest if last else ZERO,
            environment=last.environment if last else durable.digest_of(lines[0]),
            at=at,
            policy=policy,
            register=_extent(self._root.register, known, lines),
            lines=tree.size,
            subtrees=tuple(part.hex() for part in tree.hashes),
            segment=durable.digest_of(b"".join(lines)),
            findings=_extent(self._root.findings, found, _lines(findings, found, ends[1]) if findings else []),
        )

    def _abandon(self, register: Writer, known: Extent) -> None:
        """Say of every run without a log that was opened since the last seal that it was abandoned."""
        opened: dict[str, Path] = {}
        for line in _lines(register, known):
            said = parse_line(line) if b'"run_id":"' in line else None
            if said is not None and said.get("event") == "run_opened":
                opened[said["run_id"]] = self._root.log(date.fromisoformat(said["day"]), said["run_id"])
            elif said is not None and (said.get("event") == "abandoned" or said.get("head", ZERO) != ZERO):
                opened.pop(str(said.get("run_id")), None)
        register.append([Draft("abandoned", ACTOR, {"run_id": run}) for run, log in opened.items() if not log.exists()])

    def _finish(self, last: Seal, register: Writer, findings: Writer | None) -> None:
        """Complete the last seal where a crash came before its signature or its register line."""
        if not signature_path(self._root, last.number).exists():
            before = read_seal(self._root, last.number - 1) if last.number > 1 else None
            ends = (last.register.size, last.findings.size)
            if self._state(before, register, findings, last.policy, last.at, ends) != last:
                where = seal_path(self._root, last.number)
                raise TamperedError(f"{where}: an unsigned statement that does not say what the root says (SEV-1)")
            self._keep(self._sign(last), last, register, finished=True)
        elif not any(_names(line, last) for line in _lines(register, last.register)):
            self._note(last, register, finished=True)

    def _sign(self, seal: Seal) -> bytes:
        """The signature of a seal. Raises SealRefused where it is none that may stand after the seal before."""
        signature = sign(seal.statement, key=self._key, namespace=SEAL)
        key = Signature.parse(signature).key
        if key.kind != _KIND:
            raise SealRefused(f"{self._key}: a key of kind {key.kind} does not seal; make one: ssh-keygen -t ed25519")
        if key in self._people:
            raise SealRefused(
                f"{self._key}: the key {key.fingerprint} signs for {self._people[key]} by the roster in force, and a "
                "key has one use; seal with one of its own"
            )
        before = key_of(self._root, seal.number - 1) if seal.number > 1 else key
        if key != before and not self._new_key:
            raise SealRefused(
                f"{self._key}: the key {key.fingerprint} is not that of seal {seal.number - 1}, {before.fingerprint}; "
                "seal with that one, or replace it for good with `countersign seal --new-key` (RUNBOOK.md, Sealing)"
            )
        return signature

    def _keep(self, signature: bytes, seal: Seal, register: Writer, *, finished: bool = False) -> None:
        durable.create_file(signature_path(self._root, seal.number), signature)
        self._note(seal, register, finished=finished)

    def _note(self, seal: Seal, register: Writer, *, finished: bool = False) -> None:
        """The register's line; it has the seal's own instant, unless a later sealing had to write it."""
        signature = read_plain(signature_path(self._root, seal.number))
        data = {"number": seal.number, "seal": seal.digest, "signature": durable.digest_of(signature)}
        register.append([Draft("sealed", ACTOR, {**data, "finished": True} if finished else data)])

    @contextmanager
    def _findings(self) -> Iterator[Writer | None]:
        """The findings under their writer's lock, a torn tail healed; None where there are none."""
        with ExitStack() as lock:
            there = self._root.findings.exists()
            chain = ChainFile(self._root.findings, blobs=self._root.blobs, clock=self._clock)
            yield lock.enter_context(chain.writing()) if there else None


def _lines(file: Writer, after: Extent, end: int | None = None) -> list[bytes]:
    """The raw lines that follow an extent."""
    content = file.read(after.size)
    return io.BytesIO(content if end is None else content[: end - after.size]).readlines()


def _extent(path: Path, known: Extent, lines: list[bytes]) -> Extent:
    """How far a chained file goes with these lines, strictly checked. Raises TamperedError."""
    seq, ts = -1, ""
    if known.size:
        if not path.exists():
            raise TamperedError(f"{path}: gone, though it was sealed; restore it from a copy (SEV-1)")
        with open_plain(path) as file:
            tail = read_tail(file, known.size)
        if not tail.whole or tail.head != known.head:
            raise TamperedError(f"{path}: at {known.size} bytes it is not what the last seal says (SEV-1)")
        seq, ts = tail.seq, tail.ts
    scan = Scan(lines, prev=known.head, seq=seq, ts=ts)
    scan.judge()
    raise_for(path, scan)
    return Extent(known.size + sum(map(len, lines)), scan.head)


def _names(line: bytes, seal: Seal) -> bool:
    """Whether a register line is the one that says of a seal that it was made."""
    said = parse_line(line) if b'"event":"sealed"' in line else None
    return said is not None and (said.get("event"), said.get("number")) == ("sealed", seal.number)
