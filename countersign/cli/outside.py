"""What somebody outside gives to hold a root against, read before anything is judged.

A wrong file is wrong usage, and says nothing of the root. What belongs here: whether it is what it is given as. What
does not: holding a root against it.
"""

import re
from pathlib import Path

import typer

from countersign.errors import EvidenceError, SignatureError, TamperedError
from countersign.evidence.seal import parse_seal
from countersign.evidence.signers import check_signers

_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)


def require_signers(path: Path | None, option: str = "--allowed-signers") -> None:
    """Refuse a file that `ssh-keygen` could not read as one of allowed signers."""
    if path is not None:
        try:
            check_signers(_read(path))
        except SignatureError as error:
            raise typer.BadParameter(f"{path}: {error}", param_hint=option) from error


def require_seal(path: Path | None, option: str) -> None:
    """Refuse a file that is no seal's statement."""
    if path is not None:
        try:
            parse_seal(_read(path), path)
        except TamperedError as error:
            raise typer.BadParameter(
                f"{path}: not the statement of a seal, such as 000123.json is; name the file that was kept elsewhere",
                param_hint=option,
            ) from error


def require_digest(text: str | None, option: str) -> None:
    """Refuse what is no SHA-256 in hexadecimal."""
    if text is not None and not _DIGEST.fullmatch(text):
        raise typer.BadParameter(f"{text!r} is not a digest of 64 digits 0-9 a-f", param_hint=option)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise EvidenceError(f"{path}: no such file") from error
    except OSError as error:
        raise EvidenceError(f"{path}: cannot be read: {error.strerror}") from error
