"""OrderMassCancelRequest(q): a session cancels its own orders of one instrument, or all of them."""

from collections.abc import Callable

from fixsim.engine.machine import Machine
from fixsim.exchange import orders
from fixsim.exchange.answers import NONE, Body
from fixsim.exchange.listings import Listings
from fixsim.exchange.members import Member
from fixsim.exchange.tape import Tape
from fixsim.exchange.withdrawals import Which, open_orders, withdraw
from fixsim.fix import tags
from fixsim.fix.enums import MsgType
from fixsim.fix.message import Field, Message
from fixsim.limits import TEXT_BYTES_MAX

#: MassCancelRequestType(530).
SECURITY, ALL = b"1", b"7"
#: MassCancelRejectReason(532).
NOT_SUPPORTED, UNKNOWN_SECURITY, OTHER = b"0", b"1", b"99"

Refusal = tuple[bytes, str]


class MassCancel:
    """Answers q: OrderMassCancelReport(r) with the count, then a report 150=4 of each order."""

    def __init__(self, machine: Machine, tape: Tape, listings: Listings, make_room: Callable[[], None]) -> None:
        self.machine, self.tape, self.listings, self.make_room = machine, tape, listings, make_room

    def request(self, member: Member, message: Message) -> None:
        """Cancel what is meant. A repeated request finds nothing: it needs no look at PossResend(97)."""
        orders.required(message, tags.CL_ORD_ID)
        orders.required(message, tags.MASS_CANCEL_REQUEST_TYPE)
        found = self._refusal(message) or self._which(member, message)
        slots = open_orders(self.machine, found) if isinstance(found, Which) else []
        refusal = None if isinstance(found, Which) else found
        self.tape.say(
            member.slot, MsgType.ORDER_MASS_CANCEL_REPORT, orders.route_of(message), self._report(message, len(slots), refusal)
        )
        for slot in slots:
            self.make_room()
            withdraw(self.machine, slot, 0)

    def _refusal(self, message: Message) -> Refusal | None:
        if len(message.get(tags.CL_ORD_ID, b"")) > TEXT_BYTES_MAX:
            return OTHER, f"ClOrdID(11) is longer than {TEXT_BYTES_MAX} bytes"
        kind, side = message.get(tags.MASS_CANCEL_REQUEST_TYPE), message.get(tags.SIDE)
        if kind not in (SECURITY, ALL):
            return NOT_SUPPORTED, "Unsupported MassCancelRequestType(530)"
        if kind == SECURITY and self.listings.find(message.get(tags.SYMBOL, b"")) is None:
            return UNKNOWN_SECURITY, "Unknown Symbol(55)"
        return (OTHER, "Unsupported Side(54)") if side is not None and side not in orders.SIDES else None

    def _which(self, member: Member, message: Message) -> Which:
        listing = self.listings.find(message.get(tags.SYMBOL, b""))
        named = message.get(tags.MASS_CANCEL_REQUEST_TYPE) == SECURITY
        side = message.get(tags.SIDE)
        return Which(
            session=member.slot,
            book=listing.book if named and listing is not None else None,
            side=None if side is None else side[0],
        )

    def _report(self, message: Message, count: int, refusal: Refusal | None) -> Body:
        kind = message.get(tags.MASS_CANCEL_REQUEST_TYPE, b"")
        order_id = NONE
        if refusal is None:
            self.machine.core[0]["order_id"] += 1
            order_id = b"%d" % self.machine.core[0]["order_id"]
        body: list[Field] = [
            (tags.CL_ORD_ID, message.get(tags.CL_ORD_ID, b"")),
            (tags.ORDER_ID, order_id),
            (tags.MASS_CANCEL_REQUEST_TYPE, kind),
            (tags.MASS_CANCEL_RESPONSE, kind if refusal is None else b"0"),
        ]
        if refusal is not None:
            body.append((tags.MASS_CANCEL_REJECT_REASON, refusal[0]))
        body.append((tags.TOTAL_AFFECTED_ORDERS, b"%d" % count))
        body += [(tag, value) for tag in (tags.SYMBOL, tags.SIDE) if (value := message.get(tag))]
        body.append((tags.TRANSACT_TIME, self.tape.venue_stamp))
        if refusal is not None:
            body.append((tags.TEXT, refusal[1].encode()))
        return tuple(body)
