"""`fixsim replay LOG --to`: a client's log played to a real exchange process, and what comes back compared."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixsim.client import Client
from fixsim.client.logs import LogReader, scripts_of
from fixsim.fix.codec import encode
from fixsim.journal.reader import Reader
from fixsim.journal.record import records
from fixsim.journal.segments import journal_directory
from fixsim.layout import Kind
from replay.conftest import Fixsim

READY = re.compile(r"fixsim ready fix 127\.0\.0\.1:(\d+) .* pid (\d+)\n")
CONFIG = """
[venue]
comp_id = "FIXSIM"
[[instruments]]
symbol = "AAPL"
tick_size = 0.01
lot_size = 1
[[counterparties]]
sender_comp_id = "*"
"""


class Venue:
    """A running exchange without a house, with a data directory of its own."""

    def __init__(self, home: Path, name: str) -> None:
        self.data_dir = home / name
        config = home / f"{name}.toml"
        config.write_text(CONFIG)
        command = [sys.executable, "-m", "fixsim.cli.main", "serve", "--port", "0", "--database-url", "none"]
        self.process = subprocess.Popen(
            [*command, "--config", str(config), "--data-dir", str(self.data_dir)],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        found = READY.fullmatch(self.process.stdout.readline())
        assert found is not None
        self.port, self.pid = int(found[1]), int(found[2])

    @property
    def to(self) -> str:
        return f"127.0.0.1:{self.port}"

    def client(self, name: str) -> Client:
        return Client("127.0.0.1", self.port, name, "FIXSIM")

    def end(self) -> None:
        """Stop it; its journal is complete then."""
        if self.process.poll() is None:
            os.kill(self.pid, 15)
            assert self.process.wait(60) == 0


@contextlib.contextmanager
def venue(home: Path, name: str) -> Iterator[Venue]:
    one = Venue(home, name)
    try:
        yield one
        one.end()
    finally:
        one.process.kill()
        one.process.communicate()


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data directory of a venue where BUYER and SELLER traded by turns, for half a second."""
    home = tmp_path_factory.mktemp("traded")
    with venue(home, "first") as one, one.client("BUYER") as buyer, one.client("SELLER") as seller:
        for number in range(10):
            price = f"187.{10 + number}"
            seller.sell(100, "AAPL", limit=price, cl_ord_id=f"S{number}")
            time.sleep(0.01)  # logs of two sessions are told apart by milliseconds
            buyer.buy(60, "AAPL", limit=price, cl_ord_id=f"B{number}", account="ACC")
            time.sleep(0.02)
            if number % 3 == 0:
                seller.cancel(f"S{number}", cl_ord_id=f"X{number}")
            elif number % 3 == 1:
                seller.replace(f"S{number}", 90, limit="190.00", cl_ord_id=f"R{number}")
            time.sleep(0.02)
        buyer.buy(5, "NIX", limit="1.00", cl_ord_id="WRONG")
    yield home / "first"
    shutil.rmtree(home)


def frames(data_dir: Path) -> list[tuple[int, bytes, bool]]:
    """(time_ns, frame, came in) of a journal."""
    return [
        (record.time_ns, bytes(record.payload), record.kind == Kind.IN)
        for batch in Reader(journal_directory(data_dir)).batches()
        for record in records(batch.view)
        if record.kind in (Kind.IN, Kind.OUT)
    ]


def stamp(time_ns: int, form: str) -> str:
    seconds, ns = divmod(time_ns, 1_000_000_000)
    return time.strftime(form, time.gmtime(seconds)).replace("FFF", f"{ns // 1_000_000:03d}")


def session_log(data_dir: Path, name: str, form: str, divider: bytes) -> bytes:
    """The log of one client as some engine would have written it."""
    lines = []
    for time_ns, frame, _ in frames(data_dir):
        if b"\x0149=%b\x01" % name.encode() in frame or b"\x0156=%b\x01" % name.encode() in frame:
            lines.append(stamp(time_ns, form).encode() + frame.replace(b"\x01", divider))
    return b"\n".join(lines) + b"\n"


LOGS = {
    "quickfix": ("%Y%m%d-%H:%M:%S.FFF : ", b"\x01"),
    "iso": ("[%Y-%m-%dT%H:%M:%S.FFFZ] INFO session ", b"|"),
    "caret": ("%H:%M:%S,FFF <fix> ", b"^A"),
    "bare": ("", b"|"),
}


@pytest.mark.parametrize("form", [*LOGS, "journal", "audit"])
def test_a_log_played_to_an_empty_exchange_comes_back_equal(form: str, traded: Path, tmp_path: Path, fixsim: Fixsim) -> None:
    """In any form of log both sessions keep their order, and every order is told the same."""
    logs: list[Path] = []
    if form == "journal":
        logs = [traded]
    elif form == "audit":
        logs = [tmp_path / "audit.log"]
        lines = [
            f"{stamp(ns, '%Y-%m-%dT%H:%M:%S.FFF000000Z')} 656 {'<-' if came_in else '->'} X 0/1 Y(Z)  ".encode()
            + frame.replace(b"\x01", b"|")
            for ns, frame, came_in in frames(traded)
        ]
        logs[0].write_bytes(b"\n".join(lines))
    else:
        for name in ("BUYER", "SELLER"):
            logs.append(tmp_path / f"{name}.log")
            logs[-1].write_bytes(session_log(traded, name, *LOGS[form]))
    with venue(tmp_path, "second") as two:
        code, out, err = fixsim("replay", *logs, "--to", two.to, "--speed", "max", "--compare", "--json")
    told = json.loads(out)
    assert code == 0, told
    assert sorted(told["sessions"]) == ["BUYER", "SELLER"]
    assert told["verdicts"] == {"equal": 21} and told["unsent"] == 0
    assert err == ""
    was, now = ([f for _, f, came_in in frames(d) if came_in and b"\x0135=D\x01" in f] for d in (traded, tmp_path / "second"))
    assert [re.findall(rb"\x01((?:11|38|44|54|55|1)=[^\x01]*)", f) for f in was] == [
        re.findall(rb"\x01((?:11|38|44|54|55|1)=[^\x01]*)", f) for f in now
    ]


def test_the_pace_is_the_logs(traded: Path, tmp_path: Path, fixsim: Fixsim) -> None:
    with venue(tmp_path, "second") as two:
        began = time.monotonic()
        assert fixsim("replay", traded, "--to", two.to)[0] == 0
        original_s = time.monotonic() - began
        began = time.monotonic()
        code, out, _ = fixsim("replay", traded, "--to", two.to, "--speed", "20x", "--prefix", "AGAIN-", "--session", "BUYER")
        assert code == 0 and out.startswith("11 messages of BUYER sent")
        quick_s = time.monotonic() - began
    times = [ns for ns, frame, came_in in frames(traded) if came_in]
    assert original_s > (times[-1] - times[0]) / 1e9 > 0.4
    assert quick_s < original_s


def test_a_prefix_lets_a_log_be_played_twice(traded: Path, tmp_path: Path, fixsim: Fixsim) -> None:
    with venue(tmp_path, "second") as two:
        play = ("replay", traded, "--to", two.to, "--speed", "max", "--compare", "--json")
        assert fixsim(*play)[0] == 0
        again = json.loads(fixsim(*play)[1])
        assert again["verdicts"]["different"] > 15  # duplicates now
        story = next(story for story in again["orders"] if story["id"] == "B3")
        assert story["answer"] == 1 and [39, "0", "8"] in story["differences"]
        # what the first two left behind is in the way of prices, not of ids
        prefixed = json.loads(fixsim(*play, "--prefix", "P-")[1])
        news = [story for story in prefixed["orders"] if story["id"].startswith("S")]
        assert len(news) == 10 and all(story["answer"] != 1 for story in news)


def test_what_does_not_come_back_is_missing(traded: Path, tmp_path: Path, fixsim: Fixsim) -> None:
    """Without the other side there is nobody to trade with."""
    with venue(tmp_path, "second") as two:
        code, out, _ = fixsim("replay", traded, "--to", two.to, "--speed", "max", "--compare", "--session", "BUYER")
    assert code == 1
    assert "missing 10" in out and "equal 1" in out and "1 of 2" in out


def test_messages_that_are_none_are_left_out_and_counted(tmp_path: Path) -> None:
    logon = encode(b"A", [(49, b"ME"), (56, b"YOU"), (34, b"1"), (52, b"20240102-10:00:00")], [(98, b"0"), (108, b"30")])
    order = encode(b"D", [(49, b"ME"), (56, b"YOU"), (34, b"2"), (52, b"20240102-10:00:01")], [(11, b"1"), (55, b"8=FIXED")])
    again = encode(b"D", [(49, b"ME"), (56, b"YOU"), (34, b"2"), (43, b"Y"), (52, b"20240102-10:00:09")], [(11, b"1")])
    reader = LogReader()
    octets = (
        b"nothing here\n" + logon.replace(b"\x01", b"|") + b" trailing words\n8=FIX.4.4|9=5|nonsense|\n" + order + b"\n" + again
    )
    (script,) = scripts_of(reader.read(octets))
    assert (script.name, script.target, reader.garbled) == (b"ME", b"YOU", 1)
    assert [entry.message.msg_type for entry in script.said] == [b"A", b"D"]
    assert script.said[1].time_ns - script.said[0].time_ns == 1_000_000_000
    assert script.said[1].message.get(55) == b"8=FIXED"


TIMES = {
    "20240102-10:00:00.5 ": 500_000_000,
    "2024-01-02T10:00:00.000000001Z": 1,
    "2024-01-02 10:00:00,25 [main]": 250_000_000,
    "10:00:07.125 ": 7_125_000_000,
    "1704189600 ": 0,
    "1704189600.5 ": 500_000_000,
    "1704189600123 ": 123_000_000,
    "1704189600123456789;": 123_456_789,
    "[out] ": 3_000_000_000,
    "": 3_000_000_000,
}


@pytest.mark.parametrize(("prefix", "ns"), TIMES.items())
def test_times_in_front_of_messages_are_read(prefix: str, ns: int) -> None:
    frame = encode(b"D", [(49, b"ME"), (56, b"YOU"), (34, b"2"), (52, b"20240102-10:00:03")], [(11, b"1")])
    (entry,) = LogReader().read(prefix.encode() + frame)
    assert entry.time_ns == 1_704_189_600_000_000_000 + ns


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--to", "nowhere"), 2), (("--to", "127.0.0.1:1", "--speed", "fast"), 2),
        (("--to", "127.0.0.1:1", "--speed", "0x"), 2),
        (("--to", "127.0.0.1:1", "--session", "NOBODY"), 2), (("--speed", "max"), 2), (("--compare",), 2),
        (("--to", "127.0.0.1:1", "--speed", "max"), 1),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line(arguments: tuple[str, ...], code: int, traded: Path, fixsim: Fixsim) -> None:
    found, out, err = fixsim("replay", traded, *arguments)
    assert (found, out) == (code, "") and err.startswith("fixsim: ") and err.count("\n") == 1


def test_a_file_that_is_not_there_and_one_without_messages(tmp_path: Path, fixsim: Fixsim) -> None:
    (tmp_path / "empty").write_text("no messages\n")
    assert fixsim("replay", tmp_path / "empty", "--to", "127.0.0.1:1")[0] == 2
    assert fixsim("replay", tmp_path / "none", "--to", "127.0.0.1:1")[0] == 1
