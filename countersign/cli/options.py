"""Options that every command has, and what they open."""

from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import typer

from countersign.cli.output import say
from countersign.clocks.instant import parse_instant
from countersign.environment import default_policy, default_root
from countersign.errors import SourceError
from countersign.evidence.index import Index
from countersign.evidence.register import Register
from countersign.evidence.root import EvidenceRoot
from countersign.policy import load_configuration
from countersign.runs.engine import Engine

Root = Annotated[
    Path,
    typer.Option(
        "--root", envvar="COUNTERSIGN_ROOT", help="The evidence root.", show_default="./evidence", dir_okay=True
    ),
]
PolicyFile = Annotated[
    Path,
    typer.Option("--policy", envvar="COUNTERSIGN_POLICY", help="The policy file.", show_default="./policy.yaml"),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]

SigningKeyFile = Annotated[
    Path | None,
    typer.Option(
        "--key",
        envvar="COUNTERSIGN_KEY",
        help="Your private key file, or a public one whose private half the agent has; else whatever is at hand.",
    ),
]

ROOT = default_root()
POLICY = default_policy()


def day_of(text: str) -> date:
    """A day, as an option or an argument gives it."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not a day as YYYY-MM-DD") from error


def month_of(text: str) -> date:
    """The first day of a month, as an option gives it."""
    try:
        return date.fromisoformat(f"{text}-01")
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not a month as YYYY-MM") from error


def instant_of(text: str, option: str) -> datetime:
    """An instant, as an option gives it."""
    try:
        return parse_instant(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r}: {error}", param_hint=option) from error


def read_file(path: Path) -> bytes:
    """A file that somebody hands in. Raises SourceError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from error


def open_engine(root: Path, policy: Path) -> Engine:
    """The engine on a root, which is created where there is none; its first configuration is then the genesis."""
    engine = Engine(root, load_configuration(policy))
    if engine.genesis:
        say(f"new evidence root {root}; its genesis configuration is {engine.current.configuration.digest}")
    return engine


def open_existing(root: Path, policy: Path) -> Engine:
    """The engine on a root that is there. Raises EvidenceError where there is none."""
    return Engine(EvidenceRoot(root).existing().path, load_configuration(policy))


def open_index(root: Path) -> tuple[EvidenceRoot, Index]:
    """A root that is there, with its index, which is made in memory where nobody can write. Raises EvidenceError."""
    evidence = EvidenceRoot(root).existing()
    index = Index(evidence, Register(evidence), None if evidence.writable else "sqlite://")
    index.sync()
    return evidence, index
