"""What the shadow shows of itself: how far it is and what it found, on a page of its own beside the exchange's counters."""

import time
from pathlib import Path
from typing import Final

from fixsim.errors import FixsimError
from fixsim.exchange.shadow import Shadow
from fixsim.feed.mapped import SHADOW_NAME, PageWriter
from fixsim.feed.page import SHADOW
from fixsim.layout import NIL

#: How often the page is brought up to date.
TOUCH_S: Final = 0.05


class Gauge:
    """The writer of the shadow's page."""

    def __init__(self, data_dir: Path, standby: bool) -> None:
        """Make the page. Raises OSError."""
        self._page = PageWriter(data_dir / SHADOW_NAME, SHADOW, time.time_ns())
        self._row = self._page.row
        self._row["divergence"] = self._row["snapshot_position"] = NIL
        self._row["standby"] = standby

    def follows(self, shadow: Shadow) -> None:
        """So far everything is equal."""
        self._row["position"], self._row["records"], self._row["inbound"] = shadow.position, shadow.records, shadow.inbound
        self._page.touch(time.time_ns())

    def diverged(self, position: int) -> None:
        """The record at `position` differs."""
        self._row["divergence"] = position
        self._page.touch(time.time_ns())

    def begins_with(self, position: int) -> None:
        """The newest good snapshot there is stands at `position`, NIL for none."""
        self._row["snapshot_position"] = position

    def took_snapshot(self, position: int, took_s: float) -> None:
        """One was taken."""
        self._row["snapshot_position"], self._row["snapshot_ns"] = position, time.time_ns()
        self._row["snapshots"] += 1
        self._row["snapshot_took_ns"] += int(took_s * 1e9)
        self._page.touch(time.time_ns())

    def failed(self, error: FixsimError) -> None:
        """The system refused one."""
        self._row["snapshot_failures"] += 1
        self._page.touch(time.time_ns())

    def close(self) -> None:
        """The shadow has ended in good order."""
        self._page.close()
