"""What the loop tells its page of counters: a handful of plain stores per turn, and no system call.

The loop says `woke` after its wait, `lap` when a stage is done, `turn` at its end. Stages are timed in one turn of
STAGES_EACH, and in all of them for a while after a pause that nothing explains. The exchange's tape says `recorded` for what
plain Python writes and `sealed` for each batch; what kernels wrote is the difference, and the ids they gave are in the
machine's own row. All of it is on the page PUBLISH_NS later.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from fixsim.engine import meter as kernels
from fixsim.engine.machine import Machine
from fixsim.feed.mapped import COUNTERS_NAME, PageWriter
from fixsim.feed.page import (
    BUCKETS,
    COUNTERS,
    GAP_NS,
    HISTOGRAM,
    REASONS,
    REFUSALS,
    STAGES,
    VALUE_BITS,
    VALUE_MAX,
    word_of,
)
from fixsim.fix.enums import MsgType
from fixsim.gateway.gaps import GapMeter, Pause, late_by_ns
from fixsim.gateway.log import LOGGER
from fixsim.layout import CORE, NEVER, Kind

# the room of kernels does not know the page; both must mean the same
assert (kernels.VALUE_BITS, kernels.VALUE_MAX, kernels.BUCKETS) == (VALUE_BITS, VALUE_MAX, BUCKETS)

#: Stages of a turn for `lap`, as on the page; ELSEWHERE is what belongs to none. Going to the next segment comes last in a
#: turn, behind the last lap.
READ, FRAMES, WRITE, SEND, ELSEWHERE = range(len(STAGES) + 1)
#: One turn in so many is timed by stage.
STAGES_EACH: Final = 8
#: How long all of them are, after a pause that was put down to nothing.
CLOSE_LOOK_NS: Final = 10_000_000_000
#: Turns and batches that are kept until they are put into their histograms together.
ROWS_MAX: Final = 64
#: How old a figure may be that is not counted where it happens.
PUBLISH_NS: Final = 50_000_000

ORDERS: Final = word_of(COUNTERS, "orders")
TRADES: Final = word_of(COUNTERS, "trades")
EXECUTIONS: Final = word_of(COUNTERS, "executions")
MESSAGES_IN: Final = word_of(COUNTERS, "messages_in")
MESSAGES_OUT: Final = word_of(COUNTERS, "messages_out")
GARBLED: Final = word_of(COUNTERS, "garbled")
SEQUENCE_GAPS: Final = word_of(COUNTERS, "sequence_gaps")
RESENDS: Final = word_of(COUNTERS, "resends")
LOGOUTS: Final = word_of(COUNTERS, "logouts")
SLOW_FRAMES: Final = word_of(COUNTERS, "slow_frames")
JOURNAL_POSITION: Final = word_of(COUNTERS, "journal_position")
JOURNAL_BYTES: Final = word_of(COUNTERS, "journal_bytes")
ROTATIONS: Final = word_of(COUNTERS, "rotations")
BATCHES: Final = word_of(COUNTERS, "batches")
TURNS: Final = word_of(COUNTERS, "turns")
TURNS_WITH_MESSAGES: Final = word_of(COUNTERS, "turns_with_messages")
#: The histograms, for the kernel: where the first one is, and how far apart they are.
HISTOGRAMS: Final = word_of(COUNTERS, "batch_records")
STAGE_HISTOGRAMS: Final = word_of(COUNTERS, "stages")
WIDTH: Final = HISTOGRAM.itemsize // 8
IN_ORDER: Final = ("batch_records", "batch_bytes", "turn", "latency")
assert [word_of(COUNTERS, name) for name in IN_ORDER] == [HISTOGRAMS + place * WIDTH for place in range(len(IN_ORDER))]
assert word_of(COUNTERS, "stages", 1) == STAGE_HISTOGRAMS + WIDTH

#: Counters of what we say by its MsgType(35).
SAID: Final = {MsgType.RESEND_REQUEST: SEQUENCE_GAPS, MsgType.LOGOUT: LOGOUTS}
#: Place of the first reason and the mark in front of it, for each MsgType(35) that can refuse.
REFUSED: Final = {
    msg_type: (word_of(COUNTERS, "rejects") + REASONS * place, b"\x01" + tag + b"=")
    for place, (msg_type, tag, _) in enumerate(REFUSALS.values())
}
#: States of the machine, and where in its row they are.
ORDER_ID, EXEC_ID, MATCH_ID = (word_of(CORE, name) for name in ("order_id", "exec_id", "match_id"))


class Watched(Protocol):
    """What the meter reads of an exchange."""

    @property
    def machine(self) -> Machine:
        """Its tables."""

    @property
    def links(self) -> dict[int, Any]:
        """Sessions that are connected."""


class Journal(Protocol):
    """What the meter reads of the journal's writer."""

    position: int
    segment_bytes: int


class Meter:
    """The writer of the exchange's page."""

    def __init__(
        self, data_dir: Path, exchange: Watched, journal: Journal, shipper_pid: Callable[[], int | None] = lambda: None
    ) -> None:
        """Make the page; what was recovered before is not counted. Raises OSError."""
        self.page = PageWriter(data_dir / COUNTERS_NAME, COUNTERS, time.time_ns())
        self._view, self._words = self.page.view, self.page.words
        self._exchange, self._journal = exchange, journal
        self._core = exchange.machine.core.view(np.int64).data
        self._begin = (self._core[ORDER_ID], self._core[EXEC_ID], self._core[MATCH_ID])
        self._exec_id = self._core[EXEC_ID]
        self._spent = np.zeros(ELSEWHERE + 1, np.int64)
        self._stages, self._laps = self._spent[: len(STAGES)], self._spent.data
        self.gaps = GapMeter(self._view, shipper_pid, LOGGER.debug)
        #: Not on the page yet: turns, those with messages, messages in and out, batches and their bytes.
        self._turns = self._turns_with_messages = self._in = self._out = self._batches = self._bytes = 0
        #: Rows for the kernel, four words each, and how many are filled.
        self._rows = np.zeros(4 * ROWS_MAX, np.int64)
        self._cells, self._filled = self._rows.data, 0
        #: The batch of the turn; an earlier one of the same turn has a row already.
        self._count = self._length = 0
        self._timing, self._turn, self._close_look_ns = False, 0, 0
        #: Of the turn: records sealed; those plain Python wrote, in and out; and the ExecIDs it gave.
        self._records = self._slow_records = self._slow_in = self._slow_out = self._slow_ids = 0
        self._segment = journal.position // journal.segment_bytes
        #: Time in turns since the gap meter last looked, ns.
        self._busy_ns = 0
        self._publish_ns = 0
        #: How long the loop may sleep: figures that are not published yet do not wait for the next message.
        self.wait_ns_max = NEVER
        self._last = self._woke = time.perf_counter_ns()
        self._compile()
        self._publish(self._last)

    def _compile(self) -> None:
        """Have the kernels ready before the first turn, and leave no trace of it."""
        kernels.add_turns(self._words, HISTOGRAMS, WIDTH, self._rows, 0)
        kernels.add_stages(self._words, STAGE_HISTOGRAMS, WIDTH, self._stages)

    def close(self) -> None:
        """The loop has ended: the last figures stay in the data directory."""
        self._publish(time.perf_counter_ns())
        self.gaps.close()
        self.page.close()

    # ---- said by the loop

    def begin(self) -> None:
        """The loop begins, in the thread that says so: what was spent before is nobody's."""
        self._stages.fill(0)
        self.gaps.begin()
        self._publish(time.perf_counter_ns())
        self._last = self._woke = time.perf_counter_ns()

    def woke(self, timeout_s: float, idle: bool) -> None:
        """The wait is over; `idle` when nothing was ready, so that the time asked for should have passed."""
        now = time.perf_counter_ns()
        if idle and now - self._last > GAP_NS:
            late_ns = late_by_ns(now - self._last, timeout_s)
            if late_ns > GAP_NS:
                self._pause(Pause(late_ns, busy_before_ns=self._busy_ns))
                now = time.perf_counter_ns()
        self._turn += 1
        self._timing = self._turn % STAGES_EACH == 0 or now < self._close_look_ns
        self._woke = self._last = now

    def lap(self, stage: int) -> None:
        """What happened since the last lap, or since `woke`, was `stage`."""
        if self._timing:
            now = time.perf_counter_ns()
            self._laps[stage] += now - self._last
            self._last = now

    def turn(self) -> None:
        """The turn is over."""
        now = time.perf_counter_ns()
        took_ns = now - self._woke
        self._turns += 1
        if took_ns > GAP_NS:
            self._long_turn(took_ns, now - self._last)
        messages = self._count_messages() if self._records else 0
        if messages or self._count:
            self._add_row(took_ns, messages)
            self._turns_with_messages += messages > 0
        if self._timing:
            if messages:
                kernels.add_stages(self._words, STAGE_HISTOGRAMS, WIDTH, self._stages)
            else:
                self._stages.fill(0)
        self._busy_ns += took_ns
        if now >= self._publish_ns:
            self._publish(now)
        elif messages:
            self.wait_ns_max = PUBLISH_NS
        self._last = now

    def looped(self, turns: int, filled: int, taken: int, told: int, batches: int, octets: int, longest_ns: int) -> None:
        """The compiled loop has turned by itself, and filled the histograms: what it counted, and its longest turn, ns."""
        self._turns += turns
        self._turns_with_messages += filled
        self._in += taken
        self._out += told
        self._batches += batches
        self._bytes += octets
        self._exec_id = self._core[EXEC_ID]
        if longest_ns > GAP_NS:
            self._pause(Pause(longest_ns, busy_before_ns=self._busy_ns))
        now = time.perf_counter_ns()
        if now >= self._publish_ns:
            self._publish(now)
        elif taken:
            self.wait_ns_max = PUBLISH_NS

    def _add_row(self, took_ns: int, messages: int) -> None:
        """Keep a turn and its batch for the histograms."""
        at = 4 * self._filled
        cells = self._cells
        cells[at] = took_ns
        cells[at + 1] = messages
        cells[at + 2] = self._count
        cells[at + 3] = self._length
        self._count = 0
        self._filled += 1
        if self._filled == ROWS_MAX:
            self._empty_rows()

    def _empty_rows(self) -> None:
        kernels.add_turns(self._words, HISTOGRAMS, WIDTH, self._rows, self._filled)
        self._filled = 0

    def _long_turn(self, took_ns: int, end_ns: int) -> None:
        """`end_ns` is the part of it behind the last lap."""
        laps, journal = self._laps, self._journal
        rotated = journal.position // journal.segment_bytes != self._segment
        pause = Pause(
            took_ns,
            collector_ns=self.gaps.collector_ns,
            # a batch that was sealed in the middle of a turn may have begun the segment
            rotation_ns=max(end_ns, laps[WRITE]) if rotated else 0,
            write_ns=laps[WRITE],
            busy_before_ns=self._busy_ns,
        )
        if self._pause(pause) == "other":
            self._close_look_ns = self._woke + took_ns + CLOSE_LOOK_NS

    def _pause(self, pause: Pause) -> str:
        self._busy_ns = 0
        return self.gaps.pause(pause)

    def _count_messages(self) -> int:
        """Add up what was sealed since the last call; how many messages were taken."""
        exec_id = self._core[EXEC_ID]
        said = exec_id - self._exec_id
        taken = self._records - said
        if self._slow_records:  # plain Python has written some, and given some of the ids
            said -= self._slow_ids
            taken += self._slow_ids + self._slow_in - self._slow_records
            said += self._slow_out
            self._slow_records = self._slow_in = self._slow_out = self._slow_ids = 0
        self._exec_id, self._records = exec_id, 0
        self._in += taken
        self._out += said
        return taken

    def _publish(self, now: int) -> None:
        """Bring states, and what the machine counts itself, up to date."""
        view, core, journal = self._view, self._core, self._journal
        orders, executions, trades = self._begin
        view[ORDERS] = core[ORDER_ID] - orders
        view[EXECUTIONS] = core[EXEC_ID] - executions
        view[TRADES] = core[MATCH_ID] - trades
        view[TURNS] += self._turns
        view[TURNS_WITH_MESSAGES] += self._turns_with_messages
        view[MESSAGES_IN] += self._in
        view[MESSAGES_OUT] += self._out
        view[BATCHES] += self._batches
        view[JOURNAL_BYTES] += self._bytes
        self._turns = self._turns_with_messages = self._in = self._out = self._batches = self._bytes = 0
        if self._filled:
            self._empty_rows()
        row, machine = self.page.row, self._exchange.machine
        row["sessions"] = len(self._exchange.links)
        row["open_orders"] = machine.core[0]["open_orders"]
        view[JOURNAL_POSITION] = journal.position
        segment = journal.position // journal.segment_bytes
        view[ROTATIONS] += segment - self._segment
        self._segment = segment
        self.gaps.compare_from_here()
        self._busy_ns = 0
        self.page.touch(time.time_ns())
        self.wait_ns_max = NEVER
        self._publish_ns = now + PUBLISH_NS

    # ---- said by the tape

    def recorded(self, kind: int, msg_type: bytes, payload: bytes) -> None:
        """Plain Python has written a record."""
        view = self._view
        self._slow_records += 1
        if kind == Kind.IN:
            self._slow_in += 1
            view[SLOW_FRAMES] += 1
        elif kind == Kind.OUT:
            self._slow_out += 1
            if msg_type in SAID:
                view[SAID[msg_type]] += 1
            elif msg_type in REFUSED:
                self._refused(msg_type, payload)
        elif kind == Kind.RESEND:
            view[RESENDS] += 1
        elif kind == Kind.GARBLED:
            view[GARBLED] += 1

    def _refused(self, msg_type: bytes, payload: bytes) -> None:
        if msg_type == MsgType.EXECUTION_REPORT and b"\x0117=0\x01" not in payload:
            self._slow_ids += 1
        first, mark = REFUSED[msg_type]
        at = payload.find(mark)
        if at >= 0:
            begin = at + len(mark)
            self._view[first + min(int(payload[begin : payload.index(b"\x01", begin)]), REASONS - 1)] += 1

    def sealed(self, length: int, count: int) -> None:
        """A batch of `count` records in `length` bytes lies in the journal."""
        if self._count:
            self._add_row(0, 0)
        self._records += count
        self._batches += 1
        self._bytes += length
        self._count, self._length = count, length
