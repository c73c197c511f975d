"""The data directory: who may use it, and where things are in it."""

import fcntl
import os
from pathlib import Path
from typing import Final

from fixsim.errors import VenueError

LOCK: Final = "lock"
#: Held by the one process that takes snapshots.
SHADOW_LOCK: Final = "shadow.lock"
CONTROL: Final = "control"


class Claim:
    """The lock of a data directory, held until `release` or the end of the process."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    def release(self) -> None:
        """Let the next one in."""
        os.close(self._descriptor)


def claim(path: Path) -> Claim:
    """Make `path` if need be and lock it for this process. Raises VenueError naming who has it."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise VenueError(f"cannot use the data directory {path}: {error.strerror}") from error
    held = claim_if_free(path)
    if held is None:
        raise VenueError(
            f"the data directory {path} is in use by a running fixsim serve (pid {holder_of(path)}); "
            "stop it, or choose another --data-dir"
        )
    return held


def claim_if_free(path: Path, name: str = LOCK) -> Claim | None:
    """Lock the directory `path` for this process, by its file `name`; None while another one has it. Raises VenueError."""
    try:
        descriptor = os.open(path / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise VenueError(f"cannot use the data directory {path}: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return Claim(path, descriptor)


def holder_of(path: Path, name: str = LOCK) -> str:
    """Process id of whoever locked the directory last."""
    try:
        return (path / name).read_text(errors="replace").strip()[:32] or "unknown"
    except OSError:
        return "unknown"
