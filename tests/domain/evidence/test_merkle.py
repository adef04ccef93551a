"""The published vectors of RFC 6962 both ways, and a second, plain reading of the RFC for every small tree."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from countersign.evidence.merkle import (
    EMPTY_ROOT,
    CompactRange,
    consistency_proof,
    extends,
    includes,
    inclusion_proofs,
    leaf_hash,
    node_hash,
    root_of,
)

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[2] / "vectors" / "rfc6962.json").read_text("utf-8"))
HASHES = [leaf_hash(bytes.fromhex(leaf)) for leaf in VECTORS["leaves"]]
ROOTS = [bytes.fromhex(root) for root in VECTORS["roots"]]
SOME = bytes.fromhex("abacaba000000000000000000000000000000000000000000060061e00123456")


def proof_of(vector: dict[str, Any]) -> list[bytes]:
    return [bytes.fromhex(part) for part in vector["proof"]]


def inclusion_proof(hashes: list[bytes], index: int) -> list[bytes]:
    return inclusion_proofs(hashes, [index])[index]


def corrupted(proof: list[bytes], *roots: bytes) -> Iterator[list[bytes]]:
    """Every way in which the reference tests spoil a proof."""
    for garbage in (b"", *roots):
        yield [*proof, garbage]
        yield [garbage, *proof]
    for number, part in enumerate(proof):
        yield [*proof[:number], bytes([part[0] ^ 8]) + part[1:], *proof[number + 1 :]]
    if proof:
        yield proof[:-1]
    if len(proof) > 1:
        yield [proof[0], SOME, *proof[1:]]
        yield proof[::-1]


def test_the_hashes_are_those_of_the_rfc() -> None:
    assert VECTORS["empty_root"] == EMPTY_ROOT.hex() == root_of([]).hex()
    for leaf, hashed in VECTORS["leaf_hashes"].items():
        assert leaf_hash(bytes.fromhex(leaf)).hex() == hashed
    for left, right, hashed in VECTORS["node_hashes"]:
        assert node_hash(bytes.fromhex(left), bytes.fromhex(right)).hex() == hashed
    assert [root_of(HASHES[:size]).hex() for size in range(1, 9)] == VECTORS["roots"]


@pytest.mark.parametrize("vector", VECTORS["inclusion"], ids=lambda vector: f"{vector['index']}-of-{vector['size']}")
def test_a_published_inclusion_proof_is_made_accepted_and_refused_when_spoilt(vector: dict[str, Any]) -> None:
    index, size, proof = vector["index"], vector["size"], proof_of(vector)
    root, leaf = ROOTS[size - 1], HASHES[index]
    assert inclusion_proof(HASHES[:size], index) == proof
    assert includes(root, size, index, leaf, proof)
    for spoilt in corrupted(proof, root):
        assert not includes(root, size, index, leaf, spoilt)
    for other in (index - 1, index + 1, index ^ 2):
        assert not includes(root, size, other, leaf, proof)
    for other in (size * 2, size // 2, 0, -1):
        assert not includes(root, other, index, leaf, proof)
    for other_root, other_leaf in ((EMPTY_ROOT, leaf), (SOME, leaf), (root, SOME), (root, b"WrongLeaf"), (b"", leaf)):
        assert not includes(other_root, size, index, other_leaf, proof)


@pytest.mark.parametrize("vector", VECTORS["consistency"], ids=lambda vector: f"{vector['old']}-to-{vector['new']}")
def test_a_published_consistency_proof_is_made_accepted_and_refused_when_spoilt(vector: dict[str, Any]) -> None:
    old, new, proof = vector["old"], vector["new"], proof_of(vector)
    was, now = ROOTS[old - 1], ROOTS[new - 1]
    assert consistency_proof(HASHES[:new], old) == proof
    assert extends(was, old, now, new, proof)
    for spoilt in corrupted(proof, was, now):
        assert not extends(was, old, now, new, spoilt)
    if old != new:
        for sizes in ((old - 1, new), (old + 1, new), (old ^ 2, new), (old, new * 2), (old, new // 2), (new, old)):
            assert not extends(was, sizes[0], now, sizes[1], proof)
        assert not extends(now, old, was, new, proof)
        assert not extends(was, old, now, new, [])
    for other in (b"WrongRoot", SOME):
        assert not extends(other, old, now, new, proof)
        assert not extends(was, old, other, new, proof)


@pytest.mark.parametrize(
    ("old", "new", "was", "now", "proof", "holds"),
    [
        (0, 0, EMPTY_ROOT, EMPTY_ROOT, [], True),
        (0, 1, EMPTY_ROOT, ROOTS[0], [], True),
        (1, 1, ROOTS[0], ROOTS[0], [], True),
        (0, 0, EMPTY_ROOT, ROOTS[0], [], False),
        (0, 1, ROOTS[0], ROOTS[0], [], False),
        (1, 1, EMPTY_ROOT, ROOTS[0], [], False),
        (0, 0, EMPTY_ROOT, EMPTY_ROOT, [EMPTY_ROOT], False),
        (0, 1, EMPTY_ROOT, ROOTS[0], [EMPTY_ROOT], False),
        (1, 1, ROOTS[0], ROOTS[0], [EMPTY_ROOT], False),
        (1, 0, ROOTS[0], EMPTY_ROOT, [], False),
        (2, 1, ROOTS[1], ROOTS[0], [], False),
        (1, 2, ROOTS[0], ROOTS[1], [], False),
        (-1, 1, EMPTY_ROOT, ROOTS[0], [SOME], False),
    ],
)
def test_the_edges_of_consistency(old: int, new: int, was: bytes, now: bytes, proof: list[bytes], holds: bool) -> None:
    assert extends(was, old, now, new, proof) is holds


@pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 0), (1, 1), (2, 1)])
def test_there_is_no_leaf_outside_of_a_tree(index: int, size: int) -> None:
    assert not includes(EMPTY_ROOT, size, index, SOME, [])
    with pytest.raises(ValueError, match="no leaf"):
        inclusion_proof(HASHES[:size], index)


def test_a_proof_of_what_never_was_cannot_be_asked_for() -> None:
    for size in (0, 9):
        with pytest.raises(ValueError, match="no list"):
            consistency_proof(HASHES, size)
    for wrong in ((1, []), (0, [SOME]), (-1, []), (1, [b"short"])):
        with pytest.raises(ValueError, match="other subtrees"):
            CompactRange(*wrong)


def by_the_book(leaves: list[bytes]) -> bytes:
    """The root as RFC 6962, 2.1 defines it, word for word and from the leaves."""
    if len(leaves) <= 1:
        return hashlib.sha256(b"\0" + leaves[0] if leaves else b"").digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\1" + by_the_book(leaves[:split]) + by_the_book(leaves[split:])).digest()


def test_every_tree_of_up_to_40_leaves_agrees_with_the_definition_and_proves_itself() -> None:
    leaves = [bytes([number]) * (number % 7) for number in range(40)]
    hashes = [leaf_hash(leaf) for leaf in leaves]
    tree = CompactRange()
    roots = [tree.root]
    for leaf in leaves:
        tree.append(leaf)
        roots.append(tree.root)
        tree = CompactRange(tree.size, tree.hashes)  # kept and taken up again
    assert roots == [by_the_book(leaves[:size]) for size in range(41)]
    for size in range(1, 41):
        for number in range(size):
            assert includes(roots[size], size, number, hashes[number], inclusion_proof(hashes[:size], number))
        for old in range(1, size + 1):
            assert extends(roots[old], old, roots[size], size, consistency_proof(hashes[:size], old))
