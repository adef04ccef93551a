"""Start what runs: `python -m pipeline_defs.operate run | ui`. Nothing here knows what a change is."""

import argparse
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import date
from pathlib import Path
from typing import Any

from dagster import (
    AssetMaterialization,
    AssetObservation,
    DagsterEventType,
    DagsterInstance,
    Definitions,
    ExecuteInProcessResult,
    MetadataValue,
)
from rich.console import Console
from rich.table import Table
from rich.text import Text

from countersign.environment import default_keys
from countersign.errors import CountersignError
from countersign.evidence.register import IntakeTotals
from countersign.runs.daywork import Reading, needs_somebody
from countersign.runs.deployments import never_deployed
from countersign.runs.engine import Engine
from countersign.sampling.due import due_month
from countersign.sampling.month import Month
from pipeline_defs.demonstration import make_demo_keys
from pipeline_defs.home import REPOSITORY, AlreadyLive, DaemonLock, daemon_lock, fresh_daemon_ids, prepare_home
from pipeline_defs.monthly import MONTHLY
from pipeline_defs.recovery import fail_dead_runs
from resources.evidence import Evidence, WallClock
from sensors.asked import ADVANCE, DAILY

try:
    from pipeline_defs.definitions import assemble, defs
except CountersignError as refused:  # a policy that cannot be read; nobody is to see a traceback for it
    print(f"countersign: {refused}", file=sys.stderr)
    sys.exit(2)

LOCATION_TAG = {".dagster/repository": "__repository__@countersign"}
GRACE_SECONDS = 20
_MOST_ROWS = 40


def run_main() -> int:
    """Execute `daily` for today, `advance` for older days with work left, and `monthly_sample` for a month that is due.

    All in this process; then print how everything stands.
    """
    home = prepare_home()
    _prepare_demonstration()
    made = assemble()  # anew, since a demonstration has a key to seal with now
    engine = _engine()
    if engine.genesis:
        print(f"new evidence root; its genesis configuration is {engine.current.configuration.digest}", file=sys.stderr)
    today = engine.today
    before = {run.run_id: (run.status, run.head) for run in engine.index.all_runs()}
    with DagsterInstance.get() as instance:
        _fail_dead_runs(home, instance)
        print(f"countersign: running the daily graph for {today} …", file=sys.stderr, flush=True)
        results = [
            made.resolve_job_def(DAILY).execute_in_process(
                instance=instance, partition_key=today.isoformat(), tags=LOCATION_TAG, raise_on_error=False
            )
        ]
        older = sorted({run.day for run in engine.index.runs(engine.index.with_work_left()).values()} - {today})
        if older:
            results.append(_advance(made, instance, older))
        engine.index.sync()
        month, stands = due_month(engine)
        if stands is None:
            results.append(_sample(made, instance, month))
            stands = sample_of(results[-1])
    engine.index.sync()
    print_summary(engine, readings_of(results[0]), before, f"{month}: {stands}")
    failed = [result.run_id for result in results if not result.success]
    for run_id in failed:
        print(f"Dagster run {run_id} FAILED; its events say why: `make ui`")
    return 1 if failed else 0


def _prepare_demonstration() -> None:
    evidence, clock = _resources()
    said = make_demo_keys(Path(evidence.policy), Path(evidence.root), REPOSITORY / default_keys(), clock.now())
    if said is not None:
        print(said, file=sys.stderr)


def _fail_dead_runs(home: Path, instance: DagsterInstance) -> None:
    """What an earlier, killed `make run` left; with a daemon on the instance that is the daemon's launcher's to do."""
    with suppress(AlreadyLive), daemon_lock(home, instance):
        for run in fail_dead_runs(instance):
            print(f"run {run.run_id} ({run.job_name}) was cut off and is marked as failed", file=sys.stderr)


def _advance(made: Definitions, instance: DagsterInstance, days: Sequence[date]) -> ExecuteInProcessResult:
    config = {"ops": {"advance_days": {"config": {"days": [day.isoformat() for day in days]}}}}
    return made.resolve_job_def(ADVANCE).execute_in_process(
        instance=instance, run_config=config, tags=LOCATION_TAG, raise_on_error=False
    )


def _sample(made: Definitions, instance: DagsterInstance, month: Month) -> ExecuteInProcessResult:
    return made.resolve_job_def(MONTHLY).execute_in_process(
        instance=instance, partition_key=str(month), tags=LOCATION_TAG, raise_on_error=False
    )


def sample_of(result: ExecuteInProcessResult) -> str:
    """How a month's sample stands, from the run's own events."""
    for event in result.all_events:
        if event.event_type is DagsterEventType.ASSET_MATERIALIZATION:
            said = event.step_materialization_data.materialization.metadata
            return (
                f"frozen with {said['changes'].value} runs, {said['clean'].value} of them clean; {said['stands'].value}"
            )
    return "not frozen; `make ui` shows why"


def _resources() -> tuple[Evidence, WallClock]:
    resources = defs.resources or {}
    evidence, clock = resources["evidence"], resources["clock"]
    assert isinstance(evidence, Evidence)
    assert isinstance(clock, WallClock)
    return evidence, clock


def _engine() -> Engine:
    evidence, clock = _resources()
    return evidence.engine(clock)


def readings_of(result: ExecuteInProcessResult) -> list[Reading]:
    """What the run read, from its own events."""
    readings = []
    for event in result.all_events:
        match event.event_type:
            case DagsterEventType.ASSET_MATERIALIZATION:
                said: AssetMaterialization | AssetObservation = event.step_materialization_data.materialization
            case DagsterEventType.ASSET_OBSERVATION:
                said = event.asset_observation_data.asset_observation
            case _:
                continue
        if said.asset_key.path[0] == "source":
            readings.append(_reading(said.asset_key.path[1], said.metadata))
    return readings


def _reading(source: str, metadata: Mapping[str, MetadataValue[Any]]) -> Reading:
    if "broken" in metadata:
        return Reading(source, IntakeTotals(), str(metadata["broken"].value))
    totals = metadata["totals"].value
    assert isinstance(totals, dict)
    return Reading(source, IntakeTotals(**totals))


def print_summary(engine: Engine, readings: Sequence[Reading], before: dict[str, tuple[str, str]], month: str) -> None:
    """What was read, how the runs stand, who is needed and why, the month's sample, where the evidence lies."""
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    read = Table("source", "read", "opened", "known", "refused", "out of scope", title="Read", title_justify="left")
    for reading in readings:
        counts = (reading.broken,) if reading.broken else map(str, reading.totals.as_dict().values())
        read.add_row(Text(reading.source), *(Text(str(count)) for count in counts))
    console.print(read)
    runs = engine.index.all_runs()
    standing = Table("status", "runs", title="All runs", title_justify="left")
    for status, count in sorted(Counter(run.status for run in runs if not run.superseded_by).items()):
        standing.add_row(status, str(count))
    if superseded := sum(1 for run in runs if run.superseded_by):
        standing.add_row("(superseded)", str(superseded))
    console.print(standing)
    _print_needed(engine, console)
    _print_undeployed(engine, console)
    _print_refused(engine, console)
    done = sum(1 for run in runs if before.get(run.run_id) != (run.status, run.head))
    if before and not done:
        console.print("Nothing was left to do: every change that was read is known, and the rest waits for people.")
    else:
        console.print(f"{done} runs went on." if before else f"{done} runs were opened.")
    console.print(Text(f"Sample:    {month}"), soft_wrap=True)
    where = f"--root {engine.root.path}" if engine.root.path != REPOSITORY / "evidence" else ""
    console.print(f"Evidence:  {engine.root.path}", soft_wrap=True)
    console.print(f"Look:      .venv/bin/countersign status {where}".rstrip(), soft_wrap=True)
    console.print("           .venv/bin/countersign show RUN_ID", soft_wrap=True)
    sign = f"Sign:      .venv/bin/countersign approve RUN_ID independent_review --as reviewer {where}"
    console.print(sign.rstrip(), soft_wrap=True)
    console.print("Open UI:   make ui", soft_wrap=True)


def _print_needed(engine: Engine, console: Console) -> None:
    needed = needs_somebody(engine)
    if not needed:
        console.print("Nobody is needed.")
        return
    title = f"Who is needed ({len(needed)})"
    table = Table("change", "status", "because", "run", title=title, title_justify="left")
    order = {"FAILED": 0, "BLOCKED": 1}
    for row in sorted(needed, key=lambda row: order.get(row.status, 2))[:_MOST_ROWS]:
        change = row.change_id if len(row.change_id) <= 40 else f"{row.change_id[:39]}…"
        table.add_row(*(Text(str(cell)) for cell in (change, row.status, row.reason, row.run_id)))
    console.print(table)
    if len(needed) > _MOST_ROWS:
        console.print(f"… and {len(needed) - _MOST_ROWS} more: `.venv/bin/countersign status` lists them all")


def _print_undeployed(engine: Engine, console: Console) -> None:
    waiting = never_deployed(engine.index)
    if waiting:
        table = Table("change", "system", "run", title=f"Never deployed ({len(waiting)})", title_justify="left")
        for run in waiting[:_MOST_ROWS]:
            table.add_row(Text(run.change_id), Text(run.system), Text(run.run_id))
        console.print(table)
        if len(waiting) > _MOST_ROWS:
            more = len(waiting) - _MOST_ROWS
            console.print(f"… and {more} more: `.venv/bin/countersign status --not-deployed` lists them all")


def _print_refused(engine: Engine, console: Console) -> None:
    refused = engine.index.refusals()
    if refused:
        table = Table("change", "where", "because", title=f"Refused ({len(refused)})", title_justify="left")
        for refusal in refused[-_MOST_ROWS:]:
            table.add_row(Text(refusal.change_id or ""), Text(refusal.where), Text(refusal.reason))
        console.print(table)


def serve(port: int) -> int:
    """Webserver and daemon on one instance until a signal comes or either ends. Refuses when a daemon is live."""
    home = prepare_home()
    with DagsterInstance.get() as instance, ExitStack() as stack:
        try:
            lock = stack.enter_context(daemon_lock(home, instance))
        except AlreadyLive as refusal:
            print(f"not started: {refusal}", file=sys.stderr)
            return 1
        for run in fail_dead_runs(instance):
            print(f"run {run.run_id} ({run.job_name}) was cut off and is marked as failed")
        print(f"Dagster on http://127.0.0.1:{port} (instance {home}); Ctrl-C ends it", flush=True)
        return _serve(instance, lock, port)


def _serve(instance: DagsterInstance, lock: DaemonLock, port: int) -> int:
    workspace = str(REPOSITORY / "workspace.yaml")
    quiet = ["-W", "ignore::DeprecationWarning"]
    daemon = [*quiet, "-m", "dagster._daemon", "run", "-w", workspace, "--log-level", "warning"]
    webserver = [*quiet, "-m", "dagster_webserver", "-w", workspace, "-h", "127.0.0.1", "-p", str(port)]
    webserver += ["--dagster-log-level", "warning", "--uvicorn-log-level", "warning"]
    webserver += ["--code-server-log-level", "warning"]
    children = [_start(daemon, [lock.fd]), _start(webserver, [])]
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: _stop(children))
    while all(child.poll() is None for child in children):
        lock.remember(lock.remembered() | fresh_daemon_ids(instance))
        time.sleep(1)
    _stop(children)
    return max(child.wait() for child in children)


def _start(arguments: Sequence[str], inherited: Sequence[int]) -> "subprocess.Popen[bytes]":
    """Start a Python child in a process group of its own, so that Ctrl-C reaches it once, from here."""
    return subprocess.Popen([sys.executable, *arguments], pass_fds=inherited, cwd=REPOSITORY, start_new_session=True)


def _stop(children: Sequence["subprocess.Popen[bytes]"]) -> None:
    for child in children:
        if child.poll() is None:
            child.send_signal(signal.SIGINT)
    deadline = time.monotonic() + GRACE_SECONDS
    for child in children:
        try:
            child.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()


def main(arguments: Sequence[str] | None = None) -> int:
    """The entry point of `make run` and `make ui`."""
    parser = argparse.ArgumentParser(prog="operate", description="Run the daily graph once, or serve the UI.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="take in what is new, move every run to its next pause, print how all stands")
    port = os.environ.get("COUNTERSIGN_PORT") or "3000"
    commands.add_parser("ui", help="webserver, daemon and sensors").add_argument("--port", type=int, default=port)
    asked = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    logging.getLogger("dagster").setLevel(logging.ERROR)
    if shutil.which("git") is None:
        print("git is not installed; the source `this_repository` cannot be read", file=sys.stderr)
    try:
        return run_main() if asked.command == "run" else serve(asked.port)
    except CountersignError as error:
        print(f"countersign: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
