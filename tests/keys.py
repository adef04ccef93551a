"""Throw-away keys for tests, and a roster that has their public halves."""

import base64
import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from countersign.policy import Policy

SINCE = "2026-01-01T00:00:00Z"
SIGNS = {
    "reviewer": "independent-review@countersign",
    "second-reviewer": "independent-review@countersign",
    "checker": "maker-checker@countersign",
    "second-checker": "maker-checker@countersign",
    "control-owner": "configuration@countersign",
    "process-owner": "configuration@countersign",
}


def make_key(path: Path, kind: str = "ed25519") -> Path:
    """A new key pair without a passphrase: `path` and `path.pub`."""
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "", "-f", str(path)], check=True)
    return path


def make_keys(folder: Path) -> Path:
    """A folder with one key for everybody who signs, named after them."""
    folder.mkdir(exist_ok=True)
    for person in SIGNS:
        make_key(folder / person)
    return folder


def public_of(path: Path) -> str:
    """`TYPE BASE64` of a key pair."""
    return path.with_name(f"{path.name}.pub").read_text(encoding="ascii").strip()


def with_keys(people: list[dict[str, Any]], folder: Path, **changes: Any) -> list[dict[str, Any]]:
    """Roster entries with their keys; `changes` go into each key entry."""
    return [
        {**person, "keys": [key_entry(folder / person["id"], SIGNS[person["id"]], **changes)]}
        if person["id"] in SIGNS
        else person
        for person in people
    ]


def key_entry(path: Path, namespace: str, **changes: Any) -> dict[str, Any]:
    """A roster's key entry."""
    return {"key": public_of(path), "namespace": namespace, "valid_after": SINCE, **changes}


def signed_policy(policy: Policy, folder: Path, **changes: Any) -> Policy:
    """A policy that requires signatures, with everybody's keys on its roster."""
    content = policy.model_dump(mode="json")
    people = with_keys(content["people"], folder, **changes)
    sign_off = {**content["sign_off"], "signature": "required"}
    return Policy.model_validate_json(json.dumps({**content, "people": people, "sign_off": sign_off}))


class SecurityKey:
    """A FIDO security key in software: `sk-ssh-ed25519@openssh.com`, for an application, with a counter.

    What a real one signs is the SHA-256 of the application, its flags (1: somebody touched it), its counter, and the
    SHA-256 of the message (OpenSSH, PROTOCOL.u2f); the message is that of SSHSIG (OpenSSH, PROTOCOL.sshsig).
    """

    KIND = b"sk-ssh-ed25519@openssh.com"

    def __init__(self, application: bytes = b"ssh:") -> None:
        self._key = Ed25519PrivateKey.generate()
        self._application = application
        self._counter = 0

    @property
    def blob(self) -> bytes:
        return _string(self.KIND) + _string(self._key.public_key().public_bytes_raw()) + _string(self._application)

    @property
    def public(self) -> str:
        """`TYPE BASE64`."""
        return f"{self.KIND.decode()} {base64.b64encode(self.blob).decode()}"

    def sign(self, message: bytes, namespace: str, *, flags: int = 1, application: bytes | None = None) -> bytes:
        """An armoured signature, as `ssh-keygen -Y sign` would make it with the key plugged in."""
        self._counter += 1
        asserted = bytes([flags]) + self._counter.to_bytes(4, "big")
        about = _string(namespace.encode()) + _string(b"") + _string(b"sha512")
        hashed = hashlib.sha256(b"SSHSIG" + about + _string(hashlib.sha512(message).digest())).digest()
        of = self._application if application is None else application
        signature = self._key.sign(hashlib.sha256(of).digest() + asserted + hashed)
        inner = _string(_string(self.KIND) + _string(signature) + asserted)
        blob = b"SSHSIG" + (1).to_bytes(4, "big") + _string(self.blob) + about + inner
        text = base64.b64encode(blob).decode()
        lines = [text[start : start + 70] for start in range(0, len(text), 70)]
        return "\n".join(["-----BEGIN SSH SIGNATURE-----", *lines, "-----END SSH SIGNATURE-----", ""]).encode()


def _string(content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + content
