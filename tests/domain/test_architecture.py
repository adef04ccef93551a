"""The arrows of DESIGN.md, and the one door to time, randomness and the environment, read off the source itself."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
DOMAIN = REPOSITORY / "countersign"
MODULES = sorted(DOMAIN.rglob("*.py"))
FLOORS = (
    {"errors"},
    {"clocks", "environment"},
    {"policy", "patterns", "revisions"},
    {"evidence"},
    {"changes"},
    {"controls"},
    {"runs"},
    {"evaluation", "findings", "retention", "sampling"},
    {""},  # the package itself, which only offers what the rooms hold
    {"cli"},
)
# The packages around the domain: each uses itself, what is below it, and the domain.
OUTER = ({"resources"}, {"assets", "sensors"}, {"pipeline_defs"})
OUTER_MODULES = sorted(path for floor in OUTER for name in floor for path in (REPOSITORY / name).rglob("*.py"))
ONLY = {"clocks": {"errors"}}
OUTSIDE = {"dagster", "assets", "sensors", "resources", "pipeline_defs", "tests"}
IMPURE_MODULES = {"time", "random", "secrets", "uuid"}
IMPURE_NAMES = {
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
    "os": {"environ", "environb", "getenv", "getenvb", "urandom", "getrandom"},
}


def room_of(path: Path) -> str:
    first = path.relative_to(DOMAIN).parts[0].removesuffix(".py")
    return "" if first == "__init__" else first


def imported(tree: ast.AST) -> Iterator[str]:
    """The dotted names that a module imports, wherever the statement stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from (f"{module}.{alias.name}" for alias in node.names)


def wrong_arrows(room: str, source: str) -> list[str]:
    """The imports that a module of a room may not have."""
    below: set[str] = set().union(*FLOORS[: next(n for n, floor in enumerate(FLOORS) if room in floor)])
    allowed = {room} | ONLY.get(room, below)
    wrong = []
    for name in imported(ast.parse(source)):
        top, *rest = name.split(".")
        if top in OUTSIDE or not top:
            wrong.append(name)
        elif top == "countersign":
            used = rest[0] if rest and rest[0] in set().union(*FLOORS) else ""
            wrong += [name] if used not in allowed else []
    return wrong


def wrong_outer_arrows(package: str, source: str) -> list[str]:
    """The imports that a module of a package around the domain may not have."""
    below: set[str] = set().union(*OUTER[: next(n for n, floor in enumerate(OUTER) if package in floor)])
    own = {*set().union(*OUTER), "benchmarks", "tests", ""}
    return [name for name in imported(ast.parse(source)) if name.split(".")[0] in own - below - {package}]


def impurities(source: str) -> list[str]:
    """Where a module reads the clock, a random source or the environment."""
    tree = ast.parse(source)
    found = [name for name in imported(tree) if name.split(".")[0] in IMPURE_MODULES]
    found += [name for name in imported(tree) if name.startswith("os.") and name[3:] in IMPURE_NAMES["os"]]
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, (ast.Name, ast.Attribute)):
            base = node.value.id if isinstance(node.value, ast.Name) else node.value.attr
            found += [f"{base}.{node.attr}"] if node.attr in IMPURE_NAMES.get(base, set()) else []
    return found


def test_every_room_stands_on_a_floor() -> None:
    assert len(MODULES) > 30
    assert {room_of(path) for path in MODULES} <= set().union(*FLOORS)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(DOMAIN)))
def test_a_room_uses_only_rooms_below_it(path: Path) -> None:
    assert wrong_arrows(room_of(path), path.read_text("utf-8")) == []


@pytest.mark.parametrize("path", OUTER_MODULES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_a_package_around_the_domain_uses_only_what_is_below_it(path: Path) -> None:
    assert len(OUTER_MODULES) > 20
    assert wrong_outer_arrows(path.relative_to(REPOSITORY).parts[0], path.read_text("utf-8")) == []


@pytest.mark.parametrize(
    "path",
    [path for path in MODULES if room_of(path) not in ("environment", "cli")],
    ids=lambda path: str(path.relative_to(DOMAIN)),
)
def test_time_randomness_and_environment_come_in_as_arguments(path: Path) -> None:
    assert impurities(path.read_text("utf-8")) == []


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("evidence", "from countersign.runs.state import RunState"),
        ("evidence", "def late():\n    import countersign.changes.payload"),
        ("evidence", "from countersign import runs"),
        ("changes", "from countersign import Run"),
        ("clocks", "from countersign.policy import Policy"),
        ("clocks", "from countersign.environment import utc_now"),
        ("policy", "from countersign.evidence import durable"),
        ("findings", "from countersign.sampling.draw import draw"),
        ("runs", "import dagster as dg"),
        ("cli", "from pipeline_defs.jobs import daily"),
        ("runs", "from . import state"),
    ],
)
def test_a_wrong_arrow_is_seen(room: str, source: str) -> None:
    assert len(wrong_arrows(room, source)) == 1


@pytest.mark.parametrize(
    ("package", "source"),
    [
        ("sensors", "from pipeline_defs.jobs import DAILY"),
        ("sensors", "def late():\n    import assets.checks"),
        ("assets", "from sensors.facts import Fact"),
        ("assets", "import pipeline_defs"),
        ("resources", "from assets.metadata import table"),
        ("pipeline_defs", "from tests.conftest import POLICY"),
        ("pipeline_defs", "from .jobs import daily_job"),
    ],
)
def test_a_wrong_arrow_around_the_domain_is_seen(package: str, source: str) -> None:
    assert len(wrong_outer_arrows(package, source)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "from time import monotonic",
        "import secrets",
        "import random as r",
        "from uuid import uuid4",
        "at = datetime.now(UTC)",
        "at = datetime.datetime.utcnow()",
        "day = date.today()",
        "factory = datetime.now",
        "root = os.environ['ROOT']",
        "root = os.getenv('ROOT')",
        "from os import environ",
        "salt = os.urandom(16)",
    ],
)
def test_a_look_at_the_clock_the_dice_or_the_environment_is_seen(source: str) -> None:
    assert len(impurities(source)) == 1


@pytest.mark.parametrize(
    "source", ["engine.today", "self.now()", "import os\nos.fsync(3)", "from datetime import datetime"]
)
def test_what_only_looks_like_it_is_not(source: str) -> None:
    assert impurities(source) == []
