"""The monthly sample as the policy sets it: who seeds the draw, how much it is to show, and when it is drawn.

What belongs here: the policy's words. What does not: sizes and draws, which are `sampling`.
"""

from typing import Literal

from pydantic import Field, model_validator

from countersign.policy.section import Section
from countersign.policy.words import UNASSIGNED, Role

SamplePlan = Literal["attribute", "annual", "quarterly", "monthly", "weekly", "daily", "many-times-a-day"]


class Sample(Section):
    """Terms of the sample; `assigned_by: ▶` says that nobody has set them yet.

    `nonce: optional` lets the population digest alone seed the draw, which is then marked producer-seeded everywhere.
    `plan` is attribute sampling, or a row of the firms' table; business days count from the month's end.
    """

    nonce: Literal["required", "optional"] = "required"
    plan: SamplePlan = "attribute"
    confidence: float = Field(default=0.95, gt=0, lt=1)
    tolerable: float = Field(default=0.05, gt=0, lt=1)
    expected: float = Field(default=0.0, ge=0, lt=1)
    drawn_on_business_day: int = Field(default=2, ge=1, le=20)
    owner: Role = "control_owner"
    assigned_by: str = Field(default=UNASSIGNED, min_length=1)

    @model_validator(mode="after")
    def _can_be_shown(self) -> "Sample":
        if self.expected >= self.tolerable:
            raise ValueError("expected: is not below `tolerable`; no sample can show a rate below one that is expected")
        return self

    @property
    def assigned(self) -> bool:
        return UNASSIGNED not in self.assigned_by

    @property
    def terms(self) -> str:
        """What is asked of the sample, in words."""
        rates = f"confidence {self.confidence}, tolerable {self.tolerable}, expected {self.expected:g}"
        return f"{self.plan}: {rates}; nonce {self.nonce}"
