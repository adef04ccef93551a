"""DAGSTER_HOME: where it lies, that it uses the repository's dagster.yaml, and who holds it.

`daemon.lock` is held (flock) by the launcher and, through an inherited descriptor, by its daemon: it is free exactly
when both are gone, however they ended. It remembers the daemon's id, so a heartbeat left by a dead one can be told from
one of a daemon that was started by other means.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dagster import DagsterInstance

REPOSITORY = Path(__file__).resolve().parent.parent
HEARTBEAT_FRESH_SECONDS = 45.0


class AlreadyLive(Exception):
    """A daemon is live on this instance; two would execute the same run twice."""


def prepare_home(repository: Path = REPOSITORY) -> Path:
    """Create DAGSTER_HOME (`.dagster/` unless set), link the repository's dagster.yaml into it, and set the variable.

    A dagster.yaml of one's own is left alone.
    """
    home = Path(os.environ.get("DAGSTER_HOME") or repository / ".dagster").absolute()
    home.mkdir(parents=True, exist_ok=True)
    settings = home / "dagster.yaml"
    if not settings.exists():
        settings.unlink(missing_ok=True)
        settings.symlink_to(os.path.relpath(repository / "dagster.yaml", home))
    os.environ["DAGSTER_HOME"] = str(home)
    return home


@dataclass(frozen=True)
class DaemonLock:
    """The held lock: `fd` is for the daemon to inherit."""

    fd: int

    def remember(self, daemon_ids: set[str]) -> None:
        os.ftruncate(self.fd, 0)
        os.pwrite(self.fd, "\n".join(sorted(daemon_ids)).encode(), 0)

    def remembered(self) -> set[str]:
        return set(os.pread(self.fd, 4096, 0).decode().split())


@contextmanager
def daemon_lock(home: Path, instance: DagsterInstance) -> Iterator[DaemonLock]:
    """Hold this instance for one daemon, or raise `AlreadyLive`."""
    fd = os.open(home / "daemon.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyLive(f"{home} is in use by another `make ui`; stop that one first") from error
        lock = DaemonLock(fd)
        if strangers := fresh_daemon_ids(instance) - lock.remembered():
            raise AlreadyLive(
                f"a daemon that was not started here reported to {home} within {HEARTBEAT_FRESH_SECONDS:.0f} s "
                f"({', '.join(sorted(strangers))}); stop it, or wait that long if it has just stopped"
            )
        yield lock
    finally:
        os.close(fd)


def fresh_daemon_ids(instance: DagsterInstance) -> set[str]:
    """Ids of daemons that reported lately; a live one reports every 30 s."""
    oldest = time.time() - HEARTBEAT_FRESH_SECONDS
    beats = instance.get_daemon_heartbeats().values()
    return {beat.daemon_id for beat in beats if beat.daemon_id and beat.timestamp >= oldest}
