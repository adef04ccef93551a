"""What the sources gave, read again from what was kept of it: the other side of the register.

What belongs here: kept extracts as payloads, refusals and deployments. What does not: judging what is missing
(`completeness`). Nothing is fetched here; each extract is read as it was when it came, with the policy of that day.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from countersign.changes.deployment import Deployment, out_of_scope, revisions_of
from countersign.changes.sources.build import kept_source, origin_of, source_of
from countersign.changes.sources.interface import BY_HAND, Record, Source, Unreadable
from countersign.changes.sources.servicenow import ServicenowSource
from countersign.clocks.instant import stamp
from countersign.errors import CountersignError, PayloadError
from countersign.evidence.deployed import Key
from countersign.evidence.durable import digest_of
from countersign.evidence.register import events_of
from countersign.policy import Policy
from countersign.runs.engine import Engine
from countersign.runs.intake import accepted, written

_Line = Mapping[str, Any]
_AT_MOST = {ServicenowSource.adapter: 2}  # files of one reading; every other adapter reads one


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
    adapter: str
    extracts: int = 0
    changes: dict[str, Told] = field(default_factory=dict)
    deployments: dict[Key, str] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    why_not: str | None = None


def read_again(
    engine: Engine,
    extracts: Sequence[_Line],
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
        newest = reading[-1]
        if not between[0] <= newest["ts"] < between[1]:
            continue
        name = newest["source"]
        source = into.setdefault(name, ReadAgain(name, _adapter(newest)))
        try:
            in_force = [line["configuration"] for line in adopted if _seq(line) < _seq(newest)][-1]
            policy = engine.versions.at(in_force).policy
            whole = _completed(policy, reading, extracts)
            _take(engine, policy, _source_of(policy, whole, systems.get(name)), whole, source)
        except CountersignError as error:
            source.why_not = str(error)


def _seq(line: _Line) -> int:
    return int(line["seq"])


def _adapter(line: _Line) -> str:
    return str(line["extractor"]).split("/")[0]


def _readings(extracts: Sequence[_Line]) -> Iterator[list[_Line]]:
    """What was read together and to its end: what broke off is on record as that, and no reading to stand on."""

    def in_one_go(place: int, line: _Line) -> tuple[Any, ...]:
        # lines that follow each other have numbers that do, so the difference to their place stays the same
        return line["source"], line["extractor"], line["rows"] is None, _seq(line) - place

    for (_, _, broke_off, _), pairs in groupby(enumerate(extracts), key=lambda pair: in_one_go(*pair)):
        lines = [line for _, line in pairs]
        size = _AT_MOST.get(_adapter(lines[0]), 1)
        if not broke_off:
            yield from (lines[first : first + size] for first in range(0, len(lines), size))


def _completed(policy: Policy, reading: list[_Line], extracts: Sequence[_Line]) -> list[_Line]:
    """A reading with the file that it lacks, which in roots made before got no line again where it was as before."""
    line = reading[0]
    name, adapter = line["source"], _adapter(line)
    if adapter not in _AT_MOST or len(reading) > 1 or name.startswith(BY_HAND):
        return reading
    of_source = (one for one in extracts if one["source"] == name and one["rows"] is not None)
    newest = {one["query"]: one for one in of_source if _seq(one) <= _seq(line)}
    spec = next((spec for spec in policy.sources if (spec.name, spec.adapter) == (name, adapter)), None)
    named = None if spec is None else source_of(policy, spec, Path())
    queries = named.queries() if isinstance(named, ServicenowSource) else list(newest)
    known = line["query"] in queries and newest.keys() >= set(queries) and len(queries) <= _AT_MOST[adapter]
    return [newest[query] for query in queries] if known else reading


def _source_of(policy: Policy, reading: Sequence[_Line], system: str | None) -> Source:
    """What reads a reading again. Raises CountersignError where nothing can."""
    line = reading[0]
    name = line["source"]
    source = kept_source(policy, name, _adapter(line), [one["query"] for one in reading], system=system)
    if source is None:
        raise CountersignError(f"the policy names no source {name}, so nothing can read what was kept of it")
    if source.extractor != line["extractor"]:
        raise CountersignError(f"read by {line['extractor']}; this version has {source.extractor}, which may differ")
    return source


def _take(engine: Engine, policy: Policy, source: Source, reading: Sequence[_Line], into: ReadAgain) -> None:
    """Every item of a reading. Raises CountersignError where it breaks off, or an extract is gone."""
    into.extracts += 1
    extract = str(reading[0]["digest"])
    origin = origin_of(policy, source)
    paths = [engine.root.extracts / line["digest"] for line in reading]
    if missing := [path for path in paths if not path.is_file()]:
        raise CountersignError(f"{missing[0]}: gone, though the register names it; restore it")
    for item in source.items(paths):
        match item:
            case Record(where, value):
                try:
                    payload = accepted(value, origin, policy.limits)
                except PayloadError as error:
                    into.unreadable.setdefault(digest_of(written(value)), f"{where}: {error}")
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
