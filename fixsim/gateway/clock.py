"""Venue time: wall time at the start plus what the monotonic clock says has passed; slewed, never stepped."""

import time
from collections.abc import Callable
from typing import Final

#: Fastest correction towards wall time, in parts per million of elapsed time.
SLEW_PPM_MAX: Final = 500
#: Corrections are looked at this often.
SLEW_INTERVAL_NS: Final = 1_000_000_000


class Clock:
    """Gives ns since 1970 UTC that never go back and never jump, whatever happens to the wall clock."""

    def __init__(
        self,
        not_before_ns: int = 0,
        wall_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._wall_ns, self._monotonic_ns = wall_ns, monotonic_ns
        self._anchor_ns = monotonic_ns()
        self._venue_ns = max(wall_ns(), not_before_ns)
        self._rate_ppm = 0

    def line(self) -> tuple[int, int, int, int]:
        """Venue time until its next correction: monotonic and venue time at its begin, rate in ppm, venue time at its end."""
        self.now_ns()
        end = self._venue_ns + SLEW_INTERVAL_NS + SLEW_INTERVAL_NS * self._rate_ppm // 1_000_000
        return self._anchor_ns, self._venue_ns, self._rate_ppm, end

    def now_ns(self) -> int:
        """Venue time, ns since 1970 UTC."""
        elapsed = self._monotonic_ns() - self._anchor_ns
        if elapsed >= SLEW_INTERVAL_NS:
            self._slew(elapsed)
            return self._venue_ns
        return self._venue_ns + elapsed + elapsed * self._rate_ppm // 1_000_000

    def _slew(self, elapsed: int) -> None:
        """Start a new interval; its rate takes back as much of the difference to wall time as is allowed."""
        self._venue_ns += elapsed + elapsed * self._rate_ppm // 1_000_000
        self._anchor_ns += elapsed
        wanted_ppm = (self._wall_ns() - self._venue_ns) * 1_000_000 // SLEW_INTERVAL_NS
        self._rate_ppm = max(-SLEW_PPM_MAX, min(SLEW_PPM_MAX, wanted_ppm))
