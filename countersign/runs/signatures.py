"""Signatures by people of the roster, checked with the keys that a configuration gives them.

What belongs here: from a configuration to its `allowed_signers`, and verifying against it. What does not: what is
signed, and what follows from a signature that does not stand.
"""

import re
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from countersign.errors import PolicyError, SignatureError
from countersign.evidence.durable import digest_of
from countersign.evidence.signature import verify
from countersign.evidence.signers import PublicKey, Signer, allowed_signers
from countersign.policy import Configuration


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature that stands: by which key, whether that is one of the demonstration, and when the key is valid."""

    fingerprint: str
    demo: bool
    valid_after: datetime
    valid_before: datetime | None

    def stands_at(self, at: datetime) -> bool:
        """Whether the key, and with it the signature, is valid at an instant."""
        return self.valid_after <= at and (self.valid_before is None or at < self.valid_before)


class RosterKeys:
    """The keys of everybody on the roster of one configuration."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._stood: dict[tuple[str, str, str, str], Signed] = {}

    def of(self, person: str, namespace: str) -> list[PublicKey]:
        """The keys that somebody may sign with in a namespace, the newest first, valid now or not."""
        keys = [key for key, _ in self._configuration.keys_of(person) if key.namespace == namespace]
        return [PublicKey.parse(key.key) for key in sorted(keys, key=lambda key: key.valid_after, reverse=True)]

    @cached_property
    def allowed_signers(self) -> bytes:
        """The `allowed_signers` file of stock `ssh-keygen`: a line for each key. Raises SignatureError."""
        return allowed_signers(self.signers)

    @property
    def signers(self) -> list[Signer]:
        """Who may sign in which namespace with each key of this roster, and from when until when."""
        return [
            Signer(person.id, key.namespace, PublicKey.parse(key.key), key.valid_after, key.valid_before)
            for person in self._configuration.policy.people
            for key, _ in self._configuration.keys_of(person.id)
        ]

    def require_usable(self) -> None:
        """Raise PolicyError where nobody's signature could be checked, since `allowed_signers` cannot be written.

        Asked before a configuration counts: once in force, its owners could not sign for the one that mends it.
        """
        try:
            _ = self.allowed_signers
        except SignatureError as error:
            raise PolicyError(f"people: keys: {error}") from error

    def verify(self, content: bytes, signature: bytes, *, person: str, namespace: str, at: datetime) -> Signed:
        """Verify that somebody signed, with a key that was valid at an instant. Raises SignatureError.

        A statement about many runs is verified once: whether the same bytes stand at another instant is a matter of
        the key's validity alone, and where that says no, ssh-keygen says why.
        """
        second = at.astimezone(UTC).replace(microsecond=0)
        asked = (digest_of(content), digest_of(signature), person, namespace)
        stood = self._stood.get(asked)
        if stood is None or not stood.stands_at(second):
            stood = self._stood[asked] = self._verify(content, signature, person, namespace, second)
        return stood

    def _verify(self, content: bytes, signature: bytes, person: str, namespace: str, at: datetime) -> Signed:
        with tempfile.NamedTemporaryFile(suffix=".allowed_signers") as file:
            file.write(self.allowed_signers)
            file.flush()
            try:
                said = verify(
                    content, signature, principal=person, namespace=namespace, at=at, allowed_signers=Path(file.name)
                )
            except SignatureError as error:
                why = re.sub(rf"{re.escape(file.name)}:\d+: ", "", str(error))  # a file that nobody can look at
                has = ", ".join(key.fingerprint for key in self.of(person, namespace)) or "no key"
                raise SignatureError(f"{why} The roster has {has} of {person!r} for {namespace}.") from error
        own = self._configuration.keys_of(person)
        keys = {PublicKey.parse(key.key): (key, demo) for key, demo in own if key.namespace == namespace}
        key, demo = keys[said.key]
        return Signed(said.key.fingerprint, demo, key.valid_after, key.valid_before)

    @cached_property
    def everybody(self) -> dict[PublicKey, str]:
        """Every key on this roster, with whose it is."""
        return {signer.key: signer.principal for signer in self.signers}

    def void_since(self, key: PublicKey) -> datetime | None:
        """From when on this roster takes nothing by a key any more: the date of its compromise, or None."""
        return self._ends.get(key)

    @cached_property
    def _ends(self) -> dict[PublicKey, datetime | None]:
        return {signer.key: signer.valid_before for signer in self.signers}
