"""An exchange in this process, without sockets: sessions that have logged on, and a way to feed them.

With a journal that forgets it is the kernels' stage; with a real one it is the exchange less its gateway.
"""

import time
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fixsim.bench.frames import Frames, Names, sender
from fixsim.config import Config
from fixsim.errors import VenueError
from fixsim.exchange.exchange import Exchange
from fixsim.exchange.opening import Opened, open_venue
from fixsim.exchange.payloads import Hello
from fixsim.fix.codec import encode
from fixsim.fix.dictionary import fix44
from fixsim.gateway.warmup import Deaf, NoJournal
from fixsim.limits import TURN_BYTES_MAX
from fixsim.units import format_utc_timestamp

#: What one session may bring in one turn.
CHUNK_BYTES: Final = TURN_BYTES_MAX


class Stage:
    """An exchange with `sessions` logged on at `now_ns`; all that follows happens at that instant."""

    def __init__(self, config: Config, names: Names, sessions: int, now_ns: int, data_dir: Path | None = None) -> None:
        self.now_ns = now_ns
        self.opened: Opened | None = None
        if data_dir is None:
            self.exchange = Exchange(config, NoJournal(), Deaf(), lambda position: b"", fix44())
            self.exchange.start(b"{}", now_ns)
        else:
            self.opened = open_venue(config, data_dir, now_ns)
            self.exchange = self.opened.exchange
        self.links = [self._log_on(sender(session), names.venue) for session in range(sessions)]
        #: Seconds inside the journal's `append`, when `time_journal` was called.
        self.journal_s = 0.0

    def _log_on(self, name: bytes, venue: bytes) -> int:
        hello = Hello(name.decode(), venue.decode(), "in-process")
        link = self.exchange.open_link(hello, self.now_ns)
        stamp = format_utc_timestamp(self.now_ns, 3)
        frame = encode(b"A", [(49, name), (56, venue), (34, b"1"), (52, stamp)], [(98, b"0"), (108, b"0")])
        self.exchange.receive(link, bytearray(frame), self.now_ns)
        self.exchange.commit()
        self._send(link)
        return link

    def _send(self, link: int) -> None:
        """Take what is owed to a link, as a socket that is never full."""
        if self.opened is not None:
            self.exchange.outbox.send(link, lambda parts: sum(map(len, parts)))

    def slot(self, session: int) -> int:
        """Row of a session in the machine."""
        return int(self.exchange.links[self.links[session]].slot)

    def time_journal(self) -> None:
        """Add up from now on what the journal's `append` takes."""
        writer: Any = self.exchange.tape.writer
        append = writer.append

        def timed(*arguments: Any) -> int:
            before = time.perf_counter()
            try:
                return int(append(*arguments))
            finally:
                self.journal_s += time.perf_counter() - before

        writer.append = timed

    def feed(self, session: int, octets: npt.NDArray[np.uint8]) -> None:
        """Whole frames of one session, in helpings as the gateway takes them. Raises VenueError if some are left."""
        link, at, kept = self.links[session], 0, bytearray()
        while at < len(octets):
            taken = octets[at : at + CHUNK_BYTES - len(kept)]
            at += len(taken)
            kept += taken.data
            used = self.exchange.receive(link, kept, self.now_ns)
            del kept[:used]
            self.exchange.commit()
            self._send(link)
            if used == 0:
                break
        if kept or at < len(octets):
            raise VenueError(f"{len(kept) + len(octets) - at} bytes of frames were not taken")

    def feed_preload(self, frames: Frames) -> None:
        """The first part of every session."""
        for session in range(len(self.links)):
            begin = frames.first[session]
            self.feed(session, frames.octets[frames.starts[begin] : frames.starts[begin + frames.preload[session]]])

    def close(self) -> None:
        """Let go of the journal."""
        if self.opened is not None:
            self.opened.writer.close()
