"""A chained file in two halves: its events, which prove, and everything else, which can be erased.

What belongs here: telling the lines apart and joining them again. The form of a log says where each text stands: after
the event that names it. Only what a power cut left breaks that; such a file is kept whole beside its events.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from itertools import islice

import orjson

_EVENT = b'{"prev":"'
_TEXTS = b'"texts":{'
_ATTACHED = re.compile(rb'"\$blob":"([0-9a-f]{64})"')


class Parting:
    """Tells the lines of a chained file apart, in order and in constant memory.

    Afterwards `head` is the SHA-256 of the last event, `follows` says that each event names the one before,
    `blobs` are the texts and attachments outside, and `joins` says that `join` gives the file back.
    """

    def __init__(self, prev: str | None = None) -> None:
        self.head = prev
        self.follows = True
        self.blobs: set[str] = set()
        self._joins = True
        self._expected = 0

    @property
    def joins(self) -> bool:
        return self._joins and self._expected == 0

    def is_event(self, line: bytes) -> bool:
        """Which half the next line belongs to."""
        event = _parsed(line) if line.startswith(_EVENT) else {}
        if not event:  # a text, or the half of an event that a power cut left
            self._expected -= 1
            return False
        self._joins = self.joins
        self._expected = _texts_of(event)
        self.follows = self.follows and self.head in (None, event.get("prev"))
        self.head = hashlib.sha256(line).hexdigest()
        if b'"blobs":{' in line or b'"$blob":"' in line:
            named = event.get("blobs")
            self.blobs.update(named.values() if isinstance(named, dict) else ())
            self.blobs.update(digest.decode("ascii") for digest in _ATTACHED.findall(line))
        return True


def join(events: Iterable[bytes], texts: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of the file that these are the halves of."""
    left = iter(texts)
    for line in events:
        yield line
        if _TEXTS in line:
            yield from islice(left, _texts_of(_parsed(line)))


def _parsed(line: bytes) -> dict[str, object]:
    try:
        event = orjson.loads(line)
    except orjson.JSONDecodeError:
        return {}
    return event if isinstance(event, dict) else {}


def _texts_of(event: dict[str, object]) -> int:
    texts = event.get("texts")
    return len(texts) if isinstance(texts, dict) else 0
