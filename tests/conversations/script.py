"""Conversation scripts: what a peer says to fixsim and what it must hear, one rule per file.

    # a comment; the first ones say the rule and its source
    set KEY VALUE   before anything else: a setting of the profile, or role, next_in, next_out, credentials
    connect         a transport comes up
    hang up         the peer closes it
    closed          fixsim has closed it, and nothing is left to be heard
    > FIELDS        the peer says this
    < FIELDS        the next message the peer hears
    @ SECONDS       time passes
    do VERB ...     fixsim's owner acts: logon [reset], logout [TEXT], send FIELDS (an application message),
                    sleep SECONDS (no deadline is looked at before they are over)

FIELDS are `tag=value` with `|` behind each. A `>` line that begins with `35=` is completed: 8, 9, 49, 52,
56 and 10 are added unless given, or left out on purpose (`-56`). One that begins with `8=` is said as it
stands, only a missing 9 or 10 is added; `raw` in front of it keeps even those away. `<+2>` is the time now
plus two seconds, `49=PEER` stands for whatever CompID the peer goes by. A `<` line names every field but 8, 9,
10, 49, 52 and 56, in any order; `*` is any value, and `...` at the end lets further fields pass.
OrigSendingTime(122) must always be a time.

This module knows no transport: `Peer` is what it needs. `core.py` gives it over the bare Session, `street.py`
over a socket to a whole venue.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fixsim.fix import codec
from fixsim.units import NS_PER_S, format_utc_timestamp, parse_utc_timestamp

FOLDER = Path(__file__).parent
#: Fields that a `<` line leaves out: the same in every message, or checked for their form alone.
COMMON = {8, 9, 10, 49, 52, 56}
TIME = re.compile(r"<([+-]\d+(?:\.\d+)?)?>")


class Peer(Protocol):
    """The other end of fixsim: a transport, a clock and fixsim's settings."""

    sender: bytes
    target: bytes

    def configure(self, settings: dict[str, str]) -> None: ...
    def connect(self) -> None: ...
    def hang_up(self) -> None: ...
    def say(self, octets: bytes) -> None: ...
    def hear(self) -> bytes | None:
        """The next whole message, None if none comes."""

    def is_closed(self) -> bool:
        """Whether fixsim has closed the transport."""

    def is_silent(self) -> bool:
        """Whether nothing is left to be heard, as far as can be told without waiting."""

    def wait(self, seconds: float) -> None: ...
    def now_ns(self) -> int: ...
    def do(self, verb: str, argument: str) -> None: ...


@dataclass(frozen=True)
class Line:
    """One line of a script and where it stands."""

    number: int
    verb: str
    argument: str


def read(path: Path) -> list[Line]:
    """The lines of a script without comments."""
    lines = []
    for number, text in enumerate(path.read_text().splitlines(), 1):
        text = text.strip()
        if not text or text.startswith("#"):
            continue
        verb, _, argument = text.partition(" ")
        lines.append(Line(number, verb, argument.strip()))
    return lines


def scripts() -> list[Path]:
    """Every script, by name."""
    return sorted(FOLDER.glob("*.fix"))


def run(path: Path, peer: Peer) -> None:
    """Play a script; AssertionError names the line that went wrong."""
    lines = read(path)
    peer.configure(dict(line.argument.split(" ", 1) for line in lines if line.verb == "set"))
    for line in lines:
        try:
            _play(line, peer)
        except AssertionError as wrong:
            raise AssertionError(f"{path.name}:{line.number}: {line.verb} {line.argument}\n{wrong}") from None
    assert peer.is_silent(), f"{path.name}: said and not expected: {codec.show(peer.hear() or b'')}"


def _play(line: Line, peer: Peer) -> None:
    match line.verb:
        case "set":
            pass
        case "<":
            expect(line.argument, peer.hear(), peer)
        case "closed":
            left = peer.hear()
            assert left is None, f"said before closing: {codec.show(left)}"
            assert peer.is_closed(), "the transport is still open"
        case _:
            assert peer.is_silent(), f"said and not expected: {codec.show(peer.hear() or b'')}"
            _act(line, peer)


def _act(line: Line, peer: Peer) -> None:
    match line.verb:
        case ">":
            peer.say(frame(line.argument, peer))
        case "@":
            peer.wait(float(line.argument))
        case "connect":
            peer.connect()
        case "hang":
            peer.hang_up()
        case "do":
            verb, _, argument = line.argument.partition(" ")
            peer.do(verb, argument)
        case _:
            raise AssertionError("no such line")


def frame(text: str, peer: Peer) -> bytes:
    """The bytes a `>` line says."""
    text = TIME.sub(lambda found: _time(found[1], peer), text)
    text = text.replace("49=PEER|", f"49={peer.sender.decode()}|")
    if text.startswith("raw "):
        return codec.parse_shown(text[4:])
    if text.startswith("35="):
        text = _completed(text, peer)
    octets = codec.parse_shown(text)
    body, _, last = octets.removesuffix(b"\x01").rpartition(b"\x01")
    if not last.startswith(b"10="):
        body, last = octets[:-1], b""
    if b"\x019=" not in body:
        begin, _, rest = body.partition(b"\x01")
        body = b"%b\x019=%d\x01%b" % (begin, len(rest) + 1, rest)
    last = last or b"10=%03d" % (sum(body + b"\x01") % 256)
    return b"%b\x01%b\x01" % (body, last)


def _time(offset: str | None, peer: Peer) -> str:
    return format_utc_timestamp(peer.now_ns() + int(float(offset or 0) * NS_PER_S), 3).decode()


def _completed(text: str, peer: Peer) -> str:
    """A short line with the common header behind its MsgType."""
    parts = text.rstrip("|").split("|")
    given = {part.partition("=")[0] for part in parts}
    left_out = {part[1:] for part in parts if "=" not in part and part.startswith("-")}
    common = {"49": peer.sender.decode(), "52": _time(None, peer), "56": peer.target.decode()}
    header = [f"{tag}={value}" for tag, value in common.items() if tag not in given | left_out]
    if "8" not in given:
        parts.insert(0, "8=FIX.4.4")
    else:
        parts.insert(0, parts.pop(next(at for at, part in enumerate(parts) if part.startswith("8="))))
    rest = [part for part in parts[2:] if part.removeprefix("-") not in left_out]
    return "|".join([*parts[:2], *header, *rest]) + "|"


def expect(text: str, octets: bytes | None, peer: Peer) -> None:
    """AssertionError unless `octets` is the message that a `<` line describes."""
    assert octets is not None, "nothing was said"
    message = codec.decode(octets)
    shown = f"said: {codec.show(octets)}"
    assert message.get(8) == b"FIX.4.4", shown
    assert (message.get(49), message.get(56)) == (peer.target, peer.sender), shown
    for time_tag in (52, 122):
        time = message.get(time_tag)
        assert time is None or parse_utc_timestamp(time) is not None, shown
    assert 52 in message, shown
    said = [(tag, value.decode("latin-1")) for tag, value in message.fields if tag not in COMMON]
    more = text.endswith("...")
    for part in filter(None, text.removesuffix("...").strip().strip("|").split("|")):
        tag, _, value = part.partition("=")
        found = [field for field in said if field[0] == int(tag) and value in ("*", field[1])]
        assert found, f"{part} is missing; {shown}"
        said.remove(found[0])
    assert more or not said, f"not expected: {said}; {shown}"
