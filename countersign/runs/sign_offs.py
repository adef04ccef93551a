"""Sign-offs: who may give one, and taking it durably.

A sign-off attests the assessment, not the change. What belongs here: eligibility, the reviewer's determinations, and
`SignOffDesk`, which is the only writer of `signed_off`. What does not: asking for one, which the engine does.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from countersign.changes.payload import Change
from countersign.changes.people import Identity, Likeness, People, Standing
from countersign.controls import gate
from countersign.controls.assessment import Assertion, Result
from countersign.errors import CountersignError, SignOffRefused, UnknownRunError
from countersign.evidence.lines import Draft
from countersign.evidence.log import AuditLog
from countersign.evidence.root import LOG
from countersign.policy import Key, Policy
from countersign.runs.engine import Engine
from countersign.runs.state import RunState, SignOff, read_state
from countersign.runs.versions import Versions


@dataclass(frozen=True, slots=True)
class Determination:
    """What the reviewer says of a control that was abstained, with a quote that has to pass the gate."""

    control: str
    result: Literal["met", "exception"]
    evidence: str
    quote: str
    reason: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """A sign-off that is on disk; `repeated` says that it was there already."""

    run_id: str
    key: str
    by: str
    decision: str
    log_head: str
    repeated: bool


def acting_for(
    state: RunState,
    key: Key,
    signer: str,
    at: datetime,
    current: Versions,
    assessed: Versions,
    determined_on: Sequence[str] = (),
) -> str | None:
    """For whom a person gives this sign-off at an instant: None for themself, else the id of whom they act for.

    The role is asked of the current roster. Independence has to hold under the one the run was assessed with too, so
    that no later roster makes somebody independent; a delegate is compared as themself and as whom they act for.
    `determined_on` names the evidence that a review's determinations cite. Raises SignOffRefused with why not.
    """
    standing = _membership(key, signer, current.policy, current.people, at)
    objections = []
    for principal in standing.acting_for or (None,):
        against = None
        for people in (current.people, assessed.people):
            against = against or _too_close(state, key, signer, principal, people, determined_on)
        if against is None:
            return principal
        objections.append(against)
    raise SignOffRefused(objections[0])


def _membership(key: Key, signer: str, policy: Policy, people: People, at: datetime) -> Standing:
    """What lets this person give this sign-off at an instant. Raises SignOffRefused where nothing does."""
    if policy.person(signer) is None:
        raise SignOffRefused(f"{signer!r} is not on the roster; sign as one of its ids")
    if people.is_bot(signer):
        raise SignOffRefused(f"{signer!r} is a bot, and a bot is nobody's checker")
    standing = people.holds_role(signer, policy.sign_off[key], at)
    if not standing.holds:
        raise SignOffRefused(f"{key} is not for {signer!r} to give: {standing.why}")
    return standing


def _too_close(
    state: RunState, key: Key, signer: str, principal: str | None, people: People, determined_on: Iterable[str]
) -> str | None:
    """Why this person is too close to the change to give this sign-off, or None. What cannot be told is too close."""
    identity = _identity(people, signer, principal)
    who = repr(signer) if principal is None else f"{signer!r}, who acts for {principal!r},"
    for part, text in _parts(state.change, people):
        doubt = _doubt(people, identity, text)
        if doubt is not None:
            return f"{who} {doubt} the {part} of this change, {text!r}"
    for other, signed in state.sign_offs.items():
        giver = _identity(people, signed.by, signed.acting_for)
        if other is not key and people.compare(identity, giver) is not Likeness.DIFFERENT:
            return f"{who} gave {other} already; the two sign-offs need two people"
    if key is Key.INDEPENDENT_REVIEW:
        for name, by in _cited(state, determined_on):
            doubt = _doubt(people, identity, by) if not people.is_bot(by) else None
            if doubt is not None:
                return f"{who} {doubt} who gave the cited evidence {name!r}, {by!r}"
    return None


def _identity(people: People, signer: str, principal: str | None) -> Identity:
    identity = people.identify(signer)
    return identity if principal is None else people.acting(identity, principal)


def _doubt(people: People, signer: Identity, text: str) -> str | None:
    match people.compare(signer, people.identify(text)):
        case Likeness.SAME:
            return "is"
        case Likeness.UNKNOWN:
            return "cannot be told apart (say so in the roster) from"
        case Likeness.DIFFERENT:
            return None


def _parts(change: Change, people: People) -> list[tuple[str, str]]:
    """Everybody who had a hand in the change; automation is nobody."""
    parts = [("author", change.author), *(("contributor", text) for text in change.contributors)]
    deployers = [change.deployed_by, *(item.by for item in change.evidence.values() if item.kind == "deployment")]
    parts += [("deployer", text) for text in dict.fromkeys(deployers) if text is not None]
    return [(part, text) for part, text in parts if not people.is_bot(text) and not people.is_pipeline(text)]


def _cited(state: RunState, determined_on: Iterable[str]) -> list[tuple[str, str]]:
    """Cited evidence items with whoever gave them, and for whom."""
    cited = [judged.evidence for judged in state.judged if judged.evidence is not None]
    names = dict.fromkeys([*cited, *determined_on])
    items = [(name, state.change.evidence[name]) for name in names if name in state.change.evidence]
    return [(name, who) for name, item in items for who in (item.by, item.on_behalf_of) if who is not None]


def determination_rows(
    state: RunState, determinations: Sequence[Determination], signer: str, versions: Versions
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Determinations as their event carries them, and their texts. Raises SignOffRefused for one that cannot stand."""
    abstained = {judged.control for judged in state.judged if judged.result is Result.ABSTAINED}
    rows: list[dict[str, Any]] = []
    texts: dict[str, str] = {}
    for determination in determinations:
        if determination.control not in abstained or any(row["control"] == determination.control for row in rows):
            raise SignOffRefused(f"{determination.control}: only an abstained control is determined, and once")
        if not determination.reason.strip():
            raise SignOffRefused(f"{determination.control}: a determination needs a reason")
        if determination.result not in ("met", "exception"):
            raise SignOffRefused(f"{determination.control}: a determination says met or exception")
        result = Result(determination.result)
        claim = Assertion(
            determination.control, result, determination.reason, determination.evidence, determination.quote, signer
        )
        verdict = gate.judge(state.change, versions.catalogue, versions.policy.change_ids, claim)
        if verdict.span is None:
            raise SignOffRefused(f"{determination.control}: the gate does not let it pass: {verdict.why}")
        reason = f"determination/{determination.control}"
        texts[reason] = determination.reason
        row = {"control": determination.control, "result": result.value, "reason": reason}
        rows.append({**row, "evidence": determination.evidence, "quote": list(verdict.span)})
    return rows, texts


class SignOffDesk:
    """Takes sign-offs for the runs of an engine's evidence root, under its current versions."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._versions = engine.current

    def record(
        self,
        rundir: Path,
        key: str,
        signer: str,
        decision: str = "approved",
        reason: str | None = None,
        determinations: Sequence[Determination] = (),
    ) -> Receipt:
        """Take one sign-off durably, or raise SignOffRefused; a refusal is on record in the register.

        The same sign-off again is harmless and says so in its receipt.
        """
        run_id = rundir.absolute().name
        try:
            return self._record(rundir, run_id, key, signer, decision, reason, determinations)
        except SignOffRefused as refusal:
            with suppress(CountersignError):
                data = {"run_id": run_id, "key": key, "by": signer, "why": str(refusal)}
                self._engine.register.append("sign_off_refused", "countersign", **data)
            raise

    def _record(
        self,
        rundir: Path,
        run_id: str,
        key_name: str,
        signer: str,
        decision: str,
        reason: str | None,
        determinations: Sequence[Determination],
    ) -> Receipt:
        if key_name not in set(Key):
            raise SignOffRefused(f"unknown key {key_name!r}; it is one of {', '.join(Key)}")
        if decision not in ("approved", "rejected"):
            raise SignOffRefused(f"unknown decision {decision!r}; it is approved or rejected")
        key = Key(key_name)
        log = AuditLog(rundir / LOG, clock=self._engine.clock, entropy=self._engine.entropy)
        if not log.path.is_file():
            raise UnknownRunError(f"{log.path}: no such run; `countersign status` lists the runs")
        self._engine.index.sync()
        indexed = self._engine.index.run(run_id)
        report = log.check(registered=indexed.head if indexed else None)
        if not report.ok:
            detail = f"{report.fault.kind}, expected {report.fault.detail}" if report.fault else "no fault named"
            raise SignOffRefused(f"the log of {run_id} does not verify ({detail}); see ESCALATION.md")
        with log.writing() as writer:
            state = read_state(run_id, writer.entries(), self._engine.root.blobs)
            given = state.sign_offs.get(key)
            if given is not None and _is_same(given, signer, decision, reason, determinations):
                return Receipt(run_id, key, signer, decision, state.head, repeated=True)
            if determinations and key is not Key.INDEPENDENT_REVIEW:
                raise SignOffRefused("abstentions are determined in the independent review only")
            self._refuse_unless_due(state, key, decision, reason)
            versions = self._engine.versions.at(state.configuration["digest"])
            determined_on = [determination.evidence for determination in determinations]
            principal = acting_for(state, key, signer, self._engine.clock(), self._versions, versions, determined_on)
            rows, texts = determination_rows(state, determinations, signer, versions)
            size, head = self._engine.register.size_and_head()
            data: dict[str, Any] = {
                "key": key.value,
                "role": self._versions.policy.sign_off[key],
                "decision": decision,
                "request": state.requests[key].head,
                "log_head": state.head,
                "register": {"size": size, "head": head},
                "configuration": self._versions.configuration.digest,
                "determinations": rows,
            }
            if principal is not None:
                data["acting_for"] = principal
            if reason is not None:
                texts[f"reason/{key}"] = reason
            new_head = writer.append([Draft("signed_off", signer, data, texts)])
            registered = {"run_id": run_id, "key": key.value, "decision": decision, "head": new_head}
            self._engine.register.append("signed_off", "countersign", **registered)
        self._engine.index.sync()
        return Receipt(run_id, key, signer, decision, new_head, repeated=False)

    def _refuse_unless_due(self, state: RunState, key: Key, decision: str, reason: str | None) -> None:
        if state.pending is not key:
            waits = f"{state.pending} is" if state.pending else "no sign-off is"
            raise SignOffRefused(f"{key} is not pending on {state.run_id}: {waits} (status {state.status})")
        self._engine.index.sync()
        indexed = self._engine.index.run(state.run_id)
        if indexed is None or indexed.superseded_by is not None:
            successor = indexed.superseded_by if indexed else "nothing the register knows"
            raise SignOffRefused(f"{state.run_id} is superseded by {successor}; sign that run")
        if decision == "rejected" and not (reason or "").strip():
            raise SignOffRefused("a rejection needs a reason")


def _is_same(
    given: SignOff, signer: str, decision: str, reason: str | None, determinations: Sequence[Determination]
) -> bool:
    """Whether a sign-off that is there says all that this one would say."""
    said = {(judged.control, str(judged.result), judged.evidence, judged.reason) for judged in given.determinations}
    says = {(one.control, str(one.result), one.evidence, one.reason) for one in determinations}
    return (given.by, given.decision, given.reason, said) == (signer, decision, reason, says)
