"""Acts that two people answer for: a legal hold, its release, a purge.

What belongs here: what an approval says and signs, whether one stands, and whether there are two. What does not: doing
the act (`holds`). Two are needed even where the policy asks for no signature; a signature then only says more.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import combinations
from typing import Any

import orjson
import rfc8785

from countersign.changes.people import Likeness
from countersign.clocks.instant import parse_instant, stamp
from countersign.errors import RetentionRefused, SignatureError
from countersign.evidence.keyring import KeyRing
from countersign.evidence.lines import Draft
from countersign.runs.consent import OWNERS
from countersign.runs.signatures import RosterKeys
from countersign.runs.versions import Versions

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
    """One person's approval of an act at an instant, with `statement` and `signature` as they were signed, or None."""

    act: Act
    by: str
    at: datetime
    reason: str
    statement: str | None = None
    signature: str | None = None

    def draft(self) -> Draft:
        """The register's line of it."""
        texts = {"reason": self.reason}
        if self.statement is not None and self.signature is not None:
            texts |= {"statement": self.statement, "signature": self.signature}
        return Draft(APPROVED, self.by, {"act": self.act.what, "on": dict(self.act.on)}, texts)


def approve(
    act: Act, by: str, reason: str, versions: Versions, keys: KeyRing, environment: str, now: datetime
) -> Approval:
    """An owner's approval, signed where that is asked for or a key is at hand. Raises RetentionRefused."""
    if not reason.strip():
        raise RetentionRefused(f"{act.what}: needs a reason")
    require_owner(act, by, versions, now)
    content = _what_is_signed(act, by, reason, environment, stamp(now))
    roster = RosterKeys(versions.configuration)
    try:
        signature = keys.sign(content, roster.of(by, NAMESPACE), NAMESPACE)
    except SignatureError as error:
        if versions.policy.sign_off.signature == "required":
            raise RetentionRefused(f"{by!r} cannot sign: {error}") from error
        return Approval(act, by, now, reason)
    approval = Approval(act, by, now, reason, content.decode(), signature.decode())
    require_good(approval, versions, environment)
    return approval


def require_good(approval: Approval, versions: Versions, environment: str) -> None:
    """Raise RetentionRefused unless an approval stands, judged by the configuration that was in force when it came."""
    require_owner(approval.act, approval.by, versions, approval.at)
    if approval.statement is None or approval.signature is None:
        if versions.policy.sign_off.signature == "required":
            raise RetentionRefused(f"the approval of {approval.by!r} is not signed")
        return
    try:
        said = orjson.loads(approval.statement)
        decided_at = parse_instant(said["decided_at"])
        expected = _what_is_signed(approval.act, approval.by, approval.reason, environment, said["decided_at"])
        if expected != approval.statement.encode() or decided_at > approval.at:
            raise RetentionRefused(f"what {approval.by!r} signed is about something else")
        RosterKeys(versions.configuration).verify(
            expected, approval.signature.encode(), person=approval.by, namespace=NAMESPACE, at=approval.at
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise RetentionRefused(f"what {approval.by!r} signed is no approval: {error!r}") from error
    except SignatureError as error:
        raise RetentionRefused(f"the signature of {approval.by!r} does not stand: {error}") from error


def two_of(approvals: Iterable[Approval], versions: Versions) -> list[str]:
    """Two different people who approved, by their roster ids; empty where there are none."""
    people = versions.people
    for one, other in combinations(sorted({approval.by for approval in approvals}), 2):
        if people.compare(people.identify(one), people.identify(other)) is Likeness.DIFFERENT:
            return [one, other]
    return []


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
