"""`seal`: state and sign what the whole root is now."""

from pathlib import Path
from typing import Annotated

import typer

from countersign.cli.options import POLICY, ROOT, Json, PolicyFile, Root
from countersign.cli.output import print_json, say
from countersign.environment import utc_now
from countersign.errors import SignatureError
from countersign.evidence.root import EvidenceRoot
from countersign.evidence.seal import seal_path
from countersign.evidence.timestamping import timestamp_seals
from countersign.runs.adoption import ConfigurationDesk
from countersign.runs.sealing import make_seal


def seal(
    key: Annotated[
        Path | None,
        typer.Option(
            envvar="COUNTERSIGN_SEAL_KEY", help="A private key file, or a public one whose private half the agent has."
        ),
    ] = None,
    new_key: Annotated[
        bool, typer.Option("--new-key", help="Take another key than that of the seal before, from now on.")
    ] = False,
    root: Root = ROOT,
    policy: PolicyFile = POLICY,
    as_json: Json = False,
) -> None:
    """Seal the evidence root. Give the file that this prints to somebody else: it shows what the root was."""
    if key is None:
        raise SignatureError("no key to seal with; name one with --key or COUNTERSIGN_SEAL_KEY")
    evidence = EvidenceRoot(root)
    in_force = ConfigurationDesk(root).in_force().configuration
    made = make_seal(evidence, in_force, key, clock=utc_now, new_key=new_key)
    path = seal_path(evidence, made.number)
    timestamps = timestamp_seals(evidence, clock=utc_now)
    if as_json:
        said = {"number": made.number, "seal": made.digest, "path": str(path), "lines": made.lines}
        failed = {str(number): why for number, why in timestamps.failed.items()}
        print_json({**said, "timestamped": timestamps.made, "timestamp_failed": failed})
        return
    say(f"seal {made.number} of {made.lines} register lines: {path}")
    say(f"SHA-256 {made.digest}")
    for number in timestamps.made:
        say(f"seal {number} is timestamped")
    for number, why in timestamps.failed.items():
        say(f"seal {number} is not timestamped yet, the next `countersign seal` asks again: {why}")
