"""`fixsim tail`: what happens on the exchange, live and decoded, straight from the journal."""

import os
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Annotated, Final

import typer

from fixsim.cli.journal import Raw, SessionName
from fixsim.cli.narrate import Narrator, open_journal
from fixsim.cli.operator import DEFAULT_DATA_DIR, DataDir, Json
from fixsim.cli.output import print_json
from fixsim.journal.reader import Reader
from fixsim.journal.record import Record, records
from fixsim.layout import Kind

#: How often a quiet journal is looked at.
POLL_S: Final = 0.05


def tail(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    session: SessionName = None,
    symbol: Annotated[str | None, typer.Option(help="Only messages with this Symbol(55).")] = None,
    json: Json = False,
    follow: Annotated[bool, typer.Option(help="Go on with what comes; end with Ctrl-C.")] = True,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="Records shown before that.")] = 10,
    ticks: Annotated[bool, typer.Option("--ticks", help="Show TICK records too.")] = False,
    raw: Raw = False,
) -> None:
    """Follow the messages live, decoded. Needs no database; the exchange may run or not."""
    reader = open_journal(data_dir)
    narrator = Narrator(reader, raw)
    wanted_symbol = None if symbol is None else os.fsencode(symbol)

    def wanted(record: Record) -> bool:
        if record.kind == Kind.TICK and not ticks:
            return False
        if wanted_symbol is not None and record.value_at(record.at_symbol) != wanted_symbol:
            return False
        return session is None or narrator.session(record) == session

    def show(record: Record) -> None:
        if json:
            print_json(narrator.object(record))
        else:
            print(narrator.line(record))

    last, end = last_records(reader, wanted, lines)
    for record in last:
        show(record)
    if not follow:
        return
    try:
        for batch in reader.follow(end, wait):
            for record in filter(wanted, records(batch.view)):
                show(record)
    except KeyboardInterrupt:
        return


def wait() -> bool:
    """Show what was printed, and let a moment pass."""
    sys.stdout.flush()
    time.sleep(POLL_S)
    return True


def last_records(reader: Reader, wanted: Callable[[Record], bool], count: int) -> tuple[list[Record], int]:
    """The last `count` wanted records, and the position where the journal ends now.

    Reads the newest segment, then one more at a time until it has found them: never all of a long journal.
    """
    firsts = [segment.first for segment in reader.segments()]
    end = firsts[-1]
    for batch in reader.batches(end, live=True):
        end = batch.end
    found: list[Record] = []
    stop = end
    for first in reversed(firsts):
        if len(found) >= count:
            break
        newest: deque[Record] = deque(maxlen=count - len(found))
        for batch in reader.batches(first, live=True):
            if batch.begin >= stop:
                break
            newest.extend(filter(wanted, records(batch.view)))
        found = [*newest, *found]
        stop = first
    return found, end
