"""FIX logs, read: whatever stands around the messages, their times, and who said them.

A log is text with at most one message behind another on a line: QuickFIX's message logs, event logs with messages in them,
`fixsim audit messages --raw`, or anything else. Fields may be divided by SOH, `|` or `^A`. In front of a message may
stand a time in any of the usual forms; without one its SendingTime(52) counts. Lines without a message are left out.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from fixsim.errors import GarbledMessage
from fixsim.fix import tags
from fixsim.fix.codec import SOH, decode
from fixsim.fix.message import Message
from fixsim.units import NS_PER_S, parse_utc_timestamp

#: Where a message begins.
BEGIN: Final = re.compile(rb"(?<![0-9])8=FIX")
#: Where it ends; what follows on the line is not the message's.
TRAILER: Final = re.compile(rb"(?:\x01|\||\^A)10=[0-9]{3}(?:\x01|\||\^A|(?=\s)|$)")
_FRACTION: Final = rb"(?:[.,](\d{1,9})\d*)?"
_DATE_TIME: Final = re.compile(rb"(\d{4})-?(\d\d)-?(\d\d)[-T ](\d\d:\d\d:\d\d)" + _FRACTION)
_TIME: Final = re.compile(rb"(?<!\d)(\d\d:\d\d:\d\d)" + _FRACTION)
#: Seconds, milliseconds, microseconds or nanoseconds since 1970, by their number of digits.
_EPOCH: Final = re.compile(rb"(?<![\d.])(\d{10}(?:\.\d{1,9})?|\d{13}|\d{16}|\d{19})(?![\d.])")

#: The session's own messages; the conversation is held anew.
ADMIN: Final = frozenset({b"0", b"1", b"2", b"3", b"4", b"5", b"A"})
LOGON: Final = b"A"
LOGOUT: Final = b"5"
REJECT: Final = b"3"
#: What only a client says.
REQUESTS: Final = frozenset({b"D", b"F", b"G", b"H", b"x", b"V", b"q", b"E", b"AF", b"R"})


class Logged(NamedTuple):
    """One message of a log; `time_ns` is ns since 1970 of whatever clock the log had, `number` its place among all read."""

    time_ns: int
    message: Message
    number: int

    @property
    def sender(self) -> bytes:
        """SenderCompID(49)."""
        return self.message.get(tags.SENDER_COMP_ID, b"")

    @property
    def target(self) -> bytes:
        """TargetCompID(56)."""
        return self.message.get(tags.TARGET_COMP_ID, b"")


class LogReader:
    """Reads logs; `garbled` counts what looked like a message and was none, `count` those that were."""

    def __init__(self) -> None:
        self.garbled = self.count = 0

    def read(self, octets: bytes) -> Iterator[Logged]:
        """The messages of a log, in order."""
        last_ns = 0
        for line in octets.splitlines():
            at = 0
            while (found := BEGIN.search(line, at)) is not None:
                begin, trailer = found.start(), TRAILER.search(line, found.end())
                prefix = line[at:begin] or line[:begin]
                at = len(line) if trailer is None else trailer.end()
                try:
                    message = decode(_frame(line[begin:at]), check=False)
                except GarbledMessage:
                    self.garbled += 1
                    continue
                last_ns = _time_of(prefix, message) or last_ns
                self.count += 1
                yield Logged(last_ns, message, self.count)


def _frame(text: bytes) -> bytes:
    """A message as it was on the wire."""
    if SOH not in text:
        text = text.replace(b"^A", SOH) if b"^A" in text else text.replace(b"|", SOH)
    return text.rstrip(SOH + b" \t") + SOH


def _time_of(prefix: bytes, message: Message) -> int | None:
    """The time in front of a message, or its SendingTime(52); None for neither."""
    said = message.get(tags.SENDING_TIME, b"")
    dated = _DATE_TIME.search(prefix)
    if dated is not None:
        year, month, day, clock, fraction = dated.groups(default=b"")
        return _stamp(year + month + day, clock, fraction)
    timed = _TIME.search(prefix)
    if timed is not None:
        return _stamp(said[:8] if len(said) > 8 else b"19700101", *timed.groups(default=b""))
    epoch = _EPOCH.search(prefix)
    if epoch is not None:
        whole, _, fraction = epoch[1].partition(b".")
        if len(whole) == 10:
            return int(whole) * NS_PER_S + int(fraction.ljust(9, b"0"))
        return int(whole.ljust(19, b"0"))
    return parse_utc_timestamp(said)


def _stamp(date: bytes, clock: bytes, fraction: bytes) -> int | None:
    return parse_utc_timestamp(b"%b-%b.%b" % (date, clock, fraction.ljust(9, b"0")))


@dataclass
class Script:
    """One client session as a log tells it: what it did, and what came back to it."""

    name: bytes
    target: bytes
    #: Logon, Logout and application messages of the client, in order; what was said twice only once.
    said: list[Logged]
    #: Application messages and Reject(3) of the other side, in order, said first.
    heard: list[Logged]


def scripts_of(logged: Iterable[Logged], session: str | None = None) -> list[Script]:
    """The client sessions of logs, or the one of `session` (a CompID); in the order of their first message.

    Of the two sides of a session the client is who sent the first Logon(A), or the first request of a kind only clients make.
    """
    pairs: dict[frozenset[bytes], list[Logged]] = {}
    for entry in logged:
        pairs.setdefault(frozenset((entry.sender, entry.target)), []).append(entry)
    scripts = []
    for entries in pairs.values():
        entries.sort(key=lambda entry: (entry.time_ns, entry.number))
        client = next((entry for entry in entries if entry.message.msg_type == LOGON), None)
        client = client or next((entry for entry in entries if entry.message.msg_type in REQUESTS), None)
        if client is None or not client.sender or (session is not None and client.sender != session.encode()):
            continue
        scripts.append(_script(client.sender, client.target, entries))
    return scripts


def _script(name: bytes, target: bytes, entries: list[Logged]) -> Script:
    said: list[Logged] = []
    heard: list[Logged] = []
    for entry in entries:
        message, kind = entry.message, entry.message.msg_type
        if message.get(tags.POSS_DUP_FLAG) == b"Y":
            continue  # it was said before
        if entry.sender == name:
            if kind not in ADMIN or kind in (LOGON, LOGOUT):
                said.append(entry)
        elif kind not in ADMIN or kind == REJECT:
            heard.append(entry)
    return Script(name, target, said, heard)
