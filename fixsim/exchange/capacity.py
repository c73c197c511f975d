"""How many rows each table of the machine has: the capacities of a configuration, with room for what is remembered."""

from fixsim.config import Config
from fixsim.engine.machine import Sizes


def sizes(config: Config) -> Sizes:
    """Rows of each table for the capacities of `config`."""
    capacities = config.capacities
    return Sizes(
        orders=capacities.orders + capacities.clordid_memory,
        names=capacities.orders + capacities.clordid_memory,
        levels=capacities.price_levels,
        nodes=2 * capacities.price_levels + 64,
        books=capacities.instruments,
        sessions=capacities.sessions,
        echoes=min(65_536, capacities.orders),
        open_orders=capacities.orders,
        memory=capacities.clordid_memory,
        # one session alone may not use up everybody's memory
        name_memory=max(1, capacities.clordid_memory // 8),
        avg_px_decimals=config.venue.avg_px_decimals,
        # a session and a firm of each, beside accounts and instruments
        owners=2 * capacities.sessions + capacities.accounts + capacities.instruments,
        parties=capacities.parties,
        duplicates=capacities.duplicate_memory,
    )
