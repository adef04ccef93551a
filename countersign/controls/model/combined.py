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

from countersign.changes.people import People
from countersign.controls.assessment import Assertion, Assessment, Case, ControlResult, Mapper, Result
from countersign.controls.model.interface import Asked
from countersign.controls.model.redaction import restored
from countersign.controls.model.reply import Abstention, Claim, Reply, Unusable, parse
from countersign.controls.rules import VERSION, Rules
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
        reader = f"{asked.reader} {asked.prompt.template}"
        reply = read(asked)
        results = tuple(_together(result, asked, reply, reader) for result in by_rules.results)
        claims = claims_of(asked, reply) if isinstance(reply, Reply) else ()
        return Assessment(f"{VERSION} + {reader}", results, claims)


def read(asked: Asked) -> Reply | Unusable:
    """What a model said, its placeholders replaced by the words that they stand for."""
    said = asked.said
    if said.failure is not None or said.text is None:
        return Unusable(said.failure or "no answer")
    reply = parse(said.text, asked.prompt.controls)
    if isinstance(reply, Unusable):
        return reply
    return reply.with_words(lambda words: restored(words, asked.prompt.redactions))


def claims_of(asked: Asked, reply: Reply) -> tuple[Assertion, ...]:
    """What a model asserted, as the gate judges it."""
    return tuple(
        Assertion(claim.control, Result(claim.result), claim.reason, claim.evidence, claim.quote, asked.reader)
        for claim in reply.assertions
    )


def _together(result: ControlResult, asked: Asked, reply: Reply | Unusable, reader: str) -> ControlResult:
    if result.result is Result.NOT_APPLICABLE or result.control not in asked.prompt.controls:
        return _judged(result, VERSION)
    if isinstance(reply, Unusable):
        reason = f"the model gave no usable answer: {reply.why}; the rules alone: {_by_rules(result)}"
        return ControlResult(result.control, Result.ABSTAINED, reason, judged_by=reader)
    said = reply.of(result.control)
    agrees = isinstance(said, Claim) and Result(said.result) is result.result
    both = f"{VERSION} + {reader}"
    if agrees:
        return _judged(result, both)
    shown = f"{_by_rules(result)}; the model {_by_model(said)}"
    if result.result is Result.EXCEPTION:
        return ControlResult(result.control, result.result, shown, result.assertion, VERSION)
    return ControlResult(result.control, Result.ABSTAINED, f"rules: {shown}", judged_by=both)


def _judged(result: ControlResult, judged_by: str) -> ControlResult:
    return ControlResult(result.control, result.result, result.reason, result.assertion, judged_by)


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
