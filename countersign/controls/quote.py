"""Finding a quote in a text, verbatim but for white space, case and Unicode compatibility forms (NFKC).

What belongs here: folding and offsets. What does not: whether a quote may be used for anything. Offsets count code
points of the original text.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache

from countersign.changes.invisible import has_invisible, without_invisible

MIN_QUOTE = 12

_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Folded:
    """A text as it is compared, and for each of its characters the original's span: `starts[i]` to `ends[i]`."""

    text: str
    starts: list[int]
    ends: list[int]


def fold_quote(quote: str) -> str:
    """A quote as it is compared."""
    if quote.isascii():
        return _SPACE.sub(" ", quote).strip().casefold()
    return fold_text(quote).text.strip()


def find(quote: str, text: str) -> tuple[int, int] | None:
    """The span of the first place in `text` that says `quote`, or None."""
    needle = fold_quote(quote)
    if not needle:
        return None
    exact = text.find(quote)
    if exact >= 0 and quote == quote.strip():
        return exact, exact + len(quote)
    if text.isascii() and needle not in _SPACE.sub(" ", text).casefold():
        return None
    folded = fold_text(text)
    at = folded.text.find(needle)
    if at < 0:
        return None
    return folded.starts[at], folded.ends[at + len(needle) - 1]


def fold_text(text: str) -> Folded:
    """White space collapsed, case folded, NFKC, invisible characters gone; each character remembers where it was."""
    pieces: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for start, end in _clusters(text):
        cluster = text[start:end]
        if not cluster.isascii():
            cluster = unicodedata.normalize("NFKC", without_invisible(cluster)).casefold()
            cluster = unicodedata.normalize("NFKC", cluster)
        else:
            cluster = cluster.casefold()
        for character in cluster:
            if character.isspace() and pieces and pieces[-1] == " ":
                ends[-1] = end
                continue
            pieces.append(" " if character.isspace() else character)
            starts.append(start)
            ends.append(end)
    return Folded("".join(pieces), starts, ends)


def _clusters(text: str) -> "list[tuple[int, int]]":
    """Spans that can be normalised one by one: each starts at a character that never joins the one before."""
    if text.isascii():
        return [(at, at + 1) for at in range(len(text))]
    spans = []
    start = 0
    for at in range(1, len(text)):
        if text[at].isascii() or not _joins_backward(text[at]):
            spans.append((start, at))
            start = at
    if text:
        spans.append((start, len(text)))
    return spans


@cache
def _joins_backward(character: str) -> bool:
    """Whether normalisation may combine this character with one before it."""
    if has_invisible(character):
        return True
    first = unicodedata.normalize("NFKD", character)[0]
    return unicodedata.combining(first) != 0 or first in _second_halves()


@cache
def _second_halves() -> frozenset[str]:
    """Characters of class 0 that end some canonical composition, such as the vowels and finals of Hangul."""
    found = {chr(code) for code in (*range(0x1161, 0x1176), *range(0x11A8, 0x11C3))}
    for code in range(0x80, 0x20000):
        parts = unicodedata.decomposition(chr(code)).split()
        if len(parts) == 2 and not parts[0].startswith("<"):
            found.add(chr(int(parts[1], 16)))
    return frozenset(found)
