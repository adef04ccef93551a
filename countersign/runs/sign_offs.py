"""Taking sign-offs: one writer of `signed_off`, bound to the head it was given on and signed by the signer's key.

A sign-off attests the assessment, not the change. What belongs here: `SignOffDesk`. What does not: who may sign
(`eligibility`), what is signed (`statement`), and asking for a sign-off, which the engine does.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from countersign.clocks.instant import stamp
from countersign.controls.quote import find
from countersign.errors import CountersignError, SignatureError, SignOffRefused, UnknownRunError
from countersign.evidence.keyring import KeyRing
from countersign.evidence.lines import Draft
from countersign.evidence.log import AuditLog
from countersign.evidence.root import LOG
from countersign.policy import Key, Policy
from countersign.runs.determination import Determination, determination_rows
from countersign.runs.eligibility import acting_for
from countersign.runs.engine import Engine
from countersign.runs.fold import read_state
from countersign.runs.matters import matter_of, why_alone
from countersign.runs.receipts import Receipt, Refusal, Submission
from countersign.runs.signatures import RosterKeys, Signed
from countersign.runs.state import RunState, SignOff
from countersign.runs.statement import Statement, namespace_of, parse_statement


class _LogNotWritten(OSError):
    """The disk refused one run's log, which is held with it; other runs are not concerned."""


class SignOffDesk:
    """Takes sign-offs for the runs of an engine's evidence root, under the configuration in force.

    `keys` are at hand to sign with. What a run needs follows from the policy it was opened under: where that says
    `required`, a sign-off without a signature is refused.
    """

    def __init__(self, engine: Engine, keys: KeyRing | None = None) -> None:
        self._engine = engine
        self._versions = engine.current
        self._keys = keys or KeyRing()
        self._roster_keys = RosterKeys(engine.current.configuration)

    def record(
        self,
        rundir: Path,
        key: str,
        signer: str,
        decision: str = "approved",
        reason: str | None = None,
        determinations: Sequence[Determination] = (),
    ) -> Receipt:
        """Have one sign-off signed and take it durably, or raise SignOffRefused; a refusal is on record.

        The same sign-off again is harmless and says so in its receipt.
        """
        with self._refusal_on_record(rundir.absolute().name, key, signer):
            given = self._given(rundir, _key(key))
            if given is not None and _is_same(*given, signer, decision, reason, determinations):
                return _repeated(*given)
            statement = self._statement([rundir], _key(key), signer, decision, reason, determinations)
            (matter,) = statement.matters
            signature = self._signature(statement, self._engine.versions.at(matter.configuration).policy)
            return self._take(rundir, statement, signature)

    def request(
        self,
        rundirs: Sequence[Path],
        key: str,
        signer: str,
        decision: str = "approved",
        reason: str | None = None,
        determinations: Sequence[Determination] = (),
    ) -> Statement:
        """What somebody would sign, for signing it elsewhere. Raises SignOffRefused where they could not."""
        return self._statement(rundirs, _key(key), signer, decision, reason, determinations)

    def submit(self, content: bytes, signature: bytes) -> Submission:
        """Take a statement that was signed elsewhere, for each run that it names; the same again is harmless.

        A run that it cannot be taken for stops none of the others. Raises SignOffRefused where it is no statement.
        """
        statement = parse_statement(content)
        self._engine.index.sync()
        taken: list[Receipt] = []
        refused: list[Refusal] = []
        run_ids = [matter.run_id for matter in statement.matters]
        for number, run_id in enumerate(run_ids):
            try:
                taken.append(self._submit_one(run_id, statement, signature))
            except CountersignError as error:
                refused.append(Refusal(run_id, str(error)))
            except _LogNotWritten as error:
                refused.append(Refusal(run_id, f"its log cannot be written: {error}"))
            except OSError as error:  # the register's, which every run needs: nobody goes on after a failed fsync
                refused += [Refusal(left, f"the register cannot be written: {error}") for left in run_ids[number:]]
                break
        return Submission(tuple(taken), tuple(refused))

    def _submit_one(self, run_id: str, statement: Statement, signature: bytes) -> Receipt:
        """Take a signed statement for one of its runs; one that the run has already stands, whatever came since."""
        rundir = self._engine.root.rundir(self._engine.index.known(run_id).day, run_id)
        with self._refusal_on_record(run_id, statement.key, statement.checker):
            given = self._given(rundir, statement.key)
            if given is not None and given[1].statement == statement.content.decode():
                return _repeated(*given)
            return self._take(rundir, statement, signature)

    @contextmanager
    def _refusal_on_record(self, run_id: str, key: str, signer: str) -> Iterator[None]:
        try:
            yield
        except SignOffRefused as refusal:
            with suppress(CountersignError):
                data = {"run_id": run_id, "key": str(key), "by": signer, "why": str(refusal)}
                self._engine.register.append("sign_off_refused", "countersign", **data)
            raise

    def _log(self, rundir: Path) -> AuditLog:
        log = AuditLog(rundir / LOG, clock=self._engine.clock, entropy=self._engine.entropy)
        if not log.path.is_file():
            raise UnknownRunError(f"{log.path}: no such run; `countersign status` lists the runs")
        return log

    def _given(self, rundir: Path, key: Key) -> tuple[RunState, SignOff] | None:
        """The sign-off of this key that a run has, with how the run stands; None where it has none."""
        state = self._state(rundir)
        return (state, state.sign_offs[key]) if key in state.sign_offs else None

    def _state(self, rundir: Path) -> RunState:
        """A run as its log has it. Raises SignOffRefused where the log does not verify."""
        log = self._log(rundir)
        self._engine.index.sync()
        indexed = self._engine.index.run(log.run_id)
        report = log.check(registered=indexed.heads if indexed else None)
        if not report.ok:
            detail = f"{report.fault.kind}, expected {report.fault.detail}" if report.fault else "no fault named"
            raise SignOffRefused(f"the log of {log.run_id} does not verify ({detail}); see ESCALATION.md")
        return read_state(log.run_id, log.records(), self._engine.root.blobs)

    def _statement(
        self,
        rundirs: Sequence[Path],
        key: Key,
        signer: str,
        decision: str,
        reason: str | None,
        determinations: Sequence[Determination],
    ) -> Statement:
        """What somebody signs for these runs. Raises SignOffRefused where they could not give it for one of them."""
        states, now = [self._state(rundir) for rundir in rundirs], self._engine.clock()
        for state in states:
            self._check(state, key, signer, decision, reason, determinations, now, alone=len(states) == 1)
        size, head = self._engine.register.size_and_head()
        sign_off = self._versions.policy.sign_off
        return Statement(
            environment=self._engine.register.environment(),
            key=key,
            decision=decision,
            reason=reason,
            checker=signer,
            role=sign_off.role(key),
            matters=tuple(matter_of(state, key, determinations) for state in states),
            configuration=self._versions.configuration.named,
            register_size=size,
            register_head=head,
            decided_at=now,
            expires_at=now + timedelta(hours=sign_off.expires_after_hours),
        )

    def _check(
        self,
        state: RunState,
        key: Key,
        signer: str,
        decision: str,
        reason: str | None,
        determinations: Sequence[Determination],
        at: datetime,
        *,
        alone: bool,
    ) -> str | None:
        """For whom somebody gives this sign-off of a run at an instant. Raises SignOffRefused with why they cannot."""
        if decision not in ("approved", "rejected"):
            raise SignOffRefused(f"unknown decision {decision!r}; it is approved or rejected")
        if determinations and key is not Key.INDEPENDENT_REVIEW:
            raise SignOffRefused("abstentions are determined in the independent review only")
        self._refuse_unless_due(state, key, decision, reason)
        if not alone and (why := why_alone(state, decision, determinations)):
            raise SignOffRefused(f"{state.run_id} {why}, so it is signed alone")
        versions = self._engine.versions.at(state.configuration["digest"])
        determination_rows(state, determinations, signer, versions)
        determined_on = [determination.evidence for determination in determinations]
        return acting_for(state, key, signer, at, self._versions, versions, determined_on)

    def _signature(self, statement: Statement, policy: Policy) -> bytes | None:
        """A signature by the signer's own key; None where the run's policy lets it be and no key is at hand."""
        namespace = namespace_of(statement.key)
        try:
            allowed = self._roster_keys.of(statement.checker, namespace)
            return self._keys.sign(statement.content, allowed, namespace)
        except SignatureError as error:
            if policy.sign_off.signature == "optional":
                return None
            raise SignOffRefused(f"{statement.checker!r} cannot sign: {error}") from error

    def _verified(self, statement: Statement, signature: bytes, at: datetime) -> Signed:
        """The signature of a statement that may be taken at an instant. Raises SignOffRefused."""
        if statement.environment != self._engine.register.environment():
            raise SignOffRefused("the statement is about another evidence root")
        if statement.configuration != self._versions.configuration.named:
            raise SignOffRefused("another configuration is in force since it was asked for; request it again")
        sign_off = self._versions.policy.sign_off
        if statement.role != sign_off.role(statement.key):
            raise SignOffRefused(f"{statement.key} is given in the role {sign_off.role(statement.key)}")
        if at < statement.decided_at:
            decided, now = stamp(statement.decided_at), stamp(at)
            raise SignOffRefused(
                f"it was decided at {decided}, and here it is {now}; set the clocks, or hand it in later"
            )
        if at >= statement.expires_at:
            raise SignOffRefused(f"the statement expired at {stamp(statement.expires_at)}; request it again")
        if statement.lifetime > timedelta(hours=sign_off.expires_after_hours):
            raise SignOffRefused(f"a statement is taken for {sign_off.expires_after_hours} hours; request it again")
        if self._engine.register.head_at(statement.register_size) != statement.register_head:
            raise SignOffRefused("the register never had the head that the statement names; see ESCALATION.md")
        try:
            return self._roster_keys.verify(
                statement.content,
                signature,
                person=statement.checker,
                namespace=namespace_of(statement.key),
                at=at,
            )
        except SignatureError as error:
            raise SignOffRefused(f"the signature of {statement.checker!r} does not stand: {error}") from error

    def _take(self, rundir: Path, statement: Statement, signature: bytes | None) -> Receipt:
        """Write one run's sign-off; it stands only on the very head that the statement names.

        It is judged and written, also in the register, as of one instant: nothing expires between the two.
        """
        key, signer = statement.key, statement.checker
        with self._log(rundir).writing() as writer:
            run_id, now = rundir.absolute().name, self._engine.register.now()
            signed = None if signature is None else (signature, self._verified(statement, signature, now))
            state = read_state(run_id, writer.entries(), self._engine.root.blobs)
            matter = statement.about(run_id)
            determinations = matter.determinations if matter else ()
            alone = len(statement.matters) == 1
            principal = self._check(
                state, key, signer, statement.decision, statement.reason, determinations, now, alone=alone
            )
            if matter != matter_of(state, key, determinations):
                raise SignOffRefused(f"{run_id} has gone on since it was asked for; request it again")
            level = self._engine.versions.at(state.configuration["digest"]).policy.sign_off.signature
            if signature is None and level == "required":
                raise SignOffRefused(f"{run_id} needs a signature by a key of the roster")
            draft = self._draft(state, statement, principal, signed)
            try:
                new_head = writer.append([draft], now)
            except OSError as error:
                raise _LogNotWritten(*error.args) from error
            registered = {"run_id": run_id, "key": key.value, "decision": statement.decision, "head": new_head}
            self._engine.register.append_many([Draft("signed_off", "countersign", registered)], now)
        self._engine.index.sync()
        return Receipt(run_id, key, signer, statement.decision, new_head, repeated=False, waits=True)

    def _draft(
        self, state: RunState, statement: Statement, principal: str | None, signature: tuple[bytes, Signed] | None
    ) -> Draft:
        key = statement.key
        matter = statement.about(state.run_id)
        assert matter is not None
        versions = self._engine.versions.at(state.configuration["digest"])
        rows, texts = determination_rows(state, matter.determinations, statement.checker, versions)
        data: dict[str, Any] = {
            "key": key.value,
            "role": statement.role,
            "decision": statement.decision,
            "request": matter.request,
            "log_head": matter.log_head,
            "register": {"size": statement.register_size, "head": statement.register_head},
            "configuration": statement.configuration["digest"],
            "determinations": rows,
        }
        if principal is not None:
            data["acting_for"] = principal
        if statement.reason is not None:
            texts[f"reason/{key}"] = statement.reason
        if signature is not None:
            armoured, signed = signature
            data["signed"] = {"statement": statement.digest, "by_key": signed.fingerprint, "demo": signed.demo}
            texts[f"statement/{key}"] = statement.content.decode()
            texts[f"signature/{key}"] = armoured.decode()
        return Draft("signed_off", statement.checker, data, texts)

    def _refuse_unless_due(self, state: RunState, key: Key, decision: str, reason: str | None) -> None:
        if state.pending is not key:
            waits = f"{state.pending} is" if state.pending else "no sign-off is"
            raise SignOffRefused(f"{key} is not pending on {state.run_id}: {waits} (status {state.status})")
        self._engine.index.sync()
        if (in_force := self._engine.index.configuration()) != self._versions.configuration.digest:
            raise SignOffRefused(f"another configuration is in force by now, {in_force}; try again")
        indexed = self._engine.index.run(state.run_id)
        if indexed is None or indexed.superseded_by is not None:
            successor = indexed.superseded_by if indexed else "nothing the register knows"
            raise SignOffRefused(f"{state.run_id} is superseded by {successor}; sign that run")
        if held := self._engine.index.held([state.run_id]):
            raise SignOffRefused(f"{state.run_id} is {held[state.run_id]}")
        if decision == "rejected" and not (reason or "").strip():
            raise SignOffRefused("a rejection needs a reason")


def _key(name: str) -> Key:
    if name not in set(Key):
        raise SignOffRefused(f"unknown key {name!r}; it is one of {', '.join(Key)}")
    return Key(name)


def _repeated(state: RunState, given: SignOff) -> Receipt:
    waits = state.next_step is not None
    return Receipt(state.run_id, given.key, given.by, given.decision, given.head, repeated=True, waits=waits)


def _is_same(
    state: RunState,
    given: SignOff,
    signer: str,
    decision: str,
    reason: str | None,
    determinations: Sequence[Determination],
) -> bool:
    """Whether a sign-off that is there says all that this one would say."""
    said = {(one.control, str(one.result), one.evidence, one.reason, one.span) for one in given.determinations}
    says = {
        (one.control, str(one.result), one.evidence, one.reason, find(one.quote, item.text) if item else None)
        for one in determinations
        for item in (state.change.evidence.get(one.evidence),)
    }
    return (given.by, given.decision, given.reason, said) == (signer, decision, reason, says)
