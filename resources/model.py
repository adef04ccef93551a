"""How a deployment reaches the model that its policy names.

Which model, where, and within which limits is the policy's, so that it counts only once it is adopted. What belongs
here is the one thing that is not: where this deployment keeps the key.
"""

from functools import partial

from dagster import Config
from pydantic import Field

from countersign.controls.model.interface import ModelFactory
from countersign.controls.model.opening import open_model
from countersign.environment import variable


class ModelAccess(Config):
    """`variables` maps the environment variable that a policy names to the one that holds the key here."""

    variables: dict[str, str] = Field(default={})

    def factory(self) -> ModelFactory:
        """What opens the model when it is first asked. Neither key nor client is looked for before."""
        return partial(open_model, variable=self._key)

    def _key(self, name: str) -> str | None:
        return variable(self.variables[name]) if name in self.variables else variable(name)
