"""The code location, on the root, policy and seal key that the environment names (`COUNTERSIGN_ROOT`, …)."""

import gc

from dagster import Definitions

from countersign.environment import (
    default_allowed_signers,
    default_keys,
    default_policy,
    default_root,
    default_seal_key,
)
from pipeline_defs.build import build
from pipeline_defs.demonstration import demo_seal_key
from pipeline_defs.home import REPOSITORY
from resources.evidence import Evidence


def assemble() -> Definitions:
    """The code location as things are now; a demonstration is sealed with its own throw-away key."""
    policy = REPOSITORY / default_policy()
    signers = default_allowed_signers()
    key = default_seal_key() or demo_seal_key(policy, REPOSITORY / default_keys())
    return build(
        evidence=Evidence(
            root=str(REPOSITORY / default_root()),
            policy=str(policy),
            seal_key=str(REPOSITORY / key) if key else "",
            allowed_signers=str(REPOSITORY / signers) if signers else "",
        ),
    )


defs = assemble()
# what is loaded lives as long as the process: frozen, its 130,000 objects are left out of every later collection, of
# which a full one would take 70 ms and the end of each worker a quarter of a second
gc.freeze()
