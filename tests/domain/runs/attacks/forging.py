"""What an attacker writes: lines of the register, heads, rosters, sign-offs, and logs chained anew."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import rfc8785

from countersign.clocks.instant import stamp
from countersign.evidence.chain import ChainFile
from countersign.evidence.durable import digest_of
from countersign.evidence.keyring import KeyRing
from countersign.evidence.lines import ZERO, Draft
from countersign.evidence.log import AuditLog
from countersign.evidence.signature import Signature, sign
from countersign.policy import Configuration, Policy, complete
from countersign.runs.consent import NAMESPACE, Consent, what_is_signed
from countersign.runs.owners import SignedWords
from countersign.runs.run import RunResult
from tests.conftest import POLICY, StepClock, payload_with
from tests.domain.runs.attacked import Target, signers_of
from tests.domain.runs.conftest import Line, log_of, policy_with
from tests.domain.runs.test_erasure import approve, known
from tests.keys import SIGNS, key_entry, make_key

OWNERS = ("control-owner", "process-owner")
WRITTEN = ("prev", "seq", "ts", "event", "actor", "texts", "blobs")


def read_lines(path: Path) -> list[Line]:
    """The lines of a chain, an erasure's too, which has a field `text`."""
    lines: list[Line] = []
    for raw in path.read_bytes().splitlines(keepends=True):
        value = orjson.loads(raw)
        if "prev" in value:
            lines.append(Line(value, [], digest_of(raw)))
        else:
            lines[-1].texts.append(value)
    return lines


def register(target: Target, event: str, **data: Any) -> None:
    """One more line of the register."""
    ChainFile(target.path / "register.jsonl", clock=target.clock).append(event, "countersign", **data)


def registered(target: Target, event: str, run_id: str | None = None) -> dict[str, Any]:
    """What a line of the register says, for another one like it."""
    lines = (line.event for line in read_lines(target.path / "register.jsonl"))
    said = next(line for line in lines if line["event"] == event and (run_id is None or line["run_id"] == run_id))
    return {name: value for name, value in said.items() if name not in WRITTEN}


def new_head(target: Target, rundir: Path, head: str, status: str = "AWAITING_APPROVAL", **more: Any) -> None:
    """The register is told of a head."""
    said: dict[str, Any] = {
        "run_id": rundir.name,
        "head": head,
        "status": status,
        "pending": None,
        "reason": None,
        "stages": [],
    }
    register(target, "run_head", **said, **more)


def execute(target: Target, payload: dict[str, Any]) -> RunResult:
    """One more run, as far as its first pause, with nothing of it kept but files."""
    bench = target.bench()
    result = bench.execute(payload)
    bench.forget_index()
    return result


def in_force(target: Target, policy: Policy) -> None:
    """Both owners put another policy in force, and the observer is given its roster."""
    target.bench().adopt(policy)
    target.policy = policy
    target.signers.write_bytes(signers_of(target.key, policy))


def people_with(target: Target, **changes: dict[str, Any]) -> Policy:
    """The policy with other entries on its roster, by id (- for _)."""
    people = target.policy.model_dump(mode="json")["people"]
    return policy_with(target.policy, people=[one | changes.get(one["id"].replace("-", "_"), {}) for one in people])


def kept(target: Target, policy: Policy) -> Configuration:
    """A configuration among the versions, put there by nobody's leave."""
    configuration = complete(policy, POLICY)
    for content in (*(one.canonical for one in configuration.documents.values()), configuration.canonical):
        path = target.path / "policies" / f"{digest_of(content)}.json"
        path.write_bytes(content)
        path.chmod(0o600)
    return configuration


def consented(target: Target, new: Configuration, by: str, key: Path, namespace: str = NAMESPACE) -> None:
    """Somebody's consent to what follows the configuration in force, which the desk was not asked about."""
    old, chained = complete(target.policy, POLICY), ChainFile(target.path / "register.jsonl", clock=target.clock)
    environment = digest_of(chained.path.read_bytes().splitlines(keepends=True)[0])
    content = what_is_signed(new.manifest, old.digest, by, "Because.", environment, stamp(target.clock()))
    words = SignedWords(content.decode(), sign(content, key=key, namespace=namespace).decode())
    chained.append_many([Consent(by, new.digest, old.digest, "Because.", words).draft()])


def signed_off(
    target: Target,
    result: RunResult,
    key: Path,
    signer: str = "second-reviewer",
    configuration: Configuration | None = None,
    later: timedelta = timedelta(),
    at: StepClock | None = None,
    **changes: Any,
) -> None:
    """A review that the desk was not asked about, by a key that signs whatever it is given."""
    bench = target.bench()
    statement = json.loads(bench.statement(result).content)
    (about,) = statement["runs"]
    about |= changes
    statement["checker"] = signer
    if configuration is not None:
        statement["configuration"] = dict(configuration.named)
    target.clock.now += later
    if later:
        now = target.clock.now
        statement |= {"decided_at": stamp(now), "expires_at": stamp(now + timedelta(hours=10))}
    content = rfc8785.dumps(statement)
    signature = sign(content, key=key, namespace=SIGNS["reviewer"])
    said = {name: statement[name] for name in ("key", "role", "decision")}
    said |= {"request": about["request"], "log_head": about["log_head"], "register": statement["register"]}
    said |= {"configuration": statement["configuration"]["digest"], "determinations": []}
    by_key = Signature.parse(signature).key.fingerprint
    said["signed"] = {"statement": digest_of(content), "by_key": by_key, "demo": False}
    texts = {"statement/independent_review": content.decode(), "signature/independent_review": signature.decode()}
    log = AuditLog(log_of(result), clock=at or target.clock)
    head = log.append_many([Draft("signed_off", signer, said, texts)])
    target.clock.move(minutes=5)
    register(target, "signed_off", run_id=result.run_id, key=said["key"], decision="approved", head=head)
    bench.forget_index()


def rewritten(target: Target, rundir: Path, lines: list[Line], **said: Any) -> None:
    """A log with other lines, its chain made to fit, and the register told of its new head."""
    content = rechained(lines)
    (rundir / "audit.jsonl").write_bytes(content)
    heads = [digest_of(line) for line in content.splitlines(keepends=True) if line.startswith(b'{"prev"')]
    new_head(target, rundir, heads[-1], **said)


def rechained(lines: list[Line]) -> bytes:
    """Like `chain`, for logs with marks in place of texts too; what names an older head names the new one."""
    content, prev, heads = b"", ZERO, dict[str, str]()
    for seq, line in enumerate(lines):
        texts = [orjson.dumps(text, option=orjson.OPT_APPEND_NEWLINE) for text in line.texts]
        event = {**{name: value for name, value in line.event.items() if name != "texts"}, "seq": seq}
        if line.texts:
            pairs = zip(line.texts, texts, strict=True)
            event["texts"] = {text["text"]: text.get("erased") or digest_of(raw) for text, raw in pairs}
        raw = orjson.dumps(event)
        for old, new in heads.items():
            raw = raw.replace(old.encode(), new.encode())
        raw = orjson.dumps({**orjson.loads(raw), "prev": prev}, option=orjson.OPT_APPEND_NEWLINE)
        prev = digest_of(raw)
        heads[line.head or ""] = prev
        content += raw + b"".join(texts)
    return content


def with_owners_who_erase(target: Target) -> dict[str, KeyRing]:
    """Owners who have keys for what law demands, and the keys."""
    rings, entries = {}, {}
    for owner in OWNERS:
        folder = target.path.parent / f"keys-{owner}"
        folder.mkdir()
        key = make_key(folder / owner)
        rings[owner] = KeyRing(folder=folder)
        keys = [key_entry(target.keys / owner, SIGNS[owner]), key_entry(key, "retention@countersign")]
        entries[owner.replace("-", "_")] = {"keys": keys}
    in_force(target, people_with(target, **entries))
    return rings


def erased(target: Target, text: str = "summary", owners: tuple[str, ...] = OWNERS) -> RunResult:
    """A completed run that lost a text, by these owners."""
    rings = with_owners_who_erase(target)
    bench = target.bench()
    result = bench.complete(payload_with(system="erased"))
    for owner in owners:
        approve(bench, result, text, owner, rings[owner])
    bench.run.engine.views.make_anew(known(bench.run, result).day)
    bench.forget_index()
    return result
