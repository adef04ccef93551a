"""Packing a finished day: the same evidence gives the same bytes, in memory that does not grow with the day.

Two archives are written: the chain, which proves and is never erased, and the texts, words from outside that law may
have erased. `pack.txt`, which lies in both, says for people what is in them. What is not as it has to be is packed all
the same and named a fault, since evidence of an incident is evidence; what cannot be read is an error, and no pack is
made.

What does not belong here: which files a day names (`days`), and where a pack goes (`keep`).
"""

import hashlib
import io
import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import orjson

from countersign.errors import EvidenceError
from countersign.evidence import durable
from countersign.evidence.lines import ZERO
from countersign.evidence.plain import open_plain, read_plain
from countersign.evidence.root import FINDINGS, LOG, REGISTER, EvidenceRoot
from countersign.evidence.seal import seal_path, signature_path
from countersign.evidence.signature import Signature
from countersign.retention.days import ConcludedRun, FinishedDay, Span
from countersign.retention.halves import Parting
from countersign.retention.tar import TarWriter

FORMAT = "countersign-pack/1"
README, MANIFEST = "README.txt", "MANIFEST.jsonl"
TEXTS, WHOLE = ".texts", ".whole"
_EXPLANATION = Path(__file__).with_name("pack.txt")


@dataclass(frozen=True, slots=True)
class Packed:
    """One archive of a pack."""

    path: Path
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Pack:
    """The two archives of a day. `faults` are files that are not as they have to be, each with what is wrong."""

    chain: Packed
    texts: Packed
    runs: int
    faults: tuple[tuple[str, str], ...]


def manifest_line(path: str, size: int, digest: str, **more: str) -> bytes:
    """What a manifest says of a file as it was in the root."""
    return orjson.dumps({"path": path, "bytes": size, "sha256": digest, **more}, option=orjson.OPT_APPEND_NEWLINE)


def pack(root: EvidenceRoot, finished: FinishedDay, scratch: Path) -> Pack:
    """Write the two archives of a day into a folder. Raises OSError for what cannot be read or written."""
    with ExitStack() as files:
        packer = _Packer(root, scratch, files)
        packer.explain(finished)
        packer.segment(REGISTER, root.register, finished.register)
        packer.segment(FINDINGS, root.findings, finished.findings)
        for number in sorted(finished.seals):
            packer.seal(number)
        for name in sorted(finished.witnesses):
            packer.witness(name)
        runs = sorted(finished.runs.values(), key=lambda run: (run.day, run.run_id))
        packer.configurations(finished.configurations.union(*(run.configurations for run in runs)))
        for run in runs:
            packer.run(run)
        for digest in sorted(packer.blobs):
            packer.text_file(f"blobs/{digest}", digest)
        for digest in sorted(finished.extracts):
            packer.text_file(f"extracts/{digest}", digest)
        for name, digest in sorted(finished.files.items()):
            packer.text_file(name, digest)
        return packer.close(len(runs))


class _Packer:
    """The two archives while they are written; the manifest waits on disk, since it comes last."""

    def __init__(self, root: EvidenceRoot, scratch: Path, files: ExitStack) -> None:
        self._root = root
        self._files = files
        self._paths = (scratch / "chain.tar", scratch / "texts.tar")
        chain, texts = (files.enter_context(durable.new_file(path)) for path in self._paths)
        self._chain, self._texts = TarWriter(chain), TarWriter(texts)
        self._open = (chain, texts)
        self._scratch = scratch
        self._manifest = files.enter_context(durable.new_file(scratch / MANIFEST))
        self._faults: list[tuple[str, str]] = []
        self.blobs: set[str] = set()

    def explain(self, finished: FinishedDay) -> None:
        says = _EXPLANATION.read_bytes()
        self._chain.add(README, says)
        self._texts.add(README, says)
        spans = {"register": finished.register, "findings": finished.findings}
        about = {"format": FORMAT, "day": finished.day.isoformat(), **spans}
        self._manifest.write(orjson.dumps(about, option=orjson.OPT_APPEND_NEWLINE))

    def segment(self, name: str, path: Path, span: Span) -> None:
        """A day's lines of a file that goes on: in two spools, since nobody knows how many there are."""
        start, end = span
        if start == end:
            return
        parting, sha256 = Parting(), hashlib.sha256()
        events, texts = self._spool(f"{name}.events"), self._spool(f"{name}{TEXTS}")
        with open_plain(path) as file:
            file.seek(start)
            while file.tell() < end:
                line = file.readline()
                sha256.update(line)
                (events if parting.is_event(line) else texts).write(line)
        self._add_spool(self._chain, name, events)
        if parting.joins:
            self._add_spool(self._texts, name + TEXTS, texts, unless_empty=True)
        else:
            with open_plain(path) as file:
                file.seek(start)
                self._texts.add_file(name + WHOLE, file, end - start)
        self.blobs |= parting.blobs
        self._name(name, end - start, sha256.hexdigest(), None if parting.follows else "broken_chain")

    def seal(self, number: int) -> None:
        """A seal with its signature and the key that this names."""
        for path in (seal_path(self._root, number), signature_path(self._root, number)):
            self._chain_file(f"seals/{path.name}", path)
        try:
            key = Signature.parse(read_plain(signature_path(self._root, number))).key
        except EvidenceError:
            return  # `verify` has a name for each of these; what there is, is packed
        self._named_bytes(f"keys/seal-{number:06}.pub", f"{key.kind} {key.text}\n".encode("ascii"))

    def witness(self, name: str) -> None:
        """What somebody else says of a seal: a counter-signature, a timestamp."""
        self._chain_file(f"seals/{name}", self._root.seals / name)

    def configurations(self, digests: set[str]) -> None:
        """Every version that these name."""
        names = set(digests)
        for digest in digests:
            try:
                names.update(orjson.loads(self._root.version(digest)).values())
            except (EvidenceError, orjson.JSONDecodeError, AttributeError):
                self._fault(f"policies/{digest}.json", "missing")
        for digest in sorted(names):
            path = self._root.policies / f"{digest}.json"
            if path.exists():  # roster and systems are kept within their policy, and a schema is no document
                self._chain_file(f"policies/{digest}.json", path)

    def run(self, run: ConcludedRun) -> None:
        """A run's log in its two halves."""
        path = self._root.log(run.day, run.run_id)
        name = f"runs/{run.day:%Y/%m/%d}/{run.run_id}/{LOG}"
        if not path.exists():
            if run.head != ZERO:
                self._fault(name, "missing")
            return
        content = read_plain(path)
        parting = Parting(ZERO)
        events: list[bytes] = []
        texts: list[bytes] = []
        for line in io.BytesIO(content):
            (events if parting.is_event(line) else texts).append(line)
        self._chain.add(name, b"".join(events))
        if not parting.joins:
            self._texts.add(name + WHOLE, content)
        elif texts:
            self._texts.add(name + TEXTS, b"".join(texts))
        self.blobs |= parting.blobs
        wrong = None
        if not parting.follows:
            wrong = "broken_chain"
        elif parting.head != run.head:
            wrong = "head_differs"
        self._name(name, len(content), hashlib.sha256(content).hexdigest(), wrong)

    def text_file(self, name: str, digest: str) -> None:
        """A file that the texts hold whole, with the SHA-256 that something names it by."""
        if not all(part not in ("", ".", "..") for part in name.split("/")):
            raise EvidenceError(f"the register names the file {name!r}, which leads out of the root (SEV-1)")
        path = self._root.path / name
        if not path.exists():
            self._fault(name, "missing")
            return
        with open_plain(path) as file:
            size = os.fstat(file.fileno()).st_size
            found = self._texts.add_file(name, file, size)
        self._name(name, size, found, None if found == digest else "content_differs")

    def close(self, runs: int) -> Pack:
        self._add_spool(self._chain, MANIFEST, self._manifest)
        digests = (self._chain.close(), self._texts.close())
        for file in self._open:
            file.flush()
        chain, texts = (
            Packed(path, digest, writer.size)
            for path, digest, writer in zip(self._paths, digests, (self._chain, self._texts), strict=True)
        )
        return Pack(chain, texts, runs, tuple(self._faults))

    def _chain_file(self, name: str, path: Path) -> None:
        if path.exists():
            self._named_bytes(name, read_plain(path))
        else:
            self._fault(name, "missing")

    def _named_bytes(self, name: str, content: bytes) -> None:
        self._chain.add(name, content)
        self._name(name, len(content), hashlib.sha256(content).hexdigest(), None)

    def _name(self, path: str, size: int, digest: str, fault: str | None) -> None:
        self._manifest.write(manifest_line(path, size, digest, **({} if fault is None else {"fault": fault})))
        if fault is not None:
            self._faults.append((path, fault))

    def _fault(self, path: str, fault: str) -> None:
        self._manifest.write(orjson.dumps({"path": path, "fault": fault}, option=orjson.OPT_APPEND_NEWLINE))
        self._faults.append((path, fault))

    def _spool(self, name: str) -> BinaryIO:
        return self._files.enter_context(durable.new_file(self._scratch / name))

    def _add_spool(self, archive: TarWriter, name: str, spool: BinaryIO, *, unless_empty: bool = False) -> None:
        size = spool.tell()
        spool.seek(0)
        if size or not unless_empty:
            archive.add_file(name, spool, size)
