"""The model of a deployment: the policy says which, the deployment where its key lies."""

import pytest

from countersign.errors import ModelUnavailable
from resources.model import ModelAccess
from tests.domain.controls.model.conftest import KEY, spec_of


def test_the_key_is_taken_from_the_variable_that_the_deployment_names(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = spec_of("openai", "http://127.0.0.1:1")
    monkeypatch.setenv("KEY_OF_THIS_PLACE", KEY)
    with pytest.raises(ModelUnavailable, match="set MODEL_KEY"):
        ModelAccess().factory()(spec)
    assert ModelAccess(variables={"MODEL_KEY": "KEY_OF_THIS_PLACE"}).factory()(spec)
    monkeypatch.setenv("MODEL_KEY", KEY)
    assert ModelAccess().factory()(spec)
