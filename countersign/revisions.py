"""Revisions as text: whether two of them are one. What belongs here: this question and what makes it quick to ask."""

import re

_HASH = re.compile(r"[0-9a-f]{7,64}")
_STEM = 7  # digits of the shortest abbreviated hash


def same_revision(one: str, other: str) -> bool:
    """Whether two revisions are one: equal, or one an abbreviated hash (of at least 7 digits) of the other.

    Anything else that begins alike is two: `release-1` is not `release-10`.
    """
    short, long = sorted((one.casefold(), other.casefold()), key=len)
    if short == long:
        return True
    # a number without letters may be a build number, unless the other is a whole hash
    hashes = _HASH.fullmatch(short) and _HASH.fullmatch(long) and (len(long) in (40, 64) or not short.isdigit())
    return bool(hashes) and long.startswith(short)


def stem(revision: str) -> str:
    """What revisions that are one have in common, so that they can be looked up before they are compared."""
    return revision.casefold()[:_STEM]
