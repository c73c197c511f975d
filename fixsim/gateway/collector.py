"""The garbage collector while the loop runs: what was there at the start is left out of it.

Everything a turn drops is freed at once, by counting; the collector is for rings of objects, which the loop hardly makes. But
each of its passes over the oldest generation walks whatever the process ever imported (figures in docs/observability.md), in
the middle of a turn. So the heap of the start is frozen, and passes come more rarely.
"""

import gc
from typing import Final

#: Objects made and not dropped until the youngest generation is looked at, and passes of a generation until the next older one.
THRESHOLDS: Final = (50_000, 20, 50)

_usual: Final = gc.get_threshold()


def calm_collector() -> None:
    """Collect once, freeze what is left, and collect rarely from now on."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)


def restore_collector() -> None:
    """As Python has it by itself."""
    gc.unfreeze()
    gc.set_threshold(*_usual)
