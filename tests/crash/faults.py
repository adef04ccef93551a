"""One fault at one system call of a child process: an error of the disk, or the process killed, before or after it.

What belongs here: the injection. What does not: what is done meanwhile, and what has to hold afterwards.
"""

import errno
import os
import signal
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CALLS = ("open", "write", "fsync", "replace", "link", "unlink", "mkdir")
MODES = ("EIO before", "EIO after", "killed before", "killed after", "killed half-way")
Acknowledge = Callable[[str], None]


@dataclass(frozen=True)
class Ended:
    """How the child ended: what it had acknowledged, whether it was killed, how many calls it had made."""

    acknowledged: list[str]
    killed: bool
    calls: int


def run(work: Callable[[Acknowledge], None], folder: Path, *, at: int = 0, mode: str = "") -> Ended:
    """Do some work in a child with a fault at its call number `at` (none at 0), and wait for its end."""
    said = folder / "acknowledged"
    said.write_bytes(b"")
    child = os.fork()
    if child == 0:
        _work(work, said, at, mode)
    _, status = os.waitpid(child, 0)
    lines = said.read_text("utf-8").splitlines()
    counted = [int(line.removeprefix("calls ")) for line in lines if line.startswith("calls ")]
    kept = [line for line in lines if not line.startswith("calls ")]
    killed = os.WIFSIGNALED(status)
    assert killed or os.WEXITSTATUS(status) == 0, "the child raised what nobody expects of a disk"
    return Ended(kept, killed, counted[-1] if counted else 0)


def _work(work: Callable[[Acknowledge], None], said: Path, at: int, mode: str) -> None:
    """The child: never returns."""
    ended = 1
    try:
        handle = os.open(said, os.O_WRONLY | os.O_APPEND)
        write = os.write

        def acknowledge(text: str) -> None:
            write(handle, f"{text}\n".encode())

        counter = _install(at, mode)
        try:
            work(acknowledge)
        except Exception as error:  # an error that reaches the caller acknowledges nothing
            if not mode.startswith("EIO"):
                traceback.print_exception(error)
                raise
        write(handle, f"calls {counter[0]}\n".encode())
        ended = 0
    finally:
        os._exit(ended)


def _install(at: int, mode: str) -> list[int]:
    """Put a fault into the calls; returns the list whose one number counts them."""
    counter = [0]
    for name in CALLS:
        setattr(os, name, _faulty(getattr(os, name), name, counter, at, mode))
    return counter


def _faulty(real: Any, name: str, counter: list[int], at: int, mode: str) -> Any:
    def call(*arguments: Any, **named: Any) -> Any:
        counter[0] += 1
        mine = counter[0] == at
        if mine and mode == "EIO before":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        if mine and mode == "killed before":
            os.kill(os.getpid(), signal.SIGKILL)
        if mine and mode == "killed half-way":
            if name == "write":
                real(arguments[0], arguments[1][: len(arguments[1]) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*arguments, **named)
        if mine and mode == "EIO after":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        if mine and mode == "killed after":
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return call


def points(calls: int, share: int) -> Iterator[tuple[int, str]]:
    """Every call with every mode, or every so many-th of these pairs."""
    every = [(at, mode) for at in range(1, calls + 1) for mode in MODES]
    yield from every[::share]
