"""`Run`, the way in for Python: one payload, executed to its next pause."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from countersign.controls.model.combined import assessor
from countersign.controls.model.interface import ModelFactory
from countersign.controls.model.opening import open_model
from countersign.environment import (
    Clock,
    Entropy,
    agent_at_hand,
    default_key,
    default_keys,
    default_policy,
    default_root,
    random_bytes,
    utc_now,
)
from countersign.evidence.keyring import KeyRing
from countersign.evidence.log import AuditLog
from countersign.evidence.root import LOG, EvidenceRoot
from countersign.policy import Configuration, Policy, complete, load_configuration
from countersign.runs.determination import Determination
from countersign.runs.engine import Engine
from countersign.runs.fold import read_state
from countersign.runs.intake import take_in_one
from countersign.runs.receipts import Receipt
from countersign.runs.sign_offs import SignOffDesk
from countersign.runs.state import RunState, Status
from countersign.runs.versions import MapperFactory


@dataclass(frozen=True, slots=True)
class RunResult:
    """Where a run stands: `pending` is the sign-off that is due, `state` everything that its log says."""

    run_id: str
    change_id: str
    status: Status
    pending: str | None
    reason: str | None
    rundir: Path
    state: RunState | None


def configured(policy: Path | str | Policy | None) -> Configuration:
    """The configuration that a policy names: a file, `./policy.yaml` (environment `COUNTERSIGN_POLICY`) by default."""
    if isinstance(policy, Policy):
        return complete(policy, default_policy())
    return load_configuration(Path(policy) if policy is not None else default_policy())


def key_ring(key: Path | None = None) -> KeyRing:
    """The keys at hand in this process: a named one, else those of the environment."""
    return KeyRing(key or default_key(), default_keys(), agent=agent_at_hand())


class Run:
    """Executes payloads in an evidence root (`./evidence`, environment `COUNTERSIGN_ROOT`, by default).

    The same payload again goes on from the checkpoint, which is its log; a completed run is only looked at.
    """

    def __init__(
        self,
        root: Path | str | None = None,
        *,
        policy: Path | str | Policy | None = None,
        clock: Clock = utc_now,
        entropy: Entropy = random_bytes,
        mapper: MapperFactory = assessor,
        model: ModelFactory = open_model,
    ) -> None:
        folder = Path(root) if root is not None else default_root()
        self.engine = Engine(folder, configured(policy), clock=clock, entropy=entropy, mapper=mapper, model=model)

    def execute(self, payload: Mapping[str, Any]) -> RunResult:
        """Take a change to its next pause. Raises PayloadError for one that is refused, which is then on record."""
        outcome = take_in_one(self.engine, payload, source="python", where="Run.execute", origin="submitted")
        state: RunState | None = None
        if outcome.status != Status.FAILED or outcome.stages:
            log = AuditLog(outcome.rundir / LOG)
            state = read_state(outcome.run_id, log.records(), self.engine.root.blobs)
        return RunResult(
            outcome.run_id,
            outcome.change_id,
            Status(outcome.status),
            outcome.pending,
            outcome.reason,
            outcome.rundir,
            state,
        )


def record_approval(
    rundir: Path | str,
    key: str,
    approver: str,
    decision: str = "approved",
    reason: str | None = None,
    *,
    determinations: Sequence[Determination] = (),
    policy: Path | str | Policy | None = None,
    signing_key: Path | str | None = None,
    clock: Clock = utc_now,
    entropy: Entropy = random_bytes,
) -> Receipt:
    """Record a sign-off on a run; execute it again, or let the sensor, to go on.

    `key` is `independent_review` or `maker_checker`, `approver` a roster id. A rejection needs a reason. It is signed
    with `signing_key`, by default with whichever of the approver's keys a key folder or the agent has (environment
    `COUNTERSIGN_KEY`, `COUNTERSIGN_KEYS`, `SSH_AUTH_SOCK`). Raises SignOffRefused with the reason, which is then on
    record in the register.
    """
    folder = Path(rundir)
    engine = Engine(EvidenceRoot.of_run(folder).path, configured(policy), clock=clock, entropy=entropy)
    keys = key_ring(Path(signing_key) if signing_key is not None else None)
    return SignOffDesk(engine, keys).record(folder, key, approver, decision, reason, determinations)
