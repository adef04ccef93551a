"""Throw-away keys for the shipped example, so that a stranger can sign and no private key ships.

What belongs here: making them, once, outside the evidence root and before there is one. What does not: any use of them;
the roster's own people and the policy of a real deployment.
"""

import shutil
import subprocess
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import yaml

from countersign.clocks.instant import stamp
from countersign.evidence import durable
from countersign.policy import Key, Person, Policy, load_policy
from countersign.runs.approvals import NAMESPACE as RETENTION
from countersign.runs.consent import NAMESPACE
from countersign.runs.owners import OWNERS
from countersign.runs.statement import namespace_of

SAID = "throw-away keys, whose signatures verify as `demo`"
SEAL_KEY = "seal"


def make_demo_keys(policy_path: Path, evidence_root: Path, keys: Path, now: datetime) -> str | None:
    """Make the keys that the policy's `demo_signers` is for, and say so; None where there is nothing to make.

    Nothing is made where the policy names no such file or the file is there, and none for an evidence root that exists:
    its genesis stands, and another roster would have to be adopted.
    """
    policy = load_policy(policy_path)
    if policy.demo_signers is None or (policy_path.parent / policy.demo_signers).exists():
        return None
    if evidence_root.exists():
        return f"{evidence_root} was made without {SAID}; without keys of your own nobody can sign there"
    if shutil.which("ssh-keygen") is None:
        return f"ssh-keygen is not installed, so there are no {SAID}; nobody can sign"
    signers = [
        {"person": person.id, "keys": [_make_key(keys, person, namespace, now) for namespace in namespaces]}
        for person in policy.people
        if (namespaces := list(_namespaces(person, policy)))
    ]
    _new_key(keys / SEAL_KEY)
    path = policy_path.parent / policy.demo_signers
    durable.make_folder(path.parent)
    document = {"version": f"demonstration of {now:%Y-%m-%d}", "signers": signers}
    durable.replace_file(path, yaml.safe_dump(document, sort_keys=False).encode())
    return f"made {SAID}, in {keys}"


def demo_seal_key(policy_path: Path, keys: Path) -> Path | None:
    """The key that seals a demonstration; None where the policy is that of none, or it was made without one."""
    policy = load_policy(policy_path)
    made = policy.demo_signers is not None and (policy_path.parent / policy.demo_signers).exists()
    path = keys / SEAL_KEY
    return path if made and path.exists() else None


def _namespaces(person: Person, policy: Policy) -> Iterator[str]:
    yield from (namespace_of(key) for key in Key if policy.sign_off.role(key) in person.roles)
    if set(OWNERS) & set(person.roles):
        yield from (NAMESPACE, RETENTION)
    if "observer" in person.roles:
        # these bring pyarrow; definitions load without
        from countersign.sampling.nonce import NAMESPACE as NONCES  # noqa: PLC0415
        from countersign.sampling.review import NAMESPACE as RESULTS  # noqa: PLC0415

        yield from (NONCES, RESULTS)


def _make_key(folder: Path, person: Person, namespace: str, now: datetime) -> dict[str, str]:
    path = folder / f"{person.id}.{namespace.partition('@')[0]}"
    _new_key(path)
    kind, text, *_ = path.with_name(f"{path.name}.pub").read_text(encoding="ascii").split()
    return {"key": f"{kind} {text}", "namespace": namespace, "valid_after": stamp(now)}


def _new_key(path: Path) -> None:
    """A new key pair; what a cut-off attempt left there was never used."""
    durable.make_folder(path.parent)
    for left in (path, path.with_name(f"{path.name}.pub")):
        left.unlink(missing_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)], check=True)
