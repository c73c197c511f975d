"""Every kernel is compiled, or fetched from the cache, before the first client can ask for it: a rehearsal
on a small stage.

A tiny exchange of its own, with a journal that forgets, takes one session through every door. Nothing of it
survives.
"""

import fcntl
import time
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Final

import numpy as np

from fixsim.config import Capacities, Config, Counterparty, Instrument, Limits
from fixsim.engine.jit import CACHE_FOLDER, CACHED
from fixsim.engine.rehearse import rehearse, walk
from fixsim.engine.seals import skim
from fixsim.engine.track import Track
from fixsim.exchange.exchange import Exchange
from fixsim.exchange.payloads import Hello
from fixsim.feed.page import COUNTERS
from fixsim.fix.codec import encode
from fixsim.fix.dictionary import fix44
from fixsim.gateway import loop
from fixsim.gateway.lane import Tables, available
from fixsim.gateway.log import LOGGER
from fixsim.gateway.poller import Poller
from fixsim.journal.outbox import Outbox, Positions
from fixsim.limits import BATCH_BYTES
from fixsim.units import format_utc_timestamp

#: In the kernels' cache folder: held while they are compiled, and there when all of them are.
LOCK: Final = "compiling"
DONE: Final = "complete"
START_NS: Final = 1_700_000_000_000_000_000
NEXT_DAY_NS: Final = 86_400_000_000_000

#: MsgType and body of what the rehearsal says, `{time}` aside: each door, resting and crossing, one level
#: and several.
SCRIPT: Final = (
    (b"A", b"98=0|108=0|141=Y"),
    (b"D", b"11=1|55=STAGE|54=1|60={time}|38=10|40=2|44=9.99|59=0"),
    (b"D", b"11=2|55=STAGE|54=1|60={time}|38=10|40=2|44=9.98|59=1|1=ACCOUNT"),
    (b"D", b"11=3|55=STAGE|54=2|60={time}|38=15|40=1"),
    (b"D", b"11=4|55=STAGE|54=2|60={time}|38=90|40=2|44=9.98|59=4"),
    (b"D", b"11=5|55=STAGE|54=2|60={time}|38=5|40=2|44=10.03|59=0"),
    (b"D", b"11=6|55=STAGE|54=1|60={time}|38=2|40=2|44=10.03|59=3"),
    (b"D", b"11=6|55=STAGE|54=1|60={time}|38=2|40=2|44=10.03|59=3"),
    (b"D", b"11=7|55=NONE|54=1|60={time}|38=2|40=2|44=10.03"),
    (b"G", b"41=2|11=8|55=STAGE|54=1|60={time}|38=8|40=2|44=9.98"),
    (b"G", b"41=8|11=9|55=STAGE|54=1|60={time}|38=9|40=2|44=10.04"),
    (b"H", b"11=5|55=STAGE|54=2"),
    (b"F", b"41=5|11=10|55=STAGE|54=2|60={time}"),
    (b"F", b"41=5|11=11|55=STAGE|54=2|60={time}"),
    (b"V", b"262=1|263=0|264=0|267=2|269=0|269=1|146=1|55=STAGE"),
    (b"D", b"11=12|55=STAGE|54=1|60={time}|38=1|40=2|44=9.00|59=0"),
)

#: What gathers in a call: a market order, one for the close, and two that a halt takes out.
CALL: Final = (
    (b"D", b"11=C1|55=STAGE|54=1|60={time}|38=2|40=1"),
    (b"D", b"11=C2|55=STAGE|54=2|60={time}|38=1|40=2|44=1"),
    (b"D", b"11=C3|55=STAGE|54=1|60={time}|38=1|40=2|44=1|59=7"),
    (b"D", b"11=C4|55=STAGE|54=1|60={time}|38=1|40=2|44=0.01|18=J"),
    (b"D", b"11=C5|55=STAGE|54=1|60={time}|38=1|40=2|44=0.01|18=K"),
)
#: Under limits: taken, refused, changed, refused again, gone.
LIMITED: Final = (
    (b"D", b"11=L1|55=STAGE|54=1|60={time}|38=2|40=2|44=1"),
    (b"D", b"11=L2|55=STAGE|54=1|60={time}|38=11|40=2|44=1"),
    (b"G", b"41=L1|11=L3|55=STAGE|54=1|60={time}|38=3|40=2|44=1"),
    (b"G", b"41=L3|11=L4|55=STAGE|54=1|60={time}|38=11|40=2|44=1"),
    (b"D", b"11=L5|55=STAGE|54=2|60={time}|38=1|40=1"),
    (b"F", b"41=L3|11=L6|55=STAGE|54=1|60={time}"),
)
#: The phases it goes through.
PHASES: Final = ("opening-auction", "continuous", "halted", "continuous", "closing-auction", "closed", "continuous")


class NoJournal:
    """A journal writer that keeps nothing."""

    def __init__(self) -> None:
        self._position = 0

    def begin_batch(self) -> int:
        return self._position

    def append(self, buffer: memoryview, length: int, count: int, time_ns: int) -> int:
        self._position += length
        return self._position


class Deaf(Outbox):
    """An outbox to which nobody listens."""

    def __init__(self) -> None:
        pass

    def open(self, link: int, session: int) -> None:
        pass

    def close(self, link: int) -> None:
        pass

    def say(self, link: int, session: int, position: int) -> None:
        pass

    def say_all(self, link: int, session: int, positions: Positions) -> None:
        pass

    def release(self) -> None:
        pass


def compile_kernels(progress: Callable[[str], None]) -> None:
    """Have every kernel ready; `progress` is told when that takes long because it is the first time.

    Two processes never compile the same kernels side by side: the second waits and finds them in the cache.
    """
    began = time.monotonic()
    done = CACHE_FOLDER / DONE
    if not CACHED:
        progress(f"{CACHE_FOLDER} cannot be written: kernels are compiled at every start")
        warm_up()
    elif done.exists():
        warm_up()
    else:
        progress("compiling kernels; only the first start takes this minute")
        with (CACHE_FOLDER / LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            warm_up()
            done.touch()
        progress(f"kernels compiled in {time.monotonic() - began:.0f} s")
    LOGGER.debug("kernels ready after %.2f s", time.monotonic() - began)


def warm_up() -> None:
    """Run the rehearsal."""
    stage = Instrument("STAGE", Decimal("0.01"), Decimal(1), Decimal(1), Decimal(1_000_000))
    config = Config(
        instruments=(stage,),
        counterparties=(Counterparty("*"),),
        capacities=Capacities(orders=64, sessions=2, instruments=2, price_levels=64, clordid_memory=64),
    )
    exchange = Exchange(config, NoJournal(), Deaf(), lambda position: b"", fix44())
    exchange.start(b"{}", START_NS)
    link = exchange.open_link(Hello("WARM", "FIXSIM", "in-process"), START_NS)
    play(exchange, link, SCRIPT, 1)
    for phase in PHASES:
        exchange.command("phase", {"symbol": "STAGE", "phase": phase}, "warm-up", START_NS)
        if phase == "opening-auction":
            play(exchange, link, CALL, 1 + len(SCRIPT))
        exchange.commit()
    warm_up_limits(exchange, link)
    exchange.tick(START_NS + NEXT_DAY_NS)
    exchange.commit()
    warm_up_loop(exchange)
    warm_up_rehearsal(exchange)


def warm_up_limits(exchange: Exchange, link: int) -> None:
    """Orders that limits look at, and what becomes of somebody who says too much."""
    limits = Limits("session", "*", order_qty_max=Decimal(10), position_max=Decimal(1_000), message_rate=1_000_000)
    exchange.guard.adopt(replace(exchange.config, limits=(limits,)))
    play(exchange, link, LIMITED, 1 + len(SCRIPT) + len(CALL))
    exchange.gate.missing_ns(exchange.links[link], START_NS)


def play(exchange: Exchange, link: int, script: tuple[tuple[bytes, bytes], ...], first: int) -> None:
    """Say the messages of a script, numbered from `first` on."""
    stamp = format_utc_timestamp(START_NS, 3)
    for seq, (msg_type, body) in enumerate(script, first):
        fields = [pair.partition(b"=") for pair in body.replace(b"{time}", stamp).split(b"|")]
        header = [(49, b"WARM"), (56, b"FIXSIM"), (34, b"%d" % seq), (52, stamp)]
        frame = bytearray(encode(msg_type, header, [(int(tag), value) for tag, _, value in fields]))
        assert exchange.receive(link, frame, START_NS) == len(frame)
        assert exchange.tape.used < BATCH_BYTES
        exchange.commit()


def warm_up_loop(exchange: Exchange) -> None:
    """One turn of the compiled loop, in which nothing happens."""
    poller = Poller()
    try:
        if available(poller.epoll_descriptor()):
            tables = Tables(len(exchange.machine.sessions), np.zeros(COUNTERS.itemsize // 8, np.int64))
            tables.loop["epoll"] = poller.epoll_descriptor()
            loop.run(exchange.machine, tables, 0, True)
    finally:
        poller.close()


def warm_up_rehearsal(exchange: Exchange) -> None:
    """A journal in which nothing lies is read and carried out again."""
    track = Track()
    skim(track)
    walk(exchange.machine, track)
    rehearse(exchange.machine, track)
