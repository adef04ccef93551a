"""An RFC 3161 authority that really answers: `openssl ts -reply` behind a loopback HTTP server.

What belongs here: the authority, and the ways in which one can fail. What does not: what is asked of it.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from countersign.policy.timestamp import TimestampSpec

_CONFIG = """
[req]
distinguished_name = name
prompt = no
[name]
CN = Example Authority
[root]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign
[stamping]
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
[tsa]
default_tsa = here
[here]
serial = serial
signer_cert = tsa.pem
signer_key = tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
ess_cert_id_alg = sha256
"""


def openssl(folder: Path, *arguments: str) -> bytes:
    return subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True).stdout


def make_authority(folder: Path) -> Path:
    """A folder with a root certificate, a certificate that may only timestamp, and the configuration of the two."""
    folder.mkdir()
    (folder / "config").write_text(_CONFIG)
    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-config", "config")
    openssl(
        folder, "req", "-x509", *new, "-keyout", "root.key", "-out", "root.pem", "-days", "9", "-extensions", "root"
    )
    openssl(folder, "req", "-new", *new, "-keyout", "tsa.key", "-out", "tsa.csr", "-subj", "/CN=Example Stamp")
    sign = ("-CA", "root.pem", "-CAkey", "root.key", "-extfile", "config", "-extensions", "stamping", "-days", "9")
    openssl(folder, "x509", "-req", "-in", "tsa.csr", "-out", "tsa.pem", *sign)
    return folder


@dataclass
class Authority:
    """A running one. `answers` stands in for its answer: a status, or bytes; `location` is where a redirect leads."""

    folder: Path
    port: int = 0
    answers: int | bytes | None = None
    location: str = ""
    asked: list[str] = field(default_factory=list)

    @property
    def spec(self) -> TimestampSpec:
        certificate = (self.folder / "root.pem").read_text("ascii")
        return TimestampSpec(url=f"http://127.0.0.1:{self.port}/tsr", certificate=certificate)


@contextmanager
def authority(folder: Path) -> Iterator[Authority]:
    """Serve until the block ends."""
    running = Authority(folder)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = self.rfile.read(int(self.headers["Content-Length"]))
            running.asked.append(self.path)
            answer = running.answers
            if answer is None:
                (folder / "query").write_bytes(query)
                answer = openssl(folder, "ts", "-reply", "-config", "config", "-section", "here", "-queryfile", "query")
            self.send_response(answer if isinstance(answer, int) else 200)
            self.send_header("Location", running.location)
            self.end_headers()
            if isinstance(answer, bytes):
                self.wfile.write(answer)

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        running.port = server.server_port
        Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield running
        server.shutdown()
