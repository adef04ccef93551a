"""`witness`: an observer counter-signs a seal."""

from pathlib import Path
from typing import Annotated

import typer

from countersign.cli.options import POLICY, ROOT, Json, PolicyFile, Root
from countersign.cli.output import print_json, say
from countersign.cli.outside import require_seal, require_signers
from countersign.environment import utc_now
from countersign.errors import SignatureError
from countersign.evidence.root import EvidenceRoot
from countersign.evidence.witnessing import countersign
from countersign.runs.adoption import ConfigurationDesk


def witness(
    number: Annotated[int, typer.Argument(help="The seal.")],
    signer: Annotated[str, typer.Option("--as", help="Who witnesses: the roster id of an observer.")],
    key: Annotated[Path, typer.Option(help="The observer's private key, or a public one that the agent knows.")],
    held: Annotated[Path | None, typer.Option(help="The last seal that the observer holds, to go on from.")] = None,
    allowed_signers: Annotated[
        Path | None,
        typer.Option(envvar="COUNTERSIGN_ALLOWED_SIGNERS", help="Who may seal and witness, as ssh-keygen reads it."),
    ] = None,
    root: Root = ROOT,
    policy: PolicyFile = POLICY,
    as_json: Json = False,
) -> None:
    """Counter-sign a seal, after checking every seal and that this root goes on from the one held."""
    person = ConfigurationDesk(root).in_force().configuration.policy.person(signer)
    if person is None or "observer" not in person.roles:
        raise SignatureError(f"{signer!r} is no observer of the roster; witness as one of those")
    require_signers(allowed_signers)
    require_seal(held, "--held")
    given = countersign(
        EvidenceRoot(root), number, witness=signer, key=key, held=held, allowed_signers=allowed_signers, clock=utc_now
    )
    if as_json:
        print_json({"number": number, "by": signer, "path": str(given.path), "repeated": given.repeated})
        return
    was = "was counter-signed before" if given.repeated else "is counter-signed"
    said = f"seal {number} {was} by {signer}: {given.path}"
    say(f"{said}; keep a copy of the seal, to go on from the next time")
