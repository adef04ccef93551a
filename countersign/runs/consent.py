"""An owner's consent to a configuration: what they sign, and whether it stands.

What belongs here: the form of a consent and the two questions about it: is this one good, and are there enough. What
does not: putting a configuration in force (`adoption`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import rfc8785

from countersign.clocks.instant import parse_instant
from countersign.errors import AdoptionRefused
from countersign.evidence.durable import digest_of
from countersign.evidence.lines import Draft, Entry
from countersign.evidence.register import Register
from countersign.runs.owners import OWNERS, SignedWords, require_signed, two_of
from countersign.runs.versions import Versions, VersionStore

SCHEMA = "countersign/adoption/1"
NAMESPACE = "configuration@countersign"
CONSENTED = "configuration_consented"


@dataclass(frozen=True, slots=True)
class Consent:
    """One owner's consent to put a configuration in force after another, with the words that they signed, if any."""

    by: str
    configuration: str
    previous: str
    reason: str
    words: SignedWords | None

    def draft(self) -> Draft:
        """The register's line of it."""
        texts = {"reason": self.reason} | (self.words.texts() if self.words else {})
        return Draft(CONSENTED, self.by, {"configuration": self.configuration, "previous": self.previous}, texts)

    @classmethod
    def read(cls, entry: Entry) -> "Consent":
        """The consent in a register line."""
        data, texts = entry.data, entry.texts
        words = SignedWords.among(texts)
        return cls(entry.actor, data["configuration"], data["previous"], texts["reason"], words)


def what_is_signed(
    manifest: Mapping[str, str], previous: str, by: str, reason: str, environment: str, decided_at: str
) -> bytes:
    """RFC 8785 bytes of a consent; `environment` is the evidence root it is for."""
    return rfc8785.dumps(
        {
            "schema": SCHEMA,
            "environment": environment,
            "configuration": digest_of(rfc8785.dumps(dict(manifest))),
            "manifest": dict(manifest),
            "previous": previous,
            "by": by,
            "reason": reason,
            "decided_at": decided_at,
        }
    )


def require_owner(by: str, in_force: Versions, at: datetime) -> None:
    """Raise AdoptionRefused unless somebody holds an owner's role at an instant, by the roster in force."""
    if in_force.policy.person(by) is None:
        raise AdoptionRefused(f"{by!r} is not on the roster in force; adopt as one of its ids")
    if not any(in_force.people.holds_role(by, role, at).holds for role in OWNERS):
        raise AdoptionRefused(f"{by!r} has none of the roles {', '.join(OWNERS)} that adopt a configuration")


def require_good(consent: Consent, in_force: Versions, environment: str, at: datetime) -> None:
    """Raise AdoptionRefused unless a consent stands, judged by the configuration in force at an instant.

    `at` is when the register saw it.
    """
    require_owner(consent.by, in_force, at)

    def expected(said: Mapping[str, Any]) -> bytes:
        if said["configuration"] != consent.configuration:
            raise ValueError("another configuration")
        return what_is_signed(
            said["manifest"], consent.previous, consent.by, consent.reason, environment, said["decided_at"]
        )

    require_signed(consent.words, consent.by, NAMESPACE, expected, in_force, at, AdoptionRefused)


def enough(consents: Sequence[Consent], in_force: Versions) -> bool:
    """Whether these owners may put a configuration in force: two people, or one where nothing has to be signed."""
    if in_force.policy.sign_off.signature == "optional":
        return bool(consents)
    return bool(two_of((consent.by for consent in consents), in_force))


def standing_consents(entries: Iterable[Entry], configuration: str, previous: str) -> list[Consent]:
    """The consents to this change that no adoption has used up, among the lines of a register."""
    since: list[Entry] = []
    for entry in entries:
        if entry.event == "configuration_adopted":
            since = []
        elif entry.event == CONSENTED:
            since.append(entry)
    return [consent for consent, _ in consents_to(since, configuration, previous)]


def consents_to(entries: Iterable[Entry], configuration: str, previous: str) -> list[tuple[Consent, datetime]]:
    """The consents to this change among register lines, each with when the register saw it."""
    found = ((Consent.read(entry), parse_instant(entry.ts)) for entry in entries if entry.event == CONSENTED)
    return [(one, at) for one, at in found if (one.configuration, one.previous) == (configuration, previous)]


def adoption_faults(register: Register, versions: VersionStore) -> Iterator[str]:
    """What is wrong with the adoptions in a register, each judged by the configuration that was in force before it."""
    environment, in_force, consents = register.environment(), "", list[Entry]()
    for entry in register.records():
        if entry.event == "root_opened":
            if in_force:
                yield f"line {entry.line}: one genesis, and an adoption of whatever follows it"
            in_force = entry.data["configuration"]
        elif entry.event == CONSENTED:
            consents.append(entry)
        elif entry.event == "configuration_adopted":
            configuration, previous = entry.data["configuration"], entry.data["previous"]
            if previous != in_force:
                yield f"line {entry.line}: a successor of the configuration in force, {in_force}"
            before = versions.at(in_force)
            good = []
            for consent, at in consents_to(consents, configuration, previous):
                try:
                    require_good(consent, before, environment, at)
                    good.append(consent)
                except AdoptionRefused as refusal:
                    yield f"line {entry.line}: {refusal}"
            if not enough(good, before):
                yield f"line {entry.line}: the consent of the owners in force to {configuration}"
            in_force, consents = configuration, []
