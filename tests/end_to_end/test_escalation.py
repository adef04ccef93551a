"""A run that nobody signs, with daemon, webserver, mail server and webhook really running.

It is warned of, breached and escalated, in order and once each, through a SIGKILL between recording and sending. Hours
pass through a clock that the test moves; everything else is the real thing.
"""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import yaml

from countersign.clocks.instant import stamp
from countersign.environment import utc_now
from countersign.evidence.root import EvidenceRoot
from countersign.findings.finding import Findings, Outcome
from countersign.findings.log import FindingsLog
from countersign.findings.verification import check_findings
from countersign.runs.verification import Verifier
from pipeline_defs.home import REPOSITORY
from pipeline_defs.recovery import fail_dead_runs
from tests.domain.findings.receivers import Received, mail_server, webhook
from tests.end_to_end.live import Live, until
from tests.end_to_end.moved_clock import AHEAD

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds its processes through /proc")

SECRET = "correct-horse-battery"


class Escalating(Live):
    """A deployment whose clock is moved by a file, and whose daemon can be killed by itself."""

    def __init__(self, folder: Path, mail: Received, hook: Received) -> None:
        super().__init__(folder)
        self.mail, self.hook, self.ahead = mail, hook, folder / "ahead"
        self.pass_minutes(0)
        content = yaml.safe_load(self.deployment.policy.read_text())
        by_mail = f"mailto://127.0.0.1:{mail.port}?from=countersign@example.com&to=owner@example.com&mode=insecure"
        by_hook = f"json://countersign:${{HOOK_PASSWORD}}@127.0.0.1:{hook.port}/hook"
        content["review_clock"]["standard"] |= {"value": 1, "unit": "hours"}
        content["escalation"]["routes"] = {
            "reviewer": [{"name": "mail", "address": by_mail}],
            "control_owner": [{"name": "mail", "address": by_mail}],
            "process_owner": [{"name": "chat", "address": by_hook}],
        }
        self.deployment.policy.write_text(yaml.safe_dump(content, allow_unicode=True))
        self.workspace = folder / "workspace.yaml"
        location = {"module_name": "tests.end_to_end.moved_clock", "location_name": "countersign"}
        location |= {"working_directory": str(REPOSITORY)}
        self.workspace.write_text(yaml.safe_dump({"load_from": [{"python_module": location}]}))
        self.home.mkdir()
        (self.home / "dagster.yaml").symlink_to(REPOSITORY / "dagster.yaml")

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, AHEAD: str(self.ahead), "HOOK_PASSWORD": SECRET, "PYTHONPATH": str(REPOSITORY)}

    def pass_minutes(self, minutes: float) -> None:
        """So many minutes after the beginning, whole or not at all."""
        partial = self.ahead.with_suffix(".partial")
        partial.write_text(str(minutes))
        partial.rename(self.ahead)

    def launch(self, *arguments: str) -> "subprocess.Popen[str]":
        with self.output.open("a") as output:
            command = [sys.executable, "-W", "ignore", "-m", *arguments, "-w", str(self.workspace)]
            started = subprocess.Popen(
                command, env=self.environment, cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                text=True, start_new_session=True,
            )  # fmt: skip
        self._launched.append(started)
        return started

    def start_daemon(self) -> None:
        """As `make ui` does: what a killed worker left is failed first."""
        with self.instance() as instance:
            fail_dead_runs(instance)
        self.daemon = self.launch("dagster._daemon", "run")

    def start(self) -> None:
        with self.instance():
            pass  # else two processes make its tables at once
        self.launch("dagster_webserver", "-h", "127.0.0.1", "-p", str(self.port))
        self.start_daemon()
        until(self.client.ready, "the webserver answers")

    def kill_daemon(self) -> None:
        """SIGKILL for the daemon and for every worker, at once; the webserver stays."""
        kept = set(_family(self._launched[0].pid))

        def none_left() -> bool:
            for pid in (found := set(self.processes()) - kept):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return not found

        until(none_left, "daemon and workers are gone", within=30)
        self.daemon.wait()

    @property
    def findings(self) -> Findings:
        return FindingsLog(EvidenceRoot(self.deployment.root)).read()


def _family(pid: int) -> Iterator[int]:
    """A process and all that it started."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            yield from _family(int(child))


@contextmanager
def escalating(folder: Path) -> Iterator[Escalating]:
    with mail_server() as mail, webhook() as hook:
        live = Escalating(folder, mail, hook)
        try:
            yield live
        finally:
            hook.held.set()
            live.kill()


def test_a_run_left_unsigned_is_warned_breached_and_escalated_in_order_once_each(tmp_path: Path) -> None:
    with escalating(tmp_path) as live:
        live.deployment.drop("CHG-1")
        live.start()
        until(lambda: live.client.runs("daily", "SUCCESS"), "the change is taken in")
        (run,) = live.deployment.runs().values()

        def told(count: int, what: str) -> None:
            until(lambda: len(live.mail.messages) >= count, f"{what}: {live.mail.messages}")
            until(live.idle, "nothing runs")

        live.pass_minutes(31)
        told(1, "half of the time is used")
        live.pass_minutes(46)
        told(2, "three quarters are used")
        before = utc_now()
        live.pass_minutes(61)
        told(3, "the breach")
        assert live.client.checks("finding") == {"no_clock_overdue": "FAILED"}

        # two repeats are missed, so that the next rung is one level up; the worker dies while it sends
        live.hook.held.clear()
        live.pass_minutes(61 + 13 * 60)
        until(lambda: live.hook.holding, "the webhook is being told")
        live.kill_daemon()
        live.hook.drop()
        live.pass_minutes(61 + 13 * 60 + 11)
        live.start_daemon()
        until(lambda: live.hook.messages, "the next rung goes, since nobody knows of the last one")
        until(lambda: not live.client.runs("watch", "STARTED", "QUEUED", "STARTING"), "nothing is sent any more")

        assert [("Half" in body, "Three quarters" in body) for _, body in live.mail.messages[:2]] == [
            (True, False), (False, True)
        ]  # fmt: skip
        breach = f"[SEV-3] breach of independent_review of {run.run_id}"
        assert [title for title, _ in live.mail.messages[2:]] == [breach]
        assert [title for title, _ in live.hook.messages] == [breach]
        sent = [body.split()[-1] for _, body in live.mail.messages + live.hook.messages]
        assert len(set(sent)) == len(sent) == 4
        outcomes = [notice.outcome for told in live.findings.notices.values() for notice in told.values()]
        assert Counter(outcomes) == {Outcome.SENT: 4, Outcome.UNKNOWN: 1}

        (finding,) = live.findings.open()
        assert stamp(finding.what.breached_at)[:16] <= stamp(finding.detected_at)[:16]
        assert before < finding.detected_at
        root = live.deployment.root
        assert [*Verifier(root).verify().faults, *check_findings(EvidenceRoot(root))] == []
        assert SECRET.encode() not in b"".join(path.read_bytes() for path in root.rglob("*") if path.is_file())
