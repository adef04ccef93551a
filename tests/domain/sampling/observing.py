"""A bench with an observer on it, who has keys, and a key that seals: what the tests of the observer's side share."""

import csv
import io
import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from countersign.changes.hands import Hands
from countersign.clocks.instant import parse_instant, stamp
from countersign.evidence import durable
from countersign.evidence.durable import digest_of_file
from countersign.evidence.keyring import KeyRing
from countersign.evidence.register import Opening, Pause
from countersign.evidence.root import EvidenceRoot
from countersign.evidence.seal import Seal
from countersign.evidence.sealing import Sealer
from countersign.findings.log import FindingsLog
from countersign.findings.occurrences import incomplete_population
from countersign.policy import Policy
from countersign.runs.hands import hands_of
from countersign.sampling import frozen
from countersign.sampling.drawing import draw_month
from countersign.sampling.files import write
from countersign.sampling.frozen import Frozen
from countersign.sampling.month import Month
from countersign.sampling.nonce import NAMESPACE as NONCES
from countersign.sampling.nonce import NonceDesk
from countersign.sampling.review import NAMESPACE as RESULTS
from countersign.sampling.review import ReviewDesk
from countersign.sampling.sample import Sample, attribute_columns, controls_in
from tests.conftest import StepClock
from tests.domain.runs.conftest import Bench, policy_with
from tests.domain.sampling.populations import a_row, batches_of, header_of
from tests.keys import key_entry, make_key

MONTH = Month.parse("2026-10")
ENDS = {  # of the outcomes that close a run: its status, and what its handoff says
    "clean": ("COMPLETED", True),
    "exception": ("COMPLETED", False),
    "blocked": ("BLOCKED", None),
    "out_of_scope": ("OUT_OF_SCOPE", None),
}
NONCE = "5f0c7e6a1b2d3c4e5f60718293a4b5c6"


class Observing(Bench):
    """An evidence root whose observer signs: `folder` has a key for each namespace they sign in, and `seal`."""

    def __init__(self, root: Path, policy: Policy, clock: StepClock, folder: Path, **sample: Any) -> None:
        self.folder = folder
        if not folder.exists():
            folder.mkdir()
            make_key(folder / "seal")
        super().__init__(root, self._observed(policy, sample), clock)

    def _observed(self, policy: Policy, sample: dict[str, Any]) -> Policy:
        people = policy.model_dump(mode="json")["people"]
        for person in people:
            if person["id"] == "observer":
                person["keys"] = [key_entry(self.key(namespace), namespace) for namespace in (NONCES, RESULTS)]
        return with_sample(policy_with(policy, people=people), **sample)

    def key(self, namespace: str) -> Path:
        """The observer's key for a namespace."""
        path = self.folder / f"observer.{namespace.partition('@')[0]}"
        return path if path.exists() else make_key(path)

    @property
    def keys(self) -> KeyRing:
        return KeyRing(folder=self.folder)

    @property
    def evidence(self) -> EvidenceRoot:
        return self.run.engine.root

    @property
    def nonces(self) -> NonceDesk:
        return NonceDesk(self.run.engine, self.keys)

    @property
    def reviews(self) -> ReviewDesk:
        return ReviewDesk(self.run.engine, self.keys, hands_or_made_up)

    def results(self, sample: Sample, **deviating: str) -> list[dict[str, str]]:
        """Results of a sample, all found to operate but these changes, by their id without its dash."""
        ids = [one for of_stratum in sample.drawn().values() for one in of_stratum]
        named = {one: deviating[one.replace("-", "")] for one in ids if one.replace("-", "") in deviating}
        return results_of(sample, self.clock(), named)

    def seal(self) -> Seal:
        return Sealer(self.evidence, self.folder / "seal", clock=self.clock).seal("c" * 64)

    def says_frozen(self, digest: str = "d" * 64, month: Month = MONTH) -> None:
        """A register line as a freeze leaves it, without a population behind it."""
        self.run.engine.register.append("population_frozen", "countersign", month=str(month), digest=digest)

    def opened(self, rows: Sequence[dict[str, Any]]) -> None:
        """Register lines of runs as these rows have them: opened, and closed where their outcome is an end."""
        drafts = []
        for row in rows:
            tier = "emergency" if row["change_type"] == "emergency" else "standard"
            of_change = (row["change_id"], row["system"], tier, date(2026, 10, 14), row["source"], row["origin"])
            at = stamp(row["deployed_at"])
            drafts.append(Opening(row["run_id"], row["payload"], *of_change, None, "c" * 64, deployed_at=at).draft())
            status, clean = ENDS.get(row["outcome"], ("AWAITING_APPROVAL", None))
            head = (row["run_id"], row["log_head"], status, None, None)
            drafts.append(Pause(*head, closed=row["outcome"] in ENDS, stages=(), clean=clean).draft())
        self.run.engine.register.append_many(drafts)

    def freeze(self, rows: Sequence[dict[str, Any]], *, complete: bool = True, late: int = 0) -> Frozen:
        """A population of these rows, as it would be frozen now; `late` counts lists of what came late."""
        register, folder = self.run.engine.register, frozen.folder_of(self.evidence, MONTH)
        size, head = register.size_and_head()
        before = frozen.read(self.evidence, MONTH) if late else None
        stem, adds_to = (f"late-{late}", before.digest) if before else ("population", None)
        header = replace(header_of(rows, complete=complete, adds_to=adds_to), register_size=size, register_head=head)
        digests = write(folder, stem, header, batches_of(rows))
        tests = f"{stem}.json" if late else "completeness.json"
        durable.replace_file(folder / tests, json.dumps({"complete": complete, "tests": []}).encode())
        digests[tests] = digest_of_file(folder / tests)
        files = {str((folder / name).relative_to(self.root)): digest for name, digest in digests.items()}
        data = {"month": str(MONTH), "digest": digests[f"{stem}.txt"], "complete": complete, "adds_to": adds_to}
        register.append("population_frozen", "countersign", **data, files=files)
        found = frozen.read(self.evidence, MONTH)
        assert found is not None
        return found

    def rows(self, stratum: str | None = None) -> list[dict[str, Any]]:
        """The rows of the real runs of this root, as their population has them."""
        self.run.engine.index.sync()
        clean = {line["run_id"]: line.get("clean") for line in self.registered("run_closed")}
        at = {line["run_id"]: parse_instant(line["deployed_at"]) for line in self.registered("run_opened")}
        outcomes = {"COMPLETED": "exception", "BLOCKED": "blocked", "AWAITING_APPROVAL": "awaiting"}
        rows = []
        for run in self.run.engine.index.all_runs():
            outcome = "clean" if clean.get(run.run_id) else outcomes[run.status]
            named = {"run_id": run.run_id, "payload": run.digest, "log_head": run.head, "system": run.system}
            tier = stratum or run.tier
            rows.append(a_row(run.change_id, outcome, tier, **named, deployed_at=at[run.run_id]))
        return rows

    def published(self, rows: Sequence[dict[str, Any]], **how: Any) -> Frozen:
        """Runs opened, frozen, and under a seal."""
        self.opened(rows)
        found = self.freeze(rows, **how)
        self.seal()
        return found

    def draw(self, **how: Any) -> Sample:
        return draw_month(self.evidence, MONTH, key=self.folder / "seal", clock=self.clock, **how)

    def elsewhere(self, content: bytes, namespace: str, key: Path | None = None) -> bytes:
        """What stock ssh-keygen makes of a file, on a machine that has none of this software."""
        command = ["ssh-keygen", "-Y", "sign", "-q", "-f", str(key or self.key(namespace)), "-n", namespace]
        done = subprocess.run(command, input=content, capture_output=True, check=True)
        return done.stdout


def hands_or_made_up(root: EvidenceRoot, run_id: str) -> Hands:
    """As the log has them; a row without a log behind it was made by whom rows of tests say."""
    return hands_of(root, run_id) or [("author", "maker")]


def an_observing(policy: Policy, folder: Path, **sample: Any) -> Observing:
    """A bench in a folder of its own, on the Monday on which everybody works; for tests that share one."""
    clock = StepClock(datetime(2026, 11, 23, 14, tzinfo=UTC))
    return Observing(folder / "evidence", policy, clock, folder / "keys", **sample)


def with_sample(policy: Policy, **sample: Any) -> Policy:
    """A policy with other terms of the sample."""
    return policy_with(policy, sample={**policy.sample.model_dump(mode="json"), **sample})


def a_finding(bench: Observing) -> str:
    """The id of a finding that is on record."""
    log = FindingsLog(bench.evidence, clock=bench.clock)
    (finding,) = log.open([incomplete_population(MONTH.first, "late", bench.clock(), bench.policy)])
    return finding


def as_csv(rows: Sequence[dict[str, Any]]) -> bytes:
    """Rows as a spreadsheet saves them."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def results_of(sample: Sample, at: datetime, found: Mapping[str, str]) -> list[dict[str, str]]:
    """Results of a sample, all found to operate but the first control of these changes."""
    controls = [column.name for column in attribute_columns(controls_in(sample.rows()))]
    rows = []
    for item in sample.rows().to_pylist():
        first = found.get(item["change_id"], "operated")
        row = {"run_id": item["run_id"], "change_id": item["change_id"], **dict.fromkeys(controls, "operated")}
        row |= {controls[0]: first, "deviation": str(first != "operated").lower()}
        rows.append(row | {"tester": "observer", "examined_at": stamp(at)})
    return rows
