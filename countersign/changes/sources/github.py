"""Merged pull requests as changes, from the JSON that `gh pr list` writes.

A payload here is what was there when the pull request was merged: later reviews, comments and checks are left out, so
that a later export of the same pull request gives the same payload.
"""

import json
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from countersign.changes.payload import parse_record
from countersign.changes.sources.interface import (
    BY_HAND,
    Item,
    Raw,
    Record,
    Skipped,
    Unreadable,
    fetch_file,
    file_state,
)
from countersign.clocks.instant import parse_instant
from countersign.errors import PayloadError, SourceError
from countersign.policy import Limits, Policy

_URL = re.compile(r"https://[^/]+/(?P<repository>[^/]+/[^/]+)/pull/\d+")
_DECISIVE = ("APPROVED", "CHANGES_REQUESTED", "DISMISSED")
_SETTLED = ("success", "failure", "error", "cancelled", "timed_out", "action_required", "startup_failure", "stale")
# gh gives 30 pull requests unless it is told otherwise, and does not say that there are more
EXPORT = (
    "gh pr list --state merged --limit 100000 --json number,title,body,url,state,author,createdAt,mergedAt,mergedBy,"
    "mergeCommit,baseRefName,headRefOid,labels,reviews,commits,comments,statusCheckRollup"
)


class GithubSource:
    """The pull requests of one export file."""

    adapter = "github"
    extractor = "github/1"

    def __init__(self, path: Path, policy: Policy, *, merge_deploys: Any, name: str = BY_HAND + adapter) -> None:
        self.name = name
        self._path = path
        self._labels = {label.casefold() for label in policy.emergency_labels}
        self._merge_deploys = merge_deploys
        self._count: int | None = None

    def state(self) -> str | None:
        return file_state(self._path)

    def fetch(self, scratch: Path) -> Sequence[Raw]:
        return [fetch_file(self._path, scratch)]

    def items(self, kept: Sequence[Path]) -> Iterator[Item]:
        (export,) = kept
        pull_requests = self._pull_requests(export.read_bytes())
        self._count = len(pull_requests)
        for position, pull_request in enumerate(pull_requests):
            where = f"{self._path}[{position}]"
            try:
                yield self._item(where, pull_request)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                number = pull_request.get("number") if isinstance(pull_request, dict) else None
                lacks = f"lacks the field {error}" if isinstance(error, KeyError) else f"has an odd field: {error}"
                reason = f"the pull request {lacks}; export with `{EXPORT}`"
                content = json.dumps(pull_request).encode()
                yield Unreadable(where, str(number) if number is not None else None, reason, content)

    def rows(self) -> Sequence[int]:
        return [] if self._count is None else [self._count]

    def joined(self) -> int:
        return 0

    def declared(self) -> int | None:
        return self._count

    def _pull_requests(self, raw: bytes) -> list[Any]:
        try:
            content = parse_record(raw, Limits(payload_bytes=max(len(raw), 1)))
        except PayloadError as error:
            raise SourceError(f"{self._path}: {error}; export it again, whole") from error
        if not isinstance(content, list):
            raise SourceError(f"{self._path}: not a list; export with `{EXPORT}`")
        return content

    def _item(self, where: str, pull_request: dict[str, Any]) -> Item:
        match = _URL.fullmatch(pull_request["url"])
        if match is None:
            raise ValueError(f"url: {pull_request['url']!r} is not that of a pull request")
        system = match["repository"]
        change_id = f"{system.replace('/', ':')}#{pull_request['number']}"
        if pull_request["state"] != "MERGED" or pull_request["mergedAt"] is None:
            return Skipped(where, change_id, f"not merged (state {pull_request['state']})")
        return Record(where, self._payload(pull_request, system, change_id))

    def _payload(self, pull_request: dict[str, Any], system: str, change_id: str) -> dict[str, Any]:
        merged_at = pull_request["mergedAt"]
        merged = parse_instant(merged_at)
        author = _login(pull_request["author"])
        labels = {label["name"].casefold() for label in pull_request["labels"]}
        deploys = self._merge_deploys(system)
        payload: dict[str, Any] = {
            "id": change_id,
            "system": system,
            "summary": pull_request["title"].strip() or "(no title)",
            "author": author or "(deleted account)",
            "contributors": _contributors(pull_request["commits"], author),
            "change_type": "emergency" if labels & self._labels else "normal",
            "requested_at": pull_request["createdAt"],
            "revision": pull_request["headRefOid"],
            "evidence": {
                **_merge(pull_request, change_id, deploys),
                **_description(pull_request),
                **_reviews(pull_request["reviews"], merged, change_id),
                **_checks(pull_request.get("statusCheckRollup") or [], merged, pull_request["headRefOid"]),
                **_comments(pull_request["comments"], merged),
            },
        }
        if deploys:
            payload["deployed_at"] = merged_at
            if merger := _login(pull_request["mergedBy"]):
                payload["deployed_by"] = merger
        return payload


def _login(account: dict[str, Any] | None) -> str | None:
    """The login, or None for a deleted account."""
    return (account or {}).get("login") or None


def _contributors(commits: list[dict[str, Any]], author: str | None) -> list[str]:
    """Every commit author in the form that says most: a login, else name and mail."""
    found: list[str] = []
    for commit in commits:
        for person in commit["authors"]:
            who = person.get("login") or (f"{person['name']} <{person['email']}>" if person.get("email") else None)
            who = who or person.get("name") or "(unknown commit author)"
            if who != author and who not in found:
                found.append(who)
    return found


def _merge(pull_request: dict[str, Any], change_id: str, deploys: bool) -> dict[str, Any]:
    merger = _login(pull_request["mergedBy"])
    commit = (pull_request["mergeCommit"] or {}).get("oid")
    text = (
        f"{change_id} merged into {pull_request['baseRefName']} by {merger or 'a deleted account'} "
        f"at {pull_request['mergedAt']} as {commit or 'an unnamed commit'}, head {pull_request['headRefOid']}"
    )
    item = {"kind": "deployment" if deploys else "ticket", "text": text, "at": pull_request["mergedAt"]}
    item |= {"by": merger} if merger else {}
    item |= {"revision": commit} if commit else {}  # what a deployment of it goes under
    return {"merge": {**item, "uri": pull_request["url"]}}


def _description(pull_request: dict[str, Any]) -> dict[str, Any]:
    text = (pull_request.get("body") or "").strip()
    return {"description": {"kind": "ticket", "text": text, "at": pull_request["createdAt"]}} if text else {}


def _reviews(reviews: list[dict[str, Any]], merged: datetime, change_id: str) -> dict[str, Any]:
    """Each reviewer's latest state before the merge as approval or rejection; every other review as it was."""
    # a pending review has no time: nobody but its writer sees it
    submitted = [review for review in reviews if review["state"] != "PENDING"]
    timely = [review for review in submitted if parse_instant(review["submittedAt"]) <= merged]
    timely.sort(key=lambda review: parse_instant(review["submittedAt"]))
    latest: dict[str, int] = {}
    for position, review in enumerate(timely):
        if review["state"] in _DECISIVE:
            # accounts that are gone cannot be told apart, so none of their reviews replaces another
            latest[_login(review["author"]) or f"deleted account {position}"] = position
    standing = set(latest.values())
    evidence: dict[str, Any] = {}
    for position, review in enumerate(timely):
        name = f"review-{position + 1}"
        evidence[name] = _review(review, position in standing, change_id)
        if body := (review.get("body") or "").strip():
            evidence[f"{name}-text"] = {"kind": "other", "text": body, "at": review["submittedAt"]}
    return evidence


def _review(review: dict[str, Any], stands: bool, change_id: str) -> dict[str, Any]:
    login = _login(review["author"])
    revision = (review.get("commit") or {}).get("oid")
    kind = (
        {"APPROVED": "approval", "CHANGES_REQUESTED": "rejection"}.get(review["state"], "other") if stands else "other"
    )
    text = (
        f"{change_id}: {review['state']} by {login or 'a deleted account'} ({review['authorAssociation']}) "
        f"at {review['submittedAt']} on {revision or 'an unnamed revision'}"
    )
    item = {"kind": kind, "text": text, "at": review["submittedAt"], "authority": review["authorAssociation"]}
    if login:
        item |= {"by": login, "is_bot": bool(review["author"].get("is_bot"))}
    return {**item, **({"revision": revision} if revision else {})}


def _checks(checks: list[dict[str, Any]], merged: datetime, head: str) -> dict[str, Any]:
    """The latest settled result of each check before the merge; checks run on the head of the pull request."""
    latest: dict[str, tuple[datetime, dict[str, Any]]] = {}
    for check in checks:
        name = " / ".join(filter(None, (check.get("workflowName"), check.get("name") or check.get("context"))))
        outcome = str(check.get("conclusion") or check.get("state") or "").casefold()
        at = check.get("completedAt") or check.get("startedAt")
        if not name or outcome not in _SETTLED or not at or at.startswith("0001") or parse_instant(at) > merged:
            continue
        if name not in latest or parse_instant(at) >= latest[name][0]:
            text = f"check {name}: conclusion {outcome} at {at} on {head}"
            item = {"kind": "test", "text": text, "at": at, "revision": head}
            if uri := check.get("detailsUrl") or check.get("targetUrl"):
                item["uri"] = uri
            latest[name] = (parse_instant(at), item)
    return {f"check {name}": item for name, (_, item) in sorted(latest.items())}


def _comments(comments: list[dict[str, Any]], merged: datetime) -> dict[str, Any]:
    evidence: dict[str, Any] = {}
    for position, comment in enumerate(comments):
        text = (comment.get("body") or "").strip()
        if text and parse_instant(comment["createdAt"]) <= merged:
            item = {"kind": "other", "text": text, "at": comment["createdAt"]}
            login = _login(comment["author"])
            evidence[f"comment-{position + 1}"] = {**item, "by": login} if login else item
    return evidence
