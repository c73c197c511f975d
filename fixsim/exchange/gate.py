"""What stands between an order and its book beside the rules for everybody: the kill switch, restrictions, limits, rates.

The kernels say which check fails as a number; here are its words, and the checks that only the slow door makes. `CHECKS` is in
the order in which they are made; docs/risk.md is the same table for people.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from fixsim.config import Limits
from fixsim.config.risk import fits
from fixsim.engine import risk as engine_risk
from fixsim.exchange.answers import CancelRejection
from fixsim.exchange.listings import Listing
from fixsim.exchange.members import Member
from fixsim.exchange.orders import Fault
from fixsim.exchange.risk import FULL, SCOPES, Draft, Risk, account_text
from fixsim.fix import tags
from fixsim.fix.enums import CxlRejReason, OrdRejReason, Side
from fixsim.fix.message import Message
from fixsim.layout import NIL, Scope

OPTION: Final = OrdRejReason.BROKER_EXCHANGE_OPTION
LIMIT: Final = OrdRejReason.ORDER_EXCEEDS_LIMIT
OTHER: Final = OrdRejReason.OTHER
#: Who located the stock of a short sale (LocateBroker): by custom, not by FIX 4.4, so that strict validation refuses it.
LOCATE_BROKER: Final = 5700


class Check(NamedTuple):
    """One check: OrdRejReason(103) and Text(58) of its refusal, and the keys of `[[limits]]` that configure it."""

    reason: int
    text: str
    keys: tuple[str, ...]
    #: What the kernel says when it fails, 0 for a check of the slow door.
    code: int = 0
    #: The text ends with whose limit it is.
    owned: bool = False


MESSAGE_RATE: Final = Check(LIMIT, "Message rate exceeded", ("message_rate", "message_burst", "message_rate_action"))
KILLED: Final = Check(OPTION, "Kill switch is on", ())
RESTRICTED: Final = Check(OPTION, "Symbol(55) is restricted", ("restricted",))
SHORT_FORBIDDEN: Final = Check(OPTION, "Short sales are not permitted", ("short_sale",))
NOT_LOCATED: Final = Check(OPTION, "Short sale without a locate", ("short_sale", "locates"))
LIMITS: Final = (
    Check(OTHER, "Price(44) is below the lowest allowed", ("price_min",), engine_risk.PRICE_MIN),
    Check(OTHER, "Price(44) is above the highest allowed", ("price_max",), engine_risk.PRICE_MAX),
    Check(OTHER, "Price(44) is too far from the reference price", ("collar_static_bps",), engine_risk.COLLAR_STATIC),
    Check(OTHER, "Price(44) is too far from the last trade", ("collar_last_bps",), engine_risk.COLLAR_LAST),
    Check(OTHER, "Price(44) is too far from the middle of the book", ("collar_mid_bps",), engine_risk.COLLAR_MID),
    Check(LIMIT, "OrderQty(38) exceeds the risk limit", ("order_qty_max",), engine_risk.ORDER_QTY),
    Check(LIMIT, "Order value exceeds the risk limit", ("order_notional_max",), engine_risk.ORDER_NOTIONAL),
    Check(
        OrdRejReason.DUPLICATE_ORDER, "Same terms as an order just entered", ("duplicate_window_ms",),
        engine_risk.DUPLICATE_TERMS, True,
    ),
    Check(LIMIT, "Exchange capacity reached", (), engine_risk.DUPLICATE_MEMORY),
    Check(LIMIT, "Position limit exceeded", ("position_max",), engine_risk.POSITION, True),
    Check(LIMIT, "Daily loss limit reached", ("daily_loss_max",), engine_risk.LOSS, True),
    Check(LIMIT, "Gross exposure limit exceeded", ("gross_max",), engine_risk.GROSS, True),
    Check(LIMIT, "Net exposure limit exceeded", ("net_max",), engine_risk.NET, True),
    Check(LIMIT, "Credit line exceeded", ("credit_max",), engine_risk.CREDIT, True),
    Check(LIMIT, "Open notional limit exceeded", ("open_notional_max",), engine_risk.OPEN_NOTIONAL, True),
    Check(LIMIT, "Open orders limit reached", ("open_orders_max",), engine_risk.OPEN_ORDERS, True),
    Check(LIMIT, "Order rate exceeded", ("order_rate", "order_burst"), engine_risk.ORDER_RATE, True),
    Check(LIMIT, "Order-to-trade ratio exceeded", ("order_to_trade_max", "order_to_trade_free"), engine_risk.RATIO, True),
)  # fmt: skip
CHECKS: Final = (MESSAGE_RATE, KILLED, RESTRICTED, SHORT_FORBIDDEN, NOT_LOCATED, *LIMITS)
#: What a limit of money is called where it stands against an order that has no price.
UNPRICED: Final = {
    engine_risk.ORDER_NOTIONAL: "Order value", engine_risk.GROSS: "Gross exposure limit",
    engine_risk.NET: "Net exposure limit", engine_risk.CREDIT: "Credit line",
    engine_risk.OPEN_NOTIONAL: "Open notional limit",
}  # fmt: skip
BY_CODE: Final = {check.code: check for check in LIMITS}


def fault_of(code: int) -> Fault:
    """A refusal for what the kernel said."""
    unpriced, code = divmod(code, engine_risk.UNPRICED)
    check = BY_CODE[code % engine_risk.SCOPE]
    whose = f" ({SCOPES[code // engine_risk.SCOPE]})" if check.owned else ""
    text = f"{UNPRICED[check.code]}: no price to count the order at" if unpriced else check.text
    return Fault(check.reason, text + whose)


class Gate:
    """Asks the limits about each order of the slow door."""

    def __init__(self, risk: Risk, killed: Callable[[Member, bytes | None, str], str | None]) -> None:
        self.risk = risk
        #: Whose kill switch stands against (session, account, symbol): a word, None when none does.
        self.killed = killed
        self._draft: Draft | None = None

    def standing_fault(self, member: Member, message: Message, symbol: bytes, account: bytes | None) -> Fault | None:
        """What stands against any such order: the kill switch, a restricted symbol, a short sale that needs more."""
        name = symbol.decode("ascii")
        killed = self.killed(member, account, name)
        if killed is not None:
            return Fault(KILLED.reason, f"{KILLED.text} ({killed})")
        limits = list(self._limits(member, account, name))
        if any(_fits_any(entry.restricted, name) for entry in limits):
            return Fault(RESTRICTED.reason, RESTRICTED.text)
        if message.get(tags.SIDE) != Side.SELL_SHORT:
            return None
        if any(entry.short_sale == "forbidden" for entry in limits):
            return Fault(SHORT_FORBIDDEN.reason, SHORT_FORBIDDEN.text)
        unlocated = [entry for entry in limits if entry.short_sale == "locate" and not _fits_any(entry.locates, name)]
        return Fault(NOT_LOCATED.reason, NOT_LOCATED.text) if unlocated and not _located(message) else None

    def _limits(self, member: Member, account: bytes | None, symbol: str) -> list[Limits]:
        """The limits that look at an order."""
        firm = member.counterparty.firm
        asked = (
            ("session", member.name.decode("latin-1")), ("firm", firm), ("account", (account or b"").decode("latin-1")),
            ("instrument", symbol),
        )  # fmt: skip
        config = self.risk.config
        return [entry for scope, name in asked if name and (entry := config.limits_for(scope, name)) is not None]

    def order_fault(self, member: Member, message: Message, listing: Listing, lots: int, price: int) -> Fault | None:
        """What stands against a new order in the limits; None, and it is to be kept or dropped."""
        self._draft = draft = self.risk.draft(member, message.get(tags.ACCOUNT), listing)
        if draft is None:
            return None
        if draft is FULL:
            self._draft = None
            return fault_of(engine_risk.DUPLICATE_MEMORY)
        side, ord_type = message.get(tags.SIDE, b"")[0], message.get(tags.ORD_TYPE, b"")[0]
        tif = message.get(tags.TIME_IN_FORCE, b"0")[0]
        with self.risk.valued(listing):
            code = int(engine_risk.risk_fault(self.risk.machine, draft.party, listing.book, side, ord_type, tif, price, lots))
        if code:
            self.drop()
            return fault_of(code)
        return None

    def keep(self, listing: Listing) -> None:
        """The order is accepted."""
        draft, self._draft = self._draft, None
        if self.risk.armed:
            self.risk.value(listing)
        if draft is not None:
            self.risk.keep(draft)

    def drop(self) -> None:
        """The order is refused after all."""
        draft, self._draft = self._draft, None
        if draft is not None:
            self.risk.drop(draft)

    def replace_fault(self, member: Member, message: Message, slot: int, price: int, lots: int) -> CancelRejection | None:
        """What stands against a replace of ORDER row `slot`."""
        row: Any = self.risk.machine.orders[slot]
        text = None
        account = None if int(row["echo"]) == NIL else account_text(self.risk.machine.echoes[int(row["echo"])])
        fault = self.standing_fault(member, message, message.get(tags.SYMBOL, b""), account)
        if fault is not None:
            text = fault.text
        elif int(row["party"]) != NIL:
            code = int(engine_risk.replace_fault(self.risk.machine, slot, price, lots))
            text = fault_of(code).text if code else None
        return None if text is None else CancelRejection(CxlRejReason.BROKER_EXCHANGE_OPTION, text)

    # ---- messages

    def rate_action(self, member: Member) -> str | None:
        """What becomes of another message of a session: None when it may be taken, else `reject`, `disconnect` or `queue`."""
        owner = int(member.row["risk"])
        if owner == NIL or not self.risk.machine.owners[owner]["message_rate"]:
            return None
        if engine_risk.has_message_token(self.risk.machine, member.slot):
            return None
        limits = self.risk.limits_of(owner)
        assert limits is not None and self.risk.names[owner][0] == Scope.SESSION
        return limits.message_rate_action

    def take_message(self, member: Member) -> None:
        """A message is taken."""
        engine_risk.take_message_token(self.risk.machine, member.slot)

    def waits(self, member: Member) -> bool:
        """Is nothing of the session taken until its bucket has refilled? Whoever comes or leaves has no order to wait with."""
        return member.is_logged_on and self.rate_action(member) == "queue"

    def missing_ns(self, member: Member, venue_ns: int) -> int:
        """How long a session that waits has to, ns."""
        owner = int(member.row["risk"])
        missing = engine_risk.TOKEN - int(engine_risk.message_tokens(self.risk.machine, owner, venue_ns))
        return max(1, -(-missing // int(self.risk.machine.owners[owner]["message_rate"])))


def _fits_any(patterns: tuple[str, ...], name: str) -> bool:
    return any(fits(pattern, name) for pattern in patterns)


def _located(message: Message) -> bool:
    """The stock of a short sale is located: LocateReqd(114)=N says so, or 5700 names who did."""
    return message.get(tags.LOCATE_REQD) == b"N" or bool(message.get(LOCATE_BROKER))
