"""The words that policy, catalogue and logs share. What belongs here: closed lists of names; nothing that decides."""

from enum import StrEnum
from typing import Literal


class Key(StrEnum):
    """The two sign-offs, in the order in which they are asked for."""

    INDEPENDENT_REVIEW = "independent_review"
    MAKER_CHECKER = "maker_checker"


class Kind(StrEnum):
    """What an evidence item is."""

    APPROVAL = "approval"
    REJECTION = "rejection"
    TEST = "test"
    DEPLOYMENT = "deployment"
    TICKET = "ticket"
    OTHER = "other"


# `authoriser` may authorise changes of a system in its source; `auditor` may read.
Role = Literal["authoriser", "reviewer", "approver", "control_owner", "process_owner", "observer", "auditor"]
