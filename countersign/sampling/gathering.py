"""What the completeness tests are asked about, gathered from the register, the index and what sources gave.

What belongs here: gathering, and putting the questions. What does not: the judgement itself (`completeness`).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import re2

from countersign.changes.sources.interface import Source
from countersign.errors import SourceError
from countersign.evidence.indexed import IndexedIntake
from countersign.evidence.register import events_of
from countersign.runs.engine import Engine, chunks
from countersign.sampling import completeness, source_completeness
from countersign.sampling.population import Cut
from countersign.sampling.rows import Assembly
from countersign.sampling.sources import ReadAgain, read_again
from countersign.sampling.verdict import CompletenessTest

_AT_ONCE = 400  # values in one question to the index
_ALWAYS, _FOR_EVER = "", "~"  # before and after every stamp


@dataclass(slots=True)
class Gathered:
    """Register lines since the month began, and what the sources gave; `given` is each run's payload as it came."""

    extracts: list[dict[str, Any]]
    intakes: list[dict[str, Any]]
    refused: list[dict[str, Any]]
    sources: dict[str, ReadAgain] = field(default_factory=dict)
    given: dict[str, str] = field(default_factory=dict)

    def source_digests(self, cut: Cut) -> dict[str, str]:
        """The extract that each run was read from, as far as it is kept."""
        found = {}
        for member in cut.members:
            source = self.sources.get(member.run.source)
            told = source.changes.get(self.given.get(member.run.run_id, "")) if source else None
            if told is not None:
                found[member.run.run_id] = told.extract
        return found


def gather(engine: Engine, cut: Cut) -> Gathered:
    """Everything about a month as of a cut. What was read before the month is read again only where it is needed."""

    def lines(kind: str, since: str) -> list[dict[str, Any]]:
        found = events_of(engine.root.register, kind, before=cut.register_size)
        return [line for line in found if line["ts"] >= since]

    extracts = lines("extract", _ALWAYS)
    gathered = Gathered(extracts, lines("intake", cut.begin), lines("refused", cut.begin))
    systems = _of_one_system(cut)
    read_again(engine, extracts, (cut.begin, _FOR_EVER), systems, gathered.sources)
    kept = {line["source"] for line in extracts}
    for some in chunks([one.run.run_id for one in cut.members if one.run.source in kept], _AT_ONCE):
        for run_id, trace in engine.index.deployments.traces(some).items():
            if trace.given is not None and not trace.without_change:
                gathered.given[run_id] = trace.given
    told = {digest for source in gathered.sources.values() for digest in source.changes}
    if not told.issuperset(gathered.given.values()):
        read_again(engine, extracts, (_ALWAYS, cut.begin), systems, gathered.sources)
    return gathered


def _of_one_system(cut: Cut) -> dict[str, str]:
    """The system of each source from which the month has changes of one system only."""
    found: dict[str, set[str]] = {}
    for member in cut.members:
        found.setdefault(member.run.source, set()).add(member.run.system)
    return {source: next(iter(systems)) for source, systems in found.items() if len(systems) == 1}


def unchanged(sources: Iterable[Source], latest: Mapping[str, IndexedIntake]) -> set[str]:
    """The sources that would give now what they gave last: they are as good as read."""
    return {source.name for source in sources if _is_unchanged(source, latest.get(source.name))}


def _is_unchanged(source: Source, before: IndexedIntake | None) -> bool:
    if before is None or before.broken is not None or before.state is None:
        return False
    try:
        return source.state() == before.state
    except SourceError:
        return False


def judge(
    engine: Engine, cut: Cut, gathered: Gathered, assembly: Assembly, still: Collection[str]
) -> list[CompletenessTest]:
    """Every test, in the order in which they are reported; `still` are the sources that are `unchanged`."""
    index, policy = engine.index, engine.current.policy
    sources = [source for _, source in sorted(gathered.sources.items())]
    digests = [digest for source in sources for digest in source.changes]
    keys = [key for source in sources for key in source.deployments]
    known = {digest for some in chunks(digests, _AT_ONCE) for digest in index.deployments.given_as(some)}
    deployed = {key for some in chunks(keys, _AT_ONCE) for key in index.deployments.known(some)}
    refused = {(refusal.source, refusal.record) for refusal in index.refusals()}
    gapless = [re2.compile(pattern) for pattern in policy.population.gapless_ids]
    everything = {(run.system, run.change_id) for run in index.all_runs()} if gapless else set()
    names = [spec.name for spec in policy.sources if spec.name not in still]
    return [
        completeness.outcomes_add_up(cut),
        completeness.deployments_have_changes(cut, index.deployments.without_change()),
        source_completeness.source_to_register(cut, sources, known, refused, deployed),
        source_completeness.register_to_source(cut.members, gathered.given, sources),
        source_completeness.sources_agree(cut, sources),
        source_completeness.rows_add_up(gathered.intakes, gathered.extracts),
        completeness.ids_are_whole(cut.members, everything, gapless),
        completeness.cut_off_is_clear(cut, assembly.astride, gathered.intakes, names),
        source_completeness.exports_are_whole(_recent(gathered.extracts, cut.begin), policy.population.export_caps),
        completeness.everything_is_readable(
            assembly.unreadable, assembly.differing, _standing_refusals(engine, gathered.refused)
        ),
        completeness.clocks_are_watched(cut),
    ]


def _recent(extracts: Sequence[dict[str, Any]], begin: str) -> list[dict[str, Any]]:
    """The extracts since an instant, and the newest of each query before: one that never changes may be cut off too."""
    before = {(line["source"], line["query"]): line for line in extracts if line["ts"] < begin}
    return [*before.values(), *(line for line in extracts if line["ts"] >= begin)]


def _standing_refusals(engine: Engine, refused: Sequence[Mapping[str, Any]]) -> list[str]:
    """The refused records of which no change has come since."""
    ids = {line["change_id"] for line in refused if line["change_id"] is not None}
    come = {change_id for some in chunks(ids, _AT_ONCE) for _, change_id in engine.index.newest_of_changes(some)}
    return [f"{line['source']}: {line['where']}: {line['reason']}" for line in refused if line["change_id"] not in come]
