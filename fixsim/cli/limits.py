"""`fixsim limits`: limits of sessions, firms, accounts and instruments, and what is used of them."""

from typing import Annotated, Any, Final

import typer

from fixsim.cli.operator import DEFAULT_DATA_DIR, DataDir, Json, Why, ask
from fixsim.cli.output import print_json, print_records

#: What is used, and the limit beside it.
COLUMNS: Final = ("scope", "name", "limit", "used", "most")
USED: Final = (
    ("open_orders", "open_orders_max"), ("open_notional", "open_notional_max"), ("gross", "gross_max"), ("net", "net_max"),
    ("spent", "credit_max"), ("loss", "loss_max"),
)  # fmt: skip
POSITIONS: Final = ("scope", "name", "symbol", "position", "buys", "sells", "position_max")

Scope = Annotated[str | None, typer.Option(help="session, firm, account or instrument.")]
Name = Annotated[str | None, typer.Option(help="Of this one alone.")]

app = typer.Typer(add_completion=False, rich_markup_mode=None, help="Limits, and what is used of them.")


@app.callback(invoke_without_command=True)
def limits(
    context: typer.Context, scope: Scope = None, name: Name = None, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False
) -> None:
    """Limits of sessions, firms, accounts and instruments, and what is used of them."""
    if context.invoked_subcommand is None:
        _print(ask(data_dir, "limits.show", scope=scope, name=name), json)


@app.command()
def reset(
    scope: Annotated[str, typer.Argument(help="session, firm, account or instrument.")],
    name: Annotated[str, typer.Argument(help="Whose day begins anew.")],
    why: Why = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
) -> None:
    """Begin somebody's day anew: losses, credit and counts; who was stopped by a loss may go on."""
    _print(ask(data_dir, "limits.reset", why, scope=scope, name=name), json)


def _print(answer: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(answer)
        return
    owners = answer["owners"]
    print_records(COLUMNS, [row for owner in owners for row in _rows(owner)])
    held = [owner | position for owner in owners for position in owner["positions"]]
    if held:
        print()
        print_records(POSITIONS, held)
    for switch in answer.get("switches", []):
        print(f"kill switch is on: {switch['scope']} {switch['name']}".rstrip())


def _rows(owner: dict[str, Any]) -> list[dict[str, Any]]:
    used = owner | {"open_notional": owner["open_buy"] + " + " + owner["open_sell"]}
    rows = [
        {"scope": owner["scope"], "name": owner["name"], "limit": key, "used": used[key], "most": owner[most] or ""}
        for key, most in USED
    ]
    if owner["stopped"]:
        rows[-1]["most"] += " (stopped)"
    return rows
