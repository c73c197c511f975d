"""Shadows as processes: beside an exchange, killed, told of a difference, and in the place of an exchange that was killed."""

import json
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from flows import SESSIONS, seeded_flow
from replay.forgery import Loose, forge, reframed
from replay.recording import Recording

from fixsim.exchange.snapshots import Snapshots, snapshots_directory
from fixsim.layout import Kind
from shadow.street import CONFIG, FIXSIM, PATIENCE_S, Process, free_port, page, process, run, serve, soon

#: At full speed: beside other tests an idle process may have to wait long.
STANDBY = ("--promote", "--port", "0", "--database-url", "none", "--full-speed")
pytestmark = pytest.mark.timeout(2 * PATIENCE_S)


def positions(data_dir: Path) -> list[int]:
    return Snapshots(snapshots_directory(data_dir)).positions()


def trade(exchange: Process, name: str, count: int, next_out: int = 1) -> int:
    """Some orders of one session, and the number its next message will have."""
    with exchange.client(name, next_out) as client:
        client.log_on(reset=next_out == 1)
        for number in range(count):
            client.socket.sendall(client.order(f"{name}{client.next_out}", 1 + number % 2, symbol="ACME"))
        heard = 0
        while heard < count:
            message = client.hear()
            assert message is not None
            heard += message.get(150) == b"0"
        client.say("5")
        soon(lambda: (client.hear() or message).msg_type == b"5")
        return client.next_out


# ---------------------------------------------------------------- beside an exchange


def test_a_shadow_beside_an_exchange_takes_snapshots_and_the_next_start_begins_with_one(tmp_path: Path) -> None:
    with serve(tmp_path, "--shadow") as exchange:
        exchange.ready()
        next_out = trade(exchange, "DESK", 40)
        soon(lambda: page(exchange.data_dir))
        taken = json.loads(run("snapshot", "--data-dir", str(exchange.data_dir), "--json").stdout)
        assert taken["by"] in ("shadow", "there already") and taken["position"] in positions(exchange.data_dir)
        row = soon(lambda: page(exchange.data_dir))
        assert row["divergence"] == -1 and row["records"] > 80 and row["standby"] == 0
        pid = int(row["header"]["pid"])
        if hasattr(os, "SCHED_IDLE"):
            assert os.sched_getscheduler(pid) == os.SCHED_IDLE
        next_out = trade(exchange, "DESK", 10, next_out)
        assert exchange.end(signal.SIGTERM) == 0
        assert "shadow ended with" not in exchange.log
    newest = positions(exchange.data_dir)[0]
    assert newest > taken["position"], "what came since is in the one that was taken at the end"
    with serve(tmp_path) as again:
        again.ready()
        assert "passed over" not in again.log
        assert f"began with the snapshot at position {newest}" in again.log
        trade(again, "DESK", 5, next_out)
        assert again.end(signal.SIGTERM) == 0
    damaged = snapshots_directory(exchange.data_dir) / f"{newest:020d}.fixs"
    octets = bytearray(damaged.read_bytes())
    octets[-5] ^= 1
    damaged.write_bytes(octets)
    with serve(tmp_path) as third:
        third.ready()
        assert f"snapshot {damaged.name} passed over: it" in third.log
        assert third.end(signal.SIGTERM) == 0
    assert run("replay", str(exchange.data_dir)).returncode == 0


def test_a_shadow_that_is_killed_at_random_comes_back_and_nothing_is_lost(tmp_path: Path) -> None:
    dice = random.Random(1)
    with serve(tmp_path, "--shadow") as exchange:
        exchange.ready()
        next_out, seen = 1, set()
        for _ in range(4):
            pid = int(soon(lambda: page(exchange.data_dir))["header"]["pid"])
            seen.add(pid)
            next_out = trade(exchange, "DESK", 30, next_out)
            time.sleep(dice.random() * 1.5)
            os.kill(pid, signal.SIGKILL)
            soon(lambda gone=pid: int((page(exchange.data_dir) or {"header": {"pid": gone}})["header"]["pid"]) != gone)
        assert len(seen) == 4
        said = json.loads(run("snapshot", "--data-dir", str(exchange.data_dir), "--json").stdout)
        assert exchange.end(signal.SIGTERM) == 0
        assert "passed over" not in exchange.log
    replayed = json.loads(run("replay", str(exchange.data_dir), "--digest-every", "1", "--json").stdout)
    assert any(one["digest"] == said["digest"] for one in replayed["digests"])
    assert not list(snapshots_directory(exchange.data_dir).glob("*.new"))


def test_a_shadow_leaves_with_an_exchange_that_is_killed(tmp_path: Path) -> None:
    with serve(tmp_path, "--shadow") as exchange:
        exchange.ready()
        pid = int(soon(lambda: page(exchange.data_dir))["header"]["pid"])
        exchange.end(signal.SIGKILL)
        soon(lambda: page(exchange.data_dir) is None or int(page(exchange.data_dir)["header"]["pid"]) != pid)


def test_there_is_one_shadow_at_most(tmp_path: Path) -> None:
    with serve(tmp_path, "--shadow") as exchange:
        exchange.ready()
        pid = int(soon(lambda: page(exchange.data_dir))["header"]["pid"])
        second = run("shadow", "--data-dir", str(exchange.data_dir))
        assert second.returncode == 1
        assert second.stderr.splitlines()[-1].endswith(f"has a shadow already (pid {pid})")


# ---------------------------------------------------------------- on a stopped journal


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory without an exchange."""
    data_dir = tmp_path_factory.mktemp("day") / "data"
    stage = Recording(data_dir)
    stage.log_on(*SESSIONS)
    stage.play(seeded_flow(7, 80))
    stage.close()
    return data_dir


def test_a_snapshot_is_taken_without_exchange_and_shadow_once(day: Path, tmp_path: Path) -> None:
    data_dir = shutil.copytree(day, tmp_path / "data")
    first = json.loads(run("snapshot", "--data-dir", str(data_dir), "--json").stdout)
    assert first["by"] == "replay" and positions(data_dir) == [first["position"]]
    told, at = run("snapshot", "--data-dir", str(data_dir)).stdout, first["position"]
    assert told == f"snapshot {at:020d}.fixs at position {at}, digest {first['digest']} (there already)\n"
    assert json.loads(run("replay", str(data_dir), "--json").stdout)["digest"] == first["digest"]


def test_nothing_to_follow_is_one_line(tmp_path: Path) -> None:
    for command in (("snapshot",), ("shadow", "--until-end"), ("shadow",)):
        done = run(*command, "--data-dir", str(tmp_path / "none"))
        assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr
    done = run("shadow", "--promote", "--until-end", "--data-dir", str(tmp_path))
    assert done.returncode == 2 and done.stderr.startswith("fixsim: --promote waits")


def planted(day: Path, target: Path) -> int:
    """The same day with one report altered, every seal right; the position of the report."""
    found: list[int] = []

    def plant(batch: list[Loose]) -> list[Loose]:
        for place, (header, payload) in enumerate(batch):
            if not found and header[1] == Kind.OUT and b"\x0135=8\x01" in payload and header[4] > 10_000:
                batch[place] = (header, reframed(payload, b"\x0138=", b"\x0138=9"))
                found.append(header[4])
        return batch

    forge(day, target, plant)
    return found[0]


def test_a_difference_ends_a_shadow_that_is_alone_with_a_loud_line(day: Path, tmp_path: Path) -> None:
    at = planted(day, tmp_path / "data")
    done = run("shadow", "--until-end", "--full-speed", "--data-dir", str(tmp_path / "data"))
    assert done.returncode == 1
    assert f"ERROR the shadow differs from the journal at position {at}: the journal holds '8=FIX.4.4" in done.stderr
    assert done.stderr.splitlines()[-1] == f"fixsim: replay differs from the journal at position {at}"
    assert positions(tmp_path / "data") == []
    good = run("shadow", "--until-end", "--full-speed", "--data-dir", str(shutil.copytree(day, tmp_path / "good")))
    assert good.returncode == 0 and len(positions(tmp_path / "good")) == 1


def test_a_shadow_that_somebody_looks_after_stays_to_show_the_difference(day: Path, tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    at = planted(day, data_dir)
    command = [*FIXSIM, "shadow", "--full-speed", "--data-dir", str(data_dir)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as shadow:
        soon(lambda: (row := page(data_dir)) is not None and row["divergence"] == at)
        asked = run("snapshot", "--data-dir", str(data_dir))
        assert asked.returncode == 1
        assert f"the shadow has found a difference at position {at}: no snapshot is taken behind it" in asked.stderr
        assert shadow.poll() is None
        _, said = shadow.communicate("finish\n", timeout=PATIENCE_S)
        assert f"differs from the journal at position {at}" in said and "Traceback" not in said


# ---------------------------------------------------------------- in its place


def test_the_promoted_shadow_goes_on_with_the_right_numbers_and_resends_what_was_missed(tmp_path: Path) -> None:
    port = free_port()
    with serve(tmp_path, port=port) as exchange:
        exchange.ready()
        options = ("--promote", "--port", str(port), "--database-url", "none")
        with process(tmp_path, "standby", "shadow", *options) as standby:
            soon(lambda: (row := page(exchange.data_dir)) is not None and row["standby"] == 1)
            with exchange.client("MAKER") as maker:
                maker.log_on()
                maker.socket.sendall(maker.order("M1", 2, 100, symbol="ACME"))
                assert maker.expect("8").get(11) == b"M1"
                maker_out = maker.next_out
            with exchange.client("TAKER") as taker:
                taker.log_on()
                taker.socket.sendall(taker.order("T1", 1, 40, symbol="ACME"))
                assert [taker.expect("8").get(32), taker.expect("8").get(32)] == [None, b"40"]
            killed = time.monotonic()
            os.kill(exchange.pid, signal.SIGKILL)
            exchange.process.wait()
            standby.ready()
            print(f"promoted {time.monotonic() - killed:.2f} s after the kill")
            assert standby.port == port and standby.pid == standby.process.pid
            if hasattr(os, "SCHED_IDLE"):
                assert os.sched_getscheduler(standby.pid) == os.SCHED_OTHER
                assert os.getpriority(os.PRIO_PROCESS, standby.pid) == 0
            with standby.client("TAKER", taker.next_out) as again:
                again.say("A", "98=0|108=0")
                assert again.expect("A").get(34) == b"4", "one Logon and two reports were said before"
                again.socket.sendall(again.order("T2", 1, 60, symbol="ACME"))
                assert [again.expect("8").get(150), again.expect("8").get(150)] == [b"0", b"F"]
            with standby.client("MAKER", maker_out) as again:
                again.say("A", "98=0|108=0")
                assert again.expect("A").get(34) == b"5"
                again.say("2", "7=3|16=4")
                missed = [again.expect("8"), again.expect("8")]
                assert [(one.get(34), one.get(43), one.get(32), one.get(151)) for one in missed] == [
                    (b"3", b"Y", b"40", b"60"), (b"4", b"Y", b"60", b"0"),
                ]  # fmt: skip
            second = run("serve", "--port", "0", "--database-url", "none", "--data-dir", str(exchange.data_dir))
            assert second.returncode == 1 and f"pid {standby.pid}" in second.stderr
            assert standby.end(signal.SIGTERM) == 0
            assert "takes its place" in standby.log and "Traceback" not in standby.log
    assert run("replay", str(exchange.data_dir)).returncode == 0


def test_an_exchange_that_dies_before_the_standby_had_its_first_turn_is_replaced_all_the_same(tmp_path: Path) -> None:
    with serve(tmp_path) as exchange:
        exchange.ready()
        with process(tmp_path, "standby", "shadow", *STANDBY) as standby:
            while page(exchange.data_dir) is None:
                assert standby.process.poll() is None  # looked for without a pause: its first turn is about to come
            standby.process.send_signal(signal.SIGSTOP)
            os.kill(exchange.pid, signal.SIGKILL)
            exchange.process.wait()
            standby.process.send_signal(signal.SIGCONT)
            standby.ready()
            assert standby.end(signal.SIGTERM) == 0


def test_a_standby_waits_for_an_exchange_before_it_takes_its_place(tmp_path: Path) -> None:
    with serve(tmp_path) as exchange:
        exchange.ready()
        assert exchange.end(signal.SIGTERM) == 0
    with process(tmp_path, "standby", "shadow", *STANDBY) as standby:
        soon(lambda: page(exchange.data_dir))
        time.sleep(1)
        assert standby.process.poll() is None
        with serve(tmp_path) as exchange:
            exchange.ready()
            assert exchange.end(signal.SIGTERM) == 0, "one that stops in good order is replaced too"
            standby.ready()
            assert standby.end(signal.SIGTERM) == 0


def test_a_standby_under_a_configuration_that_cannot_go_on_says_so_at_once(tmp_path: Path) -> None:
    with serve(tmp_path) as exchange:
        exchange.ready()
        (tmp_path / "exchange.toml").write_text(CONFIG.replace("orders = 4096", "orders = 8192"))
        with process(tmp_path, "standby", "shadow", *STANDBY) as standby:
            assert standby.process.wait(PATIENCE_S) == 1
            assert "capacities" in standby.log.splitlines()[-1]
        (tmp_path / "exchange.toml").write_text(CONFIG)
        trade(exchange, "DESK", 3)


def test_a_standby_that_is_killed_leaves_the_exchange_alone(tmp_path: Path) -> None:
    with serve(tmp_path) as exchange:
        exchange.ready()
        with process(tmp_path, "standby", "shadow", *STANDBY) as standby:
            soon(lambda: page(exchange.data_dir))
            next_out = trade(exchange, "DESK", 10)
            standby.end(signal.SIGKILL)
            trade(exchange, "DESK", 10, next_out)
        assert exchange.end(signal.SIGTERM) == 0
