"""Where the register knows the heads of logs, and the proofs that it does under a seal.

What belongs here: one pass over the register's raw lines for many runs at once. What does not: a single run's proof
for somebody who may see no other (`countersign prove`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from countersign.errors import TamperedError
from countersign.evidence.chain import ChainFile
from countersign.evidence.lines import parse_line
from countersign.evidence.merkle import includes, inclusion_proofs, leaf_hash
from countersign.evidence.root import EvidenceRoot
from countersign.evidence.seal import Seal

_RUN = re.compile(rb'"run_id":"([^"]*)"')


@dataclass(frozen=True, slots=True)
class Position:
    """A raw line, counted from 1; the register's size in bytes at its end; and its path to the root of a seal."""

    line: int
    size: int
    path: tuple[str, ...]


def positions(root: EvidenceRoot, seal: Seal, heads: Mapping[str, str]) -> dict[str, Position]:
    """For each run the line by which the register knows this head of its log.

    Raises TamperedError where there is none under the seal, or the register is not what the seal says.
    """
    hashes: list[bytes] = []
    found: dict[str, tuple[int, int]] = {}
    size = 0
    with ChainFile(root.register).reading() as file:
        for index, raw in enumerate(file):
            if index == seal.lines:
                break
            hashes.append(leaf_hash(raw))
            size += len(raw)
            named = _RUN.search(raw)
            run_id = named[1].decode() if named else ""
            if run_id in heads and (parse_line(raw) or {}).get("head") == heads[run_id]:
                found[run_id] = (index, size)
    for run_id in heads:
        if run_id not in found:
            raise TamperedError(f"{root.register}: seal {seal.number} covers no line with the head of {run_id} (SEV-1)")
    paths = inclusion_proofs(hashes, {index for index, _ in found.values()})
    for index, path in paths.items():
        if not includes(bytes.fromhex(seal.root), seal.lines, index, hashes[index], path):
            raise TamperedError(f"{root.register}: not what seal {seal.number} says of it (SEV-1)")
    return {
        run_id: Position(index + 1, end, tuple(part.hex() for part in paths[index]))
        for run_id, (index, end) in found.items()
    }
