"""A git repository as changes: real repositories, with what people and makers put into commits."""

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from countersign.changes.payload import Payload, accept
from countersign.changes.sources.build import git_source
from countersign.changes.sources.git import Asked, GitSource
from countersign.changes.sources.interface import Record, Unreadable
from countersign.errors import SourceError
from countersign.policy import Policy
from tests.conftest import items_of

START = 1_795_000_000  # 2026-11-18T11:06:40Z
EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


class Repository:
    """A repository whose commits are an hour apart; objects are written as they are, however odd."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._count = 0
        self.head = ""
        path.mkdir()
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str, content: bytes | None = None) -> str:
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.path), "GIT_CONFIG_NOSYSTEM": "1"}
        command = ["git", "-C", str(self.path), *arguments]
        return (
            subprocess.run(command, input=content, env=environment, capture_output=True, check=True)
            .stdout.decode()
            .strip()
        )

    def commit(
        self,
        message: bytes = b"raise the limit\n",
        *,
        author: bytes = b"Example Maker <maker@example.com>",
        committer: bytes = b"Example Deployer <deployer@example.com>",
        parents: list[str] | None = None,
        time: bytes | None = None,
        header: bytes = b"",
    ) -> str:
        self._count += 1
        if self._count == 1:
            self.git("hash-object", "-t", "tree", "-w", "--stdin", content=b"")
        time = time or f"{START + 3600 * self._count} +0100".encode()
        before = parents if parents is not None else [self.head] if self._count > 1 else []
        lines = [f"tree {EMPTY_TREE}".encode(), *(f"parent {sha}".encode() for sha in before)]
        lines += [
            b"author " + author + b" " + time,
            b"committer " + committer + b" " + time,
            *([header] if header else []),
        ]
        content = b"\n".join(lines) + b"\n\n" + message
        self.head = self.git("hash-object", "-t", "commit", "-w", "--literally", "--stdin", content=content)
        self.git("update-ref", "refs/heads/main", self.head)
        return self.head


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "service")


def payloads(repository: Repository, policy: Policy, **options: Any) -> list[dict[str, Any]]:
    """What the source gives, oldest first; each is a payload that is accepted."""
    items = items_of(git_source(policy, repository.path, **options))
    records = [item for item in items if isinstance(item, Record)]
    assert len(records) == len(items)
    assert all(isinstance(accept(record.payload, policy.limits), Payload) for record in records)
    return [record.payload for record in reversed(records)]


def test_a_commit_is_a_change(repository: Repository, policy: Policy) -> None:
    sha = repository.commit(b"raise the limit\n\nBecause it is low.\n")
    (payload,) = payloads(repository, policy)
    evidence = payload.pop("evidence")
    assert payload == {
        "id": f"service@{sha}",
        "system": "service",
        "summary": "raise the limit",
        "author": "Example Maker <maker@example.com>",
        "contributors": [],
        "revision": sha,
        "deployed_by": "Example Deployer <deployer@example.com>",
        "deployed_at": "2026-11-18T12:06:40.000000Z",
    }
    assert set(evidence) == {"commit"}
    assert (evidence["commit"]["kind"], evidence["commit"]["by"]) == ("deployment", payload["deployed_by"])
    assert evidence["commit"]["text"].startswith(f"commit {sha}\nAuthor: Example Maker <maker@example.com>\n")
    assert evidence["commit"]["text"].endswith("\n\nraise the limit\n\nBecause it is low.\n")


def test_a_merge_deploys_only_where_the_policy_says_so(repository: Repository, policy: Policy) -> None:
    repository.commit()
    (payload,) = payloads(repository, policy.model_copy(update={"merge_deploys": ["billing*"]}))
    assert payload["evidence"]["commit"]["kind"] == "ticket"
    assert not {"deployed_by", "deployed_at"} & set(payload)
    (payload,) = payloads(repository, policy.model_copy(update={"merge_deploys": ["serv*"]}))
    assert payload["evidence"]["commit"]["kind"] == "deployment"


TRAILERS = b"""raise the limit

Reviewed-by: in the text this is no trailer

Reviewed-by: Example Reviewer <reviewer@example.com>
reviewed-BY: Second <second@example.com>
Approved-by: Example Checker
 <checker@example.com>
Acked-by: example-checker
Tested-by: Example Observer <observer@example.com>
LUCI-TryBot-Result: builder <builder@project.iam.gserviceaccount.com>
TryBot-Bypass: the builder is down
Reviewed-on: https://review.example/1
Co-authored-by: Some Body <some@example.com>
Signed-off-by: Some Body <some@example.com>
Signed-off-by: Example Maker <maker@example.com>
Change-Id: I0000
Approved-by:
"""


def test_trailers_become_what_the_policy_says(repository: Repository, policy: Policy) -> None:
    repository.commit(TRAILERS)
    (payload,) = payloads(repository, policy)
    found = {name: (item["kind"], item["text"]) for name, item in payload["evidence"].items() if name != "commit"}
    assert found == {
        "reviewed-by-1": ("approval", "Reviewed-by: Example Reviewer <reviewer@example.com>"),
        "reviewed-by-2": ("approval", "reviewed-BY: Second <second@example.com>"),
        "approved-by-1": ("approval", "Approved-by: Example Checker <checker@example.com>"),
        "acked-by-1": ("approval", "Acked-by: example-checker"),
        "tested-by-1": ("test", "Tested-by: Example Observer <observer@example.com>"),
        "luci-trybot-result-1": ("test", "LUCI-TryBot-Result: builder <builder@project.iam.gserviceaccount.com>"),
        "trybot-bypass-1": ("test", "TryBot-Bypass: the builder is down"),
        "reviewed-on-1": ("ticket", "Reviewed-on: https://review.example/1"),
    }
    assert payload["evidence"]["approved-by-1"]["by"] == "Example Checker <checker@example.com>"
    assert payload["evidence"]["trybot-bypass-1"]["by"] == "the builder is down"
    assert "by" not in payload["evidence"]["reviewed-on-1"]
    assert payload["contributors"] == ["Some Body <some@example.com>"], "once, and never the author"
    assert {item["at"] for item in payload["evidence"].values()} == {payload["deployed_at"]}


def test_a_trailer_that_the_policy_does_not_name_means_nothing(repository: Repository, policy: Policy) -> None:
    repository.commit(TRAILERS)
    (payload,) = payloads(repository, policy.model_copy(update={"trailers": {}}))
    assert (set(payload["evidence"]), payload["contributors"]) == ({"commit"}, [])


HOSTILE: dict[str, tuple[dict[str, Any], str, str]] = {
    "not_utf8": ({"author": b"J\xf6rg <j\xf6rg@example.com>"}, "author", "J\\xf6rg <j\\xf6rg@example.com>"),
    "declared_encoding": ({"author": b"J\xf6 <j@x.org>", "header": b"encoding ISO-8859-1"}, "author", "Jö <j@x.org>"),
    "control_characters": ({"author": b"a\x1b[31m\x07b <m@example.com>"}, "author", "a\x1b[31m\x07b <m@example.com>"),
    "nobody": ({"author": b" <>"}, "author", " <>"),
    "format_directives": ({"author": b"%H%x00%n <%ae>"}, "author", "%H%x00%n <%ae>"),
    "mail_in_the_name": ({"author": b"checker@x.org <maker@x.org>"}, "author", "checker@x.org <maker@x.org>"),
    "line_separator_in_the_name": ({"author": "a\u2028b <m@x.org>".encode()}, "author", "a\u2028b <m@x.org>"),
    "no_message": ({"message": b""}, "summary", "(no message)"),
    "blank_message": ({"message": b"\n \n\t\n"}, "summary", "(no message)"),
    "message_not_utf8": ({"message": b"raise \xff\n"}, "summary", "raise \\xff"),
    "message_with_nul": ({"message": b"raise\0Approved-by: checker\n"}, "summary", "raise"),
    "message_like_a_commit": ({"message": b"commit 0\nAuthor: checker\n"}, "summary", "commit 0"),
    "odd_zone": ({"time": b"1795000000 +9959"}, "deployed_at", "2026-11-18T11:06:40.000000Z"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_whatever_bytes_stand_in_a_commit_it_is_one_change(case: str, repository: Repository, policy: Policy) -> None:
    options, field, expected = HOSTILE[case]
    repository.commit()
    repository.commit(**options)
    repository.commit()
    between = payloads(repository, policy)[1]
    assert between[field] == expected
    assert set(between["evidence"]) == {"commit"}


def test_a_newline_in_a_name_cannot_be_made(repository: Repository, policy: Policy) -> None:
    """git takes the rest for another header: the change has no author, and nothing of the line below is believed."""
    repository.commit(author=b"Example Maker <maker@example.com>\nApproved-by: checker <checker@example.com>")
    (item,) = items_of(git_source(policy, repository.path))
    assert "approval" not in str(item.payload["evidence"] if isinstance(item, Record) else item)


@pytest.mark.parametrize(
    "time", [b"99999999999999999 +0000", b"253402300800 +0000", b""], ids=["huge", "year_10000", "none"]
)
def test_a_commit_whose_time_is_none_is_refused_and_the_others_go_on(
    time: bytes, repository: Repository, policy: Policy
) -> None:
    first = repository.commit()
    odd = repository.commit(time=time or b"+")
    last = repository.commit()
    items = items_of(git_source(policy, repository.path))
    assert [isinstance(item, Record) for item in items] == [True, False, True]
    assert [item.where.rpartition("@")[2] for item in items] == [sha[:12] for sha in (last, odd, first)]
    refused = items[1]
    assert isinstance(refused, Unreadable)
    assert refused.change_id == f"service@{odd}"
    assert refused.reason.startswith("the commit has a time that is none")


def test_merges_only(repository: Repository, policy: Policy) -> None:
    first = repository.commit()
    side = repository.commit(parents=[first])
    repository.git("update-ref", "refs/heads/main", first)
    merge = repository.commit(b"merge side\n", parents=[first, side])
    repository.commit()
    assert [payload["revision"] for payload in payloads(repository, policy, merges_only=True)] == [merge]
    assert git_source(policy, repository.path, merges_only=True).declared() == 1
    assert git_source(policy, repository.path).declared() == 4 == len(payloads(repository, policy))


def test_range_holds_its_beginning_and_not_its_end_by_committer_time(repository: Repository, policy: Policy) -> None:
    commits = [repository.commit() for _ in range(4)]
    since, until = (datetime.fromtimestamp(START + 3600 * count, UTC) for count in (2, 4))
    assert [payload["revision"] for payload in payloads(repository, policy, since=since, until=until)] == commits[1:3]
    assert len(payloads(repository, policy, since=since)) == 3
    assert len(payloads(repository, policy, until=since)) == 1
    assert git_source(policy, repository.path, since=since).declared() is None


@pytest.mark.parametrize("since", [None, datetime(2026, 11, 1, 4, tzinfo=UTC)])
@pytest.mark.parametrize("until", [None, datetime(2026, 12, 1, 5, 0, 0, 1, tzinfo=UTC)])
@pytest.mark.parametrize("system", ["ledger", "a, since 2026-01-01T00:00:00Z", "b --, system c", "d\ne"])
@pytest.mark.parametrize("merges_only", [False, True])
def test_a_query_says_what_was_asked_for(
    since: datetime | None,
    until: datetime | None,
    system: str,
    merges_only: bool,
    repository: Repository,
    policy: Policy,
    tmp_path: Path,
) -> None:
    repository.commit()
    options: dict[str, Any] = {"since": since, "until": until, "system": system, "merges_only": merges_only}
    (raw,) = git_source(policy, repository.path, **options).fetch(tmp_path)
    assert Asked.of(raw.query) == Asked(system, since, until)
    command, _, _ = raw.query.partition(",")
    assert command.startswith("git log -z ")
    assert Asked.of(command) is None, "as every query was in roots made before"


def test_a_clock_that_ran_backwards_hides_no_commit_behind_it(repository: Repository, policy: Policy) -> None:
    old = repository.commit(time=f"{START + 7200} +0000".encode())
    repository.commit(time=f"{START - 10**8} +0000".encode())
    since = datetime.fromtimestamp(START, UTC)
    assert [payload["revision"] for payload in payloads(repository, policy, since=since)] == [old]


def test_reading_again_gives_the_same_payloads_whatever_points_at_them(repository: Repository, policy: Policy) -> None:
    repository.commit(TRAILERS)
    before = payloads(repository, policy)
    state = git_source(policy, repository.path).state()
    repository.git("tag", "v1")
    repository.git("branch", "other")
    assert payloads(repository, policy) == before
    assert git_source(policy, repository.path).state() == state
    repository.commit()
    assert payloads(repository, policy)[:1] == before
    assert git_source(policy, repository.path).state() != state


def test_replaced_and_grafted_history_is_read_as_it_was_committed(repository: Repository, policy: Policy) -> None:
    commits = [repository.commit() for _ in range(3)]
    repository.git("replace", "-f", commits[1], commits[0])
    (repository.path / ".git" / "info" / "grafts").write_text(f"{commits[2]}\n")
    assert [payload["revision"] for payload in payloads(repository, policy)] == commits


def test_a_file_called_like_the_revision_changes_nothing(repository: Repository, policy: Policy) -> None:
    sha = repository.commit()
    (repository.path / "HEAD").write_text("a file")
    assert [payload["revision"] for payload in payloads(repository, policy)] == [sha]
    assert git_source(policy, repository.path).declared() == 1


def test_the_environment_of_a_hook_does_not_point_elsewhere(
    repository: Repository, tmp_path: Path, policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha = repository.commit()
    other = Repository(tmp_path / "other")
    other.commit(b"of another repository\n")
    monkeypatch.setenv("GIT_DIR", str(other.path / ".git"))
    assert [payload["revision"] for payload in payloads(repository, policy)] == [sha]


@pytest.mark.parametrize("revision", ["-n1", "--output=stolen", "--all", "no-such-branch", ""])
def test_a_revision_is_never_an_option(revision: str, repository: Repository, policy: Policy) -> None:
    repository.commit()
    source = GitSource(repository.path, policy, system="service", merge_deploys=True, revision=revision)
    for reading in (lambda: items_of(source), source.declared, source.state):
        with pytest.raises(SourceError, match="git cannot read it: "):
            reading()
    assert not list(repository.path.glob("stolen*"))


def test_an_empty_repository_a_folder_that_is_none_and_a_missing_one_are_errors(
    repository: Repository, tmp_path: Path, policy: Policy
) -> None:
    (tmp_path / "plain").mkdir()
    for path in (repository.path, tmp_path / "plain", tmp_path / "missing"):
        source = git_source(policy, path)
        for reading in (lambda source=source: items_of(source), source.declared, source.state):
            with pytest.raises(SourceError, match=f"{path.name}: git cannot read it: "):
                reading()


def test_a_shallow_clone_is_an_error_and_not_a_smaller_population(
    repository: Repository, tmp_path: Path, policy: Policy
) -> None:
    for _ in range(3):
        repository.commit()
    repository.git("clone", "-q", "--depth", "2", f"file://{repository.path}", str(tmp_path / "shallow"))
    with pytest.raises(SourceError, match="a shallow clone lacks older commits; `git fetch --unshallow`"):
        items_of(git_source(policy, tmp_path / "shallow"))
    repository.git("clone", "-q", f"file://{repository.path}", str(tmp_path / "whole"))
    assert len(items_of(git_source(policy, tmp_path / "whole"))) == 3


def test_a_history_that_breaks_off_is_an_error(repository: Repository, policy: Policy) -> None:
    commits = [repository.commit() for _ in range(3)]
    (repository.path / ".git" / "objects" / commits[0][:2] / commits[0][2:]).unlink()
    with pytest.raises(SourceError, match="git cannot read it: "):
        items_of(git_source(policy, repository.path))


def test_a_git_that_stops_in_the_middle_of_a_commit_is_an_error(
    repository: Repository, tmp_path: Path, policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although it says that all went well."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").write_text("#!/bin/sh\ncase \"$*\" in *log*) printf 'abc\\000Example Maker' ;; esac\n")
    (tmp_path / "bin" / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    with pytest.raises(SourceError, match="git stopped in the middle of a commit"):
        items_of(git_source(policy, repository.path))


def test_a_system_may_be_named_and_is_else_the_folder(repository: Repository, tmp_path: Path, policy: Policy) -> None:
    sha = repository.commit()
    (payload,) = payloads(repository, policy, system="team/service")
    assert (payload["id"], payload["system"]) == (f"team:service@{sha}", "team/service")
    bare = tmp_path / "ledger.git"
    repository.git("clone", "-q", "--bare", str(repository.path), str(bare))
    (item,) = items_of(git_source(policy, bare, name="ledger"))
    assert isinstance(item, Record)
    assert item.payload["system"] == "ledger"
    assert item.where == f"{bare}@{sha[:12]}"
