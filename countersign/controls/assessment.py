"""What an assessment says. What belongs here: its values; not how they are found, and not whether they stand."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from countersign.changes.payload import Change
from countersign.controls.model.interface import Asked

BROUGHT = "payload"


class Result(StrEnum):
    """The four things that can be said of a control."""

    MET = "met"
    EXCEPTION = "exception"
    ABSTAINED = "abstained"
    NOT_APPLICABLE = "not_applicable"


@dataclass(frozen=True, slots=True)
class Assertion:
    """A claim about a control with its citation; `result` is met or exception, `made_by` says by what."""

    control: str
    result: Result
    text: str
    evidence: str
    quote: str
    made_by: str


@dataclass(frozen=True, slots=True)
class ControlResult:
    """One control's result and why; `assertion` is there for met and exception alone.

    `judged_by` says who judged it where that was not the whole mapper.
    """

    control: str
    result: Result
    reason: str
    assertion: Assertion | None = None
    judged_by: str | None = None


@dataclass(frozen=True, slots=True)
class Assessment:
    """Every control of the catalogue with its result; `mapper` names what judged and in which version.

    `claims` are what a model asserted: the gate judges them, and they decide nothing.
    """

    mapper: str
    results: tuple[ControlResult, ...]
    claims: tuple[Assertion, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """A change to be assessed, the source that handed it in, and the instant of judging, in UTC.

    `asked` is what a model was asked about it and said, where the policy names one.
    """

    change: Change
    source: str
    at: datetime
    asked: Asked | None = None


# What assesses a change.
Mapper = Callable[[Case], Assessment]


def brought(change: Change) -> list[Assertion]:
    """The claims that came with the payload: the gate judges them too, and they decide nothing."""
    return [
        Assertion(claim.control, Result.MET, claim.text, claim.evidence, claim.quote, BROUGHT)
        for claim in change.assertions
    ]
