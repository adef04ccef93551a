"""`verify_sample.py`, called as a function."""

from importlib import import_module
from pathlib import Path
from typing import Any

_module: Any = import_module("verify_sample")
SAMPLE_SCRIPT = Path(_module.__file__)


def bundle_faults(bundle: Path) -> set[tuple[str, str]]:
    """Every fault that the script finds in a bundle: name, and what it is about."""
    _module.verified.cache_clear()  # another call of the script would know nothing of this one
    return {(str(name), str(about)) for name, about, _ in _module.Bundle(bundle).faults}
