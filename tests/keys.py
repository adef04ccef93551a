"""Throw-away keys for tests, and a roster that has their public halves."""

import json
import subprocess
from pathlib import Path
from typing import Any

from countersign.policy import Policy

SINCE = "2026-01-01T00:00:00Z"
SIGNS = {
    "reviewer": "independent-review@countersign",
    "second-reviewer": "independent-review@countersign",
    "checker": "maker-checker@countersign",
    "second-checker": "maker-checker@countersign",
    "control-owner": "configuration@countersign",
    "process-owner": "configuration@countersign",
}


def make_key(path: Path, kind: str = "ed25519") -> Path:
    """A new key pair without a passphrase: `path` and `path.pub`."""
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "", "-f", str(path)], check=True)
    return path


def make_keys(folder: Path) -> Path:
    """A folder with one key for everybody who signs, named after them."""
    folder.mkdir(exist_ok=True)
    for person in SIGNS:
        make_key(folder / person)
    return folder


def public_of(path: Path) -> str:
    """`TYPE BASE64` of a key pair."""
    return path.with_name(f"{path.name}.pub").read_text(encoding="ascii").strip()


def with_keys(people: list[dict[str, Any]], folder: Path, **changes: Any) -> list[dict[str, Any]]:
    """Roster entries with their keys; `changes` go into each key entry."""
    return [
        {**person, "keys": [key_entry(folder / person["id"], SIGNS[person["id"]], **changes)]}
        if person["id"] in SIGNS
        else person
        for person in people
    ]


def key_entry(path: Path, namespace: str, **changes: Any) -> dict[str, Any]:
    """A roster's key entry."""
    return {"key": public_of(path), "namespace": namespace, "valid_after": SINCE, **changes}


def signed_policy(policy: Policy, folder: Path, **changes: Any) -> Policy:
    """A policy that requires signatures, with everybody's keys on its roster."""
    content = policy.model_dump(mode="json")
    people = with_keys(content["people"], folder, **changes)
    sign_off = {**content["sign_off"], "signature": "required"}
    return Policy.model_validate_json(json.dumps({**content, "people": people, "sign_off": sign_off}))
