"""The house: a counterparty inside the process that keeps quotes in the books, so that a newcomer's first
market order fills.

It is an ordinary initiator on a link without a socket: what it says goes through the same door as everybody's
frames and is journaled as IN, what it hears is what was journaled as OUT and sealed. It never looks into the
exchange.

**Restart.** Its orders are GTC and rest in the recovered books. The session continues (141 absent), so
whatever the house missed comes by ResendRequest(2), and the reports tell which quotes still rest. Notes in
the data directory (`house.json`, written when nothing is on its way, at most once a second) keep that short:
they are an optimisation, without them everything since the beginning of the run is resent. A MsgSeqNum that
is too low is corrected from the Logout's text; if the session was restarted by an operator, the house begins
a run of its own and asks for the state of each quote it remembers by OrderStatusRequest(H).
"""

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from fixsim.client.core import Core, Echoed, Identity, Received
from fixsim.client.orders import status_request
from fixsim.client.store import MemoryStore
from fixsim.config import Config
from fixsim.config import House as HouseSettings
from fixsim.exchange.exchange import Exchange
from fixsim.exchange.payloads import IN_PROCESS, Hello
from fixsim.fix import tags
from fixsim.fix.message import Message
from fixsim.fix.tags import MsgType, OrdType, TimeInForce
from fixsim.gateway.log import LOGGER
from fixsim.gateway.quoter import Quoter, wishes
from fixsim.layout import NEVER
from fixsim.session.events import Disconnect, LoggedOn, PeerRejected
from fixsim.units import NS_PER_S, format_utc_timestamp

NOTES: Final = "house.json"
#: How long a place that was refused (a halted instrument) is left alone, and a refused Logon.
PATIENCE_NS: Final = 30 * NS_PER_S
#: Least time between two writings of the notes.
NOTES_INTERVAL_NS: Final = NS_PER_S
#: Attempts to log on in a row before the house waits.
LOGONS_MAX: Final = 4
EXPECTING: Final = re.compile(r"MsgSeqNum too low, expecting (\d+)")
CAUGHT_UP: Final = b"CAUGHT-UP"


class House:
    """The house on its link. The gateway calls `open`, then `act` after each commit, and `lose` when the link
    is closed.

    `directory` is where the notes lie; None keeps none.
    """

    def __init__(self, settings: HouseSettings, exchange: Exchange, directory: Path | None = None) -> None:
        self._exchange = exchange
        self._notes = None if directory is None else directory / NOTES
        self._comp_id, self._target = settings.comp_id, exchange.config.venue.comp_id
        self.quoter = Quoter(wishes(exchange.config))
        self._store = MemoryStore()
        identity = Identity(self._comp_id.encode(), self._target.encode(), heartbeat_s=0)
        self._core = Core(identity, self._store)
        #: Link number, 0 while there is none.
        self.link = 0
        self._inbox = bytearray()
        self._said_by_seq: dict[int, str] = {}
        self._logons = 0  # attempts since the last success
        self._in_step = False  # everything that was missed has come
        self._fresh_run = False  # the next Logon restarts the numbers
        self._dirty = False  # the notes are behind
        self._noted_ns = 0
        self._retry_ns = NEVER
        self._has_new_wishes = False
        self._over_ns = NEVER  # the conversation ended; the exchange closes the link, or we do
        self._recall()

    # ------------------------------------------------------------ what the gateway calls

    def adopt(self, config: Config) -> None:
        """Quote what a changed configuration says: what rests elsewhere is cancelled, the rest stays."""
        self.quoter.wish(wishes(config))
        self._has_new_wishes = True

    def open(self, now_ns: int) -> None:
        """Open the link and log on."""
        self._logons += 1
        self._retry_ns = NEVER
        admission = self._exchange.admits(self._comp_id.encode(), self._target.encode(), IN_PROCESS)
        if admission.counterparty is None:
            LOGGER.warning("the house cannot log on: %s", admission.refusal)
            self._retry_ns = now_ns + PATIENCE_NS
            return
        self.link = self._exchange.open_link(Hello(self._comp_id, self._target, IN_PROCESS), now_ns)
        self._exchange.listen(self.link, self._hear)
        self._core.connected(now_ns, reset=self._fresh_run)
        self._speak(now_ns)

    def next_deadline_ns(self) -> int:
        """When `act` has something to do: at once when something was said to the house."""
        if self._has_new_wishes or self._inbox or self._exchange.outbox.pending(self.link):
            return 0
        if self._over_ns != NEVER:
            return self._over_ns
        due = self._retry_ns
        if self.link:
            due = min(due, self._core.next_deadline_ns())
        return min(due, self._noted_ns + NOTES_INTERVAL_NS) if self._can_note() else due

    def act(self, now_ns: int) -> bool:
        """Hear what was said, and say what follows from it; True when the exchange has something to commit.
        """
        if now_ns < self.next_deadline_ns():
            return False
        if self._exchange.outbox.pending(self.link):  # a long resend comes in pieces
            self._exchange.outbox.send(self.link, self._hear)
        self._has_new_wishes = False
        heard, self._inbox = bytes(self._inbox), bytearray()
        self._core.receive(heard, now_ns)
        if self.link and now_ns >= self._core.next_deadline_ns():
            self._core.tick(now_ns)
        self._learn(now_ns)
        if now_ns >= self._over_ns:
            self.lose(now_ns, "the house hung up")
        elif self._over_ns == NEVER and now_ns >= self._retry_ns:
            self._retry(now_ns)
        if self._in_step:
            self._quote(now_ns)
        self._speak(now_ns)
        if self._can_note() and now_ns >= self._noted_ns + NOTES_INTERVAL_NS:
            self._note(now_ns)
        return self._exchange.tape.used > 0

    def lose(self, now_ns: int, reason: str) -> None:
        """The link is to be closed: what was said is out."""
        if not self.link:
            return
        link, self.link = self.link, 0
        self._exchange.lose_link(link, reason, now_ns)
        self._inbox.clear()
        self._core.receive_eof(now_ns)
        self._learn(now_ns)
        self._over_ns, self._in_step = NEVER, False
        if self._retry_ns == NEVER:
            self._retry_ns = now_ns + PATIENCE_NS

    # ------------------------------------------------------------ inside

    def _hear(self, views: Sequence[memoryview]) -> int:
        """Bytes of the exchange, given after a commit; they are read in the next turn."""
        before = len(self._inbox)
        for view in views:
            self._inbox += view
        return len(self._inbox) - before

    def _speak(self, now_ns: int) -> None:
        waiting = bytearray(self._core.take_bytes())
        if waiting and self.link:
            taken = self._exchange.receive(self.link, waiting, now_ns)
            assert taken == len(waiting), "the house speaks in whole frames"

    def _learn(self, now_ns: int) -> None:
        for item in self._core.take_news():
            match item:
                case Received():
                    self._take(item.message, now_ns)
                case PeerRejected():
                    self._misunderstood(item.message, now_ns)
                case LoggedOn():
                    self._logged_on(now_ns)
                case Echoed():
                    self._in_step = self._in_step or item.text == CAUGHT_UP
                case Disconnect():
                    self._hang_up(now_ns)
                case _:
                    pass

    def _take(self, message: Message, now_ns: int) -> None:
        self._dirty = True
        if message.msg_type == MsgType.EXECUTION_REPORT:
            self.quoter.learn(message)
        elif message.msg_type == MsgType.BUSINESS_MESSAGE_REJECT:
            self._misunderstood(message, now_ns)
        self._be_patient(now_ns)

    def _misunderstood(self, message: Message, now_ns: int) -> None:
        """A Reject(3) or j names one of our messages: its order will not be."""
        seq = message.get_int(tags.REF_SEQ_NUM) or 0
        LOGGER.warning("the house was refused: %s", message.get(tags.TEXT, b"").decode("latin-1"))
        self.quoter.give_up(self._said_by_seq.pop(seq, ""))
        self._be_patient(now_ns)

    def _be_patient(self, now_ns: int) -> None:
        """Where orders are refused (a halted instrument) ask again, but later."""
        if self.quoter.refused and self._retry_ns == NEVER:
            self._retry_ns = now_ns + PATIENCE_NS

    def _logged_on(self, now_ns: int) -> None:
        """Ask for the end of what was missed; in a fresh run also for what cannot be resent."""
        self._logons = 0
        self._retry_ns = NEVER
        if self._fresh_run:
            self._fresh_run = False
            for cl_ord_id, quote in self.quoter.quotes.items():
                place = quote.place
                body = status_request(cl_ord_id, place.symbol.encode(), place.side.encode())
                self._core.say(MsgType.ORDER_STATUS_REQUEST, body, now_ns)
        self._core.ping(CAUGHT_UP, now_ns)

    def _hang_up(self, now_ns: int) -> None:
        """The conversation is over. If it never began: on with the right number, or in a run of our own."""
        self._speak(now_ns)  # the answer to a Logout
        if self._can_note():
            self._note(now_ns)
        was_logged_on, self._in_step = self._in_step, False
        self._over_ns = now_ns + NS_PER_S
        expecting = EXPECTING.match(self._core.farewell or "")
        if was_logged_on or self._logons >= LOGONS_MAX:
            self._retry_ns = now_ns + PATIENCE_NS
            return
        if expecting is not None:
            self._store.next_out = int(expecting[1])
        else:
            self._fresh_run = True
        self._retry_ns = now_ns

    def _retry(self, now_ns: int) -> None:
        """Log on again, or ask again where orders were refused."""
        self._retry_ns = NEVER
        if self.link:
            self.quoter.try_again()
            return
        if self._logons >= LOGONS_MAX:
            self._logons = 0
        self.open(now_ns)

    def _quote(self, now_ns: int) -> None:
        """Cancel what strayed, then send what is missing: the house does not meet itself."""
        stamp = format_utc_timestamp(now_ns, 3)
        for orig, quote in self.quoter.strays():
            body = [
                (tags.ORIG_CL_ORD_ID, orig.encode()),
                (tags.CL_ORD_ID, self.quoter.next_id().encode()),
                (tags.SYMBOL, quote.place.symbol.encode()),
                (tags.SIDE, quote.place.side.encode()),
                (tags.TRANSACT_TIME, stamp),
                (tags.ORDER_QTY, quote.leaves.encode()),
            ]
            self._core.say(MsgType.ORDER_CANCEL_REQUEST, body, now_ns)
        for place, qty in self.quoter.missing():
            cl_ord_id = self.quoter.next_id()
            self.quoter.sent(cl_ord_id, place)
            body = [
                (tags.CL_ORD_ID, cl_ord_id.encode()),
                (tags.SYMBOL, place.symbol.encode()),
                (tags.SIDE, place.side.encode()),
                (tags.TRANSACT_TIME, stamp),
                (tags.ORDER_QTY, qty.encode()),
                (tags.ORD_TYPE, OrdType.LIMIT),
                (tags.PRICE, place.price.encode()),
                (tags.TIME_IN_FORCE, TimeInForce.GOOD_TILL_CANCEL),
            ]
            self._said_by_seq[self._core.say(MsgType.NEW_ORDER_SINGLE, body, now_ns)] = cl_ord_id

    # ------------------------------------------------------------ notes

    def _can_note(self) -> bool:
        """The notes are behind, and nothing is on its way: they hold only what the exchange has confirmed."""
        return self._dirty and self._in_step and not self._inbox and not self.quoter.waits()

    def _note(self, now_ns: int) -> None:
        self._dirty, self._noted_ns = False, now_ns
        self._said_by_seq.clear()
        self._store.restart()  # the exchange has taken all of it and will not ask for it again
        if self._notes is None:
            return
        numbers = {"next_in": self._store.next_in, "next_out": self._store.next_out}
        written = self._notes.with_suffix(".new")
        try:
            written.write_text(json.dumps(self.quoter.notes() | numbers))
            os.replace(written, self._notes)
        except OSError as error:
            LOGGER.warning("the notes of the house are not kept: %s", error)

    def _recall(self) -> None:
        if self._notes is None:
            return
        try:
            notes = json.loads(self._notes.read_text())
            self.quoter.recall(notes)
            self._store.next_in, self._store.next_out = int(notes["next_in"]), int(notes["next_out"])
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError) as error:
            LOGGER.warning("the notes of the house cannot be read, it starts without: %s", error)
