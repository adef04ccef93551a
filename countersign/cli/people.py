"""`people`: who somebody is by the roster and why, or what the roster does not say."""

from pathlib import Path
from typing import Annotated, Any

import typer

from countersign.changes.people import People, Resolution
from countersign.changes.standing import validity
from countersign.cli.options import POLICY, ROOT, Json, PolicyFile, Root
from countersign.cli.output import print_json, print_lines, print_table, say
from countersign.environment import utc_now
from countersign.errors import PolicyError
from countersign.evidence.root import EvidenceRoot
from countersign.policy import Person, load_configuration, load_policy
from countersign.runs.signers import adopted, signers_ever

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
    """Print, as stock `ssh-keygen` reads it, every key that a roster in force in this evidence root ever had."""
    evidence = EvidenceRoot(root).existing()
    lines = [signer.line() for signer in signers_ever(evidence)]
    if as_json:
        print_json({"allowed_signers": lines})
    else:
        print_lines(lines)
    if policy.exists():
        _say_if_another(policy, adopted(evidence)[-1][1])


def _say_if_another(policy: Path, in_force: str) -> None:
    try:
        digest = load_configuration(policy).digest
    except PolicyError as error:
        say(f"{error}; the keys are those of the evidence root, which asks no policy file")
        return
    if digest != in_force:
        say(f"{policy} is not in force: a key that only it has is not among these; `countersign policy diff`")
