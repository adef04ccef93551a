"""What a seal says: the state of a whole root in one small statement, to be signed and carried elsewhere.

What belongs here: the statement's form, where it lies, reading it back. What does not: making and signing one
(`sealing`), and judging the ones that are kept (`seals`).

A statement is RFC 8785 bytes. `range` are the roots of the perfect subtrees over the register's raw lines, from which
`root` follows and from which the next seal goes on without reading the lines before.
"""

import hashlib
import re
from collections.abc import Iterable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

import orjson
import rfc8785

from countersign.clocks.instant import parse_instant, stamp
from countersign.errors import EvidenceError, TamperedError
from countersign.evidence import durable
from countersign.evidence.lines import ZERO
from countersign.evidence.merkle import CompactRange
from countersign.evidence.plain import open_plain, read_plain
from countersign.evidence.root import EvidenceRoot
from countersign.evidence.signature import Signature
from countersign.evidence.signers import PublicKey

SCHEMA = "countersign-seal/1"
_NAME = re.compile(r"(\d{6})\.json", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Extent:
    """How far a chained file goes: its size in bytes and the head there; 0 and 64 zeros for one that is absent."""

    size: int = 0
    head: str = ZERO


@dataclass(frozen=True, slots=True)
class Seal:
    """The state of a root at an instant.

    `environment` is the SHA-256 of the register's first line, so that a seal of one root is none of another;
    `previous` the SHA-256 of the seal before; `subtrees` the compact range over the register's `lines` raw lines;
    `segment` the SHA-256 of what came since the seal before, so that the register is quickly held against its seals.
    """

    number: int
    previous: str
    environment: str
    at: str
    policy: str
    register: Extent
    lines: int
    subtrees: tuple[str, ...]
    segment: str
    findings: Extent

    @property
    def tree(self) -> CompactRange:
        """The Merkle tree over the register's lines, ready to be gone on with. Raises ValueError."""
        return CompactRange(self.lines, map(bytes.fromhex, self.subtrees))

    @property
    def root(self) -> str:
        """The RFC 6962 root over the register's lines."""
        return self.tree.root.hex()

    @property
    def statement(self) -> bytes:
        """The bytes that are signed."""
        return rfc8785.dumps(
            {
                "schema": SCHEMA,
                "number": self.number,
                "previous": self.previous,
                "environment": self.environment,
                "at": self.at,
                "policy": self.policy,
                "register": {
                    "bytes": self.register.size,
                    "lines": self.lines,
                    "head": self.register.head,
                    "root": self.root,
                    "range": list(self.subtrees),
                    "segment": self.segment,
                },
                "findings": {"bytes": self.findings.size, "head": self.findings.head},
            }
        )

    @property
    def digest(self) -> str:
        """What the next seal and the register call this one by."""
        return hashlib.sha256(self.statement).hexdigest()


def parse_seal(raw: bytes, where: Path) -> Seal:
    """A seal from its statement. Raises TamperedError unless the bytes are the only ones that could say it."""
    try:
        said = orjson.loads(raw)
        register, findings = said["register"], said["findings"]
        seal = Seal(
            said["number"],
            said["previous"],
            said["environment"],
            stamp(parse_instant(said["at"])),
            said["policy"],
            Extent(register["bytes"], register["head"]),
            register["lines"],
            tuple(register["range"]),
            register["segment"],
            Extent(findings["bytes"], findings["head"]),
        )
        heads = (seal.register.head, seal.segment, seal.findings.head)
        digests = (seal.previous, seal.environment, seal.policy, *heads, *seal.subtrees)
        numbers = (seal.number, seal.lines, seal.register.size, seal.findings.size)
        if not all(map(_SHA256.fullmatch, digests)) or any(type(number) is not int for number in numbers):
            raise ValueError("a digest or a number is none")
        if seal.statement != raw:
            raise ValueError("it would be written otherwise")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TamperedError(f"{where}: not a seal as it is written: {error} (SEV-1)") from error
    return seal


def seal_path(root: EvidenceRoot, number: int) -> Path:
    """The file of a seal's statement."""
    return root.seals / f"{number:06}.json"


def signature_path(root: EvidenceRoot, number: int) -> Path:
    """The file of a seal's signature, under the name that ssh-keygen gives it."""
    return root.seals / f"{number:06}.json.sig"


def witness_path(root: EvidenceRoot, number: int, witness: str) -> Path:
    """The file of an observer's counter-signature."""
    return root.seals / f"{number:06}.json.{witness}.sig"


def timestamp_path(root: EvidenceRoot, number: int) -> Path:
    """The file of a timestamp over a seal's signature."""
    return root.seals / f"{number:06}.tsr"


def sealing_alone(root: EvidenceRoot) -> AbstractContextManager[None]:
    """Nobody else adds to the seals of this root, or judges them, meanwhile."""
    return durable.alone(root.seals / ".lock")


def seal_numbers(root: EvidenceRoot) -> list[int]:
    """The numbers that have a statement, ascending."""
    if not root.seals.is_dir():
        return []
    return sorted(int(found[1]) for path in root.seals.iterdir() if (found := _NAME.fullmatch(path.name)))


def read_seal(root: EvidenceRoot, number: int) -> Seal:
    """A kept seal. Raises TamperedError where it is none, or another one than its name says."""
    path = seal_path(root, number)
    try:
        content = read_plain(path)
    except EvidenceError as error:
        raise TamperedError(str(error)) from error
    seal = parse_seal(content, path)
    if seal.number != number:
        raise TamperedError(f"{path}: it is the seal {seal.number} (SEV-1)")
    return seal


def key_of(root: EvidenceRoot, number: int) -> PublicKey:
    """The key that a kept seal's signature names, unverified. Raises TamperedError where there is no signature."""
    path = signature_path(root, number)
    try:
        return Signature.parse(read_plain(path)).key
    except EvidenceError as error:
        raise TamperedError(f"{path}: not the signature of seal {number}; restore it from a copy (SEV-1)") from error


def sealing_keys(root: EvidenceRoot) -> list[PublicKey]:
    """The keys that signed the seals of a root, unverified, the first one first; which of them may, no root can say."""
    keys = list[PublicKey]()
    for number in seal_numbers(root):
        with suppress(TamperedError):  # a signature that is none is a fault of its seal
            keys.append(key_of(root, number))
    return list(dict.fromkeys(keys))


def first_changed(path: Path, seals: Iterable[Seal]) -> Seal | None:
    """The first of these seals, all from number 1, whose part of the register is not what it was; None where all is.

    As fast as the bytes can be hashed, since no line is looked at.
    """
    start = 0
    with open_plain(path) as file:
        for seal in seals:
            if hashlib.sha256(file.read(seal.register.size - start)).hexdigest() != seal.segment:
                return seal
            start = seal.register.size
    return None
