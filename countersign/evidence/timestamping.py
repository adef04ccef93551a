"""Timestamps of seals: each signed seal gets a token where the policy that it names has an authority.

What belongs here: which seals still want one, keeping it, and checking what was kept. What does not: the protocol
(`timestamp`). An authority that fails never stops a seal: the register says so, and the next sealing asks again.

The token is over the seal's signature, which is over the statement: so it bounds when the key was used, too.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError

from countersign.clocks.instant import stamp
from countersign.environment import Clock, elapsed_ms
from countersign.errors import EvidenceError, SignatureError
from countersign.evidence import durable
from countersign.evidence.chain import ChainFile
from countersign.evidence.lines import Draft, parse_line
from countersign.evidence.plain import is_plain, read_plain
from countersign.evidence.register import ACTOR, Register
from countersign.evidence.root import EvidenceRoot
from countersign.evidence.seal import Seal, read_seal, seal_numbers, sealing_alone, signature_path, timestamp_path
from countersign.evidence.timestamp import check_token, request_token
from countersign.policy.timestamp import TimestampSpec

TIMESTAMPED = "timestamped"
FAILED = "timestamp_failed"


@dataclass(slots=True)
class Timestamps:
    """What one pass did: the seals that have a token now, and for each of those that have none yet why."""

    made: list[int] = field(default_factory=list)
    failed: dict[int, str] = field(default_factory=dict)


def timestamp_seals(root: EvidenceRoot, *, clock: Clock, elapsed_ms: Callable[[], int] = elapsed_ms) -> Timestamps:
    """Have every signed seal timestamped that wants it and was not; an authority that failed is asked no more."""
    done = Timestamps()
    down: dict[str, str] = {}
    authority_of = cache(lambda policy: authority(root, policy))
    timestamped = _timestamped(root.register)
    for number in seal_numbers(root):
        signature = signature_path(root, number)
        asked = authority_of(read_seal(root, number).policy) if number not in timestamped else None
        if asked is None or not is_plain(signature):
            continue
        try:
            if asked.url in down:
                raise SignatureError(down[asked.url])
            _keep(root, number, read_plain(signature), asked, clock, elapsed_ms)
        except SignatureError as error:
            data = {"number": number, "why": str(error)}
            if asked.url not in down:  # the register has the reason once a pass
                Register(root, clock=clock).append_many([Draft(FAILED, ACTOR, data)])
            down[asked.url] = done.failed[number] = str(error)
        else:
            done.made.append(number)
    return done


def check_timestamp(root: EvidenceRoot, seal: Seal, note: Mapping[str, Any]) -> None:
    """Raise SignatureError unless the token that the register names is one for this seal by its policy's authority."""
    path = timestamp_path(root, seal.number)
    token = read_plain(path) if is_plain(path) else b""
    if note.get("file") != path.name or durable.digest_of(token) != note.get("sha256"):
        raise SignatureError(f"the file with the SHA-256 {note.get('sha256')}")
    asked = authority(root, seal.policy)
    if asked is None:
        raise SignatureError(f"no timestamp, since the policy of {seal.policy} names no authority")
    at = stamp(check_token(token, read_plain(signature_path(root, seal.number)), asked))
    if at != note.get("at"):
        raise SignatureError(f"a token of {note.get('at')}, not of {at}")


def authority(root: EvidenceRoot, configuration: str) -> TimestampSpec | None:
    """The authority of a configuration's policy, or None. Raises EvidenceError where it is not kept as it was."""
    try:
        policy = orjson.loads(root.version(orjson.loads(root.version(configuration))["policy"]))
        spec = policy.get("timestamp")
        return TimestampSpec.model_validate(spec) if spec is not None else None
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError, ValidationError) as error:
        raise EvidenceError(f"the configuration {configuration} is of another form: {error}") from error


def _keep(
    root: EvidenceRoot,
    number: int,
    signature: bytes,
    asked: TimestampSpec,
    clock: Clock,
    elapsed_ms: Callable[[], int],
) -> None:
    """Get a token, put it beside the seal, and let the register know; one that a crash left is taken as it is."""
    path = timestamp_path(root, number)
    token = b"" if path.exists() else request_token(signature, asked, elapsed_ms=elapsed_ms)[0]
    with sealing_alone(root):
        if number in _timestamped(root.register):
            return
        if not path.exists():
            durable.create_file(path, token)
        kept = path.read_bytes()
        at = check_token(kept, signature, asked)
        data = {"number": number, "file": path.name, "sha256": durable.digest_of(kept), "at": stamp(at)}
        Register(root, clock=clock).append_many([Draft(TIMESTAMPED, ACTOR, data)])


def _timestamped(register: Path) -> set[int]:
    """The seals that the register knows a token of."""
    found = set()
    with ChainFile(register).reading() as file:
        for line in file:
            said = parse_line(line) if b'"event":"timestamped"' in line else None
            if said is not None and said.get("event") == TIMESTAMPED:
                found.add(int(said["number"]))
    return found
