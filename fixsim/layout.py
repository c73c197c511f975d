"""Layout of everything that crosses a border or stays hot: journal records first, then the machine's tables.

Two rules of this room: each field has a unit and a meaning of empty, and nobody else defines a dtype.
"""

from typing import Final

import numpy as np

from fixsim.limits import RECORD_ALIGN, RECORD_HEADER_BYTES

#: "No row", in every index field.
NIL: Final = -1
#: "Never", for deadlines: the largest int64.
NEVER: Final = 2**63 - 1

# ---------------------------------------------------------------- journal

#: First two bytes of every record.
RECORD_MAGIC: Final = 0xF144
#: Bumped when a release changes bytes or layout.
JOURNAL_VERSION: Final = 1


class Kind:
    """What a journal record is."""

    SEGMENT: Final = 1  # first record of a segment file
    START: Final = 2  # a process start, with its whole configuration
    CONFIG: Final = 3  # a reload, whole
    LINK: Final = 4  # connected, lost; the verdict on credentials
    IN: Final = 5  # a frame that came
    OUT: Final = 6  # a frame that was said
    RESEND: Final = 7  # a ResendRequest served: begin, end
    GARBLED: Final = 8  # bytes on a live session that were no message
    TICK: Final = 9  # a deadline was due
    OPERATOR: Final = 10  # a command, with who and why
    SEAL: Final = 11  # count and checksum of the batch in front of it


#: Kinds that change state when replayed; the others are what was said, or structure.
INBOUND: Final = frozenset(
    {Kind.START, Kind.CONFIG, Kind.LINK, Kind.IN, Kind.GARBLED, Kind.TICK, Kind.OPERATOR}
)

#: Header of a journal record; `length` bytes of payload follow, padded with zeros to RECORD_ALIGN.
RECORD: Final = np.dtype(
    [
        ("magic", "<u2"),  # RECORD_MAGIC
        ("kind", "u1"),  # Kind
        ("flags", "u1"),  # zero
        ("length", "<u4"),  # bytes of payload
        ("position", "<i8"),  # byte offset of this record in the journal, its identity everywhere
        ("time_ns", "<i8"),  # venue time of the turn, ns since 1970 UTC
        ("session", "<u4"),  # session id, 0 for none; LINK records name it
        ("run", "<u4"),  # sequence resets of the session so far
        ("seq", "<i8"),  # MsgSeqNum(34) of a frame, 0 for none
        ("back", "<i8"),  # OUT, RESEND: position of the session's previous OUT record, NIL for none
        ("msg_type", "u1", (2,)),  # MsgType(35), zero-padded
        # where the value begins in the payload, 0 for none (or beyond 65,535): a reader need not parse again
        ("at_cl_ord_id", "<u2"),  # 11
        ("at_order_id", "<u2"),  # 37
        ("at_exec_id", "<u2"),  # 17
        ("at_symbol", "<u2"),  # 55
        ("link", "<u4"),  # connection number, 0 for none
        ("spare", "<u2"),  # zero
    ]
)

#: Payload of a SEAL record.
SEAL: Final = np.dtype(
    [
        ("count", "<u4"),  # records in the batch, without the seal
        ("crc", "<u4"),  # CRC32C of the batch's bytes, from its first record to the seal's header
        ("previous_crc", "<u4"),  # `crc` of the seal before, 0 for the first of the journal
        ("spare", "<u4"),  # zero
        ("begin", "<i8"),  # position of the batch's first record
    ]
)

#: Payload of a RESEND record: MsgSeqNums, both inclusive.
RESEND: Final = np.dtype([("begin", "<i8"), ("end", "<i8")])

assert RECORD.itemsize == RECORD_HEADER_BYTES
assert SEAL.itemsize % RECORD_ALIGN == 0
