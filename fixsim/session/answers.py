"""The session messages we say, as events; and the route an answer goes back by."""

from typing import Final

from fixsim.errors import SessionRejection
from fixsim.fix import tags
from fixsim.fix.enums import MsgType
from fixsim.fix.message import Message
from fixsim.session.events import Fields, Say

#: A routing field of a message, and the field that leads an answer back (FIX 4.4 volume 1, third-party
#: routing).
WAY_BACK: Final = (
    (tags.TARGET_SUB_ID, tags.SENDER_SUB_ID),
    (tags.SENDER_SUB_ID, tags.TARGET_SUB_ID),
    (tags.DELIVER_TO_COMP_ID, tags.ON_BEHALF_OF_COMP_ID),
    (tags.DELIVER_TO_SUB_ID, tags.ON_BEHALF_OF_SUB_ID),
    (tags.ON_BEHALF_OF_COMP_ID, tags.DELIVER_TO_COMP_ID),
    (tags.ON_BEHALF_OF_SUB_ID, tags.DELIVER_TO_SUB_ID),
    (tags.TARGET_LOCATION_ID, tags.SENDER_LOCATION_ID),
    (tags.SENDER_LOCATION_ID, tags.TARGET_LOCATION_ID),
    (tags.DELIVER_TO_LOCATION_ID, tags.ON_BEHALF_OF_LOCATION_ID),
    (tags.ON_BEHALF_OF_LOCATION_ID, tags.DELIVER_TO_LOCATION_ID),
)


def way_back(message: Message) -> Fields:
    """The routing fields of an answer to `message`; an empty one leads nowhere and is left out."""
    return tuple((back, value) for there, back in WAY_BACK if (value := message.get(there)))


def heartbeat() -> Say:
    """Heartbeat(0) because we were silent for HeartBtInt(108)."""
    return Say(MsgType.HEARTBEAT)


def heartbeat_for(test_request: Message) -> Say:
    """Heartbeat(0) that answers a TestRequest(1) with its TestReqID(112)."""
    test_req_id = test_request.get(tags.TEST_REQ_ID)
    body = ((tags.TEST_REQ_ID, test_req_id),) if test_req_id else ()
    return Say(MsgType.HEARTBEAT, body, way_back(test_request))


def test_request() -> Say:
    """TestRequest(1): the peer has been silent for longer than agreed."""
    return Say(MsgType.TEST_REQUEST, ((tags.TEST_REQ_ID, b"TEST"),))


def resend_request(begin: int, end: int) -> Say:
    """ResendRequest(2) for `begin` to `end`; 0 as end asks for everything."""
    return Say(MsgType.RESEND_REQUEST, ((tags.BEGIN_SEQ_NO, b"%d" % begin), (tags.END_SEQ_NO, b"%d" % end)))


def reject(message: Message, rejection: SessionRejection) -> Say:
    """Reject(3) of `message`: 45, 58, 371 where a tag is to blame, 372, 373."""
    ref_tag = rejection.ref_tag
    body: Fields = (
        (tags.REF_SEQ_NUM, b"%d" % (message.get_int(tags.MSG_SEQ_NUM) or 0)),
        (tags.TEXT, rejection.text.encode()),
    )
    if ref_tag is not None:
        body += ((tags.REF_TAG_ID, str(ref_tag).encode()),)
    body += ((tags.REF_MSG_TYPE, message.msg_type), (tags.SESSION_REJECT_REASON, b"%d" % rejection.reason))
    return Say(MsgType.REJECT, body, way_back(message))


def logout(text: bytes | None, answer_to: Message | None = None) -> Say:
    """Logout(5), with the reason in Text(58) where there is one."""
    body = ((tags.TEXT, text),) if text else ()
    return Say(MsgType.LOGOUT, body, way_back(answer_to) if answer_to is not None else ())
