"""Whether a population is complete by what the register and the logs say: each test a small function over that.

What belongs here: these tests, with counts and whoever fails them. What does not: the tests over sources
(`source_completeness`), and gathering what all of them are asked about (`gathering`).
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from countersign.evidence.deployed import RegisteredDeployment
from countersign.sampling.population import Cut, Member
from countersign.sampling.verdict import CompletenessTest, judged

_NUMBERED = re.compile(r"(.*?)(\d+)")


def outcomes_add_up(cut: Cut) -> CompletenessTest:
    """Every member has exactly one outcome, and of a change only one run is not superseded."""
    standing: dict[str, int] = defaultdict(int)
    for member in cut.members:
        standing[member.change_id] += member.run.superseded_by is None
    twice = [change_id for change_id, runs in standing.items() if runs > 1]
    return judged(
        "outcomes_add_up",
        "changes with more than one standing run",
        {"runs": len(cut.members), "changes": len(standing), "not deployed": len(cut.not_deployed), **cut.counts()},
        twice,
        f"{len(cut.members)} runs of {len(standing)} changes, each with one outcome",
    )


def deployments_have_changes(cut: Cut, alone: Iterable[RegisteredDeployment]) -> CompletenessTest:
    """Every deployment of the month is named by a change that stands; what is not skipped the process."""
    skipped = [one for one in alone if cut.begin <= one.deployed_at < cut.until]
    return judged(
        "deployments_have_changes",
        "deployments without a change record",
        {},
        [f"{one.system}: {one.id} at {one.deployed_at} by {one.deployed_by}" for one in skipped],
        "every deployment of the month has a change",
    )


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
    return judged("ids_are_whole", "change ids that come twice or are left out", counts, twice + gaps, said)


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
    return judged(
        "cut_off_is_clear",
        "changes at the month's ends that may be missing or in the wrong month",
        {"read since": len(after), "claim another month": len(astride)},
        [*unread, *astride],
        f"the month is {cut.begin} to {cut.until}, midnight in {cut.zone}; every source was read since",
    )


def everything_is_readable(
    unreadable: Sequence[str], differing: Sequence[str], refused: Sequence[str]
) -> CompletenessTest:
    """Every log of a member is there and says what the register says, and no record of the time was refused."""
    return judged(
        "everything_is_readable",
        "logs and records that cannot be read",
        {"logs": len(unreadable), "logs that differ": len(differing), "refused records": len(refused)},
        [*unreadable, *differing, *refused],
        "every log of the month says what the register says, and no record is refused",
    )


def clocks_are_watched(cut: Cut) -> CompletenessTest:
    """Somebody has looked whether a clock of the month ran out; else a run may count as clean that is not."""
    return judged(
        "clocks_are_watched",
        "runs of which nobody has looked whether they were late",
        {"runs": len(cut.members)},
        sorted(cut.unwatched),
        "no clock of the month waits to be looked at",
    )


def nothing_came_late(late: Iterable[Member]) -> CompletenessTest:
    """Nothing arrived, or became clean, after the population was frozen."""
    offenders = [f"{member.change_id}: {member.run.run_id}: {member.outcome}" for member in late]
    return judged(
        "nothing_came_late", "changes that came after the freeze", {}, offenders, "nothing came after the freeze"
    )
