"""Who may enter what in which phase, and for how long an order is good. The table is docs/phases.md's."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from fixsim.exchange.orders import Fault
from fixsim.fix import tags
from fixsim.fix.enums import OrdRejReason, TimeInForce
from fixsim.fix.message import Message
from fixsim.fix.values import is_date
from fixsim.layout import Inst, Phase
from fixsim.units import NS_PER_DAY, parse_utc_timestamp, utc_day

#: Phases in which nothing is entered or changed, and what is said then.
SHUT: Final = {Phase.HALTED: "Instrument is halted", Phase.CLOSED: "Instrument is closed"}
#: Phases that lead to the opening price.
OPENING: Final = frozenset({Phase.PRE_OPEN, Phase.OPENING_AUCTION})
AT_ONCE: Final = frozenset({TimeInForce.IMMEDIATE_OR_CANCEL, TimeInForce.FILL_OR_KILL})
#: Words of ExecInst(18) that ORDER.inst keeps.
INSTRUCTIONS: Final = {b"J": Inst.REINSTATE, b"K": Inst.CANCEL}


class Lifetime(NamedTuple):
    """How long a GTD order is good: to the end of `day` (since 1970-01-01), or until `ns` (since 1970 UTC); 0 for neither."""

    day: int = 0
    ns: int = 0


def shut_fault(phase: int) -> Fault | None:
    """Nothing may be entered."""
    text = SHUT.get(phase)
    return None if text is None else Fault(OrdRejReason.EXCHANGE_CLOSED, text)


def phase_fault(phase: int, tif: bytes) -> Fault | None:
    """A TimeInForce(59) that does not go with the phase."""
    if tif in AT_ONCE and phase != Phase.CONTINUOUS:
        return Fault(OrdRejReason.UNSUPPORTED_ORDER_CHARACTERISTIC, "TimeInForce(59) needs continuous trading")
    if tif == TimeInForce.AT_THE_OPENING and phase not in OPENING:
        return Fault(OrdRejReason.TOO_LATE_TO_ENTER, "Too late for the opening auction")
    if tif == TimeInForce.AT_THE_CLOSE and phase == Phase.AT_LAST:
        return Fault(OrdRejReason.TOO_LATE_TO_ENTER, "Too late for the closing auction")
    return None


def lifetime(message: Message, venue_ns: int, day: int) -> Lifetime | Fault:
    """How long the order of a D is good, or what is wrong with that; `day` is the trading day."""
    if message.get(tags.TIME_IN_FORCE) != TimeInForce.GOOD_TILL_DATE:
        return Lifetime()
    date, time = message.get(tags.EXPIRE_DATE), message.get(tags.EXPIRE_TIME)
    if (date is None) == (time is None):
        text = "TimeInForce(59)=6 needs one of ExpireDate(432) and ExpireTime(126)"
        return Fault(OrdRejReason.UNSUPPORTED_ORDER_CHARACTERISTIC, text)
    if date is not None:
        last = utc_day(parse_utc_timestamp(date + b"-00:00:00") or 0) if is_date(date) else None
        if last is None or not 0 < last < 1 << 16:
            return Fault(OrdRejReason.OTHER, "ExpireDate(432) is not a date")
        return Lifetime(day=last) if last >= day else Fault(OrdRejReason.OTHER, "ExpireDate(432) has passed")
    until_ns = parse_utc_timestamp(time or b"")
    if until_ns is None or until_ns >= NS_PER_DAY << 16:
        return Fault(OrdRejReason.OTHER, "ExpireTime(126) is not a time")
    return Lifetime(ns=until_ns) if until_ns > venue_ns else Fault(OrdRejReason.OTHER, "ExpireTime(126) has passed")


def instructions(message: Message) -> int:
    """Bits of what ExecInst(18) asks for."""
    words = message.get(tags.EXEC_INST, b"").split(b" ")
    return sum(bit for word, bit in INSTRUCTIONS.items() if word in words)


def terms_of(message: Message) -> Mapping[int, bytes]:
    """Fields of a D or G that every report repeats: what is kept of ExecInst(18), ExpireDate(432) and ExpireTime(126)."""
    words = message.get(tags.EXEC_INST, b"").split(b" ")
    kept = b" ".join(word for word in INSTRUCTIONS if word in words)
    found = {tags.EXEC_INST: kept}
    if message.get(tags.TIME_IN_FORCE) == TimeInForce.GOOD_TILL_DATE:
        found |= {tag: message.get(tag, b"") for tag in (tags.EXPIRE_DATE, tags.EXPIRE_TIME)}
    return {tag: value for tag, value in found.items() if value}
