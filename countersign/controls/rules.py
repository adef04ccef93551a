"""The rules: each control judged from the facts, and no further than they go.

A rule answers met or exception only with a quote from evidence; what the evidence cannot decide is abstained, with
what is missing. Rules never look at assertions that came with a payload.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta

from countersign.changes.deployment import foreign_revisions
from countersign.changes.origin import EXTRACTED
from countersign.changes.payload import ChangeType
from countersign.changes.people import Likeness, People
from countersign.clocks.instant import stamp
from countersign.controls.assessment import Assertion, Assessment, Case, ControlResult, Result
from countersign.controls.facts import Approval, Facts, Test
from countersign.controls.wording import Reader, Says, first_quote, quote_naming
from countersign.policy import Catalogue, Policy
from countersign.revisions import same_revision

VERSION = "rules/3"

Rule = Callable[[Facts], "Answer"]


class Answer:
    """What a rule says: met or exception with a citation, or abstained."""

    def __init__(self, result: Result, reason: str, evidence: str | None = None, quote: str | None = None) -> None:
        self.result = result
        self.reason = reason
        self.evidence = evidence
        self.quote = quote

    @classmethod
    def met(cls, reason: str, evidence: str, quote: str | None) -> "Answer":
        """Met with its quote; what cannot be quoted is shown by nothing."""
        if quote is None:
            return cls.abstained(f"{reason}; but {evidence} has no words that can be quoted")
        return cls(Result.MET, reason, evidence, quote)

    @classmethod
    def exception(cls, reason: str, evidence: str, quote: str | None) -> "Answer":
        """An exception with its quote; without quotable words the rule can only say so."""
        if quote is None:
            return cls.abstained(f"{reason}; but {evidence} has no words that can be quoted")
        return cls(Result.EXCEPTION, reason, evidence, quote)

    @classmethod
    def abstained(cls, reason: str) -> "Answer":
        return cls(Result.ABSTAINED, reason)

    @classmethod
    def not_applicable(cls, reason: str) -> "Answer":
        return cls(Result.NOT_APPLICABLE, reason)

    def for_control(self, control: str) -> ControlResult:
        if self.evidence is None or self.quote is None:
            return ControlResult(control, self.result, self.reason)
        assertion = Assertion(control, self.result, self.reason, self.evidence, self.quote, VERSION)
        return ControlResult(control, self.result, self.reason, assertion)


class Rules:
    """The rules under one policy and catalogue."""

    def __init__(self, policy: Policy, catalogue: Catalogue, people: People) -> None:
        self._policy = policy
        self._catalogue = catalogue
        self._people = people
        self._reader = Reader(policy.wording)

    def __call__(self, case: Case) -> Assessment:
        """Every control of the catalogue, in its order."""
        facts = Facts(case, self._policy, self._people, self._reader)
        change_type = facts.classification.change_type
        results = []
        for control in self._catalogue.controls:
            rule = _RULES.get(control.id)
            if change_type not in control.applies_to:
                reason = f"does not apply to a change of type {change_type}"
                results.append(ControlResult(control.id, Result.NOT_APPLICABLE, reason))
            elif rule is None:
                results.append(ControlResult(control.id, Result.ABSTAINED, "no rule judges this control"))
            else:
                results.append(rule(facts).for_control(control.id))
        return Assessment(VERSION, tuple(results))


def _no_approval(facts: Facts) -> Answer:
    if facts.set_aside:
        return Answer.abstained(f"no approval counts ({'; '.join(facts.set_aside)})")
    return Answer.abstained("the evidence holds no approval")


def _standing_rejection(facts: Facts) -> Answer | None:
    for name, item in facts.standing_rejections:
        approvers = ", ".join(sorted({_with_authority(approval) for approval in facts.approvals}))
        beside = f", beside the approval of {approvers}" if approvers else ""
        given = f" by {item.by}" if item.by else ""
        reason = f"a rejection{given} stands in {name}{beside}"
        answer = Answer.exception(reason, name, first_quote(item.text))
        if answer.result is Result.EXCEPTION:
            return answer
    if facts.standing_rejections:
        return Answer.abstained(f"a rejection stands in {facts.standing_rejections[0][0]}, too short to be quoted")
    return None


def _with_authority(approval: Approval) -> str:
    """Who approved, and that they may not authorise: a rejection hides no second fault."""
    return f"{approval.item.by} (who may not authorise)" if approval.standing.holds is False else str(approval.item.by)


def _best(approvals: Sequence[Approval]) -> Approval:
    """The approval to cite: by somebody independent if there is one, then the earliest."""
    return min(
        approvals,
        key=lambda approval: (approval.likeness is not Likeness.DIFFERENT, approval.item.at is None, approval.item.at),
    )


def _authorising(facts: Facts, approvals: Sequence[Approval]) -> Approval | Answer:
    """The approval to cite for an authorisation, or why none of these is one."""
    entitled = [approval for approval in approvals if approval.standing.holds]
    if standing := [approval for approval in entitled if approval.attested and not _for_a_maker(approval)]:
        return _best(standing)
    system = facts.change.system
    if doubtful := [approval for approval in approvals if approval.standing.holds is None]:
        best = _best(doubtful)
        reason = f"it cannot be told whether {best.item.by} may authorise changes of {system}"
        return Answer.abstained(f"{reason}: {best.standing.why}")
    if entitled:
        return _not_entitled_after_all(facts, _best(entitled))
    best = _best(approvals)
    reason = f"approved only by {best.item.by}, who may not authorise changes of {system}: {best.standing.why}"
    return Answer.exception(reason, best.name, best.quote)


def _for_a_maker(approval: Approval) -> bool:
    """Whether it rests on acting for somebody who may have made the change: nobody delegates their own approval."""
    return bool(approval.standing.acting_for) and approval.likeness is not Likeness.DIFFERENT


def _not_entitled_after_all(facts: Facts, approval: Approval) -> Answer:
    """Why an approval by somebody with the authority is no authorisation."""
    if not _for_a_maker(approval):
        return _only_submitted(facts, approval)
    why = approval.standing.why
    if approval.likeness is Likeness.UNKNOWN:
        return Answer.abstained(f"{why}, and it cannot be told whether that is a maker of the change")
    reason = f"approved only by {approval.item.by} for a maker of the change: {why}"
    return Answer.exception(reason, approval.name, approval.quote)


def _only_submitted(facts: Facts, approval: Approval) -> Answer:
    return Answer.abstained(
        f"the approval by {approval.item.by} was only submitted with the payload, by {facts.source!r}, and the policy "
        "trusts no such submitter; it counts once an adapter extracts it from its source"
    )


def _on_trust(facts: Facts, approval: Approval) -> str:
    """What a workpaper has to say of an approval that nobody extracted."""
    return "" if approval.item.origin == EXTRACTED else f"; submitted by {facts.source!r}, which the policy trusts"


def authorised_before_deployment(facts: Facts) -> Answer:
    """ITGC-CM-01."""
    if facts.without_change:
        return _deployed_without_change(facts)
    if (rejected := _standing_rejection(facts)) is not None:
        return rejected
    if not facts.approvals:
        return _no_approval(facts)
    deployed = facts.deployed_at
    if deployed is None:
        return Answer.abstained("the time of deployment is not known")
    if in_time := [approval for approval in facts.approvals if approval.not_after(deployed)]:
        best = _authorising(facts, in_time)
        if isinstance(best, Answer):
            return best
        assert best.item.at is not None
        reason = f"approved by {best.item.by} at {stamp(best.item.at)}, deployed at {stamp(deployed)}"
        return Answer.met(f"{reason}{_on_trust(facts, best)}", best.name, best.quote)
    if any(approval.item.at is None for approval in facts.approvals):
        return Answer.abstained("an approval is there, but not when it was given")
    late = _best(facts.approvals)
    assert late.item.at is not None
    reason = f"approved by {late.item.by} only at {stamp(late.item.at)}, after the deployment at {stamp(deployed)}"
    return Answer.exception(reason, late.name, late.quote)


def _deployed_without_change(facts: Facts) -> Answer:
    """What skipped the process was authorised by nobody, whatever else lies beside it."""
    for name, _, quote in facts.deployments:
        if quote is not None:
            return Answer.exception("deployed without a change record, so nobody authorised it", name, quote)
    return Answer.abstained("stands for a deployment without a change record, and no deployment record can be quoted")


def approver_independent(facts: Facts) -> Answer:
    """ITGC-CM-02."""
    approvals = _before_deployment(facts)
    if not approvals:
        return _no_approval(facts) if not facts.approvals else Answer.abstained("no approval before the deployment")
    independent = [approval for approval in approvals if approval.likeness is Likeness.DIFFERENT]
    if attested := [approval for approval in independent if approval.attested]:
        best = _best(attested)
        reason = f"approved by {best.item.by}, who is none of the makers"
        return Answer.met(f"{reason}{_on_trust(facts, best)}", best.name, best.quote)
    if independent:
        return _only_submitted(facts, _best(independent))
    doubtful = [approval for approval in approvals if approval.likeness is Likeness.UNKNOWN]
    if doubtful:
        first = doubtful[0]
        maker = first.maker.text if first.maker else "a maker"
        reason = f"it cannot be told whether {maker!r}, who made the change, and the approver {first.item.by!r} are two"
        return Answer.abstained(f"{reason} people; the roster has to say")
    own = approvals[0]
    maker = own.maker.text if own.maker else "a maker"
    return Answer.exception(f"approved only by makers: {own.item.by} is {maker}", own.name, own.quote)


def _before_deployment(facts: Facts) -> list[Approval]:
    """Approvals that count for the change as it was deployed; an emergency's may come later."""
    deployed = facts.deployed_at
    if deployed is None or facts.is_emergency:
        return facts.approvals
    return [approval for approval in facts.approvals if approval.item.at is None or approval.item.at <= deployed]


def tested_before_deployment(facts: Facts) -> Answer:
    """ITGC-CM-03."""
    tests = facts.tests
    if not tests:
        return Answer.abstained("the evidence holds no test result")
    for test in tests:
        if test.reading.says is Says.BYPASSED:
            return Answer.exception(f"tests were bypassed, by {test.name}", test.name, test.reading.quote)
    revision = facts.change.revision
    current = [
        test
        for test in tests
        if not (revision and test.item.revision and not same_revision(test.item.revision, revision))
    ]
    passed = [test for test in current if test.reading.says is Says.PASSED]
    for test in current:
        if test.reading.says is Says.FAILED and not any(
            _in_time(again, facts) and again.repeats(test) for again in passed
        ):
            return Answer.exception(f"{test.name} failed and was not repeated", test.name, test.reading.quote)
    if not current:
        return Answer.abstained(f"every test result is of another revision than {revision}")
    if not passed:
        return Answer.abstained(
            f"no test result clearly says passed or failed ({', '.join(test.name for test in current)})"
        )
    deployed = facts.deployed_at
    if deployed is None:
        return Answer.abstained("the time of deployment is not known")
    for test in passed:
        if test.item.at is not None and test.item.at <= deployed and test.reading.quote is not None:
            reason = f"passed at {stamp(test.item.at)}, deployed at {stamp(deployed)}"
            return Answer.met(reason, test.name, test.reading.quote)
    if any(test.item.at is None for test in passed):
        return Answer.abstained("a test result is there, but not when the test ran")
    if any(test.item.at is not None and test.item.at <= deployed for test in passed):
        return Answer.abstained("the test results are too short to be quoted")
    late = passed[0]
    reason = f"tested only after the deployment at {stamp(deployed)}"
    return Answer.exception(reason, late.name, late.reading.quote)


def _in_time(test: Test, facts: Facts) -> bool:
    """Whether a test ran by the deployment, as far as that is known."""
    return facts.deployed_at is None or (test.item.at is not None and test.item.at <= facts.deployed_at)


def emergency_approved_in_time(facts: Facts) -> Answer:
    """ITGC-CM-04: measured from the deployment; nothing is said while the limit runs."""
    if (rejected := _standing_rejection(facts)) is not None:
        return rejected
    deployed = facts.deployed_at
    if deployed is None:
        return Answer.abstained("the time of deployment is not known")
    target = facts.policy.emergency_approval
    limit = deployed + timedelta(hours=target.value)
    in_time = [approval for approval in facts.approvals if approval.not_after(limit)]
    if in_time:
        best = _authorising(facts, in_time)
        if isinstance(best, Answer):
            return best
        assert best.item.at is not None
        how = "retroactively" if best.item.at > deployed else "before deployment"
        reason = f"approved {how} by {best.item.by} at {stamp(best.item.at)}; the limit was {stamp(limit)}"
        return Answer.met(f"{reason}{_on_trust(facts, best)}", best.name, best.quote)
    if any(approval.item.at is None for approval in facts.approvals):
        return Answer.abstained("an approval is there, but not when it was given")
    if facts.at < limit:
        return Answer.abstained(f"no approval yet; the limit runs until {stamp(limit)}")
    if facts.approvals:
        late = _best(facts.approvals)
        assert late.item.at is not None
        reason = f"approved by {late.item.by} only at {stamp(late.item.at)}; the limit was {stamp(limit)}"
        return Answer.exception(reason, late.name, late.quote)
    reason = f"no approval that counts within the limit, {stamp(limit)}"
    for name, _, quote in facts.deployments:
        if quote is not None:
            return Answer.exception(reason, name, quote)
    return Answer.abstained(f"{reason}; and no deployment record can be quoted for it")


def approved_what_was_deployed(facts: Facts) -> Answer:
    """ITGC-CM-05: approved on an old revision is an exception, whoever approved; met needs an approval that counts."""
    revision = facts.change.revision
    every = _before_deployment(facts)
    counting = [approval for approval in every if _counts_for_nothing(facts, approval) is None]
    # one that counts for nothing must not hide, on the final revision, that all others were given on an older one
    approvals = (
        [approval for approval in counting if approval.likeness is Likeness.DIFFERENT]
        or counting
        or [approval for approval in every if approval.likeness is not Likeness.SAME]
        or every
    )
    if not approvals:
        return _no_approval(facts) if not facts.approvals else Answer.abstained("no approval before the deployment")
    if revision is None:
        return Answer.abstained("the final revision is not known")
    for name, deployed in foreign_revisions(facts.change):
        return Answer.abstained(f"{name} put {deployed} into production, which is no revision of this change")
    named = [(approval, approval.item.revision) for approval in approvals if approval.item.revision]
    for approval, given_on in named:
        if same_revision(given_on, revision):
            if nothing := _counts_for_nothing(facts, approval):
                return Answer.abstained(f"no approval of the final revision counts: {nothing}")
            reason = f"approved by {approval.item.by} on {given_on}{_on_trust(facts, approval)}"
            return Answer.met(reason, approval.name, approval.quote)
    if len(named) < len(approvals):
        return Answer.abstained("an approval does not say which revision it was given on")
    for approval in counting:
        if approval.likeness is Likeness.UNKNOWN and same_revision(approval.item.revision or revision, revision):
            return Answer.abstained(
                f"it cannot be told whether {approval.item.by!r}, who may have approved it, is a maker"
            )
    last, given_on = named[-1]
    reason = f"approved only on superseded revisions, last {given_on}; deployed was {revision}"
    return Answer.exception(reason, last.name, last.quote)


def _counts_for_nothing(facts: Facts, approval: Approval) -> str | None:
    """Why ITGC-CM-01 or -02 would not take an approval for one, or None where it would, or where that is open."""
    if approval.likeness is Likeness.SAME:
        return f"{approval.item.by} is a maker of the change"
    if approval.standing.holds is False:
        return f"{approval.item.by} may not authorise changes of {facts.change.system}: {approval.standing.why}"
    return None if approval.attested else _only_submitted(facts, approval).reason


def deployer_is_not_author(facts: Facts) -> Answer:
    """ITGC-CM-06."""
    if facts.without_change:
        return Answer.abstained("no change record says who made what was deployed")
    if not facts.deployments:
        return Answer.abstained("the evidence holds no deployment record")
    declared = facts.change.deployed_by
    author = facts.makers[0]
    answers = []
    for name, item, quote in facts.deployments:
        deployer = item.by or declared
        if item.origin == EXTRACTED and item.pipeline and facts.people.may_deploy(item.pipeline, facts.change.system):
            reason = f"deployed through the approved pipeline {item.pipeline}, started by {deployer or 'nobody named'}"
            answers.append(Answer.met(reason, name, quote))
        elif deployer is None:
            answers.append(Answer.abstained(f"{name} does not say who deployed"))
        elif declared is not None and _contradict(facts, deployer, declared):
            answers.append(Answer.abstained(f"{name} says that {deployer} deployed, the change says {declared}"))
        elif facts.people.may_deploy(deployer, facts.change.system):
            answers.append(Answer.met(f"deployed by the approved pipeline {deployer}", name, quote))
        else:
            likeness = facts.people.compare(facts.people.identify(deployer), author)
            is_bot = item.is_bot or facts.people.is_bot(deployer)
            answers.append(_deployer(likeness, is_bot, deployer, author.text, name, quote))
    worst = (Result.EXCEPTION, Result.ABSTAINED, Result.MET)
    return min(answers, key=lambda answer: worst.index(answer.result))


def _deployer(likeness: Likeness, is_bot: bool, deployer: str, author: str, name: str, quote: str | None) -> Answer:
    match likeness:
        case Likeness.SAME:
            return Answer.exception(f"deployed by its author, {deployer}", name, quote)
        case _ if is_bot:
            return Answer.abstained(f"{deployer} is a bot, and no pipeline that the policy approves")
        case Likeness.DIFFERENT:
            return Answer.met(f"deployed by {deployer}, who is not the author {author}", name, quote)
        case Likeness.UNKNOWN:
            return Answer.abstained(f"it cannot be told whether the deployer {deployer!r} is the author {author!r}")


def as_the_policy_has_it(facts: Facts) -> Answer:
    """ITGC-CM-07: what the payload claims of its type and scope, against the policy."""
    change, classification = facts.change, facts.classification
    if classification.objections:
        reason = "; ".join(classification.objections)
        for name, item in change.evidence.items():
            if (quote := first_quote(item.text)) is not None:
                return Answer.exception(reason, name, quote)
        return Answer.abstained(f"{reason}; and no evidence can be quoted for it")
    reference = {ChangeType.PREAPPROVED: change.template, ChangeType.EMERGENCY: change.incident}.get(change.change_type)
    if reference is None:
        return Answer.not_applicable("the payload claims nothing that needs support")
    for name, item in change.evidence.items():
        if (quote := quote_naming(reference, item.text)) is not None:
            return Answer.met(f"{change.change_type}, with {reference}", name, quote)
    return Answer.not_applicable(f"{change.change_type}, with {reference}, which the policy accepts")


def _contradict(facts: Facts, one: str, other: str) -> bool:
    likeness = facts.people.compare(facts.people.identify(one), facts.people.identify(other))
    return likeness is not Likeness.SAME and one != other


_RULES: dict[str, Rule] = {
    "ITGC-CM-01": authorised_before_deployment,
    "ITGC-CM-02": approver_independent,
    "ITGC-CM-03": tested_before_deployment,
    "ITGC-CM-04": emergency_approved_in_time,
    "ITGC-CM-05": approved_what_was_deployed,
    "ITGC-CM-06": deployer_is_not_author,
    "ITGC-CM-07": as_the_policy_has_it,
}
