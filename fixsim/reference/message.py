"""What came, as the oracle reads it: fields in wire order, and the routing of an answer."""

from collections.abc import Sequence
from typing import Final, TypeAlias

from simplefix import FixMessage, FixParser

from fixsim.errors import GarbledMessage

#: One tag and its value.
Field: TypeAlias = tuple[int, bytes]
#: What a message may be handed in as: decoded by simplefix, a whole frame, or fields with 35 among them.
Wire: TypeAlias = "FixMessage | bytes | Sequence[Field]"

#: Pairs of routing fields that change places in an answer (FIX 4.4 volume 1, standard message header).
ROUTING: Final = ((50, 57), (115, 128), (116, 129), (142, 143), (144, 145))
#: Each routing field of a message, and the field of the answer that takes its value.
REVERSED: Final = {**dict(ROUTING), **{there: here for here, there in ROUTING}}


class Inbound:
    """An application message that a session layer has accepted; the first value of a repeated tag counts."""

    def __init__(self, wire: Wire) -> None:
        self.fields = [field for field in _fields(wire) if field[1]]
        self._first = dict(reversed(self.fields))
        msg_type = self.get(35)
        if msg_type is None:
            raise GarbledMessage("a message without MsgType(35)")
        self.msg_type = msg_type

    def get(self, tag: int) -> bytes | None:
        """The value of `tag`; None if it is absent, or was never given one."""
        return self._first.get(tag)

    def all(self, tag: int) -> list[bytes]:
        """Every value of `tag`, as in a repeating group."""
        return [value for this, value in self.fields if this == tag]

    def echo(self, *tags: int) -> list[Field]:
        """Those of `tags` that were received, as they were received."""
        return [(tag, value) for tag in tags if (value := self.get(tag)) is not None]

    @property
    def poss_resend(self) -> bool:
        return self.get(97) == b"Y"

    @property
    def symbol(self) -> str:
        return (self.get(55) or b"").decode("latin-1")

    @property
    def route(self) -> tuple[Field, ...]:
        """Routing fields for an answer: reversed, in ascending tag order."""
        return tuple(sorted((REVERSED[tag], value) for tag, value in self.echo(*REVERSED)))


def _fields(wire: Wire) -> list[Field]:
    if isinstance(wire, bytes):
        parser = FixParser(allow_empty_values=True)
        parser.append_buffer(wire)
        wire = parser.get_message()
        if wire is None:
            raise GarbledMessage("no whole message")
    if isinstance(wire, FixMessage):
        return [(int(tag), value) for tag, value in wire.pairs]
    return list(wire)
