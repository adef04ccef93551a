"""What a signer signs: one statement, in RFC 8785 bytes, that says everything the sign-off stands on.

What belongs here: the form of a statement and its strict reading. What does not: who may sign, and taking a sign-off.
The same bytes are signed by `countersign approve` and by stock `ssh-keygen -Y sign`, and are kept verbatim in the log.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from functools import cached_property, lru_cache
from typing import Any

import orjson
import rfc8785

from countersign.clocks.instant import parse_instant, stamp
from countersign.errors import SignOffRefused
from countersign.evidence.durable import digest_of
from countersign.policy import Key
from countersign.runs.determination import Determination

SCHEMA = "countersign/sign-off/1"


def namespace_of(key: Key) -> str:
    """The signature namespace of a sign-off: a key signs in one of them, so that a review is no approval."""
    return f"{key.value.replace('_', '-')}@countersign"


@dataclass(frozen=True, slots=True)
class Matter:
    """One run as it was handed to the signer.

    `request` is the head of the event that asked, which nobody could foresee: it is the nonce. `assertions` and `gate`
    are the heads of the events that hold them, `configuration` is the run's own.
    """

    run_id: str
    change_id: str
    maker: str
    log_head: str
    request: str
    requested_at: str
    assertions: str
    gate: str
    configuration: str
    determinations: tuple[Determination, ...] = ()


@dataclass(frozen=True)
class Statement:
    """A sign-off of one run or of many alike. Times are UTC; `environment` is the evidence root it is for.

    `configuration` names what is in force for the signer, `register_size` (bytes) and `register_head` what it was given
    on, so that heads travel with every sign-off.
    """

    environment: str
    key: Key
    decision: str
    reason: str | None
    checker: str
    role: str
    matters: tuple[Matter, ...]
    configuration: Mapping[str, str]
    register_size: int
    register_head: str
    decided_at: datetime
    expires_at: datetime

    @cached_property
    def content(self) -> bytes:
        """The bytes that are signed."""
        return rfc8785.dumps(
            {
                "schema": SCHEMA,
                "environment": self.environment,
                "key": self.key.value,
                "decision": self.decision,
                "reason": self.reason,
                "checker": self.checker,
                "role": self.role,
                "runs": [_plain(matter) for matter in self.matters],
                "configuration": dict(self.configuration),
                "register": {"size": self.register_size, "head": self.register_head},
                "decided_at": stamp(self.decided_at),
                "expires_at": stamp(self.expires_at),
            }
        )

    @cached_property
    def digest(self) -> str:
        """SHA-256 of `content`, in hexadecimal."""
        return digest_of(self.content)

    @property
    def lifetime(self) -> timedelta:
        """How long it may be handed in."""
        return self.expires_at - self.decided_at

    def about(self, run_id: str) -> Matter | None:
        """What it says of one run, or None."""
        return self._by_run.get(run_id)

    @cached_property
    def _by_run(self) -> Mapping[str, Matter]:
        return {matter.run_id: matter for matter in self.matters}


_MATTER_TEXTS = tuple(field.name for field in fields(Matter) if field.name != "determinations")


def _plain(matter: Matter) -> dict[str, Any]:
    texts = {name: getattr(matter, name) for name in _MATTER_TEXTS}
    return {**texts, "determinations": [asdict(one) for one in matter.determinations]}


@lru_cache(maxsize=64)  # every run that a statement is about asks for it, those of a few others between them
def parse_statement(content: bytes) -> Statement:
    """Read a statement. Raises SignOffRefused unless it is one, in exactly the bytes that this module writes."""
    try:
        said = orjson.loads(content)
        if said["schema"] != SCHEMA:
            raise ValueError(f"its schema is not {SCHEMA}")
        statement = Statement(
            environment=said["environment"],
            key=Key(said["key"]),
            decision=said["decision"],
            reason=said["reason"],
            checker=said["checker"],
            role=said["role"],
            matters=tuple(_matter(each) for each in said["runs"]),
            configuration=said["configuration"],
            register_size=said["register"]["size"],
            register_head=said["register"]["head"],
            decided_at=parse_instant(said["decided_at"]),
            expires_at=parse_instant(said["expires_at"]),
        )
        if not _well_typed(statement):
            raise TypeError("a field is of another type")
        if statement.content != content:
            raise ValueError(
                "its bytes are not in canonical form (RFC 8785); request it again; sign the file unchanged"
            )
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, rfc8785.CanonicalizationError) as error:
        raise SignOffRefused(f"not a statement as `countersign sign-off request` prints it: {error}") from error
    if len({matter.run_id for matter in statement.matters}) != len(statement.matters) or not statement.matters:
        raise SignOffRefused("a statement names at least one run, and each once")
    return statement


def _well_typed(statement: Statement) -> bool:
    """Whether everything that a signer could have written otherwise is text, or the whole number that it should be."""
    texts = [statement.environment, statement.decision, statement.checker, statement.role, statement.register_head]
    texts += [statement.reason or "", *statement.configuration, *statement.configuration.values()]
    for matter in statement.matters:
        texts += [getattr(matter, name) for name in _MATTER_TEXTS]
        texts += [value for one in matter.determinations for value in asdict(one).values()]
    return all(type(text) is str for text in texts) and type(statement.register_size) is int


def _matter(said: Mapping[str, Any]) -> Matter:
    determinations = tuple(Determination(**one) for one in said["determinations"])
    return Matter(**{**said, "determinations": determinations})
