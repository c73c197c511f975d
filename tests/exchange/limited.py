"""The small venue with limits: three sessions, of which two are of one firm."""

from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from exchange.stage import Field, Said, Stage, replayed, small_config
from fixsim.config import Config, Counterparty, Limits, Risk

FIRMS: Final = {"ALPHA": "ONE", "BRAVO": "ONE", "CHARLIE": "TWO"}
#: With it what positions are worth can be counted.
PRICE_MAX: Final = Decimal(10_000)


def limited(*limits: Limits, counterparty: dict[str, Any] | None = None, **risk: Any) -> Config:
    """The small venue with `limits`; changes of each counterparty and of `[risk]` beside them."""
    config = small_config()
    fitted = tuple(
        replace(entry, price_max=entry.price_max or PRICE_MAX) if entry.scope == "instrument" else entry for entry in limits
    )
    if not any((entry.scope, entry.name) == ("instrument", "*") for entry in fitted):
        fitted = (*fitted, Limits("instrument", "*", price_max=PRICE_MAX))
    whole = replace(
        config,
        instruments=tuple(
            replace(entry, max_qty=entry.lot_size * 5_000, reference_price=entry.tick_size * 1_000)
            for entry in config.instruments
        ),
        counterparties=tuple(Counterparty(name, firm=firm, **(counterparty or {})) for name, firm in FIRMS.items()),
        limits=fitted,
        risk=Risk(**({"money_decimals": 5} | risk)),
    )
    assert Config.from_normalised(whole.normalised()) == whole
    return whole


class Trading:
    """An exchange under limits, and orders in few words; every verb gives Text(58), or ExecType(150) where there is none."""

    def __init__(self, *limits: Limits, **changes: Any) -> None:
        self.stage = Stage(limited(*limits, **changes))
        self.stage.log_on(*FIRMS)
        self.count = 0

    def say(self, session: str, text: str) -> list[Said]:
        """`35=D|54=1|...`, with a ClOrdID and a time of its own, and everything it causes."""
        self.count += 1
        fields: list[Field]
        fields = [(int(tag), value.encode()) for tag, _, value in (part.partition("=") for part in text.split("|"))]
        tags = dict(fields)
        more = [(11, b"%d" % self.count)] if 11 not in tags else []
        more += [(55, b"AAPL")] if 55 not in tags else []
        when = [] if tags[35] == b"H" else [(60, b"20240102-10:00:00")]
        return self.stage.say(session, [fields[0], *more, *fields[1:], *when])

    def answer(self, session: str, text: str) -> str:
        """The first answer to it."""
        told = dict(self.say(session, text)[0][1])
        return (told.get(58) or told[150]).decode()

    def order(self, session: str, side: int, qty: object, price: object = None, more: str = "") -> str:
        """A NewOrderSingle(D), a limit order if it has a price."""
        kind = "40=1" if price is None else f"40=2|44={price}"
        return self.answer(session, f"35=D|54={side}|38={qty}|{kind}" + (f"|{more}" if more else ""))

    def buy(self, session: str, qty: object, price: object = None, more: str = "") -> str:
        return self.order(session, 1, qty, price, more)

    def sell(self, session: str, qty: object, price: object = None, more: str = "") -> str:
        return self.order(session, 2, qty, price, more)

    def replace(self, session: str, orig: object, side: int, qty: object, price: object, more: str = "") -> str:
        return self.answer(session, f"35=G|41={orig}|54={side}|38={qty}|40=2|44={price}" + (f"|{more}" if more else ""))

    def cancel(self, session: str, orig: object, side: int) -> str:
        return self.answer(session, f"35=F|41={orig}|54={side}")

    def wait(self, ms: float) -> list[Said]:
        """Time passes; what that causes."""
        return self.stage.tick(self.stage.now_ns + int(ms * 1_000_000))

    def restart(self) -> None:
        """Another process goes on from the journal; everybody connects again."""
        numbers = dict(self.stage.numbers)
        self.stage = replayed(self.stage)
        self.stage.numbers = numbers
        self.stage.log_on(*FIRMS)

    def owner(self, scope: str, name: str) -> dict[str, Any]:
        """What `fixsim limits` shows of somebody."""
        (found,) = self.stage.command("limits.show", scope=scope, name=name)["owners"]
        return dict(found)
