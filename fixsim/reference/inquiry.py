"""Questions that change nothing: SecurityListRequest(x) and MarketDataRequest(V)."""

from collections.abc import Iterable, Iterator
from typing import Final

from fixsim.reference.book import ANY_PRICE, Book, Side
from fixsim.reference.listing import Board, Listing
from fixsim.reference.message import Field, Inbound
from fixsim.reference.number import show_number
from fixsim.reference.report import Reply

DEPTH_MAX: Final = 1_000
BID: Final = b"0"
OFFER: Final = b"1"
TRADE: Final = b"2"


class Inquiries:
    """Answers from the board and the books it is given; its one state is the SecurityResponseID counter."""

    def __init__(self, board: Board, books: dict[str, Book]) -> None:
        self.board, self.books = board, books
        self.security_response_id = 0

    def security_list(self, session: str, message: Inbound) -> Iterator[Reply]:
        """SecurityList(y) to a SecurityListRequest(x)."""
        self.security_response_id += 1
        found, result = self._found(message)
        head: list[Field] = [(35, b"y"), *message.route, *message.echo(320)]
        head += [(322, b"%d" % self.security_response_id), (560, result)]
        if result == b"0":
            head += [(393, b"%d" % len(found)), (146, b"%d" % len(found))]
        yield Reply(session, head + [field for listing in found for field in _terms(listing)])

    def _found(self, message: Inbound) -> tuple[list[Listing], bytes]:
        """The instruments asked for, and SecurityRequestResult(560)."""
        kind = message.get(559)
        if kind == b"4":
            return list(self.board.listed.values()), b"0"
        if kind != b"0" or not message.symbol:
            return [], b"1"
        listing = self.board.listed.get(message.symbol)
        return ([], b"2") if listing is None else ([listing], b"0")

    def market_data(self, session: str, message: Inbound) -> Iterator[Reply]:
        """A snapshot (W) of each instrument, or one MarketDataRequestReject(Y)."""
        refusal = self._refuse(message)
        if refusal is not None:
            reason, text = refusal
            fields = [(35, b"Y"), *message.route, *message.echo(262), (281, reason), (58, text)]
            yield Reply(session, fields)
            return
        for symbol in dict.fromkeys(_symbols(message)):
            yield Reply(session, self._snapshot(message, symbol))

    def _refuse(self, message: Inbound) -> tuple[bytes, bytes] | None:
        """MDReqRejReason(281) and Text(58) of the first check that fails."""
        types, symbols = message.all(269), _symbols(message)
        if message.get(263) != b"0":
            return b"4", b"Unsupported SubscriptionRequestType(263)"
        if not (message.get(264) or b"").isdigit():
            return b"5", b"Unsupported MarketDepth(264)"
        if message.get(266) not in (None, b"Y", b"N"):
            return b"7", b"Unsupported AggregatedBook(266)"
        if not types or not {BID, OFFER, TRADE}.issuperset(types):
            return b"8", b"Unsupported MDEntryType(269)"
        if not symbols or any(symbol not in self.board.listed for symbol in symbols):
            return b"0", b"Unknown Symbol(55)"
        return None

    def _snapshot(self, message: Inbound, symbol: str) -> list[Field]:
        types = list(dict.fromkeys(message.all(269)))
        depth = _depth(message.get(264) or b"")
        entries: list[list[Field]] = []
        for entry_type in types:
            entries += self._entries(entry_type, symbol, depth, by_order=message.get(266) == b"N")
        entries = entries or [[(269, types[0]), (270, b"0"), (271, b"0")]]
        head: list[Field] = [(35, b"W"), *message.route, *message.echo(262)]
        head += [(55, symbol.encode("latin-1")), (268, b"%d" % len(entries))]
        return head + [field for entry in entries for field in entry]

    def _entries(self, entry_type: bytes, symbol: str, depth: int, by_order: bool) -> list[list[Field]]:
        """The entries of one MDEntryType(269), each a list of fields."""
        book, listing = self.books[symbol], self.board.listed[symbol]
        if entry_type == TRADE:
            if book.last_trade is None:
                return []
            price, qty = book.last_trade
            size = (271, show_number(qty, listing.qty_decimals))
            return [[(269, TRADE), (270, show_number(price, listing.price_decimals)), size]]
        side = book.bids if entry_type == BID else book.asks
        rows = _orders(side, listing) if by_order else _levels(side, listing)
        return [
            [(269, entry_type), *row, (290, b"%d" % position)]
            for position, row in zip(range(1, depth + 1), rows, strict=False)
        ]


def _levels(side: Side, listing: Listing) -> Iterator[list[Field]]:
    """One row per price: 270, 271, 346; market orders have none."""
    for price, queue in side:
        if price == ANY_PRICE:
            continue
        total = sum((order.leaves for order in queue), start=listing.lot_size * 0)
        yield [
            (270, show_number(price, listing.price_decimals)),
            (271, show_number(total, listing.qty_decimals)),
            (346, b"%d" % len(queue)),
        ]


def _orders(side: Side, listing: Listing) -> Iterator[list[Field]]:
    """One row per order: 270, 271, 37; none for market orders."""
    for price, queue in side:
        if price == ANY_PRICE:
            continue
        for order in queue:
            yield [
                (270, show_number(price, listing.price_decimals)),
                (271, show_number(order.leaves, listing.qty_decimals)),
                (37, b"%d" % order.order_id),
            ]


def _depth(text: bytes) -> int:
    """Rows per side that MarketDepth(264) asks for, which may be longer than any number we count to."""
    digits = text.lstrip(b"0")
    return min(int(digits), DEPTH_MAX) if digits and len(digits) <= len(b"%d" % DEPTH_MAX) else DEPTH_MAX


def _symbols(message: Inbound) -> list[str]:
    """The symbols of a repeating group of instruments."""
    return [value.decode("latin-1") for value in message.all(55)]


def _terms(listing: Listing) -> Iterable[Field]:
    """One instrument of a SecurityList(y)."""
    return (
        (55, listing.symbol.encode("latin-1")),
        (15, listing.currency.encode("latin-1")),
        (561, show_number(listing.lot_size, listing.qty_decimals)),
        (562, show_number(listing.min_qty, listing.qty_decimals)),
        (58, b"tick=" + show_number(listing.tick_size, listing.price_decimals)),
    )
