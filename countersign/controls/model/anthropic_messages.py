"""Anthropic's messages. What belongs here: that protocol alone."""

from typing import Any

import anthropic

from countersign.controls.model.asking import Completion, Unanswered
from countersign.controls.model.interface import Prompt
from countersign.controls.model.reply import SCHEMA
from countersign.controls.model.response import count, failed_with, text_or_none
from countersign.policy.model import ModelSpec


class AnthropicMessages:
    """A pinned model behind `{base_url}/v1/messages`. The key goes into a header and nowhere else."""

    def __init__(self, spec: ModelSpec, key: str | None) -> None:
        self._spec = spec
        self._client = anthropic.Anthropic(
            base_url=spec.base_url,
            api_key=key or "none",  # with none at all the client would look for other credentials by itself
            max_retries=0,
            timeout=spec.timeout_seconds,
            # evidence goes to the address that the policy names, not to wherever that one points
            http_client=anthropic.DefaultHttpxClient(follow_redirects=False, timeout=spec.timeout_seconds),
        )

    def complete(self, prompt: Prompt) -> Completion:
        """One request."""
        form: Any = {"format": {"type": "json_schema", "schema": SCHEMA}}
        try:
            answer = self._client.messages.create(
                model=self._spec.model,
                max_tokens=self._spec.output_tokens,
                system=prompt.instructions,
                messages=[{"role": "user", "content": prompt.evidence}],
                output_config=form if self._spec.enforce_schema else anthropic.omit,
                extra_body={"temperature": 0},  # the client has no argument for it, the protocol has
            )
        except anthropic.APITimeoutError as error:
            raise Unanswered(f"timed out after {self._spec.timeout_seconds} s") from error
        except anthropic.APIStatusError as error:
            raise failed_with(error.status_code, self._spec) from error
        except anthropic.APIConnectionError as error:
            raise Unanswered("no connection") from error
        except (anthropic.AnthropicError, ValueError) as error:
            raise Unanswered("a body that is no message") from error
        return _completion(answer)


def _completion(answer: Any) -> Completion:
    """The client passes on whatever came; nothing of it is believed to have the form that it should have."""
    try:
        parts = [block.text for block in answer.content if block.type == "text"]
        text = "".join(part for part in parts if isinstance(part, str))
        stop = answer.stop_reason
        usage = answer.usage
        model = text_or_none(answer.model)
    except (AttributeError, KeyError, TypeError) as error:
        raise Unanswered("a body that is no message") from error
    return Completion(
        text,
        model,
        None if stop == "end_turn" else str(stop),
        count(getattr(usage, "input_tokens", None)),
        count(getattr(usage, "output_tokens", None)),
    )
