"""RFC 3161: a token by an outside authority that some bytes were there at an instant.

What belongs here: asking for one, and checking one. What does not: which bytes, and when to ask (`timestamping`).
`rfc3161-client` is an extra, loaded when the first token is asked for or checked. HTTP is spoken without a library that
would follow a redirect, take a proxy from the environment, or read for ever.
"""

from collections.abc import Callable
from datetime import datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from countersign.environment import elapsed_ms
from countersign.errors import SignatureError
from countersign.policy.timestamp import TimestampSpec

if TYPE_CHECKING:
    from rfc3161_client import TimeStampRequest

_SECONDS = 10  # for any one step of the conversation, and for all of its answer
_MOST_BYTES = 64 << 10


def request_token(
    content: bytes, authority: TimestampSpec, *, elapsed_ms: Callable[[], int] = elapsed_ms
) -> tuple[bytes, datetime]:
    """Have an authority say when it saw these bytes: its answer, verified, and the instant that it states.

    Raises SignatureError with why there is none. Only a digest of the bytes leaves.
    """
    _require_client()
    from rfc3161_client import HashAlgorithm, TimestampRequestBuilder  # noqa: PLC0415  (an extra)

    asked = TimestampRequestBuilder().data(content).hash_algorithm(HashAlgorithm.SHA256).build()
    try:
        token = _post(authority.url, asked.as_bytes(), elapsed_ms)
    except (OSError, HTTPException, ValueError) as error:
        raise SignatureError(f"{authority.url}: no timestamp: {error or type(error).__name__}") from error
    try:
        return token, _verify(token, content, authority, asked)
    except SignatureError as error:
        raise SignatureError(f"{authority.url}: {error}") from error


def check_token(token: bytes, content: bytes, authority: TimestampSpec) -> datetime:
    """The instant at which an authority saw these bytes. Raises SignatureError for a token that does not say so."""
    _require_client()
    return _verify(token, content, authority, None)


def _require_client() -> None:
    try:
        import rfc3161_client  # noqa: F401, PLC0415  (an extra)
    except ImportError as error:
        raise SignatureError("timestamps need rfc3161-client: pip install 'countersign[timestamp]'") from error


def _verify(token: bytes, content: bytes, authority: TimestampSpec, asked: "TimeStampRequest | None") -> datetime:
    from cryptography.x509 import load_pem_x509_certificates  # noqa: PLC0415  (comes with the extra)
    from rfc3161_client import VerificationError, VerifierBuilder, decode_timestamp_response  # noqa: PLC0415

    try:
        said = decode_timestamp_response(token)
        roots = load_pem_x509_certificates(authority.certificate.encode("ascii"))
        verifier = VerifierBuilder(roots=roots, nonce=asked.nonce if asked else None).build()
        verifier.verify_message(said, content)
    except (VerificationError, ValueError) as error:
        raise SignatureError(f"not a token over these bytes by the policy's authority: {error}") from error
    return said.tst_info.gen_time


def _post(url: str, body: bytes, elapsed_ms: Callable[[], int]) -> bytes:
    """What the server answers; anything but an answer of limited size in limited time is an error."""
    parts = urlsplit(url)
    assert parts.hostname is not None  # the policy saw to it
    connect = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = connect(parts.hostname, parts.port, timeout=_SECONDS)
    try:
        connection.request("POST", parts.path or "/", body, {"Content-Type": "application/timestamp-query"})
        answer = connection.getresponse()
        if answer.status != 200:
            raise ValueError(f"it answered with HTTP {answer.status}")
        content, begun = b"", elapsed_ms()
        while part := answer.read1(_MOST_BYTES):
            content += part
            if len(content) > _MOST_BYTES:
                raise ValueError(f"its answer is longer than {_MOST_BYTES} bytes")
            if elapsed_ms() - begun > _SECONDS * 1000:
                raise ValueError(f"its answer took longer than {_SECONDS} s")
        return content
    finally:
        connection.close()
