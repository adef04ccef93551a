"""The real thing: `python -m pipeline_defs.operate ui` over a deployment, as processes that can be asked and killed.

Every process of it is known by its environment, which names a DAGSTER_HOME that no other has; Linux only (`/proc`).
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from dagster import DagsterEventType, DagsterInstance

from pipeline_defs.home import REPOSITORY
from tests.end_to_end.graphql import Client
from tests.pipeline.deployment import Deployment

PATIENCE_SECONDS = 120.0
_PID = re.compile(r"\(pid: (\d+)\)")
_T = TypeVar("_T")


def until(condition: Callable[[], _T], what: str, *, within: float = PATIENCE_SECONDS, every: float = 0.2) -> _T:
    """The first true answer; AssertionError with `what` when none came in time."""
    deadline = time.monotonic() + within
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"not within {within:.0f} s: {what}"
        time.sleep(every)
    return answer


class Live:
    """A deployment with its own DAGSTER_HOME and port; `start` and `kill` may follow each other."""

    def __init__(self, folder: Path) -> None:
        self.deployment = Deployment(folder)
        self.deployment.write_policy()
        self.home = folder / "dagster_home"
        self.output = folder / "ui.log"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.client = Client(f"http://127.0.0.1:{self.port}")
        self._launched: list[subprocess.Popen[str]] = []

    @property
    def environment(self) -> dict[str, str]:
        """The environment of every process of it; bytecode is kept, as it is for everybody else."""
        own = {
            "DAGSTER_HOME": str(self.home),
            "COUNTERSIGN_ROOT": str(self.deployment.root),
            "COUNTERSIGN_POLICY": str(self.deployment.policy),
            "COUNTERSIGN_PORT": str(self.port),
        }
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        return {**kept, **own}

    def command(self) -> "subprocess.Popen[str]":
        """`make ui`, without make."""
        with self.output.open("a") as output:
            launcher = subprocess.Popen(
                [sys.executable, "-m", "pipeline_defs.operate", "ui"],
                env=self.environment,
                cwd=REPOSITORY,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                text=True,
                start_new_session=True,
            )
        self._launched.append(launcher)
        return launcher

    def start(self) -> None:
        """Start it and wait until the webserver has loaded the code location."""
        launcher = self.command()
        until(lambda: launcher.poll() is not None or self.client.ready(), "the webserver answers")
        assert launcher.poll() is None, self.output.read_text()

    def processes(self) -> list[int]:
        """Every process of it that is alive: launcher, daemon, webserver, code servers, workers."""
        mark = f"DAGSTER_HOME={self.home}\0".encode()
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if mark in (folder / "environ").read_bytes():
                    found.append(int(folder.name))
        return found

    def idle(self) -> bool:
        """Nothing runs, and nothing waits to."""
        return not self.client.runs(None, "QUEUED", "NOT_STARTED", "STARTING", "STARTED")

    def kill(self) -> None:
        """SIGKILL for everything at once, until nothing is left."""

        def none_left() -> bool:
            for pid in (found := self.processes()):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return not found

        until(none_left, "all processes are gone", within=30)
        for launcher in self._launched:
            launcher.wait()

    @contextmanager
    def instance(self) -> Iterator[DagsterInstance]:
        """The instance that all of it works on, opened from here."""
        with DagsterInstance.from_config(str(self.home)) as instance:
            yield instance

    def workers(self, instance: DagsterInstance, run_id: str) -> list[int]:
        """The process ids by which the worker of a run called itself."""
        entries = instance.all_logs(run_id, of_type=DagsterEventType.ENGINE_EVENT)
        said = [entry.dagster_event.message or "" for entry in entries if entry.dagster_event]
        return [int(found.group(1)) for found in map(_PID.search, said) if found]


@contextmanager
def live_in(folder: Path) -> Iterator[Live]:
    """A started deployment; whatever happens, none of its processes is left behind."""
    live = Live(folder)
    try:
        live.start()
        yield live
    finally:
        live.kill()
