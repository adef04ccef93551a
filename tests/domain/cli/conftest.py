"""The command line as a user has it: arguments and standard input in, exit code and both outputs back."""

import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from countersign.cli import main
from tests.conftest import POLICY


@dataclass(frozen=True)
class Answer:
    """What a command said and how it ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on standard output."""
        return json.loads(self.out)


Cli = Callable[..., Answer]


def unsigned_policy(folder: Path) -> Path:
    """The shipped configuration in a folder of its own, where sign-offs need no signature."""
    folder.mkdir()
    for name in ("catalogue.yaml", "calendar.yaml"):
        (folder / name).write_bytes(POLICY.with_name(name).read_bytes())
    text = POLICY.read_text(encoding="utf-8")
    for old, new in (("signature: required", "signature: optional"), ("demo_signers:", "# demo_signers:")):
        assert old in text
        text = text.replace(old, new)
    (folder / POLICY.name).write_text(text, encoding="utf-8")
    return folder / POLICY.name


@pytest.fixture
def cli(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """`cli("run", path, "--json", stdin=b"…")`, on the test's root and the repository's policy, asking no signature."""
    monkeypatch.setenv("COUNTERSIGN_ROOT", str(root))
    monkeypatch.setenv("COUNTERSIGN_POLICY", str(unsigned_policy(tmp_path / "configuration")))
    monkeypatch.delenv("COUNTERSIGN_DEBUG", raising=False)

    def call(*arguments: object, stdin: bytes | None = b"") -> Answer:
        monkeypatch.setattr(sys, "argv", ["countersign", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", None if stdin is None else io.TextIOWrapper(io.BytesIO(stdin)))
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        assert "Traceback" not in said.out + said.err
        assert isinstance(ended.value.code, int)
        return Answer(ended.value.code, said.out, said.err)

    return call


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, Any], Path]:
    """Write a file of this name: bytes as they are, anything else as JSON."""

    def to_file(name: str, content: Any) -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return path

    return to_file


Write = Callable[[str, Any], Path]
