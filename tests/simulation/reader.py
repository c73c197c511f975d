"""Readers of the journal: the shipper without a database (rows and cursor in one transaction, into a list), and the shadow.

It gathers with the real `audit.source`, reads what COPY would send, and dies between any two shipments; what its ledger holds
is a prefix of the journal, each message once.
"""

import struct
from pathlib import Path
from random import Random

from fixsim.audit.source import Cursor, Source
from fixsim.errors import ShippingError
from fixsim.exchange.digest import state_digest
from fixsim.exchange.shadow import Shadow
from fixsim.exchange.snapshots import Snapshots, snapshots_directory
from fixsim.exchange.walker import skimmer
from fixsim.fix.dictionary import fix44
from fixsim.journal.reader import Reader
from fixsim.journal.segments import journal_directory
from simulation.scribe import Scribe

#: What COPY's binary form begins with.
BEGIN_BYTES = 19


class Shipper:
    """A reader of the journal whose rows and cursor outlive it."""

    def __init__(self, directory: Path, chance: Random) -> None:
        self._directory, self._chance = directory, chance
        self._source: Source | None = None
        self.cursor = Cursor(0, 0, 0, None, None, None, 0)
        self.names: dict[int, bytes] = {}
        #: Bytes of each message shipped, by position and part.
        self.rows: dict[tuple[int, int], bytes] = {}
        #: The machine lost what was shipped already: nothing more can be, and it says so.
        self.estranged = False

    def die(self) -> None:
        """The process is gone; the ledger stays."""
        self._source = None

    def work(self, scribe: Scribe, until_done: bool = False) -> None:
        """Ship some of what is there, or all of it; compare the ledger with what the journal was seen to hold."""
        if self.estranged:
            return
        try:
            if self._source is None:
                self._source = Source(Reader(self._directory), self.cursor, self.names)
                self._source.check()
            while (until_done or self._chance.random() < 0.7) and (shipment := self._source.next()) is not None:
                if not until_done and self._chance.random() < 0.1:
                    self.die()  # in the middle of a transaction: neither rows nor cursor
                    return
                assert shipment.before == self.cursor, "the shipper goes on somewhere else than it stopped"
                self._take(shipment.messages)
                self.names.update(shipment.names)
                self.cursor = shipment.after
        except ShippingError:
            self.estranged = True
            return
        self._compare(scribe, until_done)

    def _take(self, copied: bytes) -> None:
        at, end = BEGIN_BYTES, len(copied) - 2
        while at < end:
            (columns,) = struct.unpack_from(">h", copied, at)
            at, values = at + 2, []
            for _ in range(columns):
                (length,) = struct.unpack_from(">i", copied, at)
                values.append(copied[at + 4 : at + 4 + max(0, length)])
                at += 4 + max(0, length)
            key = int.from_bytes(values[0], "big"), int.from_bytes(values[1], "big")
            assert key not in self.rows, f"the message at {key} was shipped twice"
            self.rows[key] = values[-1]

    def _is_shipped(self, position: int, part: int) -> bool:
        """Does the cursor say so?"""
        behind = position == self.cursor.position and 1 <= part <= self.cursor.part
        return position < self.cursor.position or behind

    def _compare(self, scribe: Scribe, everything: bool) -> None:
        """The ledger is a prefix of the journal."""
        assert self.cursor.messages == len(self.rows)
        expected = {key: frame for key, frame in scribe.rows() if self._is_shipped(*key)}
        odd = sorted(self.rows.keys() ^ expected.keys())
        assert not odd, f"shipped rows are no prefix of the journal: {odd[:3]}, cursor {self.cursor}"
        different = [key for key, frame in expected.items() if frame is not None and self.rows[key] != frame]
        assert not different, f"shipped rows differ from the journal at {different[:3]}"
        if everything:
            assert self.cursor.batch == scribe.story.end, "not everything was shipped"


class Shade:
    """The shadow, as often as the world lets it look: it carries out what is there, and takes a snapshot."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._snapshots = Snapshots(snapshots_directory(directory))

    def work(self, digests: dict[int, str]) -> None:
        """From the newest good snapshot on to the end; the state there is the exchange's own."""
        reader = Reader(journal_directory(self._directory), skimmer())
        shadow = Shadow.open(reader, self._snapshots, fix44(), lambda: False, lambda text: None)
        if shadow is None:
            return
        while shadow.turn():
            pass
        place = shadow.place
        assert place is not None, "the shadow stands in the middle of an order"
        expected = digests.get(place.position)
        assert expected in (None, state_digest(shadow.exchange)), f"the shadow at {place.position} is another exchange"
        self._snapshots.write(shadow.exchange, place, 2)
