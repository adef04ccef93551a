"""Runs a second packed, kept and restored, beside stock `tar` on the same files, and memory for ten times the runs.

    python -m benchmarks.retention [--runs 10000] [--json]

One completed run is made by the engine, and its log copied under as many ids into one day of a register. `pack` writes
both halves, `keep` also puts them into a folder and reads them back, `restore` brings every file of the emptied root
back, compares it with the manifest and syncs. The floor is `tar -c` of the same files, and `tar -x` with a sync. Each
part runs in a process of its own, whose largest resident memory is shown, for a tenth of the runs and for all of them.
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
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.pipeline import REPOSITORY, payload
from countersign.evidence.lines import Draft
from countersign.evidence.register import Opening, Pause, Register
from countersign.evidence.root import EvidenceRoot
from countersign.policy import Policy, load_policy
from countersign.retention.days import FinishedDay
from countersign.retention.keep import Archive, NotKept, keep
from countersign.retention.local import LocalStore
from countersign.retention.pack import pack
from countersign.retention.restore import restore
from countersign.runs.adoption import ConfigurationDesk
from countersign.runs.run import Run
from countersign.runs.sign_offs import SignOffDesk

RUNS_A_SECOND, MEGABYTES_A_SECOND = 5_000, 50
MEMORY_GROWTH = 40  # megabytes, for ten times the runs: their ids and heads, and nothing of their content
AT = datetime(2026, 11, 23, 15, tzinfo=UTC)
SIGNERS = (("independent_review", "reviewer"), ("maker_checker", "checker"))


def policy() -> Policy:
    shipped = load_policy(REPOSITORY / "policy.yaml")
    unsigned = shipped.sign_off.model_copy(update={"signature": "optional"})
    changes = {"sign_off": unsigned, "demo_signers": None, "trusted_submitters": ["python"]}
    return shipped.model_copy(update=changes)


def prepare(folder: Path, runs: int) -> EvidenceRoot:
    """A root with one day of so many runs that have the same log."""
    run = Run(folder / "evidence", policy=policy(), clock=lambda: AT)
    result = run.execute(payload(1))
    for key, signer in SIGNERS:
        SignOffDesk(run.engine).record(result.rundir, key, signer)
        result = run.execute(payload(1))
    root, log = run.engine.root, result.rundir / "audit.jsonl"
    known = run.engine.index.run(result.run_id)
    assert known is not None
    drafts: list[Draft] = []
    for number in range(runs):
        run_id = f"change-{number:016x}"
        path = root.log(known.day, run_id)
        path.parent.mkdir(mode=0o700)
        shutil.copyfile(log, path)
        opening = Opening(
            run_id, f"{number:064x}", f"CHG-{number}", "billing", "standard", known.day, "inbox", "submitted", None,
            known.configuration,
        )  # fmt: skip
        drafts += [opening.draft(), Pause(run_id, known.head, "COMPLETED", None, None, True, ("audit_log",)).draft()]
    Register(root, clock=lambda: AT).append_many(drafts)
    run.engine.index.sync()
    return root


def archive_of(folder: Path) -> Archive:
    versions = ConfigurationDesk(folder / "evidence").in_force()
    return Archive(EvidenceRoot(folder / "evidence"), versions, clock=lambda: AT + timedelta(days=1))


def only_day(archive: Archive) -> FinishedDay:
    (day,) = [each for each in archive.days(archive.ledger()) if each.runs]
    return day


def part(folder: Path, name: str, runs: int) -> dict[str, Any]:
    """One part, in this process."""
    if name == "prepare":
        return {"root": str(prepare(folder, runs).path)}
    archive = archive_of(folder)
    store = LocalStore(folder / "worm", clock=archive.clock)
    start = time.perf_counter()
    match name:
        case "pack":
            (folder / "packs").mkdir()
            made = pack(archive.root, only_day(archive), folder / "packs")
            size = made.chain.bytes + made.texts.bytes
        case "keep":
            (kept,) = keep(archive, store)
            assert not isinstance(kept, NotKept), kept
            size = sum(stored.bytes for stored in kept.objects.values())
        case "restore":
            restored = restore(archive, store, AT.date())
            assert not restored.differing
            size = restored.placed
        case _:
            raise ValueError(name)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "size": size}


def in_its_own_process(folder: Path, name: str, runs: int) -> dict[str, Any]:
    """Also what makes the root, since a child is charged with the memory of whoever forked it."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.retention", "--runs", str(runs)]
    command += ["--part", name, "--folder", str(folder)]
    found: dict[str, Any] = json.loads(subprocess.check_output(command, cwd=REPOSITORY, text=True))
    return found


def floor(folder: Path, command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, cwd=folder)
    os.sync()
    return time.perf_counter() - start


def measure(runs: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as name:
        folder = Path(name)
        root = Path(in_its_own_process(folder, "prepare", runs)["root"])
        size = sum(path.stat().st_size for path in root.glob("runs/*/*/*/*/audit.jsonl"))
        os.sync()
        found: dict[str, Any] = {"runs": runs, "bytes": size}
        found["floor"] = {
            "pack": floor(folder, ["tar", "-cf", "floor.tar", "evidence/runs", "evidence/register.jsonl"])
        }
        found["parts"] = {
            "pack": in_its_own_process(folder, "pack", runs),
            "keep": in_its_own_process(folder, "keep", runs),
        }
        (root / "runs").rename(folder / "lost")  # ext4 is slow in giving out inodes that were freed a moment ago
        os.sync()
        found["parts"]["restore"] = in_its_own_process(folder, "restore", runs)
        (folder / "floor").mkdir()
        found["floor"]["restore"] = floor(folder / "floor", ["tar", "-xf", "../floor.tar"])
        subprocess.run(["chattr", "-R", "-i", str(folder / "worm")], check=False, stderr=subprocess.DEVNULL)
    for each in found["parts"].values():
        each["runs_a_second"] = round(runs / each["seconds"])
        each["megabytes_a_second"] = round(size / each["seconds"] / 1e6, 1)
    return found


def _fast_enough(found: dict[str, Any], name: str) -> bool:
    """As fast as is asked for, whatever tar takes for the same files."""
    each = found["parts"][name]
    return bool(each["runs_a_second"] >= RUNS_A_SECOND or each["megabytes_a_second"] >= MEGABYTES_A_SECOND)


def main() -> int:
    parser = argparse.ArgumentParser(prog="retention", description="Packing and restoring a day.")
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--part", choices=("prepare", "pack", "keep", "restore"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.part:
        print(json.dumps(part(asked.folder, asked.part, asked.runs)))
        return 0
    small, found = measure(asked.runs // 10), measure(asked.runs)
    growth = {name: found["parts"][name]["megabytes"] - small["parts"][name]["megabytes"] for name in found["parts"]}
    ok = all(_fast_enough(found, name) for name in ("pack", "restore")) and max(growth.values()) <= MEMORY_GROWTH
    if asked.json:
        print(json.dumps({**found, "memory_growth": growth, "ok": ok}))
        return int(not ok)
    print(f"{found['runs']} runs, {found['bytes'] / 1e6:.1f} MB of logs")
    for name, each in found["parts"].items():
        took = found["floor"].get(name)
        beside = f"tar {took:.2f} s" if took else "no floor  "
        rates = f"{each['runs_a_second']:6} runs/s {each['megabytes_a_second']:6} MB/s"
        memory = f"{each['megabytes']:4.0f} MB resident, {growth[name]:+.0f} MB for ten times the runs"
        print(f"{name:8} {each['seconds']:.2f} s ({beside}) {rates}, {memory}")
    print(f"asked for: {RUNS_A_SECOND} runs/s or {MEGABYTES_A_SECOND} MB/s")
    return int(not ok)


if __name__ == "__main__":
    sys.exit(main())
