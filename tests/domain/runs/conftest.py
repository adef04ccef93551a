"""What the tests of runs share: a bench to execute and sign on, and a forger who knows every public algorithm."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest

from countersign.controls.assessment import Assessment, Mapper
from countersign.controls.rules import Rules
from countersign.evidence.keyring import KeyRing
from countersign.evidence.lines import ZERO
from countersign.evidence.log import AuditLog
from countersign.evidence.signature import sign
from countersign.policy import Policy, complete
from countersign.runs.adoption import ConfigurationDesk
from countersign.runs.determination import Determination
from countersign.runs.engine import Outcome
from countersign.runs.receipts import Receipt
from countersign.runs.run import Run, RunResult
from countersign.runs.sign_offs import SignOffDesk
from countersign.runs.statement import Statement
from countersign.runs.verification import RunFault, Verified, Verifier
from countersign.runs.versions import MapperFactory
from tests.conftest import POLICY, Counted, StepClock, payload_with
from tests.evidence_script import script_faults
from tests.keys import SIGNS

SIGNERS = (("independent_review", "reviewer"), ("maker_checker", "checker"))


class Bench:
    """An evidence root with whoever works on it; every `Run` of it is a new process as far as the root can tell."""

    def __init__(self, root: Path, policy: Policy, clock: StepClock) -> None:
        self.root, self.policy, self.clock = root, policy, clock
        self.register = root / "register.jsonl"
        self.fresh()

    def fresh(self, *, mapper: MapperFactory = Rules, policy: Policy | None = None) -> Run:
        """Open the root anew, as a process does that starts after a crash."""
        if policy is not None:
            ConfigurationDesk(self.root, clock=self.clock).adopt(
                complete(policy, POLICY), "process-owner", "A test needs it."
            )
        policy = policy or self.policy
        self.run = Run(self.root, policy=policy, clock=self.clock, entropy=Counted(), mapper=mapper)
        self.desk = SignOffDesk(self.run.engine)
        return self.run

    def execute(self, payload: dict[str, Any] | None = None) -> RunResult:
        return self.run.execute(payload if payload is not None else payload_with())

    def sign(self, run: RunResult, key: str, signer: str, *args: Any, **more: Any) -> Receipt:
        return self.desk.record(run.rundir, key, signer, *args, **more)

    def complete(self, payload: dict[str, Any] | None = None, *determinations: Determination) -> RunResult:
        """From wherever the run stands through both sign-offs to its end."""
        result = self.execute(payload)
        for key, signer in SIGNERS:
            if result.pending == key:
                given = determinations if key == "independent_review" else ()
                self.sign(result, key, signer, determinations=given)
            result = self.execute(payload)
        return result

    def advance(self) -> list[Outcome]:
        return list(self.run.engine.advance())

    def faults(self) -> list[RunFault]:
        """What the verifier finds; where that is nothing, the script that knows nothing of us must agree."""
        faults = self.verify().faults
        if not faults:
            assert script_faults(self.root) == []
        return faults

    def verify(self) -> Verified:
        return Verifier(self.root).verify()

    def kinds(self) -> list[str]:
        return [fault.kind for fault in self.faults()]

    def registered(self, event: str | None = None) -> list[dict[str, Any]]:
        """The lines of the register, or those of one event."""
        lines = [json.loads(line) for line in self.register.read_bytes().splitlines()]
        return [line for line in lines if "event" in line and event in (None, line["event"])]

    def contents(self) -> dict[str, bytes]:
        """The register and every log, byte by byte."""
        files = [self.register, *self.root.glob("runs/*/*/*/*/audit.jsonl")]
        return {str(path.relative_to(self.root)): path.read_bytes() for path in files}

    def cut_register(self, event: str) -> None:
        """Take the register back to before its last line of an event, as if that write had never happened."""
        lines = self.register.read_bytes().splitlines(keepends=True)
        last = max(number for number, line in enumerate(lines) if json.loads(line).get("event") == event)
        self.register.write_bytes(b"".join(lines[:last]))
        self.forget_index()

    def forget_index(self) -> None:
        for path in self.root.glob("index.sqlite*"):
            path.unlink()


class SignedBench(Bench):
    """A bench whose policy requires signatures, with everybody's keys in a folder."""

    def __init__(self, root: Path, policy: Policy, clock: StepClock, keys: Path) -> None:
        self.keys = keys
        super().__init__(root, policy, clock)

    def fresh(self, **more: Any) -> Any:
        run = super().fresh(**more)
        self.desk = SignOffDesk(self.run.engine, KeyRing(folder=self.keys))
        return run

    def statement(
        self, *results: RunResult, key: str = "independent_review", signer: str = "reviewer", **more: Any
    ) -> Statement:
        return self.desk.request([result.rundir for result in results], key, signer, **more)

    def submit(
        self, content: bytes, key_of: str | Path = "reviewer", namespace: str | None = None
    ) -> Sequence[Receipt]:
        """Sign a statement and hand it in. Raises SignOffRefused where a run of it was not taken."""
        path = self.keys / key_of if isinstance(key_of, str) else key_of
        return self.desk.submit(
            content, sign(content, key=path, namespace=namespace or SIGNS["reviewer"])
        ).require_whole()

    def adopt(self, policy: Policy) -> None:
        """Put another policy in force, with the signatures of both owners."""
        desk = ConfigurationDesk(self.root, clock=self.clock)
        for owner in ("control-owner", "process-owner"):
            desk.adopt(complete(policy, POLICY), owner, "A test needs it.", KeyRing(folder=self.keys))
        self.policy = policy
        self.fresh()


@pytest.fixture
def bench(root: Path, policy: Policy, clock: StepClock, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("COUNTERSIGN_POLICY", str(POLICY))
    return Bench(root, policy, clock)


def policy_with(policy: Policy, **changes: Any) -> Policy:
    """Another version of a policy, with its own digest."""
    return Policy.model_validate_json(json.dumps(policy.model_dump(mode="json") | changes))


def log_of(result: RunResult) -> Path:
    return result.rundir / "audit.jsonl"


def events(result: RunResult) -> list[str]:
    """The events of a run's log, in order."""
    return [entry.event for entry in AuditLog(log_of(result)).records()]


def changed_results(change: Callable[[Assessment], Assessment]) -> MapperFactory:
    """The rules, with what they say changed on the way out."""

    def factory(*versions: Any) -> Mapper:
        rules = Rules(*versions)
        return lambda case: change(rules(case))

    return factory


@dataclass
class Line:
    """A line of a chain with its texts; `head` is the one it had before it was forged."""

    event: dict[str, Any]
    texts: list[dict[str, str]] = field(default_factory=list)
    head: str | None = None

    @property
    def name(self) -> str:
        return str(self.event["event"])


def read_lines(path: Path) -> list[Line]:
    lines: list[Line] = []
    for raw in path.read_bytes().splitlines(keepends=True):
        value = orjson.loads(raw)
        if "text" in value:
            lines[-1].texts.append(value)
        else:
            lines.append(Line(value, [], hashlib.sha256(raw).hexdigest()))
    return lines


def chain(lines: list[Line], heads: dict[str, str]) -> bytes:
    """The lines chained anew; `heads` (old to new) is applied to what they name, and learns what they become."""
    content, prev = b"", ZERO
    for seq, line in enumerate(lines):
        texts = [orjson.dumps(text, option=orjson.OPT_APPEND_NEWLINE) for text in line.texts]
        event = {**{name: value for name, value in line.event.items() if name != "texts"}, "seq": seq}
        if line.texts:
            event["texts"] = {
                text["text"]: hashlib.sha256(raw).hexdigest() for text, raw in zip(line.texts, texts, strict=True)
            }
        raw = orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE)
        for old, new in heads.items():
            raw = raw.replace(old.encode(), new.encode())
        raw = orjson.dumps({**orjson.loads(raw), "prev": prev}, option=orjson.OPT_APPEND_NEWLINE)
        prev = hashlib.sha256(raw).hexdigest()
        if line.head is not None:
            heads[line.head] = prev
        content += raw + b"".join(texts)
    return content


class Forger:
    """Rewrites a run's log and the register so that every chain, head and size fits again."""

    def __init__(self, bench: Bench, result: RunResult) -> None:
        self.bench, self.path = bench, log_of(result)
        self.log, self.register = read_lines(self.path), read_lines(bench.register)

    def line(self, event: str) -> Line:
        return next(line for line in self.log if line.name == event)

    def of_run(self, event: str) -> Iterator[Line]:
        """The register's lines of an event about this run."""
        run_id = self.path.parent.name
        return (line for line in self.register if line.name == event and line.event.get("run_id") == run_id)

    def write(self) -> None:
        heads: dict[str, str] = {}
        before = None
        # what a sign-off says of the register depends on the log before it, and so on: chain until nothing moves
        while before != heads:
            before = dict(heads)
            log, register = chain(self.log, heads), chain(self.register, heads)
        self.path.write_bytes(log)
        self.bench.register.write_bytes(register)
        self.bench.forget_index()
