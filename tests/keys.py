"""Throw-away keys for tests."""

import subprocess
from pathlib import Path


def make_key(path: Path, kind: str = "ed25519") -> Path:
    """A new key pair without a passphrase: `path` and `path.pub`."""
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "", "-f", str(path)], check=True)
    return path
