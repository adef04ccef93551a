"""Who had a hand in a change, as the log of its run says it, and whether somebody is shown to be none of them.

What belongs here: reading that, and comparing. What does not: what follows from it for an observation or a finding.
"""

from collections.abc import Iterator, Sequence

from countersign.changes.people import Identity, Likeness, People
from countersign.errors import CountersignError
from countersign.evidence.log import AuditLog
from countersign.evidence.root import LOG, EvidenceRoot
from countersign.runs.fold import apply, without_voided
from countersign.runs.state import RunState

Hands = Sequence[tuple[str, str]]
"""What somebody did, and how they are written there."""


def hands_in(state: RunState) -> Iterator[tuple[str, str]]:
    """Everybody who made the change, once it is ingested, or signed it."""
    if state.ingested:
        change = state.change
        yield "author", change.author
        yield from (("contributor", text) for text in change.contributors)
        if change.deployed_by:
            yield "deployer", change.deployed_by
        yield from ((f"signer of {key}", signed.by) for key, signed in state.sign_offs.items())


def hands_of(root: EvidenceRoot, run_id: str) -> Hands | None:
    """The same of a run, read now: as far as its log can be read, and None where that does not reach the change."""
    found: list[tuple[str, str]] = []
    for path in sorted(root.path.glob(f"runs/*/*/*/{run_id}/{LOG}")):
        state = RunState(run_id)
        try:
            for entry in without_voided(AuditLog(path, root=root).records()):
                apply(state, entry, root.blobs)
        except (CountersignError, OSError):
            pass  # what stands before the fault was said all the same
        try:
            found += hands_in(state)
        except CountersignError:
            continue
    return found or None


def roster_ids(people: People, hands: Hands) -> list[str]:
    """Those of them whom the roster knows, each once."""
    persons = [people.identify(text).person for _, text in hands]
    return [person for person in dict.fromkeys(persons) if person is not None]


def not_shown_apart(people: People, person: Identity, hands: Hands) -> tuple[str, str] | None:
    """The first of them whom this person is, or cannot be told apart from; bots are nobody."""
    for part, text in hands:
        if not people.is_bot(text) and people.compare(person, people.identify(text)) is not Likeness.DIFFERENT:
            return part, text
    return None
