"""`make run` in a fresh clone: what a stranger sees the first time and the second.

Specific here: uncommitted files are copied over the clone, and the environment in use stands in for the one that
`make` would install, so that nothing is fetched.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline_defs.home import REPOSITORY

pytestmark = pytest.mark.skipif(not (REPOSITORY / ".git").exists(), reason="needs a git repository to clone")

OWN = ("COUNTERSIGN_", "DAGSTER_", "GIT_", "MAKE", "MFLAGS", "PYTHONDONTWRITEBYTECODE")
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(OWN)}


def git(*arguments: str) -> str:
    return subprocess.check_output(["git", *arguments], cwd=REPOSITORY, env=ENVIRONMENT, text=True)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository as it stands, with a set-up environment."""
    folder = tmp_path_factory.mktemp("stranger") / "clone"
    git("clone", "--quiet", "--no-hardlinks", str(REPOSITORY), str(folder))
    for name in filter(None, git("ls-files", "-z", "--deleted").split("\0")):
        (folder / name).unlink()
    for name in filter(None, git("ls-files", "-z", "-m", "-o", "--exclude-standard").split("\0")):
        if (REPOSITORY / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / name, folder / name)
    (folder / ".venv").mkdir()
    for part in Path(sys.prefix).iterdir():
        if part.name != ".ready":
            (folder / ".venv" / part.name).symlink_to(part)
    (folder / ".venv" / ".ready").touch()
    return folder


def make_run(clone: Path) -> str:
    """What it prints, its white space evened out."""
    done = subprocess.run(
        ["make", "run"], cwd=clone, env=ENVIRONMENT, capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return " ".join(done.stdout.replace("│", "|").split())


def test_the_first_run_does_everything_and_the_second_finds_nothing_left(clone: Path) -> None:
    commits = int(git("rev-list", "--count", "HEAD"))
    first = make_run(clone)
    assert "| inbox | 7 | 5 | 0 | 1 | 1 |" in first
    assert f"| this_repository | {commits} |" in first
    assert "| CHG-1003 | BLOCKED | ITGC-CM-03 by payload is not grounded" in first
    assert "| CHG-1001 | AWAITING_APPROVAL | independent_review is due from the role reviewer |" in first
    assert "| CHG-1007 |" in first
    assert "change_type: 'standard' means two things" in first
    assert f"Evidence: {clone / 'evidence'}" in first
    assert re.search(r"Sample: \d{4}-\d\d: frozen with \d+ runs, \d+ of them clean; ", first)
    assert "not drawn: " in first
    assert "the policy requires the observer's nonce and there is none" in first
    assert (clone / "evidence" / "seals" / "000001.json.sig").is_file()
    assert "Open UI: make ui" in first
    assert "Nothing was left to do" not in first
    logs = {path: path.read_bytes() for path in (clone / "evidence").glob("runs/**/audit.jsonl")}
    assert len(logs) >= 6

    second = make_run(clone)
    assert "Nothing was left to do" in second
    assert re.search(r"Sample: \d{4}-\d\d: frozen, and waits for the observer's nonce; \d{4}-\d\d is due on ", second)
    assert "| inbox | 7 | 0 | 6 | 1 | 0 |" in second
    assert f"| this_repository | {commits} | 0 |" in second
    assert {path: path.read_bytes() for path in (clone / "evidence").glob("runs/**/audit.jsonl")} == logs
