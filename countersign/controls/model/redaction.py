"""Words that never leave: found by the policy's patterns, replaced by placeholders, and put back into quotes.

What belongs here: finding and replacing. What does not: what a prompt says.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from countersign.patterns import Patterns
from countersign.policy.model import Redaction

_CARD_DIGITS = range(13, 20)


class Redactor:
    """Redacts the texts of one prompt; the same words get the same placeholder, so that they can be compared.

    `tag` stands in every placeholder and must stand in none of the texts, so that no evidence can forge one.
    """

    def __init__(self, redactions: Sequence[Redaction], tag: str) -> None:
        self._parts = [(redaction, Patterns([redaction.pattern])) for redaction in redactions]
        self._tag = tag
        self._placeholders: dict[str, str] = {}

    def __call__(self, text: str) -> str:
        """The text with a placeholder for everything that must not leave."""
        pieces: list[str] = []
        end = 0
        for start, stop, name in _merged(sorted(self._found(text))):
            pieces += [text[end:start], self._placeholder(name, text[start:stop])]
            end = stop
        return "".join([*pieces, text[end:]])

    @property
    def originals(self) -> dict[str, str]:
        """The words behind each placeholder."""
        return {placeholder: words for words, placeholder in self._placeholders.items()}

    def _found(self, text: str) -> Iterator[tuple[int, int, str]]:
        for redaction, patterns in self._parts:
            for start, stop in patterns.spans(text):
                if start < stop and (redaction.check is None or _holds_card(text[start:stop])):
                    yield start, stop, redaction.name

    def _placeholder(self, name: str, words: str) -> str:
        number = len(self._placeholders) + 1
        return self._placeholders.setdefault(words, f"[{name}-{number}-{self._tag}]")


def restored(text: str, originals: Mapping[str, str]) -> str:
    """The text with the words behind its placeholders; a placeholder that nobody made stays as it is."""
    if not originals:
        return text
    return re.sub("|".join(map(re.escape, originals)), lambda found: originals[found.group()], text)


def _merged(spans: Sequence[tuple[int, int, str]]) -> Iterator[tuple[int, int, str]]:
    """Spans that overlap, as one: whatever two patterns want hidden between them is hidden."""
    held: tuple[int, int, str] | None = None
    for start, stop, name in spans:
        if held is not None and start < held[1]:
            held = (held[0], max(held[1], stop), held[2])
            continue
        if held is not None:
            yield held
        held = (start, stop, name)
    if held is not None:
        yield held


def _holds_card(text: str) -> bool:
    """Whether a card number stands among these digits; which of them it is cannot be told, so all of them go."""
    digits = [int(character) for character in text if character.isdecimal()]
    return any(
        _luhn(digits[first : first + length]) for length in _CARD_DIGITS for first in range(len(digits) - length + 1)
    )


def _luhn(digits: Sequence[int]) -> bool:
    """ISO/IEC 7812-1, annex B: every second digit from the right doubled, its digits added."""
    doubled = [sum(divmod(digit * 2, 10)) if place % 2 else digit for place, digit in enumerate(reversed(digits))]
    return sum(doubled) % 10 == 0
