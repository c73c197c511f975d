"""`fixsim replay`: a journal carried out once more and compared, or a FIX log played to an exchange."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fixsim.errors import UsageError

if TYPE_CHECKING:
    from fixsim.client.wire import WireOptions

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
To = Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Play what clients said to the exchange there.")]
Speed = Annotated[str, typer.Option(metavar="original|Nx|max", help="Pace of the log, N times that, or no waiting.")]
Compare = Annotated[bool, typer.Option("--compare", help="Compare what comes back with what the log says came back.")]
Prefix = Annotated[str, typer.Option(help="Put in front of every id of the client, so that a log can be played twice.")]
Target = Annotated[str | None, typer.Option(help="TargetCompID(56) instead of the log's.")]
Username = Annotated[str | None, typer.Option(help="Username(553) of the Logon.")]
EnvFile = Annotated[Path | None, typer.Option(help="File with a line FIXSIM_PASSWORD=... for the Logon.")]
Tls = Annotated[bool, typer.Option("--tls", help="Connect with TLS.")]
Authority = Annotated[Path | None, typer.Option(help="PEM file of the authority to trust; implies --tls.")]
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
    to: To = None,
    speed: Speed = "original",
    compare: Compare = False,
    prefix: Prefix = "",
    target: Target = None,
    username: Username = None,
    env_file: EnvFile = None,
    tls: Tls = False,
    ca: Authority = None,
    json: Json = False,
) -> None:
    """Carry out a journal once more and compare every byte; with --to, play a client's FIX log to an exchange.

    A journal may be a copy, or that of a running exchange; nothing is written. Exit codes: 0 equal, 1 something
    differs, 2 a mistake on the command line.
    """
    if to is None:
        from fixsim.cli.replay_journal import Question, replay_journal
        from fixsim.cli.replay_log import only_with_to

        only_with_to((("--speed", speed != "original"), ("--compare", compare), ("--prefix", prefix != "")))
        if len(paths) != 1:
            raise UsageError("one journal at a time: give one data directory")
        replay_journal(paths[0], Question(until, engine, digest_every, verify, book, depth, order, session, json))
        return
    from fixsim.cli.client import read_password, tls_context
    from fixsim.cli.replay_log import Performance, replay_log

    options: WireOptions = {
        "username": username, "password": read_password(False, env_file), "tls": tls_context(tls, ca, None),
    }  # fmt: skip
    replay_log(paths, Performance(to, speed, session, target, prefix, compare, json, options))
