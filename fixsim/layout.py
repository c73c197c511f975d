"""Layout of everything that crosses a border or stays hot: journal records first, then the machine's tables.

Two rules of this room: each field has a unit and a meaning of empty, and nobody else defines a dtype.
"""

from typing import Final

import numpy as np

from fixsim.limits import RECORD_ALIGN, RECORD_HEADER_BYTES

#: "No row", in every index field.
NIL: Final = -1
#: "No row, because it is held elsewhere": LEVEL of an order that waits outside the ladder of its book.
PARKED: Final = -2
#: "Never", for deadlines: the largest int64.
NEVER: Final = 2**63 - 1

# ---------------------------------------------------------------- journal

#: First two bytes of every record.
RECORD_MAGIC: Final = 0xF144
#: Bumped when a release changes bytes or layout.
JOURNAL_VERSION: Final = 1


class Kind:
    """What a journal record is."""

    SEGMENT: Final = 1  # first record of a segment file
    START: Final = 2  # a process start, with its whole configuration
    CONFIG: Final = 3  # a reload, whole
    LINK: Final = 4  # connected, lost; the verdict on credentials
    IN: Final = 5  # a frame that came
    OUT: Final = 6  # a frame that was said
    RESEND: Final = 7  # a ResendRequest served: begin, end
    GARBLED: Final = 8  # bytes on a live session that were no message
    TICK: Final = 9  # a deadline was due
    OPERATOR: Final = 10  # a command, with who and why
    SEAL: Final = 11  # count and checksum of the batch in front of it
    EVENT: Final = 12  # something that happened without being asked for, and may be asked about


#: Kinds that change state when replayed; the others are what was said, or structure.
INBOUND: Final = frozenset(
    {Kind.START, Kind.CONFIG, Kind.LINK, Kind.IN, Kind.GARBLED, Kind.TICK, Kind.OPERATOR}
)

#: Header of a journal record; `length` bytes of payload follow, padded with zeros to RECORD_ALIGN.
RECORD: Final = np.dtype(
    [
        ("magic", "<u2"),  # RECORD_MAGIC
        ("kind", "u1"),  # Kind
        ("flags", "u1"),  # zero
        ("length", "<u4"),  # bytes of payload
        ("position", "<i8"),  # byte offset of this record in the journal, its identity everywhere
        ("time_ns", "<i8"),  # session time of the turn, ns since 1970 UTC
        ("session", "<u4"),  # session id, 0 for none; LINK records name it
        ("run", "<u4"),  # sequence resets of the session so far
        ("seq", "<i8"),  # MsgSeqNum(34) of a frame, 0 for none
        ("back", "<i8"),  # OUT, RESEND: position of the session's previous OUT record, NIL for none
        ("msg_type", "u1", (2,)),  # MsgType(35), zero-padded
        # where the value begins in the payload, 0 for none (or beyond 65,535): a reader need not parse again
        ("at_cl_ord_id", "<u2"),  # 11
        ("at_order_id", "<u2"),  # 37
        ("at_exec_id", "<u2"),  # 17
        ("at_symbol", "<u2"),  # 55
        ("link", "<u4"),  # connection number, 0 for none
        ("spare", "<u2"),  # zero
    ]
)

#: Payload of a SEAL record.
SEAL: Final = np.dtype(
    [
        ("count", "<u4"),  # records in the batch, without the seal
        ("crc", "<u4"),  # CRC32C of the batch, from its first record up to and including the header of the seal
        ("previous_crc", "<u4"),  # `crc` of the seal before, 0 for the first of the journal
        ("spare", "<u4"),  # zero
        ("begin", "<i8"),  # position of the batch's first record
    ]
)

#: Payload of a RESEND record: what is said again, and how far back the journal is looked at for it.
RESEND: Final = np.dtype(
    [
        ("begin", "<i8"),  # first MsgSeqNum said again
        ("end", "<i8"),  # last one
        ("floor", "<i8"),  # what was said in front of this position is covered by a GapFill
    ]
)

assert RECORD.itemsize == RECORD_HEADER_BYTES
assert SEAL.itemsize % RECORD_ALIGN == 0

# ---------------------------------------------------------------- the machine's tables
#
# Rows of a packed dtype, not one array per column: measured with bench/layout.py, rows were 1.6 to 1.9 times faster at every
# size, because one order is one or two cache lines, and a dozen tables are a dozen arguments of a kernel.

#: Bytes of a ClOrdID that fit one NAME row; a longer one goes on in `more`.
NAME_TEXT_BYTES: Final = 30
#: Children of a ladder node, and the bits of a price key one node resolves.
LADDER_FAN: Final = 32
LADDER_BITS: Final = 5

class Phase:
    """What an instrument is doing; 0, what a fresh row says, is trading."""

    CONTINUOUS: Final = 0  # orders meet as they come
    HALTED: Final = 1  # stopped by an operator or a breaker: no new orders, cancels only
    PRE_OPEN: Final = 2  # orders are taken and held, nothing meets
    OPENING_AUCTION: Final = 3  # a call: taken and held, an indicative price is told
    VOLATILITY_AUCTION: Final = 4  # the same, in the middle of the day
    CLOSING_AUCTION: Final = 5  # the same, at its end
    AT_LAST: Final = 6  # orders meet at the closing price only
    CLOSED: Final = 7  # nothing is taken


#: Phases that end by one price at which everything that can meet does.
CALLS: Final = frozenset({Phase.OPENING_AUCTION, Phase.VOLATILITY_AUCTION, Phase.CLOSING_AUCTION})


class Inst:
    """What ExecInst(18) asks for in ORDER.inst, as bits."""

    REINSTATE: Final = 1  # J: aside while trading is halted, back afterwards
    CANCEL: Final = 2  # K: gone when trading is halted


class Corridor:
    """Whether trades of an instrument are bounded, and what moves the bounds."""

    NONE: Final = 0
    FIXED: Final = 1  # nothing but time and auctions
    LAST: Final = 2  # each trade: `width` ten-thousandths of its price to either side
    RANGE: Final = 3  # each new high or low of the window: `width` ticks from the other end


#: One order, open or remembered. 96 bytes.
ORDER: Final = np.dtype(
    [
        ("price", "<i8"),  # ticks; 0 for a market order
        ("leaves", "<i8"),  # lots still working
        ("cum", "<i8"),  # lots executed
        ("qty", "<i8"),  # lots ordered
        ("notional", "<i8"),  # exact sum of ticks x lots executed, for AvgPx(6)
        ("order_id", "<i8"),  # OrderID(37)
        ("next", "<i4"),  # younger order of the level; in a free row, the next free row
        ("prev", "<i4"),  # older order of the level
        ("level", "<i4"),  # LEVEL row it rests on, NIL when it does not rest, PARKED when it waits outside of the ladder
        ("name", "<i4"),  # NAME row of its current ClOrdID(11)
        ("echo", "<i4"),  # ECHO row of account and routing, NIL for none
        ("day", "<u2"),  # trading day it was accepted, days since 1970-01-01
        ("names", "<u2"),  # NAME rows that point here
        ("book", "<u2"),  # BOOK row
        ("session", "<u2"),  # SESSION row
        ("side", "u1"),  # Side(54), as ASCII
        ("ord_type", "u1"),  # OrdType(40)
        ("tif", "u1"),  # TimeInForce(59)
        ("status", "u1"),  # OrdStatus(39)
        ("party", "<i4"),  # PARTY row of whoever answers for it, NIL when no limit looks at it
        ("inst", "u1"),  # what ExecInst(18) asks for, see Inst
        ("guarded", "u1"),  # 1 for a market order that may not trade beyond `worth`
        ("until", "<u2"),  # last day of a GTD order, days since 1970-01-01; 0 for none, and where a time is given
        ("worth", "<i8"),  # ticks at which its leaves are counted in limits; no meaning while `party` is NIL
    ]
)

#: One ClOrdID of a session: an order's current one, a former one, or a request's. 48 bytes.
NAME: Final = np.dtype(
    [
        ("order", "<i4"),  # ORDER row it names
        ("newer", "<i4"),  # next in the session's queue of retired ids; in a free row, the next free row
        ("more", "<i4"),  # NAME row with the rest of the text, NIL for none
        ("hash", "<i4"),  # of session and text, 31 bits
        ("length", "u1"),  # bytes of the whole text
        ("request", "u1"),  # 1 when it is the id of a request that never named an order
        ("text", "u1", (NAME_TEXT_BYTES,)),
    ]
)

#: One price of one side.
LEVEL: Final = np.dtype(
    [
        ("price", "<i8"),  # ticks
        ("lots", "<i8"),  # sum of leaves
        ("head", "<i4"),  # oldest order; in a free row, the next free row
        ("tail", "<i4"),  # youngest order
        ("count", "<i4"),  # orders
        ("spare", "<i4"),
    ]
)

#: One side of a book: a ladder over price keys, lowest key best. Row 2b is the bids of book b, row 2b + 1 its asks.
SIDE: Final = np.dtype(
    [
        ("prefix", "<i8"),  # key >> (LADDER_BITS * height): what all keys in the ladder share
        ("root", "<i4"),  # node, NIL when empty
        ("height", "<i4"),  # nodes from root to level, 0 when empty
        ("best", "<i4"),  # LEVEL row of the best price, NIL when empty
        ("levels", "<i4"),
        ("orders", "<i4"),
        ("spare", "<i4"),
    ]
)

#: One instrument.
BOOK: Final = np.dtype(
    [
        ("tick_mantissa", "<i8"),  # a tick is tick_mantissa x 10**-price_decimals
        ("lot_mantissa", "<i8"),  # a lot is lot_mantissa x 10**-qty_decimals
        ("min_lots", "<i8"),
        ("max_lots", "<i8"),
        ("max_price", "<i8"),  # ticks; max_price x max_lots is at most NOTIONAL_MAX
        ("last_price", "<i8"),  # ticks of the last trade, 0 for none
        ("last_lots", "<i8"),
        ("factor", "<i8"),  # money of one lot at one tick; 0 while money is not looked at
        ("mark", "<i8"),  # ticks at which positions are valued, 0 for none yet
        ("mark_max", "<i8"),  # ticks a mark never exceeds
        ("auction_price", "<i8"),  # ticks of the last auction, 0 for none
        ("auction_lots", "<i8"),  # lots that met there
        ("closing_price", "<i8"),  # ticks at which orders meet at last, 0 for none
        ("until_ns", "<i8"),  # venue time at which its call ends by itself, 0 for none
        ("told_ns", "<i8"),  # venue time at which what its call would come to may be told next, 0 when nobody listens
        ("told_price", "<i8"),  # what was told last: indicative price in ticks,
        ("told_buys", "<i8"),  # lots that buy at it,
        ("told_sells", "<i8"),  # and lots that sell
        ("parked_head", "<i4"),  # ORDER rows held outside of the ladder, oldest first, NIL for none
        ("parked_tail", "<i4"),
        ("extensions", "u1"),  # how often its call was prolonged
        ("scheduled", "u1"),  # 1 when its days end by a schedule, 0 when they end at midnight UTC
        ("indicated", "u1"),  # 1 when its call has told a price
        ("fill", "u1", (5,)),
        ("price_decimals", "u1"),
        ("qty_decimals", "u1"),
        ("phase", "u1"),  # Phase
        ("symbol_length", "u1"),
        ("symbol", "u1", (64,)),  # Symbol(55)
        ("corridor", "u1"),  # Corridor
        ("confined", "u1"),  # 1: no order may rest at a price at which it might not trade
        ("state", "u1"),  # what its breaker is doing, see exchange/breakers.py
        ("alarm", "u1"),  # 1: its breaker must look at it before anything else happens
        ("floor", "<i8"),  # lowest and highest price of a trade, ticks, where there is a corridor
        ("ceiling", "<i8"),
        ("outer_floor", "<i8"),  # what a moving corridor never leaves
        ("outer_ceiling", "<i8"),
        ("width", "<i8"),  # of a corridor that moves, see Corridor
        ("low", "<i8"),  # lowest and highest trade of the window, ticks; 0 for none
        ("high", "<i8"),
        ("slice_low", "<i8"),  # the same of the present slice of the window
        ("slice_high", "<i8"),
        ("slice_sum", "<i8"),  # of the prices of its trades
        ("slice_trades", "<i8"),  # their number
        ("slice_ns", "<i8"),  # venue time of the first of them
        ("weight", "<i8"),  # of one tick in the index, 0 outside of it
        ("counted", "<i8"),  # ticks at which it stands in the index
    ]
)

#: Bytes of `49=..|56=..|` at their longest.
COMP_IDS_BYTES: Final = 2 * (3 + 64 + 1)

#: One counterparty's conversation: what must survive a restart and what a report needs.
SESSION: Final = np.dtype(
    [
        ("next_in", "<i8"),  # MsgSeqNum(34) expected next
        ("next_out", "<i8"),  # MsgSeqNum(34) said next
        ("last_out", "<i8"),  # position of its newest OUT record, NIL for none
        ("heard_ns", "<i8"),  # when a well-formed frame of its peer last came
        ("said_ns", "<i8"),  # when a batch with a message to its peer was last sealed
        ("id", "<u4"),  # unique for the life of the data directory
        ("run", "<u4"),  # sequence resets so far
        ("link", "<u4"),  # connection number, 0 when offline
        ("oldest", "<i4"),  # queue of retired ids: NAME rows
        ("newest", "<i4"),
        ("retired", "<i4"),  # ids in that queue
        ("open_orders", "<i4"),
        ("echo", "<i4"),  # ECHO row of the account it used last, NIL for none
        ("tells_processed", "u1"),  # adds LastMsgSeqNumProcessed(369)
        ("fast", "u1"),  # 1 while the conversation is in step and anything may be entered: frames may take the fast door
        ("venue_length", "u1"),  # bytes of our own CompID
        ("comp_ids_length", "u1"),
        ("comp_ids", "u1", (COMP_IDS_BYTES,)),  # 49=..|56=..| as it is written
        ("risk", "<i4"),  # OWNER row of the session, NIL while no limit looks at anybody
    ]
)

#: Texts a report repeats for an order: routing (reversed), account, and what is kept of 18, 432 and 126, rendered and shared by
#: all orders that have the same.
ECHO_TEXT_BYTES: Final = 358
ECHO: Final = np.dtype(
    [
        ("refs", "<i4"),  # orders that use it
        ("hash", "<i4"),
        ("length", "<u2"),  # bytes of the text
        ("split", "<u2"),  # where routing ends and the order's own begins: `1=account|18=..|432=..|126=..|`
        ("text", "u1", (ECHO_TEXT_BYTES,)),
        ("account", "<i4"),  # OWNER row of its Account(1), NIL when no limit looks at that
        ("spare", "u1", (2,)),
    ]
)

#: The counters and free lists: one row.
CORE: Final = np.dtype(
    [
        ("order_id", "<i8"),  # last OrderID(37) given
        ("exec_id", "<i8"),  # last ExecID(17) given
        ("match_id", "<i8"),  # last SecondaryExecID(527) given
        ("response_id", "<i8"),  # last SecurityResponseID(322) given
        ("day", "<i8"),  # trading day, days since 1970-01-01; 0 before the first start
        ("sessions_id", "<i8"),  # last session id given
        ("link", "<i8"),  # last connection number given
        ("venue_ns", "<i8"),  # venue time where an operator drives it, ns since 1970 UTC; 0 where it is the time of the turn
        ("floor", "<i8"),  # journal position in front of which nothing is said again
        ("orders_fresh", "<i4"),  # rows never used begin here
        ("orders_free", "<i4"),  # head of the list of rows to use again
        ("names_fresh", "<i4"),
        ("names_free", "<i4"),
        ("levels_fresh", "<i4"),
        ("levels_free", "<i4"),
        ("nodes_fresh", "<i4"),
        ("nodes_free", "<i4"),
        ("echoes_fresh", "<i4"),
        ("taker", "<i4"),  # order whose matching goes on in the next batch, NIL for none
        ("names_used", "<i4"),
        ("orders_used", "<i4"),
        ("levels_used", "<i4"),
        ("nodes_used", "<i4"),
        ("name_memory", "<i4"),  # most retired ids kept of one session
        ("memory", "<i4"),  # most NAME rows kept of retired ids, over all sessions
        ("retired_rows", "<i4"),  # NAME rows of retired ids
        ("longest", "<i4"),  # SESSION row whose queue of retired ids was found the longest
        ("probe", "<i4"),  # SESSION row last compared with it
        ("open_orders", "<i4"),
        ("open_orders_max", "<i4"),
        ("avg_px_decimals", "<i4"),
        ("duplicates", "<i8"),  # DUPLICATE rows ever written
        ("owners_fresh", "<i4"),
        ("holdings_fresh", "<i4"),
        ("parties_fresh", "<i4"),
        ("restatement", "<i4"),  # ExecRestatementReason(378) of the report being said, 0 for none; never outlives it
        ("random", "<u8"),  # where the random numbers of the venue stand
        ("index", "<i8"),  # sum of weight x ticks over the instruments of the index
        ("index_alarm", "<i8"),  # the index at or below which everything stops, a negative number for none
        ("alarm", "<i8"),  # 1: some breaker must look before anything else happens
    ]
)

#: "No limit", and beyond what any sum of money reaches.
LIMITLESS: Final = 1 << 62
#: Owners of one order: its session, its firm, its account, its instrument.
OWNERS_EACH: Final = 4


class Scope:
    """Whose limits an OWNER row has."""

    SESSION: Final = 0
    FIRM: Final = 1
    ACCOUNT: Final = 2
    INSTRUMENT: Final = 3


#: Somebody, or something, with limits and running sums. Money is in minor units of the venue's currency.
OWNER: Final = np.dtype(
    [
        ("open_orders_max", "<i8"),  # LIMITLESS for none, here and below
        ("open_notional_max", "<i8"),
        ("gross_max", "<i8"),
        ("net_max", "<i8"),
        ("credit_max", "<i8"),
        ("loss_max", "<i8"),
        ("order_rate", "<i8"),  # orders a second, 0 for any
        ("order_burst", "<i8"),  # orders at once, in 1/10**9 of one
        ("order_full_ns", "<i8"),  # after this time a bucket is full
        ("message_rate", "<i8"),  # messages a second, 0 for any
        ("message_burst", "<i8"),
        ("message_full_ns", "<i8"),
        ("ratio_max", "<i8"),  # requests for each trade, 0 for any
        ("ratio_free", "<i8"),  # requests of a day before that counts
        ("duplicate_ns", "<i8"),  # equal orders within it are refused, 0 for none
        ("open_orders", "<i8"),
        ("open_buy", "<i8"),  # money of what buys could still cost
        ("open_sell", "<i8"),
        ("net", "<i8"),  # money of all positions at their marks
        ("gross", "<i8"),  # the same, without signs
        ("spent", "<i8"),  # bought less sold since the day began, at the prices traded
        ("opening", "<i8"),  # `net` when the day began
        ("order_tokens", "<i8"),  # in 1/10**9, at `order_ns`
        ("order_ns", "<i8"),
        ("message_tokens", "<i8"),
        ("message_ns", "<i8"),
        ("requests", "<i8"),  # D, F and G accepted since the day began
        ("trades", "<i8"),  # fills since the day began
        ("scope", "u1"),  # Scope
        ("stopped", "u1"),  # 1 after the loss of a day: only what closes positions is taken
        ("spare", "u1", (6,)),
    ]
)

#: What an OWNER has of one instrument.
HOLDING: Final = np.dtype(
    [
        ("owner", "<i4"),
        ("book", "<i4"),
        ("position", "<i8"),  # lots, negative when short
        ("buys", "<i8"),  # lots working to buy
        ("sells", "<i8"),
        ("position_max", "<i8"),  # lots, either way
    ]
)

#: Who answers for an order: session and account in one instrument, with the tightest of the limits of an order by itself.
PARTY: Final = np.dtype(
    [
        ("session", "<i4"),  # OWNER row of its session
        ("account", "<i4"),  # OWNER row of its account, NIL for none
        ("book", "<i4"),  # BOOK row
        ("count", "u1"),  # owners with limits: their rows are in `party_owners` from OWNERS_EACH x this row on
        ("idle", "u1"),  # 1 when no limit looks at it at all
        ("restricted", "u1"),  # 1 when nothing may be entered
        ("shorts", "u1"),  # 1 when a short sale is looked at
        ("factor", "<i8"),  # as of its book
        ("lots_max", "<i8"),
        ("value_max", "<i8"),  # ticks x lots
        ("price_min", "<i8"),  # ticks
        ("price_max", "<i8"),
        ("band_low", "<i8"),  # of the static collar, ticks
        ("band_high", "<i8"),
        ("last_bps", "<i8"),  # collar around the last trade, 0 for none
        ("mid_bps", "<i8"),
        ("guard_ticks", "<i8"),  # how far behind the best price a market order may trade, LIMITLESS for any
        ("guard_bps", "<i8"),
    ]
)

#: Terms of an order accepted a while ago, in a ring of a power of two.
DUPLICATE: Final = np.dtype(
    [
        ("time_ns", "<i8"),
        ("until_ns", "<i8"),  # end of its window
        ("price", "<i8"),
        ("lots", "<i8"),
        ("before", "<i8"),  # number of the row before it with the same hash, NIL for none
        ("owner", "<i4"),
        ("book", "<i4"),
        ("kind", "<i8"),  # side, type and time in force
    ]
)

#: The batch being written and the time of the turn: one row, no state.
TAPE: Final = np.dtype(
    [
        ("base", "<i8"),  # position of the batch's first byte
        ("used", "<i8"),  # bytes written
        ("count", "<i8"),  # records written
        ("now_ns", "<i8"),  # session time of the turn
        ("driven", "<i8"),  # 1 where venue time is another one
        ("touched", "<i8"),  # sessions to which the batch says something
        ("stamp_length", "<i8"),
        ("stamp", "u1", (32,)),  # session time as UTCTimestamp, for SendingTime(52)
        ("venue_stamp", "u1", (32,)),  # venue time where it is another one, for TransactTime(60); as long as `stamp`
    ]
)

#: A frame that was understood and not yet carried out: scratch of the fast door.
FRAME: Final = np.dtype(
    [
        ("end", "<i8"),  # the byte behind it, in the buffer it lies in
        ("msg_type", "<i8"),
        ("seen", "<i8"),  # bits of the slots of the fields that are there
        ("hash", "<i8"),  # of ClOrdID(11)
        ("orig_hash", "<i8"),  # of OrigClOrdID(41), NIL where there is none
        ("name", "<i8"),  # NAME row that probably is OrigClOrdID(41), NIL for none
    ]
)

# ---------------------------------------------------------------- the loop's tables

#: Bytes of an unfinished frame that a connection keeps between two turns; a longer one is kept elsewhere.
HELD_BYTES: Final = 4_096

#: One connection as the compiled loop sees it.
CONNECTION: Final = np.dtype(
    [
        ("fd", "<i8"),  # file descriptor
        ("session", "<i4"),  # SESSION row
        ("link", "<u4"),  # connection number; 0 for an unused row
        ("direct", "<i4"),  # 1 while the loop may read and write it by itself
        ("held", "<i4"),  # bytes of an unfinished frame that are kept
    ]
)

#: The compiled loop: what it is told, and what it tells. One row.
LOOP: Final = np.dtype(
    [
        ("epoll", "<i8"),  # file descriptor
        ("due_ns", "<i8"),  # venue time at which somebody else has to be asked
        ("anchor_ns", "<i8"),  # monotonic time at which venue time was `venue_ns`
        ("venue_ns", "<i8"),
        ("rate_ppm", "<i8"),  # how much faster venue time passes
        ("day_end_ns", "<i8"),  # venue time of the next midnight UTC
        ("digits", "<i8"),  # decimals of a second in a UTCTimestamp
        ("max_length", "<i8"),  # longest frame taken, bytes
        ("tolerance_ns", "<i8"),  # of SendingTime(52), 0 for any
        ("helping", "<i8"),  # bytes read from one connection in one turn
        ("busy", "<i8"),  # 1: ask for events without ever waiting
        ("journal", "<i8"),  # file descriptor of the segment
        ("first", "<i8"),  # position of the segment's first byte
        ("last", "<i8"),  # position behind which no batch may begin in this segment
        ("map", "<i8"),  # where the segment lies in memory, 0 for nowhere
        ("ready", "<i8"),  # bytes of the segment, from its first, up to which its pages there may be written at no cost
        ("shed", "<i8"),  # bytes of the segment, from its first, whose pages there were let go
        ("position", "<i8"),  # where the next batch lies
        ("crc", "<i8"),  # CRC of the last seal
        ("sync", "<i8"),  # 1: a batch is on the disk before it is sent
        ("attention", "<i8"),  # CONNECTION row somebody else must look at, NIL for none
        ("begin", "<i8"),  # its bytes in the inbox that were not taken
        ("end", "<i8"),
        ("others", "<i8"),  # events of descriptors that are not the loop's
        ("owed", "<i8"),  # sessions that are owed something the loop did not send
        # what it did since it was called, for those who count
        ("turns", "<i8"),
        ("filled", "<i8"),  # turns that took messages
        ("taken", "<i8"),  # messages in
        ("told", "<i8"),  # messages out
        ("batches", "<i8"),
        ("bytes", "<i8"),  # of batches, without seals
        ("longest_ns", "<i8"),  # of one turn
        ("rows", "<i8"),  # turns and batches that are not in their histograms yet
        ("timing", "<i8"),  # 1: the stages of this turn are timed
        ("lap_ns", "<i8"),  # monotonic time of the end of the last stage
    ]
)

# ---------------------------------------------------------------- a journal that is carried out again

#: How far a stretch of sealed records has been read or carried out again. One row. Offsets are bytes from the stretch's first.
TRACK: Final = np.dtype(
    [
        ("first", "<i8"),  # position of the stretch's first byte
        ("size", "<i8"),  # bytes of the stretch
        ("at", "<i8"),  # offset of the next record, between two batches of the next batch
        ("begin", "<i8"),  # offset of the batch that is being carried out, NIL between two batches
        ("end", "<i8"),  # offset behind its last record
        ("crc", "<i8"),  # CRC of the last seal
        ("last_position", "<i8"),  # inbound records behind this position, or of a later time, are not carried out
        ("last_ns", "<i8"),
        ("pause", "<i8"),  # no further batch is begun when so many inbound records were carried out
        ("inbound", "<i8"),  # inbound records carried out
        ("compared", "<i8"),  # records of the batches that were the same
        ("digits", "<i8"),  # decimals of a second in a UTCTimestamp
        ("max_length", "<i8"),  # longest frame taken, bytes
        ("tolerance_ns", "<i8"),  # of SendingTime(52), 0 for any
    ]
)

assert ORDER.itemsize == 96
assert NAME.itemsize == 48
assert LADDER_FAN == 1 << LADDER_BITS
assert all(table.itemsize % 8 == 0 for table in (ECHO, SESSION, BOOK, SIDE, LEVEL, CORE, OWNER, HOLDING, PARTY, DUPLICATE))
