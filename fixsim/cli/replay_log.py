"""`fixsim replay LOGFILE... --to HOST:PORT`: a client's log played to an exchange, and what came back compared."""

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from fixsim.cli.narrate import open_journal
from fixsim.cli.output import FINDING, print_json, print_table, say
from fixsim.cli.progress import progress_bar
from fixsim.errors import GarbledMessage, UsageError
from fixsim.fix.codec import decode
from fixsim.fix.dictionary import fix44
from fixsim.journal.record import records
from fixsim.layout import Kind

if TYPE_CHECKING:
    from fixsim.client.comparison import OrderStory
    from fixsim.client.logs import Logged, LogReader
    from fixsim.client.playback import Played
    from fixsim.client.wire import WireOptions

SPEED: Final = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)x")
#: Stories of a table; --json gives all.
STORIES_MAX: Final = 100


@dataclass(frozen=True)
class Performance:
    """What `--to` was given with."""

    to: str
    speed: str = "original"
    session: str | None = None
    target: str | None = None
    prefix: str = ""
    compare: bool = False
    json: bool = False
    options: "WireOptions" = field(default_factory=dict)  # type: ignore[assignment]  # an empty one is whole


def replay_log(paths: list[Path], wanted: Performance) -> None:
    """Play the logs in `paths`; leaves with FINDING when something could not be sent, or came back otherwise."""
    from fixsim.client.grammar import sayable
    from fixsim.client.logs import LogReader, scripts_of
    from fixsim.client.playback import Plan, Playback

    host, port = parse_address(wanted.to)
    for text in (wanted.prefix, wanted.target or "", wanted.session or ""):
        sayable(text)
    reader = LogReader()
    scripts = scripts_of((entry for path in paths for entry in _logged(path, reader)), wanted.session)
    if reader.garbled:
        say(f"{reader.garbled} garbled messages are left out")
    if not scripts:
        raise UsageError("no client session" + (f" {wanted.session}" if wanted.session else "") + " is in these logs")
    plan = Plan(host, port, parse_speed(wanted.speed), wanted.prefix.encode(), wanted.target, wanted.options)
    playback = Playback(scripts, plan)
    with progress_bar("playing", playback.messages) as progress:
        played = playback.run(progress)
    stories = playback.compare() if wanted.compare else None
    _tell(played, [script.name.decode("latin-1") for script in scripts], stories, wanted.json)
    wrong = stories is not None and any(story.verdict != "equal" for story in stories)
    if wrong or played.unsent:
        raise typer.Exit(FINDING)


def parse_address(text: str) -> tuple[str, int]:
    """HOST:PORT. Raises UsageError."""
    host, colon, port = text.rpartition(":")
    if not (colon and host and port.isdecimal() and 0 < int(port) < 65_536):
        raise UsageError(f"--to {text}: expected HOST:PORT")
    return host.strip("[]"), int(port)


def parse_speed(text: str) -> float:
    """`original`, `max` or `10x`, as times the original; 0 for no waiting. Raises UsageError."""
    if text in ("original", "max"):
        return 1.0 if text == "original" else 0.0
    found = SPEED.fullmatch(text)
    if found is None or float(found[1]) == 0:
        raise UsageError(f"--speed {text}: original, max, or times the original as in 10x")
    return float(found[1])


def _logged(path: Path, reader: "LogReader") -> Iterator["Logged"]:
    """The messages of a log file, of standard input for `-`, or of a journal."""
    if path.is_dir():
        yield from _journaled(path)
        return
    yield from reader.read(sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes())


def _journaled(path: Path) -> Iterator["Logged"]:
    """What was said and heard in a journal; frames of a resend are not said again."""
    from fixsim.client.logs import Logged

    for batch in open_journal(path).batches():
        for record in records(batch.view):
            if record.kind in (Kind.IN, Kind.OUT):
                try:
                    yield Logged(record.time_ns, decode(bytes(record.payload), check=False), record.position)
                except GarbledMessage:
                    continue


def _tell(played: "Played", names: list[str], stories: "list[OrderStory] | None", as_json: bool) -> None:
    counts: dict[str, int] = {}
    for story in stories or ():
        counts[story.verdict] = counts.get(story.verdict, 0) + 1
    if as_json:
        told: dict[str, Any] = {"sessions": names, **played._asdict(), "seconds": round(played.seconds, 3)}
        if stories is not None:
            told |= {"verdicts": counts, "orders": [story.as_json() for story in stories]}
        print_json(told)
        return
    print(
        f"{played.sent} messages of {', '.join(names)} sent, {played.came} answers came, "
        f"in {played.seconds:.1f} s ({played.sent / max(played.seconds, 1e-9):.0f} messages/s)"
    )
    if played.unsent:
        print(f"{played.unsent} messages could not be sent: {'; '.join(played.reasons)}")
    if stories is not None:
        print(", ".join(f"{verdict} {count}" for verdict, count in sorted(counts.items())) or "nothing to compare")
        _print_stories([story for story in stories if story.verdict != "equal"])


def _print_stories(stories: "list[OrderStory]") -> None:
    if not stories:
        return
    rows = [
        (story.session, story.id, story.verdict, f"{story.came} of {story.logged}", story.answer or "", _difference(story))
        for story in stories[:STORIES_MAX]
    ]
    print_table(("session", "order", "verdict", "answers", "first", "log, now"), rows)
    if len(stories) > STORIES_MAX:
        say(f"{len(stories) - STORIES_MAX} more; --json shows all")


def _difference(story: "OrderStory") -> str:
    return ", ".join(f"{fix44().field_name(tag) or tag} {then or '-'} -> {now or '-'}" for tag, then, now in story.differences)


def only_with_to(given: Iterable[tuple[str, bool]]) -> None:
    """Raises UsageError for the first option that says something without --to."""
    for name, is_given in given:
        if is_given:
            raise UsageError(f"{name} belongs to --to HOST:PORT")
