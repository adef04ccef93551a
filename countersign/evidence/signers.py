"""Public keys, whom they belong to, and what each may sign: the `allowed_signers` file of stock `ssh-keygen`.

What belongs here: typed entries and their one spelling. What does not: signing and verifying (`signature`), and who
is to be believed, which the roster says.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from countersign.errors import SignatureError, printable

SEAL = "seal@countersign"
WITNESS = "witness@countersign"
PIPELINE = "countersign"  # the principal that seals; no person can be called so

KINDS = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)
# neither a pattern nor a list nor an option in any place where ssh-keygen reads it
_PRINCIPAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}", re.ASCII)
_NAMESPACE = re.compile(r"[a-z][a-z0-9-]{0,63}@countersign", re.ASCII)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key as SSH writes it: its kind and its base64 text."""

    kind: str
    text: str

    @classmethod
    def parse(cls, line: str) -> "PublicKey":
        """The key of a `.pub` line; the comment is left out. Raises SignatureError for one that is not taken."""
        kind, text, *_ = [*line.split(maxsplit=2), "", ""]
        try:
            blob = base64.b64decode(text, validate=True)
            named, _ = take_string(blob)
        except (binascii.Error, ValueError) as error:
            raise SignatureError(f"not a public key line: {printable(line[:60])!r}") from error
        if kind not in KINDS or named != kind.encode():
            raise SignatureError(f"a key of kind {printable(kind)!r} is not taken; use one of {', '.join(KINDS)}")
        return cls(kind, text)

    @classmethod
    def of_blob(cls, blob: bytes) -> "PublicKey":
        """The key of its wire format."""
        kind, _ = take_string(blob)
        return cls.parse(f"{kind.decode('ascii', 'replace')} {base64.b64encode(blob).decode('ascii')}")

    @property
    def fingerprint(self) -> str:
        """`SHA256:…`, as ssh-keygen prints it."""
        digest = hashlib.sha256(base64.b64decode(self.text)).digest()
        return "SHA256:" + base64.b64encode(digest).decode("ascii").rstrip("=")


@dataclass(frozen=True, slots=True)
class Signer:
    """That a principal may sign in one namespace with one key, from an instant (taken in) to another (left out)."""

    principal: str
    namespace: str
    key: PublicKey
    valid_after: datetime | None = None
    valid_before: datetime | None = None

    def line(self) -> str:
        """The line of the `allowed_signers` file. Raises SignatureError for a name that could be read as a pattern."""
        check_names(self.principal, self.namespace)
        options = [f'namespaces="{self.namespace}"']
        if self.valid_after is not None:
            options.append(f'valid-after="{ssh_time(self.valid_after)}"')
        if self.valid_before is not None:
            options.append(f'valid-before="{ssh_time(self.valid_before)}"')
        return f"{self.principal} {','.join(options)} {self.key.kind} {self.key.text}"


def allowed_signers(signers: Iterable[Signer]) -> bytes:
    """The whole file. Raises SignatureError where a key comes twice, since then it would say less than it seems to."""
    lines: dict[PublicKey, str] = {}
    for signer in signers:
        if signer.key in lines:
            raise SignatureError(f"{signer.principal}: the key {signer.key.fingerprint} has a line already; one a role")
        lines[signer.key] = signer.line()
    return "".join(f"{line}\n" for line in lines.values()).encode("ascii")


def check_signers(content: bytes) -> None:
    """Raise SignatureError unless a file has lines of `allowed_signers` and no others, whoever wrote them.

    ssh-keygen reads no further than the first line that is none, and then says of every signature that it is bad.
    """
    lines = [line.strip() for line in content.decode("utf-8", "replace").splitlines()]
    found = [(number, line) for number, line in enumerate(lines, 1) if line and not line.startswith("#")]
    asked = 'as ssh-keygen reads it: `reviewer namespaces="…" ssh-ed25519 AAAA…`'
    if not found:
        raise SignatureError(f"names nobody who may sign, {asked}")
    for number, line in found:
        words = line.split()
        if not any(map(_is_key, words[1:], words[2:])):
            raise SignatureError(f"line {number} does not say who may sign with which key, {asked}")


def _is_key(kind: str, text: str) -> bool:
    try:
        named, _ = take_string(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        return False
    return named == kind.encode()


def check_names(principal: str, namespace: str) -> None:
    """Raise SignatureError unless both names are literal ones."""
    if not _PRINCIPAL.fullmatch(principal):
        raise SignatureError(f"{printable(principal)!r} cannot sign: an id is ASCII letters, digits and . _ @ + -")
    if not _NAMESPACE.fullmatch(namespace):
        raise SignatureError(f"{printable(namespace)!r} is no namespace of countersign, such as {SEAL}")


def ssh_time(instant: datetime) -> str:
    """An instant as ssh-keygen takes it, in UTC and to the second; the Z keeps the local zone out of it."""
    return instant.astimezone(UTC).strftime("%Y%m%d%H%M%SZ")


def take_string(blob: bytes) -> tuple[bytes, bytes]:
    """The first length-prefixed string of SSH's wire format, and what follows it. Raises ValueError."""
    end = 4 + int.from_bytes(blob[:4], "big")
    if len(blob) < max(end, 4):
        raise ValueError("shorter than it says")
    return blob[4:end], blob[end:]
