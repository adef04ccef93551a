"""Which configuration is in force: the genesis, then whatever a named owner adopted, from then on and never before.

What belongs here: adopting, and what an adoption would change. What does not: keeping and
building configurations (`versions`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from countersign.clocks.instant import stamp
from countersign.environment import Clock, Entropy, random_bytes, utc_now
from countersign.errors import AdoptionRefused, EvidenceError
from countersign.evidence.index import Index
from countersign.evidence.indexed import IndexedRun
from countersign.evidence.keyring import KeyRing
from countersign.evidence.lines import Draft
from countersign.evidence.register import Register
from countersign.evidence.root import EvidenceRoot
from countersign.policy import Configuration
from countersign.runs.consent import (
    NAMESPACE,
    Consent,
    enough,
    require_good,
    term_in_force,
    what_is_signed,
)
from countersign.runs.owners import OWNERS, require_owner, sign
from countersign.runs.signatures import RosterKeys
from countersign.runs.versions import Versions, VersionStore


@dataclass(frozen=True, slots=True)
class Adoption:
    """What became of a consent: `in_force` says whether the configuration is, `waits_for` who has to consent yet.

    `repeated` says that nothing was written, since it was all there.
    """

    configuration: str
    previous: str
    by: str
    in_force: bool
    repeated: bool = False

    @property
    def waits_for(self) -> str | None:
        """What is missing, in words."""
        return None if self.in_force else f"another of the roles {', '.join(OWNERS)} than {self.by!r}"


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that an adoption would change, by its dotted path; None where it is not there."""

    where: str
    before: str | None
    after: str | None


class ConfigurationDesk:
    """Shows and adopts configurations of an evidence root that is there. Raises EvidenceError where there is none."""

    def __init__(self, path: Path, *, clock: Clock = utc_now, entropy: Entropy = random_bytes) -> None:
        self._root = EvidenceRoot(path).existing()
        self._register = Register(self._root, clock=clock, entropy=entropy)
        self._index = Index(self._root, self._register)
        self._index.sync()
        self._versions = VersionStore(self._root)

    def in_force(self) -> Versions:
        """The configuration adopted last. Raises EvidenceError where its documents are gone."""
        digest = self._index.configuration()
        if digest is None:
            raise EvidenceError(f"{self._root.register}: names no configuration; restore it from a copy (SEV-1)")
        return self._versions.at(digest)

    def adopt(self, configuration: Configuration, by: str, reason: str, keys: KeyRing | None = None) -> Adoption:
        """Consent to a configuration, and put it in force from now on once enough owners have.

        Who may consent, and whether it has to be signed by two people, is judged by the configuration in force. Runs
        that are open keep the one they were opened under. The same again is harmless. Raises AdoptionRefused.
        """
        before = self.in_force()
        previous = before.configuration.digest
        if previous == configuration.digest:
            return Adoption(previous, previous, by, in_force=True, repeated=True)
        if not reason.strip():
            raise AdoptionRefused("an adoption needs a reason")
        RosterKeys(configuration).require_usable()
        term, environment = term_in_force(self._register.records()), self._register.environment()
        now = self._register.now()  # a clock that went back makes no consent older than what it replaces
        require_owner(by, before, now, AdoptionRefused)
        given, _ = term.consents_to(configuration.digest, before, environment)
        fresh: list[Consent] = []
        if all(one.by != by for one in given):
            fresh.append(self._consent(configuration, before, by, reason, keys or KeyRing(), now))
        self._versions.keep(configuration)
        data = {"configuration": configuration.digest, "manifest": configuration.manifest, "previous": previous}
        with self._register.writing() as writer:
            self._index.sync(writer)
            if self._index.configuration() != previous:
                raise AdoptionRefused("another configuration was adopted in the meantime; look at the difference again")
            # counted under the lock: two owners who consent at once must not each wait for the other
            given, _ = term_in_force(writer.entries()).consents_to(configuration.digest, before, environment)
            # a consent is as of the instant that was signed, and an adoption as of now
            drafts: list[tuple[Draft, datetime | None]] = [
                (one.draft(), now) for one in fresh if all(one.by != other.by for other in given)
            ]
            if in_force := enough([*given, *fresh], before):
                drafts.append((Draft("configuration_adopted", by, data), None))
            for draft, at in drafts:
                writer.stage(draft, at)
            if drafts:
                writer.commit()
                self._index.sync(writer)
        return Adoption(configuration.digest, previous, by, in_force=in_force, repeated=not drafts)

    def _consent(
        self, configuration: Configuration, before: Versions, by: str, reason: str, keys: KeyRing, now: datetime
    ) -> Consent:
        """An owner's consent, signed with their own key where that is asked for or at hand."""
        previous, environment = before.configuration.digest, self._register.environment()
        content = what_is_signed(configuration.manifest, previous, by, reason, environment, stamp(now))
        words = sign(content, by, NAMESPACE, before, keys, AdoptionRefused)
        consent = Consent(by, configuration.digest, previous, reason, words)
        require_good(consent, before, environment, now, since=now)
        return consent

    def differences(self, configuration: Configuration) -> list[Difference]:
        """What adopting a configuration would change, field by field."""
        before = self.in_force().configuration.documents
        found: list[Difference] = []
        for name, document in configuration.documents.items():
            found += _differences(name, before[name].model_dump(mode="json"), document.model_dump(mode="json"))
        return found

    def touched_runs(self) -> list[IndexedRun]:
        """Open runs that were opened under an earlier configuration or the one in force, and would keep it.

        Who may sign them follows from the configuration in force when they are signed.
        """
        return [run for run in self._index.all_runs() if not run.closed and run.superseded_by is None]


def _differences(where: str, before: Any, after: Any) -> list[Difference]:
    if before == after:
        return []
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        found = []
        for key in dict.fromkeys([*before, *after]):
            found += _differences(f"{where}.{key}", before.get(key), after.get(key))
        return found
    if isinstance(before, list) and isinstance(after, list):
        one, other = _by_id(before), _by_id(after)
        if one is not None and other is not None:
            return _differences(where, one, other)
    return [Difference(where, _shown(before), _shown(after))]


def _by_id(items: list[Any]) -> dict[str, Any] | None:
    """List entries by their `id` or `name`, so that an added entry does not shift all the others; None without them."""
    named = {str(item.get("id") or item.get("name")): item for item in items if isinstance(item, Mapping)}
    return named if len(named) == len(items) and "None" not in named else None


def _shown(value: Any) -> str | None:
    return None if value is None else str(value)
