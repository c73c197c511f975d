"""Every capacity, reached: the peer gets the documented refusal, nothing else changes, and it ends when there is room again."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pytest

from exchange.stage import DAY_NS, Field, Stage, rehearsed, small_config
from fixsim.config import Config
from fixsim.exchange.digest import state_digest, tables
from fixsim.exchange.payloads import Hello
from fixsim.fix.enums import OrdRejReason

#: Tables that a refusal may not touch; `sessions` and `core` have the counters of what was said.
UNTOUCHED = ("orders", "names", "name_index", "levels", "node_bits", "node_child", "sides", "books", "book_index", "echoes")
CAPACITY = b"Exchange capacity reached"


def order(name: bytes, price: str = "10.00", side: bytes = b"1", symbol: bytes = b"AAPL", *more: Field) -> list[Field]:
    """A limit order for 10 lots; `more` comes in front of ClOrdID(11)."""
    lots = b"%d" % (10 * 10)
    return [
        (35, b"D"), *more, (11, name), (55, symbol), (54, side), (60, b"20240102-10:00:00"), (38, lots), (40, b"2"),
        (44, price.encode()),
    ]  # fmt: skip


def immediate(name: bytes) -> list[Field]:
    """An order that is closed at once."""
    return [*order(name), (59, b"3")]


def request(kind: bytes, name: bytes, orig: bytes, price: str = "10.00", *more: Field) -> list[Field]:
    """A cancel (F) or a replace (G) of such an order."""
    terms = [(38, b"100"), (40, b"2"), (44, price.encode())] if kind == b"G" else []
    return [(35, kind), *more, (11, name), (41, orig), (55, b"AAPL"), (54, b"1"), (60, b"20240102-10:00:00"), *terms]


def venue(**capacities: int) -> Stage:
    stage = Stage(small_config(**capacities))
    stage.log_on("ALPHA", "BRAVO")
    return stage


def answer(stage: Stage, fields: list[Field], name: str = "ALPHA") -> tuple[bytes, bytes, bytes]:
    """ExecType(150) or CxlRejReason(102), OrdRejReason(103), Text(58) of the one answer to a message."""
    said = dict(stage.say(name, fields)[0][1])
    return said.get(150, said.get(102, b"")), said.get(103, b""), said.get(58, b"")


def refused(stage: Stage, fields: list[Field], name: str = "ALPHA") -> None:
    """The message is refused for want of room, and leaves no trace but the numbers of its refusal."""
    before, numbers = dict(tables(stage.exchange.machine)), stage.exchange.core.copy()
    expected = (b"8", b"%d" % OrdRejReason.ORDER_EXCEEDS_LIMIT, CAPACITY) if fields[0][1] == b"D" else (b"2", b"", CAPACITY)
    assert answer(stage, fields, name) == expected
    after = dict(tables(stage.exchange.machine))
    assert [table for table in UNTOUCHED if before[table] != after[table]] == []
    numbers["exec_id"] = stage.exchange.core["exec_id"]
    assert numbers == stage.exchange.core
    assert state_digest(rehearsed(stage.writer.batches)) == state_digest(stage.exchange)


def accepted(stage: Stage, fields: list[Field], name: str = "ALPHA") -> None:
    """The message is accepted."""
    kinds = {b"D": b"0", b"F": b"4", b"G": b"5"}
    assert answer(stage, fields, name)[0] == kinds[fields[0][1]]


def numbered(stem: bytes, count: int) -> Iterator[bytes]:
    return (stem + b"%d" % number for number in range(count))


# ---------------------------------------------------------------- open orders


def test_open_orders() -> None:
    stage = venue(orders=16)
    for name in numbered(b"o", 16):
        accepted(stage, order(name))
    refused(stage, order(b"one more"))
    refused(stage, order(b"one more"), "BRAVO")
    accepted(stage, request(b"G", b"r", b"o3", "11.00"))
    accepted(stage, request(b"F", b"c", b"o5"))
    accepted(stage, order(b"one more"))
    refused(stage, order(b"two more"))


def test_an_order_that_would_only_take_is_refused_too_when_there_is_no_row_for_it() -> None:
    stage = venue(orders=16)
    for name in numbered(b"o", 16):
        accepted(stage, order(name))
    refused(stage, [*order(b"taker", "9.00", b"2"), (59, b"4")], "BRAVO")


# ---------------------------------------------------------------- ids


def test_closed_orders_of_many_sessions_never_keep_anybody_from_trading() -> None:
    """What is remembered is bounded over all sessions: who remembers most gives way."""
    stage = Stage(small_config(orders=16, clordid_memory=64, sessions=16))
    names = [f"S{number}" for number in range(14)]
    stage.log_on(*names)
    for turn in range(30):
        for name in names:
            accepted(stage, immediate(b"o%d" % turn), name)
    core = stage.exchange.core
    assert int(core["names_used"]) == int(core["orders_used"]) == 64
    rows = stage.exchange.machine.sessions[: len(names)]
    assert int(rows["retired"].sum()) == 64 and int(rows["retired"].min()) >= 3, "everybody still knows the newest"
    assert state_digest(rehearsed(stage.writer.batches)) == state_digest(stage.exchange)


def test_a_session_that_comes_late_gets_its_share_of_the_memory() -> None:
    stage = Stage(small_config(orders=16, clordid_memory=64, sessions=16))
    early = [f"S{number}" for number in range(14)]
    stage.log_on(*early, "LATE")
    for name in [*early, "LATE"]:
        for turn in range(20):
            accepted(stage, immediate(b"o%d" % turn), name)
    member = stage.exchange.members.find(b"LATE")
    assert member is not None and int(member.row["retired"]) >= 4
    assert answer(stage, order(b"o19"), "LATE") == (b"8", b"6", b"Duplicate ClOrdID(11)")
    for turn in range(20, 36):
        accepted(stage, order(b"o%d" % turn), "LATE")


def test_long_ids_take_more_room_and_make_way_for_each_other() -> None:
    stage = venue(orders=16, clordid_memory=16)
    for turn in range(40):
        name = (b"o%d-" % turn).ljust(64, b"x")
        accepted(stage, order(name))
        accepted(stage, request(b"F", (b"c%d-" % turn).ljust(64, b"x"), name))
    assert int(stage.exchange.core["names_used"]) <= 32


def test_ids_of_open_orders_never_make_way() -> None:
    stage = venue(orders=16, clordid_memory=16)
    for turn in range(10):
        accepted(stage, order((b"o%d-" % turn).ljust(64, b"x")))
    refused(stage, order(b"y" * 64))
    accepted(stage, order(b"y" * 60))
    refused(stage, order(b"z"), "BRAVO")
    refused(stage, request(b"F", b"c", (b"o3-").ljust(64, b"x")))
    refused(stage, request(b"G", b"r", (b"o3-").ljust(64, b"x")))


def test_a_session_remembers_an_eighth_of_the_memory() -> None:
    stage = venue(clordid_memory=80)
    for turn in range(20):
        accepted(stage, order(b"o%d" % turn))
        accepted(stage, request(b"F", b"c%d" % turn, b"o%d" % turn))
    member = stage.exchange.members.find(b"ALPHA")
    assert member is not None and int(member.row["retired"]) == 10
    assert answer(stage, order(b"o19"))[1] == b"6"
    accepted(stage, order(b"o14"))


# ---------------------------------------------------------------- prices, instruments, texts


def test_price_levels() -> None:
    stage = venue(price_levels=16, orders=64)
    for number in range(16):
        accepted(stage, order(b"o%d" % number, f"10.{number:02d}"))
    refused(stage, order(b"elsewhere", "12.00"))
    refused(stage, request(b"G", b"r", b"o3", "12.00"))
    accepted(stage, request(b"F", b"c", b"o3"))
    accepted(stage, order(b"elsewhere", "12.00"))


def test_nodes_of_prices_far_apart() -> None:
    """Lone prices cost a path each: they run out of nodes before they run out of levels."""
    stage = venue(price_levels=64, orders=256)
    highest = int(stage.exchange.listings.by_symbol[b"AAPL"].max_price)
    count = 0
    while True:
        price = f"{Decimal(1 + count * (highest // 70)) / 100:f}"
        if answer(stage, order(b"o%d" % count, price))[0] == b"8":
            break
        count += 1
    assert 15 < count < 64
    refused(stage, order(b"again", "77.77"))
    for number in range(0, count, 2):
        accepted(stage, request(b"F", b"c%d" % number, b"o%d" % number))
    accepted(stage, order(b"again", "77.77"))


def test_instruments_that_a_pattern_creates() -> None:
    stage = venue(instruments=5)
    accepted(stage, order(b"a", "10", b"1", b"SYM1"))
    assert answer(stage, order(b"b", "10.5", b"1", b"SYM2"))[0] == b"8", "only a valid order creates one"
    accepted(stage, order(b"c", "10", b"1", b"SYM3"))
    before = dict(tables(stage.exchange.machine))
    assert answer(stage, order(b"d", "10", b"1", b"SYM4")) == (b"8", b"1", b"Unknown Symbol(55)")
    after = dict(tables(stage.exchange.machine))
    assert [table for table in UNTOUCHED if before[table] != after[table]] == []
    accepted(stage, order(b"e", "10", b"1", b"SYM1"))
    assert list(stage.books()) == ["AAPL", "BIG", "BTC-USDT", "SYM1", "SYM3"]


def test_texts_that_reports_repeat() -> None:
    stage = venue(orders=16)
    assert len(stage.exchange.machine.echoes) == 16
    for number in range(15):
        accepted(stage, order(b"o%d" % number, "10.00", b"1", b"AAPL", (50, b"DESK%d" % number)))
    accepted(stage, request(b"F", b"c", b"o0", "", (50, b"DESK15")))
    accepted(stage, order(b"p", "10.00", b"1", b"AAPL", (50, b"DESK16")))
    accepted(stage, request(b"F", b"c2", b"p", "", (50, b"DESK16")))
    desks = {bytes(row["text"][: row["length"]]) for row in stage.exchange.machine.echoes}
    assert b"57=DESK1\x01" in desks and b"57=DESK16\x01" in desks


# ---------------------------------------------------------------- sessions


def sessions(config: Config) -> Stage:
    stage = Stage(config)
    stage.log_on("ALPHA", "BRAVO")
    return stage


def test_sessions() -> None:
    stage = sessions(small_config(sessions=2))
    digest = state_digest(stage.exchange)
    admission = stage.exchange.admits(b"CHARLIE", b"FIXSIM", "127.0.0.1")
    assert admission.counterparty is None and admission.refusal == "no room for another session"
    assert state_digest(stage.exchange) == digest


def test_a_session_that_sleeps_and_owns_nothing_makes_way() -> None:
    stage = sessions(small_config(sessions=2))
    accepted(stage, order(b"a"))
    for name in ("ALPHA", "BRAVO"):
        stage.exchange.lose_link(stage.links[name], "gone", stage.now_ns)
    stage.log_on("CHARLIE")
    known = {member.name for member in stage.exchange.members.by_slot.values()}
    assert known == {b"ALPHA", b"CHARLIE"}, "ALPHA has an open order"
    assert stage.exchange.admits(b"BRAVO", b"FIXSIM", "127.0.0.1").counterparty is None
    assert [int(member.row["id"]) for member in stage.exchange.members.by_slot.values()] == [1, 3]
    assert state_digest(rehearsed(stage.writer.batches)) == state_digest(stage.exchange)


def test_a_session_by_name_never_makes_way() -> None:
    config = small_config(sessions=2)
    named = replace(config.counterparties[0], sender_comp_id="BRAVO")
    stage = sessions(replace(config, counterparties=(named, *config.counterparties)))
    stage.exchange.lose_link(stage.links["BRAVO"], "gone", stage.now_ns)
    assert stage.exchange.admits(b"CHARLIE", b"FIXSIM", "127.0.0.1").refusal == "no room for another session"


@pytest.mark.parametrize("count", [64, 65])
def test_a_comp_id_that_is_too_long_is_not_admitted(count: int) -> None:
    stage = Stage()
    name = "N" * count
    admission = stage.exchange.admits(name.encode(), b"FIXSIM", "127.0.0.1")
    assert (admission.counterparty is not None) == (count <= 64)
    if count <= 64:
        stage.log_on(name)
        accepted(stage, order(b"x" * 64, "10.00", b"1", b"AAPL", (50, b"r" * 100), (115, b"s" * 100), (1, b"a" * 64)), name)


def test_the_new_day_gives_everything_back_but_what_is_open() -> None:
    stage = venue(orders=16, clordid_memory=16)
    for name in numbered(b"o", 16):
        accepted(stage, [*order(name), (59, b"0" if name != b"o7" else b"1")])
    stage.tick(stage.now_ns + DAY_NS)
    core = stage.exchange.core
    assert (int(core["orders_used"]), int(core["names_used"]), int(core["levels_used"])) == (1, 1, 1)
    for name in numbered(b"n", 15):
        accepted(stage, order(name))
    refused(stage, order(b"one more"))


def test_a_link_is_one_per_session() -> None:
    stage = sessions(small_config())
    assert stage.exchange.admits(b"ALPHA", b"FIXSIM", "127.0.0.1").refusal == "already connected"
    stage.exchange.lose_link(stage.links["ALPHA"], "gone", stage.now_ns)
    assert stage.exchange.admits(b"ALPHA", b"FIXSIM", "127.0.0.1").counterparty is not None
    assert stage.exchange.open_link(Hello("ALPHA", "FIXSIM", "127.0.0.1"), stage.now_ns) == 3
