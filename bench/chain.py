"""How fast the hash chain takes a journal: SHA-256 of every record, a tree per batch, both files written.

    python bench/chain.py [JOURNAL_DATA_DIR] [--records 1000000]

The journal is one that `bench/replay.py --keep --data-dir DIR` has recorded; it is taken by link into a temporary data
directory, so that its own chain is left alone. Without one, a journal of OUT records of 256 bytes in batches of 64 KiB is
written first. The clock runs from the first look at the journal to the last entry written; checking the seals (CRC32C of
every byte) is part of it. One thread.
"""

import argparse
import json
import platform
import ssl
import tempfile
import time
from pathlib import Path

from fixsim.audit.chain import Keeper
from fixsim.bench.journal import BATCH_BYTES, RECORD, append_all
from fixsim.journal.segments import journal_directory


def main() -> None:
    """Hash, tell."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data_dir", type=Path, nargs="?")
    parser.add_argument("--records", type=int, default=1_000_000, help="of the journal that is written when none is given")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fixsim-bench-") as home:
        if given.data_dir is None:
            append_all(journal_directory(Path(home)), -(-given.records // (BATCH_BYTES // len(RECORD))), BATCH_BYTES, "os")
        else:
            journal_directory(Path(home)).symlink_to(journal_directory(given.data_dir.absolute()))
        keeper = Keeper(Path(home))
        begun, cpu = time.perf_counter(), time.process_time()
        batches = keeper.catch_up()
        wall_s, cpu_s = time.perf_counter() - begun, time.process_time() - cpu
        told = {
            "batches": batches, "records": keeper.records, "bytes": keeper.position, "root": keeper.tree.root().hex(),
            "seconds": round(wall_s, 3), "cpu_seconds": round(cpu_s, 3), "records_per_s": round(keeper.records / wall_s),
            "records_per_cpu_s": round(keeper.records / cpu_s), "python": platform.python_version(),
            "openssl": ssl.OPENSSL_VERSION,
        }  # fmt: skip
        keeper.close()
        print(json.dumps(told))


if __name__ == "__main__":
    main()
