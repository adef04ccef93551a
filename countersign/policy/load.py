"""Policy, catalogue and calendar from YAML. What belongs here: strict reading, with one error for what is wrong."""

import json
from collections.abc import Hashable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

try:
    from yaml import CSafeLoader as SafeLoader
except ImportError:  # PyYAML built without libyaml: the same documents, eight times slower
    from yaml import SafeLoader  # type: ignore[assignment]

from countersign.clocks.calendar import Calendar
from countersign.errors import PolicyError
from countersign.policy.demo import DemoSigners
from countersign.policy.document import Catalogue, Policy
from countersign.policy.section import first_fault


class _StrictLoader(SafeLoader):
    """Safe YAML that refuses a key given twice, since the second would silently win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} is given twice", node.start_mark)
        return super().construct_mapping(node, deep)


_Document = TypeVar("_Document", bound=BaseModel)


def _read(path: Path, document: type[_Document]) -> _Document:
    content: object = None
    try:
        # YAML → JSON → model: the JSON mode of strict validation is the one that reads enumerations from text
        content = _StrictLoader(path.read_text(encoding="utf-8")).get_single_data()
        return document.model_validate_json(json.dumps(content))
    except FileNotFoundError as error:
        raise PolicyError(
            f"{path}: not found; name a file that is there (the policy by --policy), or run where it lies"
        ) from error
    except ValidationError as error:
        raise PolicyError(f"{path}: {first_fault(error, content)}") from error
    except (OSError, ValueError, yaml.YAMLError, TypeError, RecursionError) as error:
        raise PolicyError(f"{path}: cannot be read: {error}") from error


def load_policy(path: Path) -> Policy:
    """The policy in a YAML file. Raises PolicyError naming the file and the field."""
    return _read(path, Policy)


def load_catalogue(policy: Policy, policy_path: Path) -> Catalogue:
    """The catalogue that a policy names, relative to the policy's own folder. Raises PolicyError."""
    return _read(policy_path.parent / policy.catalogue, Catalogue)


def load_demo_signers(policy: Policy, policy_path: Path) -> DemoSigners | None:
    """The demonstration keys that a policy names; none where it names none or the file is not there.

    A missing file takes keys away and gives none, so here, and only here, it is no error.
    """
    path = policy_path.parent / policy.demo_signers if policy.demo_signers else None
    return _read(path, DemoSigners) if path is not None and path.exists() else None


def load_calendar(policy: Policy, policy_path: Path) -> Calendar:
    """The business calendar that a policy names, relative to the policy's own folder. Raises PolicyError."""
    return read_calendar(policy_path.parent / policy.calendar)


def read_calendar(path: Path) -> Calendar:
    """A business calendar from a file. Raises PolicyError naming the file and the field."""
    return _read(path, Calendar)
