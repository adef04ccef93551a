"""The configuration: every controlled document, taking effect together and named by one digest.

What belongs here: which documents there are, and their manifest. What does not: which configuration is in force, which
the register says.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import rfc8785

from countersign.clocks.calendar import Calendar
from countersign.errors import PolicyError
from countersign.policy.demo import DemoSigners
from countersign.policy.document import Catalogue, Policy
from countersign.policy.load import load_calendar, load_catalogue, load_demo_signers, load_policy
from countersign.policy.roster import SigningKey
from countersign.policy.section import Kept

SCHEMA = "countersign/configuration/1"


@dataclass(frozen=True)
class Configuration:
    """One version of policy, catalogue, business calendar and, in a demonstration, its keys.

    `kept_as` is the manifest of one that was read from an evidence root, where it may be of an older schema.
    """

    policy: Policy
    catalogue: Catalogue
    calendar: Calendar
    demo_signers: DemoSigners | None = None
    kept_as: Mapping[str, str] | None = None

    @property
    def documents(self) -> dict[str, Kept | Calendar]:
        """The documents by name; each is kept in the evidence root under its own digest."""
        documents: dict[str, Kept | Calendar] = {
            "policy": self.policy,
            "catalogue": self.catalogue,
            "calendar": self.calendar,
        }
        return documents if self.demo_signers is None else {**documents, "demo_signers": self.demo_signers}

    def keys_of(self, person_id: str) -> list[tuple[SigningKey, bool]]:
        """The keys that somebody may sign with, each with whether it is one of the demonstration."""
        person = self.policy.person(person_id)
        demo = self.demo_signers.signers if self.demo_signers else []
        own = [(key, False) for key in (person.keys if person else [])]
        return own + [(key, True) for signer in demo if signer.person == person_id for key in signer.keys]

    @cached_property
    def manifest(self) -> dict[str, str]:
        """SHA-256 of each document, and of the parts of the policy that people ask after by themselves; its schema."""
        if self.kept_as is not None:
            return dict(self.kept_as)
        documents = {"schema": SCHEMA, **{name: document.digest for name, document in self.documents.items()}}
        return {**documents, "roster": self.policy.digest_of("people"), "systems": self.policy.digest_of("systems")}

    @cached_property
    def named(self) -> dict[str, str]:
        """How a run's log and a workpaper name it: the digest, the manifest, and what the owners call the documents."""
        versions = {
            "policy_version": self.policy.version,
            "catalogue_version": self.catalogue.version,
            "calendar_version": self.calendar.version,
        }
        return {"digest": self.digest, **self.manifest, **versions}

    @cached_property
    def canonical(self) -> bytes:
        """RFC 8785 bytes of the manifest, which is kept in the evidence root beside the documents."""
        return rfc8785.dumps(self.manifest)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of `canonical`, in hexadecimal."""
        return hashlib.sha256(self.canonical).hexdigest()


def load_configuration(policy_path: Path) -> Configuration:
    """The policy in a file and the documents that it names. Raises PolicyError naming the file and the field."""
    policy = load_policy(policy_path)
    return complete(policy, policy_path)


def complete(policy: Policy, policy_path: Path) -> Configuration:
    """A policy with the documents that it names, relative to a policy file's folder. Raises PolicyError."""
    configuration = Configuration(
        policy,
        load_catalogue(policy, policy_path),
        load_calendar(policy, policy_path),
        load_demo_signers(policy, policy_path),
    )
    asked = policy.model.controls if policy.model else None
    if unknown := sorted(set(asked or ()) - configuration.catalogue.by_id.keys()):
        raise PolicyError(f"{policy_path}: model.controls: the catalogue has no {', '.join(unknown)}")
    return configuration
