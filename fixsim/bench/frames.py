"""A flow as FIX 4.4: every frame of every session in one buffer, finished before a clock starts."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from fixsim.bench.flow import CANCEL, MIDDLE, Made
from fixsim.config import Config, Instrument
from fixsim.engine.jit import kernel
from fixsim.errors import UsageError

SOH = 1
#: ClOrdID(11) of operation 7 is O00000007.
ID_BYTES = 9
#: No frame of ours is longer.
FRAME_BYTES_MAX: Final = 320
#: Where the first byte that BodyLength(9) counts lies: the length has three digits.
BODY_AT = 16
#: Price(44) of MIDDLE where the configuration has no reference price, in ticks.
DEFAULT_TICKS: Final = 10_000


class Grid(NamedTuple):
    """How prices and quantities of all instruments of a run are written: mantissas of 10**-decimals."""

    tick: int
    price_decimals: int
    lot: int
    qty_decimals: int
    #: Ticks of the lowest price of the flow.
    lowest: int


@dataclass(frozen=True)
class Names:
    """What a flow is about: an exchange's symbols and its name."""

    venue: bytes
    symbols: tuple[bytes, ...]
    grid: Grid
    lots_max: int


def names_of(config: Config, symbols: int) -> Names:
    """`symbols` instruments of `config` that have one tick and lot size. Raises UsageError when it has not so many."""
    if config.house is not None:
        raise UsageError("the configuration has a [house], whose quotes would meet the orders of the benchmark")
    first = config.instruments[0]
    same = [one for one in config.instruments if _shape(one) == _shape(first)]
    listed: list[str] = []
    for one in same:
        listed += [f"{one.symbol[:-1]}{i:03d}" for i in range(symbols)] if one.is_pattern else [one.symbol]
    if len(listed) < symbols or symbols > config.capacities.instruments:
        raise UsageError(f"--symbols {symbols}: the configuration has {min(len(listed), config.capacities.instruments)}")
    lot = int(first.lot_size.scaleb(first.qty_decimals))
    ticks = DEFAULT_TICKS if first.reference_price is None else int(first.reference_price / first.tick_size)
    grid = Grid(first.tick_mantissa, first.price_decimals, lot, first.qty_decimals, ticks - MIDDLE)
    lots_max = int(min(one.max_qty / one.lot_size for one in same))
    return Names(config.venue.comp_id.encode(), tuple(name.encode() for name in listed[:symbols]), grid, lots_max)


def _shape(one: Instrument) -> tuple[Decimal, Decimal]:
    return one.tick_size, one.lot_size


class Frames(NamedTuple):
    """What the sessions send, one after the other: frame `j` lies from `starts[j]` to `starts[j + 1]`."""

    octets: npt.NDArray[np.uint8]
    starts: npt.NDArray[np.int64]  # [operations + 1]
    #: int64[sessions + 1]: the frames of session s are first[s] to first[s + 1].
    first: npt.NDArray[np.int64]
    #: int64[sessions]: how many of them belong to the preload.
    preload: npt.NDArray[np.int64]


@kernel
def put_text(out, at, text):
    """Copy `text`; return the offset behind it."""
    for octet in text:
        out[at] = octet
        at += 1
    return at


@kernel
def put_number(out, at, value, digits):
    """At least `digits` digits of `value`."""
    width, rest = 1, value // 10
    while rest > 0:
        width, rest = width + 1, rest // 10
    width = max(width, digits)
    for i in range(at + width - 1, at - 1, -1):
        out[i] = 48 + value % 10
        value //= 10
    return at + width


@kernel
def put_decimal(out, at, mantissa, decimals):
    """`mantissa` x 10**-decimals."""
    scale = 1
    for _ in range(decimals):
        scale *= 10
    at = put_number(out, at, mantissa // scale, 1)
    if decimals > 0:
        out[at] = 46
        at = put_number(out, at + 1, mantissa % scale, decimals)
    return at


@kernel
def put_tag(out, at, tag):
    """SOH, the tag and its equals sign."""
    out[at] = SOH
    at = put_number(out, at + 1, tag, 1)
    out[at] = 61
    return at + 1


@kernel
def put_id(out, at, number):
    """ClOrdID of an operation."""
    out[at] = 79
    return put_number(out, at + 1, number, ID_BYTES - 1)


@kernel
def render(flow, order, first, begin_number, heads, head_lengths, symbols, symbol_lengths, stamp, texts, grid, out, starts):
    """Write all frames, session by session; return where the last one ends.

    `heads` has MsgType(35) and CompIDs of each session, `texts` is the beginning of a frame.
    """
    at = np.int64(0)
    for session in range(first.size - 1):
        for j in range(first[session], first[session + 1]):
            i = order[j]
            starts[j] = begin = at
            at = put_text(out, begin, texts)
            at = put_text(out, at, heads[session, : head_lengths[session]])
            cancels = flow.kind[i] == CANCEL
            out[begin + BODY_AT + 3] = 70 if cancels else 68
            at = put_number(out, put_tag(out, at, 34), j - first[session] + begin_number, 1)
            at = put_text(out, put_tag(out, at, 52), stamp)
            at = put_id(out, put_tag(out, at, 11), i)
            if cancels:
                at = put_id(out, put_tag(out, at, 41), flow.orig[i])
            book = flow.symbol[i]
            at = put_text(out, put_tag(out, at, 55), symbols[book, : symbol_lengths[book]])
            at = put_tag(out, at, 54)
            out[at] = flow.side[i]
            at = put_text(out, put_tag(out, at + 1, 60), stamp)
            at = put_decimal(out, put_tag(out, at, 38), flow.lots[i] * grid.lot, grid.qty_decimals)
            if not cancels:
                at = put_number(out, put_tag(out, at, 40), 2, 1)
                at = put_decimal(out, put_tag(out, at, 44), (grid.lowest + flow.price[i]) * grid.tick, grid.price_decimals)
                at = put_number(out, put_tag(out, at, 59), 0, 1)
            out[at] = SOH
            at += 1
            put_number(out, begin + BODY_AT - 4, at - begin - BODY_AT, 3)
            total = np.int64(0)
            for k in range(begin, at):
                total += out[k]
            out[at], out[at + 1], out[at + 2] = 49, 48, 61
            at = put_number(out, at + 3, total & 255, 3)
            out[at] = SOH
            at += 1
    starts[first[-1]] = at
    return at


def _table(texts: list[bytes]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Texts as rows of one array, and their lengths."""
    lengths = np.array([len(text) for text in texts], np.int64)
    rows: npt.NDArray[Any] = np.zeros((len(texts), int(lengths.max())), np.uint8)
    for row, text in zip(rows, texts, strict=True):
        row[: len(text)] = np.frombuffer(text, np.uint8)
    return rows, lengths


def sender(session: int) -> bytes:
    """SenderCompID(49) of a session."""
    return b"LOAD%d" % (session + 1)


def render_frames(made: Made, names: Names, sessions: int, stamp: bytes) -> Frames:
    """All frames of a flow, each session's from MsgSeqNum(34) 2 on (1 is its Logon), sent at `stamp`."""
    flow = made.flow
    order = np.argsort(flow.session, kind="stable")
    first = np.searchsorted(flow.session[order], np.arange(sessions + 1)).astype(np.int64)
    preload = np.bincount(flow.session[: made.preload], minlength=sessions).astype(np.int64)
    heads, head_lengths = _table([b"35=D\x0149=%s\x0156=%s" % (sender(s), names.venue) for s in range(sessions)])
    symbols, symbol_lengths = _table(list(names.symbols))
    out = np.empty(flow.kind.size * FRAME_BYTES_MAX, np.uint8)
    starts = np.zeros(flow.kind.size + 1, np.int64)
    texts = np.frombuffer(b"8=FIX.4.4\x019=000\x01", np.uint8)
    text = np.frombuffer(stamp, np.uint8)
    end = render(
        flow, order, first, 2, heads, head_lengths, symbols, symbol_lengths, text, texts, names.grid, out, starts
    )  # fmt: skip
    return Frames(out[:end].copy(), starts, first, preload)
