"""Where finished days are kept, by the policy in force. Nothing is opened while definitions load."""

from pathlib import Path

from dagster import ConfigurableResource

from countersign.retention.keep import Archive
from countersign.retention.opening import open_store
from countersign.retention.store import RetentionStore
from countersign.runs.engine import Engine


class Retention(ConfigurableResource[None]):
    """The archive of an engine's evidence root, and its store. Relative folders start at `base`, an absolute path."""

    base: str

    def archive(self, engine: Engine) -> Archive:
        """The finished days of the root."""
        return Archive(engine.root, engine.current, clock=engine.clock, entropy=engine.entropy)

    def store(self, engine: Engine) -> RetentionStore | None:
        """The store that the policy in force names, or None. Raises StoreError for one that would not keep."""
        return open_store(engine.current.policy, Path(self.base), engine.root, clock=engine.clock)
