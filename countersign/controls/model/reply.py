"""A model's answer: JSON by a schema, or unusable.

What belongs here: the form of an answer. What does not: whether a quote stands, which is for the gate to say, and what
an answer is worth.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NoReturn

from pydantic import BaseModel, ConfigDict, Field, ValidationError

_TEXT: dict[str, Any] = {"type": "string"}
_CLAIM: dict[str, Any] = {
    "control": _TEXT,
    "result": {"type": "string", "enum": ["met", "exception"]},
    "evidence": _TEXT,
    "quote": _TEXT,
    "reason": _TEXT,
}
_ABSTENTION: dict[str, Any] = {"control": _TEXT, "reason": _TEXT}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


# What a provider may hold the model to: only keywords that all of them know.
SCHEMA: dict[str, Any] = _object(
    {
        "assertions": {"type": "array", "items": _object(_CLAIM)},
        "abstentions": {"type": "array", "items": _object(_ABSTENTION)},
    }
)

_Words = Annotated[str, Field(min_length=1, max_length=10_000)]
_Name = Annotated[str, Field(min_length=1, max_length=200)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Claim(_Part):
    """Met or exception, with the words that show it."""

    control: _Name
    result: Literal["met", "exception"]
    evidence: _Name
    quote: _Words
    reason: _Words


class Abstention(_Part):
    """A control of which the evidence does not say enough."""

    control: _Name
    reason: _Words


class Reply(_Part):
    """A whole answer: each control at most once."""

    assertions: list[Claim]
    abstentions: list[Abstention]

    def every(self) -> list[Claim | Abstention]:
        """Everything said, assertions first."""
        return [*self.assertions, *self.abstentions]

    def of(self, control: str) -> Claim | Abstention | None:
        """What is said of a control, or None."""
        return next((one for one in self.every() if one.control == control), None)

    def quoting(self, change: Callable[[str], str]) -> "Reply":
        """The same answer, the words that it takes from evidence changed; its own stay as they are."""
        assertions = [
            claim.model_copy(update={"evidence": change(claim.evidence), "quote": change(claim.quote)})
            for claim in self.assertions
        ]
        return self.model_copy(update={"assertions": assertions})


@dataclass(frozen=True, slots=True)
class Unusable:
    """An answer that says nothing of any control, and why."""

    why: str


def parse(text: str, controls: tuple[str, ...]) -> Reply | Unusable:
    """The answer in a text, or why it is none; nothing is repaired, and nothing is guessed."""
    if not text.strip():
        return Unusable("the answer is empty")
    try:
        value = json.loads(text, object_pairs_hook=_distinct, parse_constant=_no_number)
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        return Unusable(f"the answer is not JSON: {type(error).__name__}")
    try:
        reply = Reply.model_validate(value)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"]) or "the whole"
        return Unusable(f"the answer is not of its schema, at {where[:200]}")
    named = [one.control for one in reply.every()]
    if not named:
        return Unusable("the answer says nothing of any control")
    if len(set(named)) != len(named):
        return Unusable("the answer says two things of one control")
    if not set(named) <= set(controls):
        return Unusable("the answer is about a control that was not asked about")
    if not all(claim.evidence.isprintable() for claim in reply.assertions):
        return Unusable("the answer names evidence with a control character")
    return reply


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key is given twice")
    return result


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
