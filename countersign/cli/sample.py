"""`sample`: how many items to examine, and what a result supports; each number with its formula."""

from decimal import ROUND_CEILING, Decimal
from typing import Annotated

import typer

from countersign.cli.drawing import draw, nonce, nonce_request, nonce_submit
from countersign.cli.options import Json
from countersign.cli.output import print_json, print_lines
from countersign.cli.population import freeze, population
from countersign.cli.review import review
from countersign.errors import SamplingError, printable
from countersign.sampling import sample_size, upper_limit
from countersign.sampling.frequency import Frequency, frequency_plan

app = typer.Typer(no_args_is_help=True)
app.command("population")(population)
app.command("freeze")(freeze)
app.command("nonce")(nonce)
app.command("nonce-request")(nonce_request)
app.command("nonce-submit")(nonce_submit)
app.command("draw")(draw)
app.command("review")(review)

Confidence = Annotated[str, typer.Option(help="The confidence, a share such as 0.95.")]
Population = Annotated[str, typer.Option(help="The items of the population, or `inf` for one without end.")]


@app.command("size")
def size(
    tolerable: Annotated[str, typer.Option(help="The deviation rate that is still tolerable, such as 0.05.")],
    confidence: Confidence = "0.95",
    expected: Annotated[str, typer.Option(help="The deviation rate to expect, below the tolerable one.")] = "0",
    population: Population = "inf",
    as_json: Json = False,
) -> None:
    """How many items to examine, and how many of them may deviate."""
    found = sample_size(_items(population), confidence, tolerable, expected)
    if as_json:
        print_json({"n": found.n, "allowed_deviations": found.allowed_deviations, "method": found.method})
        return
    print_lines(
        [
            f"examine {found.n} items; up to {found.allowed_deviations} of them may deviate ({found.method})",
            found.formula,
        ]
    )


@app.command("limit")
def limit(
    n: Annotated[int, typer.Option("--n", help="The items examined.")],
    deviations: Annotated[int, typer.Option(help="How many of them deviate.")],
    confidence: Confidence = "0.95",
    population: Population = "inf",
    as_json: Json = False,
) -> None:
    """Which deviation rate a result leaves open: the upper limit, one-sided."""
    found = upper_limit(n, deviations, confidence, _items(population))
    if as_json:
        print_json({"limit": found.limit, "method": found.method})
        return
    print_lines(
        [f"upper limit {_percent(found.limit)} with a confidence of {confidence} ({found.method})", found.formula]
    )


@app.command("plan")
def plan(
    frequency: Annotated[Frequency, typer.Argument(help="How often the control operates.")],
    confidence: Confidence = "0.95",
    as_json: Json = False,
) -> None:
    """Print the firms' sample size for a frequency, and the upper limit that it really supports."""
    found = frequency_plan(frequency, confidence)
    supports = found.supports
    if as_json:
        print_json(
            {
                "frequency": found.frequency.value,
                "n": found.n,
                "population": found.population,
                "limit": supports.limit,
                "method": supports.method,
            }
        )
        return
    of = "a process that goes on" if found.population is None else f"{found.population} operations in a year"
    print_lines(
        [
            f"{found.frequency.value}: examine {found.n} of {of}; none may deviate",
            f"supports an upper limit of {_percent(supports.limit)} at confidence {confidence} ({supports.method})",
            supports.formula,
        ]
    )


def _items(population: str) -> int | None:
    if population == "inf":
        return None
    try:
        return int(population)
    except ValueError:
        raise SamplingError(f"population: {printable(population)} is neither a whole number nor `inf`") from None


def _percent(share: float) -> str:
    """Per cent with one decimal, rounded up as the AICPA tables are: a limit must not look lower than it is."""
    return f"{(Decimal(str(share)) * 100).quantize(Decimal('0.1'), ROUND_CEILING)} %"
