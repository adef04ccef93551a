"""What the evidence of one change shows, before any control is judged.

What belongs here: which approvals, rejections, tests and deployments are there, whose they are, and why some of them
count for nothing. What does not: met, exception or abstained.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from countersign.changes.classification import Classification, classify
from countersign.changes.deployment import stands_for_deployment
from countersign.changes.origin import EXTRACTED
from countersign.changes.payload import ChangeType, Evidence
from countersign.changes.people import Identity, Likeness, People, Standing
from countersign.controls.assessment import Case
from countersign.controls.wording import Reader, Reading, Says, first_quote, names_another_change
from countersign.policy import Kind, Policy

_ATTEMPT = re.compile(r"[-_ #](?:(?:re)?run|retry|attempt|repeat)[-_ #]?\d*\Z")


_CLOSEST = (Likeness.SAME, Likeness.UNKNOWN, Likeness.DIFFERENT)


@dataclass(frozen=True, slots=True)
class Approval:
    """An approval that counts: words that approve this change, by an identifiable person who is no bot.

    `attested` says that it was extracted, or submitted by a source that the policy trusts; `standing` whether its giver
    may authorise changes of this system, and why.
    """

    name: str
    item: Evidence
    quote: str
    giver: Identity
    likeness: Likeness
    maker: Identity | None
    attested: bool
    standing: Standing

    def not_after(self, instant: datetime) -> bool:
        """Whether it was given by then; an approval without a time never was."""
        return self.item.at is not None and self.item.at <= instant


@dataclass(frozen=True, slots=True)
class Test:
    """A test item and what it says."""

    name: str
    item: Evidence
    reading: Reading

    def repeats(self, other: "Test") -> bool:
        """Whether this is a later run of the same test, by its name (`tests` → `tests-2`) and its time.

        A counter alone would make one of `py310` and `py311`, or of two shards.
        """
        test = re.escape(_ATTEMPT.sub("", other.name))
        again = re.fullmatch(rf"{test}[-_ #](?:(?:re)?run|retry|attempt|repeat)?[-_ #]?[2-9]?", self.name)
        return bool(again) and self.item.at is not None and other.item.at is not None and self.item.at > other.item.at


class Facts:
    """The facts of one change, each found when first asked for."""

    def __init__(self, case: Case, policy: Policy, people: People, reader: Reader) -> None:
        self.change = case.change
        self.at = case.at
        self.source = case.source
        self.policy = policy
        self.people = people
        self._reader = reader

    def of_kind(self, kind: Kind) -> list[tuple[str, Evidence]]:
        """Evidence items of a kind, in the order of the payload."""
        return [(name, item) for name, item in self.change.evidence.items() if item.kind is kind]

    @property
    def without_change(self) -> bool:
        """Whether this stands for a deployment that no change record names; whoever claims it gains an exception."""
        return stands_for_deployment(self.change.id)

    @cached_property
    def makers(self) -> tuple[Identity, ...]:
        """The author and every contributor."""
        return tuple(self.people.identify(text) for text in (self.change.author, *self.change.contributors))

    @cached_property
    def classification(self) -> Classification:
        """What the policy makes of the change's type and scope."""
        return classify(self.change, self.policy, self.at)

    @property
    def is_emergency(self) -> bool:
        """Whether the rules for emergencies apply."""
        return self.classification.change_type is ChangeType.EMERGENCY

    @cached_property
    def deployed_at(self) -> datetime | None:
        """When the change was first deployed."""
        return self.change.first_deployed_at

    @cached_property
    def _approvals(self) -> tuple[list[Approval], list[str]]:
        counted: list[Approval] = []
        set_aside: list[str] = []
        for name, item in self.of_kind(Kind.APPROVAL):
            approval = self._approval(name, item)
            if isinstance(approval, Approval):
                counted.append(approval)
            else:
                set_aside.append(f"{name}: {approval}")
        return counted, set_aside

    @property
    def approvals(self) -> list[Approval]:
        """The approvals that count."""
        return self._approvals[0]

    @property
    def set_aside(self) -> list[str]:
        """The approvals that do not count, each with why."""
        return self._approvals[1]

    def _approval(self, name: str, item: Evidence) -> Approval | str:
        if item.is_bot or (item.by and self.people.is_bot(item.by)):
            return "given by a bot"
        if item.by is None:
            return "given by nobody who can be named"
        giver = self.people.identify(item.by)
        if not giver.resolvable:
            return f"its giver {item.by!r} cannot be resolved to a person"
        other = names_another_change(self.change.id, item.text, self.policy.change_ids)
        if other is not None:
            return f"it names another change, {other}"
        reading = self._reader.approval(item.text)
        if reading.says is not Says.APPROVED:
            return "its words do not clearly approve"
        if reading.quote is None:
            return "its words are too short to be quoted"
        standing = self.people.has_authority(giver, item.authority, self.policy.authority(self.change.system), item.at)
        likeness, maker = self._likeness_to_makers(giver, item.on_behalf_of, standing.acting_for)
        attested = item.origin == EXTRACTED or self.trusts_the_source
        return Approval(name, item, reading.quote, giver, likeness, maker, attested, standing)

    def _likeness_to_makers(
        self, giver: Identity, on_behalf_of: str | None, may_act_for: Sequence[str]
    ) -> tuple[Likeness, Identity | None]:
        """The giver against every maker, as themself and as whom they act for.

        Whom the source names counts. Where it names nobody and the authority is only a delegated one, it is that of
        whichever delegator is furthest from the makers.
        """
        principals = (on_behalf_of,) if on_behalf_of else may_act_for
        acting = [self.people.acting(giver, principal) for principal in principals] or [giver]
        found = [self.people.compare_all(one, self.makers) for one in acting]
        return max(found, key=lambda answer: _CLOSEST.index(answer[0]))

    @cached_property
    def trusts_the_source(self) -> bool:
        """Whether what this source submits counts as if it had been extracted."""
        return self.source in self.policy.trusted_submitters

    @cached_property
    def standing_rejections(self) -> list[tuple[str, Evidence]]:
        """Rejections that their giver did not replace by a later approval; unless in an emergency, in time."""
        return [(name, item) for name, item in self.of_kind(Kind.REJECTION) if not self._replaced(item)]

    def _replaced(self, rejection: Evidence) -> bool:
        if rejection.by is None or rejection.at is None:
            return False
        giver = self.people.identify(rejection.by)
        return any(
            approval.item.at is not None
            and approval.item.at > rejection.at
            and (self.is_emergency or self.deployed_at is None or approval.item.at <= self.deployed_at)
            and self.people.compare(approval.giver, giver) is Likeness.SAME
            for approval in self.approvals
        )

    @cached_property
    def tests(self) -> list[Test]:
        """The test items with what each says."""
        return [Test(name, item, self._reader.test(item.text)) for name, item in self.of_kind(Kind.TEST)]

    @cached_property
    def deployments(self) -> list[tuple[str, Evidence, str | None]]:
        """Deployment records with the words to quote, or None where there are none."""
        return [(name, item, first_quote(item.text)) for name, item in self.of_kind(Kind.DEPLOYMENT)]
