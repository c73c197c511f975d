"""How every command speaks: JSON or a table on stdout, one line of error on stderr, and the exit code.

Exit codes: 0 good, 1 a finding or a failure, 2 a mistake on the command line or in the configuration.
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from fixsim.errors import ConfigError, FixsimError, UsageError

GOOD: Final = 0
FINDING: Final = 1
USAGE: Final = 2


def print_json(value: Any) -> None:
    """`value` as one line of JSON; bytes, Decimals and dates become text."""
    json.dump(value, sys.stdout, default=_as_text, ensure_ascii=False)
    sys.stdout.write("\n")


def _as_text(value: Any) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str | None = None) -> None:
    """A table for people; None is shown as an empty cell. Long cells wrap on a terminal and stay whole in a
    pipe.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    console = Console()
    if not console.is_terminal:
        # a console never measures beyond its own width
        console = Console(width=max(console.width, Console(width=1 << 16).measure(table).maximum))
    console.print(table)


def print_records(columns: Sequence[str], records: Iterable[Mapping[str, Any]], title: str | None = None) -> None:
    """A table of mappings: `columns` are the keys shown, in order."""
    print_table(columns, ([record.get(column) for column in columns] for record in records), title)


def say(line: str) -> None:
    """A line of progress for the person at the terminal; stdout stays clean for results."""
    print(line, file=sys.stderr, flush=True)


def exit_code_of(error: BaseException) -> int:
    """Say `error` in the fewest lines that name the fault; the exit code it stands for."""
    if isinstance(error, ConfigError):
        for fault in error.faults:
            say(f"fixsim: {fault}")
        return USAGE
    if isinstance(error, FixsimError | OSError):
        say(f"fixsim: {error}")
        return USAGE if isinstance(error, UsageError) else FINDING
    raise error
