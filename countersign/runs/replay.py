"""A run taken through its steps again, from nothing but its log and the versions of then.

What the engine decided is decided again at the instant of its event and held against it; what people, models and
clocks did is a fact and is taken over. What belongs here: one log. What does not: verifying it, and which runs
(`reperformance`).
"""

import difflib
import json
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from countersign.changes.sources.interface import Origin
from countersign.clocks.instant import parse_instant
from countersign.controls.assessment import Case
from countersign.controls.model.interface import Prompt
from countersign.errors import CountersignError, NotReperformed
from countersign.evidence.lines import Draft, Entry
from countersign.runs.fold import apply, without_voided
from countersign.runs.questioning import asked_of
from countersign.runs.state import RunState
from countersign.runs.steps import Arrival, failure, ingest, next_drafts
from countersign.runs.versions import Versions
from countersign.runs.workpaper import document_bytes, workpaper_document

# what somebody else did, or only remarked: taken over as it stands
_FACTS = frozenset(("model_asked", "signed_off", "breached", "failed", "recovered"))


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that came out otherwise: an event, the workpaper, a clock; `was` and `again` are JSON values."""

    what: str
    was: Any
    again: Any

    @property
    def diff(self) -> list[str]:
        """The lines that differ, with a little around them."""
        lines = (_lines(self.was), _lines(self.again))
        return list(difflib.unified_diff(*lines, f"{self.what} as logged", f"{self.what} performed again", lineterm=""))


def _lines(value: Any) -> list[str]:
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False).splitlines()


@dataclass(slots=True)
class Replay:
    """What came of it: the state that was reached again, and what differs from the log on the way."""

    state: RunState
    differences: list[Difference] = field(default_factory=list)


def replay(logged: RunState, entries: Sequence[Entry], versions: Versions) -> Replay:
    """Take a run through its steps again; `logged` is the fold of its whole log.

    Raises NotReperformed where another release judged it, or its words are not all there.
    """
    if logged.erased:
        raise NotReperformed(f"{', '.join(sorted(logged.erased))}: erased by two people; the register says who and why")
    done = Replay(RunState(logged.run_id))
    waiting: deque[Draft] = deque()
    for entry in without_voided(entries):
        if entry.event in _FACTS:
            waiting.clear()
            if entry.event == "model_asked":
                _compare_prompts(done, entry, versions)
            draft = Draft(entry.event, entry.actor, entry.data, entry.texts)
        else:
            _decide(done.state, logged, entry, versions, waiting)
            if entry.event != "noticed" and waiting[0].event == "noticed":
                done.differences.append(Difference("noticed", None, waiting.popleft().data))
                _decide(done.state, logged, entry, versions, waiting)
            elif entry.event == "noticed" and waiting[0].event != "noticed":
                done.differences.append(Difference("noticed", entry.data, None))
                continue  # nothing is decided on a notice, so what comes after it can be compared all the same
            draft = waiting.popleft()
        if not _taken(done, logged, entry, draft):
            break
    else:
        _compare_workpapers(done, logged)
    return done


def _decide(state: RunState, logged: RunState, entry: Entry, versions: Versions, waiting: deque[Draft]) -> None:
    """Decide what comes now, where the log has this event; what a step says besides waits for the events after it."""
    if waiting:
        return
    try:
        if state.ingested:
            waiting.extend(next_drafts(state, None, versions, parse_instant(entry.ts)))
        else:
            waiting.extend(_ingested_again(logged, versions))
    except CountersignError:
        raise
    except Exception as error:  # as in the engine: whatever a step raises is what came of it
        waiting.append(failure(state, error))
    if not waiting:
        waiting.append(Draft("nothing", "countersign"))


def _ingested_again(logged: RunState, versions: Versions) -> list[Draft]:
    arrival = Arrival(logged.payload, logged.source, logged.where, cast("Origin", logged.origin), logged.supersedes)
    return ingest(arrival, versions, parse_instant(logged.classified["at"]))


def _taken(done: Replay, logged: RunState, entry: Entry, draft: Draft) -> bool:
    """Take what was decided into the state, and whether the log can be followed from there."""
    was = {"event": entry.event, **entry.data, "texts": entry.texts}
    again = {"event": draft.event, **draft.data, "texts": dict(draft.texts)}
    if entry.event == "assessed" and was["mapper"] != again.get("mapper", was["mapper"]):
        raise NotReperformed(
            f"judged by {was['mapper']}, and this release judges by {again['mapper']}; use one that has the former"
        )
    if was != again:
        done.differences.append(Difference(entry.event, was, again))
    if draft.event != entry.event:
        return False
    arrived = logged.payload if entry.event == "ingested" else None
    try:
        apply(done.state, replace(entry, data=dict(draft.data), texts=dict(draft.texts)), logged.blobs, arrived=arrived)
    except CountersignError as error:
        done.differences.append(Difference(entry.event, was, f"cannot stand here any more: {error}"))
        return False
    if entry.event == "gated":
        done.state.gate_holds = was == again  # it was decided a moment ago
    return True


def _compare_workpapers(done: Replay, logged: RunState) -> None:
    """Byte by byte: by the SHA-256 in its event, which was made again; else as a draft; in full where it differs."""
    if logged.assessed_at is None or (done.state.workpaper is not None and not done.differences):
        return
    was, again = workpaper_document(logged), workpaper_document(done.state)
    if document_bytes(was) != document_bytes(again):
        done.differences.append(Difference("workpaper", was, again))


def _compare_prompts(done: Replay, entry: Entry, versions: Versions) -> None:
    """The question to the model, put together again; one by another template cannot be put together any more."""
    if versions.questions is None:
        return
    asked = asked_of(entry)
    prompt = versions.questions.prompt(Case(done.state.change, done.state.source, parse_instant(entry.ts)))
    if prompt.template == asked.prompt.template and prompt != asked.prompt:
        done.differences.append(Difference("prompt", _shown(asked.prompt), _shown(prompt)))


def _shown(prompt: Prompt) -> dict[str, Any]:
    return {
        "controls": list(prompt.controls),
        "instructions": prompt.instructions.splitlines(),
        "evidence": prompt.evidence.splitlines(),
        "redactions": dict(prompt.redactions),
    }
