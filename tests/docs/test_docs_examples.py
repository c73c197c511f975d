"""The examples of the front pages give what they show; those of the rooms' pages are run by the rooms' tests."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import ROOT, blocks, the_block, transcript

from fixsim.audit.server import Server
from fixsim.fix.codec import SOH, decode, seal
from fixsim.fix.dictionary import fix44
from fixsim.fix.validate import validate

FIXSIM = [sys.executable, "-m", "fixsim.cli.main"]
READY = re.compile(r"fixsim ready fix \S+:(\d+) data (\S+) database (\S+) pid (\d+)\n")
#: How long the database may take: it runs at idle priority, and others may be busy.
PATIENCE_S = 300
pytestmark = pytest.mark.timeout(1200)


class Stranger:
    """Somebody in a folder of his own, with an exchange that was started as the README says."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environment = {**os.environ, "COLUMNS": "100", "PYTHONPATH": str(ROOT)}
        self.exchange = subprocess.Popen(
            [*FIXSIM, "serve", "--port", "0"], cwd=home, env=self.environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.exchange.stdout is not None
        self.ready = self.exchange.stdout.readline()
        found = READY.fullmatch(self.ready)
        assert found is not None, self.ready
        self.port = found[1]

    def run(self, command: list[str], typed: str = "") -> str:
        """What a command prints; why it failed, if it did."""
        done = subprocess.run(
            command, cwd=self.home, env=self.environment, input=typed, capture_output=True, text=True, timeout=120, check=False
        )
        return done.stdout if done.returncode == 0 else f"exit code {done.returncode}: {done.stderr}"

    def command(self, line: str) -> list[str]:
        """A command of a page, run here: the fixsim under test, at the port it got."""
        words = shlex.split(line.removeprefix("uv run "))
        assert words[0] == "fixsim", f"{line}: only fixsim can be run"
        return [*FIXSIM, *words[1:2], *(["--port", self.port] if words[1] == "client" else []), *words[2:]]


@pytest.fixture(scope="module")
def stranger() -> Iterator[Stranger]:
    """An exchange with a database, in a folder with a short name: PostgreSQL puts a socket there."""
    home = Path(tempfile.mkdtemp(prefix="fixsim-pages-"))
    stranger = Stranger(home)
    try:
        yield stranger
        stranger.exchange.terminate()
        assert stranger.exchange.wait(PATIENCE_S) == 0
    finally:
        stranger.exchange.kill()
        stranger.exchange.communicate()
        Server(home / "fixsim-data").remove()
        shutil.rmtree(home)


def essence(text: str) -> str:
    """A text without what differs from run to run (times, journal positions), and however its lines are broken."""
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z( +\d+)?", "TIME", text)
    text = re.sub(r"position\s+\d+", "position", text)
    return " ".join(text.split())


def test_the_first_session_is_as_shown(stranger: Stranger) -> None:
    for block in blocks("console", marker="run"):
        for line, shown in transcript(block.text):
            deadline = time.monotonic() + PATIENCE_S
            wanted = essence("\n".join(shown))
            while (found := essence(stranger.run(stranger.command(line)))) != wanted:
                assert " audit " in line and time.monotonic() < deadline, f"{line} prints {found}, not {wanted}"


def test_the_python_example_trades(stranger: Stranger) -> None:
    (block,) = blocks("python", marker="run")
    printed = stranger.run([sys.executable, "-"], block.text.replace("9878", stranger.port))
    found = re.fullmatch(r"100 of 100 filled at (\d+\.\d+)\n", printed)
    assert found is not None, printed
    assert 400 < float(found[1]) < 420


def test_the_exchange_starts_as_shown(stranger: Stranger) -> None:
    ((command, shown),) = transcript(the_block("serve").text)
    assert command == "uv run fixsim serve"
    found = READY.fullmatch("".join(f"{line}\n" for line in shown))
    assert found is not None
    assert found[3] == "embedded"
    assert Path(found[2]).name == "fixsim-data"


def test_verdicts_are_as_shown() -> None:
    for line in the_block("verdicts").text.splitlines():
        body, wanted = re.fullmatch(r"(.*?) +(good|373=.*)", line).groups()  # type: ignore[union-attr]
        text = f"8=FIX.4.4|35=D|49=CLIENT|56=FIXSIM|34=2|52=20251120-14:30:00|{body}|"
        rejection = validate(decode(seal(text.encode().replace(b"|", SOH))), fix44(), "strict")
        found = "good" if rejection is None else f"373={rejection.reason} 371={rejection.ref_tag}"
        assert found == wanted, line


def test_every_program_in_the_pages_compiles() -> None:
    for block in blocks("python"):
        compile(block.text, block.place, "exec")
