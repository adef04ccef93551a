"""Sign-offs judged again from a log: the person, the determinations, the statement and its signature.

What belongs here: everything that can be wrong with a recorded sign-off, by name. What does not: taking one. The engine
asks before it concludes, and `verification` asks of every run.
"""

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta

from countersign.controls import gate
from countersign.controls.assessment import Assertion
from countersign.controls.quote import find
from countersign.errors import SignatureError, SignOffRefused
from countersign.evidence.signature import Signature
from countersign.policy import Configuration, Key
from countersign.runs.determination import Determination
from countersign.runs.eligibility import acting_for
from countersign.runs.matters import matter_of, why_alone
from countersign.runs.signatures import RosterKeys, Signed
from countersign.runs.state import Judged, RunState, SignOff
from countersign.runs.statement import Matter, Statement, namespace_of, parse_statement
from countersign.runs.versions import Versions, VersionStore

Wrong = tuple[str, str]


class Attestations:
    """Judges sign-offs of one evidence root.

    `in_force` is the digest of the newest configuration, which may say since when a key is void; without it only the
    configuration of then is asked. `demo` collects the sign-offs by keys of a demonstration.
    """

    def __init__(self, versions: VersionStore, environment: str, in_force: str = "") -> None:
        self._versions = versions
        self._environment = environment
        self.in_force = in_force
        self._keys: dict[str, RosterKeys] = {}
        self.demo: set[tuple[str, Key]] = set()

    def faults(self, state: RunState, signed: SignOff, seen: datetime, in_force: Collection[str]) -> Iterator[Wrong]:
        """Everything wrong with a sign-off that the register saw at an instant: kind, and what was expected.

        `in_force` are the digests of configurations that it could be given under then; by any other it is void, however
        well that one is signed, since anybody can write a roster.
        """
        if signed.configuration not in in_force:
            yield "sign_off_void", f"a sign-off under a configuration in force then, not {signed.configuration}"
            return
        opened = self._versions.at(state.configuration["digest"])
        then = self._versions.at(signed.configuration)
        yield from _person(state, signed, seen, then, opened)
        if not state.cited_words_erased:
            yield from _determinations(state, signed, opened)
        yield from self._signature(state, signed, opened, seen)

    def _signature(self, state: RunState, signed: SignOff, opened: Versions, seen: datetime) -> Iterator[Wrong]:
        role = self._versions.at(signed.configuration).policy.sign_off.role(signed.key)
        if signed.role != role:
            yield "sign_off_void", f"a sign-off in the role {role}"
        if not state.erased.isdisjoint((f"statement/{signed.key}", f"signature/{signed.key}")):
            return
        if signed.statement is None or signed.signature is None:
            if opened.policy.sign_off.signature == "required" or signed.by_key is not None:
                yield "sign_off_unsigned", f"a statement signed by {signed.by}"
            return
        try:
            statement = parse_statement(signed.statement.encode())
            then = self._versions.at(signed.configuration).configuration
            if (wrong := _other_words(state, signed, statement, self._environment, then, seen)) is not None:
                yield "sign_off_statement", wrong
            found = self._verify(signed, seen)
        except (SignOffRefused, SignatureError) as error:
            yield "sign_off_signature", f"a signature by {signed.by} that stood when the register saw it: {error}"
            return
        if found.fingerprint != signed.by_key:
            yield "sign_off_statement", f"the key that signed it, {found.fingerprint}"
        if found.demo:
            self.demo.add((state.run_id, signed.key))
        key = Signature.parse(signed.signature.encode()).key
        void = self._roster_keys(self.in_force or signed.configuration).void_since(key)
        if void is not None and seen >= void:
            yield "sign_off_key_void", f"a key that was not given up at {void.isoformat()}, before it signed"

    def _roster_keys(self, digest: str) -> RosterKeys:
        if digest not in self._keys:
            self._keys[digest] = RosterKeys(self._versions.at(digest).configuration)
        return self._keys[digest]

    def _verify(self, signed: SignOff, seen: datetime) -> Signed:
        assert signed.statement is not None
        assert signed.signature is not None
        return self._roster_keys(signed.configuration).verify(
            signed.statement.encode(),
            signed.signature.encode(),
            person=signed.by,
            namespace=namespace_of(signed.key),
            at=seen,
        )


def _person(state: RunState, signed: SignOff, seen: datetime, then: Versions, opened: Versions) -> Iterator[Wrong]:
    """Whether this person could give it, by the roster in force when it was seen and by that of the run."""
    determined_on = [judged.evidence for judged in signed.determinations if judged.evidence is not None]
    try:
        principal = acting_for(state, signed.key, signed.by, seen, then, opened, determined_on)
    except SignOffRefused as refusal:
        yield "sign_off_void", str(refusal)
        return
    if principal != signed.acting_for:
        yield "sign_off_void", f"a sign-off of {signed.by} for {principal or 'themself'}, not for {signed.acting_for}"


def _determinations(state: RunState, signed: SignOff, opened: Versions) -> Iterator[Wrong]:
    """Whether each determination passes the gate."""
    for judged in signed.determinations:
        claim = Assertion(
            judged.control, judged.result, judged.reason, judged.evidence or "", judged.quote or "", signed.by
        )
        verdict = gate.judge(state.change, opened.catalogue, opened.policy.change_ids, claim)
        if not verdict.grounded:
            yield "determination_forged", f"a determination of {judged.control} that passes the gate: {verdict.why}"


def _other_words(
    state: RunState,
    signed: SignOff,
    statement: Statement,
    environment: str,
    then: Configuration,
    seen: datetime,
) -> str | None:
    """How what was signed differs from what the log says was signed, or None."""
    matter = statement.about(state.run_id)
    if matter is None:
        return f"a statement about this run, not about {', '.join(each.run_id for each in statement.matters[:3])}"
    if not _same_matter(state, signed, matter):
        return "a statement about this run as it was when the sign-off was given"
    says = (
        statement.environment,
        statement.key,
        statement.decision,
        statement.reason,
        statement.checker,
        statement.role,
        dict(statement.configuration),
        (statement.register_size, statement.register_head),
    )
    said = (
        environment,
        signed.key,
        signed.decision,
        statement.reason if f"reason/{signed.key}" in state.erased else signed.reason,
        signed.by,
        signed.role,
        then.named,
        (signed.register_size, signed.register_head),
    )
    if says != said:
        return "a statement that says what the log's event says"
    if not statement.decided_at <= seen < statement.expires_at or (
        statement.lifetime > timedelta(hours=then.policy.sign_off.expires_after_hours)
    ):
        return "a statement that had not expired when the register saw it"
    if len(statement.matters) > 1 and (why := why_alone(state, signed.decision, matter.determinations)):
        return f"a statement about this run alone, since it {why}"
    return None


def _same_matter(state: RunState, signed: SignOff, matter: Matter) -> bool:
    """Whether a statement was about this very state of the run."""
    expected = matter_of(state, signed.key, matter.determinations, log_head=signed.log_head)
    if state.erased:
        return matter == expected
    texts = state.change.evidence
    pairs = zip(matter.determinations, signed.determinations, strict=False)
    return (
        matter == expected
        and len(matter.determinations) == len(signed.determinations)
        and all(_same_determination(one, judged, texts[one.evidence].text) for one, judged in pairs)
    )


def _same_determination(one: Determination, judged: Judged, text: str) -> bool:
    said = (one.control, one.result, one.evidence, one.reason)
    return said == (judged.control, judged.result, judged.evidence, judged.reason) and (
        find(one.quote, text) == judged.span
    )
