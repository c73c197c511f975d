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
def add_turn(words, turn_at, latency_at, stages_at, stage_words, spent, messages, turn_ns):
    """A turn that took `messages`: its ns once, and once for each of them; and the ns of each stage in `spent`, which are
    set to 0.
    """
    add_value(words, turn_at, turn_ns, np.int64(1))
    add_value(words, latency_at, turn_ns, messages)
    for stage in range(len(spent)):
        if spent[stage] > 0:
            add_value(words, stages_at + stage * stage_words, spent[stage], np.int64(1))
            spent[stage] = 0


@kernel
def add_batch(words, batches_at, bytes_at, records_at, lengths_at, length, count):
    """A batch of `count` records in `length` bytes: one more, its bytes, and both histograms."""
    words[batches_at] += 1
    words[bytes_at] += length
    add_value(words, records_at, count, np.int64(1))
    add_value(words, lengths_at, length, np.int64(1))
