"""`fixsim replay DIR`: a journal carried out again, and what is found shown."""

import re
import time
from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from fixsim.audit.moments import parse_moment, show_moment
from fixsim.cli.book import print_book
from fixsim.cli.difference import described, print_difference
from fixsim.cli.narrate import open_journal
from fixsim.cli.output import FINDING, print_json, print_table, say
from fixsim.cli.progress import progress_bar
from fixsim.errors import JournalError, ReplayDivergence, UsageError
from fixsim.fix.dictionary import fix44
from fixsim.journal.reader import Reader
from fixsim.journal.record import record_at

if TYPE_CHECKING:
    from fixsim.exchange.course import Until
    from fixsim.exchange.replay import Digested, Replay
    from fixsim.exchange.second_opinion import SecondOpinion
    from fixsim.exchange.standing import Standing

KERNELS: Final = "kernels"
ORACLE: Final = "oracle"
TIME_OF_DAY: Final = re.compile(r"\d\d:\d\d(:\d\d(\.\d{1,9})?)?")


@dataclass(frozen=True)
class Question:
    """What is asked of a journal."""

    until: str | None = None
    engine: str = KERNELS
    #: Inbound records between two digests, 0 for none.
    every: int = 0
    verify: bool = False
    book: str | None = None
    depth: int = 10
    #: An id of an order whose place is wanted, and whose order it is.
    order: str | None = None
    session: str | None = None
    json: bool = False


def replay_journal(path: Path, question: Question) -> None:
    """Replay the journal in `path` and say what was found; leaves with FINDING when something differs."""
    if question.engine not in (KERNELS, ORACLE):
        raise UsageError(f"--engine {question.engine}: kernels or oracle")
    if question.order is not None and question.engine == ORACLE:
        raise UsageError("--order asks the kernels' books: leave --engine oracle away")
    reader = open_journal(path)
    try:
        _replay(reader, question)
    except JournalError as damage:
        if not question.json:
            raise
        print_json({"engine": question.engine, "verdict": "damaged", "position": damage.position, "text": str(damage)})
        raise typer.Exit(FINDING) from None


def _replay(reader: Reader, question: Question) -> None:
    extent = Extent.of(reader)
    until = parse_until(question.until, extent)
    one_pass = _start(reader, question, until)
    begun = time.perf_counter()
    digests = []
    try:
        with progress_bar("replaying", extent.end) as progress:
            for digested in one_pass.digests(question.every, progress):
                digests.append(digested)
                _tell_digest(digested, question)
    except ReplayDivergence as divergence:
        _tell_difference(divergence, one_pass, question)
        raise typer.Exit(FINDING) from None
    _tell(one_pass, question, digests, time.perf_counter() - begun)


def _start(reader: Reader, question: Question, until: "Until") -> "Replay | SecondOpinion":
    from fixsim.gateway.warmup import compile_kernels

    if question.engine == ORACLE:
        from fixsim.exchange.second_opinion import SecondOpinion

        return SecondOpinion(reader, fix44(), until)
    from fixsim.exchange.replay import Replay

    compile_kernels(say)
    return Replay(reader, fix44(), until)


# ---------------------------------------------------------------- where it ends


@dataclass(frozen=True)
class Extent:
    """Where a journal ends, and the times of its first and last record, ns since 1970 UTC."""

    end: int
    first_ns: int
    last_ns: int

    @classmethod
    def of(cls, reader: Reader) -> "Extent":
        """Looks at the beginning and at the newest files alone. JournalError where nothing is sealed."""
        first = next(reader.batches(live=True), None)
        if first is None:
            raise JournalError(f"nothing is sealed in {reader.directory}", 0)
        for begin in reversed([segment.first for segment in reader.segments()]):
            newest = deque(reader.batches(begin, live=True), maxlen=1)
            if newest:
                (last,) = newest
                return cls(last.end, record_at(first.view, 0, first.begin).time_ns, reader.seal(last).time_ns)
        raise JournalError(f"nothing is sealed in {reader.directory}", 0)


def parse_until(text: str | None, extent: Extent) -> "Until":
    """A position, a point in time, or a time of the one day the journal is of. Raises UsageError."""
    from fixsim.exchange.course import THE_END, Until

    if text is None:
        return THE_END
    if text.isdecimal():
        return Until(position=int(text))
    if TIME_OF_DAY.fullmatch(text):
        days = [show_moment(ns)[:10] for ns in (extent.first_ns, extent.last_ns)]
        if days[0] != days[1]:
            raise UsageError(f"--until {text}: the journal goes from {days[0]} to {days[1]}; give the date too")
        text = f"{days[0]}T{text}"
    return Until(time_ns=parse_moment(text, time.time_ns()))


# ---------------------------------------------------------------- what was found


def _tell_digest(digested: "Digested", question: Question) -> None:
    if not question.json:
        print(f"{show_moment(digested.time_ns)} {digested.position} after {digested.inbound} inbound: {digested.digest}")


def _tell_difference(divergence: ReplayDivergence, one_pass: "Replay | SecondOpinion", question: Question) -> None:
    if question.json:
        print_json(
            {"engine": question.engine, "records": one_pass.records, "inbound": one_pass.inbound, **described(divergence)}
        )
    else:
        print_difference(divergence)


def _tell(one_pass: "Replay | SecondOpinion", question: Question, digests: list["Digested"], seconds: float) -> None:
    last, broken = one_pass.digest(), one_pass.broken_laws() if question.verify else []
    answer: dict[str, Any] = {
        "verdict": "unsound" if broken else "equal",
        "engine": question.engine,
        "records": one_pass.records,
        "inbound": one_pass.inbound,
        "position": last.position,
        "time_ns": last.time_ns,
        "time": show_moment(last.time_ns),
        "digest": last.digest,
        "seconds": round(seconds, 3),
        "records_per_s": round(one_pass.records / max(seconds, 1e-9)),
        "inbound_per_s": round(one_pass.inbound / max(seconds, 1e-9)),
    }
    answer |= {"broken_laws": broken} if question.verify else {}
    answer |= {"digests": [digested._asdict() for digested in digests]} if question.every else {}
    if question.book is not None:
        answer["book"] = one_pass.book(question.book, question.depth)
    standings = _standings(one_pass, question)
    if standings is not None:
        answer["orders"] = [asdict(standing) for standing in standings]
    if question.json:
        print_json(answer)
    else:
        _print(answer, standings)
    if broken or standings == []:
        raise typer.Exit(FINDING)


def _standings(one_pass: "Replay | SecondOpinion", question: Question) -> "list[Standing] | None":
    if question.order is None:
        return None
    from fixsim.exchange.standing import find_standings

    return find_standings(one_pass.exchange, question.order, question.session)


def _print(answer: dict[str, Any], standings: "list[Standing] | None") -> None:
    print(
        f"equal: {answer['records']} records, {answer['inbound']} of them inbound, "
        f"to position {answer['position']}, {answer['time']}"
    )
    print(f"digest {answer['digest']}")
    for law in answer.get("broken_laws", ()):
        print(f"broken: {law}")
    if "book" in answer:
        print_book(answer["book"])
    elif standings is None:
        say(f"{answer['records_per_s']} records/s, {answer['inbound_per_s']} of them inbound, in {answer['seconds']} s")
    if standings is not None:
        _print_standings(standings)


def _print_standings(standings: "list[Standing]") -> None:
    for one in standings:
        side = fix44().value_name(54, one.side.encode())
        print(
            f"OrderID {one.order_id} of {one.session} ({one.cl_ord_id}): {side} {one.order_qty} {one.symbol} @ {one.price}, "
            f"{fix44().value_name(39, one.ord_status.encode())}, open {one.leaves_qty}, filled {one.cum_qty}"
        )
        if one.resting:
            rows = [
                ("at better prices", one.orders_better, one.quantity_better),
                ("older at its price", one.orders_ahead, one.quantity_ahead),
                ("at its price in all", one.orders_at_price, one.quantity_at_price),
            ]
            print_table(("", "orders", "quantity"), rows)
        else:
            print("it does not rest in the book")
    if not standings:
        say("no such order is known at that point")
