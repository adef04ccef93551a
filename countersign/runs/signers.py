"""Everybody whose key ever counted in an evidence root, for whoever verifies its history with stock `ssh-keygen`.

What belongs here: from the configurations that a register adopted to one `allowed_signers`. What does not: the keys of
one configuration (`signatures`), and those that seal and witness, which no roster has.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from countersign.clocks.instant import parse_instant
from countersign.evidence.register import Register
from countersign.evidence.root import EvidenceRoot
from countersign.evidence.signers import PublicKey, Signer
from countersign.policy import read_kept
from countersign.runs.signatures import RosterKeys

_CONFIGURED = ("root_opened", "configuration_adopted")
_Role = tuple[str, str, PublicKey]
_SECOND = timedelta(seconds=1)  # to which ssh-keygen is told an instant; what was signed in that second still counts


def adopted(root: EvidenceRoot) -> list[tuple[datetime, str]]:
    """The configurations that were ever in force, each by its digest with since when, in the order of the register."""
    entries = Register(root).records()
    return [(parse_instant(one.ts), one.data["configuration"]) for one in entries if one.event in _CONFIGURED]


def signers_ever(root: EvidenceRoot) -> list[Signer]:
    """Every key that a roster in force ever had: a line for each person and namespace that it was given to.

    Valid from the earliest instant that a roster gave it, to the one that the last roster with that key gave it, and no
    longer than it stood on a roster at all: nothing is signed under a roster that is not in force. So a key that was
    voided keeps its end when it leaves, and one that left before it was valid has no line. Raises EvidenceError where a
    configuration is not kept or cannot be read.
    """
    found: dict[_Role, Signer] = {}
    ends: dict[PublicKey, datetime | None] = {}
    left: dict[_Role, datetime] = {}
    for at, digest in adopted(root):
        given = {(one.principal, one.namespace, one.key): one for one in _signers(root, digest)}
        for role in found.keys() - given.keys():
            left.setdefault(role, at)
        for role, signer in given.items():
            left.pop(role, None)
            ends[signer.key] = signer.valid_before
            found[role] = min(found.get(role, signer), signer, key=_since)
    until = {role: at.replace(microsecond=0) + _SECOND for role, at in left.items()}
    bounded = (_ending(signer, ends[signer.key], until.get(role)) for role, signer in found.items())
    return [signer for signer in bounded if signer.valid_before is None or _since(signer) < signer.valid_before]


def _signers(root: EvidenceRoot, digest: str) -> list[Signer]:
    return RosterKeys(read_kept(digest, root.version)).signers


def _since(signer: Signer) -> datetime:
    assert signer.valid_after is not None  # a roster gives every key one
    return signer.valid_after


def _ending(signer: Signer, *ends: datetime | None) -> Signer:
    """The same with the first of these ends."""
    return replace(signer, valid_before=min((end for end in ends if end is not None), default=None))
