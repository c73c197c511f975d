"""The configuration as data. A field's unit is the end of its name; its range and meaning stand beside it.

A symbol or SenderCompID that ends in `*` is a pattern: it creates instruments, respectively sessions, on
first use, up to the capacity. An exact entry wins over a pattern, a longer pattern over a shorter one.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, is_dataclass, replace
from decimal import Decimal
from functools import cached_property
from ipaddress import ip_address, ip_network
from typing import Any, Final, Protocol, TypeVar

from fixsim.config.breakers import Breaker, MarketBreaker, named
from fixsim.config.checks import between, each_one_of, one_of
from fixsim.config.risk import Limits, Rate, Risk, most_fitting
from fixsim.config.running import Console, Process, ShadowSettings, StreetSettings
from fixsim.config.schedules import Schedule
from fixsim.limits import (
    ACCOUNTS_MAX,
    COMP_ID_BYTES_MAX,
    EARLY_MESSAGES_MAX,
    FRAME_BYTES_MAX,
    INSTRUMENTS_MAX,
    NOTIONAL_MAX,
    ORDERS_MAX,
    PARTIES_MAX,
    PRICE_TICKS_MAX,
    QTY_LOTS_MAX,
    SEGMENT_BYTES,
    SESSIONS_MAX,
    TEXT_BYTES_MAX,
)

#: What a secret looks like in the normalised text.
SECRET: Final = "*"
#: Longest heartbeat interval there is.
HEARTBEAT_S_MAX: Final = 86_400
#: Fraction digits of a UTCTimestamp for each precision.
TIMESTAMP_DIGITS: Final = {"ms": 3, "us": 6, "ns": 9}

# The quantity of one price level cannot overflow, whatever the configuration says.
assert ORDERS_MAX * QTY_LOTS_MAX < NOTIONAL_MAX

def _positive(value: Decimal) -> str | None:
    return None if value.is_finite() and value > 0 else f"is {value}, expected a number above 0"


def _text_fault(value: str, bytes_max: int) -> str | None:
    if not value:
        return "is empty"
    if len(value) > bytes_max:
        return f"is {len(value)} characters long, at most {bytes_max} are kept"
    if not value.isascii() or not value.isprintable():
        return f"is {value!r}: only printable ASCII can travel in FIX"
    return None


def _name_fault(value: str, bytes_max: int) -> str | None:
    if "*" in value[:-1]:
        return f"is {value!r}: a pattern has one *, at its end"
    return _text_fault(value, bytes_max)


def _symbol(value: str) -> str | None:
    return _name_fault(value, TEXT_BYTES_MAX)


def _comp_id_pattern(value: str) -> str | None:
    return _name_fault(value, COMP_ID_BYTES_MAX)


def _comp_id(value: str) -> str | None:
    return "is a pattern, expected one CompID" if value.endswith("*") else _comp_id_pattern(value)


def _currency(value: str) -> str | None:
    good = len(value) == 3 and value.isascii() and value.isalpha() and value.isupper()
    return None if good else f"is {value!r}, expected an ISO 4217 code such as USD"


def _time_of_day(value: str) -> str | None:
    parts = value.split(":")
    if len(parts) == 3 and all(len(part) == 2 and part.isdecimal() for part in parts):
        hours, minutes, seconds = map(int, parts)
        if hours < 24 and minutes < 60 and seconds < 60:
            return None
    return f"is {value!r}, expected HH:MM:SS (UTC)"


def _networks(value: Iterable[str]) -> str | None:
    for text in value:
        try:
            ip_network(text)
        except ValueError as error:
            return f"has {text!r}: {error}"
    return None


def _argon2(value: str) -> str | None:
    if value == SECRET or value.startswith("$argon2"):
        return None
    return "is not an argon2 hash; make one with: fixsim password"


def name_matches(pattern: str, name: str) -> bool:
    """Whether `name` is `pattern`, or begins like it where the pattern ends in `*`."""
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def _grid(size: Decimal) -> tuple[int, int]:
    """Decimals and mantissa of a step: 0.05 is (2, 5), 100 is (0, 100)."""
    exponent = size.as_tuple().exponent
    assert isinstance(exponent, int), "checked to be finite"
    decimals = max(0, -exponent)
    return decimals, int(size.scaleb(decimals))


@dataclass(frozen=True)
class Venue:
    """`[venue]`: who we are, and what holds for everybody."""

    #: SenderCompID(49) of everything the exchange says.
    comp_id: str = field(default="FIXSIM", metadata={"check": _comp_id})
    #: Fraction of SendingTime(52) and TransactTime(60).
    timestamp_precision: str = field(default="ms", metadata=one_of("ms", "us", "ns"))
    #: Decimals of AvgPx(6).
    avg_px_decimals: int = field(default=6, metadata=between(0, 9))
    #: HeartBtInt(108) a Logon may ask for; a counterparty may have its own limits. 0 means no heartbeats.
    heartbeat_min_s: int = field(default=0, metadata=between(0, HEARTBEAT_S_MAX))
    heartbeat_max_s: int = field(default=3_600, metadata=between(0, HEARTBEAT_S_MAX))
    #: A TestRequest follows after this many heartbeat intervals of silence, the end after that many.
    test_request_after: float = field(default=1.2, metadata=between(1.0, 10.0))
    disconnect_after: float = field(default=2.4, metadata=between(1.1, 20.0))
    #: How far SendingTime(52) may be from ours, either way; 0 switches the check off.
    sending_time_tolerance_s: float = field(default=120.0, metadata=between(0, 10 * 365 * 86_400))
    #: A connection without a Logon is dropped after this time.
    logon_timeout_s: float = field(default=10.0, metadata=between(0.1, 600))
    #: After our own Logout the connection is closed after this time without an answer.
    logout_timeout_s: float = field(default=2.0, metadata=between(0.1, 600))
    #: A connection that is owed bytes and takes none for this time is cut; its messages wait in the journal.
    stalled_reader_timeout_s: float = field(default=30.0, metadata=between(0.1, 86_400))
    #: Longest frame accepted, announced as MaxMessageSize(383).
    max_message_size: int = field(default=FRAME_BYTES_MAX, metadata=between(512, FRAME_BYTES_MAX))
    #: Every session restarts at MsgSeqNum 1 at this time of day, UTC; absent for never.
    reset_time: str | None = field(default=None, metadata={"check": _time_of_day})

    @property
    def timestamp_digits(self) -> int:
        """Fraction digits of a timestamp: 3, 6 or 9."""
        return TIMESTAMP_DIGITS[self.timestamp_precision]

    @property
    def reset_time_ns(self) -> int | None:
        """`reset_time` as ns since midnight UTC, None for never."""
        if self.reset_time is None:
            return None
        hours, minutes, seconds = map(int, self.reset_time.split(":"))
        return (hours * 3_600 + minutes * 60 + seconds) * 1_000_000_000


@dataclass(frozen=True)
class Instrument:
    """`[[instruments]]`: one symbol, or a pattern that creates symbols."""

    #: Symbol(55).
    symbol: str = field(metadata={"check": _symbol})
    #: Prices are multiples of it, and are written with as many decimals.
    tick_size: Decimal = field(metadata={"check": _positive})
    #: Quantities are multiples of it, and are written with as many decimals.
    lot_size: Decimal = field(metadata={"check": _positive})
    #: Smallest OrderQty(38); one lot when not given.
    min_qty: Decimal = field(metadata={"check": _positive})
    #: Largest OrderQty(38); a million lots when not given.
    max_qty: Decimal = field(metadata={"check": _positive})
    #: Currency(15).
    currency: str = field(default="USD", metadata={"check": _currency})
    #: Where the house quotes, None for nowhere.
    reference_price: Decimal | None = field(default=None, metadata={"check": _positive})
    #: Its trading days: a name of `[[schedules]]`; None for continuous trading around the clock.
    schedule: str | None = None
    #: How orders meet.
    matching: str = field(default="price-time", metadata=one_of("price-time"))
    #: What stops it when its price runs away: a name of `[[breakers]]`, or a ready-made one; needs a reference price.
    breaker: str | None = None

    @property
    def is_pattern(self) -> bool:
        return self.symbol.endswith("*")

    @property
    def price_decimals(self) -> int:
        return _grid(self.tick_size)[0]

    @property
    def tick_mantissa(self) -> int:
        """One tick in units of 10**-price_decimals: 5 for 0.05."""
        return _grid(self.tick_size)[1]

    @property
    def qty_decimals(self) -> int:
        return _grid(self.lot_size)[0]

    @property
    def lot_mantissa(self) -> int:
        """One lot in units of 10**-qty_decimals: 100 for a lot of a hundred."""
        return _grid(self.lot_size)[1]

    @property
    def min_qty_lots(self) -> int:
        return int(self.min_qty / self.lot_size)

    @property
    def max_qty_lots(self) -> int:
        return int(self.max_qty / self.lot_size)

    @property
    def reference_price_ticks(self) -> int | None:
        return None if self.reference_price is None else int(self.reference_price / self.tick_size)

    @property
    def price_ticks_max(self) -> int:
        """Highest price an order may have: price x quantity stays below NOTIONAL_MAX; market orders stand behind it."""
        return min(PRICE_TICKS_MAX - 1, (NOTIONAL_MAX - 1) // max(1, self.max_qty_lots))


@dataclass(frozen=True)
class Permissions:
    """`permissions` of a counterparty: what it may enter. A cancel is always allowed."""

    #: Symbols or patterns.
    symbols: tuple[str, ...] = ("*",)
    sides: tuple[str, ...] = field(default=("buy", "sell"), metadata=each_one_of("buy", "sell"))
    order_types: tuple[str, ...] = field(default=("market", "limit"), metadata=each_one_of("market", "limit"))


@dataclass(frozen=True)
class Counterparty:
    """`[[counterparties]]`: one SenderCompID, or a pattern that creates sessions."""

    #: SenderCompID(49) of what it says.
    sender_comp_id: str = field(metadata={"check": _comp_id_pattern})
    #: Username(553) the Logon must carry; None for any.
    username: str | None = None
    #: argon2 hash of the Password(554) the Logon must carry; None for no password.
    password_hash: str | None = field(default=None, metadata={"check": _argon2})
    #: HeartBtInt(108) its Logon may ask for; the venue's when not given.
    heartbeat_min_s: int = field(default=0, metadata=between(0, HEARTBEAT_S_MAX))
    heartbeat_max_s: int = field(default=3_600, metadata=between(0, HEARTBEAT_S_MAX))
    #: How its messages are held against the dictionary.
    strictness: str = field(default="strict", metadata=one_of("strict", "lenient", "off"))
    #: Both sequence numbers restart at 1 on every Logon.
    reset_on_logon: bool = False
    #: The answer to a Logon that we reset carries ResetSeqNumFlag(141)=Y.
    announce_reset: bool = False
    #: What we say carries LastMsgSeqNumProcessed(369).
    last_msg_seq_num_processed: bool = False
    #: Networks it may connect from; empty for anywhere.
    allowed_addresses: tuple[str, ...] = field(default=(), metadata={"check": _networks})
    permissions: Permissions = Permissions()
    #: Who answers for it, beside itself: sessions of one firm share the firm's limits. None for nobody.
    firm: str | None = field(default=None, metadata={"check": _comp_id})
    #: Its resting orders are cancelled when its connection is lost, respectively when it says Logout.
    cancel_on_disconnect: bool = False
    cancel_on_logout: bool = False
    #: How long it may take to come back before they are.
    cancel_grace_s: float = field(default=0.0, metadata=between(0, 86_400))
    #: Good-till-cancel orders stay.
    cancel_keeps_gtc: bool = True
    #: Early messages kept while a gap is open.
    early_messages_max: int = field(default=EARLY_MESSAGES_MAX, metadata=between(0, EARLY_MESSAGES_MAX))

    @property
    def is_pattern(self) -> bool:
        return self.sender_comp_id.endswith("*")

    def allows_address(self, address: str) -> bool:
        """Whether a connection from `address` (an IP address as text) may log on."""
        if not self.allowed_addresses:
            return True
        try:
            found = ip_address(address.partition("%")[0])
        except ValueError:
            return False
        return any(found in ip_network(network) for network in self.allowed_addresses)


@dataclass(frozen=True)
class House:
    """`[house]`: a counterparty of ours that keeps two-sided quotes around each reference price."""

    comp_id: str = field(default="HOUSE", metadata={"check": _comp_id})
    #: Price levels on each side.
    levels: int = field(default=5, metadata=between(1, 100))
    #: From the reference price to the best quote, and from one level to the next, in 1/10,000 of the price.
    half_spread_bps: Decimal = field(default=Decimal(5), metadata={"check": _positive})
    step_bps: Decimal = field(default=Decimal(5), metadata={"check": _positive})
    #: Value of one quote in the instrument's currency; rounded down to lots, at least one.
    level_value: Decimal = field(default=Decimal(100_000), metadata={"check": _positive})


@dataclass(frozen=True)
class Capacities:
    """`[capacities]`: memory is claimed for them at start; at the limit the peer gets a clear reject."""

    #: Open orders.
    orders: int = field(default=1 << 20, metadata=between(16, ORDERS_MAX))
    #: Sessions known at once.
    sessions: int = field(default=4_096, metadata=between(1, SESSIONS_MAX))
    #: Instruments known at once.
    instruments: int = field(default=1_024, metadata=between(1, INSTRUMENTS_MAX))
    #: Price levels with orders, over all books.
    price_levels: int = field(default=1 << 19, metadata=between(16, ORDERS_MAX))
    #: ClOrdIDs of closed orders remembered, over all sessions, to refuse their reuse.
    clordid_memory: int = field(default=1 << 20, metadata=between(16, ORDERS_MAX))
    #: Connections that have not logged on yet; the oldest makes way for a new one.
    greetings: int = field(default=512, metadata=between(1, SESSIONS_MAX))
    #: Accounts that limits look at.
    accounts: int = field(default=4_096, metadata=between(1, ACCOUNTS_MAX))
    #: Combinations of session, account and instrument that limits look at.
    parties: int = field(default=1 << 16, metadata=between(16, PARTIES_MAX))
    #: Orders remembered while an equal one may not follow, over all sessions.
    duplicate_memory: int = field(default=1 << 16, metadata=between(16, ORDERS_MAX))


@dataclass(frozen=True)
class Tls:
    """`[tls]`: PEM files, relative to the configuration file."""

    certificate: str
    private_key: str
    #: Authorities of client certificates; given, each client needs one.
    client_ca: str | None = None


@dataclass(frozen=True)
class JournalSettings:
    """`[journal]`."""

    #: What a seal means: "os" survives the process, "sync" the machine (one fdatasync per batch).
    durability: str = field(default="os", metadata=one_of("os", "sync"))
    #: Size of one segment file.
    segment_bytes: int = field(default=SEGMENT_BYTES, metadata=between(SEGMENT_BYTES, 1 << 34))
    #: Empty segments that are kept ready, so that a burst finds its memory and its room on the disk.
    segments_ahead: int = field(default=1, metadata=between(1, 64))
    #: How long what was said can be asked for again; older segments are retired. 0 keeps everything.
    resend_retention_s: int = field(default=0, metadata=between(0, 10 * 366 * 86_400))
    #: What is retired is compressed and stays readable; false removes it.
    archive: bool = True


@dataclass(frozen=True)
class Database:
    """`[database]`: `embedded`, `none`, or the address of a PostgreSQL server."""

    url: str = "embedded"


class _Named(Protocol):
    @property
    def is_pattern(self) -> bool: ...


N = TypeVar("N", bound=_Named)


def _entry_for(entries: tuple[N, ...], names: tuple[str, ...], name: str, bytes_max: int) -> N | None:
    """The entry called `name`, else the one with the longest pattern that matches; a pattern makes printable
    ASCII of at most `bytes_max` bytes.
    """
    best: N | None = None
    best_length = -1
    # what a peer may call itself or an instrument is what a configuration may: it is kept, logged and shown
    may_be_made = _text_fault(name, bytes_max) is None and not name.endswith("*")
    for entry, pattern in zip(entries, names, strict=True):
        if not entry.is_pattern:
            if pattern == name:
                return entry
        elif may_be_made and len(pattern) > best_length and name_matches(pattern, name):
            best, best_length = entry, len(pattern)
    return best


@dataclass(frozen=True)
class Config:
    """One whole configuration."""

    venue: Venue = Venue()
    instruments: tuple[Instrument, ...] = ()
    counterparties: tuple[Counterparty, ...] = ()
    schedules: tuple[Schedule, ...] = ()
    breakers: tuple[Breaker, ...] = ()
    market_breaker: MarketBreaker | None = None
    house: House | None = None
    risk: Risk = Risk()
    limits: tuple[Limits, ...] = ()
    rates: tuple[Rate, ...] = ()
    capacities: Capacities = Capacities()
    tls: Tls | None = None
    journal: JournalSettings = JournalSettings()
    database: Database = Database()
    process: Process = Process()
    street: StreetSettings = StreetSettings()
    console: Console = Console()
    shadow: ShadowSettings = ShadowSettings()

    @cached_property
    def _symbols(self) -> tuple[str, ...]:
        return tuple(entry.symbol for entry in self.instruments)

    @cached_property
    def _senders(self) -> tuple[str, ...]:
        return tuple(entry.sender_comp_id for entry in self.counterparties)

    def instrument_for(self, symbol: str) -> Instrument | None:
        """The instrument called `symbol`; made from a pattern it carries that symbol. None when unknown."""
        entry = _entry_for(self.instruments, self._symbols, symbol, TEXT_BYTES_MAX)
        return replace(entry, symbol=symbol) if entry is not None and entry.is_pattern else entry

    def breaker_for(self, instrument: Instrument) -> Breaker | None:
        """The breaker an instrument asks for, None when nothing stops it."""
        return None if instrument.breaker is None else named(self.breakers, instrument.breaker)

    def index_weights(self) -> dict[str, int]:
        """By symbol, what one tick of a constituent counts in the index of the market-wide breaker."""
        if self.market_breaker is None:
            return {}
        weights = {entry.symbol: entry.weight for entry in self.market_breaker.constituents}
        chosen = [entry for entry in self.instruments if entry.symbol in weights]
        decimals = max((entry.price_decimals for entry in chosen), default=0)
        return {
            entry.symbol: weights[entry.symbol] * entry.tick_mantissa * 10 ** (decimals - entry.price_decimals)
            for entry in chosen
        }

    def counterparty_for(self, sender_comp_id: str) -> Counterparty | None:
        """The entry, exact or pattern, by which `sender_comp_id` may log on. None when nobody may."""
        return _entry_for(self.counterparties, self._senders, sender_comp_id, COMP_ID_BYTES_MAX)

    def limits_for(self, scope: str, name: str) -> Limits | None:
        """The limits of a session, firm, account or instrument: the exact entry, else the longest pattern. None for none."""
        return most_fitting(self.limits, scope, name) if self.risk.checks else None

    def normalised(self) -> str:
        """Canonical JSON: equal configurations give equal text. Secrets are left out."""
        return json.dumps(_plain(_without_secrets(self)), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_normalised(cls, text: str) -> "Config":
        """The configuration that `text` was made from, its secrets replaced by SECRET."""
        from fixsim.config.reader import from_tables

        return from_tables(json.loads(text, parse_float=Decimal), "journal")


def _without_secrets(config: Config) -> Config:
    return replace(
        config,
        database=Database(),
        counterparties=tuple(
            entry if entry.password_hash is None else replace(entry, password_hash=SECRET) for entry in config.counterparties
        ),
    )


def _plain(value: Any) -> Any:
    """A dataclass as JSON values: Decimals become text, absent values stay out."""
    if is_dataclass(value):
        pairs = ((item.name, getattr(value, item.name)) for item in fields(value))
        return {name: _plain(inner) for name, inner in pairs if inner is not None}
    if isinstance(value, tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, Decimal):
        return format(value, "f")
    return value
