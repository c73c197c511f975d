"""Many things in one turn: the batch is sealed in time, whoever fills it."""

import errno
import os
import time
from pathlib import Path

import pytest
from stage import Stage, running, small

from fixsim.errors import JournalFull
from fixsim.exchange.exchange import Exchange
from fixsim.exchange.opening import open_venue
from fixsim.exchange.payloads import Hello
from fixsim.fix.codec import encode
from fixsim.journal.disk import Disk
from fixsim.limits import BATCH_BYTES, BATCH_MARGIN_BYTES
from fixsim.units import format_utc_timestamp


def say(exchange: Exchange, link: int, sender: bytes, seq: int, msg_type: bytes, now_ns: int, text: bytes = b"") -> None:
    """One frame on a link."""
    body = [(98, b"0"), (108, b"0")] if msg_type == b"A" else [(112, text)]
    header = [(49, sender), (56, b"FIXSIM"), (34, b"%d" % seq), (52, format_utc_timestamp(now_ns, 3))]
    frame = bytearray(encode(msg_type, header, body))
    assert exchange.receive(link, frame, now_ns) == len(frame)


def test_links_and_commands_find_room_in_a_batch_that_is_nearly_full(tmp_path: Path) -> None:
    now_ns = time.time_ns()
    opened = open_venue(small(), tmp_path, now_ns)
    exchange = opened.exchange
    links = []
    for number in range(60):
        sender = b"PEER%d" % number
        links.append(exchange.open_link(Hello(sender.decode(), "FIXSIM", "127.0.0.1"), now_ns))
        say(exchange, links[-1], sender, 1, b"A", now_ns)
    seq = 1
    while exchange.tape.used + BATCH_MARGIN_BYTES + 16_000 < BATCH_BYTES:
        seq += 1
        say(exchange, links[0], b"PEER0", seq, b"1", now_ns, b"x" * 4_000)
    for _ in range(10):
        exchange.command("sessions.show", {"session": "y" * 60_000}, "test", now_ns)
    for link in links:
        exchange.lose_link(link, "z" * 6_000, now_ns)
    exchange.commit()
    opened.writer.close()
    again = open_venue(small(), tmp_path, now_ns)
    assert int(again.exchange.members.by_name[b"PEER0"].row["next_in"]) == seq + 1
    again.writer.close()


def test_a_full_disk_logs_everybody_out_and_the_next_start_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(small(), tmp_path)
    with pytest.raises(JournalFull, match="No space left"), stage, stage.client("ONE") as one, stage.client("TWO") as two:
        one.log_on()
        two.log_on()
        monkeypatch.setattr(Disk, "create", no_room)
        heard = None
        while heard is None or heard.msg_type == b"0":
            two.say("1", "112=" + "x" * 60_000)
            heard = two.hear()
            assert heard is not None
        assert (heard.msg_type, heard.get(58)) == (b"5", b"The exchange has no room left")
        assert one.expect("5").get(58) == b"The exchange has no room left"
    monkeypatch.undo()
    with running(small(), tmp_path) as again, again.client("ONE") as one:
        one.next_out = 2
        assert one.log_on(reset=False).get(34) == b"3"


def no_room(disk: Disk, path: Path) -> int:
    """A disk without room for another file."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
