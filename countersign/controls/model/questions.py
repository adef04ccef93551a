"""Asking the model of a policy about changes. What belongs here: which controls are asked about, and when it is opened.

The model is opened when it is first needed, so that reading, signing and verifying need neither key nor client.
"""

from threading import Lock

from countersign.changes.classification import classify
from countersign.controls.assessment import Case
from countersign.controls.model.interface import Asked, Model, ModelFactory, Prompt
from countersign.controls.model.prompt import build_prompt
from countersign.policy import Catalogue, Control, Policy
from countersign.policy.model import ModelSpec


class Questions:
    """The questions of one policy and catalogue to the model that the policy names."""

    def __init__(self, policy: Policy, catalogue: Catalogue, spec: ModelSpec, open_model: ModelFactory) -> None:
        self._policy = policy
        self._catalogue = catalogue
        self._spec = spec
        self._open = open_model
        self._opening = Lock()
        self._model: Model | None = None

    def ask(self, case: Case) -> Asked:
        """Ask about the controls that apply to a change. Raises ModelUnavailable."""
        prompt = self.prompt(case)
        with self._opening:
            self._model = self._model or self._open(self._spec)
        return Asked(self._spec.reader, prompt, self._model.ask(prompt))

    def prompt(self, case: Case) -> Prompt:
        """What is asked about a change; nobody is asked."""
        return build_prompt(case.change, self._controls(case), self._spec.redactions)

    def _controls(self, case: Case) -> list[Control]:
        change_type = classify(case.change, self._policy, case.at).change_type
        chosen = self._spec.controls
        return [
            control
            for control in self._catalogue.controls
            if change_type in control.applies_to and (chosen is None or control.id in chosen)
        ]


def questions_of(policy: Policy, catalogue: Catalogue, open_model: ModelFactory) -> Questions | None:
    """The questions of a policy, or None for one that names no model."""
    return Questions(policy, catalogue, policy.model, open_model) if policy.model is not None else None
