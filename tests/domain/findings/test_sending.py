"""Steps arrive, once each, at a mail server and a webhook that really listen."""

import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from countersign.clocks.allowance import ClockKind
from countersign.evidence.register import Register
from countersign.evidence.root import EvidenceRoot
from countersign.findings.finding import Outcome, Severity
from countersign.findings.ladder import OpenClock, Step, due_steps
from countersign.findings.log import FindingsLog
from countersign.findings.sending import Channel, Deliver, Routes, Sender, by_apprise
from countersign.runs.versions import Versions
from tests.conftest import REPOSITORY, StepClock
from tests.domain.findings.conftest import BREACHED, RUN, SETTINGS, OpenLog, occurrence
from tests.domain.findings.receivers import Received, mail_server, webhook

SECRET = "correct-horse-battery"
ENVIRONMENT = {"HOOK_PASSWORD": SECRET}


@pytest.fixture(scope="module")
def mailbox() -> Iterator[Received]:
    with mail_server() as received:
        yield received


@pytest.fixture
def mail(mailbox: Received) -> Received:
    mailbox.messages.clear()
    mailbox.refuse = False
    return mailbox


@pytest.fixture
def hook() -> Iterator[Received]:
    with webhook() as received:
        yield received


@pytest.fixture
def routes(mail: Received, hook: Received) -> Routes:
    by_mail = Channel(
        "mail", f"mailto://127.0.0.1:{mail.port}?from=countersign@example.com&to=owner@example.com&mode=insecure"
    )
    by_hook = Channel("chat", f"json://countersign:${{HOOK_PASSWORD}}@127.0.0.1:{hook.port}/hook")
    return {"control_owner": [by_mail, by_hook], "reviewer": [by_mail], "process_owner": [by_hook]}


class Office:
    """Ticks of a daemon: decide, send."""

    def __init__(self, log: FindingsLog, routes: Routes, clock: StepClock) -> None:
        self.log, self.routes, self.clock = log, routes, clock
        self.clocks: list[OpenClock] = []

    def due(self) -> list[Step]:
        channels = {role: [channel.name for channel in channels] for role, channels in self.routes.items()}
        return list(due_steps(self.clocks, self.log.read(), SETTINGS, channels, self.clock.now))

    def tick(self, deliver: Deliver = by_apprise) -> list[tuple[str, Outcome]]:
        sender = Sender(self.log, self.routes, ENVIRONMENT, clock=self.clock, deliver=deliver)
        return [(sent.channel, sent.outcome) for sent in sender.send(self.due())]


@pytest.fixture
def office(log: FindingsLog, routes: Routes, clock: StepClock) -> Office:
    clock.now = BREACHED
    return Office(log, routes, clock)


def titles(received: Received) -> list[str]:
    return [title for title, _ in received.messages]


def test_a_review_is_warned_of_breached_told_again_and_raised_in_order_once_each(
    office: Office, mail: Received, hook: Received, in_force: Versions
) -> None:
    clock = OpenClock(RUN, ClockKind.INDEPENDENT_REVIEW, "reviewer", BREACHED - timedelta(hours=2),
                      BREACHED - timedelta(hours=1), BREACHED)  # fmt: skip
    office.clocks = [clock]
    office.clock.now = BREACHED - timedelta(hours=3)
    assert office.tick() == []
    for minutes in (60, 10, 50, 50, 9):  # half, nothing, three quarters, nothing, just in time
        office.clock.move(minutes=minutes)
        office.tick()
    assert ["Half" in body for _, body in mail.messages] == [True, False]
    office.clock.move(minutes=2)
    (finding_id,) = office.log.open([occurrence()])
    office.clocks = []
    assert office.tick() == [("mail", Outcome.SENT), ("chat", Outcome.SENT)]
    for _ in range(14):
        office.clock.move(hours=1)
        office.tick()
    breach = f"[SEV-3] breach of independent_review of {RUN}"
    assert titles(mail)[2:] == [breach] * 3
    assert titles(hook) == [breach] * 4
    assert [body.count("Told 4 times") for _, body in hook.messages] == [0, 0, 0, 1]
    steps = [body.split()[-1] for _, body in mail.messages + hook.messages]
    assert (len(set(steps)), all(step.startswith("notice-") for step in steps)) == (6, True)
    office.log.acknowledge(finding_id, "control-owner", "a deputy is being named", in_force, ())
    office.clock.move(days=3)
    assert office.tick() == []


def test_after_days_without_a_daemon_each_finding_is_told_once(office: Office, hook: Received) -> None:
    office.log.open([occurrence(), occurrence(subject="maker_checker", severity=Severity.SEV_2)])
    office.clock.move(days=3)
    office.tick()
    assert titles(hook) == [
        f"[SEV-2] breach of maker_checker of {RUN}",
        f"[SEV-3] breach of independent_review of {RUN}",
    ]


def test_a_channel_that_is_down_keeps_nothing_else_waiting(office: Office, mail: Received, hook: Received) -> None:
    """It is tried once a pass, however much is due."""
    office.log.open([occurrence(subject=subject) for subject in ("independent_review", "maker_checker")])
    hook.refuse = True
    assert office.tick() == [("mail", Outcome.SENT), ("chat", Outcome.FAILED), ("mail", Outcome.SENT)]
    assert len(hook.passwords) == 1
    hook.refuse = False
    office.clock.move(hours=1)
    assert office.tick() == [("chat", Outcome.SENT)] * 2
    assert (len(mail.messages), len(set(hook.messages)), office.due()) == (2, 2, [])


def test_what_failed_is_tried_again_after_pauses_that_double_up_to_an_hour(office: Office, hook: Received) -> None:
    office.log.open([occurrence()])
    hook.refuse = True
    tried = []
    for minute in range(130):
        if any(channel == "chat" for channel, _ in office.tick()):
            tried.append(minute)
        office.clock.move(minutes=1)
    assert tried == [0, 1, 3, 7, 15, 31, 63, 123]


def test_mail_that_is_refused_or_goes_nowhere_is_a_failure(office: Office, mail: Received) -> None:
    mail.refuse = True
    office.log.open([occurrence()])
    assert office.tick()[0] == ("mail", Outcome.FAILED)
    assert not by_apprise("mailto://127.0.0.1:1?from=a@example.com&to=b@example.com&mode=insecure", "t", "b")
    assert not by_apprise("nonsense", "t", "b")


def test_secrets_are_sent_to_their_channel_and_stand_nowhere_else(
    office: Office, hook: Received, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    office.log.open([occurrence()])
    hook.refuse = True
    with caplog.at_level(logging.DEBUG):
        office.tick()
        office.clock.move(hours=1)
        hook.refuse = False
        office.tick()
    assert hook.passwords == [f"countersign:{SECRET}"] * 2
    said = capfd.readouterr()
    assert SECRET not in office.log.path.read_text() + caplog.text + said.out + said.err
    assert not [record for record in caplog.records if record.name == "apprise"]


def test_a_message_carries_the_registers_size_and_head(office: Office, hook: Received) -> None:
    """They are those of the register as it was when the attempt was on record, so its next line is what follows."""
    office.log.open([occurrence()])
    office.tick()
    register = Register(EvidenceRoot(office.log.path.parent))
    for _, body in hook.messages:
        said = re.search(r"Sent on a register of (\d+) bytes with the head ([0-9a-f]{64})\.", body)
        assert said is not None
        assert register.head_at(int(said[1])) == said[2]


def test_a_secret_that_is_not_there_is_a_failure_that_names_it(office: Office, routes: Routes) -> None:
    office.log.open([occurrence()])
    sent = Sender(office.log, {"control_owner": [routes["process_owner"][0]]}, {}, clock=office.clock).send(
        office.due()
    )
    assert [each.outcome for each in sent] == [Outcome.FAILED]
    assert "channel chat: the environment has no HOOK_PASSWORD" in office.log.path.read_text()


def test_without_a_route_it_is_on_record_once_that_nobody_was_told(office: Office) -> None:
    office.routes = {}
    office.log.open([occurrence()])
    assert office.tick() == [("", Outcome.NO_ROUTE)]
    Sender(office.log, {}, {}, clock=office.clock).send(
        due_steps([], office.log.read(), SETTINGS, {"control_owner": ["x"]}, BREACHED)
    )
    assert office.log.path.read_text().count('"no_route"') == 1
    assert office.tick() == []


def test_a_channel_that_breaks_may_have_sent_so_the_next_rung_tells(office: Office, mail: Received) -> None:
    def breaks(address: str, title: str, body: str) -> bool:
        raise RuntimeError(address)

    office.log.open([occurrence()])
    assert office.tick(breaks) == [("mail", Outcome.UNKNOWN), ("chat", Outcome.UNKNOWN)]
    assert "RuntimeError" in office.log.path.read_text()
    office.tick()
    assert "Told 2 times" in mail.messages[0][1]


def test_two_senders_send_a_step_once(office: Office, open_log: OpenLog, hook: Received) -> None:
    """Both decided before either sent."""
    office.log.open([occurrence()])
    steps = office.due()
    for _ in range(2):
        Sender(open_log(), office.routes, ENVIRONMENT, clock=office.clock).send(steps)
    assert len(hook.messages) == 1


def test_an_attempt_that_was_given_up_stays_so_when_it_comes_back(office: Office, open_log: OpenLog) -> None:
    office.log.open([occurrence()])
    (step,) = office.due()
    attempt = office.log.attempt(step.id, "mail", office.clock.now)
    assert attempt is not None
    assert open_log().give_up_lost(office.clock.now + timedelta(minutes=11)) == [attempt]
    office.log.conclude(attempt, Outcome.SENT)
    assert office.log.read().notices[step.id]["mail"].outcome is Outcome.UNKNOWN


# Dies at one point of the only attempt: `before` it is taken, once it is `taken`, or once it is `sent`.
DIES = """
import os, sys
from datetime import timedelta
from pathlib import Path
from countersign.evidence.root import EvidenceRoot
from countersign.findings import sending
from countersign.findings.ladder import due_steps
from countersign.findings.log import FindingsLog
from tests.domain.findings.conftest import BREACHED, SETTINGS

root, point, port = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
log = FindingsLog(EvidenceRoot(root), clock=lambda: BREACHED)
steps = list(due_steps([], log.read(), SETTINGS, {"control_owner": ["chat"]}, BREACHED))

def deliver(address, title, body):
    if point == "sent":
        assert sending.by_apprise(address, title, body)
    os._exit(9)

if point == "before":
    os._exit(9)
routes = {"control_owner": [sending.Channel("chat", f"json://127.0.0.1:{port}/hook")]}
sending.Sender(log, routes, {}, clock=lambda: BREACHED, deliver=deliver).send(steps)
"""


@pytest.mark.parametrize(
    ("point", "arrives"),
    [
        ("before", ["[SEV-3]"]),
        ("taken", ["[SEV-3] again"]),
        ("sent", ["[SEV-3]", "[SEV-3] again"]),
    ],
)
def test_a_process_that_dies_while_it_sends_loses_nothing_and_sends_no_step_twice(
    office: Office, root: Path, hook: Received, point: str, arrives: list[str]
) -> None:
    """What became of an attempt without an end, nobody knows: it is left alone, and the next rung goes at once."""
    office.log.open([occurrence()])
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", DIES, str(root), point, str(hook.port)]
    assert subprocess.run(command, env=environment, check=False, timeout=60).returncode == 9
    office.routes = {"control_owner": [Channel("chat", f"json://127.0.0.1:{hook.port}/hook")]}
    for _ in range(5):
        office.clock.move(minutes=6)
        office.tick()
    shown = [title[:7] + (" again" if "Told 2 times" in body else "") for title, body in hook.messages]
    assert shown == arrives
    steps = [body.split()[-1] for _, body in hook.messages]
    assert len(set(steps)) == len(steps)
