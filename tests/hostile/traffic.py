"""What a peer may say, good and bad: messages of every kind made from the dictionary, and the ways to damage them.

Everything is drawn from a `random.Random`: a seed names a run. Good messages have every type of FIX 4.4 field in them, groups
and data fields too; a damaged one is sealed again (BodyLength and CheckSum fit) or is not.
"""

from collections.abc import Callable
from random import Random
from typing import Final

from exchange.stage import NASTY
from flows import SESSIONS, Composer, Step

from fixsim.fix.codec import LENGTH_OF_DATA, seal
from fixsim.fix.dictionary import FieldSpec, Layout, fix44
from fixsim.units import format_utc_timestamp

Field = tuple[int, bytes]

SOH: Final = b"\x01"
#: MsgTypes that are not orders, each with how often it is drawn.
SESSION_TYPES: Final = (
    b"0", b"0", b"0", b"1", b"1", b"2", b"2", b"3", b"4", b"4", b"4", b"5", b"A", b"BE", b"B", b"8", b"j", b"AE", b"i", b"E",
)  # fmt: skip
#: Tags worth putting where they do not belong.
TAGS: Final = tuple(
    b"11 41 38 44 54 55 59 40 60 52 34 49 56 1 21 43 97 122 18 110 50 57 115 128 58 36 123 7 16 141 789 98 108 95 96 354 355 "
    b"89 93 90 91 212 213 146 453 448 627 628 5001 99999 0 -1 011 35 10 9 8 2147483648 999999999999".split()
)
#: What an order is about, and noise that a reader of frames may trip over.
TERMS: Final = (b"11=", b"38=", b"44=", b"55=", b"54=", b"40=", b"59=", b"41=", b"60=")
NOISE: Final = (
    b"\x00" * 20, b"8=FIX.4.4\x01", b"8=FIX.4.4\x019=", b"8=FIX.4.4\x019=20\x0135=0\x01", b"GET / HTTP", b"8=F",
    b"\x01\x01\x01", b"10=000\x01", b"8=FIX.4.4\x019=65000\x0135=", b"\xff" * 300,
)  # fmt: skip
#: Values of MsgSeqNum(34) and its kin that are not the expected ones.
NUMBERS: Final = (b"0", b"-1", b"1", b"2", b"007", b"99999999999999999999", b"999999999999999999", b"+3", b"3.0", b"x", b"")


def a_value(spec: FieldSpec, random: Random, now_ns: int) -> bytes:
    """A value the field may have."""
    if spec.values:
        listed = sorted(spec.values)
        if spec.type == "MULTIPLEVALUESTRING":
            return b" ".join(random.sample(listed, random.randint(1, min(3, len(listed)))))
        return random.choice(listed)
    stamp = format_utc_timestamp(now_ns, random.choice((0, 3, 6, 9)))
    match spec.type:
        case "INT" | "LENGTH" | "SEQNUM" | "NUMINGROUP":
            return b"%d" % random.choice((0, 1, 2, 3, 7, 30, 999_999))
        case "QTY" | "PRICE" | "PRICEOFFSET" | "AMT" | "FLOAT" | "PERCENTAGE":
            return random.choice((b"1", b"100", b"10.50", b"0010.0", b".5", b"-1", b"0"))
        case "CHAR":
            return random.choice((b"1", b"A", b"z"))
        case "BOOLEAN":
            return random.choice((b"Y", b"N"))
        case "UTCTIMESTAMP":
            return stamp
        case "UTCTIMEONLY":
            return stamp[9:]
        case "UTCDATEONLY" | "LOCALMKTDATE":
            return stamp[:8]
        case "MONTHYEAR":
            return random.choice((stamp[:6], stamp[:8], stamp[:6] + b"w3"))
        case "COUNTRY":
            return b"US"
        case "CURRENCY":
            return b"USD"
        case "EXCHANGE":
            return b"XNYS"
        case "DATA":
            return random.choice((b"x", b"a\x01b", b"\x0110=000\x01", b"8=FIX.4.4\x019=5\x01", b"\xff\x00"))
    return random.choice((b"x", b"ALPHA", b"some text", b"AAPL", b"\xc3\xa9", b"=", b"10=", b"x" * 64))


def a_body(layout: Layout, random: Random, now_ns: int, depth: int = 0) -> list[Field]:
    """Fields of a message or of one entry of a group: those that are required, a few of the others, in their order."""
    chance = 0.05 if depth == 0 else 0.2
    chosen = [tag for tag in layout.order if tag in layout.required or tag == layout.delimiter or random.random() < chance]
    fields: list[Field] = []
    for tag in sorted(set(chosen) - LENGTH_OF_DATA.keys() - set(LENGTH_OF_DATA.values()), key=layout.order.__getitem__):
        group = layout.groups.get(tag)
        if group is not None:
            count = random.randint(0 if tag not in layout.required else 1, 2) if depth < 2 else 0
            fields.append((tag, b"%d" % count))
            for _ in range(count):
                fields += a_body(group, random, now_ns, depth + 1)
        else:
            fields.append((tag, a_value(fix44().fields[tag], random, now_ns)))
    for tag in chosen:
        if tag in LENGTH_OF_DATA and depth == 0:
            value = a_value(fix44().fields[tag], random, now_ns)
            fields += [(LENGTH_OF_DATA[tag], b"%d" % len(value)), (tag, value)]
    return fields


class Traffic:
    """Messages of the sessions of `flows`: MsgType(35) first, then what follows the standard header."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.composer = Composer()

    def order(self) -> tuple[str, list[Field]]:
        """A message about orders, good to the dictionary."""
        random = self.random
        step = Step(
            verb=random.choice("DDDDDDFFGGHxVR"),
            session=random.randrange(len(SESSIONS)),
            instrument=random.choice((0, 0, 0, 1, 2, 3)),
            buy=random.random() < 0.5,
            offset=random.randint(-3, 3),
            lots=random.randint(1, 9),
            time_in_force=random.choice(("", "", "0", "1", "3", "4")),
            market=random.random() < 0.1,
            target=random.randint(0, 6),
            routed=random.random() < 0.1,
        )
        return self.composer.message(step)

    def session_message(self, next_in: int, next_out: int, now_ns: int) -> list[Field]:
        """A session message, or one of an application that no exchange serves; its numbers are near those that count."""
        random = self.random
        msg_type = random.choice(SESSION_TYPES)
        body = a_body(fix44().messages[msg_type].body, random, now_ns)
        near = {
            7: random.randint(1, next_out), 16: random.choice((0, 0, next_out, next_out + 5, random.randint(1, next_out))),
            36: next_in + random.choice((-2, 0, 1, 1, 2, 5)), 45: random.randint(1, next_out), 108: random.choice((0, 30, 30)),
            98: 0, 789: next_out + random.choice((-3, 0, 0, 1)),
        }  # fmt: skip
        changed = [(tag, b"%d" % near[tag] if tag in near else value) for tag, value in body]
        return [(35, msg_type), *(field for field in changed if field[0] != 141 or random.random() < 0.3)]


# ---------------------------------------------------------------- damage


def fields_of(frame: bytes) -> list[bytes]:
    """Everything between BodyLength(9) and CheckSum(10), one part for each field; data fields may fall apart."""
    return frame.split(SOH)[2:-2]


def sealed(parts: list[bytes], begin: bytes = b"8=FIX.4.4") -> bytes:
    """Parts as a frame whose BodyLength(9) and CheckSum(10) fit."""
    return seal(begin + SOH + b"".join(part + SOH for part in parts))


def damaged_fields(frame: bytes, random: Random) -> bytes:
    """Fields changed, dropped, doubled, moved, put in from elsewhere; sealed again."""
    parts = fields_of(frame)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        at = random.randrange(len(parts))
        tag, _, value = parts[at].partition(b"=")
        match random.randrange(11):
            case 0:
                parts[at] = tag + b"=" + random.choice(NASTY)
            case 1 if len(parts) > 3:
                del parts[at]
            case 2:
                parts.insert(random.randrange(1, len(parts) + 1), parts[at])
            case 3:
                other = random.randrange(len(parts))
                parts[at], parts[other] = parts[other], parts[at]
            case 4:
                extra = random.choice(TAGS) + b"=" + random.choice((value, *NASTY))
                parts.insert(random.randrange(1, len(parts) + 1), extra)
            case 5:
                spot = random.randrange(len(parts[at]) + 1)
                parts[at] = parts[at][:spot] + bytes([random.randrange(256)]) + parts[at][spot + random.randrange(2) :]
            case 6:
                parts[at] = random.choice(TAGS) + b"=" + value
            case 7:
                parts[at] = tag + b"=" + value + random.choice((b"0", b".0", b" ", b"x", b"."))
            case 8:
                place = next((place for place, part in enumerate(parts) if part.startswith(b"34=")), at)
                parts[place] = b"34=" + random.choice(NUMBERS)
            case 9:
                value = random.choice((b"x", b"a\x01b=c", b"\x0110=000", b""))
                data, length = random.choice(list(LENGTH_OF_DATA.items()))
                told = len(value) + random.choice((0, 0, 1, -1, 1_000))
                parts.insert(random.randrange(1, len(parts) + 1), b"%d=%d\x01%d=%b" % (length, told, data, value))
            case _:
                parts[at] = tag + random.choice((b"", b"==", b" =")) + value
    begin = random.choice((b"8=FIX.4.4",) * 30 + (b"8=FIX.4.2", b"8=FIXT.1.1", b"8=FIX.4.4 ", b"8=FIX"))
    return sealed(parts, begin)


def damaged_terms(frame: bytes, random: Random) -> bytes:
    """One of the values that make an order what it is."""
    parts = fields_of(frame)
    places = [place for place, part in enumerate(parts) if part.startswith(TERMS)]
    if not places:
        return damaged_fields(frame, random)
    place = random.choice(places)
    tag, _, value = parts[place].partition(b"=")
    changed = random.choice(
        (random.choice(NASTY), value + b"5", value + b".5", b"0" + value, b"-" + value, value[:-1], value * 2)
    )
    parts[place] = tag + b"=" + changed
    return sealed(parts)


def damaged_number(frame: bytes, random: Random) -> bytes:
    """Another MsgSeqNum(34), with or without PossDupFlag(43) and OrigSendingTime(122)."""
    parts = fields_of(frame)
    place = next((place for place, part in enumerate(parts) if part.startswith(b"34=")), None)
    if place is None:
        return frame
    number = int(parts[place][3:] or b"0") if parts[place][3:].isdigit() else 1
    parts[place] = b"34=%d" % max(0, number + random.choice((-3, -1, -1, 0, 1, 1, 2, 4)))
    if random.random() < 0.6:
        parts.insert(place + 1, b"43=" + random.choice((b"Y", b"Y", b"Y", b"N", b"")))
    if random.random() < 0.5:
        stamp = next((part[3:] for part in parts if part.startswith(b"52=")), b"20240102-10:00:00")
        parts.insert(place + 1, b"122=" + random.choice((stamp, b"20240101-00:00:00", b"20990101-00:00:00", b"yesterday")))
    return sealed(parts)


def damaged_bytes(frame: bytes, random: Random) -> bytes:
    """A byte changed, lost or put in, a stretch lost or said twice; not sealed again."""
    octets = bytearray(frame)
    for _ in range(random.choice((1, 1, 2, 5))):
        at = random.randrange(len(octets)) if octets else 0
        until = min(len(octets), at + random.choice((1, 2, 8, 40)))
        match random.randrange(6):
            case 0 if octets:
                octets[at] ^= 1 << random.randrange(8)
            case 1 if octets:
                octets[at] = random.choice((0, 1, 10, 48, 49, 61, 124, 255))
            case 2:
                octets.insert(at, random.randrange(256))
            case 3:
                del octets[at:until]
            case 4:
                octets[at:at] = octets[at:until]
            case _:
                octets[at:until] = octets[at:until][::-1]
    return bytes(octets)


def damaged_frame(frame: bytes, random: Random) -> bytes:
    """BodyLength(9), CheckSum(10) or the beginning is wrong, the rest is as it was."""
    begin, length, rest = frame.split(SOH, 2)
    told = int(length[2:])
    body, check = rest[:told], rest[told:]
    match random.randrange(9):
        case 0:
            length = b"9=%d" % (told + random.choice((-40, -1, 1, 7, 40, 500, 5_000, 70_000)))
        case 1:
            length = b"9=" + random.choice((b"", b"-5", b"+%d" % told, b"0%d" % told, b"%d " % told, b"9" * 10, b"x", b"1e3"))
        case 2:
            check = b"10=" + random.choice((b"256", b"000", b"", b"1", b"0000", b"abc", b"-01")) + SOH
        case 3:
            check = check.replace(b"10=", random.choice((b"10", b"010=", b"11=", b"10==")))
        case 4:
            begin = random.choice((b"8=FIX.4.2", b"8=FIX", b"8=fix.4.4", b"8=FIX." + b"4" * 40, b"9=5", b"", b"8=FIXT.1.1"))
        case 5:
            return SOH.join((length, begin, rest))
        case 6:
            return frame[: random.randrange(len(frame))]
        case 7:
            return frame[random.randrange(len(frame)) :]
        case _:
            return random.choice(NOISE) + frame
    return SOH.join((begin, length, body + check))


Damage = Callable[[bytes, Random], bytes]
#: Each way to damage a frame, and whether what comes out is framed well.
DAMAGES: Final[tuple[tuple[Damage, bool], ...]] = (
    (damaged_fields, True), (damaged_fields, True), (damaged_terms, True), (damaged_terms, True), (damaged_number, True),
    (damaged_bytes, False), (damaged_frame, False),
)  # fmt: skip


def damaged(frame: bytes, random: Random) -> tuple[bytes, bool]:
    """The frame, damaged in one way; and whether it is still framed well."""
    damage, is_framed = random.choice(DAMAGES)
    return damage(frame, random), is_framed


def cut(octets: bytes, random: Random) -> list[bytes]:
    """The same bytes as they may arrive: whole, in a few pieces, or one at a time."""
    kind = random.random()
    if kind < 0.02 and len(octets) < 2_000:
        return [octets[at : at + 1] for at in range(len(octets))]
    places = sorted(random.sample(range(len(octets) + 1), min(len(octets), random.choice((1, 2, 3, 5)))))
    return [octets[begin:end] for begin, end in zip([0, *places], [*places, len(octets)], strict=True) if begin < end]
