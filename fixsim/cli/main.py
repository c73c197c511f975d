"""`fixsim`: the list of commands, each imported only when it is called, so that help is quick."""

import os
import sys
from importlib import import_module
from io import TextIOWrapper
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

from fixsim import __version__
from fixsim.cli.output import exit_code_of

#: Command: where it lives (a typer app or a function), and its line in the help.
COMMANDS: Final[dict[str, tuple[str, str, str]]] = {
    "serve": ("fixsim.cli.serve", "serve", "Run the exchange."),
    "client": ("fixsim.cli.client", "app", "Trade: a FIX initiator at a prompt, or one order from a script."),
    "sessions": ("fixsim.cli.sessions", "app", "Show and repair the sessions of a running exchange."),
    "book": ("fixsim.cli.book", "book", "Show the book of an instrument."),
    "halt": ("fixsim.cli.halt", "halt", "Halt an instrument."),
    "resume": ("fixsim.cli.halt", "resume", "Resume a halted instrument."),
    "bust": ("fixsim.cli.trades", "bust", "Take a trade back."),
    "correct": ("fixsim.cli.trades", "correct", "Give a trade another price or less quantity."),
    "cancel-all": ("fixsim.cli.cancel", "cancel_all", "Cancel every open order of a session, instrument or account."),
    "disconnect": ("fixsim.cli.sessions", "disconnect", "Log a session out."),
    "announce": ("fixsim.cli.announce", "announce", "Say something to all sessions, or to one."),
    "clock": ("fixsim.cli.clock", "app", "Show the venue's clock, and drive a simulated one."),
    "reload": ("fixsim.cli.reload", "reload", "Have the running exchange read its configuration again."),
    "phase": ("fixsim.cli.phase", "phase", "Show the phase of an instrument, or go on with another."),
    "kill": ("fixsim.cli.kill", "kill", "Block somebody's orders and cancel what rests of them; lift that again."),
    "limits": ("fixsim.cli.limits", "app", "Show limits and what is used of them."),
    "audit": ("fixsim.cli.audit", "app", "Ask Postgres what happened; prove and verify the record."),
    "journal": ("fixsim.cli.journal", "app", "Read and verify the journal files."),
    "replay": ("fixsim.cli.replay", "replay", "Carry out a journal again and compare; play a FIX log to an exchange."),
    "tail": ("fixsim.cli.tail", "tail", "Follow the messages live, decoded."),
    "decode": ("fixsim.cli.decode", "decode", "Explain pasted FIX messages."),
    "top": ("fixsim.cli.top", "top", "Watch a running exchange live: rates, latency, pauses, processes."),
    "profile": ("fixsim.cli.profile", "profile", "Write a report on the latency of the next seconds, with a picture."),
    "console": ("fixsim.cli.console", "console", "Show metrics over HTTP (serve runs this itself)."),
    "shadow": ("fixsim.cli.shadow", "shadow", "Follow an exchange: compare every byte, take snapshots, take its place."),
    "snapshot": ("fixsim.cli.shadow", "snapshot", "Write the state of an exchange to a file; the next start is quick."),
    "ship": ("fixsim.cli.ship", "ship", "Copy a journal into Postgres (serve runs this itself)."),
    "bench": ("fixsim.cli.bench", "bench", "Measure what the exchange costs on this machine."),
    "password": ("fixsim.cli.password", "password", "Hash a password for the configuration."),
}


class LazyCommands(TyperGroup):
    """A group whose help knows every command, and whose modules are imported on use."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> TyperCommand | None:
        """What the help shows of a command: its name and its line."""
        return TyperCommand(cmd_name, help=COMMANDS[cmd_name][2]) if cmd_name in COMMANDS else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command itself, imported now."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command if name is None else _imported(name), rest


def _imported(name: str) -> Any:
    module, attribute, help_line = COMMANDS[name]
    found = getattr(import_module(module), attribute)
    if not isinstance(found, typer.Typer):
        single = typer.Typer(add_completion=False, rich_markup_mode=None)
        single.command(name, help=found.__doc__ or help_line)(found)
        found = single
    command = typer.main.get_command(found)
    command.name = name
    return command


app = typer.Typer(
    cls=LazyCommands,
    help="A FIX 4.4 exchange: real sessions, real books, and a record of every byte.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"fixsim {__version__}")
        raise typer.Exit()


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """A FIX 4.4 exchange: real sessions, real books, and a record of every byte."""


def main(arguments: list[str] | None = None) -> None:
    """The `fixsim` script. What went wrong is one line on stderr; bugs keep their traceback."""
    if isinstance(sys.stdout, TextIOWrapper):  # a character that cannot be shown here is shown as its number
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        app(arguments, prog_name="fixsim")
    except BrokenPipeError:  # the reader of our output left; there is nobody to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        sys.exit(exit_code_of(error))


if __name__ == "__main__":
    main()
