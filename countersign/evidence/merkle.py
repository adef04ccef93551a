"""The Merkle tree of RFC 6962 (the same as RFC 9162, section 2.1): roots, inclusion and consistency proofs.

What belongs here: hashes in, hashes out. What does not: which bytes are leaves, and who signs a root. A root of a
growing list is kept as a compact range, so that adding to it needs none of the leaves before.
"""

import hashlib
from collections.abc import Iterable, Sequence

EMPTY_ROOT = hashlib.sha256(b"").digest()
_SIZE = 32


def leaf_hash(leaf: bytes) -> bytes:
    """The hash of a leaf: SHA-256 of a zero byte and the leaf."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node: SHA-256 of a one byte and its two children."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class CompactRange:
    """The roots of the perfect subtrees of a list, from the left: one for each bit of its size.

    Raises ValueError for hashes that cannot belong to a list of that size.
    """

    def __init__(self, size: int = 0, hashes: Iterable[bytes] = ()) -> None:
        self.size = size
        self.hashes = list(hashes)
        if size < 0 or len(self.hashes) != size.bit_count() or any(len(part) != _SIZE for part in self.hashes):
            raise ValueError(f"a list of {size} leaves has other subtrees than these {len(self.hashes)}")

    def append(self, leaf: bytes) -> None:
        """Add a leaf at the end."""
        self.append_hash(leaf_hash(leaf))

    def append_hash(self, hashed: bytes) -> None:
        """Add a leaf that is hashed already."""
        full = self.size
        while full & 1:
            hashed = node_hash(self.hashes.pop(), hashed)
            full >>= 1
        self.hashes.append(hashed)
        self.size += 1

    @property
    def root(self) -> bytes:
        """The root over all leaves so far."""
        if not self.hashes:
            return EMPTY_ROOT
        root = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            root = node_hash(left, root)
        return root


def root_of(hashes: Iterable[bytes]) -> bytes:
    """The root over hashed leaves."""
    tree = CompactRange()
    for hashed in hashes:
        tree.append_hash(hashed)
    return tree.root


def inclusion_proofs(hashes: Iterable[bytes], indexes: Iterable[int]) -> dict[int, list[bytes]]:
    """The paths from these leaves to the root over all of them (RFC 6962, 2.1.1), at the cost of computing it once.

    Raises ValueError for an index that has no leaf.
    """
    level = list(hashes)
    proofs: dict[int, list[bytes]] = {index: [] for index in indexes}
    if outside := [index for index in proofs if not 0 <= index < len(level)]:
        raise ValueError(f"there is no leaf {outside[0]} among {len(level)}")
    depth = 0
    while len(level) > 1:
        for index, proof in proofs.items():
            beside = (index >> depth) ^ 1
            if beside < len(level):  # the last node of an odd level goes up as it is
                proof.append(level[beside])
        odd = level[-1:] if len(level) % 2 else []
        level = [*map(node_hash, level[::2], level[1::2]), *odd]
        depth += 1
    return proofs


def consistency_proof(hashes: Sequence[bytes], size: int) -> list[bytes]:
    """What shows that the first `size` leaves are where they were before the others came (RFC 6962, 2.1.2)."""
    if not 0 < size <= len(hashes):
        raise ValueError(f"there is no list of {size} leaves before one of {len(hashes)}")
    return _subproof(hashes, size, whole=True)


def _subproof(hashes: Sequence[bytes], size: int, *, whole: bool) -> list[bytes]:
    if size == len(hashes):
        return [] if whole else [root_of(hashes)]
    split = _split(len(hashes))
    if size <= split:
        return [*_subproof(hashes[:split], size, whole=whole), root_of(hashes[split:])]
    return [*_subproof(hashes[split:], size - split, whole=False), root_of(hashes[:split])]


def _split(count: int) -> int:
    """The largest power of two below a count."""
    return 1 << (count - 1).bit_length() - 1


def includes(root: bytes, size: int, index: int, hashed: bytes, proof: Sequence[bytes]) -> bool:
    """Whether a proof shows that a hashed leaf stands at `index` under a root (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size or any(len(part) != _SIZE for part in (root, hashed, *proof)):
        return False
    node, last, found = index, size - 1, hashed
    for part in proof:
        if last == 0:
            return False
        if node & 1 or node == last:
            found = node_hash(part, found)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            found = node_hash(found, part)
        node, last = node >> 1, last >> 1
    return last == 0 and found == root


def extends(old: bytes, old_size: int, new: bytes, new_size: int, proof: Sequence[bytes]) -> bool:
    """Whether a proof shows that a tree is an older one with leaves added (RFC 9162, 2.1.4.2)."""
    if old_size == new_size:
        return old == new and not proof
    if old_size == 0:
        return old == EMPTY_ROOT and new_size > 0 and not proof
    if not 0 < old_size < new_size or not proof or any(len(part) != _SIZE for part in (old, new, *proof)):
        return False
    parts = list(proof)
    if old_size & (old_size - 1) == 0:
        parts.insert(0, old)
    node, last = old_size - 1, new_size - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    was = now = parts[0]
    for part in parts[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            was, now = node_hash(part, was), node_hash(part, now)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            now = node_hash(now, part)
        node, last = node >> 1, last >> 1
    return last == 0 and (was, now) == (old, new)
