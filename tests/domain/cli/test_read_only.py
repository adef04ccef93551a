"""A copy that nobody can write to, as whoever looks at an incident has it: what only reads works there."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.domain.cli.conftest import Cli, Write
from tests.domain.cli.test_commands import begin, finish

_MOUNT = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && exec "$2" -c "$3"'
_CALLS = """
import contextlib, io, json, sys
from countersign.cli import main
answers = []
for arguments in json.loads({calls!r}):
    sys.argv, out, err = ["countersign", *arguments], io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), contextlib.suppress(SystemExit):
        main()
    answers.append([out.getvalue(), err.getvalue()])
print(json.dumps(answers))
"""


def _namespaces() -> bool:
    unshare = shutil.which("unshare")
    return (
        unshare is not None
        and subprocess.run([unshare, "-rm", "true"], check=False, capture_output=True).returncode == 0
    )


needs_namespaces = pytest.mark.skipif(not _namespaces(), reason="a read-only mount needs Linux namespaces")


def on_read_only(root: Path, *calls: tuple[str, ...]) -> list[Any]:
    """Both outputs of each of these commands, on a root that is mounted read-only for them alone."""
    script = _CALLS.format(calls=json.dumps(calls))
    command = ["unshare", "-rm", "sh", "-ec", _MOUNT, "sh", str(root), sys.executable, script]
    return list(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))


@needs_namespaces
def test_what_only_reads_works_where_nothing_can_be_written(cli: Cli, write: Write, root: Path) -> None:
    run_id = begin(cli, write)
    finish(cli, run_id)
    before = [cli("status", "--json").out, cli("show", run_id, "--handoff").out, cli("verify", "--json").out]
    answers = on_read_only(
        root, ("status", "--json"), ("show", run_id, "--handoff"), ("verify", "--json"), ("advance",)
    )
    assert [out for out, _ in answers[:3]] == before
    assert answers[3][1].endswith("cannot be written: Read-only file system\n")


@needs_namespaces
def test_verify_says_that_nothing_was_recorded_of_what_it_found_on_a_copy(cli: Cli, write: Write, root: Path) -> None:
    log = next(root.glob("runs/*/*/*/*/audit.jsonl")) if begin(cli, write) else root
    log.write_bytes(log.read_bytes().replace(b'"maker"', b'"faker"'))
    ((out, _),) = on_read_only(root, ("verify", "--json"))
    document = json.loads(out)
    assert [fault["kind"] for fault in document["faults"]] == ["broken_chain"]
    assert (document["findings"], "cannot be written" in document["not_recorded"]) == ([], True)


def test_where_a_root_cannot_take_a_finding_verify_still_names_the_fault(cli: Cli, write: Write, root: Path) -> None:
    begin(cli, write)
    for log in root.glob("runs/*/*/*/*/audit.jsonl"):
        log.write_bytes(log.read_bytes().replace(b'"maker"', b'"faker"'))
    for path in root.glob("index.sqlite*"):
        path.unlink()
    (root / "index.sqlite").touch(mode=0o600)
    (root / "index.sqlite").write_bytes(b"spoiled" * 999)
    answer = cli("verify", "--json")
    assert (answer.code, answer.document["faults"][0]["kind"]) == (1, "broken_chain")
    assert (answer.document["findings"], "cannot be used" in answer.document["not_recorded"]) == ([], True)
