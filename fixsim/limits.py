"""Every capacity, with its reason. Configuration may lower one, never exceed it; relations are asserted at import."""

from typing import Final

#: Longest ClOrdID(11), Account(1) and other echoed text, in bytes: what real clients send is far below.
TEXT_BYTES_MAX: Final = 64
#: Longest CompID(49, 56).
COMP_ID_BYTES_MAX: Final = 64
#: Longest inbound frame; announced as MaxMessageSize(383). A longer one is garbled by definition.
FRAME_BYTES_MAX: Final = 65_536
#: Longest frame fixsim itself says (a SecurityList of a thousand instruments is the longest).
SAID_BYTES_MAX: Final = 1 << 20
#: Longest ExecutionReport the kernels render: ids, symbol, account and routing at their longest, and numbers.
REPORT_BYTES_MAX: Final = 1_536
#: Reversed routing fields of one order, rendered: eight fields of a tag and a text.
ROUTE_BYTES_MAX: Final = 240

#: Journal: records are aligned to this.
RECORD_ALIGN: Final = 8
#: Journal: bytes of a record header.
RECORD_HEADER_BYTES: Final = 64
#: Journal: one segment file.
SEGMENT_BYTES: Final = 64 << 20
#: Journal: one batch, the unit that is sealed and written at once. A larger order goes on in the next one.
BATCH_BYTES: Final = 8 << 20
#: Bytes of a batch behind which an order's next fills go into another one: so many lie in a core's cache while they are sealed,
#: written and sent, and whoever they are for reads the first while the others are matched.
FILLS_BYTES: Final = 512 << 10
#: Journal: bytes of each segment kept for Logouts and the closing seal.
SEGMENT_TAIL_BYTES: Final = 1 << 20
#: Room a batch must have left before another frame or fill is started: its record, and both reports of a fill.
BATCH_MARGIN_BYTES: Final = 256 << 10

#: Bytes read from one connection in one turn, so that nobody starves.
TURN_BYTES_MAX: Final = 65_536
#: Early messages kept (as positions) while a gap is open; the rest is asked for again.
EARLY_MESSAGES_MAX: Final = 10_000

ORDERS_MAX: Final = 1 << 24
#: ClOrdIDs one order may have, current and former: they are counted in 16 bits.
ORDER_NAMES_MAX: Final = 60_000
SESSIONS_MAX: Final = 16_384
INSTRUMENTS_MAX: Final = 16_384
#: Accounts and combinations of session, account and instrument that risk limits look at.
ACCOUNTS_MAX: Final = 1 << 20
PARTIES_MAX: Final = 1 << 22
#: Largest sum of money of one kind that limits keep, in minor units: a few of them still add up in 64 bits.
MONEY_MAX: Final = 1 << 60
#: Highest rate of messages or orders a second, and largest burst.
RATE_MAX: Final = 1_000_000
#: Highest price in ticks: eight levels of 32-way ladder nodes, and price x quantity stays below 2^62 with QTY_LOTS_MAX.
PRICE_TICKS_MAX: Final = (1 << 40) - 1
#: Largest quantity in lots.
QTY_LOTS_MAX: Final = (1 << 22) * 1_000 - 1
#: Largest exact sum of price x quantity an order may reach.
NOTIONAL_MAX: Final = 1 << 62

assert BATCH_BYTES + SEGMENT_TAIL_BYTES < SEGMENT_BYTES
assert 4 * (RECORD_HEADER_BYTES + REPORT_BYTES_MAX) < BATCH_MARGIN_BYTES
assert FRAME_BYTES_MAX + RECORD_HEADER_BYTES < BATCH_MARGIN_BYTES
assert SAID_BYTES_MAX + BATCH_MARGIN_BYTES < BATCH_BYTES
assert FILLS_BYTES + BATCH_MARGIN_BYTES <= BATCH_BYTES

#: Last instant a driven clock may show, the end of 2099: an ORDER row counts days since 1970 in 16 bits.
VENUE_NS_MAX: Final = 4_102_444_799_999_999_999
