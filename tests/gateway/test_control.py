"""Operators' commands: over a socket only the owner can open, answered when they are in the journal."""

import json
import os
import pwd
import socket
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from stage import Stage, running, small

from fixsim.config.model import JournalSettings
from fixsim.errors import UsageError, VenueError
from fixsim.gateway.control import ask
from fixsim.gateway.directory import CONTROL
from fixsim.gateway.venue import Plan, shipper_of
from fixsim.journal.reader import Reader
from fixsim.journal.record import HEADER
from fixsim.layout import Kind
from fixsim.limits import RECORD_HEADER_BYTES


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with running(small(), tmp_path) as stage:
        yield stage


def commands(stage: Stage) -> list[dict[str, object]]:
    """OPERATOR records of the journal."""
    found = []
    for batch in Reader(stage.opened.reader.directory).batches():
        at = 0
        while at < len(batch.view):
            header = HEADER.unpack_from(batch.view, at)
            begin = at + RECORD_HEADER_BYTES
            if header[1] == Kind.OPERATOR:
                found.append(json.loads(bytes(batch.view[begin : begin + header[3]])))
            at = begin + ((header[3] + 7) & ~7)
    return found


def test_only_the_owner_can_open_the_socket(stage: Stage) -> None:
    mode = (stage.data_dir / CONTROL).stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


def test_a_halt_refuses_orders_until_resume_and_both_are_in_the_journal(stage: Stage) -> None:
    with stage.client() as client:
        client.log_on()
        assert ask(stage.data_dir, "halt", {"symbol": "AAPL"}) == {"symbol": "AAPL", "halted": True}
        client.socket.sendall(client.order("A"))
        refused = client.expect("8")
        assert (refused.get(150), refused.get(103)) == (b"8", b"2")
        assert ask(stage.data_dir, "resume", {"symbol": "AAPL"})["halted"] is False
        client.socket.sendall(client.order("B"))
        assert client.expect("8").get(150) == b"0"
    said = [(record["verb"], record["arguments"]) for record in commands(stage)]
    assert said == [("halt", {"symbol": "AAPL"}), ("resume", {"symbol": "AAPL"})]
    assert all(record["who"] for record in commands(stage))


def test_sessions_are_shown_reset_and_set(stage: Stage) -> None:
    with stage.client("DESK") as client:
        client.log_on()
        (shown,) = ask(stage.data_dir, "sessions.show", {})["sessions"]
        assert (shown["session"], shown["connected"], shown["next_in"]) == ("DESK", True, 2)
        with pytest.raises(UsageError, match="connected"):
            ask(stage.data_dir, "sessions.reset", {"session": "DESK"})
        ask(stage.data_dir, "sessions.disconnect", {"session": "DESK", "text": "lunch"})
        assert client.expect("5").get(58) == b"lunch"
        client.say("5")
        assert client.is_dropped()
    (shown,) = ask(stage.data_dir, "sessions.set-next", {"session": "DESK", "in": 7, "out": 9})["sessions"]
    assert (shown["next_in"], shown["next_out"]) == (7, 9)
    with stage.client("DESK") as client:
        client.next_out = 7
        assert client.log_on(reset=False).get(34) == b"9"
        client.say("5")
        client.expect("5")
        assert client.is_dropped()
    (shown,) = ask(stage.data_dir, "sessions.reset", {"session": "DESK"})["sessions"]
    assert (shown["next_in"], shown["next_out"]) == (1, 1)


def test_the_book_is_shown(stage: Stage) -> None:
    with stage.client() as client:
        client.log_on()
        client.socket.sendall(client.order("A", qty=30, price="9.50") + client.order("B", price="9.40"))
        client.expect("8")
        client.expect("8")
    book = ask(stage.data_dir, "book", {"symbol": "AAPL", "depth": 1})
    assert book["bids"] == [{"price": "9.50", "quantity": "30", "orders": 1}]
    assert (book["asks"], book["last"], book["halted"]) == ([], None, False)


@pytest.mark.parametrize(
    ("verb", "arguments", "reason"),
    [
        ("halt", {"symbol": "NONE"}, "NONE"),
        ("sessions.reset", {"session": "NOBODY"}, "NOBODY"),
        ("book", {"symbol": "AAPL", "depth": "deep"}, "deep"),
        ("book", {"symbol": "AAPL", "depth": 0}, "0"),
        ("sessions.set-next", {"session": "NOBODY", "in": "x"}, "NOBODY"),
        ("sessions.show", {"session": ["list"]}, "list"),
        ("halt", {"symbol": None}, "None"),
        ("dance", {}, "dance"),
    ],
)
def test_refused_commands_say_why(stage: Stage, verb: str, arguments: dict[str, str], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        ask(stage.data_dir, verb, arguments)


def test_what_is_no_command_is_refused_and_harmless(stage: Stage) -> None:
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(stage.data_dir / CONTROL))
        line.sendall(b'nonsense\n{"verb": 5}\n{"verb": "book", "arguments": []}\n[]\n')
        with line.makefile("rb") as answers:
            assert [json.loads(answers.readline())["ok"] for _ in range(4)] == [False] * 4
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(stage.data_dir / CONTROL))
        line.settimeout(5)
        try:
            line.sendall(b"x" * 200_000)
            assert line.recv(1) == b""
        except ConnectionError:
            pass
    assert ask(stage.data_dir, "sessions.show", {}) == {"sessions": []}


@pytest.mark.parametrize("text", ["caf\udce9", "a\0b", "a\nb", "a\tb", "\x1b[31m", "a\x7f", "a\x9b"])
def test_what_cannot_be_kept_as_text_is_refused_wherever_it_stands_and_leaves_no_record(stage: Stage, text: str) -> None:
    for verb, arguments, why in (
        ("halt", {"symbol": "AAPL"}, text), ("halt", {"symbol": text}, ""), ("halt", {text: "AAPL"}, ""),
        (text, {"symbol": "AAPL"}, ""), ("reload", {}, text),
    ):  # fmt: skip
        with pytest.raises(UsageError) as refused:
            ask(stage.data_dir, verb, arguments, why)
        assert str(refused.value) == "not a command: a text holds control characters, or bytes that are no UTF-8"
    assert commands(stage) == []


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400"])
def test_a_number_that_is_none_is_refused_and_leaves_no_record(stage: Stage, number: str) -> None:
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(stage.data_dir / CONTROL))
        line.sendall(b'{"verb": "phase", "arguments": {"symbol": "AAPL", "seconds": %b}}\n' % number.encode())
        with line.makefile("rb") as answers:
            assert json.loads(answers.readline()) == {"ok": False, "error": "not a command: seconds is no finite number"}
    assert commands(stage) == []


@pytest.mark.parametrize("name", ["caf\udce9", "a\nb", ""])
def test_an_operator_whose_name_cannot_be_kept_goes_by_number(stage: Stage, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(pwd, "getpwuid", lambda user: SimpleNamespace(pw_name=name))
    ask(stage.data_dir, "halt", {"symbol": "AAPL"})
    assert [command["who"] for command in commands(stage)] == [f"uid {os.getuid()}"]


def test_a_long_path_is_no_obstacle(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    with running(small(), deep):
        assert ask(deep, "sessions.show", {}) == {"sessions": []}


def test_nobody_answers_where_nothing_runs(tmp_path: Path) -> None:
    with pytest.raises(VenueError, match="no exchange answers"):
        ask(tmp_path, "sessions.show", {})


def test_who_asks_and_why_are_in_the_journal(stage: Stage) -> None:
    ask(stage.data_dir, "halt", {"symbol": "AAPL"}, "news: caf\u00e9 \u20ac")
    ask(stage.data_dir, "resume", {"symbol": "AAPL"})
    halted, resumed = commands(stage)
    assert (halted["why"], resumed["why"]) == ("news: caf\u00e9 \u20ac", "")
    assert halted["who"] == resumed["who"] != ""


def test_a_floor_is_recorded_and_the_answer_tells_what_is_still_owed(stage: Stage) -> None:
    with stage.client() as client:
        client.log_on()
    end = stage.opened.writer.position
    told = ask(stage.data_dir, "journal.retire", {"floor": 0})
    assert told["floor"] == 0 and told["at"] > end and told["owed_from"] > end
    with pytest.raises(UsageError, match="no position"):
        ask(stage.data_dir, "journal.retire", {"floor": 1 << 50})
    with pytest.raises(UsageError, match="no position"):
        ask(stage.data_dir, "journal.retire", {})
    assert [command["verb"] for command in commands(stage)] == ["journal.retire"] * 3


def test_the_shipper_is_told_what_to_retire(tmp_path: Path) -> None:
    def options(journal: JournalSettings) -> list[str]:
        plan = Plan(replace(small(), journal=journal), tmp_path, "127.0.0.1", 0, "none")
        command = shipper_of(plan, frozenset({0}))._command
        return command[command.index("--data-dir") + 2 :]

    assert options(JournalSettings()) == []
    assert options(JournalSettings(resend_retention_s=86_400)) == ["--resend-retention", "86400"]
    assert options(JournalSettings(resend_retention_s=60, archive=False)) == ["--resend-retention", "60", "--remove"]
