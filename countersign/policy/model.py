"""Which model may be asked, how far it may go, and what never leaves in a prompt.

What belongs here: the `model` section of the policy, so that another model is another configuration that an owner
adopts. What does not: keys, of which the policy only names the environment variable.
"""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from countersign.policy.section import Pattern, Section


def _without_credentials(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("name an address such as https://api.openai.com/v1")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("holds more than an address; a key belongs into the environment, never into the policy")
    return url


class Redaction(Section):
    """Words that never leave: RE2, in any case; with `check: luhn` only digits that hold a card number."""

    name: str = Field(pattern=r"^[a-z][a-z_]*$")
    pattern: Pattern
    check: Literal["luhn"] | None = None


class Prices(Section):
    """What a million tokens cost, in millionths of the currency."""

    currency: str = Field(pattern=r"^[A-Z]{3}$")
    input: int = Field(ge=0)
    output: int = Field(ge=0)


class ModelSpec(Section):
    """One pinned model.

    `key` is the environment variable that holds the key, null for a server that needs none; `controls` are those put to
    the model, by default every control that applies. Sizes are in bytes and tokens, times in seconds.
    """

    adapter: Literal["openai", "anthropic"]
    base_url: Annotated[str, AfterValidator(_without_credentials)]
    model: str = Field(min_length=1)
    key: str | None = Field(pattern=r"^[A-Z][A-Z0-9_]*$")
    controls: list[str] | None = Field(default=None, min_length=1)
    redactions: list[Redaction]
    timeout_seconds: int = Field(default=60, gt=0, le=600)
    attempts: int = Field(default=3, gt=0, le=10)
    backoff_seconds: int = Field(default=2, ge=0, le=60)
    unanswered_in_a_row: int = Field(default=3, gt=0)
    prompt_bytes: int = Field(default=400_000, gt=0)
    output_tokens: int = Field(default=4096, gt=0)
    enforce_schema: bool = True
    prices: Prices | None = None

    @model_validator(mode="after")
    def _distinct(self) -> "ModelSpec":
        if len({redaction.name for redaction in self.redactions}) != len(self.redactions):
            raise ValueError("redactions: two entries share one name")
        return self

    @property
    def reader(self) -> str:
        """How a log and a workpaper name it."""
        return f"{self.adapter}/{self.model}"
