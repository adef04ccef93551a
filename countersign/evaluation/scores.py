"""How a mapper scores on a gold set.

Every figure is a ratio of sums over the changes of the set. An *assertion* is a control that comes out met or
exception; what is abstained or not applicable asserts nothing.

- **precision**: assertions whose control has that very label ÷ assertions.
- **recall**: assertions whose control has that very label ÷ labels that are met or exception.
- **f1**: their harmonic mean. So an exception where `met` is right is wrong in both, an assertion where the label is
  `abstained` lowers precision, an abstention where the label is an assertion lowers recall.
- **grounding rate**: assertions of the mapper that the gate grounds ÷ its assertions. What the payload claims is not
  the mapper's.
- **deficiency accuracy**: changes whose set of exceptions is exactly the labelled one ÷ changes. A missed exception, an
  invented one and one on another control all make a change wrong.
- **gate efficacy**: changes labelled `blocked` that the gate blocks ÷ changes labelled `blocked`. Changes that it
  blocks against their label are counted beside it, as **wrongly blocked** ÷ changes labelled `passed`.

What belongs here: counting. What does not: intervals.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from countersign.controls import gate
from countersign.controls.assessment import Case, Mapper, Result, brought
from countersign.evaluation.gold import Labelled
from countersign.policy import Catalogue, Policy

_ASSERTED = (Result.MET, Result.EXCEPTION)


@dataclass(frozen=True, slots=True)
class Deviation:
    """A control that came out otherwise than its label."""

    control: str
    label: Result
    result: Result
    why: str
    reason: str


@dataclass(frozen=True, slots=True)
class Score:
    """One change: how many assertions were made, were right, were to be made, were grounded; what the gate decided."""

    labelled: Labelled
    asserted: int
    right: int
    expected: int
    grounded: int
    deficiencies_right: bool
    blocked: bool
    gate_reason: str | None
    deviations: tuple[Deviation, ...]

    @property
    def to_block(self) -> bool:
        return self.labelled.gate.decision == "blocked"


Ratio = Callable[[Score], tuple[int, int]]

RATIOS: dict[str, Ratio] = {
    "f1": lambda score: (2 * score.right, score.asserted + score.expected),
    "precision": lambda score: (score.right, score.asserted),
    "recall": lambda score: (score.right, score.expected),
    "grounding_rate": lambda score: (score.grounded, score.asserted),
    "deficiency_accuracy": lambda score: (int(score.deficiencies_right), 1),
    "gate_efficacy": lambda score: (int(score.to_block and score.blocked), int(score.to_block)),
    "wrongly_blocked": lambda score: (int(score.blocked and not score.to_block), int(not score.to_block)),
}


def score(
    mapper: Mapper, cases: Sequence[tuple[Labelled, Case]], policy: Policy, catalogue: Catalogue
) -> Iterator[Score]:
    """Every case judged by a mapper and the gate; a case may carry what a model was asked about it."""
    for labelled, case in cases:
        assessment = mapper(case)
        made = [result.assertion for result in assessment.results if result.assertion is not None]
        judged = [gate.judge(case.change, catalogue, policy.change_ids, assertion) for assertion in made]
        others = [*assessment.claims, *brought(case.change)]
        decision = gate.decide(case.change, catalogue, policy.change_ids, [*made, *others])
        labels = {control: label.result for control, label in labelled.labels.items()}
        results = {result.control: result.result for result in assessment.results}
        exceptions = {control for control, result in results.items() if result is Result.EXCEPTION}
        yield Score(
            labelled,
            asserted=sum(result in _ASSERTED for result in results.values()),
            right=sum(result in _ASSERTED and labels[control] is result for control, result in results.items()),
            expected=sum(label in _ASSERTED for label in labels.values()),
            grounded=sum(verdict.grounded for verdict in judged),
            deficiencies_right=exceptions == {one for one, label in labels.items() if label is Result.EXCEPTION},
            blocked=not decision.passed,
            gate_reason=decision.reason,
            deviations=tuple(
                Deviation(
                    result.control,
                    labels[result.control],
                    result.result,
                    labelled.labels[result.control].why,
                    result.reason,
                )
                for result in assessment.results
                if result.result is not labels[result.control]
            ),
        )
