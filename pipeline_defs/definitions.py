"""The code location, on the root, policy and seal key that the environment names (`COUNTERSIGN_ROOT`, …)."""

from countersign.environment import default_policy, default_root, default_seal_key
from pipeline_defs.build import build
from pipeline_defs.home import REPOSITORY
from resources.evidence import Evidence

defs = build(
    evidence=Evidence(
        root=str(REPOSITORY / default_root()),
        policy=str(REPOSITORY / default_policy()),
        seal_key=str(REPOSITORY / key) if (key := default_seal_key()) else "",
    ),
)
