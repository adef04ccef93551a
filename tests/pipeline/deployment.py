"""A deployment of its own: a folder with an evidence root, an inbox, and a policy whose source is that inbox."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from dagster import AssetCheckEvaluation, DagsterEventType, DagsterInstance, Definitions, ExecuteInProcessResult

from countersign.evidence.indexed import IndexedRun
from countersign.evidence.signature import sign
from countersign.policy import Key, load_configuration
from countersign.runs.adoption import ConfigurationDesk
from countersign.runs.engine import Engine
from countersign.runs.intake import take_in
from countersign.runs.sign_offs import SignOffDesk
from countersign.runs.statement import namespace_of
from pipeline_defs.build import build
from resources.evidence import Evidence, WallClock
from tests.conftest import POLICY, payload_with
from tests.keys import with_keys

DAY = "2026-11-20"
AT = f"{DAY}T15:00:00Z"
SIGNERS = {"independent_review": "reviewer", "maker_checker": "checker"}


@dataclass(frozen=True)
class Deployment:
    """Paths of a deployment; `at` below is the instant the graph takes for now, the real one when empty."""

    folder: Path

    @property
    def root(self) -> Path:
        return self.folder / "evidence"

    @property
    def policy(self) -> Path:
        return self.folder / "policy.yaml"

    @property
    def inbox(self) -> Path:
        return self.folder / "inbox"

    def write_policy(self, **sources: Path) -> None:
        """The shipped policy, with these folders as its only sources (the inbox when none is named)."""
        self.inbox.mkdir(parents=True, exist_ok=True)
        content = yaml.safe_load(POLICY.read_text(encoding="utf-8"))
        content["catalogue"] = str(POLICY.with_name("catalogue.yaml"))
        content["calendar"] = str(POLICY.with_name("calendar.yaml"))
        content["sign_off"]["signature"] = "optional"  # signatures have tests of their own
        content["demo_signers"] = None
        named = sources or {"inbox": self.inbox}
        content["sources"] = [{"name": name, "adapter": "files", "path": str(path)} for name, path in named.items()]
        self.policy.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")

    def adopt(self) -> None:
        """Put the policy as it is written now in force."""
        ConfigurationDesk(self.root).adopt(load_configuration(self.policy), "process-owner", "A test needs it.")

    def drop(self, *ids: str, **changes: Any) -> None:
        """Put one payload for each of these change ids into the inbox, whole or not at all."""
        texts = [json.dumps(payload_for(each, **changes)) for each in ids]
        partial = self.inbox / f".{ids[0]}.partial"
        partial.write_text("\n".join(texts), encoding="utf-8")
        partial.rename(self.inbox / f"{ids[0]}.jsonl")

    def definitions(self, at: str = AT) -> Definitions:
        return build(
            evidence=Evidence(root=str(self.root), policy=str(self.policy)), clock=WallClock(fixed=at) if at else None
        )

    @property
    def evidence(self) -> Evidence:
        return Evidence(root=str(self.root), policy=str(self.policy))

    def engine(self, at: str = AT) -> Engine:
        return self.evidence.engine(WallClock(fixed=at))

    def execute(
        self,
        instance: DagsterInstance,
        job: str,
        *,
        at: str = AT,
        day: str | None = None,
        config: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> ExecuteInProcessResult:
        """Execute a job to its end; whether it succeeded is for the caller to look at."""
        resolved = self.definitions(at).resolve_job_def(job)
        return resolved.execute_in_process(
            instance=instance,
            partition_key=day,
            run_config=dict(config or {}),
            tags=dict(tags or {}),
            raise_on_error=False,
        )

    def daily(self, instance: DagsterInstance, *, at: str = AT) -> ExecuteInProcessResult:
        return self.execute(instance, "daily", at=at, day=at[:10])

    def advance(self, instance: DagsterInstance, *days: str, at: str = AT) -> ExecuteInProcessResult:
        config = {"ops": {"advance_days": {"config": {"days": list(days)}}}}
        return self.execute(instance, "advance", at=at, config=config)

    def give_keys(self, keys: Path) -> None:
        """Put the public halves of these keys on the roster."""
        content = yaml.safe_load(self.policy.read_text(encoding="utf-8"))
        content["people"] = with_keys(content["people"], keys)
        self.policy.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")

    def statement(self, change_id: str, key: str, signer: str, decision: str = "approved", reason: str = "") -> bytes:
        """What somebody would sign of a change's run."""
        engine = self.engine()
        run = self.runs()[change_id]
        rundir = engine.root.rundir(run.day, run.run_id)
        return SignOffDesk(engine).request([rundir], key, signer, decision, reason or None).content

    def sign(self, instance: DagsterInstance, statement: bytes, key: Path, key_name: str) -> ExecuteInProcessResult:
        """Sign a statement with a key file and hand both to the job."""
        signature = sign(statement, key=key, namespace=namespace_of(Key(key_name)))
        config = {"statement": statement.decode(), "signature": signature.decode()}
        return self.execute(instance, "record_sign_off", config={"ops": {"sign": {"config": config}}})

    def complete(self, payload: dict[str, Any]) -> None:
        """Take one change in and have both sign-offs given, in this process."""
        (self.inbox / f"{payload['id']}.json").write_text(json.dumps(payload), encoding="utf-8")
        engine = self.engine()
        (source,) = self.evidence.sources(engine)
        take_in(engine, source)
        for key in ("independent_review", "maker_checker"):
            assert self.sign_all(key) == 1
            list(engine.advance())

    def sign_all(self, key: str, *, at: str = AT) -> int:
        """Sign everything that waits for this key, in this process; returns how many there were."""
        engine = self.engine(at)
        desk = SignOffDesk(engine)
        waiting = [run for run in engine.index.all_runs() if run.pending == key and not run.signed]
        for run in waiting:
            desk.record(engine.root.rundir(run.day, run.run_id), key, SIGNERS[key])
        return len(waiting)

    def runs(self) -> dict[str, IndexedRun]:
        """Every run by its change id."""
        return {run.change_id: run for run in self.engine().index.all_runs()}

    def log(self, change_id: str) -> Path:
        run = self.runs()[change_id]
        return self.engine().root.log(run.day, run.run_id)


def payload_for(change_id: str, **changes: Any) -> dict[str, Any]:
    """The clean payload under another id, its approval naming the change that it is for."""
    payload = payload_with(id=change_id, **changes)
    payload["evidence"]["approval"]["text"] = f"{change_id} approved for deployment."
    return payload


def materialised(result: ExecuteInProcessResult) -> list[tuple[str, str | None]]:
    """Asset and partition of every materialisation, in order."""
    return [
        (event.asset_key.to_user_string(), event.partition)
        for event in result.all_events
        if event.event_type == DagsterEventType.ASSET_MATERIALIZATION and event.asset_key is not None
    ]


def evaluations(result: ExecuteInProcessResult) -> dict[str, AssetCheckEvaluation]:
    """What the run's checks said, by name."""
    return {found.check_name: found for found in result.get_asset_check_evaluations()}


def verdicts(result: ExecuteInProcessResult) -> dict[str, bool]:
    return {name: found.passed for name, found in evaluations(result).items()}
