"""What a text says, by the patterns of the policy. What belongs here: reading words; not weighing what they mean."""

import re
from dataclasses import dataclass
from enum import Enum
from functools import cached_property, lru_cache

import re2

from countersign.controls.quote import MIN_QUOTE, fold_quote, has_invisible
from countersign.policy import Wording

_LONGEST_QUOTE = 400


class Says(Enum):
    """What an approval or a test text says."""

    APPROVED = "approved"
    PASSED = "passed"
    FAILED = "failed"
    BYPASSED = "bypassed"
    NOTHING = "nothing clear"


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text says and the words that say it; `quote` is None where no line can be quoted."""

    says: Says
    quote: str | None


class Reader:
    """The policy's patterns, compiled."""

    def __init__(self, wording: Wording) -> None:
        self._wording = wording

    @cached_property
    def _approves(self) -> "re2._Regexp[str]":
        return _compile(tuple(self._wording.approves))

    @cached_property
    def _withholds(self) -> "re2._Regexp[str]":
        return _compile(tuple(self._wording.withholds))

    @cached_property
    def _harmless(self) -> "re2._Regexp[str]":
        return _compile(tuple(self._wording.harmless))

    @cached_property
    def _outcomes(self) -> "list[tuple[Says, re2._Regexp[str]]]":
        words = self._wording
        return [
            (Says.BYPASSED, _compile(tuple(words.bypassed))),
            (Says.FAILED, _compile(tuple(words.failed))),
            (Says.PASSED, _compile(tuple(words.passed))),
        ]

    def approval(self, text: str) -> Reading:
        """Approved where some line approves and none withholds; anything else is nothing clear."""
        lines = text.splitlines()
        if any(self._withholds.search(line) for line in lines):
            return Reading(Says.NOTHING, None)
        return self._first(Says.APPROVED, self._approves, text, lines, lines)

    def test(self, text: str) -> Reading:
        """Bypassed before failed before passed: the worst that any line says, phrases such as `0 failed` aside."""
        lines = text.splitlines()
        judged = [self._harmless.sub(" ", line) for line in lines]
        for says, pattern in self._outcomes:
            reading = self._first(says, pattern, text, lines, lines if says is Says.PASSED else judged)
            if reading.says is says:
                return reading
        return Reading(Says.NOTHING, None)

    @staticmethod
    def _first(says: Says, pattern: "re2._Regexp[str]", text: str, lines: list[str], judged: list[str]) -> Reading:
        matching = [number for number, line in enumerate(judged) if pattern.search(line)]
        if not matching:
            return Reading(Says.NOTHING, None)
        quotes = (quote_at(text, lines, number) for number in matching)
        return Reading(says, next((quote for quote in quotes if quote is not None), None))


def first_quote(text: str) -> str | None:
    """The first words of a text that the gate would accept as a quote, or None."""
    lines = text.splitlines()
    return next((quote for number in range(len(lines)) if (quote := quote_at(text, lines, number))), None)


def quote_at(text: str, lines: list[str], number: int) -> str | None:
    """A line as a quote, with the lines after it while it is too short; None where nothing long enough is there."""
    for last in range(number, len(lines)):
        quote = "\n".join(lines[number : last + 1]).strip()
        if len(fold_quote(quote)) >= MIN_QUOTE:
            quote = quote[:_LONGEST_QUOTE].rstrip()
            return None if has_invisible(quote) or quote not in text else quote
    whole = text.strip()
    long_enough = len(fold_quote(whole)) >= MIN_QUOTE and len(whole) <= _LONGEST_QUOTE
    return whole if long_enough and not has_invisible(whole) else None


@lru_cache(maxsize=64)
def _compile(patterns: tuple[str, ...]) -> "re2._Regexp[str]":
    return re2.compile("(?i)" + "|".join(f"(?:{pattern})" for pattern in patterns))


@lru_cache(maxsize=256)
def _shape(change_id: str) -> re.Pattern[str] | None:
    """The pattern of ids like this one: the same words with another number, or another hexadecimal revision."""
    stem = re.sub(r"[0-9a-f]{12,40}$", "", change_id)
    if stem != change_id:
        number = r"[0-9a-f]{7,40}"
    else:
        stem = re.sub(r"\d+$", "", change_id)
        number = r"\d+"
    if stem == change_id or not any(character.isalpha() for character in stem):
        return None
    return re.compile(rf"(?<![\w]){re.escape(stem)}{number}(?![\w])", re.IGNORECASE)


def names_another_change(change_id: str, text: str, id_patterns: list[str]) -> str | None:
    """The id of another change where the text names one and never this one, else None."""
    shape = _shape(change_id)
    named = [match.group() for match in shape.finditer(text)] if shape else []
    if id_patterns:
        named += [match.group() for match in _compile(tuple(id_patterns)).finditer(text)]
    if not named or change_id.casefold() in text.casefold():
        return None
    own = change_id.casefold()
    # an abbreviated revision of this very change is this change
    return next((other for other in named if not own.startswith(other.casefold())), None)
