"""Time zones. What belongs here: zones of one known release, whatever the machine has installed.

`zoneinfo` prefers the machine's own files, whose release it cannot name. A deadline has to come out the same when it is
computed again elsewhere, so zones come from the `tzdata` package, and whatever is computed with them says which.
"""

from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo

import tzdata

TZDATA_VERSION = tzdata.IANA_VERSION


@cache
def zone_names() -> frozenset[str]:
    """Every IANA zone of this release."""
    return frozenset((resources.files("tzdata") / "zones").read_text(encoding="utf-8").split())


@cache
def zone_of(name: str) -> ZoneInfo:
    """A zone by its IANA name. Raises ValueError for any other name."""
    if name not in zone_names():
        raise ValueError(f"{name!r} is not an IANA zone such as America/New_York")
    with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)
