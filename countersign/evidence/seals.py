"""Judging the seals of a root: each against its signature, the one before it, and what lies in the root now.

What belongs here: one pass over the register that meets every seal where it stands, and faults by name. What does
not: making a seal (`sealing`), and the chains themselves. A seal that crashed half-way is a fault that says so.
"""

import fcntl
import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from countersign.clocks.instant import parse_instant, stamp
from countersign.errors import EvidenceError, SignatureError, TamperedError
from countersign.evidence.chain import ChainFile, is_torn
from countersign.evidence.durable import digest_of, digest_of_file
from countersign.evidence.lines import ZERO, parse_line, well_formed
from countersign.evidence.merkle import CompactRange
from countersign.evidence.plain import is_plain, open_plain, read_plain
from countersign.evidence.register import ACTOR
from countersign.evidence.root import EvidenceRoot
from countersign.evidence.seal import Seal, parse_seal, read_seal, seal_numbers, seal_path, signature_path, witness_path
from countersign.evidence.signature import Signature, verify, verify_itself
from countersign.evidence.signers import PIPELINE, SEAL, WITNESS
from countersign.evidence.timestamping import FAILED, TIMESTAMPED, check_timestamp

LATEST = timedelta(hours=25)
_AHEAD = timedelta(minutes=5)  # by which the clock of another machine may be fast
# what the register says of seals, which therefore comes after them
_NOTES = ("sealed", TIMESTAMPED, FAILED, "witnessed")
_ABOUT_SEALS = (b'"event":"sealed"', b'"event":"witnessed"', b'"event":"timestamped"')
_THREADS = 4
_EVENT = b'{"prev":"'


@dataclass(frozen=True, slots=True)
class RootFault:
    """Something wrong with a root, by name: `where` is a file or a line, `detail` says what was expected.

    `at` is when it went wrong, for what a clock alone makes wrong.
    """

    kind: str
    where: str
    detail: str
    at: datetime | None = None


@dataclass(slots=True)
class Sealed:
    """What the seals of a root show.

    `lines` of the register's lines are under a seal that holds, `witnessed` under one that was held elsewhere.
    `since` is when the part began that only whoever runs this root vouches for.
    """

    faults: list[RootFault] = field(default_factory=list)
    newest: Seal | None = None
    lines: int = 0
    witnessed: int = 0
    since: str | None = None


@dataclass(slots=True)
class _Met:
    """What one pass over a chained file found where seals stand: `at` by size in bytes.

    `times` has the instants of the last events before these sizes, `latest` that of the very last, `uncovered` that of
    the first line after all seals; `bad` is where lines before that one are no events, `torn` says that it ends amid a
    write.
    """

    at: dict[int, tuple[str, int, str]] = field(default_factory=dict)
    times: dict[int, str] = field(default_factory=dict)
    latest: datetime | None = None
    notes: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    witnessed: dict[str, dict[str, Any]] = field(default_factory=dict)
    timestamped: list[dict[str, Any]] = field(default_factory=list)
    first: tuple[str, str] | None = None
    uncovered: str | None = None
    bad: list[int] = field(default_factory=list)
    torn: bool = False


def check_seals(
    root: EvidenceRoot,
    *,
    allowed_signers: Path | None = None,
    witness: Path | None = None,
    now: datetime | None = None,
    as_of: datetime | None = None,
) -> Sealed:
    """Judge every seal. Without `allowed_signers` each is checked with the key that it names, one for all.

    `witness` is a seal that was held elsewhere; `now` finds lines of the future and, unless the root is a copy that was
    made `as_of` another instant, lines that wait for a seal too long. It is left out for a root not in use any more.
    """
    if witness is not None and not witness.is_file():
        raise EvidenceError(f"{witness}: no such file; it would be a seal that was kept elsewhere")
    if allowed_signers is not None and not allowed_signers.is_file():
        raise EvidenceError(f"{allowed_signers}: no such file; it would say who may seal, as ssh-keygen reads it")
    sealed = Sealed()
    with _standing_still(root):
        seals = list(_readable(root, sealed.faults))
        sizes = {seal.register.size for seal in seals}
        register = _meet(root.register, sizes)
        findings = _met_in_findings(root, seals, sealed.faults)
        findings.at[0] = (ZERO, 0, "")
        signatures = _signatures(root, seals, allowed_signers)
    for path, met in ((root.register, register), (root.findings, findings)):
        sealed.faults += [RootFault("bad_event", f"{path}: byte {at}", "an event with its instant") for at in met.bad]
        if met.torn:
            sealed.faults.append(RootFault("torn_tail", str(path), "a whole last line; the next write recovers it"))
    holding = True
    before: Seal | None = None
    for seal, signed in zip(seals, signatures, strict=True):
        wrong = [*_against(seal, before, register, findings), *signed, *_against_note(root, seal, register)]
        sealed.faults += [RootFault(kind, str(seal_path(root, seal.number)), detail) for kind, detail in wrong]
        holding = holding and not wrong
        if holding:
            sealed.newest, sealed.lines = seal, seal.lines
        before = seal
    sealed.faults += _missing(root, seals, register)
    sealed.since = register.first[1] if register.first else None
    by_number = {seal.number: seal for seal in seals}
    sealed.faults += _timestamps(root, by_number, register)
    _count_witnesses(sealed, root, by_number, register, allowed_signers)
    if witness is not None:
        _against_witness(sealed, seals, witness)
    if now is not None and register.latest is not None and register.latest > now + _AHEAD:
        sealed.faults.append(RootFault("time_ahead", str(root.register), f"no line after {stamp(now)}, as of now"))
    if now is not None and (late := _late(root, register.uncovered, as_of or now)) is not None:
        sealed.faults.append(late)
    return sealed


def latest_is_late(root: EvidenceRoot, now: datetime) -> RootFault | None:
    """The fault of lines that have waited too long for a seal, found from the newest seal on, or from the first line.

    Raises TamperedError where that seal is none.
    """
    numbers = seal_numbers(root)
    with ChainFile(root.register).reading() as file:
        file.seek(read_seal(root, numbers[-1]).register.size if numbers else 0)
        events = (said for line in file if line.startswith(_EVENT) and (said := parse_line(line)) is not None)
        waiting = next((said["ts"] for said in events if _is_event(said) and said["event"] not in _NOTES), None)
    return _late(root, waiting, now)


@contextmanager
def _standing_still(root: EvidenceRoot) -> Iterator[None]:
    """No seal is being made meanwhile, so that files and register agree."""
    lock = root.seals / ".lock"
    if not is_plain(lock):
        yield
        return
    with open_plain(lock) as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


def _met_in_findings(root: EvidenceRoot, seals: list[Seal], faults: list[RootFault]) -> _Met:
    """What stands in the findings where seals stand; nothing where there are none."""
    try:
        return _meet(root.findings, {seal.findings.size for seal in seals}) if root.findings.exists() else _Met()
    except EvidenceError as error:
        faults.append(RootFault("findings", str(root.findings), str(error)))
        return _Met()


def _readable(root: EvidenceRoot, faults: list[RootFault]) -> Iterator[Seal]:
    for number in seal_numbers(root):
        try:
            yield read_seal(root, number)
        except TamperedError as error:
            faults.append(RootFault("seal_unreadable", str(seal_path(root, number)), str(error)))


def _meet(path: Path, sizes: set[int]) -> _Met:
    """Read a chained file once, noting head, lines and root at each of these sizes, and what it says of seals."""
    met, tree, size, head, event = _Met(), CompactRange(), 0, ZERO, b""
    last = max(sizes, default=0)
    with ChainFile(path).reading() as file:
        for line in file:
            start, size = size, size + len(line)
            tree.append(line)
            if line.startswith(_EVENT):
                head, event = hashlib.sha256(line).hexdigest(), line
            if size in sizes:
                met.at[size], met.times[size] = (head, tree.size, tree.root.hex()), _instant_of(event)
            if met.first is None:
                met.first = (hashlib.sha256(line).hexdigest(), _instant_of(line))
            # half a line, as a crash leaves it, says nothing of any seal; whether it may stand there, the chain says
            note = parse_line(line) or {} if any(kind in line for kind in _ABOUT_SEALS) else {}
            match note.get("event"):
                case "sealed":
                    met.notes.setdefault(str(note.get("number")), []).append(note)
                case "witnessed":
                    met.witnessed[str(note.get("file"))] = note
                case "timestamped":
                    met.timestamped.append(note)
            if met.uncovered is None and start >= last and (said := parse_line(line)) and "ts" in said:
                if not _is_event(said):
                    met.bad.append(start)
                elif said["event"] not in _NOTES:
                    met.uncovered = said["ts"]
        met.torn = is_torn(file)
    if (said := parse_line(event)) and _is_event(said):
        met.latest = parse_instant(said["ts"])
    return met


def _instant_of(line: bytes) -> str:
    return str((parse_line(line) or {}).get("ts", ""))


def _is_event(said: dict[str, Any]) -> bool:
    try:
        parse_instant(said["ts"])
    except (TypeError, ValueError):
        return False
    return well_formed(said)


def _signatures(root: EvidenceRoot, seals: list[Seal], allowed_signers: Path | None) -> list[list[tuple[str, str]]]:
    """What is wrong with each seal's signature."""

    def check(seal: Seal) -> Signature | tuple[str, str]:
        path = signature_path(root, seal.number)
        try:
            raw = read_plain(path)
            if allowed_signers is None:
                return verify_itself(seal.statement, raw, namespace=SEAL)
            at = parse_instant(seal.at)
            return verify(
                seal.statement, raw, principal=PIPELINE, namespace=SEAL, at=at, allowed_signers=allowed_signers
            )
        except SignatureError as error:
            return "seal_signature", f"a good signature in {path.name}: {error}"
        except EvidenceError:
            return "seal_unfinished", f"its signature, {path.name}; `countersign seal` finishes what a crash left"

    with ThreadPoolExecutor(_THREADS) as threads:
        checked = list(threads.map(check, seals))
    keys = [said.key for said in checked if isinstance(said, Signature)]
    answers: list[list[tuple[str, str]]] = []
    for said in checked:
        if not isinstance(said, Signature):
            answers.append([said])
        elif allowed_signers is None and said.key != keys[0]:
            detail = f"the key of the first seal, {keys[0].fingerprint}, or --allowed-signers that knows both"
            answers.append([("seal_key", detail)])
        else:
            answers.append([])
    return answers


def _against(seal: Seal, before: Seal | None, register: _Met, findings: _Met) -> Iterator[tuple[str, str]]:
    """What does not fit between a seal, the one before it, and the files."""
    if seal.previous != (before.digest if before else ZERO):
        yield "seal_continuity", f"the seal before it, {seal.previous}"
    elif before is not None and seal.lines < before.lines:
        yield "seal_continuity", f"at least the {before.lines} lines of the seal before it"
    if register.first is not None and register.first[0] != seal.environment:
        yield "seal_environment", f"a register whose first line has the SHA-256 {seal.environment}"
    if register.at.get(seal.register.size) != (seal.register.head, seal.lines, seal.root):
        yield "seal_register", f"a register with the root {seal.root} over {seal.lines} lines"
    if seal.at < max(register.times.get(seal.register.size, ""), before.at if before else ""):
        yield "seal_time", f"an instant not before what it covers, nor before the seal before it, as {seal.at} is"
    if findings.at.get(seal.findings.size, ("", 0, ""))[0] != seal.findings.head:
        yield "seal_findings", f"findings with the head {seal.findings.head} at {seal.findings.size} bytes"


def _against_note(root: EvidenceRoot, seal: Seal, register: _Met) -> Iterator[tuple[str, str]]:
    """What does not fit between a seal and the register line that says it was made."""
    notes = register.notes.get(str(seal.number), [])
    if not notes:
        yield "seal_unfinished", "a register line that says it was made; `countersign seal` finishes what a crash left"
        return
    note = notes[0]
    path = signature_path(root, seal.number)
    signature = digest_of_file(path) if is_plain(path) else None
    if len(notes) > 1 or (note.get("seal"), note.get("signature")) != (seal.digest, signature):
        yield "seal_changed", f"what the register says, {note.get('seal')} signed by {note.get('signature')}"
    elif (note.get("ts"), note.get("actor")) != (seal.at, ACTOR) and note.get("finished") is not True:
        yield "seal_changed", f"a register line of {seal.at}, when it was made"


def _missing(root: EvidenceRoot, seals: list[Seal], register: _Met) -> Iterator[RootFault]:
    """Numbers without a seal."""
    there = {seal.number for seal in seals}
    said = {int(number) for number in register.notes if number.isdecimal()}
    for odd in sorted(number for number in register.notes if not number.isdecimal()):
        yield RootFault("seal_missing", str(root.register), f"the number of a seal, not {odd}")
    for number in sorted({*said, *range(1, max(there, default=0))} - set(seal_numbers(root))):
        yield RootFault("seal_missing", str(seal_path(root, number)), f"the seal {number}")


def _timestamps(root: EvidenceRoot, seals: dict[int, Seal], register: _Met) -> Iterator[RootFault]:
    """Tokens that are not what the register says of them; one that it does not know is what a crash left."""
    for note in register.timestamped:
        try:
            check_timestamp(root, seals[note["number"]], note)
        except (KeyError, OSError, EvidenceError) as error:
            detail = f"a timestamp of seal {note.get('number')}: {error}"
            yield RootFault("timestamp_differs", str(root.seals / str(note.get("file"))), detail)


def _late(root: EvidenceRoot, since: str | None, now: datetime) -> RootFault | None:
    """The fault of lines that have waited too long for a seal, the first of them since an instant."""
    if since is None or parse_instant(since) >= now - LATEST:
        return None
    detail = f"a seal over what the register says since {since}; `countersign seal` makes one"
    return RootFault("seal_late", str(root.seals), detail, parse_instant(since) + LATEST)


def _count_witnesses(
    sealed: Sealed, root: EvidenceRoot, seals: dict[int, Seal], register: _Met, allowed_signers: Path | None
) -> None:
    """Counter-signatures: each is the one that the register knows, and good; one by a known key moves `since`."""
    files = {path.name: path for path in root.seals.glob("*.json.*.sig")}
    for name in sorted({*files, *register.witnessed}):
        note, path = register.witnessed.get(name), files.get(name)
        if note is None:
            # nobody is told of it before the register knows it, so this is what a crash left
            continue
        try:
            seal, witness = seals[note["number"]], note["by"]
            raw = read_plain(path) if path is not None else b""
            if digest_of(raw) != note["sha256"] or name != witness_path(root, seal.number, witness).name:
                raise SignatureError(f"the file with the SHA-256 {note['sha256']}")
            if allowed_signers is None:
                verify_itself(seal.statement, raw, namespace=WITNESS)
                continue
            at = parse_instant(note["ts"])
            verify(seal.statement, raw, principal=witness, namespace=WITNESS, at=at, allowed_signers=allowed_signers)
        except (KeyError, ValueError, EvidenceError) as error:
            sealed.faults.append(RootFault("witness_signature", str(root.seals / name), f"a good signature: {error}"))
        else:
            sealed.since = max(sealed.since or "", seal.at)


def _against_witness(sealed: Sealed, seals: list[Seal], witness: Path) -> None:
    """Whether a seal that was held elsewhere is one of these, so that all before it is what it was."""
    try:
        held = parse_seal(witness.read_bytes(), witness)
    except (OSError, TamperedError) as error:
        sealed.faults.append(RootFault("witness_unreadable", str(witness), f"a seal: {error}"))
        return
    if held not in seals:
        detail = f"this root to go on from the seal {held.number}, which was held elsewhere"
        sealed.faults.append(RootFault("witness_differs", str(witness), detail))
    elif held.lines <= sealed.lines:
        sealed.witnessed, sealed.since = held.lines, max(sealed.since or "", held.at)
