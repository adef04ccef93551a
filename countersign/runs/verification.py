"""Verification of runs: the chain, the register, and everything in a log that can be decided again.

What belongs here: what is checked, and faults by name. What does not: mending anything. Nothing here believes the
index, and nothing needs the policy file: the versions of then lie in the evidence root.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from countersign.changes.classification import classify
from countersign.clocks.instant import parse_instant
from countersign.controls import gate
from countersign.controls.assessment import Assertion
from countersign.controls.model.combined import claims_of, read
from countersign.controls.quote import fold_quote
from countersign.errors import CountersignError, EvidenceError, TamperedError, UnknownRunError
from countersign.evidence.lines import ZERO
from countersign.evidence.log import AuditLog
from countersign.evidence.register import Register
from countersign.evidence.root import LOG, EvidenceRoot
from countersign.policy import Key
from countersign.runs.handoff import handoff_event
from countersign.runs.sign_offs import independence_objection, membership_objection
from countersign.runs.state import RunState, SignOff, Status, read_state
from countersign.runs.steps import asserted, verdict_rows
from countersign.runs.versions import Versions, VersionStore
from countersign.runs.workpaper import workpaper_event


@dataclass(frozen=True, slots=True)
class RunFault:
    """Something wrong, by name: `where` is a file or a line, `detail` says what was expected."""

    run_id: str | None
    kind: str
    where: str
    detail: str


@dataclass(slots=True)
class Registered:
    """What the register says of a run."""

    run_id: str
    digest: str
    day: date
    configuration: str
    head: str = ZERO
    status: str = ""


def registered_runs(register: Register) -> dict[str, Registered]:
    """Every run by id, from the register's own lines. Raises TamperedError for a broken register."""
    runs: dict[str, Registered] = {}
    for entry in register.records():
        data = entry.data
        if entry.event == "run_opened":
            day = date.fromisoformat(data["day"])
            runs[data["run_id"]] = Registered(data["run_id"], data["digest"], day, data["configuration"])
        elif entry.event in ("run_head", "run_closed"):
            runs[data["run_id"]].head, runs[data["run_id"]].status = data["head"], data["status"]
        elif entry.event == "signed_off":
            runs[data["run_id"]].head = data["head"]
    return runs


class Verifier:
    """Verifies the runs of one evidence root."""

    def __init__(self, path: Path) -> None:
        self._root = EvidenceRoot(path)
        if not self._root.register.is_file():
            raise EvidenceError(f"{path}: no evidence root (register.jsonl is missing); name one with --root")
        self._register = Register(self._root)
        self._versions = VersionStore(self._root)

    def verify(self, run_ids: list[str] | None = None, progress: Callable[[int], None] | None = None) -> "Verified":
        """Verify these runs, or all of them with the register and the folders. Raises UnknownRunError."""
        try:
            known = registered_runs(self._register)
        except (EvidenceError, KeyError, ValueError, TypeError) as error:
            return Verified(0, [RunFault(None, "register", str(self._root.register), str(error))])
        faults: list[RunFault] = []
        if run_ids is None:
            faults += self._unregistered(known)
            chosen = list(known)
        else:
            chosen = run_ids
            for run_id in run_ids:
                if run_id not in known:
                    raise UnknownRunError(
                        f"{run_id}: no such run in {self._root.path}; `countersign status` lists them"
                    )
        for run_id in chosen:
            faults += self.verify_run(known[run_id])
            if progress:
                progress(1)
        return Verified(len(chosen), faults)

    def _unregistered(self, known: dict[str, Registered]) -> Iterator[RunFault]:
        """Logs that lie in the root and that the register does not know there."""
        places = {self._root.log(run.day, run.run_id) for run in known.values()}
        for path in sorted((self._root.path / "runs").glob(f"*/*/*/*/{LOG}")):
            if path not in places:
                yield RunFault(path.parent.name, "unregistered", str(path), "the register opens no such run there")

    def verify_run(self, run: Registered) -> Iterator[RunFault]:
        """Everything wrong with one run; the chain first, since nothing else counts without it."""
        path = self._root.log(run.day, run.run_id)
        if not path.exists():
            if run.head != ZERO:
                yield RunFault(run.run_id, "log_missing", str(path), f"a log with the head {run.head}")
            return
        log = AuditLog(path, root=self._root)
        report = log.check(registered=run.head)
        if report.fault is not None:
            yield RunFault(run.run_id, report.fault.kind, f"{path}:{report.fault.line}", report.fault.detail)
            return
        try:
            state = read_state(run.run_id, log.records(), self._root.blobs)
            if report.head != run.head:
                run = replace(run, head=report.head, status="")  # it went on since the register was read
            yield from self._decided_again(run, state, path)
        except TamperedError as error:
            yield RunFault(run.run_id, "inconsistent", str(path), str(error))
        except CountersignError as error:
            yield RunFault(run.run_id, "unreadable", str(path), str(error))

    def _decided_again(self, run: Registered, state: RunState, path: Path) -> Iterator[RunFault]:
        where = str(path)
        if state.ingested and state.payload.digest != run.digest:
            yield RunFault(run.run_id, "digest_differs", where, f"the payload that the register opened, {run.digest}")
        if run.status and state.status != run.status and state.error is None:
            yield RunFault(run.run_id, "status_differs", where, f"the status that the register knows, {run.status}")
        if not state.ingested:
            return
        versions = self._versions.at(run.configuration)
        if dict(state.configuration) != versions.configuration.named:
            detail = f"the configuration that the register opened it under, {run.configuration}"
            yield RunFault(run.run_id, "configuration_differs", where, detail)
            return
        yield from self._classified(state, versions, where)
        if state.passed is None:
            return
        decision = gate.decide(state.change, versions.catalogue, versions.policy.change_ids, asserted(state))
        if decision.passed is not state.passed or verdict_rows(decision) != list(state.verdicts):
            detail = "a gate decision that follows from payload and assertions"
            yield RunFault(run.run_id, "gate_forged", where, detail)
        if [judged.control for judged in state.judged] != list(versions.catalogue.by_id):
            yield RunFault(run.run_id, "controls_differ", where, "a result for every control of the catalogue")
        if not _claims_follow(state, versions):
            detail = "what a model asserted, as it follows from its logged answer, where the policy names a model"
            yield RunFault(run.run_id, "claims_differ", where, detail)
        for signed in state.sign_offs.values():
            yield from self._sign_off(state, signed, versions, where)
        if state.workpaper is not None and dict(state.workpaper) != dict(workpaper_event(state).data):
            yield RunFault(run.run_id, "workpaper_differs", where, "the workpaper that follows from this log")
        if state.handoff is not None and dict(state.handoff) != dict(handoff_event(state, versions.policy).data):
            yield RunFault(run.run_id, "handoff_differs", where, "the handoff that follows from this log")

    def _classified(self, state: RunState, versions: Versions, where: str) -> Iterator[RunFault]:
        """What the policy makes of the change, decided again as of when it was ingested."""
        classification = classify(state.change, versions.policy, parse_instant(state.classified["at"]))
        decided = {"tier": classification.tier, "in_scope": classification.in_scope, "at": state.classified["at"]}
        outside = state.closed_as is Status.OUT_OF_SCOPE
        if decided != dict(state.classified) or outside is classification.in_scope:
            scope = "in scope" if classification.in_scope else "out of scope"
            detail = f"the {classification.tier} tier and {scope}, as its policy has it"
            yield RunFault(state.run_id, "classification_forged", where, detail)

    def _sign_off(self, state: RunState, signed: SignOff, versions: Versions, where: str) -> Iterator[RunFault]:
        key = Key(signed.key)
        then = self._versions.at(signed.configuration)
        against = membership_objection(key, signed.by, then.policy, then.people)
        determined_on = [judged.evidence for judged in signed.determinations if judged.evidence is not None]
        for people in (then.people, versions.people):
            against = against or independence_objection(state, key, signed.by, people, determined_on)
        for judged in signed.determinations:
            claim = Assertion(
                judged.control, judged.result, judged.reason, judged.evidence or "", judged.quote or "", signed.by
            )
            verdict = gate.judge(state.change, versions.catalogue, versions.policy.change_ids, claim)
            if not verdict.grounded:
                detail = f"a determination of {judged.control} that passes the gate: {verdict.why}"
                yield RunFault(state.run_id, "determination_forged", where, detail)
        if against is not None:
            yield RunFault(state.run_id, "sign_off_void", where, against)
        if self._register.head_at(signed.register_size) != signed.register_head:
            detail = f"a register that had the head {signed.register_head} at {signed.register_size} bytes"
            yield RunFault(state.run_id, "sign_off_register", where, detail)


def _claims_follow(state: RunState, versions: Versions) -> bool:
    """Whether a model was asked where the policy names one, and its assertions are those of its answer."""
    if state.asked is None or versions.policy.model is None:
        return state.asked is None and versions.policy.model is None and not state.claims
    said = claims_of(state.asked, read(state.asked))
    logged = [(one.control, one.result, one.evidence, fold_quote(one.quote or ""), one.reason) for one in state.claims]
    return logged == [(one.control, one.result, one.evidence, fold_quote(one.quote), one.text) for one in said]


@dataclass(frozen=True, slots=True)
class Verified:
    """What a verification found; `checked` counts runs."""

    checked: int
    faults: list[RunFault]

    @property
    def ok(self) -> bool:
        """No fault, and something was there to check."""
        return not self.faults
