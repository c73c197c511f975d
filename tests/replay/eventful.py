"""A trading day on the disk in which everything happens at once: schedules, breakers, limits, and operators."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from exchange.stage import Field, Said
from exchange.test_trading_day import MIDNIGHT_NS, SECOND_NS, RandomDay, small_day

from fixsim.config import Config, Counterparty, Limits, Risk
from fixsim.config.breakers import PROFILES, Breaker
from fixsim.config.risk import Rate
from fixsim.errors import UsageError
from fixsim.exchange.payloads import config_payload
from fixsim.journal.trades import find_trade

from .recording import Recording

Ask = tuple[str, dict[str, Any]]
#: Sessions that trade; CLOCK only listens.
TRADERS = ("ALPHA", "BRAVO")
STOPPABLE = ("SAP", "VOD", "AAPL", "MSFT", "ESZ5")
#: Busts that are tried, of the first so many trades.
TRADES = 60


def limited_day() -> Config:
    """The ready day with limits that are reached, for two sessions of one firm; one of them loses its orders with its line."""
    config = replace(
        small_day(),
        counterparties=(
            Counterparty("ALPHA", firm="ONE", cancel_on_disconnect=True, cancel_grace_s=5.0),
            Counterparty("BRAVO", firm="ONE"),
            Counterparty("CLOCK"),
        ),
        limits=(
            Limits("session", "*", open_orders_max=120, order_rate=50, collar_last_bps=900, protection_bps=150),
            Limits("session", "ALPHA", order_rate=50, daily_loss_max=Decimal(30_000), duplicate_window_ms=500),
            Limits("firm", "ONE", gross_max=Decimal(60_000_000), order_to_trade_max=50, restricted=("BTC*",)),
            Limits("instrument", "*", price_max=Decimal(100_000)),
            Limits("instrument", "SAP", price_max=Decimal(1_000), order_qty_max=Decimal(150)),
        ),
        rates=(Rate("EUR", Decimal("1.1")), Rate("GBX", Decimal("0.0125"))),
        risk=Risk(money_decimals=7),
    )
    entries = tuple(replace(one, max_qty=min(one.max_qty, Decimal(5_000))) for one in config.instruments)
    config = replace(config, instruments=entries)
    return Config.from_normalised(config.normalised())


def nervous(config: Config) -> Config:
    """The same under narrower breakers: one instrument gets bands instead of a corridor, one loses its own."""
    narrow = Breaker("narrow", dynamic_bps=100, call_s=20, random_end_s=5)
    changed = {"SAP": replace(PROFILES["luld-tier-2"], name="banded"), "VOD": narrow, "AAPL": None}
    entries = [
        replace(one, breaker=None if (found := changed[one.symbol]) is None else found.name) if one.symbol in changed else one
        for one in config.instruments
    ]
    return replace(config, instruments=tuple(entries), breakers=tuple(one for one in changed.values() if one is not None))


class EventfulDay(RandomDay):
    """A random day on which limits refuse, and somebody else has something to say now and then."""

    def __init__(self, seed: int, data_dir: Path) -> None:
        self.data_dir, self.count = data_dir, 0
        super().__init__(seed, Recording(data_dir, limited_day(), now_ns=MIDNIGHT_NS, clock_start_ns=MIDNIGHT_NS))
        self.file: Any = self.stage
        self.reloads = False

    def drive(self, to_ns: int) -> None:
        """Somebody may have driven the clock farther already."""
        super().drive(max(to_ns, self.stage.now_ns))

    def message(self, number: int) -> tuple[str, list[Field]]:
        """As on any day; before it, sometimes, an interference. Some replace and some cancel all they have."""
        self.count += 1
        if self.random.random() < 0.12:
            self.interfere()
        chance = self.random.random()
        if chance < 0.02:
            return self.random.choice(TRADERS), [(35, b"q"), (11, b"q%d" % number), (530, b"7"), (60, self.stamp)]
        session, fields = super().message(number)
        if chance > 0.9 and self.sent and fields[0] == (35, b"D"):
            return self.replacing(number)
        return session, fields

    def replacing(self, number: int) -> tuple[str, list[Field]]:
        """Another price and quantity for something that was sent."""
        session, orig, symbol, side = self.random.choice(self.sent[-60:])
        listing = next(one for one in self.listings if one.symbol == symbol)
        ticks = round((listing.instrument.reference_price_ticks or 1) * (1 + self.random.gauss(0, 0.03)))
        qty = f"{self.random.randint(1, 9) * listing.min_lots * listing.instrument.lot_size:f}".encode()
        self.sent.append((session, b"G%d" % number, symbol, side))
        head: list[Field] = [(35, b"G"), (41, orig), (11, b"G%d" % number), (55, symbol), (54, side), (60, self.stamp)]
        return session, [*head, (38, qty), (40, b"2"), (44, listing.price_text(ticks).encode())]

    def interfere(self) -> None:
        """One interference of an operator, a lost line, or another start."""
        choices: list[Callable[[], list[Said]]] = [self.operate] * 8 + [self.lose, self.lose, self.reload, self.restart]
        self.look(self.random.choice(choices)())

    def operate(self) -> list[Said]:
        """A command; what it says is not looked at."""
        random, symbol = self.random, self.random.choice(STOPPABLE)
        asks: list[Ask] = [
            ("halt", {"symbol": symbol}), ("resume", {"symbol": symbol}), ("resume", {"symbol": symbol}),
            ("phase", {"symbol": symbol, "phase": "volatility-auction", "seconds": random.choice((1, 30, 600))}),
            ("phase", {"symbol": symbol, "phase": random.choice(("continuous", "continuous", "volatility-auction", "end"))}),
            ("cancel-all", {"symbol": symbol, "side": random.choice(("buy", "sell"))}),
            ("limits.reset", {"scope": "session", "name": "ALPHA"}),
            ("kill", {"switch": "on", "scope": "session", "name": "BRAVO"}),
            *[("kill", {"switch": "off", "scope": "session", "name": "BRAVO"})] * 4,
        ]  # fmt: skip
        verb, arguments = random.choice(asks) if random.random() < 0.8 else self.amendment()
        return self.stage.commanded(verb, **arguments)[1]

    def amendment(self) -> Ask:
        """A trade shall be taken back."""
        try:
            return "bust", find_trade(self.file.file.reader, self.random.randint(1, TRADES))
        except UsageError:
            return "announce", {"headline": "Nothing", "text": "to take back"}

    def lose(self) -> list[Said]:
        """A session loses its line; it is back seconds later, or at once."""
        name = self.random.choice(TRADERS)
        self.stage.exchange.lose_link(self.stage.links[name], "gone", self.stage.now_ns)
        said = self.stage.drain()
        if self.random.random() < 0.5:
            self.drive(self.stage.now_ns + 7 * SECOND_NS)
        self.stage.log_on(name)
        return said

    def reload(self) -> list[Said]:
        """Other breakers, or the first ones again."""
        self.reloads = not self.reloads
        changed = nervous(limited_day()) if self.reloads else limited_day()
        payload = config_payload(changed, "test", "practice", self.stage.exchange.venue_ns)
        self.stage.exchange.reload(changed, payload, self.stage.now_ns)
        return self.stage.drain()

    def restart(self) -> list[Said]:
        """The process dies, and another one goes on from its journal."""
        numbers = dict(self.stage.numbers)
        self.file.close()
        config = nervous(limited_day()) if self.reloads else limited_day()
        self.stage = self.file = Recording(self.data_dir, config, self.stage.now_ns, clock_start_ns=0)
        self.stage.numbers.update(numbers)
        self.stage.log_on("ALPHA", "BRAVO", "CLOCK")
        self.listings = list(self.stage.exchange.listings.by_symbol.values())
        self.subscribe()
        return []
