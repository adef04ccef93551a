"""From a run's log to what a signer is told. What belongs here: that projection, and which runs are signed alone."""

from collections.abc import Sequence

from countersign.clocks.instant import stamp
from countersign.controls.assessment import Result
from countersign.policy import Key
from countersign.runs.determination import Determination
from countersign.runs.state import RunState
from countersign.runs.statement import Matter


def matter_of(
    state: RunState, key: Key, determinations: Sequence[Determination] = (), *, log_head: str | None = None
) -> Matter:
    """A run as it is handed to a signer, from its log; as of an earlier head where one is given."""
    request = state.requests[key]
    return Matter(
        run_id=state.run_id,
        change_id=state.change.id,
        maker=state.change.author,
        log_head=log_head or state.head,
        request=request.head,
        requested_at=stamp(request.at),
        assertions=state.assessed_head,
        gate=state.gated_head,
        configuration=state.configuration["digest"],
        determinations=tuple(determinations),
    )


def why_alone(state: RunState, decision: str, determinations: Sequence[Determination]) -> str | None:
    """Why a run cannot be one of many in a statement, or None: only what is clean so far is approved by the dozen."""
    if decision != "approved":
        return "is rejected"
    if determinations:
        return "has determinations"
    odd = {judged.result for judged in state.results} & {Result.EXCEPTION, Result.ABSTAINED}
    return f"has {' and '.join(sorted(odd))} results" if odd else None
