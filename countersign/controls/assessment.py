"""What an assessment says. What belongs here: its values; not how they are found, and not whether they stand."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from countersign.changes.payload import Change

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
    """One control's result and why; `assertion` is there for met and exception alone."""

    control: str
    result: Result
    reason: str
    assertion: Assertion | None = None


@dataclass(frozen=True, slots=True)
class Assessment:
    """Every control of the catalogue with its result; `mapper` names what judged and in which version."""

    mapper: str
    results: tuple[ControlResult, ...]


@dataclass(frozen=True, slots=True)
class Case:
    """A change to be assessed, the source that handed it in, and the instant of judging, in UTC."""

    change: Change
    source: str
    at: datetime


# What assesses a change.
Mapper = Callable[[Case], Assessment]


def brought(change: Change) -> list[Assertion]:
    """The claims that came with the payload: the gate judges them too, and they decide nothing."""
    return [
        Assertion(claim.control, Result.MET, claim.text, claim.evidence, claim.quote, BROUGHT)
        for claim in change.assertions
    ]
