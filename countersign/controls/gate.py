"""The gate: an assertion stands only if its words stand in the evidence. It has no override.

Pure: the same change, catalogue, patterns and assertions give the same decision, whoever asks and whenever, so that
a forged decision in a log is found by deciding again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from countersign.changes.invisible import has_invisible
from countersign.changes.payload import Change
from countersign.controls import quote as quotes
from countersign.controls.assessment import Assertion
from countersign.controls.wording import names_another_change
from countersign.policy import Catalogue, Kind


@dataclass(frozen=True, slots=True)
class Verdict:
    """One assertion judged: the quote's span in the evidence text, in code points, or why it is not grounded."""

    assertion: Assertion
    span: tuple[int, int] | None
    why: str | None

    @property
    def grounded(self) -> bool:
        return self.span is not None


@dataclass(frozen=True, slots=True)
class Decision:
    """The gate's decision over a whole run."""

    verdicts: tuple[Verdict, ...]

    @property
    def passed(self) -> bool:
        """Every assertion grounded; an empty list fails, since it shows nothing."""
        return bool(self.verdicts) and all(verdict.grounded for verdict in self.verdicts)

    @property
    def reason(self) -> str | None:
        """Why the gate blocked, in one line, or None."""
        if self.passed:
            return None
        if not self.verdicts:
            return "no assertion: not one control can be shown met or not met from this evidence"
        ungrounded = [verdict for verdict in self.verdicts if not verdict.grounded]
        first = ungrounded[0]
        more = f" (and {len(ungrounded) - 1} more)" if len(ungrounded) > 1 else ""
        return f"{first.assertion.control} by {first.assertion.made_by} is not grounded: {first.why}{more}"


def decide(change: Change, catalogue: Catalogue, id_patterns: list[str], assertions: Sequence[Assertion]) -> Decision:
    """Judge every assertion against the evidence of this change."""
    return Decision(tuple(judge(change, catalogue, id_patterns, assertion) for assertion in assertions))


def judge(change: Change, catalogue: Catalogue, id_patterns: list[str], assertion: Assertion) -> Verdict:
    """Judge one assertion."""
    span, why = _ground(change, catalogue, id_patterns, assertion)
    return Verdict(assertion, span, why)


def _ground(
    change: Change, catalogue: Catalogue, id_patterns: list[str], assertion: Assertion
) -> tuple[tuple[int, int] | None, str | None]:
    control = catalogue.by_id.get(assertion.control)
    if control is None:
        return None, "the catalogue has no such control"
    item = change.evidence.get(assertion.evidence)
    if item is None:
        return None, f"this change has no evidence named {assertion.evidence!r}"
    accepted = control.accepts(assertion.result)
    if item.kind not in accepted:
        kinds = ", ".join(kind for kind in Kind if kind in accepted)
        return None, f"{assertion.evidence!r} is of kind {item.kind}; {assertion.result} needs one of: {kinds}"
    if has_invisible(assertion.quote):
        return None, "the quote holds zero-width or bidirectional control characters"
    length = len(quotes.fold_quote(assertion.quote))
    if length < quotes.MIN_QUOTE:
        return None, f"the quote has {length} characters; at least {quotes.MIN_QUOTE} are needed"
    span = quotes.find(assertion.quote, item.text)
    if span is None:
        return None, f"the quoted words do not stand in {assertion.evidence!r}"
    other = names_another_change(change.id, item.text, id_patterns) if item.kind is Kind.APPROVAL else None
    if other is not None:
        return None, f"{assertion.evidence!r} names another change, {other}"
    return span, None
