"""Adding to a page of counters from compiled code: a histogram's buckets, a few ns each.

`words` is the page as int64; `at` is where the histogram begins: its sum, its largest value, then its buckets. The buckets
are those of `fixsim.feed.page`, which this room does not know; the gateway asserts that both mean the same.
"""

import numpy as np

from fixsim.engine.jit import kernel

VALUE_BITS = 8
VALUE_MAX = (1 << 36) - 1
BUCKETS = 2


@kernel
def add_value(words, at, value, times):
    """Add `value` to the histogram at `at`, as if it had come `times` times."""
    cut = min(max(np.int64(value), np.int64(0)), np.int64(VALUE_MAX))
    shift = np.int64(0)
    while cut >> shift >= 1 << VALUE_BITS:
        shift += 1
    words[at] += cut * times
    if cut > words[at + 1]:
        words[at + 1] = cut
    words[at + BUCKETS + (shift << (VALUE_BITS - 1)) + (cut >> shift)] += times


@kernel
def add_turns(words, at, width, rows, count):
    """The first `count` rows of four: ns of a turn, messages it took, records and bytes of the batch it sealed.

    Histograms lie `width` words apart from `at` on: records, bytes, the turn once, the turn once for each message. A
    turn that took nothing and a batch of nothing are left out.
    """
    for row in range(count):
        turn_ns, messages = rows[4 * row], rows[4 * row + 1]
        if rows[4 * row + 2] > 0:
            add_value(words, at, rows[4 * row + 2], np.int64(1))
            add_value(words, at + width, rows[4 * row + 3], np.int64(1))
        if messages > 0:
            add_value(words, at + 2 * width, turn_ns, np.int64(1))
            add_value(words, at + 3 * width, turn_ns, messages)


@kernel
def add_stages(words, at, width, spent):
    """The ns of each stage in `spent`, which are set to 0; their histograms lie `width` words apart from `at` on."""
    for stage in range(spent.size):
        if spent[stage] > 0:
            add_value(words, at + stage * width, spent[stage], np.int64(1))
            spent[stage] = 0
