"""The flows of the benchmark: what they say must be answered is what an independent book answers."""

from decimal import Decimal

import numpy as np
import pytest
from sortedcontainers import SortedDict

from fixsim.bench.flow import (
    BUY,
    CANCEL,
    CANCELS,
    FLOWS,
    NEW,
    NEWS,
    PER_SYMBOL,
    TRADED,
    TRADES,
    Made,
    make_flow,
)
from fixsim.bench.frames import names_of, render_frames, sender
from fixsim.config import default_config, load, packaged
from fixsim.errors import UsageError
from fixsim.fix import tags
from fixsim.fix.codec import decode

LOAD = load(packaged("load.toml"))
CASES = [(name, sessions, symbols) for name in FLOWS for sessions in (1, 7) for symbols in (1, 3)]


def counted(made: Made) -> tuple[int, int, int, int]:
    """New, canceled, trade reports and traded lots of a flow, by a book of sorted dicts."""
    flow, sides = made.flow, {}
    news = cancels = trades = traded = 0
    left: dict[int, int] = {}
    for i in range(flow.kind.size):
        book, side, price = int(flow.symbol[i]), int(flow.side[i]), int(flow.price[i])
        if flow.kind[i] == CANCEL:
            assert left.pop(int(flow.orig[i])) > 0
            cancels += 1
            continue
        news += 1
        lots, sign = int(flow.lots[i]), 1 if side == BUY else -1
        others = sides.setdefault((book, -sign), SortedDict())
        while lots and others:
            key, queue = others.peekitem(0)
            if sign * abs(key) > sign * price:
                break
            while queue and not left.get(queue[0]):
                queue.pop(0)
            if not queue:
                others.popitem(0)
                continue
            fill = min(lots, left[queue[0]])
            lots -= fill
            left[queue[0]] -= fill
            trades, traded = trades + 2, traded + 2 * fill
            if not left[queue[0]]:
                del left[queue[0]]
        if lots:
            sides.setdefault((book, sign), SortedDict()).setdefault(-sign * price, []).append(i)
            left[i] = lots
    return news, cancels, trades, traded


@pytest.mark.parametrize(("name", "sessions", "symbols"), CASES)
def test_a_flow_expects_what_another_book_answers(name: str, sessions: int, symbols: int) -> None:
    made = make_flow(name, 3_000, sessions, symbols)
    total = made.expected.sum(axis=0)
    assert counted(made) == tuple(int(total[row]) for row in (NEWS, CANCELS, TRADES, TRADED))
    assert made.flow.kind.size == made.preload + 3_000


@pytest.mark.parametrize(("name", "sessions", "symbols"), CASES)
def test_every_symbol_is_in_the_first_orders(name: str, sessions: int, symbols: int) -> None:
    flow = make_flow(name, 100, sessions, symbols).flow
    assert set(flow.symbol[: PER_SYMBOL * symbols].tolist()) == set(range(symbols))


def test_the_mix_is_near_its_shares() -> None:
    made = make_flow("mix", 20_000, 1, 1)
    crossing = int(made.expected[1][TRADES]) // 2
    assert 0.40 < made.cancels / 20_000 < 0.46
    assert 0.05 < crossing / 20_000 < 0.20


def test_a_cancel_goes_to_the_session_of_its_order() -> None:
    flow = make_flow("mix", 5_000, 7, 2).flow
    cancels = np.flatnonzero(flow.kind == CANCEL)
    assert cancels.size and (flow.session[cancels] == flow.session[flow.orig[cancels]]).all()


def test_one_seed_is_one_flow() -> None:
    first, again, other = (make_flow("mix", 500, 1, 1, seed) for seed in (1, 1, 2))
    assert all((a == b).all() for a, b in zip(first.flow, again.flow, strict=True))
    assert any((a != b).any() for a, b in zip(first.flow, other.flow, strict=True))


def test_frames_are_whole_and_say_what_the_flow_says() -> None:
    names, made = names_of(LOAD, 2), make_flow("mix", 300, 3, 2)
    frames = render_frames(made, names, 3, b"20260101-12:00:00.000")
    for session in range(3):
        mine = np.flatnonzero(made.flow.session == session)
        assert frames.first[session + 1] - frames.first[session] == mine.size
        for k, i in enumerate(mine):
            j = frames.first[session] + k
            message = decode(bytes(frames.octets[frames.starts[j] : frames.starts[j + 1]]))
            assert message.msg_type == (b"D" if made.flow.kind[i] == NEW else b"F")
            assert message.get(tags.SENDER_COMP_ID) == sender(session)
            assert message.get_int(tags.MSG_SEQ_NUM) == k + 2
            assert message.get(tags.CL_ORD_ID) == b"O%08d" % i
            assert message.get_int(tags.ORDER_QTY) == made.flow.lots[i]
            if message.msg_type == b"D":
                price = Decimal((message.get(tags.PRICE) or b"").decode())
                assert price * 100 == names.grid.lowest + int(made.flow.price[i])


def test_a_configuration_that_cannot_carry_the_load_is_refused() -> None:
    with pytest.raises(UsageError, match="house"):
        names_of(default_config(), 1)
    with pytest.raises(UsageError, match="--symbols 5000"):
        names_of(LOAD, 5_000)
    with pytest.raises(UsageError, match="--flow sweep"):
        make_flow("sweep", 10, 1, 1)
