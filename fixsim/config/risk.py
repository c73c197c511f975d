"""Limits of sessions, firms, accounts and instruments, and the money they are counted in.

An entry of `[[limits]]` is for one name, or for each name that begins with what stands before a final `*`. Of several that fit
the exact one counts, else the longest pattern; entries do not add up. What is not given is not limited.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, TypeVar

from fixsim.config.checks import between, one_of
from fixsim.limits import MONEY_MAX, RATE_MAX

if TYPE_CHECKING:
    from fixsim.config.model import Config, Instrument

#: Keys that belong to an instrument alone, and keys that an instrument cannot have.
INSTRUMENT_ONLY: Final = ("price_min", "price_max")
OWNER_ONLY: Final = ("position_max", "gross_max", "net_max", "credit_max", "daily_loss_max", "restricted")
SESSION_ONLY: Final = ("message_rate", "message_burst")
KEYS_OF_SCOPES: Final = (
    (INSTRUMENT_ONLY, ("instrument",)), (SESSION_ONLY, ("session",)), (OWNER_ONLY, ("session", "firm", "account")),
)  # fmt: skip
#: Keys whose values are amounts of the venue's currency.
MONEY: Final = ("order_notional_max", "open_notional_max", "gross_max", "net_max", "credit_max", "daily_loss_max")
#: Keys for which positions are kept and valued.
HELD: Final = ("position_max", "gross_max", "net_max", "credit_max", "daily_loss_max")

Note = Callable[[str, str], None]
E = TypeVar("E")
#: Entries of a list, or values in them, with their places in it.
Numbered = Sequence[tuple[int, E]]


def _positive(value: Decimal) -> str | None:
    return None if value.is_finite() and value > 0 else f"is {value}, expected a number above 0"


def _not_negative(value: Decimal) -> str | None:
    return None if value.is_finite() and value >= 0 else f"is {value}, expected a number from 0"


def _name(value: str) -> str | None:
    if not value or not value.isascii() or not value.isprintable():
        return f"is {value!r}, expected printable ASCII"
    return f"is {value!r}: a pattern has one *, at its end" if "*" in value[:-1] else None


def _names(value: Iterable[str]) -> str | None:
    return next((f"has one that {fault}" for fault in map(_name, value) if fault), None)


_AMOUNT: Final = {"check": _not_negative}
_PRICE: Final = {"check": _positive}


def _currency(value: str) -> str | None:
    good = len(value) == 3 and value.isascii() and value.isalpha() and value.isupper()
    return None if good else f"is {value!r}, expected an ISO 4217 code such as USD"


@dataclass(frozen=True)
class Risk:
    """`[risk]`: whether limits are looked at, and the money they are counted in."""

    #: False switches every entry of `[[limits]]` off.
    checks: bool = True
    #: The venue's currency: amounts of `[[limits]]` are in it.
    currency: str = field(default="USD", metadata={"check": _currency})
    #: Decimals to which money is counted, exactly.
    money_decimals: int = field(default=2, metadata=between(0, 12))
    #: Positions are valued anew at the last trades at most this often.
    mark_interval_ms: int = field(default=1_000, metadata=between(1, 86_400_000))


@dataclass(frozen=True)
class Rate:
    """`[[rates]]`: what one unit of another currency is worth in the venue's."""

    currency: str = field(metadata={"check": _currency})
    rate: Decimal = field(metadata=_PRICE)


@dataclass(frozen=True)
class Limits:
    """`[[limits]]`: of one session, firm, account or instrument, or of each that a pattern fits."""

    scope: str = field(metadata=one_of("session", "firm", "account", "instrument"))
    #: SenderCompID, `firm` of a counterparty, Account(1) or Symbol(55); a pattern ends in `*`.
    name: str = field(metadata={"check": _name})
    #: Of one order: OrderQty(38), and its value.
    order_qty_max: Decimal | None = field(default=None, metadata=_AMOUNT)
    order_notional_max: Decimal | None = field(default=None, metadata=_AMOUNT)
    #: Lowest and highest Price(44).
    price_min: Decimal | None = field(default=None, metadata=_PRICE)
    price_max: Decimal | None = field(default=None, metadata=_PRICE)
    #: How far a price may be from the reference price, the last trade, the middle of the book, in 1/10,000.
    collar_static_bps: int | None = field(default=None, metadata=between(1, 100_000))
    collar_last_bps: int | None = field(default=None, metadata=between(1, 100_000))
    collar_mid_bps: int | None = field(default=None, metadata=between(1, 100_000))
    #: How far behind the best opposite price a market order may trade; the rest of it is cancelled.
    protection_ticks: int | None = field(default=None, metadata=between(0, 1_000_000))
    protection_bps: int | None = field(default=None, metadata=between(1, 10_000))
    #: Orders open at once, and what they could trade.
    open_orders_max: int | None = field(default=None, metadata=between(0, 1 << 30))
    open_notional_max: Decimal | None = field(default=None, metadata=_AMOUNT)
    #: Position in one instrument, either way, should everything that works on one side trade.
    position_max: Decimal | None = field(default=None, metadata=_AMOUNT)
    #: Value of all positions, without signs and with them, and of what could be added to it.
    gross_max: Decimal | None = field(default=None, metadata=_AMOUNT)
    net_max: Decimal | None = field(default=None, metadata=_AMOUNT)
    #: What may be bought, less what was sold, in a day.
    credit_max: Decimal | None = field(default=None, metadata=_AMOUNT)
    #: What a day may cost, positions at their marks.
    daily_loss_max: Decimal | None = field(default=None, metadata=_AMOUNT)
    #: An order with the terms of one accepted less than this ago is refused.
    duplicate_window_ms: int | None = field(default=None, metadata=between(1, 86_400_000))
    #: Orders (D, G) a second, and at once; a second's worth when only the rate is given.
    order_rate: int | None = field(default=None, metadata=between(1, RATE_MAX))
    order_burst: int | None = field(default=None, metadata=between(1, RATE_MAX))
    #: Application messages of any type a second, and at once.
    message_rate: int | None = field(default=None, metadata=between(1, RATE_MAX))
    message_burst: int | None = field(default=None, metadata=between(1, RATE_MAX))
    #: What becomes of a message beyond it.
    message_rate_action: str = field(default="reject", metadata=one_of("reject", "disconnect", "queue"))
    #: Requests (D, F, G) for each trade, and how many a day are free of it.
    order_to_trade_max: int | None = field(default=None, metadata=between(1, 1 << 30))
    order_to_trade_free: int = field(default=100, metadata=between(0, 1 << 30))
    #: Symbols, or patterns, it may not enter orders in.
    restricted: tuple[str, ...] = field(default=(), metadata={"check": _names})
    #: What a short sale, Side(54)=5, needs.
    short_sale: str = field(default="free", metadata=one_of("free", "locate", "forbidden"))
    #: Symbols, or patterns, that are located already.
    locates: tuple[str, ...] = field(default=(), metadata={"check": _names})


def fits(pattern: str, name: str) -> bool:
    """Whether `name` is `pattern`, or begins like it where the pattern ends in `*`."""
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def most_fitting(limits: Iterable[Limits], scope: str, name: str) -> Limits | None:
    """The entry of `scope` that counts for `name`: the exact one, else the longest pattern; None for none."""
    found = [entry for entry in limits if entry.scope == scope and fits(entry.name, name)]
    return max(found, key=lambda entry: (not entry.name.endswith("*"), len(entry.name)), default=None)


def money_factor(config: "Config", instrument: "Instrument") -> Decimal | None:
    """Minor units of the venue's currency that a lot at a price of one tick is worth; None when the rate is not configured."""
    rates = {config.risk.currency: Decimal(1), **{entry.currency: entry.rate for entry in config.rates}}
    rate = rates.get(instrument.currency)
    return None if rate is None else (instrument.tick_size * instrument.lot_size * rate).scaleb(config.risk.money_decimals)


def price_cap_ticks(config: "Config", instrument: "Instrument") -> int:
    """The highest price anything of `instrument` may have, ticks: its `price_max` where it has one."""
    entry = most_fitting(config.limits, "instrument", instrument.symbol)
    most = instrument.price_ticks_max
    return most if entry is None or entry.price_max is None else min(most, int(entry.price_max / instrument.tick_size))


def position_cap_lots(config: "Config", instrument: "Instrument", factor: int) -> int:
    """The largest position whose value, with those of all other instruments, can be counted exactly, in lots."""
    return MONEY_MAX // (max(1, price_cap_ticks(config, instrument)) * factor * config.capacities.instruments)


def check_keys(entry: Limits, where: str, note: Note) -> None:
    """Keys that the scope of an entry does not have, and those that belong together; `where` ends in a point."""
    for keys, good in KEYS_OF_SCOPES:
        for key in keys:
            if getattr(entry, key) not in (None, ()) and entry.scope not in good:
                note(f"{where}{key}", f"does not belong to scope {entry.scope}, only to {', '.join(good)}")
    for burst, rate in (("order_burst", "order_rate"), ("message_burst", "message_rate")):
        if getattr(entry, burst) is not None and getattr(entry, rate) is None:
            note(f"{where}{burst}", f"needs {rate}")
    if entry.price_min is not None and entry.price_max is not None and entry.price_min > entry.price_max:
        note(f"{where}price_min", f"is above price_max ({entry.price_max})")


def _amounts(entry: Limits) -> list[tuple[str, Decimal]]:
    """Keys and values of an entry that are amounts of money."""
    found: list[tuple[str, Any]] = [(key, getattr(entry, key)) for key in MONEY]
    return [(key, value) for key, value in found if value is not None]


def check_amounts(entry: Limits, where: str, decimals: int, note: Note) -> None:
    """Amounts of money can be counted exactly, to so many decimals."""
    for key, amount in _amounts(entry):
        if amount.scaleb(decimals) > MONEY_MAX:
            note(f"{where}{key}", f"is {amount}: more than can be counted with money_decimals {decimals}")


def check_worth(config: "Config", instruments: Numbered["Instrument"], note: Note) -> None:
    """Where amounts are limited, what these instruments are worth can be counted exactly, and cannot exceed 2^62."""
    if not any(_amounts(entry) for entry in config.limits):
        return
    values_positions = any(getattr(entry, key) is not None for entry in config.limits for key in HELD)
    for index, instrument in instruments:
        _check_worth(config, instrument, f"instruments[{index}].", values_positions, note)


def _check_worth(config: "Config", instrument: "Instrument", where: str, values_positions: bool, note: Note) -> None:
    """What a lot and a position in `instrument` are worth can be counted."""
    factor = money_factor(config, instrument)
    if factor is None:
        note(f"{where}currency", f"is {instrument.currency}: limits of money need its rate in [[rates]]")
    elif factor != int(factor):
        exact = config.risk.money_decimals - int(factor.normalize().as_tuple().exponent)
        note("risk.money_decimals", f"is too few to count a tick of a lot of {instrument.symbol} exactly: {exact} would do")
    elif factor > MONEY_MAX:
        note(f"{where}tick_size", "is worth more than can be counted: give it less of a rate or lot_size")
    elif values_positions and position_cap_lots(config, instrument, int(factor)) < instrument.max_qty_lots:
        note(
            f"{where}max_qty",
            "times the highest price and capacities.instruments could exceed 2^62 of money: give the instrument a"
            " price_max in [[limits]], or less of max_qty, capacities.instruments or risk.money_decimals",
        )


def check_collar(entry: Limits, where: str, instruments: Iterable["Instrument"], note: Note) -> None:
    """A static collar stands around a reference price."""
    if entry.collar_static_bps is None:
        return
    for instrument in instruments:
        applies = entry.scope != "instrument" or fits(entry.name, instrument.symbol)
        if applies and instrument.reference_price is None:
            note(f"{where}collar_static_bps", f"needs a reference_price of {instrument.symbol}")
