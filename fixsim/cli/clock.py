"""`fixsim clock`: the venue's time, shown and driven."""

import re
from typing import Annotated, Any, Final

import typer

from fixsim.cli.operator import DEFAULT_DATA_DIR, DataDir, Json, Why, ask
from fixsim.cli.output import print_json
from fixsim.errors import UsageError

_PART: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h|d)")
_NS: Final = {"ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3_600 * 10**9, "d": 86_400 * 10**9}

app = typer.Typer(add_completion=False, rich_markup_mode=None, help="Venue time, shown and, with --clock simulated, driven.")


@app.callback(invoke_without_command=True)
def clock(context: typer.Context, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Venue time, shown and, with --clock simulated, driven."""
    if context.invoked_subcommand is None:
        _print(ask(data_dir, "clock.show"), json)


@app.command()
def advance(
    duration: Annotated[str, typer.Argument(help="How long: 5m, 90s, 1h30m, 250ms, 1d.")],
    why: Why = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
) -> None:
    """Let time pass; everything that is due on the way is done when it is due."""
    by_ns = parse_duration(duration)
    to_ns = ask(data_dir, "clock.show")["venue_ns"] + by_ns
    _print(_drive(data_dir, ask(data_dir, "clock.advance", why, by_ns=by_ns), to_ns, why), json)


@app.command("set")
def set_to(
    instant: Annotated[str, typer.Argument(help="2025-11-20T14:30:00 (UTC), not before venue time.")],
    why: Why = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
) -> None:
    """Let time pass until an instant."""
    to_ns = parse_instant(instant)
    _print(_drive(data_dir, ask(data_dir, "clock.set", why, to_ns=to_ns), to_ns, why), json)


@app.command("next")
def move_to_next(why: Why = None, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Let time pass until something is due, and do that."""
    _print(ask(data_dir, "clock.next", why), json)


def _drive(data_dir: Any, answer: dict[str, Any], to_ns: int, why: str | None) -> dict[str, Any]:
    """Ask again until the instant is reached: one command stops at so many instants at most."""
    while not answer["reached"]:
        before = answer
        answer = ask(data_dir, "clock.set", why, to_ns=to_ns)
        answer["instants"] += before["instants"]
    return answer


def _print(answer: dict[str, Any], as_json: bool) -> None:
    from fixsim.audit.moments import show_moment

    times = {"venue_time": show_moment(answer["venue_ns"]), "next_time": show_moment(answer["next_ns"])}
    if as_json:
        print_json({**answer, **times})
        return
    moved = f", {answer['instants']} instants on the way" if "instants" in answer else ""
    print(f"{times['venue_time']} ({'simulated' if answer['driven'] else 'wall'}{moved}), next {times['next_time']}")


def parse_duration(text: str) -> int:
    """`1h30m` in ns. Raises UsageError."""
    parts = list(_PART.finditer(text))
    total = 0
    for part in parts:
        whole, _, fraction = part[1].partition(".")
        total += int(whole) * _NS[part[2]] + int(fraction.ljust(9, "0") or 0) * _NS[part[2]] // 10**9
    if "".join(part[0] for part in parts) != text or total < 1:
        raise UsageError(f"{text!r} is no duration: write 5m, 90s, 1h30m, 250ms or 1d")
    return total


def parse_instant(text: str) -> int:
    """An instant in UTC as ns since 1970. Raises UsageError."""
    from fixsim.audit.moments import parse_moment

    if re.fullmatch(r"\d+[smhd]", text):
        raise UsageError(f"{text!r} is no instant: write 2025-11-20T14:30:00 (UTC)")
    return parse_moment(text, 0)
