"""From the policy's source entries to sources, and from what is on record of one to what reads it again.

What belongs here: these two dispatches, and their paths.
"""

from collections.abc import Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path

from countersign.changes.sources.deployments import DeploymentsSource
from countersign.changes.sources.files import FilesSource
from countersign.changes.sources.git import Asked, GitSource
from countersign.changes.sources.git_tags import GitTagsSource
from countersign.changes.sources.github import GithubSource
from countersign.changes.sources.interface import BY_HAND, Origin, Source
from countersign.changes.sources.servicenow import ServicenowSource
from countersign.clocks.instant import parse_instant
from countersign.clocks.zones import zone_of
from countersign.errors import PolicyError
from countersign.policy import Policy, SourceSpec

DEPLOYMENT_ADAPTERS = (DeploymentsSource.adapter, GitTagsSource.adapter)


def merge_deploys(policy: Policy, system: str) -> bool:
    """Whether the policy says that a merge deploys this system."""
    return any(fnmatchcase(system, pattern) for pattern in policy.merge_deploys)


def origin_of(policy: Policy, source: Source) -> Origin:
    """`extracted` only through an adapter that the policy names; everything else came with the payload."""
    return "extracted" if source.adapter in policy.extractors else "submitted"


def git_source(
    policy: Policy,
    path: Path,
    *,
    name: str = BY_HAND + GitSource.adapter,
    system: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    merges_only: bool = False,
) -> GitSource:
    """A repository; the system is by default named after its folder."""
    named = system or path.resolve().name.removesuffix(".git")
    deploys = merge_deploys(policy, named)
    return GitSource(
        path,
        policy,
        system=named,
        merge_deploys=deploys,
        name=name,
        since=since,
        until=until,
        merges_only=merges_only,
    )


def github_source(policy: Policy, path: Path, *, name: str = BY_HAND + GithubSource.adapter) -> GithubSource:
    """An export of pull requests."""
    return GithubSource(path, policy, merge_deploys=lambda system: merge_deploys(policy, system), name=name)


def source_of(policy: Policy, spec: SourceSpec, base: Path) -> Source:
    """The source that a policy entry describes; relative paths start at `base`, the policy's folder."""
    path = base / spec.path
    match spec.adapter:
        case "files":
            return FilesSource(path, policy.limits, name=spec.name)
        case "github":
            return github_source(policy, path, name=spec.name)
        case "deployments":
            return DeploymentsSource(path, policy.limits, name=spec.name)
        case "git_tags":
            assert spec.tags is not None
            assert spec.system is not None
            return GitTagsSource(path, system=spec.system, tags=spec.tags, environment=spec.environment, name=spec.name)
        case "git":
            since = None
            if spec.since is not None:
                try:
                    since = parse_instant(spec.since)
                except ValueError as error:
                    raise PolicyError(f"sources.{spec.name}.since: {error}") from error
            return git_source(policy, path, name=spec.name, system=spec.system, since=since)
        case "servicenow":
            assert spec.zone is not None
            approvals = None if spec.approvals is None else base / spec.approvals
            return ServicenowSource(path, zone=zone_of(spec.zone), approvals=approvals, name=spec.name)


def kept_source(
    policy: Policy, name: str, adapter: str, queries: Sequence[str], *, system: str | None = None
) -> Source | None:
    """What reads again what was kept of a reading, by the queries that it was fetched with; None where nothing can.

    `system` is that of a repository whose query does not say it, as none did in roots made before.
    """
    spec = next((spec for spec in policy.sources if (spec.name, spec.adapter) == (name, adapter)), None)
    match adapter:
        case "github":
            return github_source(policy, Path(queries[0]), name=name)
        case "deployments":
            return DeploymentsSource(Path(queries[0]), policy.limits, name=name)
        case "servicenow":
            return ServicenowSource.of(queries, name)
        case "git" if (asked := Asked.of(queries[0])) is not None:
            return git_source(policy, Path(), name=name, system=asked.system, since=asked.since, until=asked.until)
        case "git" if spec is None and system is not None:
            return git_source(policy, Path(), name=name, system=system)
    return None if spec is None else source_of(policy, spec, Path())
