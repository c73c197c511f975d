"""Breakers of an exchange whose orders are the oracle's: the oracle decides what is stopped, the exchange tells it.

Corridors, bands, windows, limit states and the index are the oracle's own. From here it has the profiles of the
configuration and the moments at which the exchange looks; what it makes happen is said in the exchange's words.
"""

from typing import Any, Final

from fixsim.config import Config
from fixsim.config.breakers import Breaker
from fixsim.exchange.breakers import AT_LIMIT, CALLING, EXTENDED, READY, TOLD
from fixsim.exchange.exchange import Exchange
from fixsim.exchange.market_breaker import HALT
from fixsim.layout import NEVER
from fixsim.reference.exchange import ReferenceExchange
from fixsim.reference.listing import Listing
from fixsim.reference.phases import Turn

#: What subscribers are told of a breaker's turns: SecurityTradingStatus(326), Text(58), HaltReasonChar(327).
WORDS: Final = {
    "limit-state": TOLD[AT_LIMIT], "called": TOLD[CALLING], "extended": TOLD[EXTENDED], "ready": (READY, "", b""),
}  # fmt: skip


class SecondBreakers:
    """Stands between one exchange and one oracle."""

    def __init__(self, exchange: Exchange, oracle: ReferenceExchange) -> None:
        self.exchange, self.oracle = exchange, oracle
        self.config = exchange.config
        parts: Any = exchange
        breakers = parts.breakers
        parts.look = self.look
        breakers.adopt, breakers.next_ns, breakers.due = self.adopt, self.next_ns, self.due
        breakers.market.new_day = self.new_day
        parts.phases.judges.clear()
        parts.phases.listeners.clear()
        parts.listings.on_listed.remove(breakers.equip)
        oracle.breakers.profile_of = self.profile_of

    def profile_of(self, symbol: str) -> Breaker | None:
        """The breaker that an instrument asks for."""
        instrument = self.config.instrument_for(symbol)
        return None if instrument is None else self.config.breaker_for(instrument)

    def adopt(self, config: Config) -> None:
        """Another configuration: other instruments, other terms of those there are, other breakers."""
        self.config, board = config, self.oracle.board
        board.patterns = [Listing.of(entry) for entry in config.instruments if entry.is_pattern]
        for symbol in list(board.listed):
            instrument = config.instrument_for(symbol)
            if instrument is not None:
                board.listed[symbol] = Listing.of(instrument)
        for entry in config.instruments:
            if not entry.is_pattern:
                self.oracle.know(Listing.of(entry))
        self.oracle.happen(self.oracle.breakers.adopt(config.market_breaker), self.exchange.venue_ns)

    # ---- when the exchange looks

    def look(self) -> None:
        """Something has happened."""
        self.oracle.look(self.exchange.venue_ns)

    def next_ns(self) -> int:
        """When a window moves, a limit state or a halt has lasted."""
        return min(self.oracle.breakers.next_ns(), default=NEVER)

    def due(self, venue_ns: int) -> None:
        """That time has come."""
        self.oracle.happen(self.oracle.breakers.lasted(venue_ns), venue_ns)

    def new_day(self) -> None:
        """The date turned."""
        venue_ns = self.exchange.venue_ns
        self.oracle.happen(self.oracle.breakers.new_day(venue_ns), venue_ns)

    # ---- told by the oracle

    def tell(self, turn: Turn) -> None:
        """To subscribers of the instrument, or of every trading session."""
        market, status = self.exchange.breakers.market, self.exchange.status
        if turn.what in ("market-halted", "market-open"):
            market.halted = [self._book(symbol) for symbol in self.oracle.breakers.index.halted]
            ended = turn.what == "market-open"
            market._tell_sessions("Market-wide halt is over" if ended else f"Market-wide halt, level {turn.level}")
        elif turn.what == "halted":
            status.tell_security(self._book(turn.symbol), HALT, f"Market-wide halt, level {turn.level}", b"M")
        else:
            status.tell_security(self._book(turn.symbol), *WORDS[turn.what])

    def _book(self, symbol: str) -> int:
        return self.exchange.listings.by_symbol[symbol.encode("latin-1")].book
