"""Asking within limits: what is not sent, what is tried again, what an answer costs.

What belongs here: limits and bounded retries, the same for every provider. What does not: any provider's protocol.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from countersign.controls.model.interface import Prompt, Said
from countersign.errors import ModelUnavailable
from countersign.policy.model import ModelSpec, Prices

_OUTPUT_BYTES = 1 << 20
_MILLION = 1_000_000


class Unanswered(Exception):
    """One attempt without an answer, for a reason that may pass; its text is ours, never the provider's."""


class Refused(Exception):
    """A provider does not take this very question, and would not the next time; its text is ours as well."""


@dataclass(frozen=True, slots=True)
class Completion:
    """One answer of a provider; `stop` is why it ended, None where that was of its own accord."""

    text: str
    model: str | None
    stop: str | None
    input_tokens: int | None
    output_tokens: int | None


class Provider(Protocol):
    """One attempt.

    Raises Unanswered where another may succeed, Refused where none with this prompt would, ModelUnavailable where none
    at all would.
    """

    def complete(self, prompt: Prompt) -> Completion: ...


class PatientModel:
    """A model behind a provider: `elapsed_ms` reads a clock that only goes forward, `pause` waits for seconds.

    It gives up on a provider that is down: waiting for it change by change would hold every run of a day for hours, and
    leave each of them without an answer that it could have had later.
    """

    def __init__(
        self, spec: ModelSpec, provider: Provider, *, elapsed_ms: Callable[[], int], pause: Callable[[float], None]
    ) -> None:
        self._spec = spec
        self._provider = provider
        self._elapsed_ms = elapsed_ms
        self._pause = pause
        self._unanswered = 0

    def ask(self, prompt: Prompt) -> Said:
        """The first answer, trying again up to the policy's attempts and waiting twice as long each time.

        Raises ModelUnavailable where too many questions in a row had none.
        """
        parameters: dict[str, str | int] = {"temperature": 0, "max_tokens": self._spec.output_tokens}
        size = len(prompt.instructions.encode()) + len(prompt.evidence.encode())
        if size > self._spec.prompt_bytes:
            failure = f"the prompt is {size} bytes and was not sent; the limit is {self._spec.prompt_bytes}"
            return Said(None, failure, parameters=parameters)
        if self._unanswered >= self._spec.unanswered_in_a_row:
            raise ModelUnavailable(
                f"{self._spec.reader} at {self._spec.base_url}: no answer to {self._unanswered} questions in a row, so "
                "no more are asked; when it answers again, `countersign advance`"
            )
        failures: list[str] = []
        for attempt in range(1, self._spec.attempts + 1):
            before = self._elapsed_ms()
            try:
                completion = self._provider.complete(prompt)
            except Unanswered as error:
                latency = self._elapsed_ms() - before
                failures.append(str(error))
                if attempt < self._spec.attempts:
                    self._pause(self._spec.backoff_seconds * 2 ** (attempt - 1))
                continue
            except Refused as error:
                latency = self._elapsed_ms() - before
                failures.append(str(error))
                break
            latency = self._elapsed_ms() - before
            self._unanswered = 0
            return self._said(completion, parameters, attempt, tuple(failures), latency)
        self._unanswered += 1
        *earlier, last = failures
        failure = f"no answer in {len(failures)} attempts ({', '.join(failures)})"
        return Said(
            None,
            failure if earlier else f"no answer: {last}",
            parameters=parameters,
            attempt=len(failures),
            failures=tuple(failures),
            latency_ms=latency,
        )

    def _said(
        self,
        completion: Completion,
        parameters: dict[str, str | int],
        attempt: int,
        failures: tuple[str, ...],
        latency: int,
    ) -> Said:
        # half a surrogate pair is no text that a log could hold
        text = completion.text.encode("utf-8", "backslashreplace")
        failure = None
        if len(text) > _OUTPUT_BYTES:
            failure = f"an answer of {len(text)} bytes; only the first {_OUTPUT_BYTES} are kept"
        elif completion.model != self._spec.model:
            failure = f"answered by {completion.model!r}, and the policy pins {self._spec.model!r}"
        elif completion.stop is not None:
            failure = f"the answer broke off: {completion.stop}"
        return Said(
            text[:_OUTPUT_BYTES].decode("utf-8", "ignore"),
            failure,
            model=completion.model,
            stop=completion.stop,
            parameters=parameters,
            attempt=attempt,
            failures=failures,
            latency_ms=latency,
            input_tokens=completion.input_tokens,
            output_tokens=completion.output_tokens,
            cost=_cost(self._spec.prices, completion.input_tokens, completion.output_tokens),
        )


def _cost(prices: Prices | None, input_tokens: int | None, output_tokens: int | None) -> int | None:
    """Millionths of the currency, rounded up."""
    if prices is None or input_tokens is None or output_tokens is None:
        return None
    return -(-(prices.input * input_tokens + prices.output * output_tokens) // _MILLION)
