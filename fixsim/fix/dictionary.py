"""What FIX 4.4 says: fields, values, messages, groups, all read from `spec/FIX44.xml`.

The file is in the QuickFIX format and the only source of these facts. Components are dissolved on loading: a
layout names the fields of a header, trailer, message body or group entry in their order, whichever block they
came from.
"""

import functools
import importlib.resources
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final, NamedTuple

from fixsim.fix.codec import show
from fixsim.fix.message import Field, Message

_MSG_TYPE: Final = 35
#: The messages of the session itself. The file also counts XMLnonFIX(n) as administrative; QuickFIX does not.
_SESSION_MESSAGES: Final = frozenset((b"0", b"1", b"2", b"3", b"4", b"5", b"A"))


class FieldSpec(NamedTuple):
    """One field: `type` is the FIX data type (`QTY`); `values` are the allowed ones, empty if any is."""

    tag: int
    name: str
    type: str
    values: Mapping[bytes, str]


class Layout(NamedTuple):
    """The fields of a header, a trailer, a body or one group entry.

    `order` gives each tag its place; the first of a group entry is the one every entry begins with. `groups`
    are the layouts of entries by the tag that counts them; those tags have a place too.
    """

    order: Mapping[int, int]
    required: frozenset[int]
    groups: Mapping[int, "Layout"]

    @property
    def delimiter(self) -> int:
        """The tag every entry of a group begins with."""
        return next(iter(self.order))


class MessageSpec(NamedTuple):
    """One message: its MsgType(35), its name and its body."""

    msg_type: bytes
    name: str
    body: Layout


class Described(NamedTuple):
    """A field for human eyes; names are empty where the dictionary has none."""

    tag: int
    name: str
    value: str
    value_name: str


class Dictionary:
    """The facts of one dictionary file. Immutable once built; compared by identity."""

    def __init__(
        self,
        fields: Mapping[int, FieldSpec],
        header: Layout,
        trailer: Layout,
        messages: Mapping[bytes, MessageSpec],
    ) -> None:
        self.fields: Final = fields
        self.header: Final = header
        self.trailer: Final = trailer
        self.messages: Final = messages
        self._tags: Final = {spec.name: spec.tag for spec in fields.values()}

    def tag(self, name: str) -> int | None:
        """Tag of the field called `name` (`ClOrdID`), None if there is none."""
        return self._tags.get(name)

    def field_name(self, tag: int) -> str:
        """Name of a field, empty if it is unknown."""
        spec = self.fields.get(tag)
        return spec.name if spec is not None else ""

    def message_name(self, msg_type: bytes) -> str:
        """Name of a message, empty if it is unknown."""
        spec = self.messages.get(msg_type)
        return spec.name if spec is not None else ""

    def value_name(self, tag: int, value: bytes) -> str:
        """Name of a value (of each of several, for MultipleValueString); empty if it has none."""
        if tag == _MSG_TYPE:
            return self.message_name(value)
        spec = self.fields.get(tag)
        if spec is None:
            return ""
        if spec.type == "MULTIPLEVALUESTRING":
            return " ".join(filter(None, (spec.values.get(part, "") for part in value.split(b" "))))
        return spec.values.get(value, "")

    def is_admin(self, msg_type: bytes) -> bool:
        """Whether a message belongs to the session (0 1 2 3 4 5 A) and not to the application."""
        return msg_type in _SESSION_MESSAGES

    def describe(self, message: Message) -> list[Described]:
        """Every field of `message` in wire order, with its names."""
        return [
            Described(tag, self.field_name(tag), show(value), self.value_name(tag, value))
            for tag, value in message.fields
        ]

    def entries(self, message: Message, count_tag: int) -> list[Message]:
        """The entries of the group that `count_tag` counts in `message`, empty if it has none.

        `message` is a whole message or an entry got from here. Entries are as they came: whether their number
        is what the count says is for validation to judge.
        """
        group = self._group(message.msg_type, count_tag)
        if group is None or count_tag not in message:
            return []
        at = next(place for place, (tag, _) in enumerate(message.fields) if tag == count_tag)
        entries, _ = split_entries(message.fields, at + 1, group)
        return [Message(entry, message.msg_type) for entry in entries]

    def _group(self, msg_type: bytes, count_tag: int) -> Layout | None:
        """Layout of the group counted by `count_tag`, at any depth of a message or in the header."""
        spec = self.messages.get(msg_type)
        layouts = [self.header] if spec is None else [spec.body, self.header]
        while layouts:
            layout = layouts.pop(0)
            if count_tag in layout.groups:
                return layout.groups[count_tag]
            layouts.extend(layout.groups.values())
        return None


def split_entries(fields: list[Field], at: int, group: Layout) -> tuple[list[list[Field]], int]:
    """The entries of `group` that stand in `fields` from `at` on, nested ones inside theirs, and where they
    end.

    An entry begins with the delimiter. Fields of the group in front of the first delimiter make an entry of
    their own: that is a fault, and shows as one.
    """
    entries: list[list[Field]] = []
    order, delimiter = group.order, group.delimiter
    while at < len(fields):
        tag = fields[at][0]
        if tag not in order:
            break
        if tag == delimiter or not entries:
            entries.append([])
        end = at + 1
        nested = group.groups.get(tag)
        if nested is not None:
            _, end = split_entries(fields, end, nested)
        entries[-1].extend(fields[at:end])
        at = end
    return entries, at


@functools.cache
def fix44() -> Dictionary:
    """The FIX 4.4 dictionary that travels with fixsim; read once."""
    return load(_file().read_text(encoding="utf-8"))


def _file() -> Traversable | Path:
    """`spec/FIX44.xml`: inside an installed package, or beside the package in a source tree."""
    packaged = importlib.resources.files("fixsim") / "spec" / "FIX44.xml"
    return packaged if packaged.is_file() else Path(__file__).parents[2] / "spec" / "FIX44.xml"


def load(xml: str) -> Dictionary:
    """A dictionary from the text of a QuickFIX dictionary file. Raises KeyError for undefined names."""
    root = ElementTree.fromstring(xml)
    reader = _Reader(root)
    messages = {}
    for element in _child(root, "messages"):
        msg_type = element.attrib["msgtype"].encode()
        messages[msg_type] = MessageSpec(msg_type, element.attrib["name"], reader.layout(element))
    return Dictionary(
        reader.fields, reader.layout(_child(root, "header")), reader.layout(_child(root, "trailer")), messages
    )


def _child(element: ElementTree.Element, name: str) -> ElementTree.Element:
    """The child called `name`. Raises KeyError if there is none."""
    child = element.find(name)
    if child is None:
        raise KeyError(name)
    return child


class _Reader:
    """Turns elements of a dictionary file into layouts."""

    def __init__(self, root: ElementTree.Element) -> None:
        self.fields = {spec.tag: spec for spec in map(_field_spec, _child(root, "fields"))}
        self._tags = {spec.name: spec.tag for spec in self.fields.values()}
        self._components = {element.attrib["name"]: element for element in _child(root, "components")}

    def layout(self, element: ElementTree.Element) -> Layout:
        """The layout an element (header, trailer, message, group) describes."""
        tags: list[int] = []
        required: set[int] = set()
        groups: dict[int, Layout] = {}
        self._collect(element, True, tags, required, groups)
        return Layout({tag: place for place, tag in enumerate(tags)}, frozenset(required), groups)

    def _collect(
        self,
        element: ElementTree.Element,
        demanded: bool,
        tags: list[int],
        required: set[int],
        groups: dict[int, Layout],
    ) -> None:
        """Add the fields of `element`; in a block that is not `demanded` none of them is required."""
        for child in element:
            name, needed = child.attrib["name"], demanded and child.attrib["required"] == "Y"
            if child.tag == "component":
                self._collect(self._components[name], needed, tags, required, groups)
                continue
            tag = self._tags[name]
            tags.append(tag)
            if needed:
                required.add(tag)
            if child.tag == "group":
                groups[tag] = self.layout(child)


def _field_spec(element: ElementTree.Element) -> FieldSpec:
    """The field a `<field number name type>` element defines."""
    values = {value.attrib["enum"].encode(): value.attrib["description"] for value in element}
    return FieldSpec(int(element.attrib["number"]), element.attrib["name"], element.attrib["type"], values)
