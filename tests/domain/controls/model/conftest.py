"""What the tests of the model share: a specification of each adapter, an answer, and a model that does not wait."""

import json
from typing import Any

import pytest

from countersign.controls.model.interface import Model
from countersign.controls.model.opening import open_model
from countersign.policy.model import ModelSpec
from tests.domain.controls.model.scripted import MODEL, Script

KEY = "sk-test-7f3a9c-do-not-log"
EMAIL = r"[\w.+-]+@[\w-]+(\.[\w-]+)+"
REDACTIONS = [
    {"name": "secret", "pattern": r"\bsk-[a-z0-9-]{8,}", "check": None},
    {"name": "card", "pattern": r"\d(?:[ -]?\d){12,}", "check": "luhn"},
    {"name": "email", "pattern": EMAIL, "check": None},
]


def spec_of(adapter: str, url: str, **changes: Any) -> ModelSpec:
    """A specification as a policy has it; OpenAI's base URL ends in /v1, Anthropic's does not."""
    fields = {
        "adapter": adapter,
        "base_url": f"{url}/v1" if adapter == "openai" else url,
        "model": MODEL,
        "key": "MODEL_KEY",
        "redactions": REDACTIONS,
        "timeout_seconds": 5,
        "prices": {"currency": "USD", "input": 3_000_000, "output": 15_000_000},
    }
    return ModelSpec.model_validate_json(json.dumps(fields | changes))


def model_of(spec: ModelSpec, pauses: list[float] | None = None) -> Model:
    """The real client with a key, a clock that counts in tens, and pauses that are only written down."""
    readings = iter(range(0, 10**6, 10))
    waited = pauses if pauses is not None else []
    return open_model(
        spec,
        variable=lambda name: KEY if name == "MODEL_KEY" else None,
        elapsed_ms=lambda: next(readings),
        pause=waited.append,
    )


def answer(assertions: list[dict[str, str]] | None = None, abstentions: dict[str, str] | None = None) -> str:
    """An answer of the right form."""
    abstained = [{"control": control, "reason": reason} for control, reason in (abstentions or {}).items()]
    return json.dumps({"assertions": assertions or [], "abstentions": abstained})


def claim(control: str, evidence: str, quote: str, result: str = "met", reason: str = "it says so") -> dict[str, str]:
    return {"control": control, "result": result, "evidence": evidence, "quote": quote, "reason": reason}


@pytest.fixture(params=["openai", "anthropic"])
def adapter(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def sent(script: Script) -> str:
    """Everything that left, headers apart."""
    return json.dumps([request.body for request in script.requests], ensure_ascii=False)
