"""A model server on loopback that speaks the real protocols and says what a script tells it to."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "reader-2026-06-01"


@dataclass(frozen=True)
class Status:
    """An HTTP error with a body that quotes the key, as a careless provider does."""

    code: int


@dataclass(frozen=True)
class Text:
    """An answer that is this text."""

    text: str
    model: str = MODEL
    stop: str | None = None


@dataclass(frozen=True)
class Body:
    """A 200 with this body, whatever it is; `length` promises more bytes than there are."""

    content: bytes
    length: int | None = None


@dataclass(frozen=True)
class Silence:
    """No answer until the client gives up."""


@dataclass(frozen=True)
class Elsewhere:
    """A redirect to another address."""

    location: str


Step = Status | Text | Body | Silence | Elsewhere


@dataclass
class Request:
    """What the client sent."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def evidence(self) -> str:
        return str(self.body["messages"][-1]["content"])

    @property
    def instructions(self) -> str:
        return str(self.body.get("system") or self.body["messages"][0]["content"])


@dataclass
class Script:
    """Steps one after the other, the last one for ever, or whatever `answer` makes of each request."""

    steps: list[Step] = field(default_factory=list)
    answer: Callable[[Request], Step] | None = None
    requests: list[Request] = field(default_factory=list)
    url: str = ""
    over: threading.Event = field(default_factory=threading.Event)

    def next(self, request: Request) -> Step:
        self.requests.append(request)
        if self.answer is not None:
            return self.answer(request)
        return self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]


def _openai(said: Text) -> dict[str, Any]:
    message = {"role": "assistant", "content": said.text, "refusal": None}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": said.model,
        "choices": [{"index": 0, "message": message, "finish_reason": said.stop or "stop", "logprobs": None}],
        "usage": {"prompt_tokens": 1200, "completion_tokens": 80, "total_tokens": 1280},
    }


def _anthropic(said: Text) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": said.model,
        "content": [{"type": "text", "text": said.text}],
        "stop_reason": said.stop or "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 1200, "output_tokens": 80},
    }


FORMS = {"/v1/chat/completions": _openai, "/v1/messages": _anthropic}


def _handler(script: Script) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            match script.next(Request(self.path, headers, json.loads(content))):
                case Status(code):
                    key = headers.get("authorization") or headers.get("x-api-key")
                    self._send(code, json.dumps({"error": {"message": f"refused with {key}"}}).encode())
                case Text() as said:
                    self._send(200, json.dumps(FORMS[self.path](said)).encode())
                case Body(content, length):
                    self._send(200, content, length)
                case Elsewhere(location):
                    self.send_response(307)
                    self.send_header("Location", location)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                case Silence():
                    script.over.wait(30)
                    self.close_connection = True

        def _send(self, status: int, content: bytes, length: int | None = None) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(length or len(content)))
            self.end_headers()
            self.wfile.write(content)
            self.close_connection = True

        def log_message(self, *args: object) -> None:
            """Nothing on standard error."""

    return Handler


@contextmanager
def serving(*steps: Step, answer: Callable[[Request], Step] | None = None) -> Iterator[Script]:
    """The server while a test runs; `url` is where it listens."""
    script = Script(list(steps), answer)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(script))
    server.daemon_threads = True
    script.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield script
    finally:
        script.over.set()
        server.shutdown()
        server.server_close()
        thread.join()
