"""What a text says, by the patterns of the policy. What belongs here: reading words; not weighing what they mean."""

import re
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from countersign.changes.invisible import has_invisible
from countersign.controls.quote import MIN_QUOTE, find, fold_quote, fold_text
from countersign.patterns import Patterns
from countersign.policy import Wording

_LONGEST_QUOTE = 400
_PLAIN = str.maketrans(dict.fromkeys("‐‑‒–—―−﹘", "-") | dict.fromkeys("‘’ʼ´`", "'"))


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
        self._approves = Patterns(wording.approves)
        self._withholds = Patterns(wording.withholds)
        self._inconclusive = Patterns(wording.inconclusive)
        self._harmless = Patterns(wording.harmless)
        self._passed = Patterns(wording.passed)
        self._against = [(Says.BYPASSED, Patterns(wording.bypassed)), (Says.FAILED, Patterns(wording.failed))]

    def approval(self, text: str) -> Reading:
        """Approved where some line approves and none withholds; anything else is nothing clear."""
        lines = text.splitlines()
        judged = [_plain(line) for line in lines]
        if any(self._withholds.match(line) for line in (*judged, *_sentences(judged))):
            return Reading(Says.NOTHING, None)
        return self._first(Says.APPROVED, self._approves, text, lines, judged)

    def test(self, text: str) -> Reading:
        """Bypassed before failed before passed: the worst that any line says, phrases such as `0 failed` aside."""
        lines = text.splitlines()
        judged = [_plain(line) for line in lines]
        serious = [self._harmless.without(line) for line in judged]
        for says, pattern in self._against:
            reading = self._first(says, pattern, text, lines, serious)
            if reading.says is says:
                return reading
        # a sentence over several lines is no ground for an exception, but enough to doubt a line of it
        doubtful = [self._inconclusive, *(pattern for _, pattern in self._against)]
        every = (*serious, *(self._harmless.without(sentence) for sentence in _sentences(judged)))
        if any(pattern.match(line) for pattern in doubtful for line in every):
            return Reading(Says.NOTHING, None)
        return self._first(Says.PASSED, self._passed, text, lines, judged)

    @staticmethod
    def _first(says: Says, pattern: Patterns, text: str, lines: list[str], judged: list[str]) -> Reading:
        matching = [number for number, line in enumerate(judged) if pattern.match(line)]
        if not matching:
            return Reading(Says.NOTHING, None)
        quotes = (_around(pattern, lines[number]) or quote_at(text, lines, number) for number in matching)
        return Reading(says, next((quote for quote in quotes if quote is not None), None))


def _around(pattern: Patterns, line: str) -> str | None:
    """Of a line too long to be quoted whole, the part that holds the words; None where the beginning holds them."""
    found = pattern.span(line) if len(line) > _LONGEST_QUOTE else None
    if found is None or found[1] <= _LONGEST_QUOTE:
        return None
    start = max(0, found[0] - _LONGEST_QUOTE // 4)
    quote = line[start : start + _LONGEST_QUOTE].strip()
    return None if has_invisible(quote) or len(fold_quote(quote)) < MIN_QUOTE else quote


def _plain(line: str) -> str:
    """A line as its reader sees it: folded like a quote, every dash and apostrophe the plain one."""
    return line if line.isascii() else fold_text(line).text.translate(_PLAIN)


def _sentences(lines: list[str]) -> list[str]:
    """Lines that run on, in one; a line that stands alone is left out."""
    found: list[list[str]] = [[]]
    for line in lines:
        if line.strip():
            found[-1].append(line.strip())
        if not line.strip() or line.rstrip().endswith((".", "!", "?", ":", ";")):
            found.append([])
    return [" ".join(part) for part in found if len(part) > 1]


def first_quote(text: str) -> str | None:
    """The first words of a text that the gate would accept as a quote, or None."""
    lines = text.splitlines()
    return next((quote for number in range(len(lines)) if (quote := quote_at(text, lines, number))), None)


def quote_naming(name: str, text: str) -> str | None:
    """The first line of a text that says a name as a word of its own, as a quote, or None."""
    wanted = _plain(name).casefold()
    lines = text.splitlines()
    naming = (number for number, line in enumerate(lines) if _stands(wanted, _plain(line).casefold()))
    return next((quote for number in naming if (quote := quote_at(text, lines, number))), None)


def quote_at(text: str, lines: list[str], number: int) -> str | None:
    """A line as a quote, with the lines after it while it is too short; None where nothing long enough is there."""
    for last in range(number, len(lines)):
        quote = "\n".join(lines[number : last + 1]).strip()
        if len(fold_quote(quote)) >= MIN_QUOTE:
            quote = quote[:_LONGEST_QUOTE].rstrip()
            return None if has_invisible(quote) or find(quote, text) is None else quote
    whole = text.strip()
    long_enough = len(fold_quote(whole)) >= MIN_QUOTE and len(whole) <= _LONGEST_QUOTE
    return whole if long_enough and not has_invisible(whole) else None


_REVISION = re.compile(r"[0-9a-f]{12,64}\Z")
_NUMBER = re.compile(r"[0-9]+\Z")
_REVISION_HERE = re.compile(r"[0-9a-f]{7,64}")
_NUMBER_HERE = re.compile(r"[0-9]+")


@lru_cache(maxsize=16)
def _ids(patterns: tuple[str, ...]) -> Patterns:
    return Patterns(patterns)


def _like(own: str, text: str) -> list[str]:
    """The ids in a text that are shaped like this one: the same words with another number or revision."""
    stem, number = _REVISION.sub("", own), _REVISION_HERE
    if stem == own:
        stem, number = _NUMBER.sub("", own), _NUMBER_HERE
    if stem == own or not any(character.isalpha() for character in stem):
        return []
    found = []
    at = text.find(stem)
    while at >= 0:
        match = number.match(text, at + len(stem))
        if match is not None and not _is_word(text[at - 1 : at]) and not _is_word(text[match.end() : match.end() + 1]):
            found.append(text[at : match.end()])
        at = text.find(stem, at + 1)
    return found


def names_another_change(change_id: str, text: str, id_patterns: list[str]) -> str | None:
    """The id of another change where the text names one and never this one, else None."""
    return _other_change(change_id, text, tuple(id_patterns))


@lru_cache(maxsize=32)  # each approval of a change is asked about once by the rules and again by the gate
def _other_change(change_id: str, text: str, id_patterns: tuple[str, ...]) -> str | None:
    own, text = _plain(change_id).casefold(), _plain(text).casefold()
    named = [*_like(own, text), *_ids(id_patterns).every(text)]
    if not named or _stands(own, text):
        return None
    # an abbreviated revision of this very change is this change, and so is `CHG 1001` for CHG-1001
    stem = _REVISION.sub("", own)
    return None if any(_is_own(other, own, stem) for other in named) else named[0]


def _stands(own: str, text: str) -> bool:
    """Whether an id stands in a text as a word of its own, not as the beginning of a longer one."""
    at = text.find(own)
    while at >= 0:
        if not _is_word(text[at - 1 : at]) and not _is_word(text[at + len(own) : at + len(own) + 1]):
            return True
        at = text.find(own, at + 1)
    return False


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"


def _is_own(named: str, own: str, stem: str) -> bool:
    if stem != own and len(named) > len(stem):
        return own.startswith(named)
    return re.sub(r"[-_ #]", "", named) == re.sub(r"[-_ #]", "", own)
