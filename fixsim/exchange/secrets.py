"""Credentials on their way to the journal: what is kept of them is their length."""

import re
from typing import Final

from fixsim.fix import tags
from fixsim.fix.enums import MsgType
from fixsim.fix.message import Message

#: Password, NewPassword, RawData; in the messages that carry credentials by them.
SECRET_TAGS: Final = (tags.PASSWORD, tags.NEW_PASSWORD, tags.RAW_DATA)
SECRET_TYPES: Final = frozenset({MsgType.LOGON, MsgType.USER_REQUEST})
#: The same fields where no message can be read.
SECRET_TEXT: Final = re.compile(rb"((?:^|\x01)(?:%s)=)([^\x01]*)" % b"|".join(b"%d" % tag for tag in SECRET_TAGS))


def holds_any(message: Message) -> bool:
    """Whether `message` has a field that must not be kept in clear."""
    return message.msg_type in SECRET_TYPES and any(tag in message for tag in SECRET_TAGS)


def masked(frame: bytes, message: Message) -> bytes:
    """`frame`, which is `message`, with the values of its secret fields replaced by as many `*`."""
    octets, at = bytearray(frame), 0
    for place, (tag, value) in enumerate(message.fields):
        at += len(message.raw_tags.get(place, b"%d" % tag)) + 1
        if tag in SECRET_TAGS:
            octets[at : at + len(value)] = b"*" * len(value)
        at += len(value) + 1
    return bytes(octets)


def masked_text(stretch: bytes) -> bytes:
    """The same for bytes that are no message: a damaged Logon must not give its password away."""
    return SECRET_TEXT.sub(lambda found: found[1] + b"*" * len(found[2]), stretch)
