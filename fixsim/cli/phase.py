"""`fixsim phase`: what an instrument is doing, and what it shall do."""

from typing import Annotated, Any

import typer

from fixsim.cli.halt import Symbol
from fixsim.cli.operator import DEFAULT_DATA_DIR, DataDir, Json, Why, ask
from fixsim.cli.output import print_json


def phase(
    symbol: Symbol,
    phase: Annotated[
        str | None,
        typer.Argument(
            help="Go on with: continuous, halted, pre-open, opening-auction, volatility-auction, closing-auction, at-last or "
            "closed; end: a call ends now."
        ),
    ] = None,
    seconds: Annotated[float | None, typer.Option(help="A call ends by itself after so long.")] = None,
    why: Why = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
) -> None:
    """Show the phase of an instrument and what its call would come to, or go on with another."""
    answer = ask(data_dir, "phase", why, symbol=symbol, phase=phase, seconds=seconds)
    print_json(answer) if json else print(described(answer))


def described(answer: dict[str, Any]) -> str:
    """A phase in a line or two."""
    lines = [f"{answer['symbol']} is in {answer['phase']}" + (f" until {answer['until']}" if answer["until"] else "")]
    indication = answer["indication"]
    if indication is not None and indication["price"] is not None:
        left = f", {indication['surplus']} more would {indication['side']}" if indication["side"] else ""
        lines.append(f"it would come to {indication['quantity']} @ {indication['price']}{left}")
    elif indication is not None:
        lines.append("it would come to nothing")
    elif answer["auction_price"] is not None:
        lines.append(f"the last auction came to {answer['auction_price']}")
    return "\n".join([*lines, *described_breaker(answer["breaker"])])


def described_breaker(breaker: dict[str, Any] | None) -> list[str]:
    """A breaker in a line: its profile, what it is doing, where trades may be."""
    if breaker is None:
        return []
    line = f"{breaker['name']} is {breaker['state']}, trades from {breaker['lowest'] or 'any'} to {breaker['highest'] or 'any'}"
    if breaker["pauses"] is not None:
        line += f", pauses at {breaker['pauses']}"
    if breaker["extensions"]:
        line += f", prolonged {breaker['extensions']} times"
    return [line]
