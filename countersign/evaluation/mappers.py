"""What is compared: the rules, a model by itself, both together, and the published baseline.

What belongs here: mappers that no run uses. What does not: how they score.
"""

from countersign.controls.assessment import Assertion, Assessment, Case, ControlResult, Mapper, Result
from countersign.controls.model.combined import claims_of, read
from countersign.controls.wording import first_quote
from countersign.policy import Catalogue, Control


def baseline(catalogue: Catalogue) -> Mapper:
    """Claim every control, cite what is there: met, whatever the evidence, by the first item that could carry it."""

    def assess(case: Case) -> Assessment:
        return Assessment("baseline", tuple(_claimed(control, case) for control in catalogue.controls))

    return assess


def _claimed(control: Control, case: Case) -> ControlResult:
    items = list(case.change.evidence.items())
    if not items:
        return ControlResult(control.id, Result.ABSTAINED, "there is nothing to cite")
    name, item = next(((name, item) for name, item in items if item.kind in control.met_by), items[0])
    quote = first_quote(item.text) or item.text
    assertion = Assertion(control.id, Result.MET, "claimed", name, quote, "baseline")
    return ControlResult(control.id, Result.MET, "claimed", assertion)


def by_itself(rules: Mapper) -> Mapper:
    """What a model said, as if it decided; whether a control applies is the policy's question, and stays so."""

    def assess(case: Case) -> Assessment:
        asked = case.asked
        assert asked is not None
        said = {claim.control: claim for claim in claims_of(asked, read(asked))}
        return Assessment(
            asked.reader, tuple(_said(result, said.get(result.control)) for result in rules(case).results)
        )

    return assess


def _said(by_rules: ControlResult, claim: Assertion | None) -> ControlResult:
    if by_rules.result is Result.NOT_APPLICABLE:
        return by_rules
    if claim is None:
        return ControlResult(by_rules.control, Result.ABSTAINED, "the model asserts nothing")
    return ControlResult(by_rules.control, claim.result, claim.text, claim)
