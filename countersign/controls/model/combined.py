"""Rules and model together. A model reads and never decides: it can only take a `met` away.

| rules say | model says | the control is |
|---|---|---|
| not applicable, or it was not asked about | anything | as the rules say |
| anything else | nothing usable | abstained |
| exception | anything | an exception, with both shown |
| met | met | met, judged by both |
| met | exception, or abstains | abstained, with both shown |
| abstained | anything | abstained, with both shown |

So words that talk a model into something change no exception into anything and make nothing met. Every assertion of
the model goes to the gate whatever it was worth, and one that no evidence says blocks the run.
"""

from dataclasses import dataclass, replace

from countersign.changes.people import People
from countersign.controls.assessment import Assertion, Assessment, Case, ControlResult, Mapper, Result
from countersign.controls.model.interface import Asked
from countersign.controls.model.redaction import restored
from countersign.controls.model.reply import Abstention, Claim, Reply, Unusable, parse
from countersign.controls.rules import Rules
from countersign.policy import Catalogue, Policy


def assessor(policy: Policy, catalogue: Catalogue, people: People) -> Mapper:
    """What assesses changes under a policy: the rules, with the model that it names or alone."""
    rules = Rules(policy, catalogue, people)
    return rules if policy.model is None else RulesAndModel(rules)


class RulesAndModel:
    """The rules, each result held against what a model said of the same control."""

    def __init__(self, rules: Mapper) -> None:
        self._rules = rules

    def __call__(self, case: Case) -> Assessment:
        """Every control of the catalogue, in its order, and what the model asserted. Pure, like the rules."""
        asked = case.asked
        if asked is None:
            raise ValueError("the policy names a model, and nothing was asked of it")
        by_rules = self._rules(case)
        reply = read(asked)
        together = _Together(by_rules.mapper, f"{asked.reader} {asked.prompt.template}", asked.prompt.controls, reply)
        results = tuple(together.judge(result) for result in by_rules.results)
        return Assessment(together.both, results, claims_of(asked, reply))


def read(asked: Asked) -> Reply | Unusable:
    """What a model said, the placeholders in its quotes replaced by the words that they stand for.

    The gate looks for words that stand in the evidence. In the model's own sentences they stay hidden.
    """
    said = asked.said
    if said.failure is not None or said.text is None:
        return Unusable(said.failure or "no answer")
    reply = parse(said.text, asked.prompt.controls)
    if isinstance(reply, Unusable):
        return reply
    return reply.quoting(lambda words: restored(words, asked.prompt.redactions))


def claims_of(asked: Asked, reply: Reply | Unusable) -> tuple[Assertion, ...]:
    """What a model asserted, as the gate judges it; nothing where its answer is unusable."""
    if isinstance(reply, Unusable):
        return ()
    return tuple(
        Assertion(claim.control, Result(claim.result), claim.reason, claim.evidence, claim.quote, asked.reader)
        for claim in reply.assertions
    )


@dataclass(frozen=True, slots=True)
class _Together:
    """The table above: `rules` and `reader` are how a log names the two."""

    rules: str
    reader: str
    controls: tuple[str, ...]
    reply: Reply | Unusable

    @property
    def both(self) -> str:
        return f"{self.rules} + {self.reader}"

    def judge(self, by_rules: ControlResult) -> ControlResult:
        """One control."""
        if by_rules.result is Result.NOT_APPLICABLE or by_rules.control not in self.controls:
            return replace(by_rules, judged_by=self.rules)
        if isinstance(self.reply, Unusable):
            reason = f"the model gave no usable answer: {self.reply.why}; the rules alone: {_by_rules(by_rules)}"
            return ControlResult(by_rules.control, Result.ABSTAINED, reason, judged_by=self.reader)
        said = self.reply.of(by_rules.control)
        if isinstance(said, Claim) and Result(said.result) is by_rules.result:
            return replace(by_rules, judged_by=self.both)
        shown = f"{_by_rules(by_rules)}; the model {_by_model(said)}"
        if by_rules.result is Result.EXCEPTION:
            return replace(by_rules, reason=shown, judged_by=self.rules)
        return ControlResult(by_rules.control, Result.ABSTAINED, f"rules: {shown}", judged_by=self.both)


def _by_rules(result: ControlResult) -> str:
    return f"{result.result}, {result.reason}"


def _by_model(said: Claim | Abstention | None) -> str:
    match said:
        case Claim():
            return f"says {said.result}, by “{said.quote}” in {said.evidence}: {said.reason}"
        case Abstention():
            return f"abstains: {said.reason}"
        case None:
            return "says nothing of this control"
