"""A FIX message as its fields in wire order.

Nothing is merged, sorted or dropped: header, body and trailer stand in `fields` as they came, entries of
repeating groups simply one after another. What a field means is the dictionary's business (`fix.dictionary`).
"""

import re
from typing import TYPE_CHECKING, Final, overload

if TYPE_CHECKING:
    from fixsim.fix.dictionary import Dictionary

#: A tag and its value, as on the wire.
Field = tuple[int, bytes]

#: What `get_int` reads: a FIX int that fits in 64 bits. `int()` alone would also take blanks, underscores and
#: a plus sign.
INT_TEXT: Final = re.compile(rb"-?[0-9]{1,18}")

_MSG_TYPE: Final = 35


class Message:
    """The fields of one message, or of one entry of a repeating group (with the `msg_type` of its message).

    `fields` is in wire order, 8, 9, 35 and 10 included. A tag that is an integer but no tag number (0, -1,
    007) is kept as zero or a negative number, so that it is never taken for the field it resembles;
    `raw_tags` holds its text by its place.
    """

    __slots__ = ("_index", "fields", "msg_type", "raw_tags")

    def __init__(
        self, fields: list[Field], msg_type: bytes | None = None, raw_tags: dict[int, bytes] | None = None
    ) -> None:
        self.fields = fields
        self.raw_tags: dict[int, bytes] = raw_tags if raw_tags is not None else {}
        self._index: dict[int, bytes] | None = None
        self.msg_type: bytes = msg_type if msg_type is not None else self.get(_MSG_TYPE, b"")

    def __repr__(self) -> str:
        return f"Message({self.fields!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Message):
            return NotImplemented
        return self.fields == other.fields and self.raw_tags == other.raw_tags

    __hash__ = None  # type: ignore[assignment]  # `fields` may change

    @property
    def index(self) -> dict[int, bytes]:
        """Value by tag, the first where a tag comes more than once. Built on first use; not to be changed."""
        index = self._index
        if index is None:
            index = self._index = dict(reversed(self.fields))
        return index

    def __contains__(self, tag: int) -> bool:
        return tag in self.index

    @overload
    def get(self, tag: int) -> bytes | None: ...
    @overload
    def get(self, tag: int, default: bytes) -> bytes: ...
    @overload
    def get(self, tag: int, default: None) -> bytes | None: ...
    def get(self, tag: int, default: bytes | None = None) -> bytes | None:
        """Value of the first field with `tag`, `default` if there is none."""
        return self.index.get(tag, default)

    def get_int(self, tag: int) -> int | None:
        """Value of the first field with `tag` as an integer; None if absent or no FIX int (18 digits)."""
        value = self.index.get(tag)
        if value is None or INT_TEXT.fullmatch(value) is None:
            return None
        return int(value)

    def all(self, tag: int) -> list[bytes]:
        """Values of every field with `tag`, in wire order."""
        return [value for field, value in self.fields if field == tag]

    def groups(self, count_tag: int, dictionary: "Dictionary") -> "list[Message]":
        """The entries of the group that `count_tag` counts; each can be asked for its own groups."""
        return dictionary.entries(self, count_tag)
