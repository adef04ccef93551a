"""Runs that a power cut left unfinished: fail those whose worker is gone, so that nothing queues behind them.

A worker is known by the process id in its own events. It lives when a process of that id exists that is not younger
than the event: an id that was given away since, or before a reboot, belongs to a process that started later.
"""

import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from dagster import DagsterEventType, DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter

HELD = [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]
CLOCK_SLACK_SECONDS = 2.0
_PID = re.compile(r"\(pid: (\d+)\)")


def fail_dead_runs(instance: DagsterInstance) -> list[DagsterRun]:
    """Mark unfinished runs without a live worker as failed, free their pool slots, and return them.

    Call it only while holding the daemon lock. Queued runs are left alone: the next daemon launches them. A worker that
    starts after all finds its run finished and does nothing.
    """
    return [_fail(instance, run) for run in instance.get_runs(RunsFilter(statuses=HELD)) if not _lives(instance, run)]


def _fail(instance: DagsterInstance, run: DagsterRun) -> DagsterRun:
    instance.report_run_failed(
        run, "The worker of this run is gone (power cut or kill). Its work goes on in a new run."
    )
    if instance.event_log_storage.supports_global_concurrency_limits:
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    return run


def _lives(instance: DagsterInstance, run: DagsterRun) -> bool:
    return any(
        started is not None and started <= reported + CLOCK_SLACK_SECONDS
        for pid, reported in _workers(instance, run)
        if (started := process_start(pid)) is not None
    )


def _workers(instance: DagsterInstance, run: DagsterRun) -> Iterator[tuple[int, float]]:
    """Process id and time of every event in which a worker named itself."""
    for entry in instance.all_logs(run.run_id, of_type=DagsterEventType.ENGINE_EVENT):
        if found := _PID.search(entry.dagster_event.message or "" if entry.dagster_event else ""):
            yield int(found.group(1)), entry.timestamp


def process_start(pid: int) -> float | None:
    """When the process started, as a Unix time with a grain of a second; None when there is none (or a zombie)."""
    if Path("/proc/self/stat").exists():
        return _start_in_proc(pid)
    asked = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
    answer = subprocess.run(
        asked, check=False, capture_output=True, text=True, env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"}
    )
    fields = answer.stdout.split(maxsplit=1)
    if len(fields) < 2 or fields[0].startswith("Z"):
        return None
    return time.mktime(time.strptime(fields[1].strip(), "%a %b %d %H:%M:%S %Y"))  # ps prints local time


def _start_in_proc(pid: int) -> float | None:
    """proc(5): field 3 of `stat` is the state, 22 the start in ticks since boot; the name may hold spaces."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    if after_name[0] in "ZX":
        return None
    booted = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime"))
    return int(booted.split()[1]) + int(after_name[19]) / os.sysconf("SC_CLK_TCK")
