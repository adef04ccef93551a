"""What is put to a model and what it says. What belongs here: these values and the one interface; no protocol."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from countersign.policy.model import ModelSpec


@dataclass(frozen=True, slots=True)
class Prompt:
    """A question: `instructions` are ours, `evidence` holds the words of others, fenced and redacted.

    `redactions` gives for each placeholder the words that it stands for; `controls` are those that are asked about.
    """

    template: str
    instructions: str
    evidence: str
    controls: tuple[str, ...] = ()
    redactions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Said:
    """What came of one question: a text, or why there is none.

    `model` is how the provider names what answered, `attempt` the number of the last attempt (0 where none was made),
    `failures` say how the attempts before it ended. `cost` is in millionths of the policy's currency, None where the
    policy has no prices or the provider counted no tokens.
    """

    text: str | None
    failure: str | None = None
    model: str | None = None
    stop: str | None = None
    parameters: Mapping[str, str | int] = field(default_factory=dict)
    attempt: int = 0
    failures: tuple[str, ...] = ()
    latency_ms: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost: int | None = None


class Model(Protocol):
    """One pinned model with its limits. The same interface whoever answers."""

    def ask(self, prompt: Prompt) -> Said:
        """Ask once, trying again within the limits. Raises ModelUnavailable where asking again cannot help."""
        ...


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with what came of it, as a log holds them; `reader` names the model that was asked."""

    reader: str
    prompt: Prompt
    said: Said


ModelFactory = Callable[[ModelSpec], Model]
