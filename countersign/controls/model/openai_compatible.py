"""Any endpoint that speaks OpenAI's chat completions, a local server too. What belongs here: that protocol alone."""

from typing import Any

import openai

from countersign.controls.model.asking import Completion, Unanswered
from countersign.controls.model.interface import Prompt
from countersign.controls.model.reply import SCHEMA
from countersign.controls.model.response import count, failed_with, text_or_none
from countersign.policy.model import ModelSpec


class OpenAICompatible:
    """A pinned model behind `{base_url}/chat/completions`. The key goes into a header and nowhere else."""

    def __init__(self, spec: ModelSpec, key: str | None) -> None:
        self._spec = spec
        self._client = openai.OpenAI(
            base_url=spec.base_url,
            api_key=key or "none",  # the client insists on one; a server without keys ignores it
            max_retries=0,
            timeout=spec.timeout_seconds,
            # evidence goes to the address that the policy names, not to wherever that one points
            http_client=openai.DefaultHttpx2Client(follow_redirects=False, timeout=spec.timeout_seconds),
        )

    def complete(self, prompt: Prompt) -> Completion:
        """One request."""
        schema: Any = {"type": "json_schema", "json_schema": {"name": "reading", "schema": SCHEMA, "strict": True}}
        try:
            answer = self._client.chat.completions.create(
                model=self._spec.model,
                temperature=0,
                max_tokens=self._spec.output_tokens,
                messages=[
                    {"role": "system", "content": prompt.instructions},
                    {"role": "user", "content": prompt.evidence},
                ],
                response_format=schema if self._spec.enforce_schema else openai.omit,
            )
        except openai.APITimeoutError as error:
            raise Unanswered(f"timed out after {self._spec.timeout_seconds} s") from error
        except openai.APIStatusError as error:
            raise failed_with(error.status_code, self._spec) from error
        except openai.APIConnectionError as error:
            raise Unanswered("no connection") from error
        except (openai.OpenAIError, ValueError) as error:
            raise Unanswered("a body that is no chat completion") from error
        return _completion(answer)


def _completion(answer: Any) -> Completion:
    """The client passes on whatever came; nothing of it is believed to have the form that it should have."""
    try:
        choice = answer.choices[0]
        text = text_or_none(choice.message.content) or ""
        stop = choice.finish_reason
        usage = answer.usage
        model = text_or_none(answer.model)
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise Unanswered("a body that is no chat completion") from error
    return Completion(
        text,
        model,
        None if stop == "stop" else str(stop),
        count(getattr(usage, "prompt_tokens", None)),
        count(getattr(usage, "completion_tokens", None)),
    )
