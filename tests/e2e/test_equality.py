"""One day of trading, seen by four witnesses: a proxy on the wire, the counterparties, the journal, and PostgreSQL.

Every message is the same for all of them, both ways, every raw byte equal; the credentials of a Logon alone are masked.
"""

import shutil
import subprocess
from pathlib import Path

import pytest
from harness import ROOT, RecordingProxy, ServerProcess, frames

from e2e.ledger import Ledger, check_ids, check_peer, check_wires, masked
from e2e.load import MakeLoad
from e2e.peer import Conversation, value
from e2e.rows import check_database
from e2e.venue import PATIENCE_S, processes_of

LOAD = ROOT / "sessions" / "load.toml"
SEED = 7
#: The independent generator, ready-made or as source.
FIXLOAD = Path("/opt/peers/fixload")
COMPILER = shutil.which("g++") or shutil.which("c++")
FIXLOAD_SOURCE = ROOT.parent / "shared" / "peers" / "fixload.cpp"


def conversations(proxy: RecordingProxy) -> list[tuple[str, Conversation]]:
    """What the proxy saw, by the SenderCompID of each connection's first frame."""
    found = []
    for recording in proxy.recordings:
        first = next(frames(recording.to_exchange))
        in_order = b"\x0135=5\x01" in recording.to_client[-400:]
        found.append((value(first, b"49").decode(), Conversation(recording.to_exchange, recording.to_client, in_order)))
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
def test_wire_journal_and_database_hold_the_same_bytes(data_dir: Path, make_load: MakeLoad) -> None:
    load = make_load(SEED, sessions=6, symbols=40)
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


def fixload(tmp_path: Path) -> Path:
    """The generator, built if need be."""
    if FIXLOAD.exists():
        return FIXLOAD
    assert COMPILER is not None
    built = tmp_path / "fixload"
    subprocess.run([COMPILER, "-std=c++17", "-O2", "-o", str(built), str(FIXLOAD_SOURCE)], check=True)
    return built


if FIXLOAD.exists() or (COMPILER is not None and FIXLOAD_SOURCE.exists()):

    @pytest.mark.slow
    @pytest.mark.timeout(1800)
    @pytest.mark.parametrize("flow", [("mix", "--sessions", "8", "--symbols", "20"), ("cross", "--symbols", "5"), ("sweep",)])
    def test_an_independent_generator_sees_nothing_else(data_dir: Path, tmp_path: Path, flow: tuple[str, ...]) -> None:
        """It knows every report that it must get, and says so by its exit code; then the witnesses are compared."""
        with ServerProcess(data_dir, config=LOAD, database="embedded") as server:
            with RecordingProxy(server.host, server.port) as proxy:
                command = [str(fixload(tmp_path)), "--port", str(proxy.port), "--sender", "GENERATOR", "--target", "FIXSIM"]
                command += ["--mode", "throughput", "--n", "100000", "--idle-timeout", "120", "--no-spin", "--flow", *flow]
                done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
                assert done.returncode == 0, done.stdout + done.stderr
            assert server.stop(10 * PATIENCE_S) == 0, server.tell()
        assert processes_of(data_dir) == []
        ledger = check_witnesses(data_dir, proxy)
        assert sum(row.msg_type in "DF" for row in ledger.rows) >= 100_000
