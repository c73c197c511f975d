"""fixsim beside other acceptors, in turns: each round has each of them once, so that a machine that slows down slows all.

    uv run python bench/peers.py [--rounds 5] [--orders 200000] [--flows resting,mix,cross] [--only fixsim,canned]
    uv run python bench/peers.py --peers DIR        # also C++: with the generator and the acceptors in DIR

Without `--peers` the client is the one of `fixsim bench`, and beside fixsim stand an acceptor that answers without looking
(`canned`) and small exchanges of our own on the PyPI packages quickfix and simplefix (`bench/acceptors/`). With it the client
is `fixload`, an independent generator in C++ that knows every report it must get, and `fixsink` (canned, and with a book) and
QuickFIX in C++ come along where they are there; sources in DIR are compiled when there is a compiler (QuickFIX needs its
headers and library).

fixsim is started as anybody starts it: `fixsim serve --fresh` with `sessions/load.toml`, its database up, its shipper running,
the journal written before anything is said. The others have no journal, except for `quickfix-cpp-file`, which has a file store.
The server has the first processor, the client the second. Slower peers get fewer orders. Nothing counts that was not answered
correctly.

Writes bench/results/DATE-NAME.json, and prints medians and their ratios.
"""

import argparse
import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fixsim.bench.facts import facts
from fixsim.bench.plan import Plan, spread
from fixsim.bench.process import Acceptor, canned, exchange, leave_in_order, on_processor, port_ready, processors, running
from fixsim.bench.wire import Load
from fixsim.config import load, packaged
from fixsim.errors import FixsimError

HERE = Path(__file__).resolve().parent
DICTIONARY = str(HERE.parent / "spec" / "FIX44.xml")
LATENCY = "latency"
COMPILED = {
    "fixload": ["-std=c++17"], "fixsink": ["-std=c++17"],
    "quickfix_acceptor": ["-std=c++14", "-Wno-deprecated", "-lquickfix", "-lpthread"],
}  # fmt: skip


@dataclass(frozen=True)
class Peer:
    """An acceptor: how it is started, which part of the orders it gets, whether it answers each with one report."""

    start: Callable[[int | None, int], contextlib.AbstractContextManager[Acceptor]]
    share: float = 1.0
    answers: bool = True
    sessions_max: int = 4_000
    #: TargetCompID(56) it listens to.
    venue: str = "FIXSIM"


def fixsim(database_url: str) -> Peer:
    """A real start."""
    return Peer(lambda cpu, port: exchange(str(packaged("load.toml")), database_url, cpu))


def script(name: str, share: float, *arguments: str) -> Peer:
    """One of `bench/acceptors`."""
    command = [sys.executable, str(HERE / "acceptors" / name), *arguments]
    return Peer(lambda cpu, port: running(command, port_ready, cpu), share, sessions_max=1)


def program(path: Path, share: float, *arguments: str, answers: bool = True, venue: str = "FIXSIM") -> Peer:
    """A compiled acceptor that is told its port."""

    @contextlib.contextmanager
    def start(cpu: int | None, port: int) -> Iterator[Acceptor]:
        with tempfile.TemporaryDirectory() as folder:
            command = [str(path), "--port", str(port), *(one.replace("{folder}", folder) for one in arguments)]
            with running(command, port_ready, cpu, subprocess.STDOUT) as acceptor:
                yield acceptor

    return Peer(start, share, answers, venue=venue)


def tools(folder: Path, build: Path) -> dict[str, Path]:
    """The programs in `folder`, compiled into `build` where there is only their source."""
    found = {}
    for name, flags in COMPILED.items():
        for place in (folder / name, folder / "build" / name):
            if place.is_file():
                found[name] = place
                break
        else:
            source, compiler = folder / f"{name}.cpp", shutil.which("g++") or shutil.which("c++")
            if not source.is_file() or compiler is None:
                continue
            libraries = [flag for flag in flags if flag.startswith("-l")]
            others = [flag for flag in flags if not flag.startswith("-l")]
            command = [compiler, "-O3", "-march=native", *others, "-o", str(build / name), str(source), *libraries]
            if subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0:
                found[name] = build / name
            else:
                print(f"{name} cannot be compiled here: left out", file=sys.stderr)
    return found


def peers(asked: argparse.Namespace, programs: dict[str, Path]) -> dict[str, Peer]:
    """Everybody who takes part, by name."""
    sender = "LOAD" if "fixload" in programs and asked.sessions == 1 else "LOAD1"
    found = {
        "fixsim": fixsim(asked.database_url),
        "canned": Peer(lambda cpu, port: canned(cpu), answers=False),
        "simplefix": script("on_simplefix.py", 0.1),
        "quickfix-python": script("on_quickfix.py", 0.05, "--sender", sender),
    }
    if "fixsink" in programs:
        found["cpp-canned"] = program(programs["fixsink"], 1.0, answers=False)
        found["cpp-book"] = program(programs["fixsink"], 1.0, "--match")
    if "quickfix_acceptor" in programs:
        names = ("--dict", DICTIONARY, "--sender", "LOAD", "--sessions", str(asked.sessions))
        path = programs["quickfix_acceptor"]
        found["quickfix-cpp-memory"] = program(path, 0.3, "--store", "memory", *names, venue="EXCHANGE")
        found["quickfix-cpp-file"] = program(path, 0.2, "--store", "file", "--dir", "{folder}", *names, venue="EXCHANGE")
    return found


def own_cell(plan: Plan, what: str, acceptor: Acceptor, peer: Peer, cpu: int | None) -> dict[str, Any]:
    """One run with the client of `fixsim bench`."""
    load = Load(plan, plan.sessions, plan.symbols, "resting" if what == LATENCY else what)
    with on_processor(cpu):
        if what == LATENCY:
            return {f"{name}_us": us for name, us in load.ping(acceptor, peer.answers).items()}
        return {"orders_per_s": load.offer(acceptor, peer.answers)["orders_per_s"]}


def fixload_cell(path: Path, plan: Plan, what: str, acceptor: Acceptor, peer: Peer, cpu: int | None) -> dict[str, Any]:
    """One run with the generator in C++. Raises FixsimError when it is not content."""
    command = [str(path), "--port", str(acceptor.port), "--n", str(plan.orders), "--symbols", str(plan.symbols)]
    command += ["--sender", "LOAD", "--target", peer.venue, "--sessions", str(plan.sessions), "--seed", str(plan.seed)]
    if what == LATENCY:
        command += ["--mode", "latency", "--flow", "resting"]
    else:
        command += ["--mode", "throughput", "--flow", what, "--window", str(plan.window)]
    command += [] if peer.answers else ["--canned"]
    with on_processor(cpu):
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
    told = json.loads(ran.stdout) if ran.stdout.strip() else {"ok": False}
    if not told["ok"]:
        raise FixsimError(f"fixload is not content: {ran.stderr.strip()[:200]}")
    acks = {f"{name}_us": told["ack_us"][key] for name, key in (("p50", "p50"), ("p99", "p99"), ("p99_9", "p999"))}
    return acks if what == LATENCY else {"orders_per_s": told["orders_per_s"], **{f"loaded_{k}": v for k, v in acks.items()}}


def run(asked: argparse.Namespace, programs: dict[str, Path]) -> Iterator[list[dict[str, Any]]]:
    """All rounds: after each, the rows so far, one for each peer, kind of run and round."""
    config = packaged("load.toml")
    whole = Plan(
        load(config), str(config), asked.orders, sessions=asked.sessions, symbols=asked.symbols, seed=asked.seed,
        pings=asked.pings, window=asked.window,
    )  # fmt: skip
    everybody = peers(asked, programs)
    chosen = {name: everybody[name] for name in (asked.only.split(",") if asked.only else everybody)}
    server, own = processors() or (None, None)
    rows, port = [], asked.base_port
    for number in range(asked.rounds):
        for name, peer in chosen.items():
            if asked.sessions > peer.sessions_max:
                continue
            for what in asked.flows.split(","):
                port += 1
                plan = replace(whole, orders=max(1_000, int((asked.pings if what == LATENCY else asked.orders) * peer.share)))
                try:
                    with peer.start(server, port) as acceptor:
                        if "fixload" in programs:
                            found = fixload_cell(programs["fixload"], plan, what, acceptor, peer, own)
                        else:
                            found = own_cell(plan, what, acceptor, peer, own)
                except FixsimError as error:
                    found = {"error": str(error)}
                    print(f"{name}, {what}: {error}", file=sys.stderr)
                rows.append({"round": number, "peer": name, "what": what, "orders": plan.orders, **found})
        print(f"round {number + 1} of {asked.rounds} done", file=sys.stderr)
        yield rows


def summary(rows: list[dict[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    """Figures by peer and kind of run: spread of rounds."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for row in rows:
        for key, value in row.items():
            if key == "orders_per_s" or key.endswith("_us"):
                cell = found.setdefault(row["peer"], {}).setdefault(row["what"], {})
                cell.setdefault(key, []).append(value)
    for cells in found.values():
        for cell in cells.values():
            for key, values in cell.items():
                cell[key] = spread(values, 1 if key.endswith("_us") else 0)
    return found


def show(found: dict[str, dict[str, dict[str, Any]]]) -> None:
    """Medians, and how many times fixsim is as fast as each."""
    ours = found.get("fixsim", {})
    for what in dict.fromkeys(what for cells in found.values() for what in cells):
        key = "p50_us" if what == LATENCY else "orders_per_s"
        print(f"\n{what}: {'us to the acknowledgement, p50 and p99' if what == LATENCY else 'orders/s'}")
        for name, cells in found.items():
            if what not in cells:
                continue
            figure, base = cells[what][key], ours.get(what, {}).get(key)
            told = f"{figure['median']:>14,} ({figure['lowest']:,} to {figure['highest']:,})"
            if what == LATENCY:
                told += f"  p99 {cells[what]['p99_us']['median']:,}"
            if base is not None and name != "fixsim":
                told += f"  fixsim is {base['median'] / figure['median']:.2f} times that"
            print(f"  {name:<22}{told}")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--orders", type=int, default=200_000)
    parser.add_argument("--pings", type=int, default=20_000, help="operations of a latency run")
    parser.add_argument("--flows", default=f"resting,mix,cross,{LATENCY}", help="with --peers also sweep")
    parser.add_argument("--sessions", type=int, default=1)
    parser.add_argument("--symbols", type=int, default=1)
    parser.add_argument("--window", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--only", default="", help="names of peers, with commas")
    parser.add_argument("--peers", type=Path, help="folder with fixload, fixsink, quickfix_acceptor, or their sources")
    parser.add_argument("--database-url", default="embedded", help="where fixsim ships to; none for nowhere")
    parser.add_argument("--base-port", type=int, default=21_000)
    parser.add_argument("--name", default="peers", help="last part of the result's file name")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    return parser.parse_args()


def result_of(asked: argparse.Namespace, client: str, began: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What is kept of the rounds so far."""
    kept = ("orders", "pings", "flows", "sessions", "symbols", "window", "seed", "database_url")
    workload = {name: getattr(asked, name) for name in kept} | {"rounds": rows[-1]["round"] + 1}
    return {"client": client, "workload": workload, **began, "figures": summary(rows), "rows": rows}


def main() -> None:
    """Run, write, show."""
    asked = arguments()
    leave_in_order()
    with tempfile.TemporaryDirectory() as build:
        programs = tools(asked.peers, Path(build)) if asked.peers else {}
        if asked.peers and "fixload" not in programs:
            raise SystemExit(f"peers: no fixload in {asked.peers}")
        began, rows = facts(), []
        asked.out.mkdir(parents=True, exist_ok=True)
        path = asked.out / f"{time.strftime('%Y-%m-%d')}-{asked.name}.json"
        for rows in run(asked, programs):  # written each time: a run that is cut short leaves whole rounds behind
            path.write_text(
                json.dumps(result_of(asked, "fixload" if programs else "fixsim bench", began, rows), indent=1) + "\n"
            )
    show(summary(rows))
    print(f"\nwritten to {path}")
    if any("error" in row for row in rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
