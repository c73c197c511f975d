"""What a verification finds: which message is not what it was, and where."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from fixsim.errors import GarbledMessage
from fixsim.fix.codec import decode, show
from fixsim.fix.dictionary import fix44
from fixsim.journal.record import KIND_NAMES, Record
from fixsim.layout import Kind

ALTERED: Final = "altered"
MISSING: Final = "missing"
INSERTED: Final = "inserted"
REORDERED: Final = "reordered"

JOURNAL: Final = "journal"
DATABASE: Final = "database"
CHAIN: Final = "chain"
HEAD: Final = "head"

#: Fields by which people know a message.
TELLING: Final = (34, 49, 56, 11, 41, 37, 17, 150, 55)
#: How many neighbours in one place must agree for what stands between them to count as put in or taken out.
WINDOW: Final = 4
#: Longest stretch that is recognised as put in, taken out or exchanged.
STRETCH_MAX: Final = 64


@dataclass(frozen=True)
class Finding:
    """One thing that is not what it was: `what` happened `where`, from `position` on (`part` of a resend, else 0)."""

    what: str
    where: str
    position: int
    message: str
    text: str = ""
    part: int = 0

    def line(self) -> str:
        """For people."""
        part = f".{self.part}" if self.part else ""
        told = f": {self.text}" if self.text else ""
        return f"{self.what} in the {self.where} at position {self.position}{part}: {self.message or 'a record'}{told}"


def describe(record: Record) -> str:
    """A journal record in a few words."""
    if record.kind in (Kind.IN, Kind.OUT):
        return f"{KIND_NAMES[record.kind]} {describe_frame(bytes(record.payload))}"
    return KIND_NAMES.get(record.kind, f"a record of kind {record.kind}")


def describe_frame(frame: bytes) -> str:
    """A frame by its name and the fields people know it by."""
    try:
        message = decode(frame, check=False)
    except GarbledMessage:
        return f"unreadable {show(frame[:80])}"
    fields = " ".join(f"{tag}={show(value)}" for tag in TELLING if (value := message.get(tag)) is not None)
    return f"{fix44().message_name(message.msg_type) or 'message'}({show(message.msg_type)}) {fields}"


def classify(actual: Sequence[int], wanted: Sequence[int]) -> tuple[str, int, int] | None:
    """(what happened, index of the first that differs, how many) between two rows of marks; None when they are equal."""
    ends = min(len(actual), len(wanted))
    at = next((index for index in range(ends) if actual[index] != wanted[index]), ends)
    if at == len(actual) == len(wanted):
        return None
    for count in range(1, STRETCH_MAX + 1):
        if at + count <= len(actual) and actual[at + count : at + count + WINDOW] == wanted[at : at + WINDOW]:
            return INSERTED, at, count
        if at + count <= len(wanted) and actual[at : at + WINDOW] == wanted[at + count : at + count + WINDOW]:
            return MISSING, at, count
    for count in range(2, STRETCH_MAX + 1):
        if at + count <= ends and sorted(actual[at : at + count]) == sorted(wanted[at : at + count]):
            return REORDERED, at, count
    return ALTERED, at, 1
