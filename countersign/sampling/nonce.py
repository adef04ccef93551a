"""The observer's nonce: the part of a seed that nobody here controls.

What belongs here: what is signed, and taking it: only once the digest of the frozen population is under a seal, and
only one for each freeze. Whoever froze the population could else have tried values until one suited them. What does not
belong here: the seed that comes of it (`draw`).
"""

from dataclasses import dataclass

import rfc8785

from countersign.clocks.instant import parse_instant, stamp
from countersign.errors import SampleRefused, TamperedError
from countersign.evidence.keyring import KeyRing
from countersign.evidence.seal import Seal
from countersign.runs.engine import Engine
from countersign.runs.versions import VersionStore
from countersign.sampling.draw import require_nonce
from countersign.sampling.ledger import NONCE, MonthLines, Said, read_month, require_sealed
from countersign.sampling.month import Month
from countersign.sampling.statements import Signed, parse, require_good, require_observer, sign

SCHEMA = "countersign/nonce/1"
NAMESPACE = "nonce@countersign"
FIELDS = ("schema", "environment", "month", "population", "seal", "nonce", "by", "decided_at")
PLACEHOLDER = "NONCE"  # what an observer replaces on a machine that has none of this software; too short to pass
_BYTES = 16


@dataclass(frozen=True, slots=True)
class NonceReceipt:
    """A nonce that is on disk; `repeated` says that it was there already."""

    month: Month
    digest: str
    nonce: str
    by: str
    repeated: bool


class NonceDesk:
    """Takes nonces for the months of an engine's evidence root, under the configuration in force."""

    def __init__(self, engine: Engine, keys: KeyRing | None = None) -> None:
        self._engine = engine
        self._keys = keys or KeyRing()

    def record(self, month: Month, by: str, nonce: str | None) -> NonceReceipt:
        """Have an observer sign a nonce and take it; None makes one here. Raises SampleRefused.

        The same again is harmless; another one for the same freeze is refused.
        """
        said, seal = self._sealed(month)
        known = said.nonce
        if known is not None and known.actor == by and nonce in (None, known.data["nonce"]):
            return _repeated(known)
        _refuse_too_late(said)
        chosen = require_nonce(self._engine.entropy(_BYTES).hex() if nonce is None else nonce)
        content = self._content(said.frozen, seal, by, chosen, stamp(self._engine.clock()))
        return self._take(sign(content, by, NAMESPACE, self._engine.current, self._keys, self._engine.clock()))

    def request(self, month: Month, by: str) -> bytes:
        """What an observer would sign, with a placeholder for the nonce. Raises SampleRefused."""
        said, seal = self._sealed(month)
        _refuse_too_late(said)
        require_observer(by, self._engine.current, self._engine.clock())
        return self._content(said.frozen, seal, by, PLACEHOLDER, stamp(self._engine.clock()))

    def submit(self, content: bytes, signature: bytes) -> NonceReceipt:
        """Take a nonce that was signed elsewhere; the same again is harmless. Raises SampleRefused."""
        said, _ = self._sealed(Month.parse(parse(content, SCHEMA, "a nonce", FIELDS)["month"]))
        known = said.nonce
        if known is not None and known.texts.get("statement") == content.decode():
            return _repeated(known)
        return self._take(Signed(content, signature))

    def _sealed(self, month: Month) -> tuple[MonthLines, Seal]:
        """What the register says of a month, and the seal by which its frozen population was published."""
        said = read_month(self._engine.register.records(), month)
        return said, require_sealed(self._engine.root, said.frozen)

    def _take(self, signed: Signed) -> NonceReceipt:
        """Write a nonce, if it is the first for its freeze; both is judged under the register's lock."""
        fields = parse(signed.content, SCHEMA, "a nonce", FIELDS)
        month, by, nonce = Month.parse(fields["month"]), fields["by"], fields["nonce"]
        environment = self._engine.register.environment()
        with self._engine.register.writing() as writer:
            said = read_month(writer.entries(), month)
            _refuse_too_late(said)
            now, seal = self._engine.clock(), require_sealed(self._engine.root, said.frozen)
            content = _what_is_signed(said.frozen, seal, by, require_nonce(nonce), environment, fields["decided_at"])
            if signed.content != content or parse_instant(fields["decided_at"]) > now:
                raise SampleRefused(f"what {by!r} signed is about another root, population or seal; request it again")
            require_good(signed, by, NAMESPACE, self._engine.current, now)
            digest = said.frozen.data["digest"]
            writer.append([signed.draft(NONCE, by, {"month": str(month), "digest": digest, "nonce": nonce})])
        return NonceReceipt(month, digest, nonce, by, repeated=False)

    def _content(self, frozen: Said, seal: Seal, by: str, nonce: str, decided_at: str) -> bytes:
        return _what_is_signed(frozen, seal, by, nonce, self._engine.register.environment(), decided_at)


def require_nonce_stands(said: Said, frozen: Said, seal: Seal, environment: str, versions: VersionStore) -> str:
    """The nonce of a register line, judged again as it was when it came. Raises TamperedError."""
    signed = Signed.read(said)
    try:
        decided_at = parse(signed.content, SCHEMA, "a nonce", FIELDS)["decided_at"]
        expected = _what_is_signed(frozen, seal, said.actor, said.data["nonce"], environment, decided_at)
        if signed.content != expected or said.index <= frozen.index:
            raise SampleRefused("what was signed is about something else")
        require_good(signed, said.actor, NAMESPACE, versions.at(said.configuration), said.at)
    except SampleRefused as refusal:
        raise TamperedError(f"register: line {said.index + 1}: {refusal} (SEV-1)") from refusal
    return str(said.data["nonce"])


def _what_is_signed(frozen: Said, seal: Seal, by: str, nonce: str, environment: str, decided_at: str) -> bytes:
    """RFC 8785 bytes of a nonce; `environment` is the evidence root it is for."""
    return rfc8785.dumps(
        {
            "schema": SCHEMA,
            "environment": environment,
            "month": frozen.data["month"],
            "population": frozen.data["digest"],
            "seal": seal.digest,
            "nonce": nonce,
            "by": by,
            "decided_at": decided_at,
        }
    )


def _repeated(known: Said) -> NonceReceipt:
    return NonceReceipt(
        Month.parse(known.data["month"]), known.data["digest"], known.data["nonce"], known.actor, repeated=True
    )


def _refuse_too_late(said: MonthLines) -> None:
    """Raise SampleRefused where a nonce would be the second, or come after the draw."""
    known = said.nonce
    if known is not None:
        raise SampleRefused(
            f"{said.month}: {known.actor!r} gave a nonce for this population already, at {stamp(known.at)};"
            " a second one could be chosen by what it draws"
        )
    if said.drawn is not None:
        raise SampleRefused(f"{said.month}: it was drawn without a nonce, which the policy lets it be; none counts now")
