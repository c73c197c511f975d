"""Connections that have not logged on: strangers, bounded in number, time and bytes, and told nothing.

The rules are FIX's for an acceptor: a first message that is no Logon(A), a wrong BeginString(8) or
BodyLength(9), a SendingTime(52) out of range, CompIDs nobody knows, an address that is not allowed, a
session that is connected already: the connection is dropped without a word. Wrong credentials get a
Logout(5) with Text(58), which the session says; so the verdict goes to the exchange as data.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from fixsim.config import Config, Counterparty
from fixsim.errors import GarbledMessage
from fixsim.exchange.exchange import Exchange
from fixsim.exchange.payloads import Admission, Hello
from fixsim.fix import tags
from fixsim.fix.codec import FRAME, GARBLED, MARKER, decode, find_frame
from fixsim.fix.message import Message
from fixsim.gateway.credentials import REFUSAL, Attempts, Verifier, credentials_of, needs_check
from fixsim.gateway.log import OncePerMinute
from fixsim.gateway.poller import Poller
from fixsim.gateway.transport import GONE, NOTHING, Plain
from fixsim.layout import NEVER
from fixsim.units import parse_utc_timestamp

BEGIN: Final = b"8=FIX.4.4\x01"
SECOND_NS: Final = 1_000_000_000

#: Takes over a connection that logged on: transport, link number, and the bytes that came, Logon included.
TakeOver = Callable[[Plain, int, bytearray, int], None]


class Greeting:
    """One stranger."""

    __slots__ = ("_lobby", "address", "buffer", "entry", "handshaken", "hello", "since_ns", "ticket", "transport")

    def __init__(self, lobby: "Lobby", ticket: int, transport: Plain, address: str, since_ns: int) -> None:
        self._lobby = lobby
        self.ticket = ticket
        self.transport = transport
        self.address = address
        self.since_ns = since_ns
        self.buffer = bytearray()
        self.handshaken = False
        #: Set while the password is being checked: who it says it is, and the entry that has the hash.
        self.hello: Hello | None = None
        self.entry: Counterparty | None = None

    def ready(self, mask: int, now_ns: int) -> None:
        self._lobby.read(self, now_ns)


class Lobby:
    """All strangers, oldest first."""

    def __init__(
        self,
        config: Config,
        exchange: Exchange,
        poller: Poller,
        verifier: Verifier,
        take_over: TakeOver,
        scratch: memoryview,
    ) -> None:
        self._exchange, self._poller, self._verifier = exchange, poller, verifier
        self._take_over, self._scratch = take_over, scratch
        self._greetings_max = config.capacities.greetings
        self.adopt(config)
        self._tickets = 0
        self._greetings: dict[int, Greeting] = {}  # by ticket, which is by age; a descriptor may come twice
        self._attempts = Attempts()
        self._log = OncePerMinute()
        #: Connections dropped since the start.
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._greetings)

    def adopt(self, config: Config) -> None:
        """Take what a configuration says of strangers."""
        self._venue = config.venue
        self._timeout_ns = int(config.venue.logon_timeout_s * SECOND_NS)
        self._tolerance_ns = int(config.venue.sending_time_tolerance_s * SECOND_NS)

    def welcome(self, transport: Plain, address: str, now_ns: int) -> None:
        """A connection was accepted. Where there are too many strangers, the oldest makes way."""
        if len(self._greetings) >= self._greetings_max:
            oldest = next(iter(self._greetings.values()))
            self._drop(oldest, "made way for a newer connection", now_ns)
        self._tickets += 1
        greeting = Greeting(self, self._tickets, transport, address, now_ns)
        self._greetings[greeting.ticket] = greeting
        self._poller.add(transport.fd, greeting)
        self.read(greeting, now_ns)  # its Logon is often there already

    def next_deadline_ns(self) -> int:
        """When the oldest stranger's time is up."""
        for greeting in self._greetings.values():
            return greeting.since_ns + self._timeout_ns
        return NEVER

    def expire(self, now_ns: int) -> None:
        """Drop whoever did not log on in time."""
        while self._greetings:
            oldest = next(iter(self._greetings.values()))
            if oldest.since_ns + self._timeout_ns > now_ns:
                return
            self._drop(oldest, "no complete Logon in time", now_ns)

    def read(self, greeting: Greeting, now_ns: int) -> None:
        """Take what came; decide once the first frame is whole."""
        try:
            if not greeting.handshaken:
                greeting.handshaken = greeting.transport.handshake()
                if not greeting.handshaken:
                    return
            count = greeting.transport.read(self._scratch)
        except GONE as error:
            self._drop(greeting, f"connection failed: {type(error).__name__}", now_ns)
            return
        if count == NOTHING:
            return
        if count == 0:
            self._drop(greeting, "left without a Logon", now_ns)
            return
        greeting.buffer += self._scratch[:count]
        if greeting.hello is None:
            self._judge(greeting, now_ns)

    def decide(self, now_ns: int) -> None:
        """Let in, or refuse, those whose password has been checked."""
        for ticket, right in self._verifier.verdicts():
            greeting = self._greetings.get(ticket)
            if greeting is None or greeting.hello is None or greeting.entry is None:
                continue  # it left while it waited
            self._settle(greeting, greeting.hello, greeting.entry, right, now_ns)

    def close(self) -> None:
        """Drop everybody."""
        for greeting in list(self._greetings.values()):
            self._forget(greeting)
            greeting.transport.close()

    def _judge(self, greeting: Greeting, now_ns: int) -> None:
        buffer = greeting.buffer
        if not buffer.startswith(MARKER[: len(buffer)]):
            self._drop(greeting, "first bytes are not FIX", now_ns)
            return
        framing = find_frame(buffer, 0, len(buffer), self._venue.max_message_size)
        if framing.kind == GARBLED:
            self._drop(greeting, "first message is garbled", now_ns)
        elif framing.kind == FRAME:
            try:
                logon = decode(bytes(buffer[: framing.end]), check=False)
            except GarbledMessage:  # the error would quote it, and it may hold a password
                self._drop(greeting, "first message is garbled", now_ns)
                return
            self._judge_logon(greeting, logon, now_ns)

    def _judge_logon(self, greeting: Greeting, logon: Message, now_ns: int) -> None:
        refusal = self._refusal_of(logon, greeting.buffer, now_ns)
        if refusal is not None:
            self._drop(greeting, refusal, now_ns)
            return
        sender, target = logon.get(tags.SENDER_COMP_ID, b""), logon.get(tags.TARGET_COMP_ID, b"")
        admission = self._exchange.admits(sender, target, greeting.address)
        if admission.counterparty is None:
            self._drop(greeting, admission.refusal or "not admitted", now_ns)
            return
        hello = Hello(sender.decode("latin-1"), target.decode("latin-1"), greeting.address)
        if not needs_check(admission.counterparty):
            self._let_in(greeting, hello, now_ns)
            return
        self._check(greeting, hello, logon, admission.counterparty, now_ns)

    def _refusal_of(self, logon: Message, buffer: bytearray, now_ns: int) -> str | None:
        """Why a whole first message is no Logon to be answered; None when it is one."""
        if not buffer.startswith(BEGIN):
            return "BeginString(8) is not FIX.4.4"
        if logon.msg_type != b"A":
            return "first message is not a Logon(A)"
        sent_ns = parse_utc_timestamp(logon.get(tags.SENDING_TIME, b""))
        if sent_ns is None:
            return "Logon without a readable SendingTime(52)"
        if self._tolerance_ns and abs(now_ns - sent_ns) > self._tolerance_ns:
            return "SendingTime(52) of the Logon is out of range"
        return None

    def _check(self, greeting: Greeting, hello: Hello, logon: Message, entry: Counterparty, now_ns: int) -> None:
        """Have the credentials of `logon` checked. Nothing more is read until the verdict is there."""
        sender = hello.sender.encode("latin-1")
        if not self._attempts.may_try(greeting.address, sender, now_ns):
            self._drop(greeting, "too many wrong passwords", now_ns)
            return
        clear = logon.get(tags.PASSWORD, b"")
        named = entry.username is None or logon.get(tags.USERNAME, b"") == entry.username.encode()
        if not named or entry.password_hash is None or not clear:
            self._settle(greeting, hello, entry, named and entry.password_hash is None, now_ns)
            return
        suspect = self._attempts.is_suspect(greeting.address, sender, entry, now_ns)
        if not self._verifier.ask(greeting.ticket, entry.password_hash, clear, suspect):
            self._drop(greeting, "too many passwords to check", now_ns)
            return
        self._attempts.begin(greeting.address, sender)
        greeting.hello, greeting.entry = hello, entry
        self._poller.change(greeting.transport.fd, 0)

    def _settle(self, greeting: Greeting, hello: Hello, entry: Counterparty, right: bool, now_ns: int) -> None:
        sender = hello.sender.encode("latin-1")
        if right:
            self._attempts.note_success(greeting.address, sender)
        else:
            self._attempts.note_failure(greeting.address, sender, entry, now_ns)
            self._log.note(greeting.address, "wrong credentials", now_ns, f"for {hello.sender!r}")
            hello = replace(hello, verdict=REFUSAL)
        admission: Admission = self._exchange.admits(sender, hello.target.encode("latin-1"), greeting.address)
        if admission.counterparty is None:  # somebody else came first while the password was checked
            self._drop(greeting, admission.refusal or "not admitted", now_ns)
            return
        if credentials_of(admission.counterparty) != credentials_of(entry):
            self._drop(greeting, "its credentials were changed while they were checked", now_ns)
            return
        self._let_in(greeting, hello, now_ns)

    def _let_in(self, greeting: Greeting, hello: Hello, now_ns: int) -> None:
        self._forget(greeting)
        link = self._exchange.open_link(hello, now_ns)
        self._take_over(greeting.transport, link, greeting.buffer, now_ns)

    def _drop(self, greeting: Greeting, reason: str, now_ns: int) -> None:
        self.dropped += 1
        self._log.note(greeting.address, reason, now_ns)
        self._forget(greeting)
        greeting.transport.close()

    def _forget(self, greeting: Greeting) -> None:
        del self._greetings[greeting.ticket]
        if greeting.hello is not None:
            self._verifier.cancel(greeting.ticket)
            self._attempts.end(greeting.address, greeting.hello.sender.encode("latin-1"))
        self._poller.remove(greeting.transport.fd)
