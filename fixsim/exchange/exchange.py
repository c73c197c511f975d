"""The exchange: one writer, driven by turns of a gateway or by the records of a journal.

A gateway calls `receive`, `tick`, `command`; each becomes a journal record and is carried out. A replay hands the
records to the same methods (`exchange.recovery`). Everything that is said lies in the batch until `commit` has sealed
it; only then does the outbox know of it.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from hashlib import sha256
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fixsim.config import Config
from fixsim.engine.batch import BREAK, FULL, LARGE, run_frames
from fixsim.engine.book import DONE, HELD, MORE
from fixsim.engine.machine import Machine, new_machine
from fixsim.errors import GarbledMessage
from fixsim.exchange import secrets, wall
from fixsim.exchange.agenda import Agenda, Place
from fixsim.exchange.amendments import Amendments
from fixsim.exchange.auction import Auctions
from fixsim.exchange.breakers import Breakers
from fixsim.exchange.capacity import sizes
from fixsim.exchange.day import DayTurn, next_time_of_day
from fixsim.exchange.deadlines import Deadlines
from fixsim.exchange.delivery import Delivery
from fixsim.exchange.desk import Desk
from fixsim.exchange.doors import doors
from fixsim.exchange.gate import Gate
from fixsim.exchange.goodtill import GoodTill
from fixsim.exchange.guard import Guard
from fixsim.exchange.listings import Listings
from fixsim.exchange.market import Market
from fixsim.exchange.masscancel import MassCancel
from fixsim.exchange.members import Member, Members
from fixsim.exchange.operator.verbs import carry_out
from fixsim.exchange.payloads import Admission, Hello, planned
from fixsim.exchange.phases import Phases
from fixsim.exchange.reception import deliver
from fixsim.exchange.risk import Risk
from fixsim.exchange.status import Status
from fixsim.exchange.tape import JournalWriter, Tape
from fixsim.fix import tags
from fixsim.fix.codec import FRAME, PARTIAL, decode, find_frame
from fixsim.fix.dictionary import Dictionary
from fixsim.journal.outbox import Outbox
from fixsim.journal.record import resend_payload
from fixsim.layout import NEVER, NIL, Kind
from fixsim.limits import FRAME_BYTES_MAX
from fixsim.session import (
    Deliver,
    Disconnect,
    Event,
    FetchEarly,
    Resend,
    Say,
    SequenceReset,
    State,
)  # fmt: skip
from fixsim.units import NS_PER_S, utc_day

#: Bytes of a garbled stretch that are kept.
GARBLED_KEPT: Final = 256
#: Work of one `receive`, without a limit; and the bytes written that count as much as one frame.
NO_LIMIT: Final = 1 << 62
WORK_BYTES: Final = 1_024
#: Early messages taken in one go when their turn has come; the others wait for the next TICK.
EARLY_AT_ONCE: Final = 16
#: What a LINK record keeps of why a connection was lost: it may be the peer's own text.
REASON_CHARS_MAX: Final = 200


class Exchange:
    """All state of the venue."""

    def __init__(
        self, config: Config, writer: JournalWriter, outbox: Outbox, fetch: Callable[[int], bytes], dictionary: Dictionary
    ) -> None:
        self.config = config
        self.machine: Machine = new_machine(sizes(config))
        self.core: Any = self.machine.core[0]
        self.tape = Tape(self.machine, writer, config.venue.timestamp_digits)
        self.outbox = outbox
        self.fetch = fetch
        self.listings = Listings(config, self.machine)
        self.members = Members(config, self.machine, dictionary)
        self.risk = Risk(config, self.machine, self.listings, self.members)
        self.guard = Guard(self.risk, self.make_room)
        self.gate = Gate(self.risk, self.guard.stands_against)
        self.auctions = Auctions(self.machine, self.listings, self.make_room, self.begin_batch)
        self.status = Status(self.machine, self.tape, self.listings, self.auctions, lambda: self.venue_ns)
        self.status.note = self.note
        self.phases = Phases(self.machine, self.auctions, self.status)
        self.breakers = Breakers(self.machine, self.listings, self.phases, self.status, self.make_room)
        self.good_till = GoodTill(self.machine, self.make_room)
        self.desk = Desk(self.machine, self.tape, self.listings, self.phases, self.good_till, self.gate, self.commit)
        self.desk.look = self.breakers.look
        self.market = Market(self.machine, self.tape, self.listings, self.make_room)
        self.amendments = Amendments(self.machine, self.tape, self.listings, self.make_room)
        self.amendments.amended = self.risk.amend
        mass_cancel = MassCancel(self.machine, self.tape, self.listings, self.make_room)
        self.deadlines = Deadlines()
        self.agenda = Agenda()
        self.agenda.add(Place.DAY, DayTurn(self.desk, self.breakers.market))
        self.agenda.add(Place.RISK, self.guard)
        self.agenda.add(Place.PHASES, self.phases)
        self.agenda.add(Place.BREAKERS, self.breakers)
        self.agenda.add(Place.GOOD_TILL, self.good_till)
        self.agenda.add(Place.TELLING, self.status)
        #: What schedules do in the coming days, by the START record of a configuration that is about to be adopted.
        self._coming: dict[str, Any] = {}
        self.links: dict[int, Member] = {}
        self.delivery = Delivery(self.machine, self.tape, self.members, self.links, outbox)
        #: False sends every frame through the slow door: the answers are the same.
        self.fast_door = True
        self._frame = np.zeros(FRAME_BYTES_MAX, np.uint8)
        self._closings: list[tuple[int, str]] = []
        #: Early messages that are due, by link, and wait for the next TICK: a gap that closes may set thousands free.
        self._postponed: dict[int, int] = {}
        #: Whether the last `receive` left whole frames for a later turn.
        self.unfinished = False
        #: When frames that the last `receive` left may be taken because the session's rate allows them, ns; 0 for none.
        self.waits_until_ns = 0
        #: When all sessions restart at 1 next, NEVER when they do not; decided by the START and TICK records alone.
        self.reset_at_ns = NEVER
        self._doors = doors(self.desk, self.market, self.status, mass_cancel)

    # ---- starts and links

    def start(self, payload: bytes, now_ns: int) -> None:
        """A process has started: whatever was connected is not any more."""
        before_ns = self.tape.now_ns
        self.tape.begin(now_ns)
        told = json.loads(payload)
        self._coming = told.get("calendar", {})
        self.drive(told.get("venue_ns", 0))
        slept_over_reset = bool(before_ns) and self.venue_ns >= self.reset_at_ns
        self.tape.record(Kind.START, payload)
        if self.core["day"] == 0:
            self.core["day"] = utc_day(self.venue_ns)
            self.core["random"] = int.from_bytes(sha256(payload).digest()[:8], "little") ^ now_ns
        for link in sorted(self.links):
            self._unlink(link)
        self._closings.clear()
        if slept_over_reset:
            self._reset_sessions()

    def adopt(self, config: Config) -> None:
        """Go on under a changed configuration; called right after the START record that carries it."""
        self.take_configuration(config)
        self.members.adopt(config)
        self.guard.adopt(config)

    def reload(self, config: Config, payload: bytes, now_ns: int) -> None:
        """Go on under a changed configuration at this position of the journal; `reload.change_faults` was asked.

        Sessions go on, too. `payload` is that of the CONFIG record: `config_payload` of the same configuration.
        """
        self.commit()  # however long it is, it has a batch to itself
        self.tape.begin(now_ns)
        self.tape.record(Kind.CONFIG, payload)
        self._coming = planned(payload)
        self.take_configuration(config)
        gone = self.members.reload(config)
        self.guard.adopt(config)
        for member in gone:
            if member.link:
                self.log_out(member, "No longer a counterparty")
        for member in self.links.values():
            self._drain(member)

    def take_configuration(self, config: Config) -> None:
        """What `config` says of everything but sessions."""
        self.config = config
        self.tape.timestamp_digits = config.venue.timestamp_digits
        self.reset_at_ns = next_time_of_day(config.venue.reset_time_ns, self.venue_ns)
        moved = self.listings.adopt(config)
        self.breakers.adopt(config)
        self.phases.adopt(self._coming, moved)
        self.look()

    def admits(self, sender: bytes, target: bytes, address: str) -> Admission:
        """May a Logon of `sender` to `target` from `address` open a link? Changes nothing."""
        if target != self.config.venue.comp_id.encode():
            return Admission(None, "unknown TargetCompID(56)")
        return self.members.admission(sender, address)

    def open_link(self, hello: Hello, now_ns: int) -> int:
        """A connection whose Logon is about to be received; returns its link number. `admits` was asked."""
        name = hello.sender.encode("latin-1")
        counterparty = self.members.counterparty_for(name)
        assert counterparty is not None, "admits was asked"
        member = self.members.enter(name, counterparty)
        self.guard.came_back(member)
        self.tape.begin(now_ns)
        self.make_room()
        self.core["link"] += 1
        link = int(self.core["link"])
        payload = json.dumps({"event": "connected", **asdict(hello)}).encode()
        self.tape.record(Kind.LINK, payload, member.id, member.run, link=link)
        member.row["link"] = link
        self.links[link] = member
        self.outbox.open(link, member.id)
        member.session.connected(now_ns, hello.verdict)
        self._drain(member)
        return link

    def lose_link(self, link: int, reason: str, now_ns: int) -> None:
        """The transport of a link is gone."""
        member = self.links.get(link)
        if member is None:
            return
        self.tape.begin(now_ns)
        self.make_room()
        told = {"event": "lost", "sender": member.name.decode("latin-1"), "reason": reason[:REASON_CHARS_MAX]}
        payload = json.dumps(told).encode()
        self.tape.record(Kind.LINK, payload, member.id, member.run, link=link)
        self._unlink(link)

    def _unlink(self, link: int) -> None:
        member = self.links.pop(link)
        self._postponed.pop(link, None)
        member.session.receive_eof(self.tape.now_ns)
        self._drain(member)
        member.row["link"] = 0
        self.guard.left(member, self.venue_ns)
        self.status.forget(member.slot)
        if member.restarts_when_lost:
            member.restart(self.tape.now_ns)
        self.outbox.close(link)
        self.delivery.listeners.pop(link, None)

    # ---- frames

    def receive(self, link: int, buffer: bytearray, now_ns: int, work_max: int = NO_LIMIT) -> int:
        """Take the whole frames at the beginning of `buffer`; returns the bytes used up.

        `work_max` bounds what is done for this link now: each frame of the slow door counts, and each WORK_BYTES written
        because of it. `unfinished` tells whether frames were left for a later turn.
        """
        member = self.links.get(link)
        at, end = 0, len(buffer)
        self.unfinished, self.waits_until_ns = False, 0
        while at < end:
            if member is None or member.session.state is State.DISCONNECTED:
                return end
            if work_max <= 0 or link in self._postponed:
                self.unfinished = True
                break
            if member.row["fast"] and self.fast_door:
                self.tape.begin(now_ns)
                at = self._run_fast(member, np.frombuffer(buffer, np.uint8), at, end)
                if at == end:
                    break
            framing = find_frame(buffer, at, end, self.config.venue.max_message_size)
            if framing.kind == PARTIAL:
                break
            if self.gate.waits(member):
                self.waits_until_ns = now_ns + self.gate.missing_ns(member, self.venue_ns)
                break
            self.tape.begin(now_ns)
            self.make_room()
            before = self.tape.base + self.tape.used
            stretch = bytes(buffer[framing.start : framing.end])
            if framing.kind == FRAME:
                self._take_slowly(link, member, stretch)
            else:
                self.take_garbled(link, stretch)
            work_max -= 1 + (self.tape.base + self.tape.used - before) // WORK_BYTES
            at = framing.end
        return at

    def _run_fast(self, member: Member, octets: npt.NDArray[np.uint8], at: int, end: int) -> int:
        """Take the frames from `at` on that the fast door understands; returns where the first other one begins."""
        venue = self.config.venue
        tolerance_ns = int(venue.sending_time_tolerance_s * NS_PER_S)
        begun = at
        while True:
            at, why = run_frames(self.machine, member.slot, octets, at, end, venue.max_message_size, tolerance_ns)
            if why == LARGE:
                self.desk.finish(MORE)
            elif why == BREAK:
                self.look()
            elif why == FULL:
                self.make_room()
            else:
                break
        if at > begun:
            member.row["heard_ns"] = self.tape.now_ns
        return int(at)

    def go_on(self) -> None:
        """Let an order that was larger than a batch go on; the batch before is sealed."""
        self.desk.finish(MORE)

    def look(self) -> None:
        """Let the breakers look at what just happened, if they must, and the order go on that waits for them."""
        self.desk.finish(HELD if self.core["taker"] != NIL else DONE)

    def take_frame(self, link: int, frame: bytes) -> None:
        """One frame of a link, at the time of the turn."""
        member = self.links[link]
        if member.row["fast"] and self.fast_door:
            self._frame[: len(frame)] = np.frombuffer(frame, np.uint8)
            if self._run_fast(member, self._frame, 0, len(frame)) == len(frame):
                return
        self._take_slowly(link, member, frame)

    def _take_slowly(self, link: int, member: Member, frame: bytes) -> None:
        try:
            message = decode(frame, check=False)
        except GarbledMessage:
            self.take_garbled(link, frame)
            return
        if secrets.holds_any(message):
            frame = secrets.masked(frame, message)
            message = decode(frame, check=False)
        seq = message.get_int(tags.MSG_SEQ_NUM)
        position = self.tape.record(
            Kind.IN, frame, member.id, member.run, max(0, seq or 0), NIL, message.msg_type, link
        )
        member.row["heard_ns"] = self.tape.now_ns
        member.session.receive(message, position, self.tape.now_ns)
        self._drain(member)

    def take_garbled(self, link: int, stretch: bytes) -> None:
        """Bytes on a live session that are no message: kept in part, answered by nothing."""
        kept = secrets.masked_text(stretch[:GARBLED_KEPT])
        self.repeat_garbled(link, len(stretch).to_bytes(8, "little") + kept)

    def repeat_garbled(self, link: int, payload: bytes) -> None:
        """The GARBLED record itself: a length and the first bytes."""
        member = self.links[link]
        self.tape.record(Kind.GARBLED, payload, member.id, member.run, link=link)

    # ---- time

    @property
    def venue_ns(self) -> int:
        """Venue time, ns since 1970 UTC: what happened when, and what is due. Session time, unless an operator drives it."""
        return int(self.core["venue_ns"]) or self.tape.now_ns

    def next_appointment_ns(self) -> int:
        """Venue time at which the venue has something to do next, NEVER for never."""
        return min(self.agenda.next_ns(), self.reset_at_ns)

    def keep_appointments(self) -> None:
        """Do what is due by venue time."""
        venue_ns = self.venue_ns
        self.agenda.run(venue_ns)
        self.look()
        if venue_ns >= self.reset_at_ns:
            self.reset_at_ns = next_time_of_day(self.config.venue.reset_time_ns, venue_ns)
            self._reset_sessions()

    def drive(self, venue_ns: int) -> None:
        """It is `venue_ns` at the venue now, by an operator's clock; 0 gives the time back to the wall."""
        self.core["venue_ns"] = venue_ns
        self.tape.tell_venue_time()

    def next_deadline_ns(self) -> int:
        """When `tick` should be called next, ns of the wall."""
        if self._postponed:
            return self.tape.now_ns
        return min(self.deadlines.next_ns(), wall.shows_ns(self, self.next_appointment_ns()))

    def tick(self, now_ns: int) -> None:
        """A deadline may be due. Nothing is recorded when none is."""
        if now_ns < self.next_deadline_ns():
            return
        self.tape.begin(now_ns)
        self.tape.record(Kind.TICK, b"")
        self.keep_appointments()
        for member in self.deadlines.due(now_ns):
            self.make_room()
            if self.gate.waits(member):
                member.session.heard(now_ns)  # its silence is ours: we do not read what it says
            member.session.tick(now_ns)
            self._drain(member)
        for link, token in sorted(self._postponed.items()):
            del self._postponed[link]
            member = self.links[link]
            self._carry_out(member, FetchEarly(token))
            self._drain(member)

    def _reset_sessions(self) -> None:
        """The daily reset: every session restarts at 1, those that are connected after a Logout."""
        for member in list(self.members.by_name.values()):
            if member.link:
                member.restarts_when_lost = True
                if member.session.state is not State.DISCONNECTED:
                    self.log_out(member, "Sequence numbers are reset")
            else:
                member.restart(self.tape.now_ns)

    # ---- what a session asks for

    def _drain(self, member: Member) -> None:
        """Carry out the events of a session, and those that follow from them."""
        events = member.session.events()
        early = 0
        while events:
            for event in events:
                if type(event) is FetchEarly and (early := early + 1) > EARLY_AT_ONCE:
                    self._postponed[member.link] = event.token
                else:
                    self._carry_out(member, event)
            events = member.session.events()
        self.tune(member)
        if member.link:
            self.deadlines.note(member)

    def tune(self, member: Member) -> None:
        """May frames of a session take the fast door?"""
        member.row["fast"] = member.plain and member.session.state is State.ACTIVE and not self.guard.switches

    def _carry_out(self, member: Member, event: Event) -> None:
        match event:
            case Deliver():
                deliver(self, member, event)
            case Say():
                self.tape.say(member.slot, event.msg_type, event.route, event.body)
            case FetchEarly():
                self.make_room()
                frame = self.tape.frame(event.token) if event.token >= self.tape.base else self.fetch(event.token)
                member.session.receive(decode(frame, check=False), event.token, self.tape.now_ns)
            case Resend():
                payload = resend_payload(event.begin, event.end, int(self.core["floor"]))
                position = self.tape.record(
                    Kind.RESEND, payload, member.id, member.run, back=int(member.row["last_out"]), link=member.link
                )
                self.delivery.resends.append((member.slot, position))
            case SequenceReset(run_reset=True):
                member.row["run"] += 1
            case Disconnect():
                member.logged_out = event.logged_out
                self._closings.append((member.link, event.reason))

    # ---- operator

    def command(self, verb: str, arguments: dict[str, Any], who: str, now_ns: int, why: str = "") -> dict[str, Any]:
        """An operator's command: recorded with who asks for it and why, carried out, answered."""
        self.tape.begin(now_ns)
        self.make_room()
        asked = {"verb": verb, "arguments": arguments, "who": who, "why": why, "venue_ns": self.venue_ns}
        self.tape.record(Kind.OPERATOR, json.dumps(asked, sort_keys=True).encode())
        answer = carry_out(self, verb, arguments)
        if not answer["ok"]:
            self.note("refused", verb=verb, why=answer["error"])
        self.look()
        return answer

    def log_out(self, member: Member, text: str, *, put_out: bool = False) -> None:
        """Start a Logout of one session; `put_out`, and to its orders that is a lost connection."""
        self.make_room()
        member.put_out |= put_out and member.is_logged_on
        member.session.logout(text.encode() or None, self.tape.now_ns)
        self._drain(member)

    def shut_down(self, text: str, now_ns: int) -> None:
        """Logout to every session; the gateway goes on turning until they have answered."""
        self.command("shutdown", {"text": text}, "exchange", now_ns)

    # ---- out

    def make_room(self) -> None:
        """Seal the batch if it could not take another frame with its answers."""
        if not self.tape.has_room():
            self.begin_batch()

    def begin_batch(self) -> None:
        """Seal the batch, and begin the next at the same time."""
        self.commit()
        self.tape.begin(self.tape.now_ns)

    def commit(self) -> None:
        """Seal the batch; what it says may be sent now."""
        self.delivery.commit()

    def owe(self, slots: Sequence[int]) -> None:
        """Tell the outbox what the sealed batch says to these SESSION rows."""
        self.delivery.owe(slots)

    def listen(self, link: int, callback: Callable[[Sequence[memoryview]], int]) -> None:
        """Hand what is said on an in-process link to `callback` after each commit; it returns the bytes it took."""
        self.delivery.listeners[link] = callback

    def note(self, event: str, **facts: Any) -> None:
        """Write down what happened without being asked for, and may be asked about: an EVENT record."""
        self.make_room()
        self.tape.record(Kind.EVENT, json.dumps({"event": event, "venue_ns": self.venue_ns, **facts}, sort_keys=True).encode())

    def take_closings(self) -> list[tuple[int, str]]:
        """Links to close once what they are owed is out, with the reason; each is told once."""
        closings, self._closings = self._closings, []
        return closings
