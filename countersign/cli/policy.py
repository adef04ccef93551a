"""`policy`: whether the configuration can be used, what its owners still have to decide, and adopting another one."""

from typing import Annotated

import typer

from countersign.cli.options import POLICY, ROOT, Json, PolicyFile, Root, SigningKeyFile
from countersign.cli.output import print_json, print_lines, print_table
from countersign.findings.due import channels_of, unheard_roles
from countersign.policy import Policy, load_configuration
from countersign.runs.adoption import ConfigurationDesk
from countersign.runs.run import key_ring
from countersign.runs.signatures import RosterKeys

app = typer.Typer(no_args_is_help=True)


@app.command("check")
def check(root: Root = ROOT, policy: PolicyFile = POLICY, as_json: Json = False) -> None:
    """Validate policy, catalogue and calendar, and name every target (▶) that its owner has not assigned."""
    configuration = load_configuration(policy)
    RosterKeys(configuration).require_usable()
    loaded, catalogue, calendar = configuration.policy, configuration.catalogue, configuration.calendar
    undecided = _undecided(loaded)
    if as_json:
        print_json(
            {
                "ok": True,
                "configuration": configuration.digest,
                "policy": {"version": loaded.version, "digest": loaded.digest},
                "catalogue": {"version": catalogue.version, "digest": catalogue.digest},
                "calendar": {"version": calendar.version, "digest": calendar.digest},
                "retention_store": loaded.retention_store and loaded.retention_store.model_dump(),
                "unassigned": [
                    {"target": name, "value": value, "unit": unit, "owner": owner}
                    for name, value, unit, owner in undecided
                ],
                "routes": channels_of(loaded),
                "without_route": unheard_roles(loaded),
            }
        )
        return
    print_lines(
        [
            f"configuration {configuration.digest}",
            f"policy {loaded.version}, digest {loaded.digest}",
            f"catalogue {catalogue.version}, digest {catalogue.digest}, {len(catalogue.controls)} controls",
            f"calendar {calendar.version}, digest {calendar.digest}",
            _kept_where(loaded),
        ]
    )
    if undecided:
        rows = [(name, f"{value} {unit}", owner) for name, value, unit, owner in undecided]
        print_table(("▶ target", "proposed", "to be assigned by"), rows, title="Still unassigned")
    else:
        print_lines(["every target is assigned"])
    print_lines(_told(loaded))


def _told(policy: Policy) -> list[str]:
    """Who hears of what goes wrong, and who does not."""
    channels, unheard = channels_of(policy), unheard_roles(policy)
    if not channels:
        return ["no route is configured: nobody is told of a finding outside of the UI (`escalation` in the policy)"]
    routed = [f"{role} over {' and '.join(names)}" for role, names in channels.items()]
    lines = [f"told of findings: {', '.join(routed)}"]
    return [*lines, f"no route leads to: {', '.join(unheard)} (`escalation` in the policy)"] if unheard else lines


def _kept_where(policy: Policy) -> str:
    store = policy.retention_store
    if store is None:
        return "retention_store: none, so nothing is kept elsewhere; see RUNBOOK.md, Retention"
    return f"retention_store: {store.kind} {store.bucket if store.kind == 's3' else store.folder}"


def _undecided(policy: Policy) -> list[tuple[str, object, str, str]]:
    """What the policy says without an owner's decision: name, value, unit, owner."""
    found: list[tuple[str, object, str, str]] = [
        (name, target.value, target.unit, target.owner) for name, target in policy.targets() if not target.assigned
    ]
    if not policy.sample.assigned:
        found.append(("sample", policy.sample.terms, "", policy.sample.owner))
    if policy.unknown_systems.anyone:
        found.append(("unknown_systems", "anyone", "may authorise", "control_owner"))
    return found


@app.command("diff")
def diff(root: Root = ROOT, policy: PolicyFile = POLICY, as_json: Json = False) -> None:
    """Show what adopting the files would change, and which open runs keep the configuration they were opened under.

    Exit 1 where something differs.
    """
    desk = ConfigurationDesk(root)
    configuration = load_configuration(policy)
    before = desk.in_force().configuration
    differences = desk.differences(configuration)
    touched = desk.touched_runs() if differences else []
    if as_json:
        print_json(
            {
                "in_force": before.digest,
                "files": configuration.digest,
                "differences": [{"where": one.where, "before": one.before, "after": one.after} for one in differences],
                "open_runs": [{"run_id": run.run_id, "change_id": run.change_id} for run in touched],
            }
        )
    else:
        print_lines([f"in force {before.digest}", f"files    {configuration.digest}"])
        if differences:
            rows = [(one.where, one.before, one.after) for one in differences]
            print_table(("where", "in force", "in the files"), rows)
            print_lines(
                [f"{len(touched)} open runs keep what they were opened under; who may sign them follows the new one"]
            )
        else:
            print_lines(["nothing differs"])
    if differences:
        raise typer.Exit(1)


@app.command("adopt")
def adopt(
    by: Annotated[str, typer.Option("--as", help="Who adopts: an owner, by the roster in force.")],
    reason: Annotated[str, typer.Option(help="Why.")],
    signing_key: SigningKeyFile = None,
    root: Root = ROOT,
    policy: PolicyFile = POLICY,
    as_json: Json = False,
) -> None:
    """Consent to the files; in force from when enough owners have, never backdated. The same again is harmless."""
    adoption = ConfigurationDesk(root).adopt(load_configuration(policy), by, reason, key_ring(signing_key))
    if as_json:
        print_json(
            {
                "configuration": adoption.configuration,
                "previous": adoption.previous,
                "by": adoption.by,
                "in_force": adoption.in_force,
                "waits_for": adoption.waits_for,
                "repeated": adoption.repeated,
            }
        )
        return
    if adoption.in_force:
        was = "was in force already" if adoption.repeated else f"is in force, adopted by {adoption.by}"
    else:
        was = f"has the consent of {adoption.by} and waits for that of {adoption.waits_for}"
    print_lines([f"configuration {adoption.configuration} {was}"])
