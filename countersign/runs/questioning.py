"""What a model was asked and said, as one event: written before a word of the answer is read.

What belongs here: the event and reading it back. Prompt and answer are words from outside, so they stand in texts.
"""

import json
from typing import Any

from countersign.controls.model.interface import Asked, Prompt, Said
from countersign.evidence.lines import Draft, Entry

_INSTRUCTIONS = "model/instructions"
_EVIDENCE = "model/evidence"
_REDACTIONS = "model/redactions"
_OUTPUT = "model/output"
_ANSWERED_BY = "model/answered_by"
_FAILURE = "model/failure"
_STOP = "model/stop"


def asked_event(asked: Asked) -> Draft:
    """The question and what came of it."""
    prompt, said = asked.prompt, asked.said
    data: dict[str, Any] = {
        "reader": asked.reader,
        "template": prompt.template,
        "controls": list(prompt.controls),
        "parameters": dict(said.parameters),
        "attempt": said.attempt,
        "failures": list(said.failures),
        "latency_ms": said.latency_ms,
        "input_tokens": said.input_tokens,
        "output_tokens": said.output_tokens,
        "cost_millionths": said.cost,
    }
    texts = {
        _INSTRUCTIONS: prompt.instructions,
        _EVIDENCE: prompt.evidence,
        _REDACTIONS: json.dumps(prompt.redactions, ensure_ascii=False),
    }
    named = ((_OUTPUT, said.text), (_ANSWERED_BY, said.model), (_FAILURE, said.failure), (_STOP, said.stop))
    texts |= {name: words for name, words in named if words is not None}
    return Draft("model_asked", asked.reader, data, texts)


def asked_of(entry: Entry) -> Asked:
    """What an event says was asked. Raises KeyError, TypeError or ValueError where it is not of its form."""
    data, texts = entry.data, entry.texts
    prompt = Prompt(
        data["template"],
        texts[_INSTRUCTIONS],
        texts[_EVIDENCE],
        tuple(data["controls"]),
        {} if _REDACTIONS in entry.erased else json.loads(texts[_REDACTIONS]),
    )
    said = Said(
        texts.get(_OUTPUT),
        texts.get(_FAILURE),
        model=texts.get(_ANSWERED_BY),
        stop=texts.get(_STOP),
        parameters=data["parameters"],
        attempt=data["attempt"],
        failures=tuple(data["failures"]),
        latency_ms=data["latency_ms"],
        input_tokens=data["input_tokens"],
        output_tokens=data["output_tokens"],
        cost=data["cost_millionths"],
    )
    return Asked(data["reader"], prompt, said)
