"""A mail server and a webhook that really listen, and remember what they got."""

import base64
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope


@dataclass
class Received:
    """Messages in the order they came: title and body.

    `refuse` makes the receiver say no; a webhook that is `held` takes no message until `held` is set again, and those
    that waited by `drop` are lost.
    """

    port: int = 0
    messages: list[tuple[str, str]] = field(default_factory=list)
    passwords: list[str] = field(default_factory=list)
    refuse: bool = False
    held: Event = field(default_factory=Event)
    holding: int = 0
    lost: int = 0

    def drop(self) -> None:
        """Whoever is being held is lost; the next one is taken."""
        self.lost = self.holding
        self.held.set()


@contextmanager
def mail_server() -> Iterator[Received]:
    received = Received()

    class Handler:
        async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:  # noqa: N802  (aiosmtpd's name)
            if received.refuse:
                return "451 try later"
            assert isinstance(envelope.content, bytes)
            message = message_from_bytes(envelope.content, policy=default)
            body = message.get_body(("plain",))
            received.messages.append((str(message["Subject"]), body.get_content() if body else ""))
            return "250 taken"

    with socket.create_server(("127.0.0.1", 0)) as free:
        received.port = free.getsockname()[1]
    controller = Controller(Handler(), hostname="127.0.0.1", port=received.port)
    controller.start()
    try:
        yield received
    finally:
        controller.stop()


@contextmanager
def webhook() -> Iterator[Received]:
    received = Received()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if not received.held.is_set():
                received.holding += 1
                number = received.holding
                received.held.wait()
                if number <= received.lost:
                    return
            if not received.refuse:
                received.messages.append((content["title"], content["message"]))
            given = self.headers.get("Authorization", "").removeprefix("Basic ")
            received.passwords.append(base64.b64decode(given).decode())
            self.send_response(503 if received.refuse else 200)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        received.port = server.server_port
        received.held.set()
        Thread(target=server.serve_forever, daemon=True).start()
        yield received
        server.shutdown()
