"""The order desk: D, F, G and H through the slow door. Looks first, then lets the kernels touch the book."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from fixsim.engine import book as engine_book
from fixsim.engine import memory as engine_memory
from fixsim.engine.echo import place_of_account
from fixsim.engine.index import find_name, name_rows
from fixsim.engine.machine import Machine
from fixsim.errors import BusinessRejection
from fixsim.exchange import entry, orders
from fixsim.exchange.answers import CancelRejection, OrderView, cancel_rejected, order_rejected, status_report
from fixsim.exchange.echoes import Echoes
from fixsim.exchange.gate import MESSAGE_RATE, Gate
from fixsim.exchange.goodtill import GoodTill
from fixsim.exchange.listings import Listings
from fixsim.exchange.members import Member
from fixsim.exchange.orders import required
from fixsim.exchange.phases import Phases
from fixsim.exchange.tape import Tape
from fixsim.fix import tags
from fixsim.fix.enums import BusinessRejectReason, CxlRejReason, MsgType, OrdRejReason, TimeInForce
from fixsim.fix.message import Message
from fixsim.layout import NIL
from fixsim.limits import TEXT_BYTES_MAX

OPEN: Final = frozenset({ord("0"), ord("1"), ord("9")})
CAPACITY: Final = "Exchange capacity reached"
#: What a G may repeat but not change.
CHANGELESS: Final = {
    tags.EXEC_INST: "ExecInst(18)", tags.EXPIRE_DATE: "ExpireDate(432)", tags.EXPIRE_TIME: "ExpireTime(126)",
}  # fmt: skip


class Desk:
    """Answers order messages of any session against the books of one machine."""

    def __init__(
        self, machine: Machine, tape: Tape, listings: Listings, phases: Phases, good_till: GoodTill, gate: Gate,
        commit: Callable[[], None],
    ) -> None:
        self.machine = machine
        self.phases = phases
        self.good_till = good_till
        self.tape = tape
        self.listings = listings
        self.commit = commit
        self.gate = gate
        self.echoes = Echoes(machine)
        self.echoes.account_owner = gate.risk.account_owner
        self.core: Any = machine.core[0]
        #: Lets the breakers decide when the kernels have stopped; theirs when the venue is made.
        self.look: Callable[[], int] = lambda: engine_book.DONE

    # ---- finding

    def find(self, member: Member, cl_ord_id: bytes) -> int:
        """NAME row of a ClOrdID of this session, NIL for none."""
        if not cl_ord_id or len(cl_ord_id) > TEXT_BYTES_MAX:
            return NIL
        return int(find_name(self.machine, member.slot, _text(cl_ord_id), 0, len(cl_ord_id)))

    def view(self, slot: int) -> OrderView:
        """The order in ORDER row `slot`."""
        return OrderView.of(self.machine, slot)

    def _seen(self, member: Member, message: Message, poss_resend: bool) -> bool:
        """A PossResend(97) of something seen: say its state once (FIX 4.4 volume 4, F.1.b)."""
        if not poss_resend:
            return False
        name = self.find(member, message.get(tags.CL_ORD_ID, b""))
        if name == NIL:
            return False
        view = self.view(int(self.machine.names[name]["order"]))
        body = status_report(view, None, self.tape.venue_stamp)
        self.tape.say(member.slot, MsgType.EXECUTION_REPORT, orders.route_of(message), body)
        return True

    def _has_room(self, member: Member, length: int) -> bool:
        """Are there rows for one more id? As many own ids that wait to be forgotten make way as it takes, if that is enough."""
        names, core = self.machine.names, self.core
        missing = int(core["names_used"]) + int(name_rows(length)) - len(names)
        name, ids = int(member.row["oldest"]), 0
        while missing > 0 and name != NIL:
            missing -= int(name_rows(int(names[name]["length"])))
            name, ids = int(names[name]["newer"]), ids + 1
        if missing > 0:
            return False
        for _ in range(ids):
            engine_memory.forget_oldest(self.machine, member.slot)
        return True

    # ---- NewOrderSingle(D)

    def new_order_single(self, member: Member, message: Message, poss_resend: bool) -> None:
        """Accept or refuse a new order."""
        cl_ord_id = required(message, tags.CL_ORD_ID)
        if self._seen(member, message, poss_resend):
            return
        route = orders.route_of(message)
        fault = self._order_fault(member, message, cl_ord_id, route)
        if isinstance(fault, orders.Fault):
            self._refuse_order(member, message, route, fault)
            return
        listing, lots, price, good_for = fault
        if listing.symbol not in self.listings.by_symbol:
            self.listings.create(listing)
            self.phases.begin(listing)
        self.gate.keep(listing)
        terms = entry.terms_of(message)
        echo = self.echoes.row(route, message.get(tags.ACCOUNT), terms)
        if echo != NIL and not route and not terms:
            member.row["echo"] = echo
            self.machine.echo_places[place_of_account(message.get(tags.ACCOUNT, b""))] = echo + 1
        more = engine_book.enter(
            self.machine, member.slot, listing.book, message.get(tags.SIDE, b"")[0], message.get(tags.ORD_TYPE, b"")[0],
            message.get(tags.TIME_IN_FORCE, TimeInForce.DAY)[0], price, lots, echo,
            _text(cl_ord_id), 0, len(cl_ord_id),
        )  # fmt: skip
        if terms:
            self._note(self.find(member, cl_ord_id), entry.instructions(message), good_for)
        self.finish(more)
        self.phases.entered(listing.book)

    def _note(self, name: int, inst: int, good_for: entry.Lifetime) -> None:
        """What an order asks for beside its terms, if it is still open."""
        if name == NIL:
            return
        slot = int(self.machine.names[name]["order"])
        row = self.machine.orders[slot]
        row["inst"], row["until"] = inst, good_for.day
        if good_for.ns and int(row["status"]) in OPEN:
            self.good_till.add(good_for.ns, slot)

    def _order_fault(self, member: Member, message: Message, cl_ord_id: bytes, route: Any) -> Any:
        """The first fault of a new order, or (listing, lots, price, lifetime)."""
        fault = orders.text_fault(cl_ord_id, message.get(tags.ACCOUNT), route)
        if fault is not None:
            return fault
        symbol = message.get(tags.SYMBOL, b"")
        listing = self.listings.find_or_possible(symbol)
        if listing is None:
            return orders.Fault(OrdRejReason.UNKNOWN_SYMBOL, "Unknown Symbol(55)")
        phase = self.phases.phase_of(listing)
        fault = entry.shut_fault(phase) or orders.offer_fault(message)
        fault = fault or entry.phase_fault(phase, message.get(tags.TIME_IN_FORCE, TimeInForce.DAY))
        if fault is not None:
            return fault
        good_for = entry.lifetime(message, self.phases.venue_ns(), self.phases.day_of(listing))
        if isinstance(good_for, orders.Fault):
            return good_for
        if message.get(tags.SIDE) not in orders.SIDES:
            return orders.Fault(OrdRejReason.UNSUPPORTED_ORDER_CHARACTERISTIC, "Unsupported Side(54)")
        fault = orders.permission_fault(message, symbol, member.counterparty)
        if fault is not None:
            return fault
        fault = self.gate.standing_fault(member, message, symbol, message.get(tags.ACCOUNT))
        if fault is not None:
            return fault
        if self.find(member, cl_ord_id) != NIL:
            return orders.Fault(OrdRejReason.DUPLICATE_ORDER, "Duplicate ClOrdID(11)")
        lots = orders.quantity(message, listing)
        if isinstance(lots, orders.Fault):
            return lots
        price = orders.price(message, listing)
        if isinstance(price, orders.Fault):
            return price
        fault = self.gate.order_fault(member, message, listing, lots, price)
        if fault is not None:
            return fault
        account, terms = message.get(tags.ACCOUNT), entry.terms_of(message)
        room = engine_book.has_order_room(self.machine) and self.echoes.has_room(route, account, terms)
        if not room or not self._has_room(member, len(cl_ord_id)):
            self.gate.drop()
            return orders.Fault(OrdRejReason.ORDER_EXCEEDS_LIMIT, CAPACITY)
        return listing, lots, price, good_for

    def _refuse_order(self, member: Member, message: Message, route: Any, fault: orders.Fault) -> None:
        owner = None
        if fault.reason == OrdRejReason.DUPLICATE_ORDER:
            name = self.find(member, message.get(tags.CL_ORD_ID, b""))
            row = self.machine.names[name]
            order = int(row["order"])
            if name != NIL and not row["request"] and int(self.machine.orders[order]["status"]) in OPEN:
                owner = self.view(order)
        self.core["exec_id"] += 1
        body = order_rejected(message, fault, owner, int(self.core["exec_id"]), self.tape.venue_stamp)
        self.tape.say(member.slot, MsgType.EXECUTION_REPORT, route, body)

    def refuse_for_rate(self, member: Member, message: Message) -> None:
        """The session has said more than it may: the message is refused in the way of its kind, unread."""
        route = orders.route_of(message)
        if message.msg_type == MsgType.NEW_ORDER_SINGLE:
            required(message, tags.CL_ORD_ID)
            self._refuse_order(member, message, route, orders.Fault(MESSAGE_RATE.reason, MESSAGE_RATE.text))
        elif message.msg_type in (MsgType.ORDER_CANCEL_REQUEST, MsgType.ORDER_CANCEL_REPLACE_REQUEST):
            required(message, tags.CL_ORD_ID)
            slot = self._order_of_request(member, message, required(message, tags.ORIG_CL_ORD_ID))
            reason = CxlRejReason.UNKNOWN_ORDER if slot == NIL else CxlRejReason.BROKER_EXCHANGE_OPTION
            to = b"1" if message.msg_type == MsgType.ORDER_CANCEL_REQUEST else b"2"
            self._refuse_request(member, message, route, slot, CancelRejection(reason, MESSAGE_RATE.text), to)
        else:
            raise BusinessRejection(BusinessRejectReason.OTHER, MESSAGE_RATE.text)

    # ---- OrderCancelRequest(F) and OrderCancelReplaceRequest(G)

    def order_cancel_request(self, member: Member, message: Message, poss_resend: bool) -> None:
        """Cancel what is left of an order, or refuse."""
        cl_ord_id = required(message, tags.CL_ORD_ID)
        orig = required(message, tags.ORIG_CL_ORD_ID)
        if self._seen(member, message, poss_resend):
            return
        slot, rejection = self._request_fault(member, message, cl_ord_id, orig)
        route = orders.route_of(message)
        if rejection is None and not self._room_for_request(member, cl_ord_id, route):
            rejection = CancelRejection(CxlRejReason.BROKER_EXCHANGE_OPTION, CAPACITY)
        if rejection is not None:
            self._refuse_request(member, message, route, slot, rejection, b"1")
            return
        engine_book.cancel(self.machine, slot, self.echoes.row(route, None), _text(cl_ord_id), 0, len(cl_ord_id))
        self.finish(engine_book.DONE)

    def order_cancel_replace_request(self, member: Member, message: Message, poss_resend: bool) -> None:
        """Change quantity or price of an order, or refuse."""
        cl_ord_id = required(message, tags.CL_ORD_ID)
        orig = required(message, tags.ORIG_CL_ORD_ID)
        if self._seen(member, message, poss_resend):
            return
        slot, rejection = self._request_fault(member, message, cl_ord_id, orig)
        lots = price = 0
        route = orders.route_of(message)
        if rejection is None:
            terms = self._terms(slot, message)
            if isinstance(terms, CancelRejection):
                rejection = terms
            else:
                lots, price = terms
                rejection = self.gate.replace_fault(member, message, slot, price, lots)
            if rejection is None:
                room = engine_book.has_level_room(self.machine)
                if not room or not self._room_for_request(member, cl_ord_id, route):
                    rejection = CancelRejection(CxlRejReason.BROKER_EXCHANGE_OPTION, CAPACITY)
        if rejection is not None:
            self._refuse_request(member, message, route, slot, rejection, b"2")
            return
        more = engine_book.replace(
            self.machine, slot, price, lots, self.echoes.row(route, None), _text(cl_ord_id), 0, len(cl_ord_id)
        )
        self.finish(more)
        self.phases.entered(int(self.machine.orders[slot]["book"]))

    def _room_for_request(self, member: Member, cl_ord_id: bytes, route: Any) -> bool:
        return self.echoes.has_room(route, None) and self._has_room(member, len(cl_ord_id))

    def _request_fault(
        self, member: Member, message: Message, cl_ord_id: bytes, orig: bytes
    ) -> tuple[int, CancelRejection | None]:
        """ORDER row a request is about (NIL when unknown) and what F and G have in common to refuse."""
        slot = self._order_of_request(member, message, orig)
        if slot == NIL:
            return NIL, CancelRejection(CxlRejReason.UNKNOWN_ORDER, "Unknown order")
        if int(self.machine.orders[slot]["status"]) not in OPEN:
            return slot, CancelRejection(CxlRejReason.TOO_LATE_TO_CANCEL, "Too late to cancel")
        fault = orders.text_fault(cl_ord_id, None, orders.route_of(message))
        if fault is not None:
            return slot, CancelRejection(CxlRejReason.OTHER, fault.text)
        if self.find(member, cl_ord_id) != NIL:
            return slot, CancelRejection(CxlRejReason.DUPLICATE_CL_ORD_ID, "Duplicate ClOrdID(11)")
        return slot, None

    def _order_of_request(self, member: Member, message: Message, orig: bytes) -> int:
        name = self.find(member, orig)
        if name == NIL:
            return NIL
        slot = int(self.machine.names[name]["order"])
        row = self.machine.orders[slot]
        book = self.machine.books[int(row["book"])]
        symbol = book["symbol"][: book["symbol_length"]].tobytes()
        same = symbol == message.get(tags.SYMBOL) and bytes([int(row["side"])]) == message.get(tags.SIDE)
        return slot if same and int(row["name"]) == name else NIL

    def _terms(self, slot: int, message: Message) -> tuple[int, int] | CancelRejection:
        """New quantity in lots and price in ticks of a G, or why not."""
        row = self.machine.orders[slot]
        book = self.machine.books[int(row["book"])]
        fault = entry.SHUT.get(int(book["phase"]))
        if fault is not None:
            pass
        elif message.get(tags.ORD_TYPE) != bytes([int(row["ord_type"])]):
            fault = "OrdType(40) differs from the order's"
        elif message.get(tags.TIME_IN_FORCE) not in (None, bytes([int(row["tif"])])):
            fault = "TimeInForce(59) differs from the order's"
        else:
            asked = orders.tag_fault(message, bytes([int(row["tif"])]))
            fault = self._changed_term(slot, message) if asked is None else asked.text
        if fault is not None:
            return CancelRejection(CxlRejReason.BROKER_EXCHANGE_OPTION, fault)
        listing = self.listings.by_symbol[message.get(tags.SYMBOL, b"")]
        lots = orders.quantity(message, listing)
        if isinstance(lots, orders.Fault):
            return CancelRejection(CxlRejReason.BROKER_EXCHANGE_OPTION, lots.text)
        price = orders.price(message, listing)
        if isinstance(price, orders.Fault):
            return CancelRejection(CxlRejReason.BROKER_EXCHANGE_OPTION, price.text)
        return lots, price

    def _changed_term(self, slot: int, message: Message) -> str | None:
        """A G may repeat ExecInst(18), ExpireDate(432) and ExpireTime(126), not change them."""
        given = {tag: message.get(tag) for tag in (tags.EXPIRE_DATE, tags.EXPIRE_TIME)}
        given[tags.EXEC_INST] = entry.terms_of(message).get(tags.EXEC_INST)
        own = dict(self.view(slot).terms)
        for tag, name in CHANGELESS.items():
            if given[tag] is not None and given[tag] != own.get(tag):
                return f"{name} differs from the order's"
        return None

    def _refuse_request(
        self, member: Member, message: Message, route: Any, slot: int, rejection: CancelRejection, to: bytes
    ) -> None:
        view = None if slot == NIL else self.view(slot)
        body = cancel_rejected(message, rejection, view, to, self.tape.venue_stamp)
        self.tape.say(member.slot, MsgType.ORDER_CANCEL_REJECT, route, body)

    # ---- OrderStatusRequest(H)

    def order_status_request(self, member: Member, message: Message) -> None:
        """Say the state of an order, by any id it ever had."""
        cl_ord_id = required(message, tags.CL_ORD_ID)
        name = self.find(member, cl_ord_id)
        view = None if name == NIL else self.view(int(self.machine.names[name]["order"]))
        order_id = message.get(tags.ORDER_ID)
        if view is not None and order_id is not None and order_id != b"%d" % view.order_id:
            view = None
        if view is None:
            fault = orders.Fault(OrdRejReason.UNKNOWN_ORDER, "Unknown order")
            body = order_rejected(message, fault, None, None, self.tape.venue_stamp)
        else:
            body = status_report(view, message.get(tags.ORD_STATUS_REQ_ID), self.tape.venue_stamp)
        self.tape.say(member.slot, MsgType.EXECUTION_REPORT, orders.route_of(message), body)

    # ---- the day

    def new_day(self, day: int) -> None:
        """The trading day turned: Day orders of earlier dates expire, retired ids may be used again."""
        self.phases.auctions.turn_day(day)
        self.good_till.tidy()
        for session in range(len(self.machine.sessions)):
            if self.machine.sessions[session]["retired"]:
                engine_memory.forget_all(self.machine, session)

    def finish(self, more: int) -> None:
        """Let an order that is larger than a batch go on in the next ones, and breakers look at what it did."""
        while more != engine_book.DONE or self.core["alarm"]:
            if more == engine_book.MORE:
                self.commit()
                self.tape.begin(self.tape.now_ns)
                more = engine_book.resume(self.machine)
            else:
                more = self.look()


def _text(value: bytes) -> Any:
    """A text as the kernels take it: an array of the one kind they are compiled for, which may be read by whole words."""
    return np.frombuffer(bytearray(value + bytes(8)), np.uint8)[: len(value)]
