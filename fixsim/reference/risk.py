"""Limits, read out once more: sums are added up from what is open and what was traded whenever they are asked for.

Amounts are decimals of the venue's currency. An owner is a session, a firm, an account or an instrument that has limits; an
order has at most one of each, asked in that order.
"""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Final

from fixsim.config import Limits
from fixsim.reference.book import BUY, Book, Order
from fixsim.reference.listing import Listing, covers
from fixsim.reference.message import Inbound
from fixsim.reference.number import read_number
from fixsim.reference.owners import HELD, SECOND, Owner
from fixsim.reference.report import Refusal
from fixsim.reference.worth import BPS, limits_of, market_worth, sell_worth, waiting_worth

MARKET: Final = b"1"
SHORT: Final = b"5"
DAY_NS: Final = 86_400 * SECOND
#: Beyond what any sum may reach, in minor units.
MINOR_MAX: Final = 1 << 60


class RiskDesk:
    """All owners, and the marks of all instruments."""

    def __init__(
        self,
        limits: Iterable[Limits] = (),
        firms: Mapping[str, str] | None = None,
        rates: Mapping[str, Decimal] | None = None,
        *,
        mark_interval_ms: int = 1_000,
        money_decimals: int = 2,
    ) -> None:
        self.limits, self.firms = tuple(limits), dict(firms or {})
        self.rates = {"USD": Decimal(1), **(rates or {})}
        self.mark_interval_ns = mark_interval_ms * 1_000_000
        self.money_decimals = money_decimals
        self.owners: dict[tuple[str, str], Owner] = {}
        self.switches: list[tuple[str, str]] = []
        self.marks: dict[str, Decimal] = {}
        self.marked_ns = 0
        self.day = 0
        #: What a unit of each order was counted at when it came, by OrderID.
        self.worth: dict[int, Decimal] = {}

    @property
    def most(self) -> Decimal:
        """The largest sum that is counted."""
        return Decimal(MINOR_MAX).scaleb(-self.money_decimals)

    def adopt(
        self, limits: Iterable[Limits], firms: Mapping[str, str], rates: Mapping[str, Decimal], orders: Iterable[Order],
        *, currency: str = "USD",
    ) -> None:  # fmt: skip
        """Go on under other limits: what owners hold and did stays, what is open counts for whoever is limited now."""
        self.limits, self.firms, self.rates = tuple(limits), dict(firms), {currency: Decimal(1), **rates}
        for owner in self.owners.values():
            found = self.limits_for(owner.scope, owner.name)
            if found is not None:
                owner.change(found)
        for order in orders:
            if not self._of(order):
                self.worth.pop(order.order_id, None)
            else:
                self.worth.setdefault(order.order_id, order.price or Decimal(0))

    # ------------------------------------------------------------ who answers for an order

    def limits_for(self, scope: str, name: str) -> Limits | None:
        """The exact entry, else the longest pattern."""
        fitting = [entry for entry in self.limits if entry.scope == scope and covers(entry.name, name)]
        return max(fitting, key=lambda entry: ("*" not in entry.name, len(entry.name)), default=None)

    def owners_of(self, session: str, account: bytes | None, symbol: str) -> Iterator[Owner]:
        """Session, firm, account and instrument, as far as they are limited."""
        named = (
            ("session", session), ("firm", self.firms.get(session)), ("account", (account or b"").decode("latin-1")),
            ("instrument", symbol),
        )  # fmt: skip
        for scope, name in named:
            limits = self.limits_for(scope, name) if name else None
            if limits is not None and name:
                if (scope, name) not in self.owners:
                    self.owners[scope, name] = Owner(scope, name, limits)
                yield self.owners[scope, name]

    def _worth(self, order: Order) -> Decimal:
        """What a unit of an order is counted at: a buy at its limit, whoever changed it; a sell at no less than that."""
        known = self.worth[order.order_id]
        if order.price is None:
            return known
        return order.price if order.is_buy else max(known, order.price)

    def _of(self, order: Order) -> list[Owner]:
        return list(self.owners_of(order.session, order.account, order.symbol))

    def says_too_much(self, session: str, now_ns: int) -> str | None:
        """A session says another message: what becomes of it, None when it is taken."""
        limits = self.limits_for("session", session)
        if limits is None or limits.message_rate is None:
            return None
        owner = next(owner for owner in self.owners_of(session, None, "") if owner.scope == "session")
        assert owner.messages is not None
        over = owner.messages.tokens(now_ns) < 1
        owner.messages.take(now_ns)
        return limits.message_rate_action if over else None

    # ------------------------------------------------------------ the standing checks

    def switched_off(self, session: str, account: bytes | None, symbol: str) -> str | None:
        """The scope of the first kill switch that names an order."""
        names = {
            "session": session, "firm": self.firms.get(session), "account": (account or b"").decode("latin-1"),
            "symbol": symbol,
        }  # fmt: skip
        for scope, name in self.switches:
            if scope == "all" or names[scope] == name:
                return scope
        return None

    def standing(self, session: str, message: Inbound, account: bytes | None) -> Refusal | None:
        """Kill switch, restricted symbols, short sales."""
        symbol = message.symbol
        if scope := self.switched_off(session, account, symbol):
            return Refusal(b"0", b"Kill switch is on (%s)" % scope.encode())
        limits = [owner.limits for owner in self.owners_of(session, account, symbol)]
        if any(covers(pattern, symbol) for entry in limits for pattern in entry.restricted):
            return Refusal(b"0", b"Symbol(55) is restricted")
        if message.get(54) != SHORT:
            return None
        if any(entry.short_sale == "forbidden" for entry in limits):
            return Refusal(b"0", b"Short sales are not permitted")
        located = message.get(114) == b"N" or bool(message.get(5700))
        for entry in limits:
            listed = any(covers(pattern, symbol) for pattern in entry.locates)
            if entry.short_sale == "locate" and not located and not listed:
                return Refusal(b"0", b"Short sale without a locate")
        return None

    # ------------------------------------------------------------ an order by itself

    def value(self, listing: Listing, price: Decimal, qty: Decimal) -> Decimal:
        """What a quantity at a price is worth in the venue's currency."""
        return price * qty * self.rates.get(listing.currency, Decimal(0))

    def _market_worth(
        self, owners: list[Owner], listing: Listing, book: Book, side: bytes, qty: Decimal, *, meets: bool
    ) -> tuple[Decimal, Decimal | None]:
        mark = self.marks.get(listing.symbol, Decimal(0))
        return market_worth(self._limits(owners), listing, book, mark, side, qty, meets=meets)

    def _limit_worth(self, symbol: str, book: Book, price: Decimal, *, buys: bool) -> Decimal:
        """What a unit of a limit order that comes now is counted at."""
        return price if buys else sell_worth(book, self.marks.get(symbol, Decimal(0)), price)

    def _limits(self, owners: Iterable[Owner]) -> list[Limits]:
        return [owner.limits for owner in owners]

    def wrong_price(self, owners: list[Owner], listing: Listing, book: Book, price: Decimal) -> bytes | None:
        """What stands against a price."""
        limits = self._limits(owners)
        if any(entry.price_min is not None and price < entry.price_min for entry in limits):
            return b"Price(44) is below the lowest allowed"
        if any(entry.price_max is not None and price > entry.price_max for entry in limits):
            return b"Price(44) is above the highest allowed"
        bids, asks = ([level for level, _ in limits_of(side)] for side in (book.bids, book.asks))
        last = book.last_trade[0] if book.last_trade else None
        middle = (bids[0] + asks[0]) / 2 if bids and asks else None
        for key, around, text in (
            ("collar_static_bps", listing.reference_price, b"the reference price"),
            ("collar_last_bps", last, b"the last trade"),
            ("collar_mid_bps", middle, b"the middle of the book"),
        ):
            for entry in limits:
                bps = getattr(entry, key)
                if bps is not None and around is not None and abs(price - around) * BPS > bps * around:
                    return b"Price(44) is too far from " + text
        return None

    def too_large(self, owners: list[Owner], qty: Decimal, value: Decimal | None) -> bytes | None:
        """What stands against the size of an order; `value` is None where no price is known."""
        limits = self._limits(owners)
        if any(entry.order_qty_max is not None and qty > entry.order_qty_max for entry in limits):
            return b"OrderQty(38) exceeds the risk limit"
        for entry in limits:
            if text := _beyond(b"Order value", Decimal(0), value, entry.order_notional_max, b" exceeds the risk limit"):
                return text
        return b"Order value exceeds the risk limit" if value is not None and value > self.most else None

    # ------------------------------------------------------------ the sums of an owner

    def _open(self, owner: Owner, orders: Iterable[Order]) -> list[Order]:
        return [order for order in orders if order.order_id in self.worth and owner in self._of(order)]

    def _working(self, owner: Owner, orders: Iterable[Order], board: Mapping[str, Listing], buys: bool) -> Decimal:
        """What the open orders of one side could trade, in money."""
        return sum(
            (
                self.value(board[order.symbol], self._worth(order), order.leaves)
                for order in self._open(owner, orders)
                if order.is_buy == buys
            ),
            Decimal(0),
        )

    def _net(self, owner: Owner, board: Mapping[str, Listing]) -> Decimal:
        return sum(
            (self.value(board[name], self.marks.get(name, Decimal(0)), qty) for name, qty in owner.positions.items()),
            Decimal(0),
        )

    def _gross(self, owner: Owner, board: Mapping[str, Listing]) -> Decimal:
        return sum(
            (abs(self.value(board[name], self.marks.get(name, Decimal(0)), qty)) for name, qty in owner.positions.items()),
            Decimal(0),
        )

    def _too_much(
        self,
        owner: Owner,
        symbol: str,
        buys: bool,
        qty: Decimal,
        value: Decimal | None,
        orders: list[Order],
        board: Mapping[str, Listing],
    ) -> bytes | None:
        """What stands against `qty` more, worth `value`, in what an owner holds."""
        limits = owner.limits
        position = owner.positions.get(symbol, Decimal(0))
        own = sum((o.leaves for o in self._open(owner, orders) if o.symbol == symbol and o.is_buy == buys), Decimal(0))
        most = own + qty + (position if buys else -position)
        if owner.holds:
            if limits.position_max is not None and most > limits.position_max:
                return b"Position limit exceeded"
            if most <= 0 and (position < 0 if buys else position > 0):
                return None
        net = self._net(owner, board)
        loss = owner.opening + owner.spent - net
        if owner.stopped or (limits.daily_loss_max is not None and loss > limits.daily_loss_max):
            return b"Daily loss limit reached"
        working = {side: self._working(owner, orders, board, side) for side in (True, False)}
        gross = self._gross(owner, board) + working[True] + working[False]
        text = _beyond(b"Gross exposure limit", gross, value, limits.gross_max)
        text = text or _beyond(b"Net exposure limit", (net if buys else -net) + working[buys], value, limits.net_max)
        if not text and buys:
            text = _beyond(b"Credit line", owner.spent + working[True], value, limits.credit_max)
        return text

    def _too_busy(
        self, owner: Owner, opens: bool, value: Decimal | None, orders: list[Order], board: Mapping[str, Listing], now_ns: int
    ) -> bytes | None:
        limits, own = owner.limits, self._open(owner, orders)
        working = self._working(owner, orders, board, True) + self._working(owner, orders, board, False)
        most = limits.open_notional_max
        if value is not None:
            most = self.most if most is None else min(self.most, most)
        text = _beyond(b"Open notional limit", working, value, most)
        if text and (value is None or value > 0):
            return text
        if opens and limits.open_orders_max is not None and len(own) >= limits.open_orders_max:
            return b"Open orders limit reached"
        if owner.orders is not None and owner.orders.tokens(now_ns) < 1:
            return b"Order rate exceeded"
        if limits.order_to_trade_max is not None and owner.requests >= limits.order_to_trade_free:
            if owner.requests + 1 > limits.order_to_trade_max * max(1, owner.trades):
                return b"Order-to-trade ratio exceeded"
        return None

    # ------------------------------------------------------------ D and G

    def refuse_order(
        self, session: str, message: Inbound, listing: Listing, book: Book, orders: list[Order], board: Mapping[str, Listing],
        now_ns: int, *, meets: bool,
    ) -> Refusal | None:  # fmt: skip
        """What stands against a new order, which is good by itself. `meets`: it trades as it comes."""
        owners = list(self.owners_of(session, message.get(1), listing.symbol))
        side, qty, price = message.get(54) or b"", read_number(message.get(38)), read_number(message.get(44))
        assert qty is not None
        self._mark_first(listing)
        board = {**board, listing.symbol: listing}
        if not owners:
            return None
        if price is not None:
            if text := self.wrong_price(owners, listing, book, price):
                return Refusal(b"99", text)
            worth = self._limit_worth(listing.symbol, book, price, buys=side == BUY)
        else:
            worth, _ = self._market_worth(owners, listing, book, side, qty, meets=meets)
        value = self.value(listing, worth, qty) if worth else None
        if text := self.too_large(owners, qty, value):
            return Refusal(b"3", text)
        for owner in owners:
            whose = b" (%s)" % owner.scope.encode()
            if self._repeats(owner, self._terms(message, price, qty), now_ns):
                return Refusal(b"6", b"Same terms as an order just entered" + whose)
            text = self._too_much(owner, listing.symbol, side == BUY, qty, value, orders, board)
            if text := text or self._too_busy(owner, True, value, orders, board, now_ns):
                return Refusal(b"3", text + whose)
        return None

    def refuse_replace(
        self, order: Order, price: Decimal | None, qty: Decimal, book: Book, orders: list[Order], board: Mapping[str, Listing],
        now_ns: int,
    ) -> bytes | None:  # fmt: skip
        """What stands against a replace by a new total and price: the order as if new, without what it holds already."""
        owners, listing = self._of(order), board[order.symbol]
        if not owners or order.order_id not in self.worth:
            return None
        if price is not None and price != order.price and (text := self.wrong_price(owners, listing, book, price)):
            return text
        before = self._worth(order)
        leaves = max(Decimal(0), qty - order.cum)
        worth = self._replaced_worth(order, price, leaves, book)
        raises = leaves > order.leaves or worth * leaves > before * order.leaves
        more_qty, more_value = Decimal(0), None if raises and not worth else Decimal(0)
        if raises:
            if text := self.too_large(owners, qty, self.value(listing, worth, qty) if worth else None):
                return text
            more_qty = leaves - order.leaves
        if raises and worth:
            more_value = self.value(listing, worth, leaves) - self.value(listing, before, order.leaves)
        for owner in owners:
            found = self._too_much(owner, order.symbol, order.is_buy, more_qty, more_value, orders, board) if raises else None
            if found := found or self._too_busy(owner, False, more_value, orders, board, now_ns):
                return found + b" (%s)" % owner.scope.encode()
        return None

    def _replaced_worth(self, order: Order, price: Decimal | None, leaves: Decimal, book: Book) -> Decimal:
        """What a unit of an order will be counted at; a sell that keeps its place is counted as before."""
        if price is None and leaves > order.leaves and not self._worth(order):
            return waiting_worth(book, self.marks.get(order.symbol, Decimal(0)), order.side, leaves)
        if price is None or (price == order.price and leaves <= order.leaves):
            return self._worth(order)
        return self._limit_worth(order.symbol, book, price, buys=order.is_buy)

    @staticmethod
    def _terms(message: Inbound, price: Decimal | None, qty: Decimal) -> tuple[object, ...]:
        return message.symbol, message.get(54), message.get(40), message.get(59) or b"0", price, qty

    def _repeats(self, owner: Owner, terms: tuple[object, ...], now_ns: int) -> bool:
        window = owner.limits.duplicate_window_ms
        return window is not None and any(
            terms == known and when + window * 1_000_000 > now_ns for known, when in owner.entered
        )

    # ------------------------------------------------------------ what happens

    def _mark_first(self, listing: Listing) -> None:
        """Before its first trade an instrument is valued at its reference price."""
        if listing.reference_price is not None:
            self.marks.setdefault(listing.symbol, listing.reference_price)

    def accepted(self, order: Order, message: Inbound, listing: Listing, book: Book, now_ns: int, *, meets: bool) -> None:
        """A new order, before it trades."""
        self._mark_first(listing)
        owners = self._of(order)
        if not owners:
            return
        if order.price is None:
            worth, order.worst = self._market_worth(owners, listing, book, order.side, order.qty, meets=meets)
        else:
            worth = self._limit_worth(order.symbol, book, order.price, buys=order.is_buy)
        self.worth[order.order_id] = worth
        for owner in owners:
            owner.entered.append((self._terms(message, order.price, order.qty), now_ns))
        self.requested(order, now_ns, ordering=True)

    def replaced(self, order: Order, price: Decimal | None, qty: Decimal, book: Book, now_ns: int) -> None:
        """A resting order is about to have another price or total."""
        if order.order_id in self.worth:
            self.worth[order.order_id] = self._replaced_worth(order, price, max(Decimal(0), qty - order.cum), book)
        self.requested(order, now_ns, ordering=True)

    def requested(self, order: Order, now_ns: int, *, ordering: bool) -> None:
        """A D, F or G was accepted."""
        if order.order_id not in self.worth:
            return
        for owner in self._of(order):
            owner.requests += 1
            if ordering and owner.orders is not None:
                owner.orders.take(now_ns)

    def traded(self, order: Order, price: Decimal, qty: Decimal, listing: Listing) -> None:
        """One side of a fill."""
        if order.order_id not in self.worth:
            return
        self.marks.setdefault(order.symbol, price)
        signed = qty if order.is_buy else -qty
        for owner in self._of(order):
            owner.trades += 1
            if owner.holds:
                owner.positions[order.symbol] = owner.positions.get(order.symbol, Decimal(0)) + signed
                owner.spent += self.value(listing, price, signed)

    def amended(
        self, order: Order, before: tuple[Decimal, Decimal], after: tuple[Decimal, Decimal], listing: Listing
    ) -> None:
        """A trade, (quantity, price), of an order became another: 0 for a bust."""
        if order.order_id not in self.worth:
            return
        less = before[0] - after[0] if order.is_buy else after[0] - before[0]
        spent = self.value(listing, after[1], after[0]) - self.value(listing, before[1], before[0])
        for owner in self._of(order):
            if owner.holds:
                owner.positions[order.symbol] = owner.positions.get(order.symbol, Decimal(0)) - less
                owner.spent += spent if order.is_buy else -spent

    def is_due(self, books: Mapping[str, Book], now_ns: int) -> bool:
        """Are positions to be valued anew?"""
        moved = any(book.last_trade and self.marks.get(name) != book.last_trade[0] for name, book in books.items())
        holds = any(getattr(entry, key) is not None for entry in self.limits for key in HELD)
        return moved and holds and now_ns >= self.marked_ns + self.mark_interval_ns

    def tick(self, books: Mapping[str, Book], board: Mapping[str, Listing], now_ns: int) -> list[Owner]:
        """A new day, new marks; the owners that are stopped because of what they lost, in the order they were first seen."""
        if now_ns // DAY_NS > self.day:
            self.day = now_ns // DAY_NS
            for owner in self.owners.values():
                self._begin_day(owner, board)
        if not self.is_due(books, now_ns):
            return []
        self.marked_ns = now_ns
        for name, book in books.items():
            if book.last_trade:
                self.marks[name] = book.last_trade[0]
        lost = [owner for owner in self.owners.values() if not owner.stopped and self._has_lost(owner, board)]
        for owner in lost:
            owner.stopped = True
        return lost

    def reset(self, scope: str, name: str, board: Mapping[str, Listing]) -> None:
        """The day of one owner begins anew, if any limits are known of it."""
        owner = self.owners.get((scope, name))
        if owner is not None and self.limits_for(scope, name) is not None:
            self._begin_day(owner, board)

    def _begin_day(self, owner: Owner, board: Mapping[str, Listing]) -> None:
        owner.opening, owner.spent, owner.stopped = self._net(owner, board), Decimal(0), False
        owner.requests = owner.trades = 0

    def _has_lost(self, owner: Owner, board: Mapping[str, Listing]) -> bool:
        most = owner.limits.daily_loss_max
        return most is not None and owner.opening + owner.spent - self._net(owner, board) > most

    def belongs(self, order: Order, scope: str, name: str) -> bool:
        """Is an order one of those that a switch or an owner names?"""
        return {
            "session": order.session, "firm": self.firms.get(order.session),
            "account": (order.account or b"").decode("latin-1"), "symbol": order.symbol, "instrument": order.symbol,
            "all": name,
        }[scope] == name  # fmt: skip


def _beyond(
    name: bytes, total: Decimal, value: Decimal | None, most: Decimal | None, how: bytes = b" exceeded"
) -> bytes | None:
    """Why `value` on top of `total` is more than `most`: None for a limit that is not there. What is unknown is too much."""
    if most is None:
        return None
    if value is None:
        return name + b": no price to count the order at"
    return name + how if total + value > most else None
