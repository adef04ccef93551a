"""Characters that a reader does not see: which they are, and texts without them. Nothing that compares or quotes."""

import re

# zero-width and bidirectional control characters: they let a reader see other words than a program
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0\U000e0000-\U000e007f]"
)


def has_invisible(text: str) -> bool:
    """Whether a text holds zero-width or bidirectional control characters."""
    return not text.isascii() and _INVISIBLE.search(text) is not None


def without_invisible(text: str) -> str:
    """The text as a reader sees it."""
    return text if text.isascii() else _INVISIBLE.sub("", text)
