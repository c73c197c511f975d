"""The data directory: who may use it, and where things are in it."""

import fcntl
import os
from pathlib import Path
from typing import Final

from fixsim.errors import VenueError

LOCK: Final = "lock"
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
        descriptor = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise VenueError(f"cannot use the data directory {path}: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
        os.close(descriptor)
        raise VenueError(
            f"the data directory {path} is in use by a running fixsim serve (pid {holder}); "
            "stop it, or choose another --data-dir"
        ) from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return Claim(path, descriptor)
