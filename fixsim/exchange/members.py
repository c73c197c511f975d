"""Counterparties and their sessions: who is known, who is connected, and the SESSION row that outlives the process."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from fixsim.config import Config, Counterparty, Permissions
from fixsim.engine.machine import Machine
from fixsim.exchange.payloads import IN_PROCESS, Admission
from fixsim.fix.dictionary import Dictionary
from fixsim.fix.validate import validator
from fixsim.layout import NEVER, NIL
from fixsim.limits import COMP_ID_BYTES_MAX, FRAME_BYTES_MAX
from fixsim.session import Session, SessionProfile, State

#: Permissions that refuse nothing.
EVERYTHING: Final = Permissions()


class RowCounters:
    """The sequence numbers of one session: its SESSION row owns them (`session.Counters`)."""

    __slots__ = ("row",)

    def __init__(self, row: np.void) -> None:
        self.row: Any = row

    @property
    def next_in(self) -> int:
        return int(self.row["next_in"])

    @next_in.setter
    def next_in(self, value: int) -> None:
        self.row["next_in"] = value

    @property
    def next_out(self) -> int:
        return int(self.row["next_out"])

    @next_out.setter
    def next_out(self, value: int) -> None:
        self.row["next_out"] = value


class Member:
    """One counterparty's session: its configuration, its row, its conversation."""

    def __init__(self, slot: int, name: bytes, counterparty: Counterparty, row: np.void, session: Session) -> None:
        self.slot = slot
        self.name = name
        self.counterparty = counterparty
        self.row: Any = row
        self.session = session
        #: The daily reset found it connected: it restarts at 1 once the connection is gone.
        self.restarts_when_lost = False
        #: Its connection, which still is, has ended by a Logout that was answered.
        self.logged_out = False
        #: That Logout was ours, and against its will: it has not left in good order.
        self.put_out = False
        #: Deadline under which the exchange has noted it, ns.
        self.noted_ns = NEVER

    @property
    def plain(self) -> bool:
        """May it enter anything that is offered? Then its frames need no closer look."""
        return self.counterparty.permissions == EVERYTHING

    @property
    def id(self) -> int:
        """Session id in the journal."""
        return int(self.row["id"])

    @property
    def run(self) -> int:
        """Sequence resets so far."""
        return int(self.row["run"])

    @property
    def link(self) -> int:
        """Connection number, 0 when offline."""
        return int(self.row["link"])

    def catch_up(self) -> None:
        """Tell the conversation when the fast door heard the peer, and when a batch told it something."""
        self.session.heard(int(self.row["heard_ns"]))
        self.session.sent(int(self.row["said_ns"]))

    def next_deadline_ns(self) -> int:
        """When its conversation has something to do, ns."""
        self.catch_up()
        return self.session.next_deadline_ns()

    def restart(self, now_ns: int) -> None:
        """Both sequence numbers restart at 1 while nobody is connected: a new run."""
        self.row["next_in"], self.row["next_out"] = 1, 1
        self.row["run"] += 1
        self.restarts_when_lost = False
        self.session.renumbered(now_ns)

    @property
    def is_logged_on(self) -> bool:
        """May it be told something now?"""
        return self.session.state in (State.ACTIVE, State.AWAITING_RESEND)

    @property
    def is_connected(self) -> bool:
        """Does a connection belong to it?"""
        return self.link != 0 and self.session.state is not State.DISCONNECTED


class Members:
    """All sessions, by the SenderCompID(49) of the counterparty."""

    def __init__(self, config: Config, machine: Machine, dictionary: Dictionary) -> None:
        self.config = config
        self.machine = machine
        self.dictionary = dictionary
        self.by_name: dict[bytes, Member] = {}
        self.by_slot: dict[int, Member] = {}
        #: May the row of an idle session become another's? And its name becomes the other's.
        self.may_forget: Callable[[Member], bool] = lambda member: True
        self.renamed: Callable[[bytes, bytes], None] = lambda before, after: None

    def find(self, name: bytes) -> Member | None:
        """The session of this counterparty, if there is one already."""
        return self.by_name.get(name)

    def counterparty_for(self, name: bytes) -> Counterparty | None:
        """The configuration entry by which `name` may log on."""
        house = self.config.house
        if house is not None and name == house.comp_id.encode():
            return Counterparty(sender_comp_id=house.comp_id)
        try:
            return self.config.counterparty_for(name.decode("ascii"))
        except UnicodeDecodeError:
            return None

    def admission(self, sender: bytes, address: str) -> Admission:
        """May a Logon of `sender` from `address` open a link? Changes nothing."""
        counterparty = self.counterparty_for(sender)
        if counterparty is None:
            return Admission(None, "unknown SenderCompID(49)")
        house = self.config.house
        if house is not None and sender == house.comp_id.encode() and address != IN_PROCESS:
            return Admission(None, "the house connects from inside only")
        if not counterparty.allows_address(address) and address != IN_PROCESS:
            return Admission(None, "address is not allowed")
        member = self.find(sender)
        if member is not None and member.link != 0:
            return Admission(None, "already connected")
        if not self.has_room(sender):
            return Admission(None, "no room for another session")
        return Admission(counterparty)

    def has_room(self, name: bytes) -> bool:
        """Is there a row for `name`: its own, a fresh one, or one whose owner is idle?"""
        if len(name) > COMP_ID_BYTES_MAX:
            return False
        return name in self.by_name or len(self.by_slot) < len(self.machine.sessions) or self._idle() is not None

    def enter(self, name: bytes, counterparty: Counterparty) -> Member:
        """The session of `name`, created if it is new; the caller made sure of room."""
        known = self.by_name.get(name)
        if known is not None:
            return known
        if len(self.by_slot) < len(self.machine.sessions):
            slot = len(self.by_slot)
        else:
            idle = self._idle()
            assert idle is not None, "has_room was asked"
            slot = idle.slot
            del self.by_name[idle.name]
            self.renamed(idle.name, name)
        core = self.machine.core[0]
        core["sessions_id"] += 1
        row = self.machine.sessions[slot]
        row["id"], row["run"], row["next_in"], row["next_out"], row["last_out"] = core["sessions_id"], 0, 1, 1, NIL
        row["echo"], row["fast"], row["heard_ns"], row["said_ns"] = NIL, 0, 0, 0
        return self.enter_at(slot, name, counterparty)

    def enter_at(self, slot: int, name: bytes, counterparty: Counterparty) -> Member:
        """The session of `name` in SESSION row `slot`, which says already where it stands."""
        row = self.machine.sessions[slot]
        member = Member(slot, name, counterparty, row, self._session(name, counterparty, row))
        self.by_name[name] = self.by_slot[slot] = member
        return member

    def adopt(self, config: Config) -> None:
        """Take a changed configuration for the sessions that are known; nobody is connected."""
        self.config = config
        for member in self.by_name.values():
            counterparty = self.counterparty_for(member.name) or member.counterparty
            member.counterparty = counterparty
            member.session = self._session(member.name, counterparty, member.row)

    def reload(self, config: Config) -> list[Member]:
        """Take a changed configuration while sessions live; those that may not log on any more."""
        self.config = config
        gone = []
        for member in self.by_name.values():
            counterparty = self.counterparty_for(member.name)
            if counterparty is None:
                gone.append(member)
                continue
            member.counterparty = counterparty
            member.row["tells_processed"] = counterparty.last_msg_seq_num_processed
            member.session.adopt(
                self._profile(member.name, counterparty), validator(self.dictionary, counterparty.strictness)
            )
        return gone

    def _idle(self) -> Member | None:
        """The idle session of a pattern that has slept longest by id: offline, nothing open, nothing remembered."""
        for member in sorted(self.by_slot.values(), key=lambda one: one.id):
            row = member.row
            idle = row["link"] == 0 and row["open_orders"] == 0 and row["retired"] == 0
            if member.counterparty.is_pattern and idle and self.may_forget(member):
                return member
        return None

    def _profile(self, name: bytes, counterparty: Counterparty) -> SessionProfile:
        venue = self.config.venue
        return SessionProfile(
            sender_comp_id=venue.comp_id.encode(),
            target_comp_id=name,
            strictness=counterparty.strictness,
            reset_on_logon=counterparty.reset_on_logon,
            announce_reset=counterparty.announce_reset,
            heartbeat_min_s=counterparty.heartbeat_min_s,
            heartbeat_max_s=counterparty.heartbeat_max_s,
            sending_time_tolerance_s=venue.sending_time_tolerance_s,
            last_msg_seq_num_processed=counterparty.last_msg_seq_num_processed,
            # announced where the venue chose a limit of its own
            max_message_size=venue.max_message_size if venue.max_message_size < FRAME_BYTES_MAX else 0,
            logon_timeout_s=venue.logon_timeout_s,
            logout_timeout_s=venue.logout_timeout_s,
            early_messages_max=counterparty.early_messages_max,
            test_request_after=venue.test_request_after,
            disconnect_after=venue.disconnect_after,
        )

    def _session(self, name: bytes, counterparty: Counterparty, row: np.void) -> Session:
        venue, profile = self.config.venue, self._profile(name, counterparty)
        comp_ids = b"49=%s\x0156=%s\x01" % (venue.comp_id.encode(), name)
        record: Any = row
        record["comp_ids_length"] = len(comp_ids)
        record["comp_ids"][: len(comp_ids)] = np.frombuffer(comp_ids, np.uint8)
        record["venue_length"] = len(venue.comp_id)
        record["tells_processed"] = counterparty.last_msg_seq_num_processed
        return Session(profile, RowCounters(row), validator(self.dictionary, counterparty.strictness), "acceptor")
