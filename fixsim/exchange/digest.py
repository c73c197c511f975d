"""One number for all state: equal digests mean equal exchanges, wherever and however they came to be."""

import hashlib
from typing import Any

from fixsim.engine.machine import STATE_TABLES
from fixsim.exchange.exchange import Exchange

#: Tables that grow by fresh rows: only rows that were ever used count.
FRESH = {
    "orders": "orders_fresh",
    "names": "names_fresh",
    "levels": "levels_fresh",
    "node_bits": "nodes_fresh",
    "echoes": "echoes_fresh",
}


def state_digest(exchange: Exchange) -> str:
    """SHA-256 over every state table and the conversations, as hex."""
    digest = hashlib.sha256()
    core: Any = exchange.machine.core[0]
    for name in STATE_TABLES:
        table = getattr(exchange.machine, name)
        if name in FRESH:
            table = table[: int(core[FRESH[name]])]
        digest.update(name.encode())
        digest.update(table.tobytes())
    for comp_id, member in sorted(exchange.members.by_name.items()):
        session = member.session
        said = (comp_id, member.slot, session.state.name, session.next_deadline_ns(), member.restarts_when_lost)
        digest.update(repr(said).encode())
    digest.update(repr(sorted((link, member.name) for link, member in exchange.links.items())).encode())
    digest.update(repr(exchange.reset_at_ns).encode())
    return digest.hexdigest()
