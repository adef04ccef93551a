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
from countersign.runs.owners import SignedWords, require_owner, require_signed, sign, two_of
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

    Each approval comes with the digest of the configuration that was in force then. `since` is when the same, or what
    undid it, was done before, if it was: what was approved by then is no approval of doing it again.
    """

    act: Act
    at: datetime
    by: tuple[str, ...]
    approvals: tuple[tuple[Approval, str], ...]
    since: datetime | None = None


def settle(
    act: Act,
    approver: Approver,
    waiting: Iterable[Approval],
    versions: Versions,
    register: Register,
    since: datetime | None = None,
) -> tuple[list[str], bool]:
    """Put an approval on record, and the act with it where it is the second; who approved, and whether it may be done.

    `waiting` are the approvals of this act that are on record already, `since` as in `Done`. Raises RetentionRefused.
    """
    environment, now = register.environment(), register.now()
    given = [one for one in waiting if _stands(one, versions, environment, since, now)]
    drafts = []
    if approver.by not in {one.by for one in given}:
        given.append(approve(act, approver.by, approver.reason, versions, approver.keys, environment, now))
        drafts.append(given[-1].draft())
    by = two_of((one.by for one in given), versions)
    if by:
        drafts.append(Draft(act.what, ACTOR, {**act.on, "by": by}))
    if drafts:
        register.append_many(drafts, now)  # judged and written as of one instant
    return by or sorted({one.by for one in given}), bool(by)


def _stands(approval: Approval, versions: Versions, environment: str, since: datetime | None, at: datetime) -> bool:
    try:
        require_good(approval, versions, environment, since, at)
    except RetentionRefused:
        return False
    return True


def why_not_by_two(done: Done, versions: VersionStore, environment: str) -> str | None:
    """Why an act was not approved by two people, each judged by the configuration of then; None where it was.

    Whether they are two follows from the roster under which it was done: one of them may have left since.
    """
    good: list[Approval] = []
    why = "nobody approved it"
    for approval, configuration in done.approvals:
        try:
            require_good(approval, versions.at(configuration), environment, done.since, done.at)
        except CountersignError as error:
            why = str(error)
        else:
            good.append(approval)
    if good and two_of((approval.by for approval in good), versions.at(done.approvals[-1][1])):
        return None
    return f"only {good[0].by!r} approved it" if good else why


def approve(
    act: Act, by: str, reason: str, versions: Versions, keys: KeyRing, environment: str, now: datetime
) -> Approval:
    """An owner's approval, signed where that is asked for or a key is at hand. Raises RetentionRefused."""
    if not reason.strip():
        raise RetentionRefused(f"{act.what}: needs a reason")
    require_owner(by, versions, now, RetentionRefused)
    content = _what_is_signed(act, by, reason, environment, stamp(now))
    approval = Approval(act, by, now, reason, sign(content, by, NAMESPACE, versions, keys, RetentionRefused))
    require_good(approval, versions, environment, None, now)
    return approval


def require_good(
    approval: Approval, versions: Versions, environment: str, since: datetime | None, at: datetime
) -> None:
    """Raise RetentionRefused unless an approval stands for an act that is done at an instant; `since` as in `Done`.

    It is judged by the configuration that was in force when it came, and is as old as its signed words say: the line
    that they stand in may be a copy.
    """
    act, by = approval.act, approval.by
    require_owner(by, versions, approval.at, RetentionRefused)

    def expected(said: Mapping[str, Any]) -> bytes:
        return _what_is_signed(act, by, approval.reason, environment, said["decided_at"])

    decided = require_signed(approval.words, by, NAMESPACE, expected, versions, approval.at, RetentionRefused)
    if at - decided > GOOD_FOR:
        raise RetentionRefused(f"{by!r} approved it more than {GOOD_FOR.days} days before")
    if since is not None and decided <= since:
        raise RetentionRefused(f"{by!r} approved it before {stamp(since)}, when the same or its opposite was done")


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
