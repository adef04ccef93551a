"""Whatever lies in a root is a fault by name, and no traceback; one oddity hides no other fault."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from countersign.errors import EvidenceError
from countersign.evidence.chain import ChainFile
from countersign.evidence.durable import digest_of
from countersign.evidence.lines import ZERO, Draft
from countersign.runs.verification import Verifier
from tests.domain.runs.attacked import Target
from tests.domain.runs.attacks.forging import read_lines, rechained, register, registered
from tests.domain.runs.conftest import Line
from tests.evidence_script import SCRIPT, script_faults


def nested(target: Target) -> None:
    content = b"[" * 200_000
    path = target.path / "policies" / f"{digest_of(content)}.json"
    path.write_bytes(content)
    path.chmod(0o600)
    register(target, "configuration_adopted", configuration=path.stem, previous=ZERO, manifest={})


ODDITIES: dict[str, Callable[[Target], Any]] = {
    "seal is a folder": lambda target: (target.path / "seals/000009.json").mkdir(),
    "seal is a dangling link": lambda target: (target.path / "seals/000003.json").symlink_to("/nowhere"),
    "seal is deeply nested": lambda target: (target.path / "seals/000002.json").write_bytes(b"[" * 200_000),
    "seal of no number": lambda target: (target.path / "seals/abc.json").write_text("{}"),
    "configuration is deeply nested": nested,
    "log is a folder": lambda target: (target.log.unlink(), target.log.mkdir()),  # type: ignore[func-returns-value]
    "register is a folder": lambda target: (
        (target.path / "register.jsonl").unlink(),  # type: ignore[func-returns-value]
        (target.path / "register.jsonl").mkdir(),  # type: ignore[func-returns-value]
    ),
    "findings are a folder": lambda target: (target.path / "findings.jsonl").mkdir(),
    "no register": lambda target: (target.path / "register.jsonl").unlink(),
    "run of a name that is no text": lambda target: (target.done.parent / "\udcff").mkdir() or (  # type: ignore[func-returns-value]
        (target.done.parent / "\udcff" / "audit.jsonl").write_bytes(b"")
    ),
    "number that is none": lambda target: register(target, "sealed", number="x", seal=[], signature=None),
    "digests that are none": lambda target: register(target, "erased", run_id="x", text="y", by=["a"], digests=None),
    "head that is none": lambda target: register(target, "findings_head", size=0, head=[]),
}  # fmt: skip


@pytest.mark.parametrize("oddity", ODDITIES)
def test_whatever_lies_there_is_a_fault_and_no_traceback(target: Target, oddity: str) -> None:
    ODDITIES[oddity](target)
    assert_told(target)


@pytest.mark.parametrize("held", ["nowhere.json", "."])
def test_a_seal_that_was_held_and_cannot_be_read_is_a_fault(target: Target, held: str) -> None:
    assert_told(target, "--witness", str(target.path / held))


def assert_told(target: Target, *more: str) -> None:
    """The script says that something is wrong, on one line each, and ends so."""
    command = [sys.executable, str(SCRIPT), str(target.path), "--allowed-signers", str(target.signers), *more]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (told.returncode, told.stderr) == (1, "")
    assert "faults" in told.stdout.splitlines()[-1]


@given(st.data())
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_value_of_another_type_in_any_line_is_no_traceback(genuine: Target, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from([genuine.path / "register.jsonl", genuine.log, genuine.other / "audit.jsonl"]))
    whole = path.read_bytes()
    lines = read_lines(path)
    line = data.draw(st.sampled_from(lines))
    name = data.draw(st.sampled_from(sorted(line.event)))
    line.event[name] = data.draw(st.sampled_from([None, 5, -1, True, [], {}, [[1]], "x", "../..", "x\0"]))
    try:
        path.write_bytes(rechained([Line(dict(one.event), one.texts, one.head) for one in lines]))
        script_faults(genuine.path, genuine.signers)
    finally:
        path.write_bytes(whole)


def test_a_register_of_a_hundred_thousand_lines_is_read_once(target: Target) -> None:
    """A few seconds, however many runs there are: nothing in the script goes over the register for each of them."""
    drafts = [
        Draft("refused", "countersign", {"source": "x", "where": str(at), "change_id": None, "record": ZERO})
        for at in range(100_000)
    ]
    ChainFile(target.path / "register.jsonl", clock=target.clock).append_many(drafts)
    assert script_faults(target.path, target.signers) == []


@pytest.mark.parametrize("oddity", ODDITIES)
def test_whatever_lies_there_the_product_names_a_fault_too_or_refuses_the_root(target: Target, oddity: str) -> None:
    ODDITIES[oddity](target)
    if oddity in ("no register", "register is a folder"):
        with pytest.raises(EvidenceError, match="no evidence root"):
            target.found()
        return
    ours, _ = target.found()
    assert ours


WRONG: list[tuple[str, str, Any]] = [
    ("ingested", "source", 5),
    ("ingested", "configuration", None),
    ("ingested", "configuration", {}),
    ("ingested", "configuration", "x"),
    ("ingested", "classified", None),
    ("ingested", "classified", {}),
    ("assessed", "controls", "x"),
    ("signed_off", "configuration", []),
    ("signed_off", "determinations", "x"),
    ("handed_off", "to", None),
]


@pytest.mark.parametrize(("event", "field", "value"), WRONG)
def test_a_field_of_another_type_is_a_fault_of_its_run_and_hides_no_other(
    target: Target, event: str, field: str, value: Any
) -> None:
    """Whoever wrote it chained the log anew and told the register, so that only the field itself is wrong."""
    forger = target.forger(target.done)
    forger.line(event).event[field] = value
    forger.write()
    target.log.with_name("note.txt").touch(0o644)
    (target.blocked / "audit.jsonl").unlink()
    faults = Verifier(target.path).verify().faults
    assert {target.done.name, target.blocked.name} <= {fault.run_id for fault in faults if fault.run_id}


REGISTERED: list[tuple[str, str, Any]] = [
    ("run_opened", "run_id", None),
    ("run_head", "head", []),
    ("dataset", "asset", None),
    ("dataset", "digest", {}),
    ("extract", "digest", 7),
    ("configuration_adopted", "configuration", "x\x00"),
    ("configuration_adopted", "configuration", [[1]]),
    ("erased", "digests", None),
]


@pytest.mark.parametrize(("event", "field", "value"), REGISTERED)
def test_a_field_of_another_type_in_the_register_is_a_fault(target: Target, event: str, field: str, value: Any) -> None:
    said = {"digest": "0" * 64, "run_id": target.done.name, "text": "x", "by": ["a", "b"], "digests": []}
    if event not in ("extract", "erased"):
        said = registered(target, "root_opened" if event == "configuration_adopted" else event)
    register(target, event, **said | {field: value})
    ours, script = target.found()
    assert "register" in ours
    assert script
