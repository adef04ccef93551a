"""git as it is called here: on the repository that was named, and on all of it. What belongs here: nothing of any form.

Whatever a hook, a replacement or a graft would put in its place is left out of it.
"""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from countersign.environment import without_variables
from countersign.errors import SourceError

# what would make git read another repository than the one named (a hook sets these), or hide some of its commits
_ELSEWHERE = ("GIT_DIR", "GIT_COMMON_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY")


def git(repository: Path, *arguments: str) -> bytes:
    """What a git command says. Raises SourceError."""
    return _run(repository, arguments, subprocess.PIPE) or b""


def git_into(repository: Path, arguments: Sequence[str], file: BinaryIO) -> None:
    """Write what a git command says into a file. Raises SourceError."""
    _run(repository, arguments, file)


def refuse_shallow(repository: Path) -> None:
    """Raise SourceError for a clone that lacks older commits, which would be a smaller population than the truth."""
    if git(repository, "rev-parse", "--is-shallow-repository").strip() == b"true":
        raise SourceError(f"{repository}: a shallow clone lacks older commits; `git fetch --unshallow` gets them")


def _run(repository: Path, arguments: Sequence[str], output: BinaryIO | int) -> bytes | None:
    command = ["git", "-C", str(repository), "--no-replace-objects", *arguments]
    environment = {**without_variables(_ELSEWHERE), "GIT_GRAFT_FILE": os.devnull}
    try:
        done = subprocess.run(command, env=environment, stdout=output, stderr=subprocess.PIPE, check=False)
    except OSError as error:
        raise SourceError(f"{repository}: git cannot be started: {error}; install it") from error
    if done.returncode:
        said = done.stderr.decode("utf-8", "backslashreplace").strip().splitlines()
        raise SourceError(f"{repository}: git cannot read it: {said[-1] if said else 'no message'}")
    return done.stdout
