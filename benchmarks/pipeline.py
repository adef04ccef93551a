"""Changes per second through the whole graph in Dagster, beside bare fsynced files, in one run.

    python -m benchmarks.pipeline [--changes 1000 10000] [--json]

Sign-offs bind to the log head of their request, so they cannot be there before the change. The graph therefore runs
three times over the same changes, each time in a fresh worker process on a persistent instance: to the independent
review, to the maker-checker approval, to completion. The sign-offs themselves, which people give, are recorded between
the runs, fifty under one signature, and not counted. The asked figure, "changes with sign-offs already recorded
through the whole graph", is the
run to completion: every log read and verified, its gate decided again, workpaper, handoff, register, datasets and
checks. The three legs together are printed beside it.

Seconds are those from run start to success in Dagster's own records, CPU seconds those of the whole worker (start-up
included), memory is the worker's largest resident set. The floor is one new file of the same size for each change,
fsynced, by the same number of threads. No folder is deleted before the end: ext4 is slow to hand out an inode while it
remembers thousands that were just deleted, and that would be measured instead.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from dagster import DagsterInstance

from countersign.environment import utc_now
from countersign.evidence.keyring import KeyRing
from countersign.policy import Key, Policy, load_policy
from countersign.runs.engine import THREADS, Engine
from countersign.runs.run import configured
from countersign.runs.sign_offs import SignOffDesk
from countersign.runs.signatures import RosterKeys
from countersign.runs.statement import namespace_of
from pipeline_defs.build import build
from pipeline_defs.demonstration import make_demo_keys
from resources.evidence import Evidence

REPOSITORY = Path(__file__).parent.parent
LEGS = ("to the review", "to the approval", "to completion")
SIGNERS = ((Key.INDEPENDENT_REVIEW, "reviewer"), (Key.MAKER_CHECKER, "checker"))
SIGNED_TOGETHER = 50  # clean changes under one signature


def payload(number: int) -> dict[str, Any]:
    """A change that meets every control."""
    revision = f"{number:012x}"
    return {
        "id": f"CHG-{number}",
        "system": "billing",
        "summary": f"Change number {number} of the benchmark",
        "author": "maker",
        "contributors": ["Example Maker <maker@example.com>"],
        "deployed_by": "deployer",
        "requested_at": "2026-11-16T10:00:00Z",
        "deployed_at": "2026-11-18T10:00:00Z",
        "revision": revision,
        "evidence": {
            "approval": {
                "kind": "approval",
                "text": f"CHG-{number} approved for deployment.",
                "by": "authoriser",
                "at": "2026-11-18T09:00:00Z",
                "revision": revision,
            },
            "tests": {
                "kind": "test",
                "text": "Regression suite: 214 passed, 0 failed.",
                "by": "pipeline:ci",
                "at": "2026-11-18T08:00:00Z",
                "revision": revision,
            },
            "deployment": {
                "kind": "deployment",
                "text": f"Deployed {revision} to production.",
                "by": "deployer",
                "at": "2026-11-18T10:00:00Z",
            },
        },
    }


def prepare(folder: Path, changes: int) -> None:
    """An inbox with one JSON Lines file, a policy whose only source it is, and keys that signers have for it."""
    inbox = folder / "inbox"
    inbox.mkdir()
    with (inbox / "changes.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(payload(number)) + "\n" for number in range(changes))
    shipped: Policy = load_policy(REPOSITORY / "policy.yaml")
    document = shipped.model_dump(mode="json")
    document["sources"] = [{"name": "inbox", "adapter": "files", "path": "inbox"}]
    (folder / "policy.yaml").write_text(json.dumps(document), encoding="utf-8")  # JSON is YAML
    for name in ("catalogue.yaml", "calendar.yaml"):
        shutil.copy(REPOSITORY / name, folder)
    assert make_demo_keys(folder / "policy.yaml", folder / "evidence", folder / "keys", utc_now())
    home = folder / "dagster"
    home.mkdir()
    shutil.copy(REPOSITORY / "dagster.yaml", home)


def run_leg(folder: Path, leg: int) -> None:
    """Execute one job in this process; print its seconds, and this process's largest resident set."""
    defs = build(evidence=Evidence(root=str(folder / "evidence"), policy=str(folder / "policy.yaml")))
    engine = open_engine(folder)
    day = engine.today.isoformat()
    with DagsterInstance.get() as instance:
        if leg == 0:
            result = defs.resolve_job_def("daily").execute_in_process(instance=instance, partition_key=day)
        else:
            config = {
                "ops": {
                    "advance_days": {"config": {"days": [run.day.isoformat() for run in engine.index.signed()[:1]]}}
                }
            }
            result = defs.resolve_job_def("advance").execute_in_process(instance=instance, run_config=config)
        record = instance.get_run_record_by_id(result.run_id)
    assert record is not None
    assert record.start_time is not None
    assert record.end_time is not None
    used = resource.getrusage(resource.RUSAGE_SELF)
    measured = {
        "seconds": record.end_time - record.start_time,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "megabytes": used.ru_maxrss / 1024,
        "ok": result.success,
    }
    print(json.dumps(measured))


def open_engine(folder: Path) -> Engine:
    """The engine on the benchmark's evidence root."""
    return Engine(folder / "evidence", configured(folder / "policy.yaml"), clock=utc_now)


def sign_all(folder: Path, key: Key, signer: str) -> None:
    """Record a sign-off for every run, fifty under one signature."""
    engine = open_engine(folder)
    desk = SignOffDesk(engine)
    keys = KeyRing(folder=folder / "keys")
    rundirs = [engine.root.rundir(run.day, run.run_id) for run in engine.index.all_runs()]
    for start in range(0, len(rundirs), SIGNED_TOGETHER):
        statement = desk.request(rundirs[start : start + SIGNED_TOGETHER], key, signer)
        allowed = RosterKeys(engine.current.configuration).of(signer, namespace_of(key))
        desk.submit(statement.content, keys.sign(statement.content, allowed, namespace_of(key))).require_whole()


def floor(folder: Path, changes: int, size: int) -> float:
    """Files per second: one new file of `size` bytes each, fsynced, by as many threads as the engine has."""
    target = folder / "floor"
    target.mkdir()
    content = b"x" * size

    def write(number: int) -> None:
        handle = os.open(target / str(number), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(handle, content)
            os.fsync(handle)
        finally:
            os.close(handle)

    start = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(write, range(changes)))
    return changes / (time.perf_counter() - start)


def measure(folder: Path, changes: int) -> dict[str, Any]:
    """All three legs over so many changes, and the floor."""
    prepare(folder, changes)
    environment = os.environ | {"DAGSTER_HOME": str(folder / "dagster")}
    legs = []
    for leg, name in enumerate(LEGS):
        if leg:
            print(f"  recording {changes} sign-offs: {SIGNERS[leg - 1][0]} …", file=sys.stderr)
            sign_all(folder, *SIGNERS[leg - 1])
        command = [
            sys.executable,
            "-W",
            "ignore",
            "-m",
            "benchmarks.pipeline",
            "--leg",
            str(leg),
            "--folder",
            str(folder),
        ]
        done = subprocess.run(command, env=environment, cwd=REPOSITORY, check=True, stdout=subprocess.PIPE)
        legs.append({"leg": name, **json.loads(done.stdout.splitlines()[-1])})
    engine = open_engine(folder)
    statuses = {run.status for run in engine.index.all_runs()}
    assert statuses == {"COMPLETED"}, statuses
    log = next((folder / "evidence" / "runs").glob("*/*/*/*/audit.jsonl"))
    seconds = sum(leg["seconds"] for leg in legs)
    return {
        "changes": changes,
        "legs": legs,
        "changes_per_second": changes / seconds,
        "signed_per_second": changes / legs[-1]["seconds"],
        "megabytes": max(leg["megabytes"] for leg in legs),
        "floor_files_per_second": floor(folder, changes, log.stat().st_size),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--changes", type=int, nargs="+", default=[1000, 10000])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--leg", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.leg is not None:
        run_leg(asked.folder, asked.leg)
        return
    # beside the repository, since /tmp may be memory, where fsync costs nothing
    with tempfile.TemporaryDirectory(dir=REPOSITORY.parent, prefix="countersign-benchmark-") as kept:
        results = []
        for changes in asked.changes:
            print(f"{changes} changes …", file=sys.stderr)
            folder = Path(kept) / str(changes)
            folder.mkdir()
            results.append(measure(folder, changes))
    print(json.dumps(results, indent=2) if asked.json else report(results))


def report(results: list[dict[str, Any]]) -> str:
    """The measurements as people read them."""
    lines = []
    for result in results:
        changes = result["changes"]
        lines.append(f"{changes} changes, {THREADS} threads")
        for leg in result["legs"]:
            rate = f"{leg['seconds']:7.2f} s {changes / leg['seconds']:8.0f} changes/s"
            cpu = 1000 * leg["cpu_seconds"] / changes
            lines.append(f"  {leg['leg']:<22}{rate} {cpu:6.2f} CPU s per 1,000 {leg['megabytes']:6.0f} MB")
        floor_rate = result["floor_files_per_second"]
        lines += [
            f"  sign-offs recorded, through the whole graph: {result['signed_per_second']:.0f} changes/s",
            f"  one bare fsynced file per change:            {floor_rate:.0f} files/s",
            f"  all three legs together:                     {result['changes_per_second']:.0f} changes/s",
        ]
    peaks = ", ".join(f"{result['megabytes']:.0f} MB at {result['changes']}" for result in results)
    return "\n".join([*lines, f"largest resident set of a worker: {peaks}"])


if __name__ == "__main__":
    main()
