"""How names, logins and addresses are spelled, and when two spellings are one.

What belongs here: text in, comparable text out, in three steps that each see less: `fold` (case, width, white space),
`bare` (no diacritics), `looks` (letters that look alike, UTS #39). What does not: which person a text names.
"""

import re
import unicodedata
from functools import cache
from pathlib import Path

from countersign.changes.invisible import without_invisible

# the accents of Latin, Greek and Cyrillic; the vowel signs of other scripts make another word and stay
_DIACRITICS = re.compile("[\u0300-\u036f]")
_PROTOTYPES = Path(__file__).with_name("confusables.txt")


def shown(text: str) -> str:
    """The text as a reader sees it: NFKC, nothing invisible; case and accents stay."""
    return text if text.isascii() else unicodedata.normalize("NFKC", without_invisible(text))


def fold(text: str) -> str:
    """A name, login or e-mail as it is compared: NFKC, case-folded, white space collapsed, nothing invisible."""
    return " ".join(unicodedata.normalize("NFKC", shown(text).casefold()).split())


def bare(text: str) -> str:
    """The text folded, without diacritics: `José` is `jose`."""
    folded = fold(text)
    if folded.isascii():
        return folded
    # NFKC makes a space and an accent of an accent that stands alone
    return " ".join(_DIACRITICS.sub("", unicodedata.normalize("NFD", folded)).split())


def looks(text: str) -> frozenset[str]:
    """What a text looks like, whatever letters it is written in; texts that share one of these look alike.

    The skeleton of UTS #39, section 4, taken before and after folding the case: a capital may look like a letter that
    its small form does not (Cyrillic В and в). Diacritics do not count.
    """
    seen = unicodedata.normalize("NFD", shown(text))
    return frozenset([bare(seen.translate(_prototypes())), bare(seen.casefold().translate(_prototypes()))])


@cache
def _prototypes() -> dict[int, str]:
    """Every character that looks like others, with the one that stands for them all."""
    table: dict[int, str] = {}
    for line in _PROTOTYPES.read_text("ascii").splitlines():
        if not line.startswith("#"):
            prototype, _, alike = line.partition(":")
            characters = "".join(chr(int(point, 16)) for point in prototype.split())
            table |= {int(point, 16): characters for point in alike.split()}
    return table


def words(name: str) -> tuple[str, ...]:
    """The words of a name, bare, in an order that does not depend on which of its names comes first.

    `Example Maker`, `Maker Example` and `Maker, Example` have the same words in the same order: the rotation that sorts
    first. Any other order is another name.
    """
    parts = bare(name).replace(",", " ").split()
    return min((tuple(parts[turn:] + parts[:turn]) for turn in range(len(parts))), default=())


def abbreviates(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether two names could be one with first names shortened or left out: `J. Maker`, `John Q. Maker`.

    They share a whole word, and whatever else the shorter one has is an initial of the longer one, or the reverse.
    """
    left, right = [word.rstrip(".") for word in one], [word.rstrip(".") for word in other]
    shared = [word for word in left if len(word) > 1 and word in right]
    if not shared:
        return False
    short, long = sorted(([word for word in name if word not in shared] for name in (left, right)), key=len)
    if not short:
        return len(shared) > 1
    return all(any(_initial(word, whole) for whole in long) for word in short)


def _initial(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return len(short) == 1 and long.startswith(short)
