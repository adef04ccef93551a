"""Where the private half of somebody's key is: a named file, a folder of key files, or the agent.

What belongs here: finding a key and having it sign. What does not: whose keys count, which the roster says.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from countersign.errors import SignatureError
from countersign.evidence.signature import sign
from countersign.evidence.signers import PublicKey


class KeyRing:
    """The keys at hand: `key` is the one to use if it is named, `folder` holds `NAME` beside `NAME.pub`.

    `agent` says whether an agent may be asked for keys that no file has.
    """

    def __init__(self, key: Path | None = None, folder: Path | None = None, *, agent: bool = False) -> None:
        self._key = key
        self._folder = folder
        self._agent = agent

    def sign(self, message: bytes, allowed: Sequence[PublicKey], namespace: str) -> bytes:
        """Have the first allowed key that is at hand sign. Raises SignatureError saying where it was looked for."""
        if self._key is not None:
            return sign(message, key=self._key, namespace=namespace)
        if not allowed:
            raise SignatureError(f"the roster has no key of theirs for {namespace}; add its public half there")
        files = {_public_of(path): path for path in self._files()}
        for public in allowed:
            if public in files:
                return sign(message, key=files[public], namespace=namespace)
        if self._agent:
            for public in allowed:
                signature = _by_agent(message, public, namespace)
                if signature is not None:
                    return signature
        places = [f"in {self._folder}"] if self._folder else []
        places += ["with the agent"] if self._agent else []
        prints = ", ".join(key.fingerprint for key in allowed)
        raise SignatureError(
            f"no private key for {prints} {' or '.join(places) or 'at hand'}; name it with --key or COUNTERSIGN_KEY, "
            "add it to the agent, or sign on another machine with `countersign sign-off request` and `submit`"
        )

    def _files(self) -> list[Path]:
        if self._folder is None or not self._folder.is_dir():
            return []
        return [path.with_suffix("") for path in sorted(self._folder.glob("*.pub"))]


def _public_of(path: Path) -> PublicKey | None:
    try:
        return PublicKey.parse(path.with_name(f"{path.name}.pub").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, SignatureError):
        return None  # not a key; whoever asks says which ones were looked for


def _by_agent(message: bytes, public: PublicKey, namespace: str) -> bytes | None:
    """A signature by the agent, or None where it does not hold this key."""
    with tempfile.NamedTemporaryFile("w", suffix=".pub", encoding="ascii") as file:
        file.write(f"{public.kind} {public.text}\n")
        file.flush()
        try:
            return sign(message, key=Path(file.name), namespace=namespace)
        except SignatureError:
            return None
