"""What a completeness test says: whether it holds, in numbers, and whoever fails it by name.

What belongs here: that form, and how it is put down. What does not: any test (`completeness`, `source_completeness`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from countersign.errors import printable

MOST_NAMED = 1000  # offenders that are listed; the counts say how many there are


@dataclass(frozen=True, slots=True)
class CompletenessTest:
    """One test: `passed` is None where there was nothing to judge by. `missing` is what a finding says of a failure."""

    name: str
    missing: str
    passed: bool | None
    says: str
    counts: Mapping[str, int]
    offenders: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """The test as it stands in `completeness.json`."""
        return {
            "name": self.name,
            "missing": self.missing,
            "passed": self.passed,
            "says": self.says,
            "counts": dict(self.counts),
            "offenders": list(self.offenders[:MOST_NAMED]),
        }

    @classmethod
    def parse(cls, said: Mapping[str, Any]) -> Self:
        """A test as it was put down; offenders beyond the most that are named are only counted."""
        return cls(**{**said, "offenders": tuple(said["offenders"])})


def complete(tests: Iterable[CompletenessTest]) -> bool:
    """Whether no test failed."""
    return all(test.passed is not False for test in tests)


def judged(
    name: str, missing: str, counts: Mapping[str, int], offenders: Iterable[str], passed: str
) -> CompletenessTest:
    """A test that holds where there are no offenders; `passed` is what it says then."""
    named = tuple(map(printable, offenders))
    says = passed if not named else f"{len(named)}: {missing}"
    return CompletenessTest(name, missing, not named, says, {**counts, "offenders": len(named)}, named)


def not_judged(name: str, missing: str, why: str) -> CompletenessTest:
    """A test for which there was nothing to judge by. It fails nothing, and is not passed either."""
    return CompletenessTest(name, missing, None, f"not judged: {why}", {})
