"""What the world may do to a running venue, done to it for real: each fault has one outcome (docs/journal.md), and in none of
them has anybody heard what the journal does not hold.
"""

import errno
import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from stage import Client, Stage, round_trip_s, small
from test_serve import LOAD, Served, run, served

from fixsim.config import JournalSettings
from fixsim.errors import JournalError, JournalFull
from fixsim.exchange.opening import open_venue
from fixsim.fix.message import Message
from fixsim.gateway.clock import Clock
from fixsim.journal.disk import Disk
from fixsim.journal.reader import Reader
from fixsim.journal.record import records
from fixsim.journal.segments import journal_directory
from fixsim.layout import Kind

MIB = 1 << 20
SYNC = JournalSettings(durability="sync")


def said(data_dir: Path) -> list[bytes]:
    """Every frame that was said, as the journal has it."""
    reader = Reader(journal_directory(data_dir))
    return [bytes(one.payload) for batch in reader.batches() for one in records(batch.view) if one.kind == Kind.OUT]


def check_heard(heard: list[Message], data_dir: Path) -> None:
    """What somebody has heard is in the journal, byte by byte."""
    assert heard
    held = said(data_dir)
    for message in heard:
        frame = b"".join(b"%d=%b\x01" % field for field in message.fields)
        assert frame in held, f"heard, and not in the journal: {message}"


def hear_all(client: Client) -> list[Message]:
    """Everything until the connection ends."""
    heard = []
    while (message := client.hear(30)) is not None:
        heard.append(message)
    return heard


def wait_for_end(exchange: Served) -> tuple[int, str]:
    """Exit code and stderr of a process that ends by itself."""
    _, err = exchange.process.communicate(timeout=60)
    return exchange.process.returncode, err


# ---------------------------------------------------------------- no room


def test_a_disk_that_is_full_stops_the_venue_and_what_was_heard_is_kept(tmp_path: Path) -> None:
    """From one moment on the system refuses every write, in the middle of trading."""
    with served("--data-dir", str(tmp_path), *LOAD) as exchange, Client(exchange.port, "CLIENT") as client:
        heard = [client.log_on()]
        for number in range(20):
            client.socket.sendall(client.order(f"A{number}"))
            heard.append(client.expect("8"))
        resource.prlimit(exchange.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
        client.socket.sendall(client.order("REFUSED"))
        assert hear_all(client) == []
        code, err = wait_for_end(exchange)
        assert code == 1 and "a batch cannot be written: File too large" in err
        assert "Traceback" not in err
    check_heard(heard, tmp_path)
    with served("--data-dir", str(tmp_path), *LOAD) as exchange, Client(exchange.port, "CLIENT") as client:
        client.next_out = 22
        client.log_on(reset=False)
        client.socket.sendall(client.order("AGAIN"))
        assert client.expect("8").get(11) == b"AGAIN"


def test_a_disk_without_room_for_the_first_segment_refuses_the_start(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (32 * MIB, hard))
    try:
        refused = run("serve", "--port", "0", "--database-url", "none", "--data-dir", str(tmp_path), *LOAD)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert refused.returncode == 1 and "File too large" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_without_room_for_the_next_segment_everybody_is_logged_out(tmp_path: Path) -> None:
    """The segment in use is whole, the next one is there; the one behind it cannot be made any more."""
    stage = Stage(small(journal=JournalSettings(segment_bytes=12 * MIB)), tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    heard: list[Message] = []
    try:
        with pytest.raises(JournalFull), stage, stage.client() as client:
            assert stage.opened.writer._ahead
            stage.opened.writer._ahead[0].wait()
            resource.setrlimit(resource.RLIMIT_FSIZE, (11 * MIB, hard))
            client.log_on()
            while (message := _trade(client)) is not None:
                heard.append(message)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert heard[-1].msg_type == b"5" and heard[-1].get(58) == b"The exchange has no room left"
    check_heard(heard, tmp_path)
    assert len(list(Reader(journal_directory(tmp_path)).segments())) == 2


def _trade(client: Client) -> Message | None:
    """Say a batch of large messages that are answered by as large ones; the last answer, None at the end."""
    try:
        client.socket.sendall(b"".join(client.frame("1", f"112={'x' * 8_000}") for _ in range(20)))
    except OSError:
        return None
    message = None
    for _ in range(20):
        if (message := client.hear(30)) is None or message.msg_type == b"5":
            break
    return message


@pytest.mark.parametrize("path", ["/proc/fixsim-data", "/dev/null/fixsim-data"])
def test_a_place_where_nothing_can_be_made_refuses_the_start(path: str) -> None:
    refused = run("serve", "--port", "0", "--database-url", "none", "--data-dir", path, *LOAD)
    assert refused.returncode == 1 and f"cannot use the data directory {path}" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_read_only_file_system_refuses_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(disk: Disk, path: Path) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Disk, "create", refuse)
    monkeypatch.setattr(Disk, "open", refuse)
    with pytest.raises(JournalError, match="cannot be opened: Read-only file system"):
        open_venue(small(), tmp_path, time.time_ns())


# ---------------------------------------------------------------- a disk that fails to keep


@pytest.fixture(params=["compiled", "plain"])
def loop(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways round the loop."""
    if request.param == "plain":
        monkeypatch.setenv("FIXSIM_PLAIN_LOOP", "1")
    return str(request.param)


@pytest.fixture
def null() -> Iterator[int]:
    """A file that takes every write and can bring none to the disk."""
    descriptor = os.open("/dev/null", os.O_RDWR)
    yield descriptor
    os.close(descriptor)


def break_sync(stage: Stage, null: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """From now on fdatasync fails, wherever it is called; the list has an entry for each time plain Python did."""
    calls: list[int] = []
    place = stage.opened.writer.place

    def fail(disk: Disk, descriptor: int) -> None:
        calls.append(descriptor)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    def placed() -> tuple[int, int, int]:
        return null, *place()[1:]

    monkeypatch.setattr(Disk, "sync", fail)
    monkeypatch.setattr(stage.opened.writer, "place", placed)
    return calls


def test_after_a_failed_sync_the_venue_stops_and_does_not_try_again(
    tmp_path: Path, loop: str, null: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(small(journal=SYNC), tmp_path)
    with pytest.raises(JournalError, match="cannot be brought to the disk") as raised, stage, stage.client() as client:
        heard = [client.log_on()]
        client.socket.sendall(client.order("A"))
        heard.append(client.expect("8"))
        journal = stage.opened.writer._descriptor
        calls = break_sync(stage, null, monkeypatch)
        time.sleep(1.5)  # the compiled loop is told once a second which file it writes
        client.socket.sendall(client.order("B"))
        assert hear_all(client) == []
    assert not isinstance(raised.value, JournalFull)
    assert calls.count(journal) == (1 if loop == "plain" else 0), "an fdatasync that failed was tried again"
    assert ("fdatasync has failed" in str(raised.value)) == (loop == "compiled")
    monkeypatch.undo()
    check_heard(heard, tmp_path)


def test_with_sync_nothing_is_heard_before_the_disk_has_it(tmp_path: Path, loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both loops ask the disk once for each batch: what the other way round would show is said after that."""
    stage = Stage(small(journal=SYNC), tmp_path)
    with stage, stage.client() as client:
        heard = [client.log_on()]
        for number in range(10):
            client.socket.sendall(client.order(f"A{number}"))
            heard.append(client.expect("8"))
            assert not stage.opened.writer._unsynced
    check_heard(heard, tmp_path)


# ---------------------------------------------------------------- time and descriptors


def test_a_wall_clock_that_went_back_does_not_take_the_venue_back(tmp_path: Path) -> None:
    now_ns = time.time_ns()
    first = open_venue(small(), tmp_path, now_ns)
    first.writer.close()
    second = open_venue(small(), tmp_path, now_ns - 3_600_000_000_000)
    clock = Clock(second.exchange.tape.now_ns, lambda: now_ns - 3_600_000_000_000)
    assert second.exchange.tape.now_ns == now_ns and clock.now_ns() >= now_ns
    second.writer.close()
    times = [one.time_ns for batch in Reader(journal_directory(tmp_path)).batches() for one in records(batch.view)]
    assert times == sorted(times) and len(times) == 2


def test_without_descriptors_nobody_is_let_in_and_nobody_is_hurt(tmp_path: Path) -> None:
    with served("--data-dir", str(tmp_path), *LOAD) as exchange, Client(exchange.port, "CLIENT") as client:
        client.log_on()
        used = len(os.listdir(f"/proc/{exchange.pid}/fd"))
        resource.prlimit(exchange.pid, resource.RLIMIT_NOFILE, (used + 4, used + 4))
        strangers = [Client(exchange.port, f"S{number}") for number in range(12)]
        for number in range(20):
            assert round_trip_s(client, number) < 10
        for stranger in strangers:
            stranger.socket.close()
        with Client(exchange.port, "LATER") as later:
            later.log_on()
        code, _, err = exchange.end()
        assert code == 0 and "no connections accepted for a moment" in err


