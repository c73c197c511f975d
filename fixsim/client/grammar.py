"""What a person types, as a request.

    buy 100 AAPL @ 187.25 [--tif day|gtc|ioc|fok|open|close] [--id ID] [--account NAME]
    sell 0.5 BTC-USDT market
    cancel ID
    replace ID 200 @ 187.30       also `replace ID 200` or `replace ID @ 187.30`
    status ID
    symbols
    book AAPL [LEVELS]
    orders, help, quit            at the prompt
"""

import shlex
from dataclasses import dataclass
from typing import Final

from fixsim.client.orders import TIF_NAMES
from fixsim.errors import UsageError

#: Verbs that make sense only where a session goes on: at the prompt.
PROMPT_VERBS: Final = ("orders", "help", "quit")
USAGE: Final = {
    "buy": "buy QTY SYMBOL [@ PRICE | market] [--tif day|gtc|ioc|fok|open|close] [--id ID] [--account NAME]",
    "sell": "sell QTY SYMBOL [@ PRICE | market] [--tif day|gtc|ioc|fok|open|close] [--id ID] [--account NAME]",
    "cancel": "cancel ID",
    "replace": "replace ID [QTY] [@ PRICE]",
    "status": "status ID",
    "symbols": "symbols",
    "book": "book SYMBOL [LEVELS]",
    "orders": "orders",
    "help": "help",
    "quit": "quit",
}
OPTIONS: Final = ("tif", "id", "account")


@dataclass(frozen=True)
class Request:
    """One thing to do; numbers are text as they were typed. `price` is None for a market order, or to
    leave it as it is.
    """

    verb: str
    subject: str = ""  # a symbol, or the ClOrdID that is asked about
    qty: str | None = None
    price: str | None = None
    tif: str = "day"
    cl_ord_id: str | None = None
    account: str | None = None
    levels: int = 0


def parse_line(line: str) -> Request | None:
    """A line typed at the prompt; None for an empty one. Raises UsageError."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError as error:
        raise UsageError(f"{error}: {line}") from error
    if not words:
        return None
    plain, options = split_options(words)
    return parse(plain, options)


def split_options(words: list[str]) -> tuple[list[str], dict[str, str]]:
    """Words, and the values of `--tif X` or `--tif=X`. Raises UsageError for an unknown option or one
    without value.
    """
    plain: list[str] = []
    options: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        if not word.startswith("--"):
            plain.append(word)
            continue
        name, equals, value = word[2:].partition("=")
        if name not in OPTIONS:
            raise UsageError(f"unknown option {word}: expected one of --{', --'.join(OPTIONS)}")
        options[name] = value if equals else next(rest, "")
        if not options[name]:
            raise UsageError(f"--{name} needs a value")
    return plain, options


def sayable(text: str) -> str:
    """`text`, which is to travel in a FIX field. Raises UsageError for control characters and bytes that are no text."""
    if any(ord(char) < 32 or "\ud800" <= char <= "\udfff" for char in text):
        raise UsageError(f"{text!r} cannot be said in FIX")
    return text


def parse(words: list[str], options: dict[str, str]) -> Request:
    """Words as a request; `options` may hold tif, id and account. Raises UsageError with the right usage."""
    for text in (*words, *options.values()):
        sayable(text)
    verb = words[0].lower()
    if verb == "exit":
        verb = "quit"
    if verb not in USAGE:
        raise UsageError(f"unknown command {words[0]!r}: expected one of {', '.join(USAGE)}")
    rest = split_price(words[1:])
    try:
        request = _read(verb, rest, options)
    except (IndexError, ValueError):
        request = None
    if request is None:
        raise UsageError(f"usage: {USAGE[verb]}")
    return request


def split_price(words: list[str]) -> list[str]:
    """`@187.25` and `100@187.25` as separate words."""
    return [part for word in words for part in word.replace("@", " @ ").split()]


def _read(verb: str, words: list[str], options: dict[str, str]) -> Request | None:
    """The request, None when there are too many or too few words."""
    if verb in ("buy", "sell"):
        return _read_order(verb, words, options)
    if options and verb not in ("cancel", "replace"):
        raise UsageError(f"{verb} takes no --{next(iter(options))}")
    request_id = options.get("id")
    if verb == "replace":
        rest, price = _cut_price(words)
        if not 1 <= len(rest) <= 2 or (len(rest) == 1 and price is None):
            return None
        qty = rest[1] if len(rest) == 2 else None
        return Request(verb, rest[0], qty, price, cl_ord_id=request_id)
    if verb in ("cancel", "status"):
        return Request(verb, words[0], cl_ord_id=request_id) if len(words) == 1 else None
    if verb == "book":
        levels = int(words[1]) if len(words) == 2 else 0
        return Request(verb, words[0], levels=levels) if len(words) <= 2 and levels >= 0 else None
    return Request(verb) if not words else None


def _read_order(verb: str, words: list[str], options: dict[str, str]) -> Request | None:
    if words[2:] in (["market"], ["@", "market"]):
        words = words[:2]
    rest, price = _cut_price(words)
    if len(rest) != 2:
        return None
    tif = options.get("tif", "day").lower()
    if tif not in TIF_NAMES:
        raise UsageError(f"--tif {tif}: expected one of {', '.join(TIF_NAMES)}")
    return Request(verb, rest[1], rest[0], price, tif, options.get("id"), options.get("account"))


def _cut_price(words: list[str]) -> tuple[list[str], str | None]:
    """Words in front of `@`, and the price behind it. Raises ValueError unless exactly one word follows."""
    if "@" not in words:
        return words, None
    place = words.index("@")
    (price,) = words[place + 1 :]
    return words[:place], price
