"""Instruments: which symbols there are, and the BOOK row of each. Patterns create one when a valid order first needs it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fixsim.config import Config, Instrument
from fixsim.engine.machine import Machine
from fixsim.engine.symbols import index_book
from fixsim.units import format_decimal, parse_decimal

#: Products of a price and the scale of AvgPx(6) stay below this.
PRODUCT_MAX = 1 << 62


@dataclass(frozen=True)
class Listing:
    """One instrument and where it lives."""

    book: int
    symbol: bytes
    instrument: Instrument
    price_decimals: int
    tick_mantissa: int
    qty_decimals: int
    lot_mantissa: int
    min_lots: int
    max_lots: int
    max_price: int

    def price_ticks(self, text: bytes) -> int | None:
        """Price(44) in ticks; None when it is off the grid or no positive number is told by `is_positive`."""
        value = parse_decimal(text, self.price_decimals)
        if value is None or value % self.tick_mantissa:
            return None
        return value // self.tick_mantissa

    def price_text(self, ticks: int) -> str:
        """A price as people read it."""
        return format_decimal(ticks * self.tick_mantissa, self.price_decimals).decode()

    def lots(self, text: bytes) -> int | None:
        """OrderQty(38) in lots; None when it is off the grid."""
        value = parse_decimal(text, self.qty_decimals)
        if value is None or value % self.lot_mantissa:
            return None
        return value // self.lot_mantissa


class Listings:
    """All instruments of the venue, in the order of their BOOK rows."""

    def __init__(self, config: Config, machine: Machine) -> None:
        self.config = config
        self.machine = machine
        self.by_symbol: dict[bytes, Listing] = {}
        #: Told of each instrument that gets its row, from then on.
        self.on_listed: list[Callable[[Listing], None]] = []
        for instrument in config.instruments:
            if not instrument.is_pattern:
                self._list(instrument)

    def find(self, symbol: bytes) -> Listing | None:
        """The instrument called `symbol`, if it exists already."""
        return self.by_symbol.get(symbol)

    def of_book(self, book: int) -> Listing:
        """The instrument of a BOOK row that is used."""
        row = self.machine.books[book]
        return self.by_symbol[row["symbol"][: row["symbol_length"]].tobytes()]

    def find_or_possible(self, symbol: bytes) -> Listing | None:
        """The instrument called `symbol`; one that a pattern could create has a row that is not used yet."""
        listing = self.by_symbol.get(symbol)
        if listing is not None:
            return listing
        try:
            instrument = self.config.instrument_for(symbol.decode("ascii"))
        except UnicodeDecodeError:
            return None
        if instrument is None or len(self.by_symbol) >= len(self.machine.books):
            return None
        return self._listing(instrument)

    def create(self, listing: Listing) -> None:
        """Give a possible instrument its row: a valid order needs it."""
        if listing.symbol not in self.by_symbol:
            self._enter(listing)

    def adopt(self, config: Config) -> set[int]:
        """Take a changed configuration: new instruments get rows, known ones keep theirs and have new limits.

        BOOK rows of the known ones that have another schedule now.
        """
        self.config = config
        moved = set()
        for symbol, known in list(self.by_symbol.items()):
            instrument = config.instrument_for(symbol.decode())
            if instrument is not None and instrument != known.instrument:
                self._write(self._listing(instrument, known.book))
                if instrument.schedule != known.instrument.schedule:
                    moved.add(known.book)
        for instrument in config.instruments:
            if not instrument.is_pattern and instrument.symbol.encode() not in self.by_symbol:
                self._list(instrument)
        return moved

    def _list(self, instrument: Instrument) -> None:
        self._enter(self._listing(instrument))

    def _listing(self, instrument: Instrument, book: int | None = None) -> Listing:
        """The instrument in BOOK row `book`, or in the next one."""
        scale = instrument.tick_mantissa * 10 ** max(0, self.config.venue.avg_px_decimals - instrument.price_decimals)
        return Listing(
            book=len(self.by_symbol) if book is None else book,
            symbol=instrument.symbol.encode(),
            instrument=instrument,
            price_decimals=instrument.price_decimals,
            tick_mantissa=instrument.tick_mantissa,
            qty_decimals=instrument.qty_decimals,
            lot_mantissa=instrument.lot_mantissa,
            min_lots=max(1, instrument.min_qty_lots),
            max_lots=instrument.max_qty_lots,
            max_price=min(instrument.price_ticks_max, PRODUCT_MAX // scale - 1),
        )

    def _enter(self, listing: Listing) -> None:
        self._write(listing)
        index_book(self.machine, listing.book)

    def _write(self, listing: Listing) -> None:
        book = self.machine.books[listing.book]
        for field in (
            "price_decimals", "tick_mantissa", "qty_decimals", "lot_mantissa", "min_lots", "max_lots", "max_price",
        ):  # fmt: skip
            book[field] = getattr(listing, field)
        book["symbol_length"] = len(listing.symbol)
        book["symbol"][: len(listing.symbol)] = np.frombuffer(listing.symbol, np.uint8)
        self.by_symbol[listing.symbol] = listing
        for told in self.on_listed:
            told(listing)
