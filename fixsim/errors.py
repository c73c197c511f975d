"""Whose fault it is, and what the peer or the operator is told.

    FixsimError
      ConfigError           every fault of the file at once, with key and reason
      UsageError            a mistake on the command line: one clear line
      FixError              the peer's mistake; carries the answer it should get
        GarbledMessage        ignored, as FIX 4.4 volume 2 demands
        SessionRejection      Reject(3) with SessionRejectReason(373)
        BusinessRejection     BusinessMessageReject(j) with BusinessRejectReason(380)
        LogoutRequired        Logout(5), then the connection is closed
      SessionMisuse         our own code asked for an illegal move
      VenueError            the world's failure outside the journal: port, lock, certificate
      JournalError
        TornTail              an unsealed end: cut at `position`
        JournalCorrupt        damage before sealed records: the start is refused
        JournalFull           no room for another record
      SnapshotError         a snapshot that cannot be used: passed over, an older one or the journal alone will do
      ShippingError         the database is away: wait and retry, trading goes on
      AuditError            the hash chain, a head or a proof cannot be used
      ReplayDivergence      the first record that differs, both sides readable
"""

from dataclasses import dataclass


class FixsimError(Exception):
    """Root of everything fixsim raises on purpose."""


@dataclass(frozen=True)
class Fault:
    """One fault of a configuration file: where it is and why it is one."""

    file: str
    key: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file}: {self.key}: {self.reason}"


class ConfigError(FixsimError):
    """A configuration that cannot be used; `faults` names every reason at once."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = faults


class UsageError(FixsimError):
    """A mistake on the command line; its text is the one line that is printed."""


class FixError(FixsimError):
    """The peer's mistake; subclasses say how it is answered."""


class GarbledMessage(FixError):
    """Bytes that are no FIX message: ignored, no number is used up (FIX 4.4 volume 2, garbled message)."""


class SessionRejection(FixError):
    """A message that breaks the dictionary, answered by Reject(3).

    `reason` is SessionRejectReason(373), `ref_tag` RefTagID(371) as it was received (None when no tag is to blame).
    """

    def __init__(self, reason: int, ref_tag: int | str | None, text: str) -> None:
        super().__init__(text)
        self.reason, self.ref_tag, self.text = reason, ref_tag, text


class BusinessRejection(FixError):
    """A good message that cannot be served, answered by BusinessMessageReject(j) with `reason` = 380."""

    def __init__(self, reason: int, text: str, ref_id: bytes | None = None) -> None:
        super().__init__(text)
        self.reason, self.text, self.ref_id = reason, text, ref_id


class LogoutRequired(FixError):
    """A fault after which FIX does not go on: Logout(5) with `text`, then the connection is closed."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class SessionMisuse(FixsimError):
    """Our own code asked a session for a move its state does not have."""


class VenueError(FixsimError):
    """The world does not let the venue do this (a port in use, a locked directory, an unreadable certificate)."""


class JournalError(FixsimError):
    """The journal cannot be read or written as it should; `position` is where, -1 when it is the whole of it."""

    def __init__(self, text: str, position: int = -1) -> None:
        super().__init__(text)
        self.position = position


class TornTail(JournalError):
    """Bytes after the last seal that no seal covers: they were never said and are cut."""


class JournalCorrupt(JournalError):
    """Damage in front of sealed records: nothing is guessed, the start is refused."""


class JournalFull(JournalError):
    """The journal has no room for another record."""


class SnapshotError(FixsimError):
    """A snapshot fails one of its checks, or none can be taken; the text says why."""


class ShippingError(FixsimError):
    """The database is away or slow; the shipper waits and tries again."""


class AuditError(FixsimError):
    """The hash chain, a key, a head or a proof is missing, unreadable or not of this journal."""


class ReplayDivergence(FixsimError):
    """Replaying gave other bytes than were said; `expected` is what the journal holds at `position`."""

    def __init__(self, position: int, expected: bytes, actual: bytes) -> None:
        super().__init__(f"replay differs from the journal at position {position}")
        self.position, self.expected, self.actual = position, expected, actual
