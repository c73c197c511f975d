"""How the processes run on their machine; nothing here changes what the exchange answers."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from fixsim.config.checks import between

#: Highest number a processor may have.
PROCESSOR_MAX: Final = 1_023


def _processors(value: Iterable[int]) -> str | None:
    numbers = list(value)
    wrong = [number for number in numbers if not 0 <= number <= PROCESSOR_MAX]
    if wrong:
        return f"has {wrong[0]}, expected numbers from 0 to {PROCESSOR_MAX}"
    return "names a processor twice" if len(set(numbers)) < len(numbers) else None


@dataclass(frozen=True)
class CpuAffinity:
    """`cpu_affinity` of `[process]`: processors each process may run on, by number; empty for all of them."""

    #: The loop of the exchange; its helper threads keep to all processors.
    exchange: tuple[int, ...] = field(default=(), metadata={"check": _processors})
    shipper: tuple[int, ...] = field(default=(), metadata={"check": _processors})
    console: tuple[int, ...] = field(default=(), metadata={"check": _processors})
    shadow: tuple[int, ...] = field(default=(), metadata={"check": _processors})


@dataclass(frozen=True)
class Process:
    """`[process]`: where the processes run, and how the exchange's waits and keeps its memory."""

    cpu_affinity: CpuAffinity = CpuAffinity()
    #: The loop asks again and again instead of sleeping: one processor is always busy.
    busy_poll: bool = False
    #: Large tables lie in huge pages where the system has them.
    huge_pages: bool = True
    #: Memory of the tables is fetched from the system at the start, not when it is first used.
    populate: bool = False


@dataclass(frozen=True)
class StreetSettings:
    """`[street]`: options of the FIX sockets; 0 leaves one to the system."""

    #: Connections that may wait to be accepted.
    backlog: int = field(default=1_024, metadata=between(1, 65_535))
    #: TCP_NODELAY: small segments go out at once.
    no_delay: bool = True
    #: SO_RCVBUF and SO_SNDBUF of each connection.
    receive_buffer_bytes: int = field(default=0, metadata=between(0, 1 << 30))
    send_buffer_bytes: int = field(default=0, metadata=between(0, 1 << 30))
    #: SO_BUSY_POLL: how long the system itself asks the network card before it sleeps.
    busy_poll_us: int = field(default=0, metadata=between(0, 1_000))


@dataclass(frozen=True)
class ShadowSettings:
    """`[shadow]`: the process that replays the journal as it grows, and takes snapshots."""

    #: Whether `fixsim serve` starts it; `--shadow` does too.
    enabled: bool = False
    #: A snapshot is taken when something is new and this time has passed since the last one,
    snapshot_interval_s: float = field(default=300.0, metadata=between(1, 86_400))
    #: or when so much journal is new.
    snapshot_interval_bytes: int = field(default=1 << 30, metadata=between(1 << 20, 1 << 44))
    #: Snapshots kept; the oldest make way.
    keep: int = field(default=3, metadata=between(1, 1_000))


@dataclass(frozen=True)
class Console:
    """`[console]`: the process that shows metrics over HTTP on this machine."""

    enabled: bool = True
    #: On 127.0.0.1; 0 picks a free one, which the file `console` in the data directory names.
    port: int = field(default=9_879, metadata=between(0, 65_535))
