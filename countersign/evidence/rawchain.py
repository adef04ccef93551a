"""A chain followed by its bytes alone: each line hashed once, no JSON read.

What belongs here: the quick answer for a log whose head is vouched for from outside, so that its bytes can only be the
ones that were written, strictly, by us. What does not: naming a fault. Whatever is not plainly whole is left to `Scan`.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import dropwhile, groupby

from countersign.evidence.lines import ZERO

_PREV = b'{"prev":"'
_TEXT = b'{"text":"'
_TEXTS = b'"texts":{'
_OUTSIDE = b'"blobs":{'
_NESTED = b"}}\n"  # how an event with texts or blobs ends, since these come last


@dataclass(frozen=True, slots=True)
class Followed:
    """Where a chain that holds ends: its head and how many events lead there."""

    head: str
    events: int


def follow(lines: Iterable[bytes], heads: Iterable[str] = ()) -> Followed | None:
    """Follow raw lines from the first; None for anything but events in a row with exactly the texts that they name.

    They have to come by these `heads` too, in this order. Says nothing for a log with a text among the blobs or a
    damaged line that was recovered: both may well be sound.
    """
    waiting = (head for head, _ in groupby(dropwhile(ZERO.__eq__, heads)))
    awaited_head = next(waiting, None)
    sha256 = hashlib.sha256
    head, events, line = ZERO, 0, b"\n"
    expected = _PREV + head.encode()
    awaited: list[bytes] = []
    for line in lines:
        if line.startswith(expected):
            if awaited:
                return None
            head = sha256(line).hexdigest()
            expected = _PREV + head.encode()
            events += 1
            if head == awaited_head:
                awaited_head = next(waiting, None)
            if line.endswith(_NESTED):
                if _OUTSIDE in line:
                    return None
                if _TEXTS in line:
                    awaited = [part[-65:-1] for part in line[line.rindex(_TEXTS) : -3].split(b',"')][::-1]
        elif not (awaited and line.startswith(_TEXT) and sha256(line).hexdigest().encode() == awaited.pop()):
            return None
    if awaited or awaited_head is not None or not events or not line.endswith(b"\n"):
        return None
    return Followed(head, events)
