"""Which configuration is in force: the genesis, then what an owner adopts, from then on and never before."""

from pathlib import Path

import pytest

from countersign.errors import AdoptionRefused, EvidenceError, UnadoptedError
from countersign.policy import Configuration, Policy, complete
from countersign.runs.adoption import ConfigurationDesk, Difference
from countersign.runs.run import Run
from countersign.runs.state import Status
from tests.conftest import POLICY, payload_with
from tests.domain.runs.conftest import Bench, Forger, policy_with
from tests.domain.runs.test_sign_offs import with_people


def configuration(policy: Policy) -> Configuration:
    return complete(policy, POLICY)


@pytest.fixture
def desk(bench: Bench) -> ConfigurationDesk:
    return ConfigurationDesk(bench.root, clock=bench.clock)


def test_the_first_configuration_is_the_genesis(bench: Bench, desk: ConfigurationDesk) -> None:
    (line,) = bench.registered()
    first = configuration(bench.policy)
    assert (line["event"], line["configuration"], line["manifest"]) == ("root_opened", first.digest, first.manifest)
    assert (bench.run.engine.genesis, bench.fresh().engine.genesis) == (True, False)
    assert desk.in_force().configuration.digest == first.digest
    assert set(first.manifest) == {"schema", "policy", "catalogue", "calendar", "roster", "systems"}


def test_nothing_runs_with_a_configuration_that_is_not_adopted(bench: Bench, desk: ConfigurationDesk) -> None:
    changed = policy_with(bench.policy, version="changed")
    before = bench.contents()
    with pytest.raises(UnadoptedError, match=r"policy diff.*policy adopt --as PERSON --reason WHY"):
        Run(bench.root, policy=changed, clock=bench.clock)
    assert bench.contents() == before
    desk.adopt(configuration(changed), "control-owner", "A new version.")
    assert Run(bench.root, policy=changed, clock=bench.clock).execute(payload_with()).pending
    with pytest.raises(UnadoptedError):
        bench.run.__class__(bench.root, policy=bench.policy, clock=bench.clock)


def test_an_adoption_is_on_record_with_who_and_why(bench: Bench, desk: ConfigurationDesk) -> None:
    changed = configuration(policy_with(bench.policy, version="changed"))
    adoption = desk.adopt(changed, "control-owner", "The roster grew.")
    (line,) = bench.registered("configuration_adopted")
    assert (line["actor"], line["configuration"], line["previous"]) == (
        "control-owner",
        changed.digest,
        configuration(bench.policy).digest,
    )
    assert b'"value":"The roster grew."' in bench.register.read_bytes()
    assert (adoption.configuration, adoption.repeated) == (changed.digest, False)
    again = desk.adopt(changed, "control-owner", "The roster grew.")
    assert (again.repeated, len(bench.registered("configuration_adopted"))) == (True, 1)


@pytest.mark.parametrize(
    ("by", "reason", "says"),
    [
        ("stranger", "Why not.", "not on the roster in force"),
        ("reviewer", "Why not.", "none of the roles control_owner, process_owner"),
        ("control-owner", "  ", "needs a reason"),
    ],
    ids=["stranger", "no_owner", "no_reason"],
)
def test_who_may_not_adopt(bench: Bench, desk: ConfigurationDesk, by: str, reason: str, says: str) -> None:
    before = bench.contents()
    with pytest.raises(AdoptionRefused, match=says):
        desk.adopt(configuration(policy_with(bench.policy, version="changed")), by, reason)
    assert bench.contents() == before


def test_who_may_adopt_is_judged_by_the_roster_before(bench: Bench, desk: ConfigurationDesk) -> None:
    usurper = {"id": "maker", "name": "Example Maker", "roles": ["control_owner"]}
    with pytest.raises(AdoptionRefused, match="none of the roles"):
        desk.adopt(configuration(with_people(bench.policy, usurper)), "maker", "I own it now.")


def test_two_adoptions_at_once_are_not_both_taken(bench: Bench, desk: ConfigurationDesk) -> None:
    """The second owner has seen the difference from a configuration that is no longer in force."""
    other = ConfigurationDesk(bench.root, clock=bench.clock)
    stale = desk.in_force()
    other.adopt(configuration(policy_with(bench.policy, version="one")), "control-owner", "One.")
    desk.in_force = lambda: stale  # type: ignore[method-assign]  # as it was read before the other adopted
    with pytest.raises(AdoptionRefused, match="another configuration was adopted in the meantime"):
        desk.adopt(configuration(policy_with(bench.policy, version="two")), "process-owner", "Two.")


def test_a_roster_that_makes_the_makers_second_address_independent_is_not_used_before_adoption_nor_for_older_runs(
    bench: Bench, desk: ConfigurationDesk
) -> None:
    """The maker approves under a second address, which the roster in force knows; the changed file no longer does."""
    second = {"id": "maker", "name": "Example Maker", "emails": ["maker@example.com", "second@example.com"]}
    bench.fresh(policy=with_people(bench.policy, second))
    evidence = payload_with()["evidence"]
    evidence["approval"]["by"] = "second@example.com"
    payload = payload_with(evidence=evidence, author="maker@example.com")
    result = bench.execute(payload)

    def independent() -> str:
        state = bench.execute(payload).state
        assert state is not None
        return next(judged.result for judged in state.judged if judged.control == "ITGC-CM-02")

    assert independent() == "exception"
    loosened = with_people(bench.policy, {"id": "maker", "name": "M", "emails": ["maker@example.com"]})
    with pytest.raises(UnadoptedError):
        Run(bench.root, policy=loosened, clock=bench.clock).execute(payload)
    bench.fresh(policy=loosened)
    assert independent() == "exception"
    assert bench.complete(payload).status is Status.COMPLETED
    assert bench.faults() == []
    later = bench.execute({**payload, "summary": "A later change"})
    assert later.run_id != result.run_id
    assert later.state is not None
    assert next(judged.result for judged in later.state.judged if judged.control == "ITGC-CM-02") == "met"


def test_a_run_that_was_opened_before_and_begun_after_keeps_its_configuration(
    bench: Bench, desk: ConfigurationDesk
) -> None:
    """A crash came between its register line and its log, and an adoption came between the crash and the next try."""
    bench.execute()
    bench.cut_register("run_head")
    for log in bench.root.glob("runs/*/*/*/*/audit.jsonl"):
        log.unlink()
    first = bench.run.engine.current.configuration.digest
    bench.fresh(policy=policy_with(bench.policy, version="later"))
    state = bench.execute().state
    assert state is not None
    assert state.configuration["digest"] == first != bench.run.engine.current.configuration.digest
    assert bench.faults() == []


def test_differences_are_named_field_by_field(bench: Bench, desk: ConfigurationDesk) -> None:
    people = [person.model_dump(mode="json") for person in bench.policy.people if person.id != "deployer"]
    people[0]["emails"] = ["new@example.com"]
    changed = configuration(policy_with(bench.policy, people=people, version="later"))
    assert desk.differences(changed)[:2] == [
        Difference("policy.version", bench.policy.version, "later"),
        Difference("policy.people.maker.emails", "['maker@example.com']", "['new@example.com']"),
    ]
    assert [one.where for one in desk.differences(changed)[2:]] == ["policy.people.deployer"]
    assert desk.differences(changed)[2].after is None
    assert desk.differences(configuration(bench.policy)) == []


def test_open_runs_are_those_that_an_adoption_leaves_as_they_are(bench: Bench, desk: ConfigurationDesk) -> None:
    bench.complete()
    waiting = bench.execute(payload_with(id="CHG-2"))
    assert [run.run_id for run in ConfigurationDesk(bench.root).touched_runs()] == [waiting.run_id]


def test_a_root_without_a_register_has_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match="no evidence root"):
        ConfigurationDesk(tmp_path)


def test_a_configuration_whose_documents_are_gone_or_changed_is_named(bench: Bench) -> None:
    for path in (bench.root / "policies").iterdir():
        path.write_bytes(b"{}")
    with pytest.raises(EvidenceError, match="not what its name says"):
        ConfigurationDesk(bench.root).in_force()


def test_a_forged_configuration_or_classification_is_found(bench: Bench) -> None:
    result = bench.complete()
    forger = Forger(bench, result)
    ingested = forger.line("ingested")
    ingested.event["classified"] = {**ingested.event["classified"], "tier": "emergency"}
    forger.write()
    assert "classification_forged" in bench.kinds()
    ingested.event["configuration"] = {**ingested.event["configuration"], "roster": "0" * 64}
    forger.write()
    assert "configuration_differs" in bench.kinds()
