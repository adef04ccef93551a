"""Whether a population is complete: each test a small function over what register, index and sources say.

What belongs here: the tests, with counts and whoever fails them. What does not: gathering what they are asked about
(`gathering`). A test that nothing could be asked of is not passed and says why; it fails nothing either.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

from countersign.errors import printable
from countersign.evidence.deployed import RegisteredDeployment
from countersign.revisions import same_revision, stem
from countersign.sampling.population import Cut, Member
from countersign.sampling.sources import ReadAgain, Told

MOST_NAMED = 1000  # offenders that are listed; the counts say how many there are
# what exports stop at by themselves: {1, 2, 5} times a power of ten from 100 on, pages of gh and of Jira, old sheets
_ROUND = re.compile(r"(1|2|5|25)0{2,}|250")
_KNOWN_CAPS = frozenset({30, 50, 65_535, 65_536, 1_048_575, 1_048_576})
_LIMIT = re.compile(r"(?:limit|per_page|page_?size|max[_-]?(?:results|rows|count))\W{1,3}(\d+)", re.IGNORECASE)
_NUMBERED = re.compile(r"(.*?)(\d+)")


@dataclass(frozen=True, slots=True)
class CompletenessTest:
    """One test: `passed` is None where there was nothing to judge by. `missing` is what a finding says of a failure."""

    name: str
    missing: str
    passed: bool | None
    says: str
    counts: Mapping[str, int]
    offenders: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """The test as it stands in `completeness.json`."""
        return {
            "name": self.name,
            "missing": self.missing,
            "passed": self.passed,
            "says": self.says,
            "counts": dict(self.counts),
            "offenders": list(self.offenders[:MOST_NAMED]),
        }

    @classmethod
    def parse(cls, said: Mapping[str, Any]) -> Self:
        """A test as it was put down; offenders beyond the most that are named are only counted."""
        return cls(**{**said, "offenders": tuple(said["offenders"])})


def complete(tests: Iterable[CompletenessTest]) -> bool:
    """Whether no test failed."""
    return all(test.passed is not False for test in tests)


def _judged(
    name: str, missing: str, counts: Mapping[str, int], offenders: Iterable[str], passed: str
) -> CompletenessTest:
    named = tuple(map(printable, offenders))
    says = passed if not named else f"{len(named)}: {missing}"
    return CompletenessTest(name, missing, not named, says, {**counts, "offenders": len(named)}, named)


def _open(name: str, missing: str, why: str) -> CompletenessTest:
    return CompletenessTest(name, missing, None, f"not judged: {why}", {})


def outcomes_add_up(cut: Cut) -> CompletenessTest:
    """Every member has exactly one outcome, and of a change only one run is not superseded."""
    standing: dict[str, int] = defaultdict(int)
    for member in cut.members:
        standing[member.change_id] += member.run.superseded_by is None
    twice = [change_id for change_id, runs in standing.items() if runs > 1]
    return _judged(
        "outcomes_add_up",
        "changes with more than one standing run",
        {"runs": len(cut.members), "changes": len(standing), "not deployed": len(cut.not_deployed), **cut.counts()},
        twice,
        f"{len(cut.members)} runs of {len(standing)} changes, each with one outcome",
    )


def deployments_have_changes(cut: Cut, alone: Iterable[RegisteredDeployment]) -> CompletenessTest:
    """Every deployment of the month is named by a change that stands; what is not skipped the process."""
    skipped = [one for one in alone if cut.begin <= one.deployed_at < cut.until]
    return _judged(
        "deployments_have_changes",
        "deployments without a change record",
        {},
        [f"{one.system}: {one.id} at {one.deployed_at} by {one.deployed_by}" for one in skipped],
        "every deployment of the month has a change",
    )


def source_to_register(
    cut: Cut,
    sources: Sequence[ReadAgain],
    known: Collection[str],
    refused: Collection[tuple[str, str]],
    deployed: Collection[tuple[str, str]],
) -> CompletenessTest:
    """Everything that the sources told of the month is in the register: as a run, a refusal or a deployment."""
    name, missing = "source_to_register", "records of a source that the register does not have"
    if not sources:
        return _open(name, missing, "no source keeps what it gave")
    told: dict[str, int] = {}
    lost = []
    for source in sources:
        changes = [(digest, one) for digest, one in source.changes.items() if _within(cut, one.deployed_at)]
        deployments = [key for key, at in source.deployments.items() if _within(cut, at)]
        told[source.source] = len(changes) + len(deployments) + len(source.unreadable)
        lost += [f"{source.source}: {one.system} {one.change_id}" for digest, one in changes if digest not in known]
        lost += [f"{source.source}: deployment {key[1]} of {key[0]}" for key in deployments if key not in deployed]
        lost += [
            f"{source.source}: {said}" for record, said in source.unreadable.items()
            if (source.source, record) not in refused
        ]  # fmt: skip
        if source.why_not is not None:
            lost.append(f"{source.source}: what it gave cannot be read again: {source.why_not}")
    total = sum(told.values())
    return _judged(
        name, missing, {"read again": total, **told}, lost, f"{total} records of {len(told)} sources are known"
    )


def register_to_source(
    members: Iterable[Member], given: Mapping[str, str], sources: Sequence[ReadAgain]
) -> CompletenessTest:
    """Every run that was read from a source is in something that the source gave; `given` is each run's payload."""
    name, missing = "register_to_source", "runs that nothing a source gave accounts for"
    told = {source.source: source for source in sources}
    asked = [member for member in members if member.run.source in told and member.run.run_id in given]
    if not asked:
        return _open(name, missing, "no run of the month came from a source that keeps what it gave")
    lost = [one for one in asked if given[one.run.run_id] not in told[one.run.source].changes]
    offenders = [f"{one.run.source}: {one.change_id} {one.run.run_id}" for one in lost]
    return _judged(name, missing, {"runs": len(asked)}, offenders, f"{len(asked)} runs are in what their source gave")


def sources_agree(cut: Cut, sources: Sequence[ReadAgain]) -> CompletenessTest:
    """Where two sources tell of one system, such as a repository and an export of its pull requests, both tell all."""
    name, missing = "sources_agree", "changes that one source of a system tells and another does not"
    by_system: dict[str, dict[str, list[Told]]] = defaultdict(lambda: defaultdict(list))
    for each in sources:
        for one in each.changes.values():
            if _within(cut, one.deployed_at) and one.revisions:
                by_system[one.system][each.source].append(one)
    shared = {system: told for system, told in by_system.items() if len(told) > 1}
    if not shared:
        return _open(name, missing, "no two sources tell of one system")
    lost, compared = [], 0
    for system, told in sorted(shared.items()):
        known = {source: _by_stem(ones) for source, ones in told.items()}
        for source, ones in told.items():
            compared += len(ones)
            for other in sorted(told.keys() - {source}):
                missed = [one for one in ones if not _is_among(one, known[other])]
                lost += [f"{system}: {one.change_id} is told by {source}, and not by {other}" for one in missed]
    return _judged(name, missing, {"compared": compared}, lost, f"{compared} changes are told alike")


def _by_stem(ones: Iterable[Told]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for one in ones:
        for revision in one.revisions:
            found[stem(revision)].add(revision)
    return found


def _is_among(one: Told, known: Mapping[str, Collection[str]]) -> bool:
    """Whether a change goes under a revision of these."""
    return any(same_revision(revision, other) for revision in one.revisions for other in known.get(stem(revision), ()))


def rows_add_up(intakes: Iterable[Mapping[str, Any]], extracts: Sequence[Mapping[str, Any]]) -> CompletenessTest:
    """Every reading: read = opened + known + refused + out of scope = what the source counts = rows of its extract."""
    wrong, count, latest = [], 0, dict[str, Mapping[str, Any]]()
    for line in intakes:
        count += 1
        latest[line["source"]] = line
        parts = sum(line[part] for part in ("opened", "known", "refused", "out_of_scope"))
        if line["read"] != parts:
            wrong.append(f"{line['source']} at {line['ts']}: read {line['read']}, and accounted for {parts}")
        if line["declared"] not in (None, line["read"]):
            wrong.append(f"{line['source']} at {line['ts']}: read {line['read']} of {line['declared']} that it counts")
    for source, line in sorted(latest.items()):
        if line["broken"] is not None:
            wrong.append(f"{source} at {line['ts']}: broke off, and was not read to its end since: {line['broken']}")
            continue
        first = next((one["query"] for one in extracts if one["source"] == source), None)
        kept = [
            one for one in extracts if (one["source"], one["query"]) == (source, first) and one["seq"] < line["seq"]
        ]
        if kept and kept[-1]["rows"] not in (None, line["read"]):
            wrong.append(f"{source}: its extract has {kept[-1]['rows']} rows, and {line['read']} were read")
    if not count:
        return _open("rows_add_up", "readings that do not add up", "nothing was read")
    return _judged("rows_add_up", "readings that do not add up", {"readings": count}, wrong, f"{count} readings add up")


def ids_are_whole(
    members: Iterable[Member], known: Iterable[tuple[str, str]], gapless: Sequence[re.Pattern[str]]
) -> CompletenessTest:
    """No id comes twice in other spelling, and none is left out of a series that the policy says has no gaps.

    `known` are system and id of every change there is: what another month has is no gap.
    """
    spellings: dict[tuple[str, str], set[str]] = defaultdict(set)
    ids = {(member.run.system, member.run.change_id) for member in members}
    for system, change_id in ids:
        spellings[system, "".join(change_id.split()).casefold()].add(change_id)
    twice = sorted(f"{system}: {', '.join(sorted(same))}" for (system, _), same in spellings.items() if len(same) > 1)
    series: dict[tuple[str, str], set[int]] = defaultdict(set)
    mine: dict[tuple[str, str], list[int]] = defaultdict(list)
    for system, change_id in {*ids, *known}:
        found = _NUMBERED.fullmatch(change_id)
        if found and any(pattern.search(change_id) for pattern in gapless):
            series[system, found[1]].add(int(found[2]))
            if (system, change_id) in ids:
                mine[system, found[1]].append(int(found[2]))
    gaps = [
        f"{system}: {prefix}{said}"
        for (system, prefix), numbers in sorted(mine.items())
        for said in _gaps(sorted(series[system, prefix]), min(numbers), max(numbers))
    ]
    counts = {"ids": len(ids), "series without gaps": len(mine), "duplicates": len(twice), "gaps": len(gaps)}
    said = "no id comes twice" + (
        ", and no number is left out" if mine else "; the policy names no series without gaps"
    )
    return _judged("ids_are_whole", "change ids that come twice or are left out", counts, twice + gaps, said)


def _gaps(numbers: Sequence[int], first: int, last: int) -> Iterator[str]:
    """The ranges that are left out between two numbers."""
    for one, after in pairwise(number for number in numbers if first <= number <= last):
        if after - one > 1:
            yield f"{one + 1}" if after - one == 2 else f"{one + 1} to {after - 1}"


def cut_off_is_clear(
    cut: Cut, astride: Sequence[str], intakes: Iterable[Mapping[str, Any]], names: Iterable[str]
) -> CompletenessTest:
    """Every source was read after the month's end, and no change claims another month than its evidence shows."""
    after = {line["source"] for line in intakes if line["ts"] >= cut.until and line["broken"] is None}
    unread = [f"{name}: not read to its end since the month ended" for name in sorted(set(names) - after)]
    return _judged(
        "cut_off_is_clear",
        "changes at the month's ends that may be missing or in the wrong month",
        {"read since": len(after), "claim another month": len(astride)},
        [*unread, *astride],
        f"the month is {cut.begin} to {cut.until}, midnight in {cut.zone}; every source was read since",
    )


def exports_are_whole(extracts: Sequence[Mapping[str, Any]], caps: Collection[int]) -> CompletenessTest:
    """No export stops at a number of rows at which exports are cut off: a round one, or a limit that was asked for.

    One that a later export of the same query outgrew is whole again.
    """
    name, missing = "exports_are_whole", "exports that look cut off"
    if not extracts:
        return _open(name, missing, "no source keeps what it gave")
    most: dict[tuple[str, str], int] = defaultdict(int)
    suspects: dict[tuple[str, str], str] = {}
    for line in extracts:
        key, rows = (line["source"], line["query"]), line["rows"]
        if rows is None:
            continue  # its reading broke off, which another test says
        if rows > most[key]:
            suspects.pop(key, None)
            most[key] = rows
        if looks_cut_off(rows, line["query"], caps):
            suspects[key] = f"{line['source']}: {line['query']}: exactly {rows} rows, extract {line['digest'][:16]}"
    return _judged(name, missing, {"exports": len(extracts)}, suspects.values(), "no export stops at a known limit")


def looks_cut_off(rows: int, query: str, caps: Collection[int] = ()) -> bool:
    """Whether so many rows are what a limit leaves, of the query or of whatever exports."""
    asked = {int(found) for found in _LIMIT.findall(query)}
    return rows > 0 and (rows in asked | _KNOWN_CAPS | set(caps) or _ROUND.fullmatch(str(rows)) is not None)


def everything_is_readable(
    unreadable: Sequence[str], differing: Sequence[str], refused: Sequence[str]
) -> CompletenessTest:
    """Every log of a member is there and says what the register says, and no record of the time was refused."""
    return _judged(
        "everything_is_readable",
        "logs and records that cannot be read",
        {"logs": len(unreadable), "logs that differ": len(differing), "refused records": len(refused)},
        [*unreadable, *differing, *refused],
        "every log of the month says what the register says, and no record is refused",
    )


def clocks_are_watched(cut: Cut) -> CompletenessTest:
    """Somebody has looked whether a clock of the month ran out; else a run may count as clean that is not."""
    return _judged(
        "clocks_are_watched",
        "runs of which nobody has looked whether they were late",
        {"runs": len(cut.members)},
        sorted(cut.unwatched),
        "no clock of the month waits to be looked at",
    )


def nothing_came_late(late: Iterable[Member]) -> CompletenessTest:
    """Nothing arrived, or became clean, after the population was frozen."""
    offenders = [f"{member.change_id}: {member.run.run_id}: {member.outcome}" for member in late]
    return _judged(
        "nothing_came_late", "changes that came after the freeze", {}, offenders, "nothing came after the freeze"
    )


def _within(cut: Cut, at: str | None) -> bool:
    return at is not None and cut.begin <= at < cut.until
