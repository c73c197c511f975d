"""Orders that come by the clock, not when the last was answered: pauses of the exchange, beside those of an acceptor that only
answers.

    uv run python bench/paced.py --peers DIR [--rate 20000] [--seconds 60] [--flow mix] [--sessions 1] [--arrears 2000000]

DIR holds `fixload` and `fixsink` (see bench/peers.py). Each acceptor has the first processor, the client the second. The
exchange runs with everything on, and its readers ship what the minute brings. `fixsink` answers every order with a canned
report; beside it, on the same processor, stands an exchange nobody talks to any more, whose readers work off `--arrears` orders
at idle priority: the same background.

Told of both: acknowledgements later than 1, 5 and 10 ms after the order was *due* (waiting behind a pause counts), the longest
pause of the client itself, and percentiles. Of the exchange also what its own gap meter says: how many pauses over 1 ms, why,
and how long. Prints JSON.
"""

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from peers import program, tools

from fixsim.bench.facts import facts
from fixsim.bench.plan import Plan
from fixsim.bench.process import Acceptor, exchange, leave_in_order, on_processor, processors
from fixsim.bench.wire import Load
from fixsim.config import load, packaged
from fixsim.feed.mapped import COUNTERS_NAME, PageReader
from fixsim.feed.page import CAUSES, COUNTERS

PORT = 21_900
CONFIG = str(packaged("load.toml"))


def paced(path: Path, acceptor: Acceptor, asked: argparse.Namespace, own: int | None, canned: bool) -> dict[str, Any]:
    """What `fixload` says of a run."""
    command = [str(path), "--port", str(acceptor.port), "--sender", "LOAD", "--target", "FIXSIM", "--mode", "paced"]
    command += ["--rate", str(asked.rate), "--seconds", str(asked.seconds), "--flow", asked.flow]
    command += ["--sessions", str(asked.sessions), "--seed", str(asked.seed), *(["--canned"] if canned else [])]
    with on_processor(own):
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
    told: dict[str, Any] = json.loads(ran.stdout) if ran.stdout.strip() else {"ok": False}
    if not told["ok"]:
        sys.exit(f"paced: fixload is not content: {ran.stderr.strip()[:200]}")
    lags = told.get("client_gap_per_100ms_us") or [0]
    kept = {key: value for key, value in told.items() if key.startswith("later_than") or key in ("ack_us", "unanswered")}
    return kept | {"longest_pause_of_the_client_us": max(lags)}


def gaps(data_dir: Path) -> dict[str, list[int]]:
    """Pauses over 1 ms so far, by cause: how many, ns together."""
    row = PageReader(data_dir / COUNTERS_NAME, COUNTERS).read()
    return {cause: [int(row["gaps"][i]), int(row["gap_ns"][i])] for i, cause in enumerate(CAUSES)}


def measure_exchange(path: Path, asked: argparse.Namespace, server: int | None, own: int | None) -> dict[str, Any]:
    """The exchange with everything on, and its own word on its pauses."""
    with exchange(CONFIG, asked.database_url, server) as acceptor:
        assert acceptor.data_dir is not None
        before = gaps(acceptor.data_dir)
        found = paced(path, acceptor, asked, own, canned=False)
        after = gaps(acceptor.data_dir)
    pauses = {cause: [now - then for now, then in zip(after[cause], before[cause], strict=True)] for cause in CAUSES}
    told = {cause: {"pauses": count, "ms": round(ns / 1e6, 1)} for cause, (count, ns) in pauses.items() if count}
    return found | {"own_pauses_over_1ms": sum(count for count, _ in pauses.values()), "causes": told}


@contextlib.contextmanager
def busy_readers(asked: argparse.Namespace, server: int | None, own: int | None) -> Iterator[None]:
    """An exchange beside the measurement, whose readers are behind."""
    plan = Plan(load(packaged("load.toml")), CONFIG, asked.arrears, "resting")
    with exchange(CONFIG, asked.database_url, server) as beside:
        with on_processor(own):
            Load(plan, 1, 1, "resting").offer(beside)
        yield


def measure_canned(programs: dict[str, Path], asked: argparse.Namespace, server: int | None, own: int | None) -> dict[str, Any]:
    """The acceptor in C++ that answers without looking, beside readers that are as busy."""
    with busy_readers(asked, server, own), program(programs["fixsink"], 1.0).start(server, PORT) as acceptor:
        return paced(programs["fixload"], acceptor, asked, own, canned=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, required=True, help="folder with fixload and fixsink, or their sources")
    parser.add_argument("--rate", type=int, default=20_000, help="orders a second")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--flow", default="mix", choices=("resting", "mix", "cross", "sweep"))
    parser.add_argument("--sessions", type=int, default=1)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--arrears", type=int, default=2_000_000, help="orders the readers beside the canned acceptor work off")
    parser.add_argument("--database-url", default="embedded", help="where the exchange ships to; none for nowhere")
    asked = parser.parse_args()
    leave_in_order()
    server, own = processors() or (None, None)
    with tempfile.TemporaryDirectory() as build:
        programs = tools(asked.peers, Path(build))
        if not {"fixload", "fixsink"} <= set(programs):
            raise SystemExit(f"paced: fixload and fixsink are not both in {asked.peers}")
        report = {
            **facts(), "rate": asked.rate, "seconds": asked.seconds, "flow": asked.flow, "sessions": asked.sessions,
            "exchange": measure_exchange(programs["fixload"], asked, server, own),
            "cpp-canned": measure_canned(programs, asked, server, own),
        }  # fmt: skip
    ours, theirs = (report[name]["later_than_1ms"] for name in ("exchange", "cpp-canned"))
    report["later_than_1ms_times_canned"] = round(ours / max(1, theirs), 2)
    json.dump(report, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
