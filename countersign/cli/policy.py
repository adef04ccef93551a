"""`policy`: whether the policy can be used, and what its owners still have to decide."""

import typer

from countersign.cli.options import POLICY, ROOT, Json, PolicyFile, Root
from countersign.cli.output import print_json, print_lines, print_table
from countersign.policy import load_calendar
from countersign.runs.run import load_versions

app = typer.Typer(no_args_is_help=True)


@app.callback()
def group() -> None:
    """Keep `policy` a group while it has one command."""


@app.command("check")
def check(root: Root = ROOT, policy: PolicyFile = POLICY, as_json: Json = False) -> None:
    """Validate policy, catalogue and calendar, and name every target (▶) that its owner has not assigned."""
    loaded, catalogue = load_versions(policy)
    calendar = load_calendar(loaded, policy)
    unassigned = [(name, target) for name, target in loaded.targets() if not target.assigned]
    if as_json:
        print_json(
            {
                "ok": True,
                "policy": {"version": loaded.version, "digest": loaded.digest},
                "catalogue": {"version": catalogue.version, "digest": catalogue.digest},
                "calendar": {"version": calendar.version, "digest": calendar.digest},
                "unassigned": [
                    {"target": name, "value": target.value, "unit": target.unit, "owner": target.owner}
                    for name, target in unassigned
                ],
            }
        )
        return
    print_lines(
        [
            f"policy {loaded.version}, digest {loaded.digest}",
            f"catalogue {catalogue.version}, digest {catalogue.digest}, {len(catalogue.controls)} controls",
            f"calendar {calendar.version}, digest {calendar.digest}",
        ]
    )
    if unassigned:
        rows = [(name, f"{target.value} {target.unit}", target.owner) for name, target in unassigned]
        print_table(("▶ target", "proposed", "to be assigned by"), rows, title="Still unassigned")
    else:
        print_lines(["every target is assigned"])
