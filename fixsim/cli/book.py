"""`fixsim book`: the price levels of one instrument."""

from itertools import zip_longest
from typing import Annotated, Any

import typer

from fixsim.cli.operator import DEFAULT_DATA_DIR, DataDir, Json, ask
from fixsim.cli.output import print_json, print_table

NOTHING: dict[str, Any] = {"orders": None, "quantity": None, "price": None}


def book(
    symbol: Annotated[str, typer.Argument(help="Symbol(55).")],
    depth: Annotated[int, typer.Option(min=1, max=1_000_000, help="Levels of each side.")] = 10,
    until: Annotated[
        str | None, typer.Option(help="As it stood then: a time, or a journal position. See fixsim replay.")
    ] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
) -> None:
    """Show the book of an instrument, best prices first."""
    if until is not None:
        from fixsim.cli.replay_journal import Question, replay_journal

        replay_journal(data_dir, Question(until=until, book=symbol, depth=depth, json=json))
        return
    answer = ask(data_dir, "book", symbol=symbol, depth=depth)
    print_json(answer) if json else print_book(answer)


def print_book(answer: dict[str, Any]) -> None:
    """Both sides as a table, best prices first."""
    rows = [
        (bid["orders"], bid["quantity"], bid["price"], ask_["price"], ask_["quantity"], ask_["orders"])
        for bid, ask_ in zip_longest(answer["bids"], answer["asks"], fillvalue=NOTHING)
    ]
    last = answer["last"]
    title = answer["symbol"] + (" (halted)" if answer["halted"] else "")
    title += f", last {last['quantity']} @ {last['price']}" if last else ""
    print_table(("orders", "quantity", "bid", "ask", "quantity", "orders"), rows, title)
