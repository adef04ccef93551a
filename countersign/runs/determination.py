"""What a reviewer determines of a control that was abstained. What belongs here: the form, and how a log carries it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from countersign.controls import gate
from countersign.controls.assessment import Assertion, Result
from countersign.errors import SignOffRefused
from countersign.runs.state import RunState
from countersign.runs.versions import Versions


@dataclass(frozen=True, slots=True)
class Determination:
    """What the reviewer says of a control that was abstained, with a quote that has to pass the gate."""

    control: str
    result: Literal["met", "exception"]
    evidence: str
    quote: str
    reason: str


def determination_rows(
    state: RunState, determinations: Sequence[Determination], signer: str, versions: Versions
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Determinations as their event carries them, and their texts. Raises SignOffRefused for one that cannot stand."""
    abstained = {judged.control for judged in state.judged if judged.result is Result.ABSTAINED}
    rows: list[dict[str, Any]] = []
    texts: dict[str, str] = {}
    for determination in determinations:
        if determination.control not in abstained or any(row["control"] == determination.control for row in rows):
            raise SignOffRefused(f"{determination.control}: only an abstained control is determined, and once")
        if not determination.reason.strip():
            raise SignOffRefused(f"{determination.control}: a determination needs a reason")
        if determination.result not in ("met", "exception"):
            raise SignOffRefused(f"{determination.control}: a determination says met or exception")
        result = Result(determination.result)
        claim = Assertion(
            determination.control, result, determination.reason, determination.evidence, determination.quote, signer
        )
        verdict = gate.judge(state.change, versions.catalogue, versions.policy.change_ids, claim)
        if verdict.span is None:
            raise SignOffRefused(f"{determination.control}: the gate does not let it pass: {verdict.why}")
        reason = f"determination/{determination.control}"
        texts[reason] = determination.reason
        row = {"control": determination.control, "result": result.value, "reason": reason}
        rows.append({**row, "evidence": determination.evidence, "quote": list(verdict.span)})
    return rows, texts
