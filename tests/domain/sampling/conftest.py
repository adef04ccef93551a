"""scipy, loaded before the first test: the room loads it at its first question, which would be some test's time."""

import scipy.special
import scipy.stats

__all__ = ["scipy"]
