"""Who may give a sign-off: somebody with the role that day, and far enough from the change.

What belongs here: that one question, with why not. What does not: taking a sign-off (`sign_offs`).
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from countersign.changes.hands import hands_in, not_shown_apart
from countersign.changes.people import Identity, Likeness, People, Standing
from countersign.errors import SignOffRefused
from countersign.policy import Key, Policy
from countersign.runs.state import RunState
from countersign.runs.versions import Versions


def acting_for(
    state: RunState,
    key: Key,
    signer: str,
    at: datetime,
    current: Versions,
    assessed: Versions,
    determined_on: Sequence[str] = (),
) -> str | None:
    """For whom a person gives this sign-off at an instant: None for themself, else the id of whom they act for.

    The role is asked of the current roster. Independence has to hold under the one the run was assessed with too, so
    that no later roster makes somebody independent; a delegate is compared as themself and as whom they act for.
    `determined_on` names the evidence that a review's determinations cite. Raises SignOffRefused with why not.
    """
    standing = _membership(key, signer, current.policy, current.people, at)
    objections = []
    for principal in standing.acting_for or (None,):
        against = None
        for people in dict.fromkeys((current.people, assessed.people)):
            against = against or _too_close(state, key, signer, principal, people, determined_on)
        if against is None:
            return principal
        objections.append(against)
    raise SignOffRefused(objections[0])


def _membership(key: Key, signer: str, policy: Policy, people: People, at: datetime) -> Standing:
    """What lets this person give this sign-off at an instant. Raises SignOffRefused where nothing does."""
    if policy.person(signer) is None:
        raise SignOffRefused(f"{signer!r} is not on the roster; sign as one of its ids")
    if people.is_bot(signer):
        raise SignOffRefused(f"{signer!r} is a bot, and a bot is nobody's checker")
    standing = people.holds_role(signer, policy.sign_off.role(key), at)
    if not standing.holds:
        raise SignOffRefused(f"{key} is not for {signer!r} to give: {standing.why}")
    return standing


def _too_close(
    state: RunState, key: Key, signer: str, principal: str | None, people: People, determined_on: Iterable[str]
) -> str | None:
    """Why this person is too close to the change to give this sign-off, or None. What cannot be told is too close."""
    identity = _identity(people, signer, principal)
    who = repr(signer) if principal is None else f"{signer!r}, who acts for {principal!r},"
    if hand := not_shown_apart(people, identity, list(hands_in(state.change))):
        part, text = hand
        return f"{who} {_doubt(people, identity, text)} the {part} of this change, {text!r}"
    for other, signed in state.sign_offs.items():
        giver = _identity(people, signed.by, signed.acting_for)
        if other is not key and people.compare(identity, giver) is not Likeness.DIFFERENT:
            return f"{who} gave {other} already; the two sign-offs need two people"
    if key is Key.INDEPENDENT_REVIEW:
        for name, by in _cited(state, determined_on):
            doubt = _doubt(people, identity, by) if not people.is_bot(by) else None
            if doubt is not None:
                return f"{who} {doubt} who gave the cited evidence {name!r}, {by!r}"
    return None


def _identity(people: People, signer: str, principal: str | None) -> Identity:
    identity = people.identify(signer)
    return identity if principal is None else people.acting(identity, principal)


def _doubt(people: People, signer: Identity, text: str) -> str | None:
    match people.compare(signer, people.identify(text)):
        case Likeness.SAME:
            return "is"
        case Likeness.UNKNOWN:
            return "cannot be told apart (say so in the roster) from"
        case Likeness.DIFFERENT:
            return None


def _cited(state: RunState, determined_on: Iterable[str]) -> list[tuple[str, str]]:
    """Cited evidence items with whoever gave them, and for whom."""
    cited = [judged.evidence for judged in state.judged if judged.evidence is not None]
    names = dict.fromkeys([*cited, *determined_on])
    items = [(name, state.change.evidence[name]) for name in names if name in state.change.evidence]
    return [(name, who) for name, item in items for who in (item.by, item.on_behalf_of) if who is not None]
