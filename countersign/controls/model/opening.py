"""Opening the model that the policy names. What belongs here: which adapter, which key, and what is missing.

The client packages are extras, and heavy: they are imported when a model is first asked, never before.
"""

from collections.abc import Callable

from countersign.controls.model.asking import PatientModel, Provider
from countersign.controls.model.interface import Model
from countersign.environment import elapsed_ms, pause, variable
from countersign.errors import ModelUnavailable
from countersign.policy.model import ModelSpec


def open_model(
    spec: ModelSpec,
    *,
    variable: Callable[[str], str | None] = variable,
    elapsed_ms: Callable[[], int] = elapsed_ms,
    pause: Callable[[float], None] = pause,
) -> Model:
    """The model of a policy. Raises ModelUnavailable where its extra is not installed or its key is not there."""
    key = variable(spec.key) if spec.key is not None else None
    if spec.key is not None and key is None:
        raise ModelUnavailable(f"the policy names the model {spec.reader}; its key is missing: set {spec.key}")
    return PatientModel(spec, _provider(spec, key), elapsed_ms=elapsed_ms, pause=pause)


def _provider(spec: ModelSpec, key: str | None) -> Provider:
    try:
        if spec.adapter == "openai":
            from countersign.controls.model.openai_compatible import OpenAICompatible  # noqa: PLC0415  (an extra)

            return OpenAICompatible(spec, key)
        from countersign.controls.model.anthropic_messages import AnthropicMessages  # noqa: PLC0415  (an extra)

        return AnthropicMessages(spec, key)
    except ImportError as error:
        raise ModelUnavailable(
            f"the policy names the model {spec.reader}; `pip install 'countersign[{spec.adapter}]'` brings its client, "
            "or adopt a policy without a `model` section, and the rules judge alone"
        ) from error
