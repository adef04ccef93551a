"""Verification of runs: the chain, the register, and everything in a log that can be decided again.

What belongs here: what is checked, and faults by name. What does not: mending anything. Nothing here believes the
index, and nothing needs the policy file: the versions of then lie in the evidence root.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import cached_property
from itertools import groupby
from pathlib import Path

from countersign.changes.classification import classify
from countersign.clocks.instant import parse_instant, stamp
from countersign.controls import gate
from countersign.controls.model.combined import claims_of, read
from countersign.controls.quote import fold_quote
from countersign.errors import CountersignError, EvidenceError, TamperedError, UnknownRunError
from countersign.evidence.contents import check_dataset, check_dataset_again, orphaned_blobs
from countersign.evidence.lines import ZERO, Entry
from countersign.evidence.log import AuditLog, Trust
from countersign.evidence.register import Register, events_of
from countersign.evidence.root import LOG, EvidenceRoot
from countersign.evidence.seals import RootFault, Sealed, check_seals
from countersign.runs.account import (
    COUNTED,
    Account,
    Registered,
    could_be_in_force,
    counted,
    faults_of_files,
    read_account,
)
from countersign.runs.approvals import Done, why_not_by_two
from countersign.runs.attestation import Attestations
from countersign.runs.consent import adoption_faults
from countersign.runs.erasure import Erasures
from countersign.runs.handoff import handoff_event
from countersign.runs.pauses import fold_against
from countersign.runs.published import Published
from countersign.runs.state import RunState, Status
from countersign.runs.steps import asserted, verdict_rows
from countersign.runs.versions import Versions, VersionStore
from countersign.runs.workpaper import workpaper_event

# what comes of a log that follows the chain, and in which somebody wrote another type of value
_MALFORMED = (AttributeError, KeyError, IndexError, TypeError, ValueError, RecursionError)


@dataclass(frozen=True, slots=True)
class RunFault:
    """Something wrong, by name: `where` is a file or a line, `detail` says what was expected.

    `at` is when it went wrong, for what a clock alone makes wrong. `since` is until when it was still sound, so that
    nothing that is said there of later can be believed; None for what is no run's own.
    """

    run_id: str | None
    kind: str
    where: str
    detail: str
    at: datetime | None = None
    since: datetime | None = None

    def as_of_root(self) -> RootFault:
        """A fault that is no run's own, as the rooms below know it."""
        return RootFault(self.kind, self.where, self.detail, self.at)


@dataclass(frozen=True, slots=True)
class Ground:
    """What the runs of a root stand on; `account` is None where its register says nothing that can be believed."""

    account: Account | None
    sealed: Sealed
    faults: list[RunFault]

    def chosen(self, run_ids: Iterable[str], where: Path) -> list[Registered]:
        """These runs, by day and id. Raises UnknownRunError."""
        known = self.account.runs if self.account else {}
        for run_id in run_ids:
            if run_id not in known:
                raise UnknownRunError(f"{run_id}: no such run in {where}; `countersign status` lists them")
        return sorted((known[run_id] for run_id in run_ids), key=lambda run: (run.day, run.run_id))


@dataclass(slots=True)
class ReadRun:
    """A run as its log has it, and what is wrong with it; there is no state where the log cannot be followed."""

    faults: list[RunFault]
    entries: list[Entry] = field(default_factory=list)
    state: RunState | None = None


class Verifier:
    """Verifies the runs of one evidence root.

    `allowed_signers` says who may seal, `witness` is a seal that was held elsewhere, `genesis` the digest of the
    first configuration as somebody else knows it, `now` finds what no seal covers, by then or by `as_of`.
    """

    def __init__(
        self,
        path: Path,
        *,
        allowed_signers: Path | None = None,
        witness: Path | None = None,
        genesis: str | None = None,
        now: datetime | None = None,
        as_of: datetime | None = None,
    ) -> None:
        self._root = EvidenceRoot(path).existing()
        self._register = Register(self._root)
        self._versions = VersionStore(self._root)
        self._allowed_signers, self._witness, self._now, self._as_of = allowed_signers, witness, now, as_of
        self._genesis = genesis
        self._erasures = Erasures()
        self._sealed = 0

    @cached_property
    def _attestations(self) -> Attestations:
        return Attestations(self._versions, self._register.environment())

    def verify(self, run_ids: list[str] | None = None, progress: Callable[[int], None] | None = None) -> "Verified":
        """Verify these runs, or all of them with the register and every file. Raises UnknownRunError."""
        ground = self.ground()
        account, faults = ground.account, list(ground.faults)
        if account is None:
            return Verified(0, faults)
        known = account.runs
        if run_ids is None:
            faults += map(of_root, faults_of_files(self._root, account))
            faults += self._unregistered(known)
        chosen = ground.chosen(run_ids or known, self._root.path)
        days = None if run_ids is None else {run.day.isoformat() for run in chosen}
        faults += map(of_root, self._take_out_unsound(account, days))
        registered = account.published()
        by_day = {day: list(runs) for day, runs in groupby(chosen, key=lambda run: run.day)}
        if run_ids is None:
            by_day = {date.fromisoformat(day): [] for day in registered} | by_day
        for day, runs in by_day.items():
            published = Published(self._root, day)
            for run in runs:
                wrong = list(self.verify_run(run, published))
                if wrong:
                    published.leave_out(run.run_id)
                faults += wrong
                if progress:
                    progress(1)
            there = registered.get(day.isoformat(), {})
            wrong_rows = list(published.compare(there, whole=run_ids is None))
            faults += map(of_root, self._of_sound(wrong_rows, account, day) if wrong_rows else ())
        trust = min((_vouched(ground.sealed, run) for run in chosen), key=_STRENGTH.index, default=_STRENGTH[0])
        demo = len(self._attestations.demo)
        ids = {run.run_id for run in chosen}
        gone = [done for done in account.erasures.done if done.act.on["run_id"] in ids]
        orphans = len(orphaned_blobs(self._root)) if run_ids is None else 0
        given = self._genesis is not None
        sealed_at = ground.sealed.newest.at if ground.sealed.newest else None
        return Verified(len(chosen), faults, trust, ground.sealed.since, sealed_at, demo, given, gone, orphans)

    def ground(self) -> "Ground":
        """What runs stand on: seals, register and configurations, and everything that is wrong with these."""
        where = str(self._root.register)
        try:
            attestations = self._attestations
        except EvidenceError as error:
            return Ground(None, Sealed(), [RunFault(None, "register", where, str(error))])
        sealed = check_seals(
            self._root,
            allowed_signers=self._allowed_signers,
            witness=self._witness,
            now=self._now,
            as_of=self._as_of,
        )
        faults = [of_root(fault) for fault in sealed.faults]
        try:
            account = read_account(self._register)
        except EvidenceError as error:
            return Ground(None, sealed, [RunFault(None, "register", where, str(error)), *faults])
        attestations.in_force = account.in_force
        self._erasures, self._sealed = account.erasures, sealed.lines
        return Ground(account, sealed, [*faults, *self._configurations(account), *self._erased(account)])

    def _erased(self, account: Account) -> Iterator[RunFault]:
        """Whether two people approved each erasure."""
        for done in account.erasures.done:
            run_id, text = done.act.on["run_id"], done.act.on["text"]
            try:
                why = why_not_by_two(done, self._versions, self._register.environment())
            except EvidenceError as error:
                why = str(error)
            if why is not None:
                yield RunFault(run_id, "erasure_void", str(self._root.register), f"two people who erased {text}: {why}")

    def _configurations(self, account: Account) -> Iterator[RunFault]:
        """Whether the first configuration is the one given from outside, and each later one was adopted by owners."""
        where = str(self._root.register)
        if self._genesis is not None and account.genesis != self._genesis:
            yield RunFault(None, "genesis_differs", where, f"a genesis configuration {self._genesis}")
        try:
            for detail in adoption_faults(self._register, self._versions):
                yield RunFault(None, "adoption_void", where, detail)
        except EvidenceError as error:
            yield RunFault(None, "configuration_unreadable", where, str(error))

    def _take_out_unsound(self, account: Account, days: set[str] | None) -> Iterator[RootFault]:
        """Datasets, of these days or all, whose file is not the registered one: their rows are not looked at."""
        for (asset, day), (digest, _) in list(account.datasets.items()):
            if (days is None or day in days) and any(check_dataset(self._root, asset, day, digest)):
                del account.datasets[asset, day]
                yield from check_dataset_again(self._root, asset, day)

    def _of_sound(self, wrong: list[RootFault], account: Account, day: date) -> Iterator[RootFault]:
        """Faults of a day's rows, but for a file that was replaced meanwhile: its rows are of logs not read here."""
        yield from self._take_out_unsound(account, {day.isoformat()})
        left = {str(self._root.dataset(asset, at)) for asset, at in account.datasets if at == day.isoformat()}
        yield from (fault for fault in wrong if fault.where in left)

    def _unregistered(self, known: dict[str, Registered]) -> Iterator[RunFault]:
        """Logs that lie in the root and that the register does not know there."""
        places = {self._root.log(run.day, run.run_id) for run in known.values()}
        there = sorted((self._root.path / "runs").glob(f"*/*/*/*/{LOG}"))
        if not places.issuperset(there):  # a run is registered before it has a log, and may have been since
            opened = events_of(self._root.register, "run_opened")
            places |= {self._root.log(date.fromisoformat(line["day"]), line["run_id"]) for line in opened}
        for path in there:
            if path not in places:
                run_id = path.parent.name if path.parent.name.isprintable() else None
                yield RunFault(run_id, "unregistered", str(path), "the register opens no such run there")

    def verify_run(self, run: Registered, published: Published) -> Iterator[RunFault]:
        """Everything wrong with one run; the chain first, since nothing else counts without it."""
        read = self.read_run(run)
        if read.state is not None and read.state.closed_as is Status.COMPLETED:
            try:
                published.take(read.state)
            except _MALFORMED as error:
                read.faults.append(_malformed(run.run_id, self._root.log(run.day, run.run_id), error))
        yield from (fault if fault.since else replace(fault, since=run.opened_at) for fault in read.faults)

    def read_run(self, run: Registered) -> "ReadRun":
        """A run's log with everything that is wrong with it."""
        path = self._root.log(run.day, run.run_id)
        disorder = [RunFault(run.run_id, "register_order", str(self._root.register), detail) for detail in run.disorder]
        if not path.exists():
            missing = _missing(run, self._sealed)
            return ReadRun([*disorder, *(RunFault(run.run_id, "log_missing", str(path), detail) for detail in missing)])
        log = AuditLog(path, root=self._root)
        report = log.check(registered=[ZERO, *(head for head, _ in run.heads)])
        if report.fault is not None:
            since = parse_instant(report.sound_until) if report.sound_until else None
            where = f"{path}:{report.fault.line}"
            broken = RunFault(run.run_id, report.fault.kind, where, report.fault.detail, since=since)
            return ReadRun([*disorder, broken])
        read = ReadRun(disorder)
        try:
            read.entries = list(log.records())
            state = RunState(run.run_id)
            for head in fold_against(run, state, read.entries, self._root.blobs):
                detail = f"of {head} what the log says there: how the run stood, what was due and since when"
                read.faults.append(RunFault(run.run_id, "status_differs", str(self._root.register), detail))
            if report.head != run.head:
                run = replace(run, head=report.head)  # it went on since the register was read
            there = self._erasures.of(run.run_id).keys() - {
                digest for entry in read.entries for digest in entry.erased.values()
            }
            for digest in sorted(there):
                detail = f"a mark in place of the text {digest}; the same `countersign erase` finishes it"
                read.faults.append(RunFault(run.run_id, "erasure_unfinished", str(path), detail))
            order = {entry.head: entry.seq for entry in read.entries}
            for fault in self._decided_again(run, state, path, order):  # one by one: what came before an error stays
                read.faults.append(fault)
            read.state = state
        except TamperedError as error:
            read.faults.append(RunFault(run.run_id, "inconsistent", str(path), str(error)))
        except CountersignError as error:
            read.faults.append(RunFault(run.run_id, "unreadable", str(path), str(error)))
        except _MALFORMED as error:
            read.faults.append(_malformed(run.run_id, path, error))
        return read

    def _decided_again(
        self, run: Registered, state: RunState, path: Path, order: Mapping[str, int]
    ) -> Iterator[RunFault]:
        where = str(path)
        yield from _against_register(run, state, where)
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
        if not state.cited_words_erased and not _gate_follows(state, versions):
            detail = "a gate decision that follows from payload and assertions"
            yield RunFault(run.run_id, "gate_forged", where, detail)
        if [judged.control for judged in state.judged] != list(versions.catalogue.by_id):
            yield RunFault(run.run_id, "controls_differ", where, "a result for every control of the catalogue")
        if run.configuration != run.in_force:
            detail = f"the configuration that was in force when it was opened, {run.in_force}; SEV-1"
            yield RunFault(run.run_id, "configuration_not_in_force", where, detail)
        for signed in state.sign_offs.values():
            seen = run.saw(signed.log_head, order) or signed.at
            in_force = could_be_in_force(run.adopted, seen)
            for kind, detail in self._attestations.faults(state, signed, seen, in_force):
                yield RunFault(run.run_id, kind, where, detail, since=signed.at)
            if self._register.head_at(signed.register_size) != signed.register_head:
                detail = f"a register that had the head {signed.register_head} at {signed.register_size} bytes"
                yield RunFault(state.run_id, "sign_off_register", where, detail, since=signed.at)
        if not state.erased and not _claims_follow(state, versions):
            detail = "what a model asserted, as it follows from its logged answer, where the policy names a model"
            yield RunFault(run.run_id, "claims_differ", where, detail)
        if state.workpaper is not None and not _workpaper_follows(state):
            yield RunFault(run.run_id, "workpaper_differs", where, "the workpaper that follows from this log")
        if state.handoff is not None and dict(state.handoff) != dict(handoff_event(state, versions).data):
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


def _malformed(run_id: str, path: Path, error: Exception) -> RunFault:
    return RunFault(run_id, "malformed", str(path), f"events of their form, not what gives {error!r}")


def _missing(run: Registered, sealed: int) -> Iterator[str]:
    """What there should be in place of a log that is not there; `sealed` lines of the register are under a seal."""
    if run.head != ZERO:
        yield f"a log with the head {run.head}"
    elif run.opened_in <= sealed and not run.abandoned:
        yield "a log, or a register line that it was abandoned, before a seal"


def _against_register(run: Registered, state: RunState, where: str) -> Iterator[RunFault]:
    """What the register says of a run otherwise than its log."""
    if state.ingested and state.digest != run.digest:
        yield RunFault(run.run_id, "digest_differs", where, f"the payload that the register opened, {run.digest}")
    if state.ingested and _counted(state) != run.counted:
        detail = "change, system, tier, predecessor and deployment by which the register counts it"
        yield RunFault(run.run_id, "counted_otherwise", where, detail)


def _counted(state: RunState) -> bytes:
    """As what the register has to have opened a run, by its log."""
    change, at = state.change, state.change.first_deployed_at
    named = (change.id, change.system, state.tier)
    return counted(dict(zip(COUNTED, (*named, state.supersedes, stamp(at) if at else None), strict=True)))


def _gate_follows(state: RunState, versions: Versions) -> bool:
    decision = gate.decide(state.change, versions.catalogue, versions.policy.change_ids, asserted(state))
    return decision.passed is state.passed and verdict_rows(decision) == list(state.verdicts)


def _workpaper_follows(state: RunState) -> bool:
    """Whether the logged workpaper is the one that follows; where words of it were erased, all but these."""
    made, logged = dict(workpaper_event(state).data), dict(state.workpaper or {})
    if state.erased:
        for name in ("document", "exceptions", "abstentions"):
            made.pop(name), logged.pop(name, None)
    return made == logged


def _claims_follow(state: RunState, versions: Versions) -> bool:
    """Whether a model was asked where the policy names one, and its assertions are those of its answer."""
    if state.asked is None or versions.policy.model is None:
        return state.asked is None and versions.policy.model is None and not state.claims
    said = claims_of(state.asked, read(state.asked))
    logged = [(one.control, one.result, one.evidence, fold_quote(one.quote or ""), one.reason) for one in state.claims]
    return logged == [(one.control, one.result, one.evidence, fold_quote(one.quote), one.text) for one in said]


_STRENGTH: tuple[Trust, ...] = ("register", "seal", "witness")


def _vouched(sealed: Sealed, run: Registered) -> Trust:
    """What stands behind the register's newest line about a run."""
    if run.line <= sealed.witnessed:
        return "witness"
    return "seal" if run.line <= sealed.lines else "register"


def of_root(fault: RootFault) -> RunFault:
    """A fault that is no run's own."""
    return RunFault(None, fault.kind, fault.where, fault.detail, fault.at)


@dataclass(frozen=True, slots=True)
class Verified:
    """What a verification found; `checked` counts runs.

    `trust` is how far the answer reaches for every one of them. What came after `since` nobody but whoever runs this
    root vouches for; `sealed_at` is of the newest seal that holds. `demo` counts sign-offs by keys of a demonstration.
    Without a genesis digest from outside the configuration is self-asserted. `erased` are the texts that two people
    took out of these runs. `orphans` counts blobs that nothing names, which a crash leaves and nobody misses.
    """

    checked: int
    faults: list[RunFault]
    trust: Trust = "register"
    since: str | None = None
    sealed_at: str | None = None
    demo: int = 0
    genesis_given: bool = False
    erased: list[Done] = field(default_factory=list)
    orphans: int = 0

    @property
    def ok(self) -> bool:
        """No fault, and something was there to check."""
        return not self.faults and not self.empty

    @property
    def empty(self) -> bool:
        """Whether there was no run to check, and nothing wrong with the rest: that is no answer, and never a yes."""
        return not self.faults and not self.checked
