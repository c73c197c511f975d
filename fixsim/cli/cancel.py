"""`fixsim cancel-all`: every open order of somebody, of an instrument, or of everybody."""

from enum import StrEnum
from typing import Annotated

import typer

from fixsim.cli.operator import DEFAULT_DATA_DIR, DataDir, Json, Why, ask
from fixsim.cli.output import print_json


class Side(StrEnum):
    """Side(54) in words."""

    BUY = "buy"
    SELL = "sell"
    SELL_SHORT = "sell-short"
    SELL_SHORT_EXEMPT = "sell-short-exempt"


def cancel_all(
    session: Annotated[str | None, typer.Option(help="Only of this counterparty.")] = None,
    symbol: Annotated[str | None, typer.Option(help="Only of this instrument.")] = None,
    account: Annotated[str | None, typer.Option(help="Only with this Account(1).")] = None,
    side: Annotated[Side | None, typer.Option(help="Only this Side(54).")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Of everybody, when nothing else is said.")] = False,
    why: Why = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
) -> None:
    """Cancel every open order that has all of what is said: 150=4 with 378=8 to its owner."""
    answer = ask(
        data_dir, "cancel-all", why,
        session=session, symbol=symbol, account=account, side=side and side.value, all=everything or None,
    )  # fmt: skip
    print_json(answer) if json else print(f"{answer['orders']} orders are cancelled")
