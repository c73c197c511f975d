"""The pages: every counter with its place, as a packed dtype of 64-bit integers, and nothing else.

The exchange writes `COUNTERS`, the shipper `SHIPPING`, the shadow `SHADOW`. A page begins with a HEADER that names the layout
by a digest, so that a reader of another release refuses it instead of showing nonsense. Each counter has one writer, starts at
zero with the process, and only grows, except where its line says that it is a state.
"""

import hashlib
from typing import Any, Final

import numpy as np

from fixsim.fix.enums import BusinessRejectReason, CxlRejReason, OrdRejReason, SessionRejectReason

#: First eight bytes of a page.
MAGIC: Final = int.from_bytes(b"fixsimCP", "little")
#: Bumped when the meaning of a field changes while its place does not.
PAGE_VERSION: Final = 1

HEADER: Final = np.dtype(
    [
        ("magic", "<i8"),  # MAGIC, written last: a page without it is not ready
        ("version", "<i8"),  # PAGE_VERSION
        ("digest", "<i8"),  # of the dtype
        ("size", "<i8"),  # bytes of the page
        ("pid", "<i8"),  # of the writer
        ("started_ns", "<i8"),  # when it started, ns since 1970 UTC
        ("updated_ns", "<i8"),  # when it last brought the page up to date, ns since 1970 UTC
        ("ended_ns", "<i8"),  # when it closed the page in good order, 0 while it has not
    ]
)

# ---------------------------------------------------------------- histograms

#: A histogram's buckets are those of an HDR histogram of 2 significant digits: values below 2**VALUE_BITS one by one, then
#: HALF buckets for each power of two, so that a bucket is never wider than 1/128 of its values.
VALUE_BITS: Final = 8
HALF: Final = 1 << (VALUE_BITS - 1)
SIGNIFICANT_DIGITS: Final = 2
#: Largest value kept apart; a larger one counts as this (68 seconds in ns, 64 GiB in bytes).
VALUE_MAX: Final = (1 << 36) - 1
SLOTS: Final = (36 - VALUE_BITS + 2) * HALF
#: Words in front of the buckets.
SUM, MAX, BUCKETS = 0, 1, 2

HISTOGRAM: Final = np.dtype(
    [
        ("sum", "<i8"),  # of all values
        ("max", "<i8"),  # largest value, exact
        ("counts", "<i8", (SLOTS,)),
    ]
)


def slot_of(value: int) -> int:
    """Bucket of `value`, which is cut to 0 to VALUE_MAX."""
    value = min(max(value, 0), VALUE_MAX)
    shift = max(0, value.bit_length() - VALUE_BITS)
    return (shift << (VALUE_BITS - 1)) + (value >> shift)


def value_of(slot: int) -> int:
    """Least value of bucket `slot`."""
    shift = max(0, (slot >> (VALUE_BITS - 1)) - 1)
    return (slot - (shift << (VALUE_BITS - 1))) << shift


assert slot_of(VALUE_MAX) == SLOTS - 1 and value_of(SLOTS - 1) <= VALUE_MAX

# ---------------------------------------------------------------- what is counted

#: Stages of a turn, as histograms of ns: one entry per turn that took messages.
STAGES: Final = ("read", "frames", "write", "send")
#: Why a turn, or a wake-up, took more than GAP_NS; see docs/observability.md.
CAUSES: Final = ("collector", "rotation", "faults", "shipper", "scheduler", "write", "work", "other")
GAP_NS: Final = 1_000_000

#: Refusals by the message that says them, with the field that has the reason.
REFUSALS: Final[dict[str, tuple[bytes, bytes, type]]] = {
    "Reject": (b"3", b"373", SessionRejectReason),
    "BusinessMessageReject": (b"j", b"380", BusinessRejectReason),
    "ExecutionReport": (b"8", b"103", OrdRejReason),
    "OrderCancelReject": (b"9", b"102", CxlRejReason),
}
#: Reasons of one kind that have a place of their own; all others share the last one.
REASONS: Final = 32


def reason_names(kind: type) -> dict[int, str]:
    """Place of each reason of `kind` on the page, and its name in small letters."""
    found = {int(value): name.lower() for name, value in vars(kind).items() if name.isupper()}
    return {min(value, REASONS - 1): name for value, name in found.items()}


COUNTERS: Final = np.dtype(
    [
        ("header", HEADER),
        ("orders", "<i8"),  # NewOrderSingle(D) accepted
        ("trades", "<i8"),  # fills; each is told to both sides
        ("executions", "<i8"),  # ExecIDs given
        ("messages_in", "<i8"),  # frames taken, each with its journal record
        ("messages_out", "<i8"),  # frames said for the first time, also to sessions that are away
        ("garbled", "<i8"),
        ("sequence_gaps", "<i8"),  # ResendRequest(2) said by us
        ("resends", "<i8"),  # ResendRequest(2) served
        ("logouts", "<i8"),  # Logout(5) said by us
        ("rejects", "<i8", (len(REFUSALS), REASONS)),
        ("sessions", "<i8"),  # a state: connected now
        ("open_orders", "<i8"),  # a state
        ("journal_position", "<i8"),  # a state: where the next batch will lie
        ("journal_bytes", "<i8"),  # records sealed
        ("rotations", "<i8"),  # segments begun
        ("batches", "<i8"),
        ("turns", "<i8"),  # of the loop
        ("turns_with_messages", "<i8"),
        ("slow_frames", "<i8"),  # frames the fast door left to the slow one
        ("collections", "<i8"),  # of the garbage collector
        ("collection_ns", "<i8"),
        ("gaps", "<i8", (len(CAUSES),)),  # pauses over GAP_NS, by cause
        ("gap_ns", "<i8", (len(CAUSES),)),  # what they took together
        ("gap_max_ns", "<i8", (len(CAUSES),)),  # the longest of each
        ("batch_records", HISTOGRAM),  # records per batch
        ("batch_bytes", HISTOGRAM),  # bytes per batch
        ("turn", HISTOGRAM),  # ns of a turn that took messages, once for each turn
        ("latency", HISTOGRAM),  # the same, once for each message that was taken: receive to sent
        ("stages", HISTOGRAM, (len(STAGES),)),
    ]
)

SHIPPING: Final = np.dtype(
    [
        ("header", HEADER),
        ("batch", "<i8"),  # a state: journal position up to which everything is in the database
        ("messages", "<i8"),  # a state: messages in the database, those of earlier processes included
        ("last_time_ns", "<i8"),  # a state: time of the newest record there, 0 for none
        ("transactions", "<i8"),
        ("failures", "<i8"),  # attempts that ended because the database or the journal did not let us
        ("database_pid", "<i8"),  # a state: first process of the embedded database, 0 for none
    ]
)

SHADOW: Final = np.dtype(
    [
        ("header", HEADER),
        ("position", "<i8"),  # a state: journal position up to which everything was carried out again and is equal
        ("records", "<i8"),  # a state: records compared, those of earlier processes included
        ("inbound", "<i8"),  # a state: inbound ones of them
        ("divergence", "<i8"),  # a state: position of the first record that differs, -1 while none does
        ("standby", "<i8"),  # a state: 1 when it becomes the exchange as soon as that is gone
        ("snapshot_position", "<i8"),  # a state: where the newest snapshot stands, -1 for none
        ("snapshot_ns", "<i8"),  # a state: when it was taken, ns since 1970 UTC, 0 for none of this process
        ("snapshots", "<i8"),  # taken
        ("snapshot_took_ns", "<i8"),  # time spent on them together
        ("snapshot_failures", "<i8"),  # attempts that the system refused
    ]
)


def digest_of(layout: np.dtype[Any]) -> int:
    """What tells one layout from another: names, types and places of all fields, the causes and stages, 63 bits."""
    text = f"{PAGE_VERSION} {VALUE_BITS} {CAUSES} {STAGES} {list(REFUSALS)} {layout.descr}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def word_of(layout: np.dtype[Any], *path: str | int) -> int:
    """Index of a field in the page as an array of int64: `word_of(COUNTERS, "stages", 2, "counts")`."""
    offset, current = 0, layout
    for step in path:
        if isinstance(step, str):
            assert current.fields is not None
            current, place = current.fields[step][:2]
            offset += place
        else:
            assert current.subdtype is not None
            current, shape = current.subdtype
            assert len(shape) == 1
            offset += step * current.itemsize
    assert offset % 8 == 0
    return offset // 8


assert HEADER.itemsize == 64
assert COUNTERS.itemsize % 8 == 0 and SHIPPING.itemsize % 8 == 0
