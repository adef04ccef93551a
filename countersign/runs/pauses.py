"""What the register has to know of a run where it stands, and whether what its lines say follows from the log.

The index, clocks and months go by these lines without reading a log, so each of them is held against it. What belongs
here: that one statement, made and judged. What does not: writing it (`engine`, `sign_offs`).
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from countersign.clocks.instant import stamp
from countersign.evidence.lines import Entry
from countersign.evidence.register import Pause, claim_of
from countersign.runs.account import Registered
from countersign.runs.fold import states
from countersign.runs.state import RunState, Status


def pause_of(state: RunState, stages: tuple[str, ...] = ()) -> Pause:
    """How a run stands, for the register."""
    return Pause(
        state.run_id,
        state.head,
        state.status,
        state.pending,
        state.reason,
        state.closed_as is not None,
        stages,
        stamp(state.requests[state.pending].at) if state.pending else None,
        {about: stamp(at) for about, at in state.notices.items()},
        state.handoff["clean"] if state.handoff is not None else None,
    )


def cannot_go_on(run_id: str, head: str, reason: str | None = None) -> Pause:
    """What there is to say of a run whose log cannot be read or written: nothing that any log says."""
    return Pause(run_id, head, Status.FAILED, None, reason, False, ())


def fold_against(run: Registered, state: RunState, entries: Iterable[Entry], blobs: Path) -> Iterator[str]:
    """Fold a log into a state, giving each head of which the register says what does not follow there.

    Raises TamperedError for an event that cannot stand where it stands.
    """
    claims: dict[str, set[bytes]] = {}
    for head, claim in run.claims:
        claims.setdefault(head, set()).add(claim)
    for head, said in claims.items():
        said.discard(_claim(cannot_go_on(run.run_id, head)))
    for entry in states(state, entries, blobs):
        if entry.head in claims:
            said = claims[entry.head]
            said.discard(_claim(pause_of(state)))
            if entry.event == "signed_off":
                told = {name: entry.data[name] for name in ("key", "decision")}
                said.discard(claim_of("signed_off", {"run_id": run.run_id, **told, "head": entry.head}))
    yield from (head for head, said in claims.items() if said)


def _claim(pause: Pause) -> bytes:
    draft = pause.draft()
    return claim_of(draft.event, draft.data)
