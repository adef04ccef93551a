"""From the policy's entries to sources."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from countersign.changes.sources.build import git_source, github_source, merge_deploys, origin_of, source_of
from countersign.changes.sources.deployments import DeploymentsSource
from countersign.changes.sources.files import FilesSource
from countersign.changes.sources.git import Asked, GitSource
from countersign.changes.sources.git_tags import GitTagsSource
from countersign.changes.sources.github import GithubSource
from countersign.changes.sources.servicenow import ServicenowSource
from countersign.errors import PolicyError
from countersign.policy import Policy, SourceSpec

TAGS = {"system": "billing", "tags": "release-*"}


@pytest.mark.parametrize(
    ("adapter", "kind"),
    [
        ("files", FilesSource),
        ("git", GitSource),
        ("github", GithubSource),
        ("deployments", DeploymentsSource),
        ("git_tags", GitTagsSource),
    ],
)
def test_each_adapter_has_its_source_under_the_name_of_the_entry(adapter: str, kind: type, policy: Policy) -> None:
    spec = SourceSpec.model_validate({"name": "entry", "adapter": adapter, "path": "somewhere", **TAGS})
    source = source_of(policy, spec, Path("/base"))
    assert isinstance(source, kind)
    assert (source.name, source.adapter) == ("entry", adapter)
    assert "/base/somewhere" in str(vars(source))


def test_since_is_read_with_its_zone_or_refused(policy: Policy) -> None:
    spec = SourceSpec(name="entry", adapter="git", path=".", since="2026-11-01T00:00:00-04:00")
    source = source_of(policy, spec, Path("/base"))
    assert vars(source)["_asked"] == Asked("base", datetime(2026, 11, 1, 4, tzinfo=UTC), None)
    with pytest.raises(PolicyError, match=r"sources\.entry\.since: needs a date, a time and a zone"):
        source_of(policy, spec.model_copy(update={"since": "2026-11-01"}), Path("/base"))


@pytest.mark.parametrize("missing", TAGS)
def test_tags_deploy_nothing_until_the_policy_says_which_deploy_what(missing: str) -> None:
    with pytest.raises(ValidationError, match="name the `tags` that deploy"):
        SourceSpec.model_validate({"name": "entry", "adapter": "git_tags", "path": ".", **TAGS, missing: None})


def test_evidence_is_extracted_only_through_an_adapter_that_the_policy_names(policy: Policy) -> None:
    files = FilesSource(Path("x"), policy.limits)
    assert origin_of(policy, files) == "submitted"
    assert origin_of(policy, github_source(policy, Path("x"))) == "extracted"
    assert origin_of(policy, git_source(policy, Path("x"))) == "extracted"
    assert origin_of(policy.model_copy(update={"extractors": []}), git_source(policy, Path("x"))) == "submitted"


def test_servicenow_is_read_in_the_zone_and_with_the_approvals_of_its_entry(policy: Policy) -> None:
    spec = SourceSpec(name="entry", adapter="servicenow", path="a.csv", approvals="b.csv", zone="Europe/Berlin")
    source = source_of(policy, spec, Path("/base"))
    assert isinstance(source, ServicenowSource)
    assert (source.name, origin_of(policy, source)) == ("entry", "extracted")
    assert vars(source)["_paths"] == [Path("/base/a.csv"), Path("/base/b.csv")]
    assert vars(source)["_zone"].key == "Europe/Berlin"
    alone = source_of(policy, spec.model_copy(update={"approvals": None}), Path("/base"))
    assert vars(alone)["_paths"] == [Path("/base/a.csv")]


@pytest.mark.parametrize(
    ("patterns", "expected"), [([], False), (["*"], True), (["owner/*"], True), (["Owner/*"], False)]
)
def test_which_systems_a_merge_deploys(patterns: list[str], expected: bool, policy: Policy) -> None:
    assert merge_deploys(policy.model_copy(update={"merge_deploys": patterns}), "owner/service") is expected
