"""Freezing a month: what the population is, once and for good, before anybody knows what will be drawn from it.

What belongs here: the order of a freeze, and of taking in what came after it. What does not: which runs belong to the
month (`population`), whether any are missing (`completeness`), sealing, and findings.

Order of writes: files → register line. Until the register names them, files of a month are nobody's, and the next
freeze replaces them; from then on nothing changes them. Locks in the order month, register.
"""

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from countersign.changes.sources.interface import Source
from countersign.clocks.instant import stamp
from countersign.errors import SamplingError
from countersign.evidence import durable
from countersign.evidence.lines import Draft
from countersign.runs.engine import Engine
from countersign.sampling.columns import SCHEMA, Outcome, Stratum
from countersign.sampling.completeness import nothing_came_late
from countersign.sampling.files import write
from countersign.sampling.frozen import FROZEN, Frozen, folder_of, read
from countersign.sampling.gathering import Gathered, gather, judge, unchanged
from countersign.sampling.listing import Header
from countersign.sampling.month import Month
from countersign.sampling.population import Cut, Member, look
from countersign.sampling.rows import Assembly
from countersign.sampling.verdict import CompletenessTest, complete

POPULATION = "population"
NOT_DEPLOYED = "not_deployed.txt"


@dataclass(frozen=True, slots=True)
class Preview:
    """A month as it stands: what a freeze would find now."""

    cut: Cut
    tests: tuple[CompletenessTest, ...]

    @property
    def complete(self) -> bool:
        return complete(self.tests)


@dataclass(frozen=True, slots=True)
class Freeze:
    """A frozen month; `written` are the lists that this call wrote, none where everything was on record."""

    frozen: Frozen
    written: tuple[str, ...]


def preview(engine: Engine, month: Month, sources: Sequence[Source] = ()) -> Preview:
    """What a freeze would find now; nothing is written."""
    cut = look(engine, month)
    gathered = gather(engine, cut)
    assembly = Assembly(engine, cut, gathered.source_digests(cut))
    for _ in assembly.batches():
        pass
    return Preview(cut, _judged(engine, cut, gathered, assembly, sources))


def freeze(engine: Engine, month: Month, sources: Sequence[Source] = ()) -> Freeze:
    """Freeze a month, or take in what came late to it; again without news writes nothing and gives the same.

    `sources` are those that the policy names: of each it is asked whether it would give anything that was not read.
    Raises SamplingError while the month lasts, TamperedError where what is frozen is not what it was.
    """
    zone = engine.current.policy.zone
    end = month.end(zone)
    if engine.clock() < end:
        raise SamplingError(f"{month}: lasts until {stamp(end)} ({zone.key}); its population is frozen after that")
    folder = folder_of(engine.root, month)
    with _alone(folder):
        frozen = read(engine.root, month)
        cut = look(engine, month)
        written = _freeze(engine, folder, cut, sources) if frozen is None else _take_in(engine, folder, cut, frozen)
        found = read(engine.root, month) if written else frozen
        assert found is not None
        return Freeze(found, written)


def _freeze(engine: Engine, folder: Path, cut: Cut, sources: Sequence[Source]) -> tuple[str, ...]:
    gathered = gather(engine, cut)
    with _rows(folder, Assembly(engine, cut, gathered.source_digests(cut))) as (assembly, rows):
        tests = _judged(engine, cut, gathered, assembly, sources)
        header = cut.header(complete=complete(tests))
        files = write(folder, POPULATION, header, rows)
    files["completeness.json"] = _put(folder / "completeness.json", _document(header, tests))
    files[NOT_DEPLOYED] = _put(folder / NOT_DEPLOYED, _not_deployed(cut))
    _register(engine, folder, header, POPULATION, files)
    return (POPULATION,)


def _take_in(engine: Engine, folder: Path, cut: Cut, frozen: Frozen) -> tuple[str, ...]:
    """A list of what is new since: runs that were not there, and those that have become clean."""
    known = frozen.outcomes()
    late = [member for member in cut.members if _is_news(member, known.get(member.run.run_id))]
    if not late:
        return ()
    arrived = [member for member in late if member.run.run_id not in known]
    test = nothing_came_late(arrived)
    members = tuple(replace(member, stratum=Stratum.LATE) for member in late)
    cut = replace(cut, members=members, not_deployed=())
    header = cut.header(complete=complete([test]), adds_to=frozen.digest)
    stem = f"late-{len(frozen.late) + 1}"
    with _rows(folder, Assembly(engine, cut, gather(engine, cut).source_digests(cut))) as (_, rows):
        files = write(folder, stem, header, rows)
    files[f"{stem}.json"] = _put(folder / f"{stem}.json", _document(header, [test]))
    _register(engine, folder, header, stem, files)
    return (stem,)


def _is_news(member: Member, before: str | None) -> bool:
    return before is None or (member.outcome is Outcome.CLEAN and before != Outcome.CLEAN)


def _judged(
    engine: Engine, cut: Cut, gathered: Gathered, assembly: Assembly, sources: Sequence[Source]
) -> tuple[CompletenessTest, ...]:
    still = unchanged(sources, engine.index.latest_intakes())
    return tuple(judge(engine, cut, gathered, assembly, still))


def _document(header: Header, tests: Sequence[CompletenessTest]) -> dict[str, Any]:
    """What `completeness.json` says."""
    return {
        "month": str(header.month),
        "zone": header.zone,
        "from": header.begin,
        "until": header.until,
        "register": {"size": header.register_size, "head": header.register_head},
        "complete": header.complete,
        "counts": header.named_counts,
        "tests": [test.document() for test in tests],
    }


def _not_deployed(cut: Cut) -> str:
    """The changes apart: `system<TAB>"change id"<TAB>run id<TAB>status`, of the register as it was seen."""
    rows = (
        f"{json.dumps(run.system)}\t{json.dumps(run.change_id)}\t{run.run_id}\t{run.status}\n"
        for run in cut.not_deployed
    )
    return "".join(rows)


def _put(path: Path, content: dict[str, Any] | str) -> str:
    """Write a small file durably; returns its SHA-256."""
    raw = content.encode("ascii") if isinstance(content, str) else orjson.dumps(content, option=orjson.OPT_INDENT_2)
    durable.replace_file(path, raw)
    return durable.digest_of(raw)


def _register(engine: Engine, folder: Path, header: Header, stem: str, files: dict[str, str]) -> None:
    """The line that makes the files what was frozen."""
    within = folder.relative_to(engine.root.path)
    data = {
        "month": str(header.month),
        "zone": header.zone,
        "digest": files[f"{stem}.txt"],
        "adds_to": header.adds_to,
        "changes": header.size,
        "complete": header.complete,
        "counts": header.named_counts,
        "register": {"size": header.register_size, "head": header.register_head},
        "files": {f"{within}/{name}": digest for name, digest in files.items()},
    }
    engine.register.append_many([Draft(FROZEN, "countersign", data)])
    engine.index.sync()


@contextmanager
def _rows(folder: Path, assembly: Assembly) -> Iterator[tuple[Assembly, Iterator[pa.RecordBatch]]]:
    """The rows, read off their logs into a file without a name, since what they show is judged before they are kept."""
    with tempfile.TemporaryFile(dir=folder) as file:
        with pa.ipc.new_stream(file, SCHEMA) as stream:
            for batch in assembly.batches():
                stream.write_batch(batch)
        file.seek(0)
        yield assembly, iter(pa.ipc.open_stream(file))


def _alone(folder: Path) -> AbstractContextManager[None]:
    """One freeze of a month at a time."""
    durable.make_folder(folder)
    return durable.alone(folder / ".lock")
