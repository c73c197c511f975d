"""How fast the shipper fills every table, trading quiet: a synthetic journal, the embedded server, one run.

    python bench/shipping.py [--messages N] [--sessions S] [--data-dir DIR] [--keep]

All figures of `fixsim.bench.shipping`, which says what is timed. `--priority idle` is how `fixsim serve` runs
shipper and server.
"""

import argparse
import json
import os
import platform
from pathlib import Path

from fixsim.bench.shipping import measure_shipping


def main() -> None:
    """Make the journal, ship it, print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=2_000_000)
    parser.add_argument("--sessions", type=int, default=10)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--priority", choices=("normal", "idle"), default="normal")
    parser.add_argument("--keep", action="store_true", help="leave the data directory behind")
    asked = parser.parse_args()
    figures = measure_shipping(
        asked.messages, asked.sessions, data_dir=asked.data_dir, idle=asked.priority == "idle", keep=asked.keep
    )
    figures |= {"processors": os.cpu_count() or 0, "python": platform.python_version(), "priority": asked.priority}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
