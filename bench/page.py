"""The figures of docs/performance.md, and its pictures, from the newest results.

    uv run python bench/page.py [--check]

Newest by name in bench/results: *-bench.json (`fixsim bench --comprehensive --json`), *-peers.json and *-peers-cpp.json
(`bench/peers.py`). What lies between `<!-- figures: NAME -->` and `<!-- end -->` in the page is replaced. `--check` writes
nothing, and ends with 1 if the page or a picture would change.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from chart import bars, curves

ROOT = Path(__file__).resolve().parents[1]
RESULTS, PAGE, PICTURES = ROOT / "bench" / "results", ROOT / "docs" / "performance.md", ROOT / "docs" / "pictures"
SECTION = re.compile(r"(<!-- figures: (\S+) -->\n).*?(<!-- end -->)", re.S)
#: What is measured of the books, from the least that an operation may be.
BOOKS = (("matching", "matching only"), ("with_ids", "ids as text"), ("with_reports", "with reports rendered"))
KINDS = ("bench", "peers", "peers-cpp")
Found = dict[str, Any]


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join("| " + " | ".join(str(cell) for cell in line) + " |\n" for line in lines)


def told(figure: Found) -> str:
    """A median, and its range where there were rounds."""
    text = f"{figure['median']:,}"
    return text + (f" ({figure['lowest']:,} to {figure['highest']:,})" if figure["rounds"] > 1 else "")


def taken_on(found: Found) -> str:
    """Machine, versions, commit, rounds."""
    machine, versions, asked = found["machine"], found["versions"], found["workload"]
    return (
        f"{machine['processor']}, {machine['processors']} processors, {machine['system']}, Python {found['python']}, numba "
        f"{versions['numba']}, numpy {versions['numpy']}, commit `{found['commit']}`; {asked['orders']:,} orders a run, "
        f"{asked['rounds']} rounds, load average before {machine['load_average'][0]}.\n"
    )


def setting(bench: Found) -> str:
    """What the figures of `fixsim bench` were taken on."""
    return taken_on(bench) + f"Compiled, or fetched from the cache, in {bench['compile_s']} s before any clock started.\n"


def wire(bench: Found) -> str:
    """Throughput by flow, sessions, symbols."""
    return table(
        ("Flow", "Sessions", "Symbols", "Orders/s", "Reports/s", "Canned acceptor, orders/s", "CPU user + system, us an order"),
        (
            (
                cell["flow"], f"{cell['sessions']:,}", f"{cell['symbols']:,}", told(cell["orders_per_s"]),
                f"{cell['reports_per_s']['median']:,}", f"{cell['canned_orders_per_s']['median']:,}",
                f"{cell['user_us_per_order']['median']:.2f} + {cell['system_us_per_order']['median']:.2f}",
            )
            for cell in bench["parts"]["wire"]
        ),
    )  # fmt: skip


def latency(bench: Found) -> str:
    """One order at a time."""
    figures = bench["parts"]["latency"]
    names = ("p50", "p99", "p99_9", "max")
    rows = [
        (who, *(told(figures[f"{key}_us"][name]) for name in names))
        for who, key in (("fixsim", "exchange"), ("canned acceptor", "canned"))
    ]
    return table(("us to the acknowledgement", "p50", "p99", "p99.9", "max"), rows)


def layers(bench: Found) -> str:
    """Where an order's time goes."""
    found = bench["layers"]
    rows = [(row["layer"], f"{row['ns']:,}", row["what"]) for row in found["rows"]]
    rows.append(("**sum**", f"**{found['sum_ns']:,}**", f"end to end {found['end_to_end_ns']:,}; {found['flow']}, one session"))
    return table(("Layer", "ns", "What"), rows) + f"\nThe journal grows by {found['journal_bytes_per_order']} bytes an order.\n"


def parts(bench: Found) -> str:
    """What is not wire."""
    found, rows = bench["parts"], []
    for flow, figures in found["book"].items():
        empty = f"{figures['empty_per_s']['median']:,} empty loop"
        for key, what in BOOKS:
            if f"{key}_per_s" in figures:
                rows.append((f"book, {flow}, {what}", "operations", told(figures[f"{key}_per_s"]), empty))
        if "matching_ns" in figures:
            ns = figures["matching_ns"]
            rows[-len(BOOKS)] = (*rows[-len(BOOKS)][:3], f"{empty}; p50 {ns['p50']} ns, p99 {ns['p99']} ns")
    codec = found["codec"]
    floor = f"{codec['read_baseline_per_s']['median']:,} reading the bytes"
    rows.append(("codec, parse", "NewOrderSingle", told(codec["parse_per_s"]), floor))
    floor = f"{codec['copy_baseline_per_s']['median']:,} copying the bytes"
    rows.append(("codec, encode", "ExecutionReport", told(codec["encode_per_s"]), floor))
    append = found["journal"]["append, durability os"]
    bare = found["journal"]["baseline"]["pwrite us mean"]
    floor = f"a bare write of 64 KiB {bare} us, its append {append['append us p50']} us"
    rows.append(("journal, append", "records", f"{round(1e9 / append['ns per record']):,}", floor))
    recovery = found["recovery"]
    floor = f"{recovery['read_baseline_orders_per_s']['median']:,} reading and checking seals"
    rows.append(("recovery", "orders", told(recovery["recovered_orders_per_s"]), floor))
    shipping = found["shipping"]
    rows.append(("shipping", "messages", f"{shipping['messages_per_s']:,}", f"{shipping['baseline_per_s']:,} bare COPY"))
    return table(("Part", "Unit", "Per second", "Empty baseline"), rows)


def resting(bench: Found) -> str:
    """The curve of resting orders, in figures."""
    rows = [
        (
            f"{row['resting']:,}", f"{row['matching_per_s']['median']:,}", f"{row['with_reports_per_s']['median']:,}",
            f"{row['wire']['orders_per_s']['median']:,}",
        )
        for row in bench["parts"]["resting"]
    ]  # fmt: skip
    return table(("Resting orders", "Matching only, operations/s", "With reports", "Wire, orders/s"), rows)


def peers(found: Found) -> str:
    """Orders per second and latency of each peer, and fixsim's ratio to it."""
    figures = found["figures"]
    flows = [flow for flow in dict.fromkeys(what for cells in figures.values() for what in cells) if flow != "latency"]
    rows = []
    for name, cells in figures.items():
        row = [name]
        for flow in flows:
            ours, cell = figures["fixsim"].get(flow), cells.get(flow)
            if cell is None:
                row.append("-")
                continue
            ratio = "" if name == "fixsim" or ours is None else _ratio(ours["orders_per_s"], cell["orders_per_s"])
            row.append(f"{cell['orders_per_s']['median']:,}{ratio}")
        acks = cells.get("latency")
        row.append(f"{acks['p50_us']['median']} / {acks['p99_us']['median']}" if acks else "-")
        rows.append(row)
    columns = ("Acceptor", *(f"{flow}, orders/s" for flow in flows), "ack p50 / p99, us")
    return f"Client: {found['client']}. {taken_on(found)}\n" + table(columns, rows)


def _ratio(ours: Found, theirs: Found) -> str:
    ratio = ours["median"] / theirs["median"]
    return f" (fixsim: {ratio:,.0f} times)" if ratio >= 100 else f" (fixsim: {ratio:.2g} times)"


SECTIONS: dict[str, tuple[str, Callable[[Found], str]]] = {
    "setting": ("bench", setting), "wire": ("bench", wire), "latency": ("bench", latency), "layers": ("bench", layers),
    "parts": ("bench", parts), "resting": ("bench", resting), "peers": ("peers", peers), "peers-cpp": ("peers-cpp", peers),
}  # fmt: skip


def newest(kind: str) -> Found:
    """The newest result of a kind."""
    paths = sorted(path for path in RESULTS.glob("*.json") if re.fullmatch(rf"\d{{4}}-\d\d-\d\d-{kind}", path.stem))
    if not paths:
        raise SystemExit(f"page: no result *-{kind}.json in {RESULTS}")
    found: Found = json.loads(paths[-1].read_text())
    return found


def rendered() -> dict[Path, str]:
    """The page and its pictures as they should be."""
    results = {kind: newest(kind) for kind in KINDS}

    def fill(match: re.Match[str]) -> str:
        kind, render = SECTIONS[match[2]]
        return f"{match[1]}{render(results[kind])}{match[3]}"

    pictures = {PICTURES / f"{kind}.svg": bars(results[kind]) for kind in KINDS if kind != "bench"}
    pictures[PICTURES / "curves.svg"] = curves(results["bench"])
    return {PAGE: SECTION.sub(fill, PAGE.read_text())} | {path: text + "\n" for path, text in pictures.items()}


def main() -> None:
    """Write, or compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; end with 1 if something would change")
    asked = parser.parse_args()
    stale = [path for path, text in rendered().items() if not path.exists() or path.read_text() != text]
    for path in stale:
        print(f"{'stale' if asked.check else 'written'}: {path.relative_to(ROOT)}")
        if not asked.check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(rendered()[path])
    sys.exit(bool(stale) and asked.check)


if __name__ == "__main__":
    main()
