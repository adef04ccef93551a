"""What an observer signs about a sample: who may, with which key, and whether a kept signature stands.

What belongs here: what nonces and results have in common. What does not: what either of them says.

An observer acts for themself and always signs: neither is worth more than anybody's word that it came from outside.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
import rfc8785

from countersign.clocks.instant import parse_instant
from countersign.errors import SampleRefused, SignatureError
from countersign.evidence.keyring import KeyRing
from countersign.evidence.lines import Draft
from countersign.runs.signatures import RosterKeys
from countersign.runs.versions import Versions
from countersign.sampling.ledger import Said


@dataclass(frozen=True, slots=True)
class Signed:
    """RFC 8785 bytes, and an observer's signature of them."""

    content: bytes
    signature: bytes

    def draft(self, event: str, by: str, data: dict[str, Any]) -> Draft:
        """The register's line of it, with both as they are."""
        return Draft(event, by, data, {"statement": self.content.decode(), "signature": self.signature.decode()})

    @classmethod
    def read(cls, said: Said) -> "Signed":
        """What a register line holds."""
        return cls(said.texts["statement"].encode(), said.texts["signature"].encode())


def require_observer(by: str, versions: Versions, at: datetime) -> None:
    """Raise SampleRefused unless somebody is an observer, by themself, at an instant."""
    if versions.policy.person(by) is None:
        raise SampleRefused(f"{by!r} is not on the roster; sign as one of its ids")
    standing = versions.people.holds_role(by, "observer", at)
    if not standing.holds or standing.acting_for:
        why = f"{by!r} would act for another, and an observer does not" if standing.acting_for else standing.why
        raise SampleRefused(f"the sample is not for {by!r} to observe: {why}")


def sign(content: bytes, by: str, namespace: str, versions: Versions, keys: KeyRing, at: datetime) -> Signed:
    """Have an observer's own key sign. Raises SampleRefused."""
    require_observer(by, versions, at)
    try:
        signature = keys.sign(content, RosterKeys(versions.configuration).of(by, namespace), namespace)
    except SignatureError as error:
        raise SampleRefused(f"{by!r} cannot sign: {error}") from error
    signed = Signed(content, signature)
    require_good(signed, by, namespace, versions, at)
    return signed


def require_good(signed: Signed, by: str, namespace: str, versions: Versions, at: datetime) -> None:
    """Raise SampleRefused unless an observer signed, by the roster that was in force when the register saw it."""
    require_observer(by, versions, at)
    try:
        keys = RosterKeys(versions.configuration)
        keys.verify(signed.content, signed.signature, person=by, namespace=namespace, at=at)
    except SignatureError as error:
        raise SampleRefused(f"the signature of {by!r} does not stand: {error}") from error


def parse(content: bytes, schema: str, what: str, names: Collection[str]) -> dict[str, str]:
    """The fields of a statement, which are these and all text. Raises SampleRefused unless in its only bytes."""
    try:
        said = orjson.loads(content)
        if said["schema"] != schema:
            raise ValueError(f"its schema is not {schema}")
        if set(said) != set(names) or not all(type(value) is str for value in said.values()):
            raise ValueError("its fields are others")
        parse_instant(said["decided_at"])
        if rfc8785.dumps(said) != content:
            raise ValueError("its bytes are not in canonical form (RFC 8785)")
    except (ValueError, KeyError, TypeError, AttributeError, rfc8785.CanonicalizationError) as error:
        raise SampleRefused(f"not {what} as it is signed: {error}") from error
    fields: dict[str, str] = said
    return fields
