"""Tags as deployments, in real repositories."""

import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from countersign.changes.deployment import Deployment
from countersign.changes.sources import git_tags
from countersign.changes.sources.build import git_source
from countersign.changes.sources.deployments import DeploymentsSource
from countersign.changes.sources.git_tags import GitTagsSource
from countersign.changes.sources.interface import Item, Skipped, Source, Unreadable
from countersign.errors import SourceError
from countersign.policy import Policy
from tests.conftest import items_of
from tests.domain.changes.sources.test_git import START, Repository

COMMITTED = datetime.fromtimestamp(START + 3600, UTC)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "service")
    made.commit()
    return made


def annotated(repository: Repository, name: str, *, target: str = "", kind: str = "commit", time: str = "") -> None:
    lines = [
        f"object {target or repository.head}", f"type {kind}", f"tag {name}",
        f"tagger Example Releaser <releaser@example.com> {time or START + 7200} +0100", "", "ship it", "",
    ]  # fmt: skip
    tag = repository.git("hash-object", "-t", "tag", "-w", "--literally", "--stdin", content="\n".join(lines).encode())
    repository.git("update-ref", f"refs/tags/{name}", tag)


def source(repository: Repository, tags: str = "release-*") -> GitTagsSource:
    return GitTagsSource(repository.path, system="billing", tags=tags, environment="production")


def read(repository: Repository, tags: str = "release-*") -> list[Item]:
    tagged = source(repository, tags)
    items = items_of(tagged)
    assert (tagged.rows(), tagged.declared()) == ([len(items)], None)
    return items


def test_an_annotated_tag_names_its_tagger_and_its_time(repository: Repository) -> None:
    annotated(repository, "release-1")
    (item,) = read(repository)
    at = datetime.fromtimestamp(START + 7200, UTC)
    where, by = f"{repository.path}@release-1", "Example Releaser <releaser@example.com>"
    assert item == Deployment(where, "release-1", "production", "billing", repository.head, at, by)


def test_a_lightweight_tag_has_nobody_and_the_time_of_its_commit(repository: Repository) -> None:
    repository.git("tag", "release-2")
    (item,) = read(repository)
    assert isinstance(item, Deployment)
    assert (item.by, item.at, item.revision) == (None, COMMITTED, repository.head)


def test_only_the_tags_that_the_pattern_names_deploy(repository: Repository) -> None:
    for name in ("release-1", "prod/1", "draft"):
        repository.git("tag", name)
    assert [item.id for item in read(repository) if isinstance(item, Deployment)] == ["release-1"]
    assert [item.id for item in read(repository, "prod/*") if isinstance(item, Deployment)] == ["prod/1"]
    assert read(repository, "none-*") == []


def test_a_tag_of_something_else_is_counted_apart(repository: Repository) -> None:
    tree = repository.git("rev-parse", "HEAD^{tree}")
    annotated(repository, "release-tree", target=tree, kind="tree")
    repository.git("update-ref", "refs/tags/release-bare", tree)
    items = read(repository)
    assert [(type(item), getattr(item, "reason", "")) for item in items] == [(Skipped, "the tag names no commit")] * 2


@pytest.mark.parametrize(
    ("name", "time", "said"),
    [("release-x", "9" * 18, "a time that is none"), ("release-" + "x" * 190, "", "id: makes a change id")],
    ids=["time", "name"],
)
def test_a_tag_that_is_no_deployment_is_refused_alone(name: str, time: str, said: str, repository: Repository) -> None:
    annotated(repository, name, time=time)
    repository.git("tag", "release-1")
    items = read(repository)
    (unreadable,) = [item for item in items if isinstance(item, Unreadable)]
    assert said in unreadable.reason
    assert len(items) == 2


def test_a_tag_that_moved_changes_the_state_and_one_elsewhere_does_not(repository: Repository) -> None:
    repository.git("tag", "release-1")
    before = source(repository).state()
    repository.git("tag", "draft")
    assert source(repository).state() == before
    repository.commit()
    repository.git("tag", "-f", "release-1")
    assert source(repository).state() != before


def test_what_is_no_whole_repository_is_an_error(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit()
    repository.git("tag", "release-1")
    repository.git("clone", "-q", "--depth", "1", f"file://{repository.path}", str(tmp_path / "shallow"))
    with pytest.raises(SourceError, match="a shallow clone lacks older commits"):
        items_of(GitTagsSource(tmp_path / "shallow", system="billing", tags="*", environment="production"))
    with pytest.raises(SourceError, match="git cannot read it"):
        items_of(GitTagsSource(tmp_path, system="billing", tags="*", environment="production"))
    monkeypatch.setattr(git_tags, "git_into", lambda path, asked, file: file.write(b"release-1\0commit"))
    with pytest.raises(SourceError, match="git stopped in the middle of a tag"):
        read(repository)


def test_whatever_is_fetched_is_private_from_its_first_byte(
    repository: Repository, policy: Policy, tmp_path: Path
) -> None:
    """What a crash leaves of a fetch lies in the evidence root."""
    export = tmp_path / "deployments.jsonl"
    export.write_text("{}\n")
    export.chmod(0o644)
    sources: list[Source] = [source(repository), git_source(policy, repository.path)]
    sources.append(DeploymentsSource(export, policy.limits))
    for number, each in enumerate(sources):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert {stat.S_IMODE(raw.path.stat().st_mode) for raw in each.fetch(folder)} == {0o600}
