"""What the policy says of populations. What belongs here: its words; what they mean to a test is `sampling`'s."""

from pydantic import Field

from countersign.policy.section import Pattern, Section


class Population(Section):
    """What makes a month's population look incomplete, beside what always does.

    `export_caps` are numbers of rows at which an export of a source here is cut off; `gapless_ids` are patterns of
    change ids that are numbered without gaps.
    """

    export_caps: list[int] = Field(default=[])
    gapless_ids: list[Pattern] = Field(default=[])
