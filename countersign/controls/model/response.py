"""What the protocols have in common. What belongs here: reading a status and a field that may be anything."""

from countersign.controls.model.asking import Refused, Unanswered
from countersign.errors import ModelUnavailable
from countersign.policy.model import ModelSpec

_MAY_PASS = frozenset({408, 409, 425, 429})
_NOT_THIS = frozenset({400, 413, 422})  # too long, or words that the provider will not read


def failed_with(status: int, spec: ModelSpec) -> Unanswered | Refused | ModelUnavailable:
    """What an HTTP status means. The body is left out: a refusal of a key may quote it."""
    if status in _NOT_THIS:
        return Refused(f"HTTP {status}")
    if status in _MAY_PASS or status >= 500:
        return Unanswered(f"HTTP {status}")
    return ModelUnavailable(
        f"{spec.reader} at {spec.base_url}: HTTP {status}; check the key in {spec.key or 'no variable'}, the address "
        "and the model's name, then execute again"
    )


def text_or_none(value: object) -> str | None:
    """A text, or None for anything else."""
    return value if isinstance(value, str) else None


def count(value: object) -> int | None:
    """A number of tokens, or None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
