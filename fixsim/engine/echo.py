"""Which ECHO row an account alone has: that of the session's last order, or one that was met lately.

The table of texts is `exchange.echoes`'s, which has one row for each text; here is only where to look first. A place that was
taken by another account costs a way through the slow door, which takes it back.
"""

import numpy as np

from fixsim.engine.ascii import low_bytes
from fixsim.engine.index import same_bytes
from fixsim.engine.jit import kernel, leaf
from fixsim.engine.machine import ECHO_PLACES
from fixsim.engine.words import load_word
from fixsim.layout import ECHO_TEXT_BYTES, NIL

GOLDEN = 0x9E3779B97F4A7C15
GOLDEN_SIGNED = GOLDEN - (1 << 64)
#: `1=` as it begins the text of such a row; SOH ends it.
ONE, EQUALS = 49, 61
AROUND = 3


def place_of_account(account: bytes) -> int:
    """Where an account is looked for: its first and last eight bytes and its length, multiplied."""
    first, last = int.from_bytes(account[:8], "little"), int.from_bytes(account[-8:], "little") if len(account) > 8 else 0
    return (((first ^ (last << 1) ^ len(account)) * GOLDEN) >> 52) & (ECHO_PLACES - 1)


@leaf
def place_of_text(text, begin, length):
    """As `place_of_account`, of the bytes where they are."""
    length = int(length)
    first, last = low_bytes(load_word(text, begin), length), 0
    if length > 8:
        last = load_word(text, begin + length - 8)
    return (((first ^ (last << 1) ^ length) * GOLDEN_SIGNED) >> 52) & (ECHO_PLACES - 1)


@leaf
def is_account(m, echo, text, begin, length):
    """Is it the row of this account and nothing else?"""
    row = m.echoes[echo]
    if row["split"] != 0 or np.int64(row["length"]) != length + AROUND:
        return False
    if row["text"][0] != ONE or row["text"][1] != EQUALS:
        return False
    return same_bytes(text, begin, row["text"], 2, length)


@kernel
def find_echo(m, session, text, begin, length):
    """ECHO row of an account, -2 where that is not known."""
    echo = np.int64(m.sessions[session]["echo"])
    if echo != NIL and is_account(m, echo, text, begin, length):
        return echo
    if length + AROUND > ECHO_TEXT_BYTES:
        return np.int64(-2)
    echo = np.int64(m.echo_places[place_of_text(text, begin, length)]) - 1
    if echo >= 0 and echo < m.core[0]["echoes_fresh"] and is_account(m, echo, text, begin, length):
        return echo
    return np.int64(-2)
