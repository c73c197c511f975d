"""A disk that tells what was written from what is safe, and loses the difference when the power goes.

The journal's files are real, so that readers map them as always: they are the page cache, which survives the death of a
process. Beside them the disk remembers what a `sync` has brought to the platter. After a power cut every file is what was
synced, plus whatever sectors of the rest chance has written in time; names that were not synced may be gone.
"""

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from fixsim.journal.disk import Disk, never

#: What a real disk writes whole or not at all.
SECTOR = 512


class Killed(BaseException):
    """The process is gone, in the middle of whatever it did."""


@dataclass
class Platter:
    """One file: what is safe, and what was written since."""

    safe: bytearray = field(default_factory=bytearray)
    loose: list[tuple[int, bytes]] = field(default_factory=list)

    def settle(self) -> None:
        """Everything written is safe."""
        for offset, octets in self.loose:
            self._put(offset, octets)
        self.loose.clear()

    def tear(self, chance: Random) -> None:
        """The power is gone: of each loose sector chance says whether it was written in time."""
        mood = chance.random()
        for offset, octets in self.loose:
            if mood < 0.2:
                continue  # nothing of it
            at = 0
            while at < len(octets):
                end = min(len(octets), at + SECTOR - (offset + at) % SECTOR)
                if mood > 0.8 or chance.random() < 0.5:
                    self._put(offset + at, octets[at:end])
                at = end
        self.loose.clear()

    def _put(self, offset: int, octets: bytes) -> None:
        if len(self.safe) < offset + len(octets):
            self.safe.extend(bytes(offset + len(octets) - len(self.safe)))
        self.safe[offset : offset + len(octets)] = octets


class SimulatedDisk(Disk):
    """The journal's disk in one process life after another. `wrote` is told what was changed in which file, `synced` that
    everything is safe.
    """

    def __init__(self, chance: Random, wrote: Callable[[Path, int, bytes], None], synced: Callable[[], None]) -> None:
        self._chance, self._wrote, self._synced = chance, wrote, synced
        self._names: dict[Path, Platter] = {}
        #: Names as a power cut would find them, and what changed since they were synced.
        self._safe_names: dict[Path, Platter] = {}
        self._loose_names: list[tuple[Path, Platter | None]] = []
        self._open: dict[int, tuple[Path, Platter]] = {}
        #: Operations until the process is killed, None for not at all.
        self.fuse: int | None = None
        #: Method that fails next, and with which error.
        self.fault: tuple[str, int] | None = None
        #: Files of which a sync has failed: it may not be tried again.
        self._failed: list[Platter] = []
        self.operations = 0

    # ------------------------------------------------------------ what happens to it

    def _step(self, method: str) -> None:
        self.operations += 1
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse < 0:
                raise Killed
        if self.fault is not None and self.fault[0] == method:
            (_, error), self.fault = self.fault, None
            raise OSError(error, os.strerror(error))

    def let_go(self) -> None:
        """The process is dead: its descriptors are closed; the page cache is as it was."""
        for descriptor in list(self._open):
            os.close(descriptor)
        self._open.clear()
        self.fuse = self.fault = None
        self._failed.clear()

    def lose_power(self) -> None:
        """The machine is dead: what comes back is what was safe, and what chance wrote in time."""
        self.let_go()
        for path in self._names:
            path.unlink()
        for path, platter in self._loose_names[: self._chance.randint(0, len(self._loose_names))]:
            _rename(self._safe_names, path, platter)
        self._loose_names.clear()
        self._names = dict(self._safe_names)
        for path, platter in self._names.items():
            platter.tear(self._chance)
            path.write_bytes(platter.safe)

    def _name(self, path: Path, platter: Platter | None) -> None:
        _rename(self._names, path, platter)
        self._loose_names.append((path, platter))

    # ------------------------------------------------------------ what the journal asks for

    def create(self, path: Path) -> int:
        self._step("create")
        descriptor = super().create(path)
        platter = Platter()
        self._name(path, platter)
        self._open[descriptor] = path, platter
        return descriptor

    def open(self, path: Path) -> int:
        self._step("open")
        descriptor = super().open(path)
        self._open[descriptor] = path, self._names[path]
        return descriptor

    def fill(self, descriptor: int, size: int, begin: int = 0, enough: Callable[[], bool] = never) -> None:
        self._step("fill")
        os.ftruncate(descriptor, size)
        self._open[descriptor][1].loose.append((begin, bytes(size - begin)))

    def pwrite(self, descriptor: int, view: memoryview, offset: int) -> int:
        octets = bytes(view)
        try:
            self._step("pwrite")
        except (Killed, OSError) as end:
            if isinstance(end, Killed) or end.errno == errno.ENOSPC:
                self._write(descriptor, octets[: self._chance.randint(0, len(octets))], offset)
            raise
        self._write(descriptor, octets, offset)
        return len(octets)

    def _write(self, descriptor: int, octets: bytes, offset: int) -> None:
        path, platter = self._open[descriptor]
        changed = os.pread(descriptor, len(octets), offset) != octets
        os.pwrite(descriptor, octets, offset)
        platter.loose.append((offset, octets))
        if changed:
            self._wrote(path, offset, octets)

    def sync(self, descriptor: int) -> None:
        platter = self._open[descriptor][1]
        assert not any(platter is failed for failed in self._failed), "a sync that failed was tried again"
        try:
            self._step("sync")
        except OSError:
            self._failed.append(platter)
            platter.loose.clear()  # the system takes it for written, and will not try again
            raise
        platter.settle()
        if not any(platter.loose for path, platter in self._names.items() if path.suffix != ".new"):
            self._synced()

    def sync_directory(self, directory: Path) -> None:
        self._step("sync_directory")
        self._loose_names.clear()
        self._safe_names = dict(self._names)

    def rename(self, old: Path, new: Path) -> None:
        self._step("rename")
        super().rename(old, new)
        platter = self._names[old]
        self._name(old, None)
        self._name(new, platter)
        for descriptor, (path, its) in self._open.items():
            if path == old:
                self._open[descriptor] = new, its

    def unlink(self, path: Path) -> None:
        self._step("unlink")
        super().unlink(path)
        if path in self._names:
            self._name(path, None)

    def close(self, descriptor: int) -> None:
        self._open.pop(descriptor, None)
        super().close(descriptor)

    def background(self, work: Callable[[], None]) -> Callable[[], None]:
        """Beside the caller means, here, when it is waited for."""
        done: list[bool] = []

        def run_once() -> None:
            if not done:
                done.append(True)
                work()

        return run_once


def _rename(names: dict[Path, Platter], path: Path, platter: Platter | None) -> None:
    if platter is None:
        names.pop(path, None)
    else:
        names[path] = platter
