"""`observe sample…` and `sample review`: the observer's results of a month, and how each month stands."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from countersign.cli.drawing import Observer
from countersign.cli.options import POLICY, ROOT, Json, PolicyFile, Root, SigningKeyFile, open_existing, read_file
from countersign.cli.output import print_json, print_lines, print_table, say
from countersign.cli.population import MonthArgument
from countersign.clocks.instant import stamp
from countersign.findings.log import FindingsLog
from countersign.findings.reviews import record_deviations, record_late_samples
from countersign.runs.engine import Engine
from countersign.runs.run import key_ring
from countersign.sampling.review import NAMESPACE, Observed, ReviewDesk
from countersign.sampling.standing import Review, reviews

Results = Annotated[Path, typer.Option("--results", help="The filled-in results.csv or sample.parquet.")]


def observe_sample(
    month: MonthArgument,
    observer: Observer,
    results: Results,
    signing_key: SigningKeyFile = None,
    root: Root = ROOT,
    policy: PolicyFile = POLICY,
    as_json: Json = False,
) -> None:
    """Take the results of a month's sample, signed by the observer, and say what they show. Again is harmless.

    Exit 1 where they do not support that the controls operated, and where the population is INCOMPLETE.
    """
    engine = open_existing(root, policy)
    desk = ReviewDesk(engine, key_ring(signing_key))
    _taken(engine, desk.record(month, observer, results.name, read_file(results)), as_json)


def observe_sample_request(
    month: MonthArgument,
    observer: Observer,
    results: Results,
    root: Root = ROOT,
    policy: PolicyFile = POLICY,
    as_json: Json = False,
) -> None:
    """Print what an observer would sign for a results file, for a machine without this software."""
    desk = ReviewDesk(open_existing(root, policy))
    typer.echo(desk.request(month, observer, results.name, read_file(results)).decode(), nl=False)
    say("")
    say(f"sign it: ssh-keygen -Y sign -f KEY -n {NAMESPACE} FILE")
    say(f"hand it in: countersign observe sample-submit FILE FILE.sig --results {results}")


def observe_sample_submit(
    statement: Annotated[Path, typer.Argument(help="What `sample-request` printed.")],
    signature: Annotated[Path, typer.Argument(help="What `ssh-keygen -Y sign` made of it.")],
    results: Results,
    root: Root = ROOT,
    policy: PolicyFile = POLICY,
    as_json: Json = False,
) -> None:
    """Take results whose statement was signed elsewhere. The same again is harmless."""
    engine = open_existing(root, policy)
    files = (read_file(results), read_file(statement), read_file(signature))
    _taken(engine, ReviewDesk(engine).submit(results.name, *files), as_json)


def _taken(engine: Engine, observed: Observed, as_json: bool) -> None:
    log = FindingsLog(engine.root, clock=engine.clock, entropy=engine.entropy)
    found = record_deviations(engine, log, observed.first_day, observed.deviations, observed.said.at)
    if as_json:
        print_json(
            {
                "month": observed.month,
                "complete": observed.complete,
                "conclusion": observed.conclusion,
                "strata": observed.strata,
                "repeated": observed.repeated,
                "findings": found,
            }
        )
    else:
        print_lines([f"{observed.month}: {'' if observed.complete else 'INCOMPLETE; '}{observed.conclusion}"])
        rows = [
            (
                name,
                one["population"],
                one["n"],
                one["deviations"],
                one["conclusion"],
                f"{100 * float(one['limit']):.2f} %",
            )
            for name, one in observed.strata.items()
        ]
        print_table(("stratum", "clean changes", "examined", "deviations", "conclusion", "upper limit"), rows)
        print_lines(_further(observed))
        print_lines(f"finding {each}: `countersign finding show {each}`" for each in found)
    if observed.conclusion != "supported" or not observed.complete:
        raise typer.Exit(1)


def _further(observed: Observed) -> list[str]:
    """What would still answer for a stratum that deviates."""
    said = []
    for name, one in observed.strata.items():
        if one["expansion"]:
            more = f"countersign sample draw {observed.month} --expand {name}={one['expansion']['total']} --finding ID"
            risk = f"{100 * float(one['expansion']['risk']):.1f} %"
            said.append(
                f"{name}: {one['expansion']['further']} more without a deviation would do, at a risk of {risk}: {more}"
            )
        elif one["conclusion"] == "not supported":
            said.append(f"{name}: no larger sample can help; what was found reaches the tolerable rate")
    return said


def review(
    root: Root = ROOT,
    policy: PolicyFile = POLICY,
    as_json: Json = False,
) -> None:
    """How each frozen month stands with its observer; what is late becomes a finding. Exit 1 where one is late."""
    engine = open_existing(root, policy)
    now, found = engine.clock(), reviews(engine)
    late = [each for each in found if each.late(now)]
    log = FindingsLog(engine.root, clock=engine.clock, entropy=engine.entropy)
    record_late_samples(engine, log, [(each.month.first, each.due) for each in late if each.due is not None])
    if as_json:
        print_json({"months": [_document(each, now) for each in found]})
    else:
        rows = [[str(each.month), *map(_second, _instants(each).values()), each.stands(now)] for each in found]
        print_table(("month", "frozen (UTC)", "due", "drawn", "observed", "stands"), rows)
    if late:
        raise typer.Exit(1)


def _document(each: Review, now: datetime) -> dict[str, str | bool | None]:
    observed = each.lines.observed
    return {
        "month": str(each.month),
        **{name: stamp(at) if at else None for name, at in _instants(each).items()},
        "complete": each.complete,
        "conclusion": observed.data["conclusion"] if observed else None,
        "late": each.late(now),
        "stands": each.stands(now),
    }


def _instants(each: Review) -> dict[str, datetime | None]:
    drawn, observed = each.lines.drawn, each.lines.observed
    return {
        "frozen": each.frozen_at,
        "due": each.due,
        "drawn": drawn.at if drawn else None,
        "observed": observed.at if observed else None,
    }


def _second(at: datetime | None) -> str:
    return stamp(at)[:19] if at else ""
