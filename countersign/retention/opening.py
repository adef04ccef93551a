"""Opening what a policy names. What belongs here: from words to a store; boto3 is only loaded for a bucket."""

from pathlib import Path

from countersign.environment import Clock
from countersign.errors import StoreError
from countersign.evidence.root import EvidenceRoot
from countersign.policy import LocalStoreSpec, Policy
from countersign.retention.local import LocalStore
from countersign.retention.store import RetentionStore


def open_store(policy: Policy, base: Path, root: EvidenceRoot, *, clock: Clock) -> RetentionStore | None:
    """The store that a policy names, or None; a relative folder starts at `base`.

    Raises StoreError for one that cannot be opened or would not keep.
    """
    spec = policy.retention_store
    if spec is None:
        return None
    if isinstance(spec, LocalStoreSpec):
        folder, inside = (base / spec.folder).resolve(), root.path.resolve()
        if folder.is_relative_to(inside) or inside.is_relative_to(folder):
            raise StoreError(f"{folder}: lies in the evidence root, or the root in it; a copy lies elsewhere")
        return LocalStore(folder, clock=clock)
    try:
        from countersign.retention.s3 import connect  # noqa: PLC0415  (brings boto3, an extra, a third of a second)
    except ImportError as error:
        raise StoreError("the retention store needs boto3: pip install 'countersign[s3]'") from error
    return connect(spec)
