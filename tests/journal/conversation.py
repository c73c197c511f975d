"""A journal that holds what one session was told, for tests of resends and of the outbox."""

from pathlib import Path
from typing import Any

from journals import FaultyDisk, open_writer

from fixsim.fix.codec import encode
from fixsim.journal.reader import Reader
from fixsim.journal.record import SEAL_RECORD_BYTES, pack, resend_payload
from fixsim.layout import NIL, Kind
from fixsim.units import format_utc_timestamp

NOON_NS = 1_767_268_800_000_000_000


class Conversation:
    """Says frames to session 7 on link 1, each in a batch of its own."""

    def __init__(self, directory: Path, session: int = 7, digits: int = 3) -> None:
        self.writer = open_writer(directory, disk=FaultyDisk())
        self.reader = Reader(directory)
        self.session, self.digits = session, digits
        self.run, self.next_seq, self.last, self.now_ns = 1, 1, NIL, NOON_NS

    def put(self, kind: int, payload: bytes, **fields: Any) -> int:
        """Seal one record; its position."""
        position = self.writer.begin_batch()
        record = pack(kind, position, self.now_ns, payload, session=self.session, run=self.run, link=1, **fields)
        self.writer.append(memoryview(bytearray(record + bytes(SEAL_RECORD_BYTES))), len(record), 1, self.now_ns)
        return position

    def frame(self, msg_type: bytes, body: list[tuple[int, bytes]]) -> bytes:
        """What the exchange would say next."""
        stamp = format_utc_timestamp(self.now_ns, self.digits)
        header = [(49, b"FIXSIM"), (56, b"BUYSIDE"), (34, b"%d" % self.next_seq), (52, stamp)]
        return encode(msg_type, header, body)

    def say(self, msg_type: bytes, *body: tuple[int, bytes]) -> int:
        """Say one message under the next number."""
        self.now_ns += 1_000_000
        position = self.put(
            Kind.OUT, self.frame(msg_type, list(body)), seq=self.next_seq, back=self.last, msg_type=msg_type
        )
        self.last = position
        self.next_seq += 1
        return position

    def resend(self, begin: int, end: int) -> int:
        """Serve a ResendRequest."""
        self.now_ns += 1_000_000
        return self.put(Kind.RESEND, resend_payload(begin, end), back=self.last)
