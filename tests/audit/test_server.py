"""The embedded server: shared, stopped by the last to leave, back after kill -9, closed to everybody else."""

import asyncio
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest
from audit_stage import reachable_directory

from fixsim.audit.place import SOCKET_PATH_MAX, find_place
from fixsim.audit.server import ADMIN, OWNER, READER, Server
from fixsim.errors import UsageError

AS_ROOT = os.geteuid() == 0


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A data directory for a server that these tests start, stop and kill; nobody uses it between them."""
    path = reachable_directory()
    yield path
    Server(path).remove()
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A data directory that never gets a server."""
    path = reachable_directory()
    yield path
    shutil.rmtree(path)


def answer(server: Server, sql: str, role: str = OWNER) -> object:
    async def ask() -> object:
        connection = await asyncpg.connect(**server.connection(role), timeout=10)
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()

    return asyncio.run(ask())


def test_the_last_to_leave_stops_the_server(home: Path) -> None:
    told: list[str] = []
    first, second = Server(home, told.append), Server(home)
    first.start()
    assert any("initialising" in line for line in told)
    second.start()
    assert first.postmaster == second.postmaster
    first.leave()
    assert answer(second, "SELECT 1") == 1
    second.leave()
    assert second.postmaster is None


def test_a_killed_user_does_not_hold_the_server(home: Path) -> None:
    with Server(home) as server:
        script = "import sys, time; from pathlib import Path; from fixsim.audit.server import Server\n"
        script += "Server(Path(sys.argv[1])).start(); print('up', flush=True); time.sleep(60)"
        with subprocess.Popen([sys.executable, "-c", script, str(home)], stdout=subprocess.PIPE) as child:
            assert child.stdout is not None and child.stdout.readline() == b"up\n"
            child.kill()
    assert server.postmaster is None


def test_a_killed_server_comes_back_with_its_rows(home: Path) -> None:
    with Server(home) as server:
        answer(server, "CREATE TABLE kept AS SELECT 42 AS value")
        answer(server, "SELECT pg_switch_wal()", ADMIN)  # what is committed is on the disk
        for _ in range(2):
            postmaster = server.postmaster
            assert postmaster is not None
            os.kill(postmaster, signal.SIGKILL)
            while server.postmaster is not None:
                time.sleep(0.01)
            server.start()
            assert answer(server, "SELECT value FROM kept") == 42


def test_a_process_id_taken_by_somebody_else_does_not_prevent_a_start(home: Path) -> None:
    with Server(home) as server:
        cluster = server.place.cluster
        lines = (cluster / "postmaster.pid").read_text().split("\n")
    with subprocess.Popen(["sleep", "60"], **server.place.drop()) as sleeper:
        (cluster / "postmaster.pid").write_text("\n".join([str(sleeper.pid), *lines[1:]]))
        with server:
            assert answer(server, "SELECT 1") == 1
        sleeper.kill()


@pytest.mark.parametrize("slow", [False, True], ids=["at work", "without the processor"])
def test_a_server_on_its_way_down_is_waited_for(home: Path, slow: bool) -> None:
    server = Server(home)
    server.start()
    postmaster = server.postmaster
    assert postmaster is not None
    if slow:
        os.kill(postmaster, signal.SIGSTOP)
        threading.Timer(0.5, os.kill, (postmaster, signal.SIGCONT)).start()
    server.leave(wait=False)
    with server:
        assert server.postmaster != postmaster
        assert answer(server, "SELECT 1") == 1


@pytest.mark.parametrize("idle", [True, False])
def test_a_server_beside_an_exchange_runs_at_idle_priority_backends_too(home: Path, idle: bool) -> None:
    def policies(server: Server) -> set[tuple[int, int]]:
        postmaster = server.postmaster
        assert postmaster is not None
        pids = [postmaster, *(child.pid for child in psutil.Process(postmaster).children())]
        return {(os.sched_getscheduler(pid), autogroup_nice(pid)) for pid in pids}

    async def look(server: Server) -> set[tuple[int, int]]:
        connection = await asyncpg.connect(**server.connection())
        server.calm()
        found = policies(server)
        await connection.close()
        return found

    with Server(home, idle=idle) as server:
        assert asyncio.run(look(server)) == ({(os.SCHED_IDLE, 19)} if idle else {(os.SCHED_OTHER, 0)})


def test_once_trading_is_over_nobody_is_idle_any_more(home: Path) -> None:
    with Server(home) as server:
        postmaster = server.postmaster
        assert postmaster is not None
        server.calm()
        assert os.sched_getscheduler(postmaster) == os.SCHED_IDLE
        server.hasten()
        # only root may take idle priority back
        expected = (os.SCHED_OTHER, 0) if os.geteuid() == 0 else (os.SCHED_IDLE, 19)
        assert (os.sched_getscheduler(postmaster), os.getpriority(os.PRIO_PROCESS, postmaster)) == expected


def autogroup_nice(pid: int) -> int:
    """Nice value of a process's session, as far as the kernel has one."""
    group = Path(f"/proc/{pid}/autogroup")
    return int(group.read_text().split()[-1]) if group.exists() else 19


def test_nobody_else_gets_in(home: Path) -> None:
    with Server(home) as server:
        place = server.place
        assert stat.S_IMODE(place.sockets.stat().st_mode) == 0o700
        assert stat.S_IMODE((place.folder / "passwords.json").stat().st_mode) == 0o600
        assert answer(server, "SHOW listen_addresses") == ""
        for role in (ADMIN, OWNER, READER):
            with pytest.raises(asyncpg.InvalidPasswordError):
                asyncio.run(asyncpg.connect(**{**server.connection(role), "password": "guess"}))
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            asyncio.run(asyncpg.connect(**{**server.connection(READER), "database": ADMIN}))
    if AS_ROOT:
        assert place.account is not None and place.cluster.stat().st_uid == place.account.uid != 0


def test_a_long_path_gets_a_private_short_socket_directory(folder: Path) -> None:
    deep = folder / ("d" * 60) / ("e" * 60)
    place = find_place(deep, lambda line: None, create=True)
    try:
        assert len(os.fsencode(place.sockets)) < SOCKET_PATH_MAX
        assert stat.S_IMODE(place.sockets.stat().st_mode) == 0o700
        assert find_place(deep, lambda line: None, create=True).sockets == place.sockets
        place.sockets.chmod(0o755)  # somebody made another one of that name
        assert find_place(deep, lambda line: None, create=True).sockets != place.sockets
    finally:
        shutil.rmtree(place.sockets)
        shutil.rmtree(Path((place.folder / "sockets").read_text().strip()))


def test_without_a_cluster_a_question_is_a_mistake(folder: Path) -> None:
    with pytest.raises(UsageError, match="no embedded database"):
        find_place(folder, lambda line: None, create=False)
    assert list(folder.iterdir()) == []


if AS_ROOT:  # only root lends the server to another account, and that account must be able to reach it

    def test_a_closed_directory_stays_closed_and_the_cluster_goes_elsewhere(folder: Path) -> None:
        state_home = folder / "state"
        closed = folder / "closed"
        closed.mkdir(mode=0o700)
        told: list[str] = []
        place = find_place(closed / "data", told.append, create=True, state_home=state_home)
        assert place.folder.is_relative_to(state_home)
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
        assert any("the database lives in" in line for line in told)
        again = find_place(closed / "data", told.append, create=True, state_home=state_home)
        assert again.folder == place.folder

    def test_a_data_directory_made_anew_gets_a_cluster_of_its_own(folder: Path) -> None:
        state_home, closed = folder / "state", folder / "closed"
        closed.mkdir(mode=0o700)

        def found(name: str) -> Path:
            return find_place(closed / name, lambda line: None, create=True, state_home=state_home).folder

        first = found("data")
        (first / "cluster").mkdir()
        (closed / "data").rename(closed / "moved")
        assert found("moved") == first
        shutil.copytree(closed / "moved", closed / "copy")
        assert found("copy") != first and found("moved") == first
        shutil.rmtree(closed / "moved")
        assert found("moved") != first
        assert not first.exists()

    def test_programs_out_of_reach_are_copied_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from fixsim.audit import place as room

        real = room.reaches
        monkeypatch.setattr(room, "reaches", lambda account, path: "pginstall" not in str(path) and real(account, path))
        told: list[str] = []
        programs = [find_place(folder, told.append, create=True, state_home=folder / "state").programs for _ in range(2)]
        assert programs[0] == programs[1] and programs[0].is_relative_to(folder / "state")
        assert sum("copying" in line for line in told) == 1
        account = find_place(folder, told.append, create=True, state_home=folder / "state").account
        assert account is not None
        shown = subprocess.run(
            [str(programs[0] / "initdb"), "--version"], check=True, capture_output=True, cwd="/", **account.drop()
        )
        assert b"PostgreSQL" in shown.stdout
