"""Whether the sources told everything, and the register has everything that they told.

What belongs here: completeness tests over what sources gave, and over how it was read. What does not: reading it again
(`sources`), and the tests over the register alone (`completeness`).
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from countersign.changes.sources.git import GitSource
from countersign.changes.sources.interface import BY_HAND
from countersign.changes.sources.servicenow import ServicenowSource
from countersign.revisions import same_revision, stem
from countersign.sampling.population import Cut, Member
from countersign.sampling.sources import ReadAgain, Told
from countersign.sampling.verdict import CompletenessTest, judged, not_judged

# what exports stop at by themselves: {1, 2, 5} times a power of ten from 100 on, pages of gh and of Jira, old sheets
_ROUND = re.compile(r"(1|2|5|25)0{2,}|250")
_KNOWN_CAPS = frozenset({30, 50, 65_535, 65_536, 1_048_575, 1_048_576})
_LIMIT = re.compile(r"(?:limit|per_page|page_?size|max[_-]?(?:results|rows|count))\W{1,3}(\d+)", re.IGNORECASE)


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
        return not_judged(name, missing, "no source keeps what it gave")
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
    return judged(
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
        return not_judged(name, missing, "no run of the month came from a source that keeps what it gave")
    lost = [one for one in asked if given[one.run.run_id] not in told[one.run.source].changes]
    offenders = [f"{one.run.source}: {one.change_id} {one.run.run_id}" for one in lost]
    return judged(name, missing, {"runs": len(asked)}, offenders, f"{len(asked)} runs are in what their source gave")


def sources_agree(cut: Cut, sources: Sequence[ReadAgain]) -> CompletenessTest:
    """Where two sources tell of one system, such as a repository and an export of its pull requests, both tell all.

    A reading by hand may be a part of what a source of its kind tells.
    """
    name, missing = "sources_agree", "changes that one source of a system tells and another does not"
    adapters = {source.source: source.adapter for source in sources}
    by_system: dict[str, dict[str, list[Told]]] = defaultdict(lambda: defaultdict(list))
    for each in sources:
        for one in each.changes.values():
            if one.revisions:
                by_system[one.system][each.source].append(one)
    shared = {system: told for system, told in by_system.items() if len(told) > 1}
    if not shared:
        return not_judged(name, missing, "no two sources tell of one system")
    lost, compared = [], 0
    for system, told in sorted(shared.items()):
        # whatever the other tells of, in any month: their clocks may differ by seconds
        known = {source: _by_stem(ones) for source, ones in told.items()}
        for source, ones in told.items():
            of_the_month = [one for one in ones if _within(cut, one.deployed_at)]
            compared += len(of_the_month)
            for other in sorted(told.keys() - {source, BY_HAND + adapters[source]}):
                missed = [one for one in of_the_month if not _is_among(one, known[other])]
                lost += [f"{system}: {one.change_id} is told by {source}, and not by {other}" for one in missed]
    return judged(name, missing, {"compared": compared}, lost, f"{compared} changes are told alike")


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
    """Every reading: read = opened + known + refused + out of scope = what the source counts.

    And read + joined = rows of its extracts, where joined are rows that are part of another row's item.
    """
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
        before = [one for one in extracts if one["source"] == source and one["seq"] < line["seq"]]
        if said := _unlike_its_rows(line, before) if "joined" in line else _unlike_any_rows(line, before):
            wrong.append(f"{source}: {said}")
    if not count:
        return not_judged("rows_add_up", "readings that do not add up", "nothing was read")
    return judged("rows_add_up", "readings that do not add up", {"readings": count}, wrong, f"{count} readings add up")


def _unlike_its_rows(line: Mapping[str, Any], before: Iterable[Mapping[str, Any]]) -> str | None:
    """How a reading differs from the rows of what it says it read; `before` are its source's extracts until then."""
    kept = {one["digest"]: one["rows"] for one in before}
    if not line["extracts"]:
        return None  # payloads are submitted, and each stands in the log of its run
    rows = [kept.get(digest) or 0 for digest in line["extracts"]]
    if sum(rows) == line["read"] + line["joined"]:
        return None
    joined = f" with {line['joined']} rows joined to them" if line["joined"] else ""
    return f"its extracts have {rows} rows, and {line['read']} were read{joined}"


def _unlike_any_rows(line: Mapping[str, Any], before: Iterable[Mapping[str, Any]]) -> str | None:
    """The same of a reading that does not say what it read, as none did in roots made before.

    Of several files every row of the first was read, and of the others those that were joined to none; of a repository
    no more commits than it has, since those outside of a range of dates were counted as rows.
    """
    newest = {one["query"]: one for one in before}
    rows = sorted(one["rows"] or 0 for one in newest.values())
    if not rows or any(one["rows"] is None for one in newest.values()) or line["read"] in rows:
        return None
    adapters = {one["extractor"].split("/")[0] for one in newest.values()}
    least = 0 if adapters == {GitSource.adapter} else rows[0]
    if adapters <= {GitSource.adapter, ServicenowSource.adapter} and least <= line["read"] <= sum(rows):
        return None
    return f"its extracts have {rows} rows, and {line['read']} were read"


def exports_are_whole(extracts: Sequence[Mapping[str, Any]], caps: Collection[int]) -> CompletenessTest:
    """No export stops at a number of rows at which exports are cut off: a round one, or a limit that was asked for.

    One that a later export of the same query outgrew is whole again.
    """
    name, missing = "exports_are_whole", "exports that look cut off"
    if not extracts:
        return not_judged(name, missing, "no source keeps what it gave")
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
    return judged(name, missing, {"exports": len(extracts)}, suspects.values(), "no export stops at a known limit")


def looks_cut_off(rows: int, query: str, caps: Collection[int] = ()) -> bool:
    """Whether so many rows are what a limit leaves, of the query or of whatever exports."""
    asked = {int(found) for found in _LIMIT.findall(query)}
    return rows > 0 and (rows in asked | _KNOWN_CAPS | set(caps) or _ROUND.fullmatch(str(rows)) is not None)


def _within(cut: Cut, at: str | None) -> bool:
    return at is not None and cut.begin <= at < cut.until
