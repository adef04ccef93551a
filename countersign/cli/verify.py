"""`verify`: whether the evidence still says what it said, and how far to believe the answer.

What is wrong with a run or with the root becomes a finding, where the root can be written.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from countersign.cli.options import POLICY, ROOT, Json, PolicyFile, Root, instant_of, open_index
from countersign.cli.output import print_json, print_lines, print_table, progress
from countersign.cli.outside import require_digest, require_seal, require_signers
from countersign.clocks.instant import stamp
from countersign.environment import default_allowed_signers, utc_now
from countersign.errors import CountersignError, EvidenceError
from countersign.evidence.root import EvidenceRoot
from countersign.findings.incidents import record_faults, record_root_faults
from countersign.findings.verification import check_findings
from countersign.runs.adoption import ConfigurationDesk
from countersign.runs.verification import RunFault, Verified, Verifier, of_root
from countersign.sampling.verification import check_samples

_TRUST = {
    "register": "each log is whole and is the one that the register knows",
    "seal": "each log is whole and is the one that the register knew when it was sealed",
    "witness": "each log is whole and is the one of the seal that was held elsewhere",
}


def verify(
    run_id: Annotated[str | None, typer.Argument(help="One run; all of them without it.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every run, register, findings, seals and files.")] = False,
    allowed_signers: Annotated[
        Path | None,
        typer.Option(
            envvar="COUNTERSIGN_ALLOWED_SIGNERS",
            help="Who may seal, as ssh-keygen reads it; else each seal's own key is believed.",
        ),
    ] = None,
    witness: Annotated[Path | None, typer.Option(help="A seal that was kept elsewhere, to go on from.")] = None,
    genesis: Annotated[
        str | None, typer.Option(help="The digest of the first configuration, as somebody else kept it.")
    ] = None,
    as_of: Annotated[
        str | None, typer.Option(help="When a copy was made, 2026-11-23T14:00:00Z: a seal is late as of then, not now.")
    ] = None,
    root: Root = ROOT,
    policy: PolicyFile = POLICY,
    as_json: Json = False,
) -> None:
    """Verify logs against their chain, register and seals, and all that can be decided again.

    Exit 1 on any fault, 2 where there is nothing to verify. A fault is recorded as a finding, SEV-1, unless nothing can
    be written here, as on a read-only copy, or the root was held against something from outside.
    """
    if run_id is not None and everything:
        raise typer.BadParameter("name one run or --all, not both")
    require_signers(allowed_signers)
    require_seal(witness, "--witness")
    require_digest(genesis, "--genesis")
    with progress("verifying") as advance:
        verifier = Verifier(
            Path(root),
            allowed_signers=allowed_signers,
            witness=witness,
            genesis=genesis,
            now=utc_now(),
            as_of=instant_of(as_of, "--as-of") if as_of else None,
        )
        verified = verifier.verify([run_id] if run_id else None, advance)
    if run_id is None and all(fault.kind != "register" for fault in verified.faults):
        evidence = EvidenceRoot(root)
        beside = (*check_findings(evidence), *check_samples(evidence))
        verified = replace(verified, faults=[*verified.faults, *map(of_root, beside)])
    from_outside = (allowed_signers, witness, genesis) != (default_allowed_signers(), None, None)
    findings, unrecorded = _record(root, verified.faults, from_outside=from_outside)
    if as_json:
        faults = [
            {
                "run_id": fault.run_id,
                "kind": fault.kind,
                "where": fault.where,
                "detail": fault.detail,
                "since": _since(fault, verified),
            }
            for fault in verified.faults
        ]
        answer = {"ok": verified.ok, "checked": verified.checked, "faults": faults}
        print_json(
            {
                **answer,
                "trust": verified.trust,
                "self_attested_since": verified.since,
                "configuration": "given" if verified.genesis_given else "self-asserted",
                "demo_sign_offs": verified.demo,
                "findings": findings,
                "not_recorded": unrecorded,
                "erased": [
                    {"run_id": done.act.on["run_id"], "text": done.act.on["text"], "by": list(done.by)}
                    for done in verified.erased
                ],
                "orphaned_blobs": verified.orphans,
            }
        )
    elif verified.ok:
        print_lines([f"{verified.checked} runs verified: {_TRUST[verified.trust]}", *_caveats(verified)])
    elif verified.faults:
        rows = [
            (fault.run_id, fault.kind, fault.where, f"expected: {fault.detail}", (_since(fault, verified) or "")[:19])
            for fault in verified.faults
        ]
        print_table(("run", "fault", "where", "detail", "since (UTC)"), rows)
        print_lines(
            [
                f"NOT VERIFIED: {len(verified.faults)} faults in {verified.checked} runs. SEV-1: see ESCALATION.md",
                *(f"on record as {finding}" for finding in findings),
                *([f"no finding was recorded: {unrecorded}"] if unrecorded else []),
            ]
        )
    if verified.empty:
        raise EvidenceError(f"{root}: nothing to verify: the register is whole, and no run was ever opened")
    if not verified.ok:
        raise typer.Exit(1)


def _record(root: Path, faults: Sequence[RunFault], *, from_outside: bool) -> tuple[list[str], str | None]:
    """The findings of what is at fault, and why there is none of any where that is so.

    What seems wrong with a root when it is held against something `from_outside` may be wrong with that instead.
    """
    first = {fault.run_id: fault.kind for fault in reversed(faults) if fault.run_id is not None}
    beside = [] if from_outside else [fault.as_of_root() for fault in faults if fault.run_id is None]
    if not faults:
        return [], None
    if not EvidenceRoot(root).writable:
        return [], f"{root} cannot be written; verify the root itself, too"
    try:
        evidence, index = open_index(root)
        in_force = ConfigurationDesk(root).in_force()
        ids = record_root_faults(evidence, in_force, beside)
        ids += record_faults(evidence, in_force, first, index.runs(first).values()) if first else []
    except (CountersignError, OSError) as error:
        return [], str(error)
    return ids, None if ids else "what a crash leaves, or differs from what was given, is no finding: keep this answer"


def _since(fault: RunFault, verified: Verified) -> str | None:
    """Until when what is at fault was still sound; beside the runs only the newest seal that holds can tell."""
    at = fault.since or fault.at
    return stamp(at) if at else verified.sealed_at or verified.since


def _caveats(verified: Verified) -> list[str]:
    """What the answer does not show."""
    said = [_attested(verified)]
    if not verified.genesis_given:
        said.append("configuration self-asserted: nobody gave the genesis digest from outside (--genesis)")
    if verified.demo:
        said.append(f"demo: {verified.demo} sign-offs are signed with throw-away keys of a demonstration")
    for done in verified.erased:
        which = f"the text {done.act.on['text']} of {done.act.on['run_id']}"
        said.append(
            f"erased: {which}, by {' and '.join(done.by)} on {done.at:%Y-%m-%d}; what needs it is not judged again"
        )
    if verified.orphans:
        said.append(
            f"orphaned: {verified.orphans} blobs are named by no log, as a crash before the log's line leaves them"
        )
    return said


def _attested(verified: Verified) -> str:
    if verified.since is None:
        return "self-attested"
    return f"self-attested since {verified.since}: nobody else holds a seal (--witness) of what came after"
