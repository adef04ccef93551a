"""Where evidence comes from: extracted by an adapter that the policy names, or submitted with its payload.

What belongs here: putting the origin on each evidence item before a payload gets its identity, so that the same words
extracted and submitted are two payloads. What does not: what an origin is worth, which is for the rules to say.
"""

from collections.abc import Mapping
from typing import Any

from countersign.errors import PayloadError

EXTRACTED = "extracted"


def as_extracted(payload: Any) -> Any:
    """A payload that an adapter made, each of its evidence items marked as extracted; what is no payload is left."""
    evidence = payload.get("evidence") if isinstance(payload, Mapping) else None
    if not isinstance(evidence, Mapping):
        return payload
    return {**payload, "evidence": {name: _marked(item) for name, item in evidence.items()}}


def _marked(item: Any) -> Any:
    if isinstance(item, str):
        return {"kind": "other", "text": item, "origin": EXTRACTED}
    return {**item, "origin": EXTRACTED} if isinstance(item, Mapping) else item


def as_submitted(payload: Any) -> Any:
    """A payload as it was handed in. Raises PayloadError where one of its items says that it was extracted."""
    evidence = payload.get("evidence") if isinstance(payload, Mapping) else None
    if isinstance(evidence, Mapping):
        for name, item in evidence.items():
            if isinstance(item, Mapping) and item.get("origin") == EXTRACTED:
                change_id = payload.get("id")
                raise PayloadError(
                    "only an adapter that the policy names says 'extracted'; leave the field out",
                    field=f"evidence.{name}.origin",
                    change_id=change_id if isinstance(change_id, str) else None,
                )
    return payload
