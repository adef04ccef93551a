"""Who had a hand in a change is one question: whoever its evidence says deployed it, and for whom it was signed."""

from datetime import date
from typing import Any

import pytest

from countersign.errors import ClockRefused, FindingRefused
from countersign.findings.desk import FindingDesk
from countersign.findings.disposal import Answer
from countersign.policy import Policy
from tests.conftest import StepClock, payload_with
from tests.domain.findings.test_watch import UNGROUNDED, Office
from tests.domain.runs.conftest import Bench, policy_with


@pytest.fixture
def office(root: Any, policy: Policy, clock: StepClock) -> Office:
    return Office(Bench(root, policy, clock))


def deployed_by(person: str, *more: str, **changes: Any) -> dict[str, Any]:
    """A change that declares no deployer, as a joined deployment leaves it: only its evidence names them."""
    payload = payload_with(deployed_by=None, **changes)
    for number, by in enumerate([person, *more]):
        item = payload["evidence"]["deployment"] | {"by": by}
        payload["evidence"]["deployment" if number == 0 else f"deployment {number}"] = item
    return payload


def test_who_deployed_a_change_does_not_observe_it_where_only_evidence_says_so(office: Office) -> None:
    run = office.bench.execute(deployed_by("deployer", "observer@example.com", assertions=UNGROUNDED))
    with pytest.raises(ClockRefused, match="the deployer of this change, 'observer@"):
        office.observe(run, "observer", "noted", "seen")


def test_who_deployed_a_change_disposes_of_no_finding_in_it_where_only_evidence_says_so(office: Office) -> None:
    office.bench.execute(deployed_by("Control Owner <control-owner@example.com>", id="CHG-1"))
    office.at(5)
    office.look()
    finding_id, *_ = office.findings.by_id
    assert "control-owner" in office.findings.by_id[finding_id].what.barred
    desk = FindingDesk(office.bench.root, clock=office.bench.clock)
    with pytest.raises(FindingRefused, match="control-owner was late or did it"):
        desk.dispose(finding_id, "control-owner", Answer("nothing to see"))
    assert desk.dispose(finding_id, "process-owner", Answer("the reviewer was ill")).disposed


def test_a_deployer_whom_the_roster_learns_of_later_disposes_of_nothing_either(office: Office) -> None:
    """The finding bars roster ids; whom the roster did not know then is compared at the disposal."""
    office.bench.execute(deployed_by("Example Control Owner <private@example.com>", id="CHG-1"))
    office.at(5)
    office.look()
    finding_id, *_ = office.findings.by_id
    with pytest.raises(FindingRefused, match="the deployer of this change"):
        FindingDesk(office.bench.root, clock=office.bench.clock).dispose(finding_id, "control-owner", Answer("fine"))


def test_a_finding_bars_every_deployer_that_evidence_names(office: Office) -> None:
    office.bench.execute(deployed_by("deployer", "second-checker", "pipeline:cd", assertions=UNGROUNDED))
    office.look()
    (finding,) = office.findings.by_id.values()
    assert finding.what.barred == ("maker", "deployer", "second-checker")


def test_a_pipeline_is_nobody_from_whom_an_observer_has_to_be_told_apart(office: Office) -> None:
    """A name alone could be anybody's, and would bar everybody; that of a pipeline is the pipeline's."""
    people = office.bench.policy.model_dump(mode="json")["pipelines"]
    policy = policy_with(office.bench.policy, pipelines=[*people, "^release train$"])
    office = Office(Bench(office.bench.root.with_name("other"), policy, office.bench.clock))
    run = office.bench.execute(deployed_by("Release Train", assertions=UNGROUNDED))
    assert office.observe(run, "observer", "noted", "seen").stopped == ("block",)


def test_for_whom_somebody_signed_had_a_hand_in_it(office: Office) -> None:
    """A delegate signs for somebody, who is then no observer of what was signed in their place."""
    people = office.bench.policy.model_dump(mode="json")["people"]
    lent = {"to": "deputy", "from": str(date(2026, 11, 23)), "until": str(date(2026, 11, 29))}
    people = [
        *(one | {"roles": ["reviewer"], "delegates": [lent]} if one["id"] == "observer" else one for one in people),
        {"id": "deputy", "name": "Example Deputy", "emails": ["deputy@example.com"]},
    ]
    office = Office(
        Bench(office.bench.root.with_name("other"), policy_with(office.bench.policy, people=people), office.bench.clock)
    )
    run = office.bench.execute()
    office.bench.sign(run, "independent_review", "deputy")
    for person in people:
        if person["id"] == "observer":
            person["roles"] = ["observer"]
    office.bench.fresh(policy=policy_with(office.bench.policy, people=people))
    with pytest.raises(ClockRefused, match="the principal of the signer of independent_review of this change"):
        office.observe(run, "observer", "noted", "seen")
