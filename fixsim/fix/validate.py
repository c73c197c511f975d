"""Is a message what the dictionary says? If not, which Reject(3) does it get?

A message with several faults is answered for one of them, in the order QuickFIX looks for them: header, body
and trailer in order (14), MsgType known (11), required fields (1), then the fields of header, trailer and
body by ascending tag: repeated (13), empty (4), format (6), listed value (5), known tag (0), tag of this
message (2), entries of a group (16, 15, 13, 1 and again the values). The texts are QuickFIX's too, which is
what counterparties know.

Two ways lead to the same verdict. Most messages are plain: one table look-up and one check for each field say
that nothing is wrong. Whatever is not plain, or not right, goes through `_examine`, which names the fault.
"""

import functools
from collections.abc import Iterable
from typing import Final, Literal, NamedTuple

from fixsim.errors import SessionRejection
from fixsim.fix.codec import LENGTH_OF_DATA
from fixsim.fix.dictionary import Dictionary, Layout, split_entries
from fixsim.fix.enums import SessionRejectReason as Reason
from fixsim.fix.message import Field, Message
from fixsim.fix.values import FORMATS, Check, acceptable, one_of

Strictness = Literal["strict", "lenient", "off"]

#: Text(58) of a Reject(3) by its SessionRejectReason(373).
REJECT_TEXT: Final = {
    Reason.INVALID_TAG_NUMBER: "Invalid tag number",
    Reason.REQUIRED_TAG_MISSING: "Required tag missing",
    Reason.TAG_NOT_DEFINED_FOR_THIS_MESSAGE_TYPE: "Tag not defined for this message type",
    Reason.TAG_SPECIFIED_WITHOUT_A_VALUE: "Tag specified without a value",
    Reason.VALUE_IS_INCORRECT: "Value is incorrect (out of range) for this tag",
    Reason.INCORRECT_DATA_FORMAT_FOR_VALUE: "Incorrect data format for value",
    Reason.COMP_ID_PROBLEM: "CompID problem",
    Reason.SENDING_TIME_ACCURACY_PROBLEM: "SendingTime accuracy problem",
    Reason.INVALID_MSG_TYPE: "Invalid MsgType",
    Reason.TAG_APPEARS_MORE_THAN_ONCE: "Tag appears more than once",
    Reason.TAG_SPECIFIED_OUT_OF_REQUIRED_ORDER: "Tag specified out of required order",
    Reason.REPEATING_GROUP_FIELDS_OUT_OF_ORDER: "Repeating group fields out of order",
    Reason.INCORRECT_NUM_IN_GROUP_COUNT_FOR_REPEATING_GROUP: "Incorrect NumInGroup count for repeating group",
}

#: Sections of a message, in the order they must come.
_HEADER: Final = 0
_BODY: Final = 1
_TRAILER: Final = 2

#: The section of a field and the check of its value.
_Plain = dict[int, tuple[int, Check]]


def reject(reason: int, ref_tag: int | str | None) -> SessionRejection:
    """The rejection for `reason`, with the text that belongs to it."""
    return SessionRejection(reason, ref_tag, REJECT_TEXT[reason])


def validate(message: Message, dictionary: Dictionary, strictness: Strictness) -> SessionRejection | None:
    """The rejection `message` deserves, None if it is well formed. See `Validator` for `strictness`."""
    return validator(dictionary, strictness)(message)


@functools.cache
def validator(dictionary: Dictionary, strictness: Strictness) -> "Validator":
    """The one validator for this dictionary and strictness."""
    return Validator(dictionary, strictness)


class _Part(NamedTuple):
    """One field outside groups, or a count and its entries; `place` is its index in the message."""

    tag: int
    place: int
    entries: list[list[Field]] | None


class Validator:
    """Judges messages by one dictionary; call it with a message.

    `strict` checks everything. `lenient` lets tags pass that are unknown, user-defined (5000 and above) or
    not of the message's type, as long as they have a value. `off` lets every message pass.
    """

    def __init__(self, dictionary: Dictionary, strictness: Strictness) -> None:
        self._dictionary = dictionary
        self._strictness = strictness
        self._header, self._trailer = dictionary.header, dictionary.trailer
        self._formats = {tag: FORMATS[spec.type] for tag, spec in dictionary.fields.items()}
        self._listed = {tag: check for tag, spec in dictionary.fields.items() if (check := one_of(spec))}
        self._plain: dict[bytes, tuple[_Plain, frozenset[int]]] = {}

    def __call__(self, message: Message) -> SessionRejection | None:
        """The rejection `message` deserves, None if it is well formed."""
        if self._strictness == "off" or self._is_plain(message):
            return None
        return self._examine(message)

    def _is_plain(self, message: Message) -> bool:
        """Whether `message` is certainly well formed; False says nothing."""
        found = self._plain.get(message.msg_type)
        if found is None:
            found = self._learn(message.msg_type)
        plain, required = found
        index = message.index
        if len(index) != len(message.fields) or not required <= index.keys():
            return False
        last = _HEADER
        for tag, value in message.fields:
            known = plain.get(tag)
            if known is None:
                return False
            section, accepts = known
            if section < last or not accepts(value):
                return False
            last = section
        return True

    def _learn(self, msg_type: bytes) -> tuple[_Plain, frozenset[int]]:
        """The table `_is_plain` works with for one message type; empty for an unknown one."""
        spec = self._dictionary.messages.get(msg_type)
        if spec is None:
            return {}, frozenset()
        plain: _Plain = {}
        required: frozenset[int] = frozenset()
        for section, layout in ((_HEADER, self._header), (_BODY, spec.body), (_TRAILER, self._trailer)):
            required |= layout.required
            for tag in layout.order:
                if tag not in layout.groups and tag not in LENGTH_OF_DATA:
                    plain[tag] = section, acceptable(self._dictionary.fields[tag])
        self._plain[msg_type] = plain, required
        return plain, required

    def _examine(self, message: Message) -> SessionRejection | None:
        """The first fault of `message` in the order given above, None if it has none."""
        spec = self._dictionary.messages.get(message.msg_type)
        body = spec.body if spec is not None else Layout({}, frozenset(), {})
        layouts = (self._header, body, self._trailer)
        sections: tuple[list[_Part], ...] = ([], [], [])
        misplaced = self._split(message, layouts, sections)
        if misplaced is not None:
            return reject(Reason.TAG_SPECIFIED_OUT_OF_REQUIRED_ORDER, misplaced)
        if spec is None:
            return reject(Reason.INVALID_MSG_TYPE, None)
        in_order = (_HEADER, _TRAILER, _BODY)
        for section in in_order:
            present = {part.tag for part in sections[section]}
            if missing := layouts[section].required - present:
                return reject(Reason.REQUIRED_TAG_MISSING, min(missing))
        for section in in_order:
            fault = self._examine_section(message, layouts[section], sections[section])
            if fault is not None:
                return fault
        return None

    def _split(
        self, message: Message, layouts: tuple[Layout, ...], sections: tuple[list[_Part], ...]
    ) -> int | str | None:
        """Sort the fields of `message` into `sections`; the tag of the first that stands in the wrong one."""
        fields, place, last = message.fields, 0, _HEADER
        misplaced: int | str | None = None
        while place < len(fields):
            tag, here = fields[place][0], place
            place += 1
            section = (
                _HEADER if tag in self._header.order else _TRAILER if tag in self._trailer.order else _BODY
            )
            if section < last and misplaced is None:
                misplaced = self._as_received(message, here)
            last = max(section, last)
            entries = None
            group = layouts[section].groups.get(tag)
            if group is not None:
                entries, place = split_entries(fields, place, group)
            sections[section].append(_Part(tag, here, entries))
        return misplaced

    def _as_received(self, message: Message, place: int) -> int | str:
        """The tag at `place` for RefTagID(371): as it was written, also when it is no tag number."""
        raw = message.raw_tags.get(place)
        return message.fields[place][0] if raw is None else raw.decode("ascii")

    def _examine_section(
        self, message: Message, layout: Layout, parts: Iterable[_Part]
    ) -> SessionRejection | None:
        """The first fault among the fields of one section, by ascending tag."""
        last_tag: int | None = None
        for tag, place, entries in sorted(parts, key=lambda part: part[:2]):
            ref_tag = self._as_received(message, place)
            if tag == last_tag and tag > 0:
                return reject(Reason.TAG_APPEARS_MORE_THAN_ONCE, ref_tag)
            last_tag = tag
            value = message.fields[place][1]
            reason = self._value_fault(tag, value)
            if reason is None:
                reason = self._tag_fault(tag, layout)
            if reason is not None:
                return reject(reason, ref_tag)
            fault = None
            if tag in LENGTH_OF_DATA:
                fault = _data_fault(message.fields, place)
            elif entries is not None:
                fault = self._examine_group(tag, value, entries, layout.groups[tag])
            if fault is not None:
                return fault
        return None

    def _value_fault(self, tag: int, value: bytes) -> int | None:
        """What is wrong with `value`, None if nothing is; an unknown tag may have any."""
        if not value:
            return Reason.TAG_SPECIFIED_WITHOUT_A_VALUE
        check = self._formats.get(tag)
        if check is not None and not check(value):
            return Reason.INCORRECT_DATA_FORMAT_FOR_VALUE
        listed = self._listed.get(tag)
        if listed is not None and not listed(value):
            return Reason.VALUE_IS_INCORRECT
        return None

    def _tag_fault(self, tag: int, layout: Layout) -> int | None:
        """Why a field may not stand where it does, None if it may."""
        if tag in layout.order:
            return None
        if tag <= 0:
            return Reason.INVALID_TAG_NUMBER
        if self._strictness == "lenient":
            return None
        if tag not in self._formats:
            return Reason.INVALID_TAG_NUMBER
        return Reason.TAG_NOT_DEFINED_FOR_THIS_MESSAGE_TYPE

    def _examine_group(
        self, count_tag: int, count: bytes, entries: list[list[Field]], group: Layout
    ) -> SessionRejection | None:
        """The first fault of a repeating group: its count, then its entries in wire order."""
        if int(count) != len(entries):
            return reject(Reason.INCORRECT_NUM_IN_GROUP_COUNT_FOR_REPEATING_GROUP, count_tag)
        for entry in entries:
            if entry[0][0] != group.delimiter:
                return reject(Reason.REPEATING_GROUP_FIELDS_OUT_OF_ORDER, entry[0][0])
            fault = self._examine_entry(entry, group)
            if fault is not None:
                return fault
        return None

    def _examine_entry(self, entry: list[Field], group: Layout) -> SessionRejection | None:
        """The first fault of one entry: order of its fields, values, nested groups, required fields."""
        seen: set[int] = set()
        place, last = 0, -1
        while place < len(entry):
            tag, value = entry[place]
            place += 1
            if tag in seen:
                return reject(Reason.TAG_APPEARS_MORE_THAN_ONCE, tag)
            seen.add(tag)
            if group.order[tag] < last:
                return reject(Reason.REPEATING_GROUP_FIELDS_OUT_OF_ORDER, tag)
            last = group.order[tag]
            reason = self._value_fault(tag, value)
            if reason is not None:
                return reject(reason, tag)
            fault = None
            nested = group.groups.get(tag)
            if nested is not None:
                entries, place = split_entries(entry, place, nested)
                fault = self._examine_group(tag, value, entries, nested)
            elif tag in LENGTH_OF_DATA:
                fault = _data_fault(entry, place - 1)
            if fault is not None:
                return fault
        if missing := group.required - seen:
            return reject(Reason.REQUIRED_TAG_MISSING, min(missing))
        return None


def _data_fault(fields: list[Field], place: int) -> SessionRejection | None:
    """What is wrong when the field in front of a data field is not its length (FIX 4.4 volume 1)."""
    tag = fields[place][0]
    length_tag = LENGTH_OF_DATA[tag]
    if fields[place - 1][0] == length_tag:
        return None
    if any(other == length_tag for other, _ in fields):
        return reject(Reason.TAG_SPECIFIED_OUT_OF_REQUIRED_ORDER, tag)
    return reject(Reason.REQUIRED_TAG_MISSING, length_tag)
