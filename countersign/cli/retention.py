"""`retention` and `restore`: keep finished days elsewhere, see that they stay there, and bring one back."""

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from countersign.cli.options import POLICY, ROOT, Json, PolicyFile, Root, SigningKeyFile, day_of
from countersign.cli.output import print_json, print_lines, print_table, progress, say
from countersign.clocks.instant import stamp
from countersign.environment import utc_now
from countersign.errors import RetentionRefused
from countersign.evidence.root import EvidenceRoot
from countersign.findings.log import FindingsLog
from countersign.findings.losses import record_losses
from countersign.policy import Policy, load_policy
from countersign.retention.check import check as check_kept
from countersign.retention.holds import Answer
from countersign.retention.holds import hold as approve_hold
from countersign.retention.holds import purge as approve_purge
from countersign.retention.holds import release as approve_release
from countersign.retention.keep import Archive, NotKept
from countersign.retention.keep import keep as keep_days
from countersign.retention.opening import open_store
from countersign.retention.restore import Restored, restore_into, verify_restored
from countersign.retention.restore import restore as restore_day
from countersign.retention.store import RetentionStore
from countersign.runs.adoption import ConfigurationDesk
from countersign.runs.approvals import Approver
from countersign.runs.run import key_ring

app = typer.Typer(no_args_is_help=True)


Days = Annotated[list[date], typer.Argument(help="Days as YYYY-MM-DD.", parser=day_of, metavar="DAY…")]
By = Annotated[str, typer.Option("--as", help="Who approves: an owner, by the roster in force.")]
Reason = Annotated[str, typer.Option("--reason", help="Why.")]


@app.command("keep")
def keep(root: Root = ROOT, policy: PolicyFile = POLICY, as_json: Json = False) -> None:
    """Keep every finished day that is not in the store yet. Exit 1 where one could not be kept."""
    archive, store = _opened(root, policy)
    done = []
    with progress("keeping days") as advance:
        for each in keep_days(archive, store):
            done.append(each)
            advance(1)
    failed = [each for each in done if isinstance(each, NotKept)]
    if as_json:
        kept = [
            {"day": str(each.day), "runs": each.runs, "faults": each.faults, "until": stamp(each.until)}
            for each in done
            if not isinstance(each, NotKept)
        ]
        print_json({"kept": kept, "not_kept": [{"day": str(each.day), "why": each.why} for each in failed]})
    else:
        rows = [
            (each.day, "NOT KEPT", each.why)
            if isinstance(each, NotKept)
            else (each.day, "kept", f"{each.runs} runs until {each.until:%Y-%m-%d}, {each.faults} faults")
            for each in done
        ]
        if rows:
            print_table(("day", "", ""), rows, title=store.name)
        else:
            say("every finished day is in the store")
    if failed:
        raise typer.Exit(1)


@app.command("check")
def check(
    read: Annotated[bool, typer.Option("--read", help="Read every object, whatever the store says of it.")] = False,
    root: Root = ROOT,
    policy: PolicyFile = POLICY,
    as_json: Json = False,
) -> None:
    """Check that everything that was kept is still kept. What left early is a finding, SEV-1. Exit 1 on any fault."""
    archive, store = _opened(root, policy)
    lost = list(check_kept(archive, store, read=read))
    findings = FindingsLog(archive.root, clock=archive.clock)
    incidents = [each.subject for each in lost if each.incident]
    opened = record_losses(findings, incidents, archive.clock(), archive.policy)
    if as_json:
        faults = [{"day": str(each.day), "part": each.part, "kind": each.kind, "detail": each.detail} for each in lost]
        print_json({"ok": not lost, "faults": faults, "findings": opened})
    elif lost:
        print_table(
            ("day", "part", "fault", "detail"),
            [(each.day, each.part, each.kind, f"expected: {each.detail}") for each in lost],
        )
        print_lines([f"{len(lost)} faults, {len(incidents)} of them SEV-1: see ESCALATION.md"])
    else:
        print_lines([f"{len(archive.ledger().standing())} days are kept as they should be in {store.name}"])
    if lost:
        raise typer.Exit(1)


@app.command("status")
def status(root: Root = ROOT, policy: PolicyFile = POLICY, as_json: Json = False) -> None:
    """Show which days are kept, where, and until when. Nothing is asked of the store."""
    archive = _archive(root)
    ledger = archive.ledger()
    kept = [each for _, each in sorted(ledger.days.items())]
    waiting = [finished.day for finished in archive.days(ledger) if finished.day not in ledger.days]
    if as_json:
        days = [
            {
                "day": str(each.day),
                "store": each.store,
                "until": stamp(each.until),
                "runs": each.runs,
                "bytes": sum(stored.bytes for stored in each.objects.values()),
                "held": each.held,
                "purged": each.purged,
            }
            for each in kept
        ]
        print_json({"days": days, "not_kept": [str(day) for day in waiting]})
        return
    rows = [
        (
            each.day,
            "purged" if each.purged else "on hold" if each.held else "kept",
            each.runs,
            sum(stored.bytes for stored in each.objects.values()),
            f"{each.until:%Y-%m-%d}",
            each.store,
        )
        for each in kept
    ]
    print_table(("day", "stands", "runs", "bytes", "until", "store"), rows)
    print_lines([f"{len(waiting)} finished days are not kept: {', '.join(map(str, waiting[:10])) or 'none'}"])


@app.command("hold")
def hold(
    days: Days,
    by: By,
    reason: Reason,
    signing_key: SigningKeyFile = None,
    root: Root = ROOT,
    policy: PolicyFile = POLICY,
    as_json: Json = False,
) -> None:
    """Approve that days go on legal hold; the second owner's approval puts them there."""
    archive, store = _opened(root, policy)
    approver = Approver(by, reason, key_ring(signing_key))
    _say_answer(approve_hold(archive, store, days, approver), "on hold", as_json=as_json)


@app.command("release")
def release(
    days: Days,
    by: By,
    reason: Reason,
    signing_key: SigningKeyFile = None,
    root: Root = ROOT,
    policy: PolicyFile = POLICY,
    as_json: Json = False,
) -> None:
    """Approve that the legal hold is taken off days; the second owner's approval takes it off."""
    archive, store = _opened(root, policy)
    approver = Approver(by, reason, key_ring(signing_key))
    _say_answer(approve_release(archive, store, days, approver), "released", as_json=as_json)


@app.command("purge")
def purge(
    before: Annotated[date, typer.Option("--before", help="The first day that stays.", parser=day_of, metavar="DAY")],
    by: By,
    reason: Reason,
    signing_key: SigningKeyFile = None,
    root: Root = ROOT,
    policy: PolicyFile = POLICY,
    as_json: Json = False,
) -> None:
    """Approve that days past their time leave the store; the second owner's approval removes them."""
    archive, store = _opened(root, policy)
    approver = Approver(by, reason, key_ring(signing_key))
    _say_answer(approve_purge(archive, store, before, approver), "purged from the store", as_json=as_json)


def _say_answer(answer: Answer, became: str, *, as_json: bool) -> None:
    days = [str(kept.day) for kept in answer.days]
    if as_json:
        print_json({"days": days, "by": answer.by, "done": answer.done, "waits_for": answer.waits_for})
    elif answer.done:
        print_lines([f"{', '.join(days)}: {became}"])
    else:
        print_lines([f"{', '.join(days)}: approved by {', '.join(answer.by)}, waits for {answer.waits_for}"])


def restore(
    day: Annotated[date, typer.Argument(help="The day as YYYY-MM-DD.", parser=day_of, metavar="DAY")],
    to: Annotated[
        Path | None, typer.Option("--to", help="A folder that needs no register: for whoever has lost everything.")
    ] = None,
    root: Root = ROOT,
    policy: PolicyFile = POLICY,
    as_json: Json = False,
) -> None:
    """Bring a kept day back and verify it. What is there is never written over. Exit 1 where something differs."""
    if to is None:
        archive, store = _opened(root, policy)
        restored = restore_day(archive, store, day)
        faults = [
            f"{fault.where}: {fault.kind}: expected {fault.detail}" for fault in verify_restored(archive, restored)
        ]
    else:
        restored = restore_into(to, _store(load_policy(policy), policy, root), day)
        faults = []
    _say_restored(restored, faults, to, as_json=as_json)
    if restored.differing or faults:
        raise typer.Exit(1)


def _say_restored(restored: Restored, faults: list[str], to: Path | None, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "day": str(restored.day),
                "placed": restored.placed,
                "same": restored.same,
                "differing": restored.differing,
                "runs": len(restored.runs),
                "faults": faults,
            }
        )
        return
    says = f"{restored.placed} files placed, {restored.same} were there, {len(restored.runs)} runs"
    print_lines(
        [f"{restored.day}: {says}", *(f"DIFFERS, and was left: {name}" for name in restored.differing), *faults]
    )
    if to is None and not (restored.differing or faults):
        print_lines(["every run of the day verifies"])
    elif to is not None:
        print_lines(
            [f"every file is the one that was packed; with all days there: countersign verify --all --root {to}"]
        )


def _archive(root: Path) -> Archive:
    return Archive(EvidenceRoot(root), ConfigurationDesk(root).in_force(), clock=utc_now)


def _opened(root: Path, policy: Path) -> tuple[Archive, RetentionStore]:
    """The archive and the store of the policy in force; the policy file is only where relative paths start."""
    archive = _archive(root)
    return archive, _store(archive.policy, policy, root)


def _store(words: Policy, policy: Path, root: Path) -> RetentionStore:
    store = open_store(words, policy.parent, EvidenceRoot(root), clock=utc_now)
    if store is None:
        raise RetentionRefused(f"{policy}: names no retention_store, so nothing is kept elsewhere; see RUNBOOK.md")
    return store
