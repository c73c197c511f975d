"""Which application message leads to whom."""

from collections.abc import Callable

from fixsim.exchange.desk import Desk
from fixsim.exchange.market import Market
from fixsim.exchange.masscancel import MassCancel
from fixsim.exchange.members import Member
from fixsim.exchange.status import Status
from fixsim.fix.enums import MsgType
from fixsim.fix.message import Message

#: Answers an application message; told whether it may have come before.
Door = Callable[[Member, Message, bool], None]


def doors(desk: Desk, market: Market, status: Status, mass_cancel: MassCancel) -> dict[bytes, Door]:
    """The door of each MsgType(35) that is served."""
    return {
        MsgType.NEW_ORDER_SINGLE: desk.new_order_single,
        MsgType.ORDER_CANCEL_REQUEST: desk.order_cancel_request,
        MsgType.ORDER_CANCEL_REPLACE_REQUEST: desk.order_cancel_replace_request,
        MsgType.ORDER_STATUS_REQUEST: _question(desk.order_status_request),
        MsgType.ORDER_MASS_CANCEL_REQUEST: _question(mass_cancel.request),
        MsgType.SECURITY_LIST_REQUEST: _question(market.security_list_request),
        MsgType.MARKET_DATA_REQUEST: _question(market.market_data_request),
        MsgType.SECURITY_STATUS_REQUEST: _question(status.security_status_request),
        MsgType.TRADING_SESSION_STATUS_REQUEST: _question(status.session_status_request),
    }


def _question(door: Callable[[Member, Message], None]) -> Door:
    """A door that answers a second time as it did the first."""
    return lambda member, message, _: door(member, message)
