"""A sealed root for each module, and a copy of it for each attacker."""

from pathlib import Path

import pytest

from countersign.policy import Policy
from tests.domain.runs.attacked import Target, copy_of, genuine_root


@pytest.fixture(scope="module")
def genuine(tmp_path_factory: pytest.TempPathFactory, policy: Policy) -> Target:
    return genuine_root(tmp_path_factory.mktemp("genuine"), policy)


@pytest.fixture
def target(genuine: Target, tmp_path: Path) -> Target:
    return copy_of(genuine, tmp_path)
