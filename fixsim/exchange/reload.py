"""Which changes of the configuration the state allows, at a start and while sessions live."""

from fixsim.config import Config
from fixsim.exchange.capacity import sizes
from fixsim.exchange.exchange import Exchange


def change_faults(exchange: Exchange, after: Config) -> list[tuple[str, str]]:
    """Why `exchange` cannot go on under `after`: each key and its reason."""
    before = exchange.config
    faults = []
    if sizes(before) != sizes(after):
        faults.append(("capacities", "capacities and avg_px_decimals cannot change within a data directory; use another one"))
    if before.venue.comp_id != after.venue.comp_id:
        faults.append(("venue.comp_id", "comp_id cannot change within a data directory; use another one"))
    if before.risk.money_decimals != after.risk.money_decimals:
        faults.append(("risk.money_decimals", "cannot change within a data directory; use another one"))
    named = {entry.symbol for entry in before.instruments if not entry.is_pattern}
    for symbol, listing in exchange.listings.by_symbol.items():
        name, was = symbol.decode(), listing.instrument
        now = after.instrument_for(name)
        if now is None and name not in named:
            continue  # made of a pattern that is gone: it stays, others are not made
        if now is None:
            faults.append((f"instruments[{name}]", "has a book: it cannot be dropped; halt it, or use another data directory"))
        elif (now.tick_size, now.lot_size) != (was.tick_size, was.lot_size):
            text = "has a book: its tick_size and lot_size cannot change; use another data directory"
            faults.append((f"instruments[{name}]", text))
    if len(exchange.listings.by_symbol) + len(_fresh(exchange, after)) > after.capacities.instruments:
        text = f"with those there are that is more than capacities.instruments ({after.capacities.instruments})"
        faults.append(("instruments", text))
    return faults


def _fresh(exchange: Exchange, after: Config) -> list[str]:
    """Symbols that get a book."""
    known = exchange.listings.by_symbol
    return [entry.symbol for entry in after.instruments if not entry.is_pattern and entry.symbol.encode() not in known]
