"""`payload`: the form of what a source hands in."""

import typer

from countersign.changes.payload import payload_schema
from countersign.cli.options import POLICY, ROOT, Json, PolicyFile, Root
from countersign.cli.output import print_json

app = typer.Typer(no_args_is_help=True)


@app.callback()
def group() -> None:
    """Keep `payload` a group while it has one command."""


@app.command("schema")
def schema(root: Root = ROOT, policy: PolicyFile = POLICY, as_json: Json = True) -> None:
    """Print the JSON Schema of a payload."""
    print_json(payload_schema())
