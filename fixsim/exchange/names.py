"""Phases by the names people use."""

from typing import Final

from fixsim.layout import Phase

PHASES: Final = {
    "continuous": Phase.CONTINUOUS,
    "halted": Phase.HALTED,
    "pre-open": Phase.PRE_OPEN,
    "opening-auction": Phase.OPENING_AUCTION,
    "volatility-auction": Phase.VOLATILITY_AUCTION,
    "closing-auction": Phase.CLOSING_AUCTION,
    "at-last": Phase.AT_LAST,
    "closed": Phase.CLOSED,
}
NAMES: Final = {phase: name for name, phase in PHASES.items()}
