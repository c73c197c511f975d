"""The configuration file read again by the running gateway: on request or by SIGHUP, whole or not at all."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from stage import Stage, small

from fixsim.config import load
from fixsim.errors import UsageError
from fixsim.gateway.control import ask
from fixsim.gateway.credentials import hash_password
from fixsim.journal.reader import Reader
from fixsim.journal.record import records
from fixsim.layout import Kind

TEXT = """
[venue]
logon_timeout_s = 3.0
{venue}
[capacities]
orders = 1024
sessions = 16
instruments = 16
price_levels = 1024
clordid_memory = 1024

[[instruments]]
symbol = "AAPL"
tick_size = 0.01
lot_size = 1
max_qty = {max_qty}

[[counterparties]]
sender_comp_id = "{name}"
{secret}
"""


class Venue:
    """A venue in a thread, and the file it was started with."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "venue.toml"
        self.write()
        self.stage = Stage(load(self.file), folder / "data", config_path=self.file)

    def write(self, *, venue: str = "", max_qty: str = "1000", name: str = "*", secret: str = "") -> None:
        self.file.write_text(TEXT.format(venue=venue, max_qty=max_qty, name=name, secret=secret))

    def reload(self, why: str = "") -> list[str]:
        return ask(self.stage.data_dir, "reload", {}, why)["changes"]

    def config_records(self) -> int:
        batches = Reader(self.stage.opened.reader.directory).batches()
        return sum(record.kind == Kind.CONFIG for batch in batches for record in records(batch.view))


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[Venue]:
    venue = Venue(tmp_path)
    with venue.stage:
        yield venue


def test_a_live_client_feels_a_change_without_being_disturbed(venue: Venue) -> None:
    with venue.stage.client() as client:
        client.log_on()
        client.socket.sendall(client.order("A", qty=600))
        assert client.expect("8").get(150) == b"0"
        venue.write(max_qty="500")
        assert venue.reload("fat fingers") == ["changed instruments[AAPL].max_qty from 1000 to 500"]
        client.socket.sendall(client.order("B", qty=600))
        assert client.expect("8").get(103) == b"3"
        client.socket.sendall(client.order("C", qty=500))
        assert client.expect("8").get(150) == b"0"
    assert venue.config_records() == 1


def test_nothing_changed_is_told_and_leaves_no_record(venue: Venue) -> None:
    assert venue.reload() == []
    assert venue.config_records() == 0


def test_a_file_with_faults_changes_nothing_and_names_all_of_them(venue: Venue) -> None:
    venue.write(venue='logout_timeout_s = "soon"\nheartbeet = 3', max_qty="-1")
    with pytest.raises(UsageError) as refused:
        venue.reload()
    assert sorted(line.split(": ")[1] for line in str(refused.value).splitlines()) == [
        "instruments[0].max_qty", "venue.heartbeet", "venue.logout_timeout_s",
    ]  # fmt: skip
    assert venue.config_records() == 0
    assert venue.stage.exchange.config.instruments[0].max_qty == 1000


def test_what_a_running_exchange_cannot_change_is_refused_together_with_what_its_books_forbid(venue: Venue) -> None:
    venue.write(venue='comp_id = "OTHER"', max_qty="500")
    text = venue.file.read_text().replace("sessions = 16", "sessions = 32").replace('"AAPL"', '"MSFT"')
    venue.file.write_text(text)
    with pytest.raises(UsageError) as refused:
        venue.reload()
    assert [line.split(": ")[1] for line in str(refused.value).splitlines()] == [
        "venue.comp_id", "capacities.sessions", "instruments[AAPL]",
    ]  # fmt: skip
    assert venue.config_records() == 0


@pytest.mark.parametrize("number", ["1e30", "nan", "1e9999999999999999999", "0x" + "f" * 5_000])
def test_a_number_that_nobody_can_reckon_with_changes_nothing(venue: Venue, number: str) -> None:
    venue.write(max_qty=number)
    with pytest.raises(UsageError, match=r"venue\.toml: (instruments\[0\]\.max_qty|file): "):
        venue.reload()
    assert venue.config_records() == 0


def test_limits_of_anybody_are_taken(venue: Venue) -> None:
    text = venue.file.read_text()
    limits = "".join(f'[[limits]]\nscope = "session"\nname = "{name}"\norder_qty_max = %s\n' for name in ("ANNA", "BERT"))
    venue.file.write_text(text + limits % (500, 500))
    assert len(venue.reload()) == 2
    venue.file.write_text(text + limits % (50, 500))
    assert venue.reload() == ["changed limits[session ANNA].order_qty_max from 500 to 50"]
    assert venue.reload() == []
    with venue.stage.client("ANNA") as client:
        client.log_on()
        client.socket.sendall(client.order("A", qty=100))
        assert client.expect("8").get(150) == b"8"


def test_a_file_that_is_gone_is_told(venue: Venue) -> None:
    venue.file.unlink()
    with pytest.raises(UsageError, match="No such file"):
        venue.reload()


def test_a_venue_that_was_started_without_a_file_has_nothing_to_read(tmp_path: Path) -> None:
    with Stage(small(), tmp_path) as stage, pytest.raises(UsageError, match="without --config"):
        ask(stage.data_dir, "reload", {})


def test_a_hang_up_reads_the_file_too(venue: Venue) -> None:
    venue.write(max_qty="500")
    venue.stage.server._hang_up(1, None)
    deadline = time.monotonic() + 10
    while venue.stage.exchange.config.instruments[0].max_qty != 500:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_who_is_not_named_any_more_is_logged_out_and_not_let_in_again(venue: Venue) -> None:
    with venue.stage.client("ANNA") as client:
        client.log_on()
        venue.write(name="BERT")
        removed, added = venue.reload()
        assert removed == "removed counterparties[*]"
        assert added.startswith("added counterparties[BERT] sender_comp_id BERT, heartbeat_min_s 0,")
        assert client.expect("5").get(58) == b"No longer a counterparty"
        client.say("5")
        assert client.is_dropped()
    with venue.stage.client("ANNA") as client:
        client.say("A", "98=0|108=0")
        assert client.is_dropped()


def test_a_password_that_changes_holds_for_the_next_logon(venue: Venue) -> None:
    with venue.stage.client() as client:
        client.log_on()
        venue.write(secret=f'password_hash = "{hash_password(b"new")}"')
        assert venue.reload() == ["changed counterparties[*].password_hash"]
        client.socket.sendall(client.order("A"))
        assert client.expect("8").get(150) == b"0"
    with venue.stage.client("OTHER") as client:
        client.say("A", "98=0|108=0|554=old")
        assert b"Password" in (client.expect("5").get(58) or b"")
    with venue.stage.client("THIRD") as client:
        client.say("A", "98=0|108=0|554=new")
        assert client.expect("A").get(34) == b"1"
