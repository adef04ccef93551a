"""The monthly sample: how many, which ones, and what they show."""

from countersign.sampling.limit import UpperLimit, upper_limit
from countersign.sampling.plan import SampleSize, sample_size

__all__ = ["SampleSize", "UpperLimit", "sample_size", "upper_limit"]
