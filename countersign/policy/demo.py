"""Throw-away keys of the demonstration: public ones, beside the roster, so that no private key ever ships.

What belongs here: their document. What does not: making keys, and what a signature by one is worth.
"""

from pydantic import Field

from countersign.policy.roster import SigningKey, Text
from countersign.policy.section import Kept, Section


class DemoKeys(Section):
    """The keys that one person of the roster signs with in the demonstration."""

    person: Text
    keys: list[SigningKey] = Field(min_length=1)


class DemoSigners(Kept):
    """Everybody's demonstration keys. What they sign counts like any other and verifies as `demo`."""

    version: str = Field(min_length=1)
    signers: list[DemoKeys]
