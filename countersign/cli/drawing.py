"""`sample nonce…`, `sample draw` and `bundle export`: seeding a month's draw, drawing it, and giving it away."""

from pathlib import Path
from typing import Annotated

import typer

from countersign.cli.options import POLICY, ROOT, Json, PolicyFile, Root, SigningKeyFile, open_existing, read_file
from countersign.cli.output import print_json, print_lines, print_table, say
from countersign.cli.population import MonthArgument
from countersign.errors import SignatureError
from countersign.evidence.root import EvidenceRoot
from countersign.runs.run import key_ring
from countersign.sampling.bundle import export as export_bundle
from countersign.sampling.drawing import draw_month
from countersign.sampling.nonce import NAMESPACE, PLACEHOLDER, NonceDesk, NonceReceipt
from countersign.sampling.page import warnings
from countersign.sampling.sample import Sample

bundle_app = typer.Typer(no_args_is_help=True)

Observer = Annotated[str, typer.Option("--as", help="Who observes: an id of the roster.")]


def nonce(
    month: MonthArgument,
    observer: Observer,
    value: Annotated[str | None, typer.Option(help="The nonce: 16 printable characters or more.")] = None,
    generate: Annotated[bool, typer.Option("--generate", help="Make one here instead.")] = False,
    signing_key: SigningKeyFile = None,
    root: Root = ROOT,
    policy: PolicyFile = POLICY,
    as_json: Json = False,
) -> None:
    """Give the nonce that seeds a month's draw, signed by the observer. Once for each population; again is harmless."""
    if (value is None) is not generate:
        raise typer.BadParameter("name a nonce with --value, or have one made with --generate")
    _print_nonce(NonceDesk(open_existing(root, policy), key_ring(signing_key)).record(month, observer, value), as_json)


def nonce_request(
    month: MonthArgument, observer: Observer, root: Root = ROOT, policy: PolicyFile = POLICY, as_json: Json = False
) -> None:
    """Print what an observer would sign, with the word NONCE for the nonce, for a machine without this software."""
    content = NonceDesk(open_existing(root, policy)).request(month, observer)
    typer.echo(content.decode(), nl=False)  # already one JSON document: --json changes nothing
    say("")
    say(f'put a nonce in: sed -i "s/{PLACEHOLDER}/$(openssl rand -hex 16)/" FILE')
    say(f"sign it: ssh-keygen -Y sign -f KEY -n {NAMESPACE} FILE")
    say("hand it in: countersign sample nonce-submit FILE FILE.sig")


def nonce_submit(
    statement: Annotated[Path, typer.Argument(help="What `nonce-request` printed, with a nonce put in.")],
    signature: Annotated[Path, typer.Argument(help="What `ssh-keygen -Y sign` made of it.")],
    root: Root = ROOT,
    policy: PolicyFile = POLICY,
    as_json: Json = False,
) -> None:
    """Take a nonce that was signed elsewhere. The same again is harmless."""
    desk = NonceDesk(open_existing(root, policy))
    _print_nonce(desk.submit(read_file(statement), read_file(signature)), as_json)


def _print_nonce(receipt: NonceReceipt, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "month": str(receipt.month),
                "digest": receipt.digest,
                "nonce": receipt.nonce,
                "by": receipt.by,
                "repeated": receipt.repeated,
            }
        )
        return
    was = "was recorded before" if receipt.repeated else "is recorded"
    say(f"the nonce {receipt.nonce} for {receipt.month} {was}, by {receipt.by}, for the population {receipt.digest}")
    say(f"`countersign sample draw {receipt.month}` draws")


def draw(
    month: MonthArgument,
    key: Annotated[
        Path | None,
        typer.Option(envvar="COUNTERSIGN_SEAL_KEY", help="The key that seals; it signs the manifest."),
    ] = None,
    finding: Annotated[str | None, typer.Option(help="The finding that makes another draw necessary.")] = None,
    expand: Annotated[
        list[str] | None, typer.Option(help="STRATUM=N: draw so many of a stratum, more than planned; repeat it.")
    ] = None,
    root: Root = ROOT,
    policy: PolicyFile = POLICY,
    as_json: Json = False,
) -> None:
    """Draw a month's sample, or show the one that there is. Other rows than before need a finding."""
    if key is None:
        raise SignatureError("no key to sign the manifest with; name the one that seals with --key")
    engine = open_existing(root, policy)
    larger = dict(map(_stratum, expand or []))
    sample = draw_month(engine.root, month, key=key, clock=engine.clock, finding=finding, expand=larger)
    if as_json:
        print_json(_document(sample))
        return
    print_lines(warnings(complete=sample.complete, seeded_by=sample.seeded_by))
    rows = [(name, one.population, one.n) for name, one in sample.strata.items()]
    print_table(("stratum", "clean changes", "drawn"), rows)
    print_lines([f"{sample.folder}", f"manifest {sample.digest}, seeded by the {sample.seeded_by}"])
    if not sample.repeated:
        say(f"seal it with `countersign seal`, then `countersign bundle export {month} --to DIR` for the observer")


def _stratum(text: str) -> tuple[str, int]:
    name, _, n = text.partition("=")
    if not n.isascii() or not n.isdecimal():
        raise typer.BadParameter(f"--expand {text}: write it as standard=80")
    return name, int(n)


def _document(sample: Sample) -> dict[str, object]:
    return {
        "month": sample.said.data["month"],
        "digest": sample.said.data["digest"],
        "complete": sample.complete,
        "seeded_by": sample.seeded_by,
        "seed": sample.said.data["seed"],
        "strata": sample.said.data["strata"],
        "manifest": sample.digest,
        "folder": str(sample.folder),
        "finding": sample.finding,
        "repeated": sample.repeated,
    }


@bundle_app.callback()
def bundle() -> None:
    """What an observer gets of a month."""


@bundle_app.command("export")
def export(
    month: MonthArgument,
    to: Annotated[Path, typer.Option(help="A folder that is new or empty.")],
    root: Root = ROOT,
    policy: PolicyFile = POLICY,
    as_json: Json = False,
) -> None:
    """Write the observer's bundle of a month: the sample, all that proves it, the drawn logs, and how to check them."""
    done = export_bundle(EvidenceRoot(root).existing(), month, to)
    if as_json:
        print_json({**_document(done.sample), "to": str(done.folder), "runs": done.runs, "seal": done.seal.number})
        return
    print_lines(warnings(complete=done.sample.complete, seeded_by=done.sample.seeded_by))
    say(
        f"{to}: {done.runs} logs, the register up to seal {done.seal.number}; `python verify_sample.py` there checks it"
    )
