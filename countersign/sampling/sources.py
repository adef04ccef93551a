"""What the sources gave, read again from what was kept of it: the other side of the register.

What belongs here: kept extracts as payloads, refusals and deployments. What does not: judging what is missing
(`completeness`). Nothing is fetched here; each extract is read as it was when it came, with the policy of that day.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from countersign.changes.deployment import Deployment, out_of_scope, revisions_of, stands_for_deployment
from countersign.changes.origin import EXTRACTED, as_extracted, as_submitted
from countersign.changes.payload import accept
from countersign.changes.sources.build import origin_of, source_of
from countersign.changes.sources.interface import Record, Source, Unreadable
from countersign.clocks.instant import stamp
from countersign.errors import CountersignError, PayloadError
from countersign.evidence.deployed import Key
from countersign.evidence.durable import digest_of
from countersign.evidence.register import events_of
from countersign.policy import Policy, SourceSpec
from countersign.runs.engine import Engine

_ALONE = ("github", "deployments")  # adapters that read an extract without knowing anything else


@dataclass(frozen=True, slots=True)
class Told:
    """A change as a source gave it: when it was first deployed, under which revisions, and in which extract."""

    system: str
    change_id: str
    deployed_at: str | None
    revisions: tuple[str, ...]
    extract: str


@dataclass(slots=True)
class ReadAgain:
    """Everything that was kept of a source: changes by the digest of their payload, deployments, unreadable records.

    `why_not` says why it could not be read again, None where it was.
    """

    source: str
    extracts: int = 0
    changes: dict[str, Told] = field(default_factory=dict)
    deployments: dict[Key, str] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    why_not: str | None = None


def read_again(
    engine: Engine,
    extracts: Sequence[Mapping[str, Any]],
    between: tuple[str, str],
    systems: Mapping[str, str],
    into: dict[str, ReadAgain],
) -> None:
    """Read again what was registered from one instant on and before another; `extracts` are the register's lines.

    Each is read with the policy that was in force then. `systems` are those of sources that tell of one system only,
    for a repository that was read by hand.
    """
    kinds = ("root_opened", "configuration_adopted")
    adopted = sorted((line for kind in kinds for line in events_of(engine.root.register, kind)), key=_seq)
    for reading in _readings(extracts):
        newest = max(reading, key=_seq)
        broke_off = any(line["rows"] is None for line in reading)  # which is on record, and no reading to stand on
        if broke_off or not between[0] <= newest["ts"] < between[1]:
            continue
        source = into.setdefault(newest["source"], ReadAgain(newest["source"]))
        try:
            in_force = [line["configuration"] for line in adopted if _seq(line) < _seq(newest)][-1]
            policy = engine.versions.at(in_force).policy
            _take(engine, policy, _source_of(policy, newest, systems), reading, source)
        except CountersignError as error:
            source.why_not = str(error)


def _seq(line: Mapping[str, Any]) -> int:
    return int(line["seq"])


def _readings(extracts: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    """What was read together: the newest extract of each query, after lines that were written in one go."""
    newest: dict[str, dict[str, Mapping[str, Any]]] = {}
    # lines that follow each other have numbers that do, so the difference to their place stays the same
    for (source, _), pairs in groupby(
        enumerate(extracts), key=lambda pair: (pair[1]["source"], _seq(pair[1]) - pair[0])
    ):
        queries = newest.setdefault(source, {})
        queries.update((line["query"], line) for _, line in pairs)
        yield list(queries.values())


def _source_of(policy: Policy, line: Mapping[str, Any], systems: Mapping[str, str]) -> Source:
    """What reads an extract. Raises CountersignError where nothing can."""
    name, adapter = line["source"], line["extractor"].split("/")[0]
    spec = next((spec for spec in policy.sources if (spec.name, spec.adapter) == (name, adapter)), None)
    if spec is None and (adapter in _ALONE or (adapter == "git" and name in systems)):
        spec = SourceSpec(name="by_hand", adapter=adapter, path="", system=systems.get(name))
    if spec is None:
        raise CountersignError(f"the policy names no source {name}, so nothing can read what was kept of it")
    source = source_of(policy, spec, Path())
    if source.extractor != line["extractor"]:
        raise CountersignError(f"read by {line['extractor']}; this version has {source.extractor}, which may differ")
    return source


def _take(
    engine: Engine, policy: Policy, source: Source, reading: Sequence[Mapping[str, Any]], into: ReadAgain
) -> None:
    """Every item of a reading. Raises CountersignError where it breaks off, or an extract is gone."""
    into.extracts += 1
    extract = str(reading[0]["digest"])
    marked = as_extracted if origin_of(policy, source) == EXTRACTED else as_submitted
    paths = [engine.root.extracts / line["digest"] for line in reading]
    if missing := [path for path in paths if not path.is_file()]:
        raise CountersignError(f"{missing[0]}: gone, though the register names it; restore it")
    for item in source.items(paths):
        match item:
            case Record(where, value):
                try:
                    payload = accept(marked(value), policy.limits)
                    if stands_for_deployment(payload.change.id):
                        raise PayloadError("stands for a deployment that no change record names")
                except PayloadError as error:
                    into.unreadable.setdefault(_written(value), f"{where}: {error}")
                    continue
                change, at = payload.change, payload.change.first_deployed_at
                deployed_at = stamp(at) if at is not None else None
                told = Told(change.system, change.id, deployed_at, revisions_of(change), extract)
                into.changes.setdefault(payload.digest, told)
            case Unreadable(where, _, reason, content):
                into.unreadable.setdefault(digest_of(content), f"{where}: {reason}")
            case Deployment():
                if out_of_scope(policy, item) is None:
                    into.deployments.setdefault((item.system, item.id), stamp(item.at))


def _written(value: object) -> str:
    """The digest under which the register has a payload that was refused."""
    return digest_of(repr(value).encode("utf-8", "backslashreplace"))
