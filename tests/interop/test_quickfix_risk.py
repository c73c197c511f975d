"""What a QuickFIX client lives through under limits: a credit breach, a kill switch, a lost connection, a wait."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import QuickFixClient, ServerProcess, order

from fixsim.exchange.second_opinion import SecondOpinion
from fixsim.fix import tags
from fixsim.fix.dictionary import fix44
from fixsim.gateway.control import ask
from fixsim.journal.reader import Reader
from fixsim.journal.segments import journal_directory

BUY, SELL = "1", "2"
CONFIG = """
[risk]
currency = "USD"
money_decimals = 2

[capacities]
orders = 4_096
sessions = 16
instruments = 8
price_levels = 1_024
clordid_memory = 4_096

[[instruments]]
symbol = "ACME"
tick_size = 0.01
lot_size = 1
max_qty = 100_000
reference_price = 50.00

[[counterparties]]
sender_comp_id = "*"
firm = "NORTH"
cancel_on_disconnect = true
cancel_grace_s = 0.5

[[limits]]
scope = "instrument"
name = "ACME"
price_max = 500.00

[[limits]]
scope = "session"
name = "CREDIT"
credit_max = 10_000

[[limits]]
scope = "session"
name = "PATIENT"
message_rate = 20
message_burst = 5
message_rate_action = "queue"
"""


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("limited")
    (folder / "venue.toml").write_text(CONFIG, encoding="utf-8")
    with ServerProcess(folder / "data", config=folder / "venue.toml") as server:
        yield server


def test_a_credit_line_is_breached_and_released(venue: ServerProcess, tmp_path: Path) -> None:
    with QuickFixClient(venue.port, tmp_path, sender="CREDIT") as client:
        client.send("D", order("C1", BUY, 200, "ACME", "50.00"))
        client.expect(1, cl_ord_id="C1", exec_type="0")
        client.send("D", order("C2", BUY, 1, "ACME", "0.01"))
        (refused,) = client.expect(1, cl_ord_id="C2", exec_type="8")
        assert refused.get(tags.ORD_REJ_REASON) == b"3"
        assert refused.get(tags.TEXT) == b"Credit line exceeded (session)"
        cancel = [(41, "C1"), *[pair for pair in order("C3", BUY, 200, "ACME", "50.00") if pair[0] not in (40, 44)]]
        client.send("F", cancel)
        client.expect(1, cl_ord_id="C3", exec_type="4")
        client.send("D", order("C4", BUY, 1, "ACME", "0.01"))
        client.expect(1, cl_ord_id="C4", exec_type="0")


def test_a_kill_switch_pulls_what_rests_and_blocks_until_it_is_lifted(venue: ServerProcess, tmp_path: Path) -> None:
    assert venue.data_dir is not None
    with QuickFixClient(venue.port, tmp_path, sender="KILLED") as client:
        client.send("D", order("K1", BUY, 10, "ACME", "49.00"))
        client.expect(1, cl_ord_id="K1", exec_type="0")
        answer = ask(venue.data_dir, "kill", {"switch": "on", "scope": "session", "name": "KILLED"}, "drill")
        assert answer["cancelled"] == 1
        (pulled,) = client.expect(1, cl_ord_id="K1", exec_type="4")
        assert pulled.get(tags.EXEC_RESTATEMENT_REASON) == b"8"
        assert pulled.get(tags.ORIG_CL_ORD_ID) is None
        client.send("D", order("K2", BUY, 10, "ACME", "49.00"))
        (refused,) = client.expect(1, cl_ord_id="K2", exec_type="8")
        assert refused.get(tags.TEXT) == b"Kill switch is on (session)"
        ask(venue.data_dir, "kill", {"switch": "off", "scope": "session", "name": "KILLED"})
        client.send("D", order("K3", BUY, 10, "ACME", "49.00"))
        client.expect(1, cl_ord_id="K3", exec_type="0")


def test_orders_of_a_lost_connection_are_gone_and_the_client_hears_of_it_when_it_is_back(
    venue: ServerProcess, tmp_path: Path
) -> None:
    client = QuickFixClient(venue.port, tmp_path, sender="LOST")
    client.start()
    client.send("D", order("L1", BUY, 10, "ACME", "49.00"))
    client.send("D", order("L2", BUY, 10, "ACME", "48.00", time_in_force=1))
    client.expect(1, cl_ord_id="L2", exec_type="0")
    client.session.disconnect()  # without a Logout
    client.wait(lambda: client.logouts > 0, "end of the connection")
    client.drop()
    time.sleep(1.5)  # longer than the grace time
    client.application.clear()
    client.start()
    (pulled,) = client.expect(1, cl_ord_id="L1", exec_type="4")
    assert pulled.get(tags.POSS_DUP_FLAG) == b"Y"
    assert pulled.get(tags.EXEC_RESTATEMENT_REASON) == b"7"
    client.send("H", [(11, "L2"), (55, "ACME"), (54, BUY)])
    (status,) = client.expect(1, cl_ord_id="L2", exec_type="I")
    assert status.get(tags.ORD_STATUS) == b"0"
    client.stop()


def test_a_client_that_says_too_much_is_not_read_and_loses_nothing(venue: ServerProcess, tmp_path: Path) -> None:
    with QuickFixClient(venue.port, tmp_path, sender="PATIENT") as client:
        began = time.monotonic()
        for number in range(25):
            client.send("D", order(f"P{number}", BUY, 1, "ACME", f"4{number % 10}.00"))
        client.expect(25, exec_type="0")
        assert time.monotonic() - began > 0.9  # five at once, then twenty a second
        assert not client.expect(25, exec_type="0")[24].get(tags.TEXT)


def test_the_oracle_says_the_same_of_what_happened(venue: ServerProcess) -> None:
    """Last in this file: the journal has all of it."""
    assert venue.data_dir is not None
    opinion = SecondOpinion(Reader(journal_directory(venue.data_dir)), fix44())
    opinion.run()
    assert opinion.inbound > 50
