"""A client for the webserver's GraphQL: what the end-to-end tests and benchmarks ask. Standard library only."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LOCATIONS = """
query Locations {
  workspaceOrError {
    ... on Workspace { locationEntries { loadStatus locationOrLoadError { __typename } } }
  }
}"""

MATERIALIZATIONS = """
query Materializations($key: AssetKeyInput!, $partitions: [String!]) {
  assetOrError(assetKey: $key) {
    __typename
    ... on Asset {
      assetMaterializations(partitions: $partitions) {
        partition runId metadataEntries { label ... on IntMetadataEntry { intValue } }
      }
    }
  }
}"""

CHECKS = """
query Checks($key: AssetKeyInput!) {
  assetNodeOrError(assetKey: $key) {
    ... on AssetNode {
      assetChecksOrError { ... on AssetChecks { checks { name executionForLatestMaterialization { status } } } }
    }
  }
}"""

RUNS = """
query Runs($filter: RunsFilter!) {
  runsOrError(filter: $filter, limit: 100) {
    __typename
    ... on Runs { results { runId jobName status creationTime startTime endTime tags { key value } } }
  }
}"""

LAUNCH = """
mutation Launch($execution: ExecutionParams!) {
  launchRun(executionParams: $execution) { __typename ... on LaunchRunSuccess { run { runId } } }
}"""

LOCATION = {"repositoryName": "__repository__", "repositoryLocationName": "countersign"}


class GraphQLError(Exception):
    """The webserver could not be reached or answered with errors."""


@dataclass(frozen=True)
class Client:
    """One webserver, by its address (`http://127.0.0.1:3000`)."""

    address: str

    def ask(self, query: str, **variables: object) -> dict[str, Any]:
        """Send one query and return its `data`. Raises GraphQLError on anything else."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.address}/graphql", body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                answer: dict[str, Any] = json.load(response)
        except OSError as error:
            raise GraphQLError(f"{self.address}: {error}") from error
        if answer.get("errors"):
            raise GraphQLError(json.dumps(answer["errors"]))
        data: dict[str, Any] = answer["data"]
        return data

    def ready(self) -> bool:
        """True once the code location has loaded without error."""
        try:
            entries = self.ask(LOCATIONS)["workspaceOrError"]["locationEntries"]
        except GraphQLError:
            return False
        return [(entry["locationOrLoadError"] or {}).get("__typename") for entry in entries] == ["RepositoryLocation"]

    def materialised(self, asset: str, day: str) -> list[int]:
        """How many changes each materialisation of an asset's partition touched, the oldest first."""
        found = self.ask(MATERIALIZATIONS, key={"path": [asset]}, partitions=[day])["assetOrError"]
        events = found["assetMaterializations"] if found["__typename"] == "Asset" else []
        return [
            entry["intValue"]
            for event in reversed(events)
            for entry in event["metadataEntries"]
            if entry["label"] == "changes_touched"
        ]

    def checks(self, asset: str) -> dict[str, str | None]:
        """What the UI shows for each check of an asset; None before its first result."""
        checks = self.ask(CHECKS, key={"path": [asset]})["assetNodeOrError"]["assetChecksOrError"]["checks"]
        latest = {check["name"]: check["executionForLatestMaterialization"] for check in checks}
        return {name: found and found["status"] for name, found in latest.items()}

    def runs(self, job: str | None = None, *statuses: str) -> list[dict[str, Any]]:
        """Runs, the newest first, of a job and in one of these statuses where given."""
        wanted: dict[str, Sequence[str] | str] = {"statuses": statuses} if statuses else {}
        if job is not None:
            wanted["pipelineName"] = job
        found = self.ask(RUNS, filter=wanted)["runsOrError"]
        if found["__typename"] != "Runs":
            raise GraphQLError(str(found))
        results: list[dict[str, Any]] = found["results"]
        return results

    def launch(self, job: str, config: Mapping[str, object]) -> str:
        """Launch a job as the launchpad does and return the run's id."""
        execution = {"selector": {**LOCATION, "jobName": job}, "runConfigData": config}
        answer = self.ask(LAUNCH, execution=execution)["launchRun"]
        if answer["__typename"] != "LaunchRunSuccess":
            raise GraphQLError(f"{job} was not launched: {json.dumps(answer)}")
        return str(answer["run"]["runId"])
