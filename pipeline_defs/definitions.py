"""The code location. Environment `COUNTERSIGN_ROOT` and `COUNTERSIGN_POLICY` name another root and policy."""

from countersign.environment import default_policy, default_root
from pipeline_defs.build import build
from pipeline_defs.home import REPOSITORY
from resources.evidence import Evidence

defs = build(
    evidence=Evidence(root=str(REPOSITORY / default_root()), policy=str(REPOSITORY / default_policy())),
)
