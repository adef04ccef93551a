"""RUNBOOK.md explains whatever `verify` can name: each kind of fault in the source has a row in its table."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
DOMAIN = REPOSITORY / "countersign"
KIND_AT = {"RootFault": 0, "RunFault": 1, "Fault": 1, "_fault": 1, "_unreadable": 0}  # which argument names the kind
PAIRED = {"evidence/seals.py", "runs/attestation.py"}  # where faults are pairs of a kind and what was expected
_KIND = re.compile(r"[a-z]+(_[a-z]+)*")


def kinds_in(source: str, *, paired: bool = False) -> set[str]:
    """The kinds of fault that a module makes: in what stands for one, and where they are `paired`, in pairs."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in KIND_AT:
            found |= set(_texts(node.args[KIND_AT[node.func.id]])) if len(node.args) > KIND_AT[node.func.id] else set()
        elif paired and isinstance(node, ast.Tuple) and len(node.elts) == 2 and isinstance(node.ctx, ast.Load):
            found |= {text for text in _texts(node.elts[0]) if "_" in text}
    return found


def _texts(node: ast.expr) -> Iterator[str]:
    """The kinds that an expression may come to."""
    match node:
        case ast.Constant(str(text)) if _KIND.fullmatch(text):
            yield text
        case ast.IfExp():
            yield from (*_texts(node.body), *_texts(node.orelse))


def every_kind() -> set[str]:
    found: set[str] = set()
    for path in DOMAIN.rglob("*.py"):
        found |= kinds_in(path.read_text("utf-8"), paired=str(path.relative_to(DOMAIN)) in PAIRED)
    return found


def explained() -> list[str]:
    """What the first cells of the table name, in its order."""
    text = (REPOSITORY / "RUNBOOK.md").read_text("utf-8")
    section = text.partition("### What verify names\n")[2].partition("\n## ")[0].partition("\n### ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    return [kind for row in rows for kind in re.findall(r"`([a-z_]+)`", row.split("|")[1])]


@pytest.mark.parametrize("kind", sorted(every_kind()))
def test_whatever_verify_names_is_explained(kind: str) -> None:
    assert kind in explained()


def test_the_table_names_each_kind_once_and_none_that_there_is_not() -> None:
    assert len(every_kind()) > 50
    assert sorted(explained()) == sorted(every_kind())


@pytest.mark.parametrize(
    ("source", "kinds"),
    [
        ('RootFault("file_missing", str(path), "a file")', {"file_missing"}),
        ('RunFault(None, "register", where, detail)', {"register"}),
        ('Fault(0, "torn_tail" if torn else "empty", "an event")', {"torn_tail", "empty"}),
        ('_fault(root, "seed_differs", said, detail)', {"seed_differs"}),
        ('yield "seal_time", detail', {"seal_time"}),
        ('return "seal_unfinished", f"{name}"', {"seal_unfinished"}),
        ('answers.append([("seal_key", detail)])', {"seal_key"}),
        ("RunFault(run, kind, where, detail)", set()),
    ],
)
def test_a_kind_is_seen_where_a_fault_is_made(source: str, kinds: set[str]) -> None:
    body = source if not source.startswith(("yield", "return")) else f"def check():\n    {source}"
    assert kinds_in(body, paired=True) == kinds
