"""`finding`: what went wrong, and who answers for it."""

from typing import Annotated, Any

import typer

from countersign.cli.options import POLICY, ROOT, Json, PolicyFile, Root
from countersign.cli.output import print_json, print_lines, print_table, say
from countersign.clocks.instant import stamp
from countersign.errors import UnknownFindingError
from countersign.evidence.root import EvidenceRoot
from countersign.findings.desk import FindingDesk
from countersign.findings.disposal import Answer
from countersign.findings.finding import Deficiency, Finding
from countersign.findings.log import FindingsLog

app = typer.Typer(no_args_is_help=True)

FindingId = Annotated[str, typer.Argument(help="The finding, as `countersign finding list` shows it.")]
Signer = Annotated[str, typer.Option("--as", help="Who answers for it: an id of the roster.")]
Reason = Annotated[str, typer.Option("--reason", help="Why, in words that an auditor can follow.")]


@app.command("list")
def list_findings(
    everything: Annotated[bool, typer.Option("--all", help="Those that were disposed of, too.")] = False,
    root: Root = ROOT,
    policy: PolicyFile = POLICY,
    as_json: Json = False,
) -> None:
    """List open findings, the gravest and oldest first."""
    findings = _log(root).read()
    shown = list(findings.by_id.values()) if everything else findings.open()
    if as_json:
        print_json({"findings": [_document(finding) for finding in shown]})
    elif shown:
        rows = [
            (
                what.id,
                what.severity,
                what.kind,
                what.subject,
                what.run_id,
                what.owner,
                stamp(what.breached_at),
                _stands(each),
            )
            for each in shown
            for what in (each.what,)
        ]
        print_table(("finding", "severity", "kind", "about", "run", "owner", "since", "stands"), rows)
    else:
        say("no open findings")


@app.command("show")
def show(finding_id: FindingId, root: Root = ROOT, policy: PolicyFile = POLICY, as_json: Json = False) -> None:
    """Show a finding, and what was said of it."""
    finding = _log(root).read().by_id.get(finding_id)
    if finding is None:
        raise UnknownFindingError(f"{finding_id}: no such finding in {root}; `countersign finding list` shows them")
    document = _document(finding)
    if as_json:
        print_json(document)
        return
    said = document.pop("dispositions")
    print_lines([f"{name.replace('_', ' '):16} {_words(value)}" for name, value in document.items()])
    for disposition in said:
        print_lines(["", f"disposed of by {disposition['by']} at {disposition['at']}"])
        print_lines(
            [
                f"  {name.replace('_', ' '):22} {text}"
                for name, text in disposition.items()
                if text and name not in ("by", "at")
            ]
        )


@app.command("acknowledge")
def acknowledge(
    finding_id: FindingId,
    person: Signer,
    reason: Reason,
    root: Root = ROOT,
    policy: PolicyFile = POLICY,
    as_json: Json = False,
) -> None:
    """Take a finding on: it stays open, and is no longer sent again. The same again is harmless.

    Who may is judged by the configuration in force, whatever the policy file says.
    """
    _report(FindingDesk(root).acknowledge(finding_id, person, reason), as_json)


@app.command("dispose")
def dispose(
    finding_id: FindingId,
    person: Signer,
    reason: Reason,
    root_cause: Annotated[str | None, typer.Option(help="What led to it.")] = None,
    corrective_action: Annotated[str | None, typer.Option(help="What keeps it from happening again.")] = None,
    deficiency: Annotated[Deficiency | None, typer.Option(help="How it is classed.")] = None,
    compensating_control: Annotated[str | None, typer.Option(help="A control that made up for it.")] = None,
    compensating_evidence: Annotated[str | None, typer.Option(help="What shows that this control worked.")] = None,
    root: Root = ROOT,
    policy: PolicyFile = POLICY,
    as_json: Json = False,
) -> None:
    """Dispose of a finding, as an owner of the configuration in force; whoever was late cannot.

    SEV-1 and SEV-2 need two people.
    """
    answer = Answer(reason, root_cause, corrective_action, deficiency, compensating_control, compensating_evidence)
    _report(FindingDesk(root).dispose(finding_id, person, answer), as_json)


def _log(root: Root) -> FindingsLog:
    return FindingsLog(EvidenceRoot(root).existing())


def _report(finding: Finding, as_json: bool) -> None:
    if as_json:
        print_json(_document(finding))
    else:
        say(f"{finding.what.id} is {_stands(finding)}")


def _stands(finding: Finding) -> str:
    if finding.disposed:
        return f"disposed of by {' and '.join(finding.dispositions)}"
    if finding.dispositions:
        return f"open; disposed of by {', '.join(finding.dispositions)}, a second person is needed"
    if finding.acknowledged_by:
        return f"open, acknowledged by {', '.join(finding.acknowledged_by)}"
    return "open"


def _document(finding: Finding) -> dict[str, Any]:
    return {
        **finding.what.data(),
        "detected_at": stamp(finding.detected_at),
        "stands": _stands(finding),
        "acknowledged_by": list(finding.acknowledged_by),
        "dispositions": [
            {
                "by": disposition.by,
                "at": stamp(disposition.at),
                "reason": disposition.reason,
                "root_cause": disposition.root_cause,
                "corrective_action": disposition.corrective_action,
                "deficiency": disposition.deficiency and str(disposition.deficiency),
                "compensating_control": disposition.compensating_control,
                "compensating_evidence": disposition.compensating_evidence,
            }
            for disposition in finding.dispositions.values()
        ],
    }


def _words(value: object) -> str:
    return ", ".join(value) or "nobody" if isinstance(value, list) else str(value)
