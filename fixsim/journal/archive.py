"""Archived segments: the same bytes, compressed. One name, one way to make one, one way to read one.

`%020d.fixj.zst` is one zstd frame of a whole segment, with its size and a checksum. It takes the place of the plain file
only when it was read back and found to be the same, so that at every moment one of the two is there, whole.
"""

import os
import re
from pathlib import Path
from typing import Final

import zstandard

from fixsim.errors import JournalError
from fixsim.journal.disk import Disk

#: Behind the name of the plain file.
ARCHIVED: Final = ".zst"
UNFINISHED: Final = ".new"
#: Level of compression: beyond it the time doubles for some percent.
LEVEL: Final = 3
#: Bytes read and unpacked at once.
CHUNK: Final = 1 << 20
#: What a frame header has at most.
FRAME_HEADER_BYTES: Final = 18
_SNAPSHOT: Final = re.compile(r"(\d{1,20})\.(?:fixs|snapshot)")


def archive_of(plain: Path) -> Path:
    """The archived form of a segment file."""
    return plain.with_name(plain.name + ARCHIVED)


def unpacked_size(path: Path) -> int | None:
    """Bytes of the segment in `path` by its frame header; None when that cannot be read. Raises OSError."""
    with path.open("rb") as file:
        head = file.read(FRAME_HEADER_BYTES)
    try:
        size = zstandard.frame_content_size(head)
    except zstandard.ZstdError:
        return None
    return size if size >= 0 else None


def unpack(path: Path, size: int) -> tuple[bytes, str]:
    """The `size` bytes of an archived segment, and what is wrong with it, empty for nothing.

    What cannot be unpacked is zeros, so that damage is found and named where it is, as in a plain file. Raises OSError.
    """
    octets, at, fault = bytearray(size), 0, ""
    unpacker = zstandard.ZstdDecompressor().decompressobj()
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                piece = unpacker.decompress(chunk)[: size - at]
                octets[at : at + len(piece)] = piece
                at += len(piece)
                if unpacker.eof:
                    break
            behind = unpacker.unused_data or file.read(1)
        if not unpacker.eof or at < size:
            fault = f"it ends after {at} of {size} bytes"
        elif behind:
            fault = "bytes follow its end"
    except zstandard.ZstdError as error:
        fault = str(error)
    return bytes(octets), fault


def archive(plain: Path, disk: Disk | None = None) -> tuple[int, int]:
    """Compress a segment that is not written to any more; bytes before and after. Raises OSError, and JournalError when what
    was written is not what was read; the plain file is still there then.
    """
    disk = disk or Disk()
    target = archive_of(plain)
    beside = target.with_name(target.name + UNFINISHED)
    octets = plain.read_bytes()
    packed = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True, write_content_size=True).compress(octets)
    descriptor = disk.create(beside)
    try:
        disk.write_all(descriptor, memoryview(packed), 0)
        disk.sync(descriptor)
    except OSError:
        disk.close(descriptor)
        disk.unlink(beside)
        raise
    disk.close(descriptor)
    if unpack(beside, len(octets)) != (octets, ""):
        disk.unlink(beside)
        raise JournalError(f"{target.name} could not be read back as it was written")
    disk.rename(beside, target)
    disk.sync_directory(plain.parent)
    disk.unlink(plain)
    return len(octets), len(packed)


def remove(plain: Path, disk: Disk | None = None) -> None:
    """Take a segment away, in whichever form it is there. Raises OSError."""
    disk = disk or Disk()
    disk.unlink(plain)
    disk.unlink(archive_of(plain))
    disk.sync_directory(plain.parent)


def snapshot_positions(data_dir: Path) -> list[int]:
    """Journal positions at which snapshots of a data directory stand, ascending; what is in them is not looked at."""
    try:
        names = os.listdir(data_dir / "snapshots")
    except OSError:
        return []
    return sorted(int(found[1]) for name in names if (found := _SNAPSHOT.fullmatch(name)))


def newest_snapshot_position(data_dir: Path) -> int | None:
    """Where the newest snapshot stands; None for none."""
    return max(snapshot_positions(data_dir), default=None)
