"""`verify_evidence.py`, called as a function."""

import importlib.util
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).parent.parent / "verify_evidence.py"
_spec = importlib.util.spec_from_file_location("verify_evidence", SCRIPT)
assert _spec is not None
assert _spec.loader is not None
_module: Any = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)


def script_faults(root: Path, signers: Path | None = None, witness: Path | None = None) -> list[tuple[str, str, str]]:
    """Every fault that the script finds: name, place, what was expected."""
    _module.verified.cache_clear()  # another call of the script would know nothing of this one
    found = _module.Root(root, signers and str(signers), witness and str(witness))
    return [(name, str(where), expected) for name, where, expected in found.faults]


def verified_signatures(root: Path, signers: Path) -> int:
    """How often the script asks ssh-keygen about a root."""
    script_faults(root, signers)
    return int(_module.verified.cache_info().misses)
