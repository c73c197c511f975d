"""What `fixsim bench` was asked to do, and how repeated figures are told."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fixsim.bench.flow import FLOWS, Made, make_flow
from fixsim.bench.frames import Frames, Names, names_of, render_frames
from fixsim.config import Config

Say = Callable[[str], None]

WINDOW: Final = 1_000
ROUNDS: Final = 3
#: Session counts and symbol counts of the curves of `--comprehensive`.
SESSIONS: Final = (1, 10, 100, 1_000)
SYMBOLS: Final = (1, 10, 100, 1_000)
#: Resting orders of its curve.
RESTING: Final = (100, 1_000, 10_000, 100_000, 1_000_000)


@dataclass(frozen=True)
class Plan:
    """The workload, and what is measured of it."""

    config: Config
    #: File that `config` was read from: the exchange process reads it too.
    config_path: str
    orders: int = 200_000
    flow: str = "mix"
    sessions: int = 1
    symbols: int = 1
    rounds: int = ROUNDS
    comprehensive: bool = False
    database_url: str = "embedded"
    #: Orders and cancels that may be unanswered, all sessions together.
    window: int = WINDOW
    seed: int = 42
    #: Orders that rest before the clock starts, None for what the flow asks for.
    preload: int | None = None
    #: Operations of a latency run.
    pings: int = 20_000

    def __post_init__(self) -> None:
        assert self.flow in FLOWS

    def made(self, flow: str | None = None, sessions: int | None = None, symbols: int | None = None) -> Made:
        """The flow, here for `sessions` and `symbols`."""
        symbols = symbols or self.symbols
        lots_max = self.names(symbols).lots_max
        return make_flow(flow or self.flow, self.orders, sessions or self.sessions, symbols, self.seed, lots_max, self.preload)

    def names(self, symbols: int | None = None) -> Names:
        """Symbols and grid."""
        return names_of(self.config, symbols or self.symbols)

    def frames(self, made: Made, sessions: int, symbols: int, stamp: bytes) -> Frames:
        """The flow as FIX."""
        return render_frames(made, self.names(symbols), sessions, stamp)


def spread(values: Sequence[float], digits: int = 0) -> dict[str, Any]:
    """Median, lowest and highest of rounds, and their range in per cent of the median."""
    middle = statistics.median(values)

    def shown(value: float) -> float:
        return round(value, digits) if digits else round(value)

    noise = 100 * (max(values) - min(values)) / middle if middle else 0.0
    return {
        "median": shown(middle), "lowest": shown(min(values)), "highest": shown(max(values)),
        "noise_percent": round(noise, 1), "rounds": len(values),
    }  # fmt: skip
