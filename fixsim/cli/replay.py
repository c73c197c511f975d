"""`fixsim replay`: a journal carried out once more and compared, or a FIX log played to an exchange."""

from pathlib import Path
from typing import Annotated

import typer

from fixsim.errors import UsageError

Paths = Annotated[
    list[Path], typer.Argument(metavar="PATH...", help="A data directory or its journal; with --to, FIX logs or journals.")
]
Until = Annotated[
    str | None, typer.Option(metavar="POSITION|TIME", help="Stop behind this record, or behind the last one of this time.")
]
Verify = Annotated[bool, typer.Option("--verify", help="Also check the state: books, queues, quantities, counters.")]
Engine = Annotated[str, typer.Option(metavar="kernels|oracle", help="Who answers: the exchange, or the plain-Python oracle.")]
Every = Annotated[int, typer.Option("--digest-every", metavar="N", min=0, help="Show the digest after each N inbound records.")]
Book = Annotated[str | None, typer.Option(metavar="SYMBOL", help="Show the book as it stands then.")]
Depth = Annotated[int, typer.Option(min=1, max=1_000_000, help="Levels of each side of the book.")]
Order = Annotated[str | None, typer.Option(metavar="ID", help="Show where an order stands then: ClOrdID(11) or OrderID(37).")]
Session = Annotated[str | None, typer.Option(metavar="NAME", help="Only this counterparty (its CompID).")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def replay(
    paths: Paths,
    verify: Verify = False,
    until: Until = None,
    engine: Engine = "kernels",
    digest_every: Every = 0,
    book: Book = None,
    depth: Depth = 10,
    order: Order = None,
    session: Session = None,
    json: Json = False,
) -> None:
    """Carry out a journal once more and compare every byte.

    The journal may be a copy, or that of a running exchange; nothing is written. Exit codes: 0 equal, 1 something
    differs, 2 a mistake on the command line.
    """
    from fixsim.cli.replay_journal import Question, replay_journal

    if len(paths) != 1:
        raise UsageError("one journal at a time: give one data directory")
    replay_journal(paths[0], Question(until, engine, digest_every, verify, book, depth, order, session, json))
