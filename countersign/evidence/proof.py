"""Proofs that a register line is under a seal, without showing any other line.

What belongs here: making one from a root, and judging one with the seal alone. What does not: which lines to prove.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from countersign.evidence.chain import ChainFile
from countersign.evidence.merkle import includes, inclusion_proofs, leaf_hash
from countersign.evidence.root import EvidenceRoot
from countersign.evidence.seal import Seal


@dataclass(frozen=True, slots=True)
class Inclusion:
    """A register line, its number from 0, and the RFC 6962 path from it to the root in a seal."""

    line: str
    index: int
    path: tuple[str, ...]

    def holds(self, seal: Seal) -> bool:
        """Whether the line stands there under the seal's root."""
        path = [bytes.fromhex(part) for part in self.path]
        return includes(bytes.fromhex(seal.root), seal.lines, self.index, leaf_hash(self.line.encode("utf-8")), path)


def prove(root: EvidenceRoot, seal: Seal, indexes: Iterable[int]) -> list[Inclusion]:
    """The inclusion of these lines of the register in a seal; ones that came after it are left out."""
    wanted = {index for index in indexes if index < seal.lines}
    lines: dict[int, str] = {}
    hashes: list[bytes] = []
    with ChainFile(root.register).reading() as file:
        for index, raw in enumerate(file):
            if index == seal.lines:
                break
            hashes.append(leaf_hash(raw))
            if index in wanted:
                lines[index] = raw.decode("utf-8")
    proofs = inclusion_proofs(hashes, sorted(lines))
    return [Inclusion(lines[index], index, tuple(part.hex() for part in path)) for index, path in proofs.items()]
