"""What the journal costs: appending batches, reading them back, walking records, and handing them to
connections.

    uv run python bench/journal.py [--batches 8000] [--batch-bytes 65536] [--directory DIR]

All figures of `fixsim.bench.journal`, which says what is timed. Prints JSON; compilation plays no part here.
"""

import argparse
import json
from pathlib import Path

from fixsim.bench.journal import BATCH_BYTES, measure_journal


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=8_000)
    parser.add_argument("--batch-bytes", type=int, default=BATCH_BYTES)
    parser.add_argument("--syncs", type=int, default=500, help="batches appended with durability sync")
    parser.add_argument("--directory", type=Path, default=None, help="where to write; a temporary folder by default")
    asked = parser.parse_args()
    print(json.dumps(measure_journal(asked.batches, asked.batch_bytes, asked.syncs, asked.directory), indent=2))


if __name__ == "__main__":
    main()
