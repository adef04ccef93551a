"""An export of pull requests as changes: what was there at the merge, and nothing that came later."""

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from countersign.changes.payload import accept
from countersign.changes.sources.build import github_source
from countersign.changes.sources.github import EXPORT
from countersign.changes.sources.interface import Item, Record, Skipped, Unreadable
from countersign.errors import SourceError
from countersign.policy import Policy
from tests.conftest import POLICY, items_of

HEAD, OLD = "4f2a9c1d7e" + "0" * 30, "5" * 40
BEFORE, AT, AFTER = "2026-11-20T09:00:00Z", "2026-11-20T10:00:00Z", "2026-11-20T10:00:01Z"


def pull_request(**changes: Any) -> dict[str, Any]:
    author = {"login": "maker", "name": "Example Maker", "email": "maker@example.com"}
    whole: dict[str, Any] = {
        "number": 7, "title": "Raise the limit", "body": "It is too low.", "state": "MERGED",
        "url": "https://git.example/owner/service/pull/7", "author": {"login": "maker", "is_bot": False},
        "createdAt": "2026-11-19T10:00:00Z", "mergedAt": AT, "mergedBy": {"login": "deployer"},
        "mergeCommit": {"oid": "9" * 40}, "baseRefName": "main", "headRefOid": HEAD, "labels": [], "reviews": [],
        "commits": [{"oid": HEAD, "authors": [author]}], "comments": [],
    }  # fmt: skip
    return {**whole, **changes}


def review(login: str | None, state: str, at: str | None = BEFORE, **changes: Any) -> dict[str, Any]:
    account = {"login": login} if login else None
    whole = {"author": account, "authorAssociation": "MEMBER", "body": "", "submittedAt": at, "state": state}
    return {**whole, "commit": {"oid": HEAD}, **changes}


def check(name: str, conclusion: str | None, at: str = BEFORE, **changes: Any) -> dict[str, Any]:
    whole = {"name": name, "workflowName": "ci", "conclusion": conclusion, "startedAt": at, "completedAt": at}
    return {**whole, "detailsUrl": f"https://ci.example/{name}", **changes}


def comment(body: str, at: str = BEFORE, login: str | None = "observer") -> dict[str, Any]:
    return {"author": {"login": login} if login else None, "body": body, "createdAt": at}


Read = Callable[..., list[Item]]


@pytest.fixture
def read(tmp_path: Path, policy: Policy) -> Read:
    def items(*pull_requests: Any, policy: Policy = policy) -> list[Item]:
        (tmp_path / "export.json").write_text(json.dumps(pull_requests))
        source = github_source(policy, tmp_path / "export.json")
        found = items_of(source)
        assert source.declared() == len(pull_requests)
        assert source.rows() == [len(pull_requests)]
        return found

    return items


@pytest.fixture
def payload(read: Read, policy: Policy) -> Callable[..., dict[str, Any]]:
    def only(**changes: Any) -> dict[str, Any]:
        (item,) = read(pull_request(**changes))
        assert isinstance(item, Record)
        accept(item.payload, policy.limits)
        return dict(item.payload)

    return only


Only = Callable[..., dict[str, Any]]


def kinds(payload: dict[str, Any], *names: str) -> list[tuple[str, str | None]]:
    """Kind and giver of the evidence items of these names' beginnings, in order."""
    items = [item for name, item in payload["evidence"].items() if name.startswith(names)]
    return [(item["kind"], item.get("by")) for item in items]


def test_a_merged_pull_request_is_a_change(payload: Only) -> None:
    change = payload()
    evidence = change.pop("evidence")
    assert change == {
        "id": "owner:service#7", "system": "owner/service", "summary": "Raise the limit", "author": "maker",
        "contributors": [], "change_type": "normal", "requested_at": "2026-11-19T10:00:00Z", "revision": HEAD,
        "deployed_at": AT, "deployed_by": "deployer",
    }  # fmt: skip
    assert set(evidence) == {"merge", "description"}
    assert evidence["description"] == {"kind": "ticket", "text": "It is too low.", "at": "2026-11-19T10:00:00Z"}
    text = f"owner:service#7 merged into main by deployer at {AT} as {'9' * 40}, head {HEAD}"
    assert (evidence["merge"]["kind"], evidence["merge"]["text"]) == ("deployment", text)


REVIEWS: dict[str, tuple[list[dict[str, Any]], list[tuple[str, str | None]]]] = {
    "approved": ([review("checker", "APPROVED")], [("approval", "checker")]),
    "at_the_instant_of_the_merge": ([review("checker", "APPROVED", AT)], [("approval", "checker")]),
    "after_the_merge": ([review("checker", "APPROVED", AFTER)], []),
    "changes_requested_stand": ([review("checker", "CHANGES_REQUESTED")], [("rejection", "checker")]),
    "approved_after_changes_requested": (
        [review("checker", "APPROVED"), review("checker", "CHANGES_REQUESTED", "2026-11-20T08:00:00Z")],
        [("other", "checker"), ("approval", "checker")],
    ),
    "changes_requested_after_approved": (
        [review("checker", "APPROVED", "2026-11-20T08:00:00Z"), review("checker", "CHANGES_REQUESTED")],
        [("other", "checker"), ("rejection", "checker")],
    ),
    "changes_requested_beside_the_approval_of_another": (
        [review("checker", "CHANGES_REQUESTED"), review("reviewer", "APPROVED")],
        [("rejection", "checker"), ("approval", "reviewer")],
    ),
    "a_comment_replaces_nothing": (
        [review("checker", "APPROVED", "2026-11-20T08:00:00Z"), review("checker", "COMMENTED")],
        [("approval", "checker"), ("other", "checker")],
    ),
    "withdrawn_only_after_the_merge": (
        [review("checker", "APPROVED"), review("checker", "CHANGES_REQUESTED", AFTER)], [("approval", "checker")],
    ),
    "dismissed": ([review("checker", "DISMISSED")], [("other", "checker")]),
    "dismissed_after_approved": (
        [review("checker", "APPROVED", "2026-11-20T08:00:00Z"), review("checker", "DISMISSED")],
        [("other", "checker"), ("other", "checker")],
    ),
    "deleted_account": ([review(None, "APPROVED")], [("approval", None)]),
    "login_null": ([review(None, "APPROVED", author={"login": None})], [("approval", None)]),
    "deleted_accounts_replace_nothing": (
        [review(None, "CHANGES_REQUESTED", "2026-11-20T08:00:00Z"), review(None, "APPROVED")],
        [("rejection", None), ("approval", None)],
    ),
    "pending": ([review("checker", "PENDING", None), review("reviewer", "APPROVED")], [("approval", "reviewer")]),
}  # fmt: skip


@pytest.mark.parametrize("case", REVIEWS)
def test_the_latest_state_of_each_reviewer_before_the_merge_counts(case: str, payload: Only) -> None:
    reviews, expected = REVIEWS[case]
    assert kinds(payload(reviews=reviews), "review") == expected


def test_a_review_carries_revision_authority_and_whether_it_is_a_bots(payload: Only) -> None:
    bot = {"login": "helper", "is_bot": True}
    reviews = [
        review("checker", "APPROVED", "2026-11-20T08:00:00Z", commit={"oid": OLD}, authorAssociation="NONE"),
        review(None, "APPROVED", author=bot, commit=None, body=" well done "),
    ]
    evidence = payload(reviews=reviews)["evidence"]
    assert evidence["review-1"] == {
        "kind": "approval", "by": "checker", "at": "2026-11-20T08:00:00Z", "authority": "NONE", "is_bot": False,
        "revision": OLD, "text": f"owner:service#7: APPROVED by checker (NONE) at 2026-11-20T08:00:00Z on {OLD}",
    }  # fmt: skip
    assert evidence["review-2"]["is_bot"] is True
    assert "revision" not in evidence["review-2"]
    assert evidence["review-2"]["text"].endswith("on an unnamed revision")
    assert evidence["review-2-text"] == {"kind": "other", "text": "well done", "at": BEFORE}


CHECKS: dict[str, tuple[list[dict[str, Any]], dict[str, str]]] = {
    "success": ([check("build", "SUCCESS")], {"check ci / build": "success"}),
    "failure": ([check("build", "FAILURE")], {"check ci / build": "failure"}),
    "repeated": ([check("b", "FAILURE", "2026-11-20T08:00:00Z"), check("b", "SUCCESS")], {"check ci / b": "success"}),
    "broken": ([check("b", "FAILURE"), check("b", "SUCCESS", "2026-11-19T08:00:00Z")], {"check ci / b": "failure"}),
    "each_by_its_name": (
        [check("py310", "FAILURE"), check("py311", "SUCCESS")],
        {"check ci / py310": "failure", "check ci / py311": "success"},
    ),
    "not_settled": ([check("b", "SKIPPED"), check("c", "NEUTRAL"), check("d", ""), check("e", None)], {}),
    "after_the_merge": ([check("build", "FAILURE", AFTER)], {}),
    "never_ran": ([check("build", "SUCCESS", "0001-01-01T00:00:00Z")], {}),
    "without_a_name": ([check("", "SUCCESS", workflowName="")], {}),
    "status_of_another_system": (
        [{"context": "scan", "state": "SUCCESS", "startedAt": BEFORE, "targetUrl": "https://scan.example/1"}],
        {"check scan": "success"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CHECKS)
def test_the_latest_settled_result_of_each_check_before_the_merge_counts(case: str, payload: Only) -> None:
    checks, expected = CHECKS[case]
    evidence = payload(statusCheckRollup=checks)["evidence"]
    found = {name: item for name, item in evidence.items() if name.startswith("check")}
    assert set(found) == set(expected)
    for name, outcome in expected.items():
        assert (found[name]["kind"], found[name]["revision"]) == ("test", HEAD)
        assert found[name]["uri"].startswith("https://")
        assert f"{name}: conclusion {outcome} at " in found[name]["text"]


@pytest.mark.parametrize(
    ("label", "expected"), [("HotFix", "emergency"), ("emergency", "emergency"), ("bug", "normal")]
)
def test_a_label_makes_an_emergency_where_the_policy_says_so(label: str, expected: str, payload: Only) -> None:
    assert payload(labels=[{"name": "other"}, {"name": label}])["change_type"] == expected


def test_labels_mean_nothing_where_the_policy_names_none(read: Read, policy: Policy) -> None:
    (item,) = read(pull_request(labels=[{"name": "hotfix"}]), policy=policy.model_copy(update={"emergency_labels": []}))
    assert isinstance(item, Record)
    assert item.payload["change_type"] == "normal"


def test_deleted_accounts_and_blank_words_are_said_and_never_guessed(payload: Only) -> None:
    change = payload(author=None, mergedBy=None, mergeCommit=None, title="  ", body=None, commits=[])
    assert (change["author"], change["summary"]) == ("(deleted account)", "(no title)")
    assert "deployed_by" not in change
    merge = change["evidence"]["merge"]
    assert "by a deleted account" in merge["text"]
    assert "as an unnamed commit" in merge["text"]
    assert set(change["evidence"]) == {"merge"}
    assert "by" not in merge


def test_contributors_are_every_commit_author_in_the_form_that_says_most(payload: Only) -> None:
    people = [
        {"login": "maker", "name": "x", "email": "x@example.com"},
        {"login": "", "name": "Example Observer", "email": "observer@example.com"},
        {"login": "", "name": "Some Body", "email": ""},
        {"login": "", "name": "", "email": ""},
        {"login": "observer", "name": "x", "email": "x@example.com"},
    ]
    commits = [{"oid": HEAD, "authors": people}, {"oid": OLD, "authors": people[-1:]}]
    assert payload(commits=commits)["contributors"] == [
        "Example Observer <observer@example.com>", "Some Body", "(unknown commit author)", "observer",
    ]  # fmt: skip


def test_comments_before_the_merge_are_kept_as_they_are_and_approve_nothing(payload: Only) -> None:
    comments = [comment("approved"), comment("so do I", AT, None), comment(" \n"), comment("too late", AFTER)]
    assert kinds(payload(comments=comments), "comment") == [("other", "observer"), ("other", None)]


def test_what_comes_after_the_merge_gives_the_same_payload(read: Read, policy: Policy) -> None:
    """Invariant 1: a later export of the same pull request is the same run."""
    first = pull_request(
        reviews=[review("checker", "APPROVED")], comments=[comment("fine")], statusCheckRollup=[check("b", "SUCCESS")]
    )
    later = deepcopy(first)
    later["reviews"].append(review("checker", "CHANGES_REQUESTED", AFTER, body="oh no"))
    later["comments"].append(comment("after the fact", AFTER))
    later["statusCheckRollup"] += [check("b", "FAILURE", AFTER), check("nightly", "FAILURE", AFTER)]
    later["closedAt"] = AFTER
    digests = [accept(item.payload, policy.limits).digest for item in read(first, later) if isinstance(item, Record)]
    assert len(digests) == 2
    assert digests[0] == digests[1]


def test_a_merge_deploys_only_where_the_policy_says_so(read: Read, policy: Policy) -> None:
    (item,) = read(pull_request(), policy=policy.model_copy(update={"merge_deploys": ["owner/other"]}))
    assert isinstance(item, Record)
    assert item.payload["evidence"]["merge"]["kind"] == "ticket"
    assert not {"deployed_at", "deployed_by"} & set(item.payload)


def test_a_pull_request_that_was_not_merged_is_skipped_with_its_reason(read: Read) -> None:
    open_, merged = pull_request(number=8, state="OPEN", mergedAt=None), pull_request()
    assert [type(item) for item in read(open_, merged)] == [Skipped, Record]
    (skipped,) = read(pull_request(state="CLOSED", mergedAt=None))
    assert isinstance(skipped, Skipped)
    assert (skipped.change_id, skipped.reason) == ("owner:service#7", "not merged (state CLOSED)")


FIELDS = [field for field in pull_request() if field != "body"]


@pytest.mark.parametrize("field", FIELDS)
def test_an_export_without_a_field_is_refused_and_says_how_to_export(field: str, read: Read) -> None:
    """`body` may be missing, and so may the checks: older exports have none."""
    broken = {name: value for name, value in pull_request().items() if name != field}
    items = read(broken, pull_request())
    assert [type(item) for item in items] == [Unreadable, Record]
    assert isinstance(items[0], Unreadable)
    assert (
        f"lacks the field '{field}'; export with `gh pr list --state merged --limit 100000 --json number,"
        in items[0].reason
    )
    assert items[0].change_id == (None if field == "number" else "7")
    assert json.loads(items[0].content) == broken


@pytest.mark.parametrize(
    "odd",
    [{"mergedAt": "yesterday"}, {"url": "https://git.example/7"}, {"reviews": [review("checker", "APPROVED", None)]},
     {"commits": None}, {"title": None}, {"author": "maker"}],
    ids=["time", "url", "review_without_time", "commits_null", "title_null", "author_text"],
)  # fmt: skip
def test_an_odd_field_is_refused_and_the_others_go_on(odd: dict[str, Any], read: Read) -> None:
    items = read(pull_request(**odd), "text", pull_request())
    assert [type(item) for item in items] == [Unreadable, Unreadable, Record]
    assert all("has an odd field: " in item.reason for item in items if isinstance(item, Unreadable))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (json.dumps([pull_request()]).encode()[:-1], "not JSON: .*; export it again, whole"),
        (b"", "not JSON: .*; export it again, whole"),
        (b'[{"number": 1, "number": 2}]', "given twice"),
        (b"[\xff]", "not UTF-8"),
        (b"{}", "not a list; export with `gh pr list"),
    ],
    ids=["truncated", "empty", "duplicate_keys", "not_utf8", "not_a_list"],
)
def test_a_damaged_export_is_an_error_and_not_a_smaller_population(
    content: bytes, says: str, tmp_path: Path, policy: Policy
) -> None:
    (tmp_path / "export.json").write_bytes(content)
    source = github_source(policy, tmp_path / "export.json")
    with pytest.raises(SourceError, match=says):
        items_of(source)


def test_a_missing_export_is_an_error(tmp_path: Path, policy: Policy) -> None:
    source = github_source(policy, tmp_path / "export.json")
    for reading in (source.state, lambda: items_of(source)):
        with pytest.raises(SourceError, match=r"export\.json: cannot be read: No such file"):
            reading()


def test_state_differs_with_the_file(tmp_path: Path, policy: Policy) -> None:
    path = tmp_path / "export.json"
    path.write_text("[]")
    before = github_source(policy, path).state()
    assert github_source(policy, path).state() == before
    path.write_text("[ ]")
    assert github_source(policy, path).state() != before


def test_the_readme_exports_what_is_read_and_not_only_thirty() -> None:
    readme = POLICY.with_name("README.md").read_text(encoding="utf-8")
    assert EXPORT in readme.replace("\\\n", "")
    assert " --limit " in EXPORT
