"""What the house wants to rest in the books, and what does: a pure function of the configuration and of
reports.

The wish is a number of price levels on both sides of each reference price; the truth is what
ExecutionReport(8) says of the house's orders. `missing` is the difference, to be sent as new orders; `strays`
are orders that rest where nothing is wished any more (the configuration changed). No clock and no chance: the
same reports give the same orders.
"""

from dataclasses import asdict, dataclass
from typing import Any, Final, NamedTuple

from fixsim.config import Config, House, Instrument
from fixsim.fix import tags
from fixsim.fix.message import Message
from fixsim.fix.tags import ExecType, OrdRejReason, OrdStatus, Side
from fixsim.units import format_decimal, parse_decimal

#: ClOrdIDs are this and a number that only grows.
ID_PREFIX: Final = "H"
BPS: Final = 10_000
OPEN: Final = frozenset({OrdStatus.NEW, OrdStatus.PARTIALLY_FILLED})


class Place(NamedTuple):
    """Where a quote rests: the price is text as it is written in orders."""

    symbol: str
    side: str
    price: str


@dataclass(frozen=True)
class Wish:
    """What shall rest at a place."""

    lots: int
    min_lots: int
    lot_mantissa: int
    decimals: int

    def text(self, lots: int) -> str:
        """Lots as a quantity."""
        return format_decimal(lots * self.lot_mantissa, self.decimals).decode()

    def lots_of(self, qty: bytes) -> int:
        """A quantity of a report as lots."""
        return (parse_decimal(qty, self.decimals) or 0) // self.lot_mantissa


@dataclass
class Quote:
    """One order of the house; `leaves` is LeavesQty(151) as text, `answered` once a report spoke of it."""

    place: Place
    leaves: str
    answered: bool = False


def wishes(config: Config) -> dict[Place, Wish]:
    """Every place the house wants to quote at, best levels first; empty without a `[house]`."""
    house = config.house
    if house is None:
        return {}
    found: dict[Place, Wish] = {}
    for instrument in config.instruments:
        if not instrument.is_pattern and instrument.reference_price_ticks is not None:
            found |= _wishes_of(instrument, house, instrument.reference_price_ticks)
    return found


def _wishes_of(instrument: Instrument, house: House, reference_ticks: int) -> dict[Place, Wish]:
    half_ticks = max(1, int(reference_ticks * house.half_spread_bps / BPS))
    step_ticks = max(1, int(reference_ticks * house.step_bps / BPS))
    price = reference_ticks * instrument.tick_size
    lots = int(house.level_value / (price * instrument.lot_size))
    lots = min(max(lots, instrument.min_qty_lots, 1), instrument.max_qty_lots)
    wish = Wish(lots, instrument.min_qty_lots, instrument.lot_mantissa, instrument.qty_decimals)
    found: dict[Place, Wish] = {}
    for level in range(house.levels):
        distance_ticks = half_ticks + level * step_ticks
        for side, sign in ((Side.BUY, -1), (Side.SELL, 1)):
            ticks = reference_ticks + sign * distance_ticks
            if 1 <= ticks <= instrument.price_ticks_max:
                text = format_decimal(ticks * instrument.tick_mantissa, instrument.price_decimals).decode()
                found[Place(instrument.symbol, side.decode(), text)] = wish
    return found


class Quoter:
    """The house's orders by ClOrdID(11), followed through their reports."""

    def __init__(self, wishes: dict[Place, Wish]) -> None:
        self.wishes = wishes
        self.quotes: dict[str, Quote] = {}
        #: Number of the last ClOrdID that was used.
        self.last_id = 0
        #: Places where the exchange takes no order at present, until `try_again`.
        self.refused: set[Place] = set()
        self._by_place: dict[Place, dict[str, Quote]] = {}
        #: Places where something changed since `missing` last looked: in the order of the wishes, so that
        #: the orders that follow do not depend on the order of a set.
        self._touched: dict[Place, None] = dict.fromkeys(wishes)
        self._leaving: set[str] = set()
        self._unanswered: set[str] = set()

    def wish(self, wishes: dict[Place, Wish]) -> None:
        """Wish for something else from now on."""
        self.wishes = wishes
        self._touched |= dict.fromkeys(wishes)

    # ------------------------------------------------------------ deciding

    def next_id(self) -> str:
        """A ClOrdID that was not used before."""
        self.last_id += 1
        return f"{ID_PREFIX}{self.last_id}"

    def missing(self) -> list[tuple[Place, str]]:
        """Place and quantity of each order to send now; a place that waits for an answer is left alone."""
        orders = []
        for place in self._touched:
            wish = self.wishes.get(place)
            quotes = self._by_place.get(place, {}).values()
            if wish is None or place in self.refused or not all(quote.answered for quote in quotes):
                continue
            lots = wish.lots - sum(wish.lots_of(quote.leaves.encode()) for quote in quotes)
            if lots >= max(1, wish.min_lots):
                orders.append((place, wish.text(lots)))
        self._touched.clear()
        return orders

    def strays(self) -> list[tuple[str, Quote]]:
        """Orders that rest where nothing is wished; each is named once."""
        strays = [
            (cl_ord_id, quote)
            for place, quotes in self._by_place.items()
            if place not in self.wishes
            for cl_ord_id, quote in quotes.items()
            if quote.answered and cl_ord_id not in self._leaving
        ]
        self._leaving.update(cl_ord_id for cl_ord_id, _ in strays)
        return strays

    def waits(self) -> bool:
        """Something that was sent is not answered yet."""
        return bool(self._unanswered)

    def try_again(self) -> None:
        """Ask once more where orders were refused."""
        self._touched |= dict.fromkeys(place for place in self.wishes if place in self.refused)
        self.refused.clear()

    # ------------------------------------------------------------ learning

    def sent(self, cl_ord_id: str, place: Place) -> None:
        """A new order goes to the exchange."""
        self._put(cl_ord_id, Quote(place, "0"))

    def learn(self, report: Message) -> None:
        """Follow an ExecutionReport(8) about one of the house's orders."""
        cl_ord_id = _text(report, tags.CL_ORD_ID)
        self._remember_number(cl_ord_id)
        if report.get(tags.EXEC_TYPE) == ExecType.REJECTED:
            self._refused(cl_ord_id, report)
            return
        orig = _text(report, tags.ORIG_CL_ORD_ID) or cl_ord_id
        if report.get(tags.ORD_STATUS) in OPEN:
            self._put(orig, _quote_of(report))
        else:
            self._drop(orig)

    def _refused(self, cl_ord_id: str, report: Message) -> None:
        quote = self._drop(cl_ord_id)
        if _text(report, tags.ORD_REJ_REASON) != str(OrdRejReason.DUPLICATE_ORDER):
            if quote is not None:
                self.refused.add(quote.place)
            return
        # an id from a time nobody remembers: fresh ones lie farther on, and an order that rests under it is
        # ours
        self.last_id *= 2
        if report.get(tags.ORD_STATUS) in OPEN:
            self._put(cl_ord_id, _quote_of(report))

    def _remember_number(self, cl_ord_id: str) -> None:
        digits = cl_ord_id.removeprefix(ID_PREFIX)
        if digits.isdecimal():
            self.last_id = max(self.last_id, int(digits))

    def give_up(self, cl_ord_id: str) -> None:
        """A message about this order was not understood: forget it, and leave its place alone for now."""
        quote = self._drop(cl_ord_id)
        if quote is not None:
            self.refused.add(quote.place)

    def _put(self, cl_ord_id: str, quote: Quote) -> None:
        self._drop(cl_ord_id)
        self.quotes[cl_ord_id] = quote
        self._by_place.setdefault(quote.place, {})[cl_ord_id] = quote
        self._touched[quote.place] = None
        if not quote.answered:
            self._unanswered.add(cl_ord_id)

    def _drop(self, cl_ord_id: str) -> Quote | None:
        quote = self.quotes.pop(cl_ord_id, None)
        if quote is not None:
            del self._by_place[quote.place][cl_ord_id]
            self._touched[quote.place] = None
            self._unanswered.discard(cl_ord_id)
        return quote

    # ------------------------------------------------------------ notes

    def notes(self) -> dict[str, Any]:
        """What a later start should know, as JSON values."""
        return {"last_id": self.last_id, "quotes": {key: asdict(quote) for key, quote in self.quotes.items()}}

    def recall(self, notes: dict[str, Any]) -> None:
        """Go on from what `notes` gave. Raises KeyError, TypeError or ValueError when it is none."""
        self.last_id = int(notes["last_id"])
        for cl_ord_id, quote in notes["quotes"].items():
            self._put(str(cl_ord_id), Quote(Place(*map(str, quote["place"])), str(quote["leaves"]), True))


def _quote_of(report: Message) -> Quote:
    place = Place(_text(report, tags.SYMBOL), _text(report, tags.SIDE), _text(report, tags.PRICE))
    return Quote(place, _text(report, tags.LEAVES_QTY), answered=True)


def _text(message: Message, tag: int) -> str:
    return message.get(tag, b"").decode("latin-1")
