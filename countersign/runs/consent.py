"""An owner's consent to a configuration: what they sign, and whether it stands.

What belongs here: the form of a consent, how long it counts, and the two questions about it: is this one good, and are
there enough. What does not: putting a configuration in force (`adoption`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import rfc8785

from countersign.clocks.instant import parse_instant
from countersign.errors import AdoptionRefused
from countersign.evidence.durable import digest_of
from countersign.evidence.lines import Draft, Entry
from countersign.evidence.register import Register
from countersign.runs.owners import SignedWords, require_owner, require_signed, two_of
from countersign.runs.versions import Versions, VersionStore

SCHEMA = "countersign/adoption/1"
NAMESPACE = "configuration@countersign"
CONSENTED = "configuration_consented"
_EVER = datetime.min.replace(tzinfo=UTC)


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
        return cls(entry.actor, data["configuration"], data["previous"], texts.get("reason", ""), words)


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


def require_good(consent: Consent, in_force: Versions, environment: str, at: datetime, since: datetime) -> None:
    """Raise AdoptionRefused unless a consent stands, judged by the configuration in force, adopted at `since`.

    `at` is when the register saw it. What was signed before `since` is of another time when that was in force, and
    would put back in force, by whoever copies it, what was given up since.
    """
    require_owner(consent.by, in_force, at, AdoptionRefused)

    def expected(said: Mapping[str, Any]) -> bytes:
        if said["configuration"] != consent.configuration:
            raise ValueError("another configuration")
        return what_is_signed(
            said["manifest"], consent.previous, consent.by, consent.reason, environment, said["decided_at"]
        )

    if require_signed(consent.words, consent.by, NAMESPACE, expected, in_force, at, AdoptionRefused) < since:
        raise AdoptionRefused(f"what {consent.by!r} signed is from before {consent.previous} was adopted")


def enough(consents: Sequence[Consent], in_force: Versions) -> bool:
    """Whether these owners may put a configuration in force: two people, or one where nothing has to be signed."""
    if in_force.policy.sign_off.signature == "optional":
        return bool(consents)
    return bool(two_of((consent.by for consent in consents), in_force))


@dataclass(frozen=True, slots=True)
class Term:
    """A configuration from its adoption on, with the register's lines of consents to whatever shall follow it."""

    configuration: str = ""
    since: datetime = _EVER
    consents: tuple[Entry, ...] = ()

    def after(self, entry: Entry) -> "Term":
        """What is in force after one more register line."""
        if entry.event in ("root_opened", "configuration_adopted"):
            return Term(entry.data["configuration"], parse_instant(entry.ts))
        counts = entry.event == CONSENTED and not entry.missing  # else void, see Register.records
        return replace(self, consents=(*self.consents, entry)) if counts else self

    def consents_to(
        self, configuration: str, in_force: Versions, environment: str
    ) -> tuple[list[Consent], list[AdoptionRefused]]:
        """Those to another configuration that stand, and why the others do not."""
        about = {"configuration": configuration, "previous": self.configuration}
        good, refused = list[Consent](), list[AdoptionRefused]()
        for entry in self.consents:
            if about.items() <= entry.data.items():
                consent = Consent.read(entry)
                try:
                    require_good(consent, in_force, environment, parse_instant(entry.ts), self.since)
                    good.append(consent)
                except AdoptionRefused as refusal:
                    refused.append(refusal)
        return good, refused


def term_in_force(entries: Iterable[Entry]) -> Term:
    """What is in force after these lines of a register."""
    term = Term()
    for entry in entries:
        term = term.after(entry)
    return term


def adoption_faults(register: Register, versions: VersionStore) -> Iterator[str]:
    """What is wrong with the adoptions in a register, each judged by the configuration that was in force before it."""
    environment, term = register.environment(), Term()
    for entry in register.records():
        if entry.event == "root_opened" and term.configuration:
            yield f"line {entry.line}: one genesis, and an adoption of whatever follows it"
        elif entry.event == "configuration_adopted":
            if entry.data["previous"] != term.configuration:
                yield f"line {entry.line}: a successor of the configuration in force, {term.configuration}"
            before = versions.at(term.configuration)
            good, refused = term.consents_to(entry.data["configuration"], before, environment)
            yield from (f"line {entry.line}: {refusal}" for refusal in refused)
            if not enough(good, before):
                yield f"line {entry.line}: the consent of the owners in force to {entry.data['configuration']}"
        term = term.after(entry)
