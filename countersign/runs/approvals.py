"""Acts that two people answer for: a legal hold, its release, a purge, the erasure of a text.

What belongs here: what an approval says and signs, and whether one stands. What does not: doing the act. Two are needed
even where the policy asks for no signature; a signature then only says more.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import rfc8785

from countersign.clocks.instant import stamp
from countersign.errors import CountersignError, RetentionRefused
from countersign.evidence.keyring import KeyRing
from countersign.evidence.lines import Draft
from countersign.evidence.register import Register
from countersign.runs.owners import OWNERS, SignedWords, require_signed, sign, two_of
from countersign.runs.versions import Versions, VersionStore

ACTOR = "countersign"
SCHEMA = "countersign/retention/1"
NAMESPACE = "retention@countersign"
APPROVED = "retention_approved"
GOOD_FOR = timedelta(days=30)  # after that the first of the two is asked again


@dataclass(frozen=True, slots=True)
class Act:
    """What is to be done, and to what; `what` is the event that says that it was done."""

    what: str
    on: Mapping[str, Any] = field(default_factory=dict)

    @property
    def canonical(self) -> bytes:
        """RFC 8785 bytes, by which two people are seen to mean the same act."""
        return rfc8785.dumps({"act": self.what, "on": dict(self.on)})


@dataclass(frozen=True, slots=True)
class Approval:
    """One person's approval of an act at an instant, with the words that they signed, if any."""

    act: Act
    by: str
    at: datetime
    reason: str
    words: SignedWords | None = None

    def draft(self) -> Draft:
        """The register's line of it."""
        texts = {"reason": self.reason} | (self.words.texts() if self.words else {})
        return Draft(APPROVED, self.by, {"act": self.act.what, "on": dict(self.act.on)}, texts)

    @classmethod
    def read(cls, data: Mapping[str, Any], by: str, at: datetime, texts: Mapping[str, str]) -> "Approval":
        """The approval in a register line. Raises KeyError for one that is not of its form."""
        return cls(Act(data["act"], data["on"]), by, at, texts.get("reason", ""), SignedWords.among(texts))


@dataclass(frozen=True, slots=True)
class Approver:
    """Who approves, why, and with which keys at hand."""

    by: str
    reason: str
    keys: KeyRing


@dataclass(frozen=True, slots=True)
class Done:
    """An act that the register says was done at an instant, by these people, with the approvals that came before it.

    Each approval comes with the digest of the configuration that was in force then.
    """

    act: Act
    at: datetime
    by: tuple[str, ...]
    approvals: tuple[tuple[Approval, str], ...]


def settle(
    act: Act, approver: Approver, waiting: Iterable[Approval], versions: Versions, register: Register, now: datetime
) -> tuple[list[str], bool]:
    """Put an approval on record, and the act with it where it is the second; who approved, and whether it may be done.

    `waiting` are the approvals of this act that are on record already. Raises RetentionRefused.
    """
    environment = register.environment()
    given = [one for one in waiting if now - one.at <= GOOD_FOR and _stands(one, versions, environment)]
    drafts = []
    if approver.by not in {one.by for one in given}:
        given.append(approve(act, approver.by, approver.reason, versions, approver.keys, environment, now))
        drafts.append(given[-1].draft())
    by = two_of((one.by for one in given), versions)
    if by:
        drafts.append(Draft(act.what, ACTOR, {**act.on, "by": by}))
    if drafts:
        register.append_many(drafts)
    return by or sorted({one.by for one in given}), bool(by)


def _stands(approval: Approval, versions: Versions, environment: str) -> bool:
    try:
        require_good(approval, versions, environment)
    except RetentionRefused:
        return False
    return True


def why_not_by_two(done: Done, versions: VersionStore, in_force: Versions, environment: str) -> str | None:
    """Why an act was not approved by two people, each judged by the configuration of then; None where it was."""
    good: list[Approval] = []
    why = "nobody approved it"
    for approval, configuration in done.approvals:
        try:
            require_good(approval, versions.at(configuration), environment)
        except CountersignError as error:
            why = str(error)
        else:
            good += [approval] if done.at - approval.at <= GOOD_FOR else []
    if two_of((approval.by for approval in good), in_force):
        return None
    return f"only {good[0].by!r} approved it" if good else why


def approve(
    act: Act, by: str, reason: str, versions: Versions, keys: KeyRing, environment: str, now: datetime
) -> Approval:
    """An owner's approval, signed where that is asked for or a key is at hand. Raises RetentionRefused."""
    if not reason.strip():
        raise RetentionRefused(f"{act.what}: needs a reason")
    require_owner(act, by, versions, now)
    content = _what_is_signed(act, by, reason, environment, stamp(now))
    approval = Approval(act, by, now, reason, sign(content, by, NAMESPACE, versions, keys, RetentionRefused))
    require_good(approval, versions, environment)
    return approval


def require_good(approval: Approval, versions: Versions, environment: str) -> None:
    """Raise RetentionRefused unless an approval stands, judged by the configuration that was in force when it came."""
    act, by = approval.act, approval.by
    require_owner(act, by, versions, approval.at)

    def expected(said: Mapping[str, Any]) -> bytes:
        return _what_is_signed(act, by, approval.reason, environment, said["decided_at"])

    require_signed(approval.words, by, NAMESPACE, expected, versions, approval.at, RetentionRefused)


def _what_is_signed(act: Act, by: str, reason: str, environment: str, decided_at: str) -> bytes:
    """RFC 8785 bytes of an approval; `environment` is the evidence root it is for."""
    return rfc8785.dumps(
        {
            "schema": SCHEMA,
            "environment": environment,
            "act": act.what,
            "on": dict(act.on),
            "by": by,
            "reason": reason,
            "decided_at": decided_at,
        }
    )


def require_owner(act: Act, by: str, versions: Versions, at: datetime) -> None:
    """Raise RetentionRefused unless an owner by themself: a delegate and the owner they act for would be one owner."""
    if versions.policy.person(by) is None:
        raise RetentionRefused(f"{act.what}: {by!r} is not on the roster; approve with a roster id")
    answers = [versions.people.holds_role(by, role, at) for role in OWNERS]
    if not any(answer.holds and not answer.acting_for for answer in answers):
        raise RetentionRefused(f"{act.what}: {'; '.join(answer.why for answer in answers)}")
