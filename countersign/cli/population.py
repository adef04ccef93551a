"""`sample population` and `sample freeze`: what a month holds, whether anything is missing, and putting it down."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from countersign.cli.options import POLICY, ROOT, Json, PolicyFile, Root, open_existing
from countersign.cli.output import print_json, print_lines, print_table, say
from countersign.environment import utc_now
from countersign.errors import SamplingError
from countersign.evidence.seal import seal_path
from countersign.findings.incompleteness import record_incompleteness
from countersign.findings.log import FindingsLog
from countersign.findings.watch import Watch
from countersign.runs.daywork import sources_of
from countersign.runs.engine import Engine
from countersign.runs.sealing import make_seal
from countersign.sampling.freeze import Preview
from countersign.sampling.freeze import freeze as freeze_month
from countersign.sampling.freeze import preview as preview_month
from countersign.sampling.frozen import Frozen
from countersign.sampling.listing import Counts
from countersign.sampling.month import Month
from countersign.sampling.verdict import CompletenessTest

_MOST_OFFENDERS = 10  # of a test; `completeness.json` has them all


def _month(text: str) -> Month:
    try:
        return Month.parse(text)
    except SamplingError as error:
        raise typer.BadParameter(str(error)) from error


MonthArgument = Annotated[Month, typer.Argument(help="The month as YYYY-MM.", parser=_month, metavar="MONTH")]


def population(month: MonthArgument, root: Root = ROOT, policy: PolicyFile = POLICY, as_json: Json = False) -> None:
    """Print a month's changes by outcome and the completeness tests, as they are now. Exit 1 where one fails."""
    engine = open_existing(root, policy)
    found = preview_month(engine, month, sources_of(engine, policy.parent))
    header = found.cut.header(complete=found.complete)
    if as_json:
        print_json(
            {
                "month": str(month),
                "zone": header.zone,
                "complete": found.complete,
                "counts": header.named_counts,
                "not_deployed": len(found.cut.not_deployed),
                "tests": [test.document() for test in found.tests],
            }
        )
    else:
        _print_preview(found, header.counts)
    if not found.complete:
        raise typer.Exit(1)


def freeze(
    month: MonthArgument,
    key: Annotated[
        Path | None,
        typer.Option(envvar="COUNTERSIGN_SEAL_KEY", help="The key that seals, to seal at once what was frozen."),
    ] = None,
    root: Root = ROOT,
    policy: PolicyFile = POLICY,
    as_json: Json = False,
) -> None:
    """Freeze a month's population, or take in what came late to it; again without news changes nothing."""
    engine = open_existing(root, policy)
    log = FindingsLog(engine.root, clock=engine.clock, entropy=engine.entropy)
    while Watch(engine, log, None).look().did_something:
        pass  # who was late is not clean; a breach starts a clock of its own
    done = freeze_month(engine, month, sources_of(engine, policy.parent))
    frozen = done.frozen
    found = record_incompleteness(log, month.first, frozen.lacks(), engine.clock(), engine.current.policy)
    sealed = _seal(engine, key) if key is not None and done.written else None
    if as_json:
        print_json({**_document(frozen), "written": list(done.written), "findings": found, "seal": sealed})
        return
    _print_counts(frozen.counts)
    _print_tests(frozen.tests())
    print_lines([_standing(frozen), f"{frozen.folder}", f"population digest {frozen.digest}"])
    print_lines(f"finding {each}: `countersign finding show {each}`" for each in found)
    if sealed is not None:
        say(f"sealed: {sealed}")
    elif done.written:
        say("seal it now with `countersign seal`, and give the seal to the observer: nothing is drawn before that")


def _seal(engine: Engine, key: Path) -> str:
    made = make_seal(engine.root, engine.current.configuration, key, clock=utc_now)
    return str(seal_path(engine.root, made.number))


def _document(frozen: Frozen) -> Mapping[str, object]:
    return {
        "month": str(frozen.month),
        "digest": frozen.digest,
        "complete": frozen.complete,
        "frozen_at": frozen.population.frozen_at,
        "counts": {f"{stratum}/{outcome}": count for (stratum, outcome), count in frozen.counts.items()},
        "folder": str(frozen.folder),
        "late": [each.digest for each in frozen.late],
    }


def _standing(frozen: Frozen) -> str:
    late = f", {sum(each.header.size for each in frozen.late)} of them late" if frozen.late else ""
    size = sum(frozen.counts.values())
    said = "complete" if frozen.complete else "INCOMPLETE"
    return f"{frozen.month}: {said}: {size} runs{late}, {sum(frozen.strata().values())} of them clean"


def _print_preview(found: Preview, counts: Counts) -> None:
    cut = found.cut
    print_lines([f"{cut.month} in {cut.zone}: from {cut.begin} to {cut.until}"])
    _print_counts(counts)
    print_lines([f"{len(cut.not_deployed)} changes were not deployed, and belong to no month yet"])
    _print_tests(found.tests)
    print_lines(["nothing seems to be missing" if found.complete else "INCOMPLETE: see the tests that fail"])


def _print_counts(counts: Counts) -> None:
    rows = [(stratum, outcome, count) for (stratum, outcome), count in sorted(counts.items())]
    print_table(("stratum", "outcome", "runs"), [*rows, ("", "all", sum(counts.values()))])


def _print_tests(tests: Iterable[CompletenessTest]) -> None:
    tests = list(tests)
    words = {True: "holds", False: "FAILS", None: "not judged"}
    rows = [(test.name.replace("_", " "), words[test.passed], test.says) for test in tests]
    print_table(("test", "", "says"), rows)
    for test in tests:
        print_lines(f"{test.name}: {offender}" for offender in test.offenders[:_MOST_OFFENDERS])
        more = len(test.offenders) - _MOST_OFFENDERS
        print_lines([f"{test.name}: and {more} more"] if more > 0 else [])
