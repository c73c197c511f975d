"""The snapshots of a data directory: a few files, named by the position they stand at, newest believed first."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from fixsim.errors import JournalError, SnapshotError
from fixsim.exchange import snapshot
from fixsim.exchange.exchange import Exchange
from fixsim.exchange.snapshot import Header, Standing
from fixsim.exchange.tape import JournalWriter
from fixsim.fix.dictionary import Dictionary
from fixsim.journal.disk import Disk
from fixsim.journal.outbox import Outbox
from fixsim.journal.reader import Reader

SUFFIX: Final = ".fixs"
UNFINISHED: Final = ".new"
DIGITS: Final = 20


def snapshots_directory(data_dir: Path) -> Path:
    """Where the snapshots of a data directory lie."""
    return data_dir / "snapshots"


class Found(NamedTuple):
    """A snapshot that passed every check, as an exchange that stands where it was taken."""

    path: Path
    header: Header
    exchange: Exchange


class Snapshots:
    """The folder. It need not exist; then there are none."""

    def __init__(self, directory: Path, disk: Disk | None = None) -> None:
        self.directory = directory
        self._disk = disk or Disk()

    def paths(self) -> list[Path]:
        """Whole snapshots, newest first, not looked into."""
        try:
            names = [path.name for path in self.directory.iterdir()]
        except OSError:
            return []
        length = DIGITS + len(SUFFIX)
        fitting = [name for name in names if len(name) == length and name.endswith(SUFFIX) and name[:DIGITS].isdecimal()]
        return [self.directory / name for name in sorted(fitting, reverse=True)]

    def positions(self) -> list[int]:
        """Journal positions they stand at, newest first."""
        return [int(path.name[:DIGITS]) for path in self.paths()]

    def path_of(self, position: int) -> Path:
        """File of a snapshot that stands at `position`."""
        return self.directory / f"{position:0{DIGITS}d}{SUFFIX}"

    def write(self, exchange: Exchange, place: Standing, keep: int) -> tuple[Path, Header]:
        """Write one, in one step as others see it, and remove all but the newest `keep`. Raises SnapshotError, also for what
        the system refuses.
        """
        path = self.path_of(place.position)
        beside = path.with_name(path.name + UNFINISHED)
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = self._disk.create(beside)
            try:
                with open(descriptor, "wb", closefd=False) as file:
                    header = snapshot.write(exchange, place, file)
                self._disk.sync(descriptor)
            finally:
                self._disk.close(descriptor)
            self._disk.rename(beside, path)
            self._disk.sync_directory(self.directory)
            self._clear(path, keep)
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise SnapshotError(f"{path} cannot be written: {error.strerror or error}") from error
        return path, header

    def _clear(self, newest: Path, keep: int) -> None:
        """Remove old snapshots, and what a process that died has left half written."""
        for path in [*self.paths()[keep:], *self.directory.glob(f"*{SUFFIX}{UNFINISHED}")]:
            if path != newest:
                path.unlink(missing_ok=True)

    def find(
        self,
        reader: Reader,
        outbox: Outbox,
        writer: JournalWriter,
        dictionary: Dictionary,
        passed_over: Callable[[str], None],
    ) -> Iterator[Found]:
        """Good ones, newest first, each restored to write to `writer`; `passed_over` is told of others, and why."""
        for path in self.paths():
            try:
                header = snapshot.read_header(path)
                if _crc_at(reader, header.position) != header.seal_crc:
                    raise SnapshotError(f"stands behind another seal at position {header.position} than the journal's")
                header, exchange = snapshot.restore(path, writer, outbox, lambda at: bytes(reader.read(at).payload), dictionary)
            except SnapshotError as error:
                passed_over(f"snapshot {path.name} passed over: it {error}")
                continue
            yield Found(path, header, exchange)


def _crc_at(reader: Reader, position: int) -> int:
    try:
        return reader.crc_at(position)
    except JournalError:
        raise SnapshotError(f"stands at position {position}, where no batch of the journal ends") from None

