"""Deployments and changes, many to many: a table of named cases, and every pair tried against the quick way."""

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from countersign.changes.matching import match
from countersign.revisions import same_revision

HASH = "4f2a9c1d7e" + "0" * 30


@dataclass(frozen=True)
class Deployed:
    system: str = "billing"
    revision: str = HASH
    change: str | None = None


@dataclass(frozen=True)
class Changed:
    system: str = "billing"
    change_id: str = "CHG-1"
    revision: str | None = HASH


CASES = {
    "same_revision": (Deployed(), Changed(), True),
    "abbreviated_in_the_deployment": (Deployed(revision=HASH[:7]), Changed(), True),
    "abbreviated_in_the_change": (Deployed(), Changed(revision=HASH[:12].upper()), True),
    "another_revision": (Deployed(revision="5" * 40), Changed(), False),
    "begins_alike_but_is_a_version": (Deployed(revision="release-10"), Changed(revision="release-1"), False),
    "names_the_change": (Deployed(revision="5" * 40, change="CHG-1"), Changed(), True),
    "names_a_change_without_a_revision": (Deployed(change="CHG-1"), Changed(revision=None), True),
    "names_the_change_and_is_of_it": (Deployed(change="CHG-1"), Changed(), True),
    "names_another_change_of_its_revision": (Deployed(change="CHG-2"), Changed(), True),
    "names_an_id_that_begins_alike": (Deployed(revision="5" * 40, change="CHG-10"), Changed(), False),
    "another_system": (Deployed(system="payroll", change="CHG-1"), Changed(), False),
    "nothing_to_match_by": (Deployed(), Changed(revision=None), False),
}


@pytest.mark.parametrize("case", CASES)
def test_which_deployment_belongs_to_which_change(case: str) -> None:
    deployment, change, belongs = CASES[case]
    assert list(match([deployment], [change])) == ([(deployment, change)] if belongs else [])


_revisions = st.sampled_from(
    [HASH, HASH[:7], HASH[:7].upper(), HASH[:6], HASH[:8] + "1" * 32, "release-1", "release-10"]
)
_systems = st.sampled_from(["billing", "payroll"])
_ids = st.sampled_from(["CHG-1", "CHG-2", HASH[:7]])


@settings(deadline=None, derandomize=True)
@given(
    st.lists(st.builds(Deployed, _systems, _revisions, st.none() | _ids), max_size=6),
    st.lists(st.builds(Changed, _systems, _ids, st.none() | _revisions), max_size=6),
)
def test_it_finds_the_pairs_that_trying_every_one_finds_in_their_order(
    deployments: list[Deployed], changes: list[Changed]
) -> None:
    tried = [
        (deployment, change)
        for deployment in deployments
        for change in changes
        if deployment.system == change.system
        and (
            deployment.change == change.change_id
            or (change.revision is not None and same_revision(deployment.revision, change.revision))
        )
    ]
    assert list(match(deployments, changes)) == tried
