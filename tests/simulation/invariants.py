"""What must hold: after every turn (`look`), when everybody is at rest (`agree`), and of the whole journal in the end.

Tables are looked at as a stranger would, by their layout; what they should hold is known from the journal alone.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from fixsim.errors import JournalError
from fixsim.exchange.exchange import Exchange
from fixsim.exchange.replay import THE_END
from fixsim.exchange.second_opinion import SecondOpinion
from fixsim.fix.dictionary import fix44
from fixsim.fix.message import Message
from fixsim.journal.reader import Reader
from fixsim.journal.segments import journal_directory
from fixsim.layout import NIL, Phase
from simulation.scribe import ADMIN, RENEWED, Pairs, substance

if TYPE_CHECKING:
    from simulation.world import World

#: OrdStatus(39) of an order that may still trade.
NEW, PARTIALLY_FILLED = b"01"
#: Phases in which orders are collected and nothing meets: then, and only then, a book may be crossed.
COLLECTING = frozenset((Phase.PRE_OPEN, Phase.OPENING_AUCTION, Phase.VOLATILITY_AUCTION, Phase.CLOSING_AUCTION))


def look(world: "World") -> None:
    """After a turn: everything is in the journal, and the tables are what it tells."""
    assert world.life is not None
    exchange, writer = world.life.exchange, world.life.opened.writer
    assert exchange.tape.used == 0, "a turn ended with an open batch"
    assert writer.position >= world.scribe.story.end, "the writer and its files are not at the same place"
    if writer.position == world.looked_at:
        return  # nothing has happened since
    world.looked_at = writer.position
    _look_at_books(exchange)
    _look_at_orders(exchange, world)
    _look_at_sessions(exchange, world)


def _look_at_books(exchange: Exchange) -> None:
    """No book is crossed outside an auction."""
    machine = exchange.machine
    for symbol, listing in exchange.listings.by_symbol.items():
        bid, ask = (int(machine.sides[2 * listing.book + side]["best"]) for side in (0, 1))
        if bid != NIL and ask != NIL and int(machine.books[listing.book]["phase"]) not in COLLECTING:
            prices = int(machine.levels[bid]["price"]), int(machine.levels[ask]["price"])
            assert prices[0] < prices[1], f"the book of {symbol!r} is crossed: {prices}"


def _look_at_orders(exchange: Exchange, world: "World") -> None:
    """Every order adds up, every level is the sum of its orders, and the reports have told all of it."""
    machine: Any = exchange.machine
    rows = machine.orders[: int(exchange.core["orders_fresh"])]
    rows = rows[rows["names"] > 0]
    is_open = (rows["status"] == NEW) | (rows["status"] == PARTIALLY_FILLED)
    live, gone = rows[is_open], rows[~is_open]
    assert (live["qty"] == live["leaves"] + live["cum"]).all(), "an open order is not leaves + executed"
    assert (live["leaves"] > 0).all() and (gone["leaves"] == 0).all(), "leaves of a closed order, or none of an open one"
    assert (gone["qty"] >= gone["cum"]).all() and (rows["cum"] >= 0).all(), "more executed than ordered"
    resting = live[live["level"] != NIL]
    lots = np.zeros(len(machine.levels), np.int64)
    np.add.at(lots, resting["level"], resting["leaves"])
    used = np.unique(resting["level"])
    assert (machine.levels["lots"][used] == lots[used]).all(), "a level is not the sum of its orders"
    told = {name: (order.leaves, order.cum) for name, order in world.scribe.story.orders.items() if not order.closed}
    sizes = [listing.instrument.lot_size for listing in exchange.listings.by_symbol.values()]
    known = {
        b"%d" % name: (leaves * sizes[book], cum * sizes[book])
        for name, leaves, cum, book in zip(
            live["order_id"].tolist(), live["leaves"].tolist(), live["cum"].tolist(), live["book"].tolist(), strict=True
        )
    }
    assert known == told, f"orders and what was told of them differ: {dict(set(known.items()) ^ set(told.items()))}"


def _look_at_sessions(exchange: Exchange, world: "World") -> None:
    """Numbers are those of the journal, and never go back within a run."""
    for member in exchange.members.by_name.values():
        key = member.id, member.run
        expected = world.scribe.story.next_out.get(key, 1)
        assert int(member.row["next_out"]) == expected, f"{member.name!r} says {member.row['next_out']} next, not {expected}"
        highest = world.highest_in.get(key, 1)
        assert int(member.row["next_in"]) >= highest, f"{member.name!r} expects {member.row['next_in']} after {highest}"
        world.highest_in[key] = int(member.row["next_in"])


def agree(world: "World") -> None:
    """At rest each counterparty has taken what was said to it in this run: all of it, once, in order."""
    assert world.life is not None
    for trader in world.traders:
        member = world.life.exchange.members.find(trader.name.encode())
        assert member is not None
        said = world.scribe.story.said[member.id, member.run]
        expected = [(seq, substance(one.frame)) for seq, one in sorted(said.items()) if one.msg_type not in ADMIN]
        taken = [(seq, _substance(message)) for seq, message in trader.taken]
        assert [seq for seq, _ in taken] == [seq for seq, _ in expected], f"{trader.name} took other numbers than were said"
        for one, other in zip(taken, expected, strict=True):
            assert one == other, f"{trader.name} took {one} for {other}"


def _substance(message: Message) -> Pairs:
    fields = [(b"%d" % tag, value) for tag, value in message.fields]
    return [pair for pair in fields if pair[0] not in RENEWED]


def second_opinion(world: "World") -> None:
    """The whole journal, judged by the plain-Python exchange."""
    reader = Reader(journal_directory(world.directory))
    try:
        SecondOpinion(reader, fix44(), THE_END).run()
    except JournalError as error:
        if "capacity" not in str(error):
            raise
