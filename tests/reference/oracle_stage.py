"""A small stage for market rules: a line says what came; answers are compared by the tags that matter."""

from collections.abc import Sequence
from decimal import Decimal

from flows import listing

from fixsim.reference.exchange import ReferenceExchange
from fixsim.reference.listing import Listing, Permission
from fixsim.reference.message import Field
from fixsim.reference.report import Reply

DAY_NS = 86_400_000_000_000
MORNING_NS = 1_704_189_600_000_000_000  # 2024-01-02 10:00 UTC
HEAD = "34=2|60=20240102-10:00:00"


def fields(text: str) -> list[Field]:
    """`11=A|38=100` as fields."""
    parts = (part.partition("=") for part in text.split("|"))
    return [(int(tag), value.encode()) for tag, _, value in parts]


def shown(reply: Reply) -> str:
    """A reply as one line: its session, then its fields."""
    return f"{reply.session} " + "|".join(f"{tag}={value.decode()}" for tag, value in reply.fields)


class Venue:
    """An exchange with one stock in cents; every verb returns what it caused."""

    def __init__(self, *listings: Listing, permissions: dict[str, Permission] | None = None) -> None:
        self.exchange = ReferenceExchange(listings or (listing("AAPL", "0.01", "1", 1_000_000),), permissions)
        self.now_ns = MORNING_NS

    def say(self, session: str, text: str) -> list[Reply]:
        return self.exchange.receive(session, fields(f"{text}|{HEAD}"), self.now_ns)

    def order(self, session: str, name: str, side: int, qty: object, price: object = None, more: str = "") -> list[Reply]:
        """A NewOrderSingle(D) for AAPL; a limit order if it has a price."""
        kind = "40=1" if price is None else f"40=2|44={price}"
        text = f"35=D|11={name}|55=AAPL|54={side}|38={qty}|{kind}"
        return self.say(session, f"{text}|{more}" if more else text)

    def buy(self, session: str, name: str, qty: object, price: object = None, more: str = "") -> list[Reply]:
        return self.order(session, name, 1, qty, price, more)

    def sell(self, session: str, name: str, qty: object, price: object = None, more: str = "") -> list[Reply]:
        return self.order(session, name, 2, qty, price, more)

    def cancel(self, session: str, name: str, orig: str, side: int = 1, more: str = "") -> list[Reply]:
        text = f"35=F|11={name}|41={orig}|55=AAPL|54={side}"
        return self.say(session, f"{text}|{more}" if more else text)

    def replace(
        self, session: str, name: str, orig: str, qty: object, price: object, side: int = 1, more: str = ""
    ) -> list[Reply]:
        text = f"35=G|11={name}|41={orig}|55=AAPL|54={side}|38={qty}|40=2|44={price}"
        return self.say(session, f"{text}|{more}" if more else text)

    def status(self, session: str, name: str, more: str = "") -> list[Reply]:
        text = f"35=H|11={name}|55=AAPL|54=1"
        return self.say(session, f"{text}|{more}" if more else text)

    def next_day(self) -> list[Reply]:
        """The first deadline of the next date."""
        self.now_ns += DAY_NS
        return self.exchange.expire(self.now_ns)

    def bids(self, symbol: str = "AAPL") -> list[tuple[str, list[str]]]:
        return _ladder(self.exchange.state()[symbol].bids)

    def asks(self, symbol: str = "AAPL") -> list[tuple[str, list[str]]]:
        return _ladder(self.exchange.state()[symbol].asks)


def _ladder(side: Sequence[tuple[Decimal, Sequence[tuple[object, ...]]]]) -> list[tuple[str, list[str]]]:
    """Levels as (price, ["id leaves", ...])."""
    return [
        (str(price), [f"{order[1].decode()} {order[3]}" for order in queue])  # type: ignore[attr-defined]
        for price, queue in side
    ]


def check(replies: list[Reply], *expected: str) -> None:
    """As many replies as expected, each to that session with at least those tags; `-tag` must be absent."""
    story = "\n".join(shown(reply) for reply in replies)
    assert len(replies) == len(expected), f"{len(replies)} replies instead of {len(expected)}:\n{story}"
    for reply, wanted in zip(replies, expected, strict=True):
        session, _, rest = wanted.partition(" ")
        assert reply.session == session, f"not to {session}:\n{story}"
        have = dict(reversed(reply.fields))
        for part in rest.split("|"):
            tag, _, value = part.partition("=")
            if tag.startswith("-"):
                assert int(tag[1:]) not in have, f"{tag[1:]} should be absent:\n{story}"
            else:
                assert have.get(int(tag)) == value.encode(), f"wanted {part}:\n{story}"


def text_of(reply: Reply) -> str:
    """Text(58) of a reply."""
    return dict(reply.fields)[58].decode()
