"""Signatures in OpenSSH's format (SSHSIG), made and checked by stock `ssh-keygen`, so that anybody can check them.

What belongs here: making one, reading what one says of itself, verifying one. What does not: who may sign what
(`signers`), and what is signed. No shell is used; what is signed goes through standard input, not through a file.
"""

import base64
import binascii
import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from countersign.errors import SignatureError, printable
from countersign.evidence.root import EvidenceRoot
from countersign.evidence.signers import PublicKey, check_names, ssh_time, take_string

_BEGIN = b"-----BEGIN SSH SIGNATURE-----\n"
_END = b"-----END SSH SIGNATURE-----\n"
_PUBLIC = ("ssh-", "ecdsa-", "sk-")
_WIDTH = 70
_SECONDS = 120  # for a person to touch a key


@dataclass(frozen=True, slots=True)
class Signature:
    """What a signature says of itself, unverified."""

    key: PublicKey
    namespace: str

    @classmethod
    def parse(cls, armoured: bytes) -> "Signature":
        """Read a signature. Raises SignatureError unless it is written in the one way that ssh-keygen writes it.

        ssh-keygen itself forgives other line breaks; here no byte of a kept signature may be another one.
        """
        try:
            inner = armoured.removeprefix(_BEGIN).removesuffix(_END)
            blob = base64.b64decode(inner.replace(b"\n", b""), validate=True)
            if _armour(blob) != armoured or blob[:10] != b"SSHSIG\x00\x00\x00\x01":
                raise ValueError("another form")
            key, rest = take_string(blob[10:])
            namespace, _ = take_string(rest)
            return cls(PublicKey.of_blob(key), namespace.decode("ascii"))
        except (binascii.Error, ValueError) as error:
            raise SignatureError(f"not a signature as `ssh-keygen -Y sign` writes it: {error}") from error


def sign(message: bytes, *, key: Path, namespace: str) -> bytes:
    """Sign with a private key file, or with the agent where `key` is a public one.

    Raises SignatureError for a private key that others can read or that lies in an evidence root, and for whatever
    ssh-keygen refuses.
    """
    check_names("countersign", namespace)
    _refuse_inside_a_root(key)
    _refuse_readable_by_others(key)
    try:
        signature = _ssh_keygen(["-Y", "sign", "-q", "-n", namespace, "-f", str(key.absolute())], message)
    except SignatureError as error:
        help_with = "name a private key, or the .pub of one that the agent has"
        raise SignatureError(f"{key}: it cannot sign ({error}); {help_with}") from error
    if Signature.parse(signature).namespace != namespace:
        raise SignatureError(f"{key}: ssh-keygen signed in another namespace than {namespace}")
    return signature


def verify(
    message: bytes, signature: bytes, *, principal: str, namespace: str, at: datetime, allowed_signers: Path
) -> Signature:
    """Verify that a principal signed, with a key that was valid at an instant. Raises SignatureError.

    `at` is when the register saw the signature, so that one stays good for years after its key has expired.
    """
    check_names(principal, namespace)
    said = Signature.parse(signature)
    with tempfile.NamedTemporaryFile(suffix=".sig") as file:
        file.write(signature)
        file.flush()
        names = ["-I", principal, "-n", namespace, "-O", f"verify-time={ssh_time(at)}"]
        try:
            _ssh_keygen(["-Y", "verify", *names, "-f", str(allowed_signers.absolute()), "-s", file.name], message)
        except SignatureError as error:
            made = f"It was made by the key {said.key.fingerprint}"
            if said.namespace != namespace:
                made += f" in the namespace {printable(said.namespace)}; the right one is {namespace}"
            raise SignatureError(f"{str(error).rstrip('.')}. {made}.") from error
    return said


def verify_itself(message: bytes, signature: bytes, *, namespace: str) -> Signature:
    """Verify a signature with the key that it names itself: whose that is stays open. Raises SignatureError."""
    said = Signature.parse(signature)
    with tempfile.NamedTemporaryFile(suffix=".sig") as file:
        file.write(signature)
        file.flush()
        _ssh_keygen(["-Y", "check-novalidate", "-n", namespace, "-s", file.name], message)
    return said


def _armour(blob: bytes) -> bytes:
    text = base64.b64encode(blob)
    lines = [text[start : start + _WIDTH] for start in range(0, len(text), _WIDTH)]
    return _BEGIN + b"".join(line + b"\n" for line in lines) + _END


def _refuse_inside_a_root(key: Path) -> None:
    """A root is copied, packed and given away, and its keys with it; a `.pub` stands for the private half beside it."""
    root = EvidenceRoot.around(key.resolve())
    if root is not None:
        raise SignatureError(
            f"{key}: a key inside the evidence root {root.path} goes with every copy of it; move it elsewhere, or "
            "make another where there is a copy already"
        )


def _refuse_readable_by_others(key: Path) -> None:
    """ssh-keygen would refuse it too, but not for root, and not in words that help."""
    try:
        with key.open("rb") as file:
            public = file.read(5).decode("ascii", "replace").startswith(_PUBLIC)
            mode = os.fstat(file.fileno()).st_mode
    except OSError as error:
        raise SignatureError(f"{key}: the key cannot be read: {error.strerror}") from error
    if not public and mode & 0o077:
        raise SignatureError(f"{key}: others can read this private key; `chmod 600` it, or make a new one")


def _ssh_keygen(arguments: Sequence[str], message: bytes) -> bytes:
    try:
        done = subprocess.run(
            ["ssh-keygen", *arguments], input=message, capture_output=True, check=False, timeout=_SECONDS
        )
    except OSError as error:
        raise SignatureError(f"ssh-keygen cannot be started: {error.strerror}; install the OpenSSH client") from error
    except subprocess.TimeoutExpired as error:
        raise SignatureError(f"ssh-keygen did not answer within {_SECONDS} s; was the key not touched?") from error
    if done.returncode:
        # of a key that may not sign it speaks on standard output
        said = [*(done.stderr + done.stdout).decode("utf-8", "backslashreplace").strip().splitlines(), "no message."]
        raise SignatureError(f"ssh-keygen {arguments[1]}: {said[0]}")
    return done.stdout
