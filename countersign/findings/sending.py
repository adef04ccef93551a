"""Sending: steps of the ladder over the channels of a role, through `apprise`.

What belongs here: one attempt after the other, each on record before it is made and after. What does not: when a step
is due (`ladder`), and waiting: what failed is tried again by a later pass.

An attempt is taken under the lock of `findings.jsonl` before it is sent, so that no step goes twice over one channel,
whoever else sends and wherever the process dies. If it dies between the two, nobody knows whether it was sent; the
outcome is then `unknown`, the step is not sent again, and the ladder goes on to the next rung at once.

Each message ends in the register's size and head, so that these are in more hands than the operator's, and the step.
"""

import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import apprise

from countersign.environment import Clock, utc_now
from countersign.errors import PolicyError
from countersign.findings.finding import NOBODY, Outcome
from countersign.findings.ladder import Step
from countersign.findings.log import FindingsLog
from countersign.policy import Policy

# What a channel says of itself may hold its address, and so a secret; the outcome on record says what is needed.
logging.getLogger("apprise").disabled = True
_VARIABLE = re.compile(r"\$\{([A-Z][A-Z0-9_]*)\}")

Deliver = Callable[[str, str, str], bool]


@dataclass(frozen=True, slots=True)
class Channel:
    """One way to a role: an `apprise` address, in which `${NAME}` stands for a secret of the environment."""

    name: str
    address: str

    def reveal(self, environment: Mapping[str, str]) -> str:
        """The address with its secrets. Raises PolicyError that names the variable, never a value."""

        def value(found: re.Match[str]) -> str:
            if not environment.get(found[1]):
                raise PolicyError(f"channel {self.name}: the environment has no {found[1]}")
            return environment[found[1]]

        return _VARIABLE.sub(value, self.address)


Routes = Mapping[str, Sequence[Channel]]
"""Role to channels."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of one step over one channel in one pass."""

    step: str
    channel: str
    outcome: Outcome


def by_apprise(address: str, title: str, body: str) -> bool:
    """Send one message; False where the channel did not take it, or the address is none."""
    sender = apprise.Apprise()
    return sender.add(address) and bool(sender.notify(body=body, title=title, body_format=apprise.NotifyFormat.TEXT))


def routes_of(policy: Policy) -> Routes:
    """The routes as the policy has them."""
    return {
        str(role): [Channel(route.name, route.address) for route in routes]
        for role, routes in policy.escalation.reached.items()
    }


class Sender:
    """Sends what is due. A channel that failed is left alone for the rest of a pass."""

    def __init__(
        self,
        log: FindingsLog,
        routes: Routes,
        environment: Mapping[str, str],
        *,
        clock: Clock = utc_now,
        deliver: Deliver = by_apprise,
    ) -> None:
        self._log = log
        self._routes = routes
        self._environment = environment
        self._clock = clock
        self._deliver = deliver

    def send(self, steps: Iterable[Step]) -> list[Sent]:
        """One pass over the steps that are due."""
        self._log.give_up_lost(self._clock())
        down: set[str] = set()
        done = []
        for step in steps:
            channels = self._routes.get(step.to, ())
            if not channels:
                self._log.without_route(step.id)
                done.append(Sent(step.id, NOBODY, Outcome.NO_ROUTE))
            for channel in channels:
                outcome = None if channel.name in down else self._send(step, channel)
                if outcome is not None:
                    done.append(Sent(step.id, channel.name, outcome))
                if outcome is Outcome.FAILED:
                    down.add(channel.name)
        return done

    def _send(self, step: Step, channel: Channel) -> Outcome | None:
        attempt = self._log.attempt(step.id, channel.name, self._clock())
        if attempt is None:
            return None
        outcome, reason = self._attempted(step, channel)
        self._log.conclude(attempt, outcome, reason)
        return outcome

    def _attempted(self, step: Step, channel: Channel) -> tuple[Outcome, str | None]:
        try:
            body = f"{step.body}\n\nSent on a {self._log.register_standing()}.\n{step.id}"
            took = self._deliver(channel.reveal(self._environment), step.title, body)
        except PolicyError as error:
            return Outcome.FAILED, str(error)
        except (
            Exception
        ) as error:  # whatever a channel does, the pipeline goes on; and it may have been sent before that
            return Outcome.UNKNOWN, f"the channel broke off with {type(error).__name__}"
        return (Outcome.SENT, None) if took else (Outcome.FAILED, "the channel did not take it")
