"""Runs a second performed again, beside the runs a second of the original assessment, in one run.

    python -m benchmarks.reperform [--runs 1000] [--json]

The original is the engine's own work on so many payloads, to the independent review, to the approval, and to
completion; the sign-offs, which people give, are recorded between these and not counted, and Dagster is left out. Then
policy, roster and calendar are changed and adopted. Re-performance verifies each run, takes every step again with the
versions of then, judges its clocks again and compares the workpaper; opening the root is counted with it. The stricter
comparison, with the first leg alone, is printed too. Each is one process, one thread of Python.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.pipeline import REPOSITORY, SIGNERS, payload
from countersign.changes.sources.files import FilesSource
from countersign.policy import Configuration, load_configuration
from countersign.runs.adoption import ConfigurationDesk
from countersign.runs.engine import Engine
from countersign.runs.intake import take_in
from countersign.runs.reperformance import Outcome, Reperformer
from countersign.runs.sign_offs import SignOffDesk

AT = datetime(2026, 11, 23, 15, tzinfo=UTC)


class Ticking:
    """A microsecond later at every look, so that the run repeats and no clock runs out."""

    def __init__(self) -> None:
        self.now = AT

    def __call__(self) -> datetime:
        self.now += timedelta(microseconds=1)
        return self.now


def before() -> Configuration:
    shipped = load_configuration(REPOSITORY / "policy.yaml")
    unsigned = shipped.policy.sign_off.model_copy(update={"signature": "optional"})
    changes = {"sign_off": unsigned, "demo_signers": None, "trusted_submitters": ["inbox"]}
    return Configuration(shipped.policy.model_copy(update=changes), shipped.catalogue, shipped.calendar)


def after(configuration: Configuration) -> Configuration:
    """Another policy, a roster by which nobody who signed may sign, and a calendar without holidays."""
    policy, calendar = configuration.policy, configuration.calendar
    signers = {signer for _, signer in SIGNERS}
    people = [
        person.model_copy(update={"roles": ["auditor"]}) if person.id in signers else person for person in policy.people
    ]
    changes = {"people": people, "version": "after", "change_ids": ["NEVER-[0-9]+"]}
    return Configuration(
        policy.model_copy(update=changes),
        configuration.catalogue,
        calendar.model_copy(update={"version": "after", "holidays": [], "early_closes": []}),
    )


def timed(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def original(folder: Path, runs: int) -> list[float]:
    """Seconds of the three legs."""
    inbox = folder / "changes.jsonl"
    inbox.write_text("".join(json.dumps(payload(number)) + "\n" for number in range(runs)), encoding="utf-8")
    engine = Engine(folder / "evidence", before(), clock=Ticking())
    legs = [timed(lambda: take_in(engine, FilesSource(inbox, engine.current.policy.limits, name="inbox")))]
    for key, signer in SIGNERS:
        print(f"recording {runs} sign-offs: {key} …", file=sys.stderr)
        desk = SignOffDesk(engine)
        for run in engine.index.all_runs():
            desk.record(engine.root.rundir(run.day, run.run_id), key, signer)
        legs.append(timed(lambda: list(engine.advance())))
    assert {run.status for run in engine.index.all_runs()} == {"COMPLETED"}
    ConfigurationDesk(folder / "evidence", clock=engine.clock).adopt(after(before()), "process-owner", "a benchmark")
    return legs


def measure(runs: int) -> dict[str, Any]:
    # beside the repository, since /tmp may be memory, where fsync costs nothing
    with tempfile.TemporaryDirectory(dir=REPOSITORY.parent, prefix="countersign-benchmark-") as name:
        folder = Path(name)
        legs = original(folder, runs)
        outcomes: Counter[Outcome] = Counter()

        def again() -> None:
            performer = Reperformer(folder / "evidence")
            assert not performer.faults
            outcomes.update(one.outcome for one in performer.perform(performer.opened(date.min, date.max)))

        seconds = timed(again)
    return {
        "runs": runs,
        "outcomes": dict(outcomes),
        "original_per_second": round(runs / sum(legs)),
        "first_leg_per_second": round(runs / legs[0]),
        "again_per_second": round(runs / seconds),
        "ok": outcomes[Outcome.IDENTICAL] == runs and seconds <= sum(legs),
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="reperform", description="Performing runs again, beside assessing them.")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    asked = parser.parse_args()
    found = measure(asked.runs)
    if asked.json:
        print(json.dumps(found))
    else:
        print(f"{found['outcomes'].get('identical', 0)} of {found['runs']} workpapers are identical, byte by byte")
        print(f"performed again, verified first      {found['again_per_second']:6} runs/s")
        print(f"assessed at first, to the completion {found['original_per_second']:6} runs/s")
        print(f"    of which to the review alone     {found['first_leg_per_second']:6} runs/s")
    return int(not found["ok"])


if __name__ == "__main__":
    sys.exit(main())
