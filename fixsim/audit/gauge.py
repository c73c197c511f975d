"""What the shipper shows of itself: how far it is, on a page of its own beside the exchange's counters."""

import time
from pathlib import Path

from fixsim.audit.source import Cursor
from fixsim.feed.mapped import SHIPPING_NAME, PageWriter
from fixsim.feed.page import SHIPPING


class Gauge:
    """The writer of the shipper's page."""

    def __init__(self, data_dir: Path) -> None:
        """Make the page. Raises OSError."""
        self._page = PageWriter(data_dir / SHIPPING_NAME, SHIPPING, time.time_ns())
        self._row = self._page.row

    def shipped(self, cursor: Cursor, transactions: int = 1) -> None:
        """The database is filled up to `cursor`."""
        row = self._row
        row["batch"], row["messages"], row["last_time_ns"] = cursor.batch, cursor.messages, cursor.last_time_ns or 0
        row["transactions"] += transactions
        self._page.touch(time.time_ns())

    def failed(self) -> None:
        """The database or the journal did not let us."""
        self._row["failures"] += 1
        self._page.touch(time.time_ns())

    def database(self, pid: int | None) -> None:
        """First process of the embedded server, None for none that is known."""
        self._row["database_pid"] = pid or 0

    def close(self) -> None:
        """The shipper has ended in good order."""
        self._page.close()
