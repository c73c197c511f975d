"""Where an application message goes that has come in sequence: to its door, or back."""

from typing import TYPE_CHECKING

from fixsim.errors import BusinessRejection
from fixsim.exchange import orders
from fixsim.exchange.answers import business_reject
from fixsim.exchange.gate import MESSAGE_RATE
from fixsim.exchange.members import Member
from fixsim.fix.enums import BusinessRejectReason, MsgType
from fixsim.fix.message import Message
from fixsim.session import Deliver

if TYPE_CHECKING:
    from fixsim.exchange.exchange import Exchange


def deliver(exchange: "Exchange", member: Member, event: Deliver) -> None:
    """An application message in sequence: to its door, or refused by BusinessMessageReject(j)."""
    message = event.message
    if not all(value for _, value in message.fields):
        # only where nothing is validated: a field without a value counts as absent
        message = Message([field for field in message.fields if field[1]], message.msg_type)
    door = exchange._doors.get(message.msg_type)
    action = exchange.gate.rate_action(member)
    exchange.gate.take_message(member)
    try:
        if action == "disconnect":
            exchange.log_out(member, MESSAGE_RATE.text, put_out=True)
            return
        if action == "reject":
            exchange.desk.refuse_for_rate(member, message)
            return
        if door is None:
            raise BusinessRejection(BusinessRejectReason.UNSUPPORTED_MESSAGE_TYPE, "Unsupported Message Type")
        door(member, message, event.poss_resend)
        exchange.look()  # a mass cancel may have cleared a band, too
    except BusinessRejection as refusal:
        body = business_reject(message, refusal.reason, refusal.text)
        exchange.tape.say(member.slot, MsgType.BUSINESS_MESSAGE_REJECT, orders.route_of(message), body)
