"""Where the evidence lies, under which policy, and what time it is.

What belongs here: resources that turn configuration into domain objects. Nothing here decides anything; tests hand in
their own folder and their own instant.
"""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from dagster import ConfigurableResource

from countersign.changes.sources.interface import Source
from countersign.clocks.instant import parse_instant
from countersign.environment import Clock, utc_now, variables
from countersign.findings.log import FindingsLog
from countersign.runs.daywork import sources_of
from countersign.runs.engine import Engine
from countersign.runs.run import configured
from resources.model import ModelAccess

if TYPE_CHECKING:
    from countersign.findings.watch import Watched


class WallClock(ConfigurableResource[None]):
    """The one place of the graph where the time is read; `fixed` (RFC 3339) stops it for tests."""

    fixed: str = ""

    def now(self) -> datetime:
        """The present instant, in UTC."""
        return parse_instant(self.fixed) if self.fixed else utc_now()

    def reader(self) -> Clock:
        """The clock as the domain takes it."""
        return self.now


class Evidence(ConfigurableResource[None]):
    """The evidence root and policy of this deployment, as absolute paths, and how it reaches the policy's model.

    `seal_key` is the key that seals, empty where none does; `allowed_signers` the file of who may, empty where any one
    key is believed.
    """

    root: str
    policy: str
    seal_key: str = ""
    allowed_signers: str = ""
    model: ModelAccess = ModelAccess()

    def engine(self, clock: WallClock) -> Engine:
        """The engine on the root, which is created where there is none. Raises UnadoptedError for a changed file."""
        model = self.model.factory()
        return Engine(Path(self.root), configured(self.policy), clock=clock.reader(), model=model)

    @property
    def signers(self) -> Path | None:
        """The file of who may seal, if there is one."""
        return Path(self.allowed_signers) if self.allowed_signers else None

    def findings(self, engine: Engine) -> FindingsLog:
        """The findings of the root."""
        return FindingsLog(engine.root, clock=engine.clock, entropy=engine.entropy)

    def look(self, engine: Engine, *, send: bool) -> "Watched":
        """Look at the clocks that are due, and record what that means; then send what is due, or leave it to others."""
        # these bring numpy and apprise; definitions load without
        from countersign.findings.sending import Sender, routes_of  # noqa: PLC0415
        from countersign.findings.watch import Watch  # noqa: PLC0415

        log = self.findings(engine)
        routes = routes_of(engine.current.policy)
        sender = Sender(log, routes, variables(), clock=engine.clock) if send else None
        return Watch(engine, log, sender).look()

    def sources(self, engine: Engine) -> list[Source]:
        """The sources that the policy names."""
        return sources_of(engine, Path(self.policy).parent)
