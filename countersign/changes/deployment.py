"""A deployment: what put a revision of a system into an environment, when and by whom.

What belongs here: its form, the policy's word on whether it is in scope, and how it reads as evidence. What does not:
which change it belongs to (`matching`), and what it is worth (`controls`).
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import orjson

from countersign.changes.origin import EXTRACTED
from countersign.changes.payload import MAX_ID_BYTES, Change, Payload, accept
from countersign.clocks.instant import local_day, parse_instant, stamp
from countersign.errors import PayloadError
from countersign.evidence.deployed import RegisteredDeployment
from countersign.policy import Kind, Limits, Policy
from countersign.revisions import same_revision

REQUIRED = ("id", "environment", "system", "revision", "at", "by")
OPTIONAL = ("pipeline", "change")
_RESERVE = 20  # bytes that its id leaves of the limit, for the names that are made of it
_WITHOUT_CHANGE = "deployment:"
_JOINED_NAME = "deployment "
_MERGES = (Kind.TICKET, Kind.DEPLOYMENT)
_JOINED = Limits(evidence_bytes=1 << 40, payload_bytes=1 << 40)  # what was joined is no fault of the payload


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployment as a source gives it; `where` names the place, such as a file and a line.

    `by` is None where the source does not say who deployed; `change` is the id of the change that it names itself.
    """

    where: str
    id: str
    environment: str
    system: str
    revision: str
    at: datetime
    by: str | None
    pipeline: str | None = None
    change: str | None = None

    @property
    def change_id(self) -> str:
        """The id of the change that would stand for it."""
        return change_id_of(self.id)

    @property
    def content(self) -> bytes:
        """What it says, in one form, wherever it was read."""
        said = asdict(self)
        del said["where"]
        return orjson.dumps(said, option=orjson.OPT_SORT_KEYS)

    def registered(self, source: str, origin: str, extract: str | None) -> RegisteredDeployment:
        """The deployment as the register tells of it."""
        return RegisteredDeployment(
            system=self.system,
            id=self.id,
            environment=self.environment,
            revision=self.revision,
            change=self.change,
            deployed_at=stamp(self.at),
            deployed_by=self.by,
            pipeline=self.pipeline,
            source=source,
            origin=origin,
            extract=extract,
        )


def read_deployment(row: object, where: str, required: Collection[str] = REQUIRED) -> Deployment:
    """A row as a deployment. Raises PayloadError naming the field and what would be right."""
    if not isinstance(row, Mapping):
        raise PayloadError(f"a deployment is a JSON object with {', '.join(REQUIRED)}")
    claimed = row.get("id")
    change_id = change_id_of(claimed) if isinstance(claimed, str) else None
    for name in row:
        if name not in (*REQUIRED, *OPTIONAL):
            known = f"{', '.join(REQUIRED)}, and {' and '.join(OPTIONAL)} where they are known"
            raise PayloadError(f"is not a field of a deployment; it has {known}", field=name, change_id=change_id)
    read = {name: _text(row, name, name in required, change_id) for name in (*REQUIRED, *OPTIONAL)}
    try:
        at = parse_instant(str(read.pop("at")))
    except ValueError as error:
        raise PayloadError(str(error), field="at", change_id=change_id) from error
    return Deployment(where=where, at=at, **read)  # type: ignore[arg-type]  # what is required is not None


def _text(row: Mapping[Any, Any], name: str, required: bool, change_id: str | None) -> str | None:
    value = row.get(name)
    if value is None and not required:
        return None
    if value is None:
        reason = "is missing; it is required"
    elif not isinstance(value, str):
        reason = "needs to be text"
    elif not value.strip():
        reason = "must not be empty"
    elif not value.isprintable():
        reason = "holds a control character; use printable characters only"
    elif (size := len(value.encode())) > MAX_ID_BYTES:
        reason = f"is {size} bytes long; the limit is {MAX_ID_BYTES}"
    elif name == "id" and (size := len(change_id_of(value).encode())) > MAX_ID_BYTES - _RESERVE:
        reason = f"makes a change id of {size} bytes, separators escaped; the limit is {MAX_ID_BYTES - _RESERVE}"
    else:
        return value
    raise PayloadError(reason, field=name, change_id=change_id)


def change_id_of(deployment_id: str) -> str:
    """The id of the change that stands for a deployment without one; no payload may use such an id."""
    safe = deployment_id.replace("%", "%25").replace("/", "%2F").replace("\\", "%5C")
    return f"{_WITHOUT_CHANGE}{safe}"


def stands_for_deployment(change_id: str) -> bool:
    """Whether a change of this id can only be a deployment that no change record names."""
    return change_id.startswith(_WITHOUT_CHANGE)


def out_of_scope(policy: Policy, deployment: Deployment) -> str | None:
    """Why the policy leaves a deployment out of scope, or None."""
    if deployment.environment not in policy.deployment_environments:
        counted = ", ".join(policy.deployment_environments)
        return f"the environment {deployment.environment} is none that the policy counts ({counted})"
    system = policy.system(deployment.system)
    day = local_day(deployment.at, policy.zone)
    if system is not None and not system.in_scope_on(day):
        return f"the system {deployment.system} is not in scope on {day.isoformat()}, says the policy's inventory"
    return None


def revisions_of(change: Change) -> tuple[str, ...]:
    """The revisions under which a deployment of a change may go: its own, and those of its extracted merges.

    What a deployment that was joined says is no revision of the change: it may be of another.
    """
    merges = (
        item.revision
        for name, item in change.evidence.items()
        if item.kind in _MERGES and item.origin == EXTRACTED and not name.startswith(_JOINED_NAME)
    )
    return tuple(dict.fromkeys(revision for revision in (change.revision, *merges) if revision))


def foreign_revisions(change: Change) -> list[tuple[str, str]]:
    """The joined deployments that name a change but put something else into production, each with its revision."""
    own = revisions_of(change)
    return [
        (name, item.revision)
        for name, item in change.evidence.items()
        if name.startswith(_JOINED_NAME)
        and item.kind is Kind.DEPLOYMENT
        and item.revision is not None
        and not any(same_revision(item.revision, revision) for revision in own)
    ]


def shows_deployment(change: Change) -> bool:
    """Whether the evidence of a change holds a deployment."""
    return any(item.kind is Kind.DEPLOYMENT for item in change.evidence.values())


def joined(payload: Payload, deployments: Iterable[RegisteredDeployment]) -> Payload:
    """A payload with an evidence item for each deployment: a new payload, and the same again if they are in it.

    An item that came with the payload under the name of a deployment stays, beside the one that is joined.
    """
    evidence = dict(payload.raw["evidence"])
    for deployment in deployments:
        item = _item(deployment, _describe(deployment))
        name, number = f"{_JOINED_NAME}{deployment.id}", 1
        while evidence.get(name, item) != item:
            number += 1
            name = f"{_JOINED_NAME}{deployment.id} ({number})"
        evidence[name] = item
    return accept({**payload.raw, "evidence": evidence}, _JOINED)


def without_change(deployment: RegisteredDeployment, given_up_by: str | None) -> Payload:
    """The payload that stands for a deployment without a change record.

    `given_up_by` is the run that took its earlier run over and whose change does not name the deployment any more.
    Its author is whoever deployed, the one person who is known to have had a hand in it.
    """
    said = f"no change record names the deployment {deployment.id} or its revision {deployment.revision}"
    again = f", since a correction of {given_up_by}" if given_up_by else ""
    payload = {
        "id": change_id_of(deployment.id),
        "system": deployment.system,
        "summary": f"Deployment {deployment.id} without a change record",
        "author": deployment.deployed_by or "(nobody is named)",
        "deployed_at": deployment.deployed_at,
        "revision": deployment.revision,
        "evidence": {f"{_JOINED_NAME}{deployment.id}": _item(deployment, f"{said}{again}: {_describe(deployment)}")},
    }
    return accept(payload, _JOINED)


def _item(deployment: RegisteredDeployment, text: str) -> dict[str, Any]:
    item = {
        "kind": "deployment",
        "text": text,
        "at": deployment.deployed_at,
        "revision": deployment.revision,
        "origin": deployment.origin,
    }
    known = {"by": deployment.deployed_by, "pipeline": deployment.pipeline}
    return item | {name: value for name, value in known.items() if value is not None}


def _describe(deployment: RegisteredDeployment) -> str:
    by = deployment.deployed_by or "somebody who is not named"
    through = f" through the pipeline {deployment.pipeline}" if deployment.pipeline else ""
    names = f", naming the change {deployment.change}" if deployment.change else ""
    return (
        f"deployment {deployment.id}: {deployment.revision} of {deployment.system} deployed to "
        f"{deployment.environment} by {by} at {deployment.deployed_at}{through}{names}"
    )
