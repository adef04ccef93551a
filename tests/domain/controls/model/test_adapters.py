"""Both adapters, through the real clients, against a server that speaks their protocols."""

import json
import logging
import sys
from typing import Any

import pytest

from countersign.controls.model.interface import Prompt, Said
from countersign.controls.model.opening import open_model
from countersign.controls.model.reply import SCHEMA
from countersign.errors import ModelUnavailable
from tests.domain.controls.model.conftest import KEY, answer, claim, model_of, spec_of
from tests.domain.controls.model.scripted import MODEL, Body, Elsewhere, Silence, Status, Step, Text, serving

PROMPT = Prompt("prompt/1", "Read this.", "BEGIN x\nwords\nEND x")


def asked(adapter: str, *steps: Step, **changes: Any) -> tuple[Said, list[float], int]:
    """What came of asking, the pauses between attempts, and how many requests there were."""
    pauses: list[float] = []
    with serving(*steps) as script:
        said = model_of(spec_of(adapter, script.url, **changes), pauses).ask(PROMPT)
        return said, pauses, len(script.requests)


def test_an_answer_comes_with_all_that_is_to_be_logged(adapter: str) -> None:
    said, pauses, requests = asked(adapter, Text("{}"))
    assert said == Said(
        "{}",
        model=MODEL,
        parameters={"temperature": 0, "max_tokens": 4096},
        attempt=1,
        latency_ms=10,
        input_tokens=1200,
        output_tokens=80,
        cost=1200 * 3 + 80 * 15,
    )
    assert (pauses, requests) == ([], 1)


def test_what_is_sent(adapter: str) -> None:
    with serving(Text("{}")) as script:
        model_of(spec_of(adapter, script.url, output_tokens=99)).ask(PROMPT)
        (request,) = script.requests
    assert (request.body["model"], request.body["temperature"], request.body["max_tokens"]) == (MODEL, 0, 99)
    assert (request.instructions, request.evidence) == (PROMPT.instructions, PROMPT.evidence)
    assert json.dumps(SCHEMA) in json.dumps(request.body)
    assert KEY in (request.headers.get("authorization") or request.headers["x-api-key"])


def test_a_server_that_knows_no_schema_is_not_sent_one(adapter: str) -> None:
    with serving(Text("{}")) as script:
        model_of(spec_of(adapter, script.url, enforce_schema=False)).ask(PROMPT)
        (request,) = script.requests
    assert not {"response_format", "output_config"} & request.body.keys()


@pytest.mark.parametrize("failing", [Status(429), Status(500), Status(503), Body(b'{"choices": ['), Body(b"{}", 999)])
def test_what_may_pass_is_tried_again(adapter: str, failing: Step) -> None:
    said, pauses, requests = asked(adapter, failing, failing, Text("words"), backoff_seconds=3)
    assert (said.text, said.failure, said.attempt, len(said.failures)) == ("words", None, 3, 2)
    assert (pauses, requests) == ([3, 6], 3)


@pytest.mark.parametrize(
    ("failing", "why"),
    [
        (Status(429), "HTTP 429"),
        (Status(500), "HTTP 500"),
        (Body(b'{"choices": ['), "a body that is no"),
        (Body(b"[1, 2]"), "a body that is no"),
        (Body(b"\xff\xfe"), "a body that is no"),
        (Elsewhere("http://127.0.0.1:1/"), "HTTP 307"),
    ],
)
def test_after_the_last_attempt_there_is_no_answer_but_a_reason(adapter: str, failing: Step, why: str) -> None:
    if isinstance(failing, Elsewhere):
        with pytest.raises(ModelUnavailable, match=why):
            asked(adapter, failing)
        return
    said, pauses, requests = asked(adapter, failing, attempts=2)
    assert said.text is None
    assert said.failure is not None
    assert said.failure.startswith(f"no answer in 2 attempts ({why}")
    assert (said.attempt, len(pauses), requests) == (2, 1, 2)


def test_a_server_that_stays_silent_is_waited_for_as_long_as_the_policy_says(adapter: str) -> None:
    said, _, requests = asked(adapter, Silence(), timeout_seconds=1, attempts=1)
    assert (said.text, said.failure, requests) == (None, "no answer: timed out after 1 s", 1)


def test_a_provider_that_is_down_is_given_up_until_somebody_tries_anew() -> None:
    with serving(Status(503), Text("{}"), Status(503)) as script:
        spec = spec_of("openai", script.url, attempts=1, unanswered_in_a_row=2)
        model = model_of(spec)
        assert [model.ask(PROMPT).text for _ in range(4)] == [None, "{}", None, None]
        with pytest.raises(ModelUnavailable, match="no answer to 2 questions in a row, so no more are asked"):
            model.ask(PROMPT)
        assert len(script.requests) == 4
        assert model_of(spec).ask(PROMPT).failure == "no answer: HTTP 503"


def test_nobody_at_the_address(adapter: str) -> None:
    said = model_of(spec_of(adapter, "http://127.0.0.1:1", attempts=1)).ask(PROMPT)
    assert said.failure == "no answer: no connection"


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_question_that_is_not_taken_has_no_answer_and_is_not_put_again(adapter: str, status: int) -> None:
    """A prompt that is too long for the model is no reason for anything else to stop."""
    with serving(Status(status), Status(status), Text(answer([claim("ITGC-CM-03", "tests", "48 passed")]))) as script:
        model = model_of(spec_of(adapter, script.url, unanswered_in_a_row=3))
        said = [model.ask(PROMPT) for _ in range(3)]
    assert [one.failure for one in said] == [f"no answer: HTTP {status}"] * 2 + [None]
    assert (said[0].attempt, said[0].failures, said[0].text) == (1, (f"HTTP {status}",), None)
    assert len(script.requests) == 3


def test_one_that_takes_no_question_at_all_is_given_up(adapter: str) -> None:
    with serving(*[Status(400)] * 2) as script:
        model = model_of(spec_of(adapter, script.url, unanswered_in_a_row=2))
        assert [model.ask(PROMPT).failure for _ in range(2)] == ["no answer: HTTP 400"] * 2
        with pytest.raises(ModelUnavailable, match="no answer to 2 questions in a row"):
            model.ask(PROMPT)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_what_asking_again_cannot_help_is_an_error_without_the_key(
    adapter: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(ModelUnavailable) as error:
        asked(adapter, Status(status))
    assert f"HTTP {status}; check the key in MODEL_KEY" in str(error.value)
    assert KEY not in str(error.value) + caplog.text


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (Text("{}", model="another"), f"answered by 'another', and the policy pins '{MODEL}'"),
        (Text('{"assertions": [', stop="length"), "the answer broke off: length"),
        (Text("a" * (1 << 20) + "b"), "an answer of 1048577 bytes; only the first 1048576 are kept"),
    ],
)
def test_an_answer_that_is_kept_and_does_not_count(said: Text, why: str) -> None:
    answer, _, _ = asked("openai", said)
    assert answer.failure == why
    assert answer.text == said.text[: 1 << 20]


def test_a_prompt_over_the_limit_is_not_sent(adapter: str) -> None:
    said, _, requests = asked(adapter, Text("{}"), prompt_bytes=20)
    assert (said.text, said.attempt, requests) == (None, 0, 0)
    assert said.failure == "the prompt is 29 bytes and was not sent; the limit is 20"


def test_half_a_character_is_kept_as_what_it_is(adapter: str) -> None:
    said, _, _ = asked(adapter, Text("\ud800"))
    assert said.text == "\\ud800"


def test_without_prices_there_is_no_cost(adapter: str) -> None:
    assert asked(adapter, Text("{}"), prices=None)[0].cost is None


def test_a_missing_key_is_named_and_a_local_server_needs_none(adapter: str) -> None:
    with serving(Text("{}")) as script:
        with pytest.raises(ModelUnavailable, match="set MODEL_KEY"):
            open_model(spec_of(adapter, script.url), variable=lambda _: None)
        assert open_model(spec_of(adapter, script.url, key=None), variable=lambda _: None).ask(PROMPT).text == "{}"


def test_without_its_extra_a_model_that_is_asked_for_says_what_to_install(
    adapter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = {"openai": "openai_compatible", "anthropic": "anthropic_messages"}[adapter]
    monkeypatch.delitem(sys.modules, f"countersign.controls.model.{module}", raising=False)
    monkeypatch.setitem(sys.modules, adapter, None)
    with pytest.raises(ModelUnavailable, match=rf"pip install 'countersign\[{adapter}\]'"):
        model_of(spec_of(adapter, "http://127.0.0.1:1"))
