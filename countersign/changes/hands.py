"""Who had a hand in a change: everybody who made it or deployed it, and whether somebody is shown to be none of them.

What belongs here: the one list of them, and comparing. What does not: who signed its run (`runs.hands`), and what
follows for a sign-off, an observation or a finding.
"""

from collections.abc import Iterator, Sequence

from countersign.changes.payload import Change
from countersign.changes.people import Identity, Likeness, People
from countersign.policy import Kind

Hands = Sequence[tuple[str, str]]
"""What somebody did, and how they are written there."""


def hands_in(change: Change) -> Iterator[tuple[str, str]]:
    """Everybody who made a change, and everybody who deployed it, as it declares or a deployment in its evidence says.

    A deployment that was joined names its deployer nowhere else.
    """
    yield "author", change.author
    yield from (("contributor", text) for text in change.contributors)
    yield from (("deployer", text) for text in deployers_of(change))


def deployers_of(change: Change) -> list[str]:
    """Whoever deployed a change, each spelling once, automation too: first whom it declares."""
    named = [item.by for item in change.evidence.values() if item.kind is Kind.DEPLOYMENT]
    return [text for text in dict.fromkeys([change.deployed_by, *named]) if text is not None]


def is_nobody(people: People, text: str) -> bool:
    """Whether a text names automation, which is no person."""
    return people.is_bot(text) or people.is_pipeline(text)


def not_shown_apart(people: People, person: Identity, hands: Hands) -> tuple[str, str] | None:
    """The first of them whom this person is, or cannot be told apart from."""
    for part, text in hands:
        if not is_nobody(people, text) and people.compare(person, people.identify(text)) is not Likeness.DIFFERENT:
            return part, text
    return None


def roster_ids(people: People, hands: Hands) -> list[str]:
    """Those of them whom the roster knows, each once."""
    persons = [people.identify(text).person for _, text in hands]
    return [person for person in dict.fromkeys(persons) if person is not None]
