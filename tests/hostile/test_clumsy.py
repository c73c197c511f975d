"""Clumsy hands at the command line: whatever is typed, the answer is a few lines and an exit code, never a traceback."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixsim.cli.main import COMMANDS, main
from fixsim.client.core import Core, Identity
from fixsim.client.store import FileStore

#: What a shell hands over of bytes that are no UTF-8.
ODD = os.fsdecode(b"\xff\xfe")
LINES = (
    "", "nonsense", "serve --config none.toml", "serve --config odd.toml", "serve --config folder", "serve --port 99999",
    "serve --data-dir file --database-url none --port 0", "serve --data-dir /proc/none --database-url none --port 0",
    "serve --host none.invalid --fresh --database-url none", "serve --host 0.0.0.0 --port 0 --fresh --database-url none",
    "serve --database-url mysql://x --fresh", "serve --log-level loud", "serve --port TAKEN --fresh --database-url none",
    "sessions", "sessions show --data-dir none", "sessions show --data-dir file", "sessions show ODD --data-dir none",
    "sessions set-next A --data-dir none", "sessions set-next A --in 0", "sessions set-next A --in x",
    "sessions disconnect A --text ODD --data-dir none", "sessions reset A --data-dir folder",
    "book", "book ODD --data-dir none", "book A --depth 0", "halt", "halt A --data-dir file", "resume A --data-dir none",
    "journal ls --data-dir none", "journal cat --data-dir file", "journal cat --from -5", "journal verify --data-dir folder",
    "journal cat --session ODD --data-dir folder", "tail --data-dir none", "tail --symbol ODD --data-dir folder", "tail -n -1",
    "decode", "decode ODD", "decode 8=FIX.4.4", "decode 8=FIX.4.4|9=x|", "decode =|=|=", "decode 1=|2=|9999999999999=|",
    "audit", "audit messages --data-dir none", "audit messages --data-dir file", "audit messages --type NOPE",
    "audit messages --since never", "audit messages --since 99999999999999d", "audit messages --direction up",
    "audit order ODD --data-dir none", "audit order X --database-url nonsense", "audit sql select --data-dir none",
    "audit order X --database-url postgresql://localhost:1/x", "audit order X --database-url postgresql://localhost:port/x",
    "audit lag --data-dir folder", "ship --until-end --data-dir none --database-url nonsense", "password",
    "client buy", "client buy 1 A --port 1", "client buy 1 A --port 99999", "client buy 1 ODD", "client buy 1 CONTROL",
    "client buy 1 A --id CONTROL", "client buy 1 A --account ODD", "client --sender CONTROL status X",
    "client --target ODD status X", "client --username CONTROL status X", "client --env-file none status X",
    "client --env-file odd.toml status X",
    "client --ca none status X", "client --ca odd.toml status X", "client --certificate odd.toml status X",
    "client --store file status X", "client --host none.invalid status X", "client quit", "client --tif never buy 1 A",
)  # fmt: skip


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FIXSIM_PASSWORD", raising=False)
    monkeypatch.delenv("FIXSIM_DATABASE_URL", raising=False)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    (tmp_path / "odd.toml").write_bytes(b"\xff\xfe\x00odd")
    with (tmp_path / "file").open() as typed:
        monkeypatch.setattr("sys.stdin", typed)
        yield tmp_path


@pytest.mark.parametrize("line", LINES)
@pytest.mark.usefixtures("here")
def test_clumsy_lines_end_with_words(line: str, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        words = {"ODD": ODD, "CONTROL": "a\x01b", "TAKEN": port}
        with pytest.raises(SystemExit) as ended:
            main([words.get(word, word) for word in line.split()])
    told = capfd.readouterr()
    assert ended.value.code in (0, 1, 2), told
    assert "Traceback" not in told.err
    assert told.err or told.out
    assert ended.value.code != 0 or line.split()[:1] == ["password"]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_survives_readers_that_leave(command: str) -> None:
    """Standard output that is closed, full, or a pipe nobody reads."""
    asked = [sys.executable, "-m", "fixsim.cli.main", command, "--help"]
    reader, writer = os.pipe()
    os.close(reader)
    with Path("/dev/full").open("w") if Path("/dev/full").exists() else Path(os.devnull).open("w") as full:
        for stdout in (writer, full):
            ended = subprocess.run(asked, stdout=stdout, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
            assert "Traceback" not in ended.stderr, ended.stderr
            assert "Exception ignored" not in ended.stderr, ended.stderr
    os.close(writer)


def test_a_client_keeps_no_password(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    core = Core(Identity(b"ALICE", b"FIXSIM", b"alice", b"sesame"), store)
    core.connected(10**18)
    assert b"554=sesame" in core.take_bytes()
    store.close()
    assert not any(b"sesame" in file.read_bytes() for file in tmp_path.iterdir())
    assert FileStore(tmp_path).next_out == 2
