"""`people`: who somebody is by the roster and why, or what the roster does not say."""

from typing import Annotated, Any

import typer

from countersign.changes.people import People, Resolution
from countersign.changes.standing import validity
from countersign.cli.options import POLICY, ROOT, Json, PolicyFile, Root
from countersign.cli.output import print_json, print_lines, print_table
from countersign.environment import utc_now
from countersign.policy import Person, load_configuration, load_policy
from countersign.runs.signatures import RosterKeys

UNRESOLVED = 1

app = typer.Typer(no_args_is_help=True)


@app.command("resolve")
def resolve(
    text: Annotated[str, typer.Argument(metavar="NAME", help="A login, an e-mail, a name, or `NAME <MAIL>`.")],
    root: Root = ROOT,
    policy: PolicyFile = POLICY,
    as_json: Json = False,
) -> None:
    """Say who that is and why, with today's roles, or what is missing in the roster; exit 1 where it is nobody."""
    resolution = People(load_policy(policy)).resolve(text, utc_now())
    if as_json:
        print_json(_resolved(resolution))
    else:
        print_lines(_lines(resolution))
    if resolution.person is None:
        raise typer.Exit(UNRESOLVED)


@app.command("list")
def list_people(root: Root = ROOT, policy: PolicyFile = POLICY, as_json: Json = False) -> None:
    """List the roster: roles, teams, validity, and who may act for whom."""
    people = load_policy(policy).people
    if as_json:
        print_json({"people": [person.model_dump(mode="json") for person in people]})
        return
    print_table(("id", "name", "roles", "teams", "valid", "delegates"), [_row(person) for person in people])


def _resolved(resolution: Resolution) -> dict[str, Any]:
    person = resolution.person
    return {
        "text": resolution.text,
        "person": person.id if person else None,
        "name": person.name if person else None,
        "why": list(resolution.why),
        "missing": resolution.missing,
    }


def _lines(resolution: Resolution) -> list[str]:
    person = resolution.person
    first = f"{person.id} ({person.name})" if person else f"nobody of the roster: {resolution.missing}"
    return [first, *(f"  {reason}" for reason in resolution.why)]


def _row(person: Person) -> tuple[str, ...]:
    delegates = [f"{one.to} from {one.since.isoformat()} until {one.until.isoformat()}" for one in person.delegates]
    listed = (", ".join(person.roles), ", ".join(person.teams), validity(person), "; ".join(delegates))
    return (person.id, person.name, *listed)


@app.command("allowed-signers")
def print_allowed_signers(root: Root = ROOT, policy: PolicyFile = POLICY, as_json: Json = False) -> None:
    """Print the keys of everybody on the roster as the `allowed_signers` file of stock `ssh-keygen`."""
    lines = RosterKeys(load_configuration(policy)).allowed_signers.decode()
    if as_json:
        print_json({"allowed_signers": lines.splitlines()})
    else:
        print_lines(lines.splitlines())
