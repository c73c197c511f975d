"""A FIX initiator of our own, in plain bytes: no code of the exchange, of its client, or of its codec.

It takes nothing on trust: each frame of the exchange is measured and its checksum added up, numbers must be gapless, and what
is said twice must be the same twice. It keeps every byte of every connection, and everything it took, for the tests to compare.
"""

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

SOH = b"\x01"
TARGET = b"FIXSIM"
BEGIN = b"8=FIX.4.4\x019="
#: Session messages: a GapFill stands for them when they are asked for again.
ADMIN = frozenset({b"0", b"1", b"2", b"3", b"4", b"5", b"A"})
#: Fields that differ between the first saying of a message and a later one: 9, 52, 43, 122, 10.
RENEWED = (b"9=", b"52=", b"43=", b"122=", b"10=")
CHUNK_BYTES = 1 << 18


def render(msg_type: bytes, sender: bytes, seq: int, header: bytes, body: bytes) -> bytes:
    """A whole frame; `header` and `body` are fields, each with its SOH."""
    inner = b"35=%b\x0149=%b\x0156=%b\x0134=%d\x01%b%b" % (msg_type, sender, TARGET, seq, header, body)
    frame = b"%b%d\x01%b" % (BEGIN, len(inner), inner)
    return b"%b10=%03d\x01" % (frame, sum(frame) & 255)


def stamp() -> bytes:
    """Now, as UTCTimestamp in ms."""
    now = time.time()
    return b"%b.%03d" % (time.strftime("%Y%m%d-%H:%M:%S", time.gmtime(now)).encode(), int(now * 1000) % 1000)


def fields(frame: bytes) -> dict[bytes, bytes]:
    """The fields of a frame of the exchange by tag; of those that repeat, the last."""
    return dict(part.partition(b"=")[::2] for part in frame.split(SOH)[:-1])


def substance(frame: bytes) -> list[bytes]:
    """The fields a resend leaves as they are."""
    return [part for part in frame.split(SOH)[:-1] if not part.startswith(RENEWED)]


def value(frame: bytes, tag: bytes) -> bytes:
    """The first value of `tag`, empty when there is none."""
    begin = frame.find(b"\x01%b=" % tag)
    if begin < 0:
        return b""
    begin += len(tag) + 2
    return frame[begin : frame.index(SOH, begin)]


@dataclass
class Conversation:
    """One connection: every byte each way, and whether it was ended by Logouts."""

    to_exchange: bytearray = field(default_factory=bytearray)
    to_client: bytearray = field(default_factory=bytearray)
    closed_in_order: bool = False


class Peer:
    """One session of ours and its connection. Nothing here waits; `turn` sends and takes what there is."""

    def __init__(self, name: str, logon: bytes = b"98=0\x01108=60\x01") -> None:
        self.name = name.encode()
        self.next_in = self.next_out = 1
        #: Application messages we said, by number: (MsgType, SendingTime, body).
        self.said: dict[int, tuple[bytes, bytes, bytes]] = {}
        #: What we took, by number, as it was when it came first.
        self.taken: dict[int, bytes] = {}
        self.conversations: list[Conversation] = []
        self.farewell: bytes | None = None
        self.logged_on = False
        self.logon = logon
        self._socket: socket.socket | None = None
        self._outgoing = bytearray()
        self._incoming = b""
        self._echoed: set[bytes] = set()
        self._asked_to = 0
        self._pings = 0

    # ------------------------------------------------------------ the connection

    @property
    def connected(self) -> bool:
        """Whether there is a connection (not yet: that the exchange wants it)."""
        return self._socket is not None

    @property
    def may_speak(self) -> bool:
        """Whether there is a connection and no Logout on it."""
        return self._socket is not None and self.farewell is None

    def connect(self, port: int) -> None:
        """Connect and say Logon; OSError when nobody listens."""
        link = socket.create_connection(("127.0.0.1", port), timeout=30)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link.setblocking(False)
        self._socket, self._incoming = link, b""
        self._outgoing.clear()
        self._asked_to, self.farewell = 0, None
        self.conversations.append(Conversation())
        self.say(b"A", self.logon)

    def drop(self) -> None:
        """Hang up without a word."""
        if self._socket is not None:
            self._socket.close()
        self._socket, self.logged_on = None, False

    def turn(self) -> bool:
        """Send what is owed and take what has come; whether anything came."""
        self._send()
        came = self._take()
        self._send()
        return came

    @property
    def backlog(self) -> int:
        """Bytes that the connection has not taken yet."""
        return len(self._outgoing)

    def _send(self) -> None:
        if self._socket is None or not self._outgoing:
            return
        try:
            sent = self._socket.send(self._outgoing)
        except BlockingIOError:
            return
        except OSError:
            self._drain()
            return
        self.conversations[-1].to_exchange += self._outgoing[:sent]
        del self._outgoing[:sent]

    def _drain(self) -> None:
        """The other end died: what it had said is still taken."""
        while self._take():
            pass
        self.drop()

    def _take(self) -> bool:
        if self._socket is None:
            return False
        try:
            chunk = self._socket.recv(CHUNK_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            chunk = b""
        if not chunk:
            self.drop()
            return False
        self.conversations[-1].to_client += chunk
        self._incoming = _each_frame(self._incoming + chunk, self._hear)
        return True

    # ------------------------------------------------------------ saying

    def say(self, msg_type: bytes, body: bytes, header: bytes = b"") -> int:
        """Number and queue a message; its MsgSeqNum(34). `header` are further fields of the header."""
        seq, now = self.next_out, stamp()
        self.next_out += 1
        if msg_type not in ADMIN:
            self.said[seq] = (msg_type, now, header + body)
        self._outgoing += render(msg_type, self.name, seq, b"52=%b\x01%b" % (now, header), body)
        return seq

    def say_once(self, msg_type: bytes, body: bytes) -> None:
        """A message we would not say again: a GapFill takes its place."""
        self.say(msg_type, body)
        self.said.pop(self.next_out - 1, None)

    def blurt(self, octets: bytes) -> None:
        """Queue bytes that are no message of the conversation."""
        self._outgoing += octets

    def ping(self) -> bytes:
        """TestRequest(1); its text, which `has_echoed` asks about."""
        self._pings += 1
        text = b"%b-PING-%d" % (self.name, self._pings)
        self.say(b"1", b"112=%b\x01" % text)
        return text

    def has_echoed(self, text: bytes) -> bool:
        """Whether the Heartbeat(0) with `text` came, and nothing is missing."""
        return text in self._echoed and self._asked_to < self.next_in

    def ask_again(self, begin: int, end: int) -> None:
        """ResendRequest(2)."""
        self.say(b"2", b"7=%d\x0116=%d\x01" % (begin, end))

    def insist(self) -> None:
        """Ask again for what is still missing: the request may have been lost behind garbled bytes."""
        if self._asked_to >= self.next_in:
            self.ask_again(self.next_in, 0)

    # ------------------------------------------------------------ hearing

    def _hear(self, frame: bytes) -> None:
        seq, msg_type = int(value(frame, b"34")), value(frame, b"35")
        again = b"\x0143=Y\x01" in frame
        assert value(frame, b"56") == self.name, frame
        if msg_type == b"2":
            self._say_again(int(value(frame, b"7")), int(value(frame, b"16")))
        elif msg_type == b"1":
            self.say(b"0", b"112=%b\x01" % value(frame, b"112"))
        elif msg_type == b"0":
            self._echoed.add(value(frame, b"112"))
        elif msg_type == b"A":
            self.logged_on = True
        elif msg_type == b"5":
            self._leave(frame)
        if seq > self.next_in:
            self._miss(seq)
        elif seq < self.next_in:
            self._know(seq, frame, again)
        elif msg_type == b"4":
            assert b"\x01123=Y\x01" in frame and int(value(frame, b"36")) > seq, frame
            self.next_in = int(value(frame, b"36"))
        else:
            self.taken[seq] = frame
            self.next_in = seq + 1

    def _miss(self, seq: int) -> None:
        """A number above the expected one: everything from there on is asked for, once."""
        if self._asked_to < self.next_in and self.farewell is None:
            self._asked_to = seq
            self.ask_again(self.next_in, 0)

    def _know(self, seq: int, frame: bytes, again: bool) -> None:
        """A number we had: it must be a resend, and the same."""
        assert again, f"{self.name!r} expects {self.next_in}: {frame!r}"
        if value(frame, b"35") == b"4":
            missed = [number for number in range(seq, int(value(frame, b"36"))) if _is_application(self.taken.get(number))]
            assert not missed, f"a GapFill over what was said: {frame!r}"
        else:
            assert substance(frame) == substance(self.taken[seq]), (frame, self.taken[seq])

    def _leave(self, frame: bytes) -> None:
        if self.farewell is None:
            self.farewell = value(frame, b"58")
            self.say(b"5", b"")
        self.conversations[-1].closed_in_order = True

    def log_out(self) -> None:
        """Say Logout; the answer and the end of the connection follow."""
        self.farewell = b""
        self.say(b"5", b"")

    def _say_again(self, begin: int, end: int) -> None:
        """Answer a ResendRequest(2): application messages with 43=Y, GapFills for the rest."""
        last = self.next_out - 1 if end == 0 else min(end, self.next_out - 1)
        gap = 0
        for seq in range(begin, last + 1):
            found = self.said.get(seq)
            if found is None:
                gap = gap or seq
                continue
            if gap:
                self._fill_gap(gap, seq)
                gap = 0
            msg_type, first, body = found
            head = b"43=Y\x0152=%b\x01122=%b\x01" % (stamp(), first)
            self._outgoing += render(msg_type, self.name, seq, head, body)
        if gap:
            self._fill_gap(gap, last + 1)

    def _fill_gap(self, seq: int, following: int) -> None:
        now = stamp()
        head = b"43=Y\x0152=%b\x01122=%b\x01" % (now, now)
        self._outgoing += render(b"4", self.name, seq, head, b"123=Y\x0136=%d\x01" % following)


def _is_application(frame: bytes | None) -> bool:
    return frame is not None and value(frame, b"35") not in ADMIN


def _each_frame(octets: bytes, hear: Callable[[bytes], None]) -> bytes:
    """Hand each whole frame of the exchange to `hear`; the rest. A frame that is not well-formed is the exchange's fault."""
    at = 0
    while True:
        begin = octets[at : at + len(BEGIN)]
        if len(begin) < len(BEGIN):
            break
        assert begin == BEGIN, octets[at : at + 80]
        mark = octets.find(SOH, at + len(BEGIN), at + len(BEGIN) + 9)
        if mark < 0:
            break
        end = mark + 1 + int(octets[at + len(BEGIN) : mark])
        if len(octets) < end + 7:
            break
        frame = octets[at : end + 7]
        assert frame[-7:] == b"10=%03d\x01" % (sum(frame[:-7]) & 255), frame
        hear(frame)
        at = end + 7
    return octets[at:]
