"""One day of trading, seen by four witnesses: a proxy on the wire, the counterparties, the journal, and PostgreSQL.

Every message is the same for all of them, both ways, every raw byte equal; the credentials of a Logon alone are masked.
"""

import shutil
import subprocess
from pathlib import Path

import pytest
from harness import ROOT, RecordingProxy, ServerProcess, frames
from ledger import Ledger, check_ids, check_peer, check_wires, masked
from load import Load
from peer import Conversation, value
from rows import check_database
from venue import PATIENCE_S, processes_of

LOAD = ROOT / "sessions" / "load.toml"
SEED = 7
#: The independent generator, ready-made or as source.
FIXLOAD = Path("/opt/peers/fixload")
FIXLOAD_SOURCE = ROOT.parent / "shared" / "peers" / "fixload.cpp"


def conversations(proxy: RecordingProxy) -> list[tuple[str, Conversation]]:
    """What the proxy saw, by the SenderCompID of each connection's first frame."""
    found = []
    for recording in proxy.recordings:
        first = next(frames(recording.to_exchange))
        in_order = b"\x0135=5\x01" in recording.to_client[-400:]
        found.append(
            (value(first, b"49").decode(), Conversation(recording.to_exchange, recording.to_client, in_order))
        )
    return found


def check_witnesses(data_dir: Path, proxy: RecordingProxy) -> Ledger:
    """The exchange has ended: the journal, the wire and the database agree."""
    ledger = Ledger(data_dir)
    ledger.read_on()
    check_wires(ledger, conversations(proxy))
    check_ids(ledger)
    check_database(ledger, data_dir)
    return ledger


@pytest.mark.timeout(600)
def test_wire_journal_and_database_hold_the_same_bytes(data_dir: Path) -> None:
    load = Load(SEED, sessions=6, symbols=40)
    secret = b"98=0\x01108=30\x01553=user\x01554=correct horse\x01"
    load.peers[0].logon = secret
    with ServerProcess(data_dir, config=LOAD, database="embedded") as server:
        with RecordingProxy(server.host, server.port) as proxy:
            load.connect(proxy.port)
            load.say(400)
            load.settle()
            load.peers[1].drop()  # its makers' reports wait in the journal
            load.peers[2].log_out()
            load.run(until=lambda: not load.peers[2].connected)
            load.say(200)
            for peer in load.peers[1:3]:
                peer.connect(proxy.port)
            load.say(200)
            load.settle()
            load.log_out()
        assert server.stop(PATIENCE_S) == 0, server.tell()
    assert processes_of(data_dir) == []
    ledger = check_witnesses(data_dir, proxy)
    for trader in load.traders:
        check_peer(ledger, trader.peer, trader.entered)
    check_variety(ledger)
    assert b"correct horse" in proxy.recordings[0].to_exchange
    assert not any(b"correct horse" in row.raw for row in ledger.rows)
    assert masked(secret) in next(row.raw for row in ledger.rows if row.session == "PEER0")


def check_variety(ledger: Ledger) -> None:
    """The day was not a dull one: everything the exchange may be told and may say occurred."""
    came = {row.msg_type for row in ledger.rows if row.direction == "in"}
    said = {row.msg_type for row in ledger.rows if row.direction == "out" and row.part == 0}
    assert {"A", "D", "F", "G", "H", "V", "R", "ZZ", "1", "2", "4", "5"} <= came
    assert {"A", "8", "9", "W", "j", "3", "0", "2", "5"} <= said
    assert ledger.resends > 10
    assert any(isinstance(one, tuple) for link in ledger.links.values() for one in link.came), "nothing was garbled"


def fixload(tmp_path: Path) -> Path | None:
    """The generator, built if need be; None where there is neither it nor a compiler."""
    if FIXLOAD.exists():
        return FIXLOAD
    compiler = shutil.which("g++") or shutil.which("c++")
    if compiler is None or not FIXLOAD_SOURCE.exists():
        return None
    built = tmp_path / "fixload"
    subprocess.run([compiler, "-std=c++17", "-O2", "-o", str(built), str(FIXLOAD_SOURCE)], check=True)
    return built
