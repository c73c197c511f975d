"""Percentiles of a page's histograms, by the HdrHistogram library: the page has its buckets."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from hdrh.histogram import HdrHistogram

from fixsim.feed.page import SIGNIFICANT_DIGITS, VALUE_MAX, value_of

#: Percentiles that are told everywhere.
PERCENTILES: Final = (50.0, 95.0, 99.0, 99.9)


@dataclass(frozen=True)
class Summary:
    """A histogram in a few figures, in its own unit; all 0 when it is empty."""

    count: int
    mean: float
    #: Values at PERCENTILES, each at most 1/128 too high, and none above `max`.
    at: tuple[int, ...]
    max: int


def histogram_of(counts: Any) -> HdrHistogram:
    """The library's histogram of a page's `counts`."""
    histogram = HdrHistogram(1, VALUE_MAX, SIGNIFICANT_DIGITS)
    for slot in np.flatnonzero(counts):
        histogram.record_value(value_of(int(slot)), int(counts[slot]))
    return histogram


def summary_of(later: Any, earlier: Any | None = None) -> Summary:
    """What came between two readings of a HISTOGRAM, or ever since the start."""
    counts, total = later["counts"], int(later["sum"])
    if earlier is not None:
        counts, total = counts - earlier["counts"], total - int(earlier["sum"])
    histogram = histogram_of(counts)
    count = histogram.get_total_count()
    if count == 0:
        return Summary(0, 0.0, (0,) * len(PERCENTILES), 0)
    found = histogram.get_percentile_to_value_dict(list(PERCENTILES))
    longest = min(histogram.get_highest_equivalent_value(histogram.get_max_value()), int(later["max"]))
    return Summary(count, total / count, tuple(min(found[one], longest) for one in PERCENTILES), longest)
