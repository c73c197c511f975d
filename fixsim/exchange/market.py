"""What clients ask before they trade: SecurityListRequest(x) and MarketDataRequest(V), answered from the books as they are."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from fixsim.engine.ladder import ladder_first_from, price_key
from fixsim.engine.machine import Machine
from fixsim.exchange import orders
from fixsim.exchange.listings import Listing, Listings
from fixsim.exchange.members import Member
from fixsim.exchange.orders import required
from fixsim.exchange.tape import Tape
from fixsim.fix import tags
from fixsim.fix.enums import MsgType
from fixsim.fix.message import Field, Message
from fixsim.layout import NIL
from fixsim.units import format_decimal

#: Most entries of one side in a snapshot.
DEPTH_MAX: Final = 1_000
#: Instruments in one SecurityList(y).
FRAGMENT: Final = 500
BID, OFFER, TRADE = b"0", b"1", b"2"
ENTRY_TYPES: Final = frozenset({BID, OFFER, TRADE})


@dataclass(frozen=True)
class Level:
    """One price of one side: `price` in ticks, `lots` and number of `orders`, and the ORDER row of its oldest order.

    Market orders, which rest in calls, have a level in front of all others; its price means nothing.
    """

    price: int
    lots: int
    orders: int
    head: int
    is_market: bool = False


def levels(machine: Machine, book: int, side: int) -> Iterator[Level]:
    """Levels of one side of a book, best first; `side` 0 for bids, 1 for asks."""
    row = 2 * book + side
    level = int(machine.sides[row]["best"])
    while level != NIL:
        found: Any = machine.levels[level]
        key = int(price_key(row, int(found["price"])))
        yield Level(int(found["price"]), int(found["lots"]), int(found["count"]), int(found["head"]), key == 0)
        level = int(ladder_first_from(machine, row, key + 1))


def limits(machine: Machine, book: int, side: int) -> Iterator[Level]:
    """The same without market orders."""
    return (level for level in levels(machine, book, side) if not level.is_market)


def queue(machine: Machine, level: Level) -> Iterator[int]:
    """ORDER rows of a level, oldest first."""
    slot = level.head
    while slot != NIL:
        yield slot
        slot = int(machine.orders[slot]["next"])


class Market:
    """Answers x and V."""

    def __init__(self, machine: Machine, tape: Tape, listings: Listings, make_room: Callable[[], None]) -> None:
        self.machine = machine
        self.tape = tape
        self.listings = listings
        self.make_room = make_room

    def security_list_request(self, member: Member, message: Message) -> None:
        """Say the instruments: one by Symbol(55), or all."""
        request_id = required(message, tags.SECURITY_REQ_ID)
        kind, symbol = message.get(tags.SECURITY_LIST_REQUEST_TYPE), message.get(tags.SYMBOL)
        known = self.listings.by_symbol
        if kind == b"4":
            result, found = b"0", list(known.values())
        elif kind == b"0" and symbol:
            found = [known[symbol]] if symbol in known else []
            result = b"0" if found else b"2"
        else:
            result, found = b"1", []
        core = self.machine.core[0]
        core["response_id"] += 1
        head: list[Field] = [
            (tags.SECURITY_REQ_ID, request_id),
            (tags.SECURITY_RESPONSE_ID, b"%d" % int(core["response_id"])),
            (tags.SECURITY_REQUEST_RESULT, result),
        ]
        for first in range(0, max(1, len(found)), FRAGMENT):
            self.make_room()
            body = [*head, *_fragment(found, first)] if found else head
            self.tape.say(member.slot, MsgType.SECURITY_LIST, orders.route_of(message), tuple(body))

    def market_data_request(self, member: Member, message: Message) -> None:
        """Say one snapshot per instrument, or refuse."""
        request_id = required(message, tags.MD_REQ_ID)
        route = orders.route_of(message)
        refusal = self._refusal(message)
        if refusal is not None:
            reason, text = refusal
            body: tuple[Field, ...]
            body = ((tags.MD_REQ_ID, request_id), (tags.MD_REQ_REJ_REASON, reason), (tags.TEXT, text))
            self.tape.say(member.slot, MsgType.MARKET_DATA_REQUEST_REJECT, route, body)
            return
        depth = _depth(message.get(tags.MARKET_DEPTH, b"0"))
        by_order = message.get(tags.AGGREGATED_BOOK) == b"N"
        kinds = list(dict.fromkeys(message.all(tags.MD_ENTRY_TYPE)))
        for symbol in dict.fromkeys(message.all(tags.SYMBOL)):  # each once: a request is short, its answer need not be
            self.make_room()
            entries = self._entries(self.listings.by_symbol[symbol], kinds, depth, by_order)
            body = ((tags.MD_REQ_ID, request_id), (tags.SYMBOL, symbol), *entries)
            self.tape.say(member.slot, MsgType.MARKET_DATA_SNAPSHOT_FULL_REFRESH, route, body)

    def _refusal(self, message: Message) -> tuple[bytes, bytes] | None:
        """MDReqRejReason(281) and Text(58), None when the request can be served."""
        kinds, symbols = message.all(tags.MD_ENTRY_TYPE), message.all(tags.SYMBOL)
        if message.get(tags.SUBSCRIPTION_REQUEST_TYPE) != b"0":
            return b"4", b"Unsupported SubscriptionRequestType(263)"
        if not (message.get(tags.MARKET_DEPTH) or b"x").isdigit():
            return b"5", b"Unsupported MarketDepth(264)"
        if message.get(tags.AGGREGATED_BOOK, b"Y") not in (b"Y", b"N"):
            return b"7", b"Unsupported AggregatedBook(266)"
        if not kinds or not ENTRY_TYPES.issuperset(kinds):
            return b"8", b"Unsupported MDEntryType(269)"
        if not symbols or any(symbol not in self.listings.by_symbol for symbol in symbols):
            return b"0", b"Unknown Symbol(55)"
        return None

    def _entries(self, listing: Listing, kinds: list[bytes], depth: int, by_order: bool) -> list[Field]:
        entries: list[list[Field]] = []
        for kind in kinds:
            if kind == TRADE:
                entries += self._last_trade(listing)
            elif by_order:
                entries += self._order_entries(listing, kind, depth)
            else:
                entries += self._level_entries(listing, kind, depth)
        if not entries:
            entries = [[(tags.MD_ENTRY_TYPE, kinds[0]), (tags.MD_ENTRY_PX, b"0"), (tags.MD_ENTRY_SIZE, b"0")]]
        return [(tags.NO_MD_ENTRIES, b"%d" % len(entries)), *(field for entry in entries for field in entry)]

    def _level_entries(self, listing: Listing, kind: bytes, depth: int) -> Iterator[list[Field]]:
        for place, level in enumerate(limits(self.machine, listing.book, int(kind)), 1):
            if place > depth:
                return
            yield [
                *_entry(listing, kind, level.price, level.lots),
                (tags.NUMBER_OF_ORDERS, b"%d" % level.orders),
                (tags.MD_ENTRY_POSITION_NO, b"%d" % place),
            ]

    def _order_entries(self, listing: Listing, kind: bytes, depth: int) -> Iterator[list[Field]]:
        place = 0
        for level in limits(self.machine, listing.book, int(kind)):
            for slot in queue(self.machine, level):
                place += 1
                if place > depth:
                    return
                order = self.machine.orders[slot]
                yield [
                    *_entry(listing, kind, level.price, int(order["leaves"])),
                    (tags.ORDER_ID, b"%d" % int(order["order_id"])),
                    (tags.MD_ENTRY_POSITION_NO, b"%d" % place),
                ]

    def _last_trade(self, listing: Listing) -> list[list[Field]]:
        book = self.machine.books[listing.book]
        if not book["last_lots"]:
            return []
        return [_entry(listing, TRADE, int(book["last_price"]), int(book["last_lots"]))]


def _depth(text: bytes) -> int:
    """Entries of a side that MarketDepth(264) asks for; its digits may be more than any number has."""
    digits = text.lstrip(b"0")
    return DEPTH_MAX if not digits or len(digits) > 9 else min(int(digits), DEPTH_MAX)


def _fragment(found: list[Listing], first: int) -> list[Field]:
    """The instruments of one SecurityList(y); LastFragment(893) only where one message is not enough."""
    part = found[first : first + FRAGMENT]
    fields: list[Field] = [(tags.TOT_NO_RELATED_SYM, b"%d" % len(found))]
    if len(found) > FRAGMENT:
        fields.append((tags.LAST_FRAGMENT, b"Y" if first + FRAGMENT >= len(found) else b"N"))
    fields.append((tags.NO_RELATED_SYM, b"%d" % len(part)))
    return [*fields, *(field for listing in part for field in _security(listing))]


def _entry(listing: Listing, kind: bytes, price: int, lots: int) -> list[Field]:
    return [
        (tags.MD_ENTRY_TYPE, kind),
        (tags.MD_ENTRY_PX, format_decimal(price * listing.tick_mantissa, listing.price_decimals)),
        (tags.MD_ENTRY_SIZE, format_decimal(lots * listing.lot_mantissa, listing.qty_decimals)),
    ]


def _security(listing: Listing) -> list[Field]:
    instrument = listing.instrument
    return [
        (tags.SYMBOL, listing.symbol),
        (tags.CURRENCY, instrument.currency.encode()),
        (tags.ROUND_LOT, format_decimal(listing.lot_mantissa, listing.qty_decimals)),
        (tags.MIN_TRADE_VOL, format_decimal(listing.min_lots * listing.lot_mantissa, listing.qty_decimals)),
        (tags.TEXT, b"tick=" + format_decimal(listing.tick_mantissa, listing.price_decimals)),
    ]
