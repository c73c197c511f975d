"""`fixsim decode`: pasted FIX, explained: every field with its name, and what is wrong with it."""

import os
import re
import sys
from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Any, Final, NamedTuple

import typer

from fixsim.cli.output import FINDING, print_json, print_table
from fixsim.errors import GarbledMessage, UsageError
from fixsim.fix import tags
from fixsim.fix.codec import BEGIN_STRING, LENGTH_OF_DATA, SOH, byte_sum, show
from fixsim.fix.codec import decode as decode_frame
from fixsim.fix.dictionary import Described, Dictionary, fix44
from fixsim.fix.validate import validate

#: Where a message begins in a log line or a paste.
BEGIN: Final = re.compile(rb"(?<![0-9])8=FIX")
#: A paste that has fields but no beginning.
FRAGMENT: Final = re.compile(rb"[0-9]+=")
#: The trailer: what follows it on a line is not the message's.
TRAILER: Final = re.compile(rb"\x0110=(?:[0-9]+|[^\x01 ]*)")
DIGITS: Final = re.compile(rb"[0-9]{1,9}")


class Explained(NamedTuple):
    """One message: its fields with their names, and its faults, in words."""

    msg_type: bytes
    fields: list[Described]
    faults: list[str]


def decode(
    messages: Annotated[
        list[str] | None,
        typer.Argument(metavar="[MESSAGE]...", help="FIX messages; standard input when none is given."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object per message.")] = False,
) -> None:
    """Explain pasted FIX messages. SOH, | or ^A may stand between the fields; log lines around them are fine.

    Exit codes: 0 every message is well formed, 1 one of them is not, 2 no message was found.
    """
    given = [os.fsencode(message) for message in messages or ()]
    pasted = b"\n".join(given) if given else sys.stdin.buffer.read()
    found = [explain(frame, fix44()) for frame in frames_of(pasted)]
    if not found:
        raise UsageError("no FIX message found: it begins with 8=FIX, or at least with a tag and '='")
    for number, explained in enumerate(found):
        if json:
            print_json(as_json(explained, fix44()))
        else:
            if number:
                print()
            print_explained(explained, fix44())
    if any(explained.faults for explained in found):
        raise typer.Exit(FINDING)


def frames_of(pasted: bytes) -> Iterator[bytes]:
    """The messages in a paste, SOH between their fields; text in front of and behind each is left out."""
    for line in lines_of(pasted):
        starts = [match.start() for match in BEGIN.finditer(line)]
        if not starts and FRAGMENT.match(line):
            starts = [0]
        for start, end in pairwise([*starts, len(line)]):
            frame = line[start:end]
            trailers = list(TRAILER.finditer(frame))
            if trailers:
                frame = frame[: trailers[-1].end()]
            yield frame.rstrip(SOH) + SOH


def lines_of(pasted: bytes) -> Iterator[bytes]:
    """Lines of a paste, with SOH for whatever stands between the fields of each."""
    for line in pasted.splitlines():
        stripped = line.strip(b" \t\"'")
        if SOH not in stripped:
            stripped = stripped.replace(b"^A", SOH) if b"^A" in stripped else stripped.replace(b"|", SOH)
        if stripped:
            yield stripped


def explain(frame: bytes, dictionary: Dictionary) -> Explained:
    """Names and faults of one message, however broken it is."""
    faults = framing_faults(frame)
    try:
        message = decode_frame(frame, check=False)
    except GarbledMessage as error:
        fields = [described(dictionary, tag, value) for tag, value in loose_fields(frame)]
        msg_type = next((field.value.encode() for field in fields if field.tag == tags.MSG_TYPE), b"")
        return Explained(msg_type, fields, faults or [f"garbled: {error}"])
    rejection = validate(message, dictionary, "strict") if frame.startswith(b"8=" + BEGIN_STRING) else None
    if rejection is not None:
        faults.append(rejection_text(rejection.text, rejection.ref_tag, dictionary))
    return Explained(message.msg_type, dictionary.describe(message), faults)


def rejection_text(text: str, ref_tag: int | str | None, dictionary: Dictionary) -> str:
    """What the dictionary has against a message."""
    if ref_tag is None:
        return text
    name = dictionary.field_name(ref_tag) if isinstance(ref_tag, int) else ""
    return f"{text}: {name}({ref_tag})" if name else f"{text}: {ref_tag}"


def framing_faults(frame: bytes) -> list[str]:
    """What is wrong with BeginString(8), BodyLength(9) and CheckSum(10): found, and what it should be."""
    fields = list(loose_fields(frame))
    names = [tag for tag, _ in fields]
    if names[:3] != [b"8", b"9", b"35"]:
        return ["garbled: the first three fields are not 8, 9, 35"]
    if names[-1] != b"10":
        return ["garbled: the last field is not CheckSum(10)"]
    faults = []
    body = len(b"8=%b\x019=%b\x01" % (fields[0][1], fields[1][1]))
    trailer = len(frame) - len(b"10=%b\x01" % fields[-1][1])
    if DIGITS.fullmatch(fields[1][1]) is None or int(fields[1][1]) != trailer - body:
        faults.append(f"BodyLength(9) is {show(fields[1][1])}, the body has {trailer - body} bytes")
    check_sum = b"%03d" % (byte_sum(frame[:trailer]) & 0xFF)
    if fields[-1][1] != check_sum:
        faults.append(f"CheckSum(10) is {show(fields[-1][1])}, the bytes add up to {check_sum.decode()}")
    return faults


def loose_fields(frame: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Tags and values as they stand, data fields by their length; a part without '=' is a tag without a
    value.
    """
    at, last_tag, last_value = 0, b"", b""
    while at < len(frame):
        end = frame.find(SOH, at)
        end = len(frame) if end < 0 else end
        tag, equals, _ = frame[at:end].partition(b"=")
        begin = at + len(tag) + len(equals)
        length_tag = LENGTH_OF_DATA.get(int(tag)) if DIGITS.fullmatch(tag) else None
        if length_tag is not None and last_tag == b"%d" % length_tag and DIGITS.fullmatch(last_value):
            stop = begin + int(last_value)
            end = stop if frame[stop : stop + 1] == SOH else end
        last_tag, last_value = tag, frame[begin:end]
        yield tag, last_value
        at = end + 1


def described(dictionary: Dictionary, tag: bytes, value: bytes) -> Described:
    """One field of a message that could not be read as a whole."""
    number = int(tag) if DIGITS.fullmatch(tag) else 0
    name = dictionary.field_name(number) if number else f"{show(tag)}?"
    return Described(number, name, show(value), dictionary.value_name(number, value))


def as_json(explained: Explained, dictionary: Dictionary) -> dict[str, Any]:
    """One message as a JSON object."""
    return {
        "msg_type": show(explained.msg_type),
        "message": dictionary.message_name(explained.msg_type),
        "fields": [field._asdict() for field in explained.fields],
        "faults": explained.faults,
    }


def print_explained(explained: Explained, dictionary: Dictionary) -> None:
    """One message as a table, its faults behind it."""
    name = dictionary.message_name(explained.msg_type) or "Unknown message"
    rows = [(field.tag or "", field.name, field.value, field.value_name) for field in explained.fields]
    print_table(("Tag", "Field", "Value", "Meaning"), rows, f"{name}({show(explained.msg_type)})")
    for fault in explained.faults:
        print(f"! {fault}")
