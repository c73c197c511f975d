"""`fixsim client` from the command line: what it sends, what it prints, how it ends."""

import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from acceptor import Answer, Peer, acknowledge, report

from fixsim.cli.main import main
from fixsim.fix import tags
from fixsim.fix.message import Message
from fixsim.fix.tags import ExecType, MsgType, OrdStatus

Run = Callable[..., int]


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer() as peer:
        yield peer


@pytest.fixture
def run(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `fixsim client ...` against the peer; its exit code."""
    monkeypatch.delenv("FIXSIM_PASSWORD", raising=False)

    def run(*words: str) -> int:
        with pytest.raises(SystemExit) as ended:
            main(["client", "--port", str(peer.port), "--sender", "ALICE", "--timeout", "3", *words])
        return int(ended.value.code or 0)

    return run


def refuse(message: Message) -> list[Answer]:
    more = {"ord_rej_reason": b"1", "order_id": b"NONE", "text": b"Unknown Symbol(55)"}
    return [report(message, ExecType.REJECTED, OrdStatus.REJECTED, **more)]


def test_an_accepted_order_is_shown_and_ends_with_zero(peer: Peer, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("buy", "100", "AAPL", "@", "187.25", "--tif", "ioc", "--id", "MINE", "--account", "A") == 0
    (sent,) = peer.received
    asked = (tags.CL_ORD_ID, tags.ACCOUNT, tags.PRICE, tags.TIME_IN_FORCE)
    assert [sent.get(tag) for tag in asked] == [b"MINE", b"A", b"187.25", b"3"]
    assert "New          MINE  buy 100 AAPL @ 187.25" in capsys.readouterr().out


def test_every_start_without_a_store_begins_a_new_run(peer: Peer, run: Run) -> None:
    for _ in range(2):
        assert run("sell", "1", "AAPL", "market") == 0
    assert [message.get(tags.MSG_SEQ_NUM) for message in peer.received] == [b"2", b"2"]


def test_a_store_continues_the_session(peer: Peer, run: Run, tmp_path: Path) -> None:
    for _ in range(2):
        assert run("sell", "1", "AAPL", "--store", str(tmp_path / "kept")) == 0
    first, second = (message.get_int(tags.MSG_SEQ_NUM) or 0 for message in peer.received)
    assert second > first


def test_the_users_own_store_is_kept_in_the_state_directory(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert run("sell", "1", "AAPL", "--continue") == 0
    (kept,) = (tmp_path / "fixsim" / "client").iterdir()
    assert kept.name.endswith("ALICE-FIXSIM")


def test_a_refused_order_ends_with_one(peer: Peer, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    peer.rules = refuse
    assert run("buy", "1", "NOPE") == 1
    assert "Unknown Symbol(55)" in capsys.readouterr().out


def test_json_is_one_object_for_each_message(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--json", "buy", "1", "AAPL", "@", "1") == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["exec_type_name"] == "New"


def test_a_cancel_asks_for_the_order_silently_and_shows_the_answer(
    peer: Peer, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    def known(message: Message) -> list[Answer]:
        if message.msg_type == MsgType.ORDER_STATUS_REQUEST:
            return [report(message, ExecType.ORDER_STATUS, OrdStatus.NEW, symbol=b"AAPL", order_qty=b"7")]
        return acknowledge(message)

    peer.rules = known
    assert run("cancel", "OLD") == 0
    assert run("replace", "OLD", "9") == 0
    assert run("status", "OLD") == 0
    out = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in out] == ["Canceled", "Replaced", "Order"]
    assert peer.received[3].get(tags.ORDER_QTY) == b"9"


def test_a_cancel_of_nothing_ends_with_one(peer: Peer, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    peer.rules = lambda message: [
        report(message, ExecType.ORDER_STATUS, OrdStatus.REJECTED, order_id=b"NONE", ord_rej_reason=b"5")
    ]
    for words in (("cancel", "OLD"), ("replace", "OLD", "9"), ("status", "OLD")):
        assert run(*words) == 1
        assert "OrdRejReason(103)=5" in capsys.readouterr().out


def test_unsupported_requests_end_with_one(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("symbols") == run("book", "AAPL", "3") == 1
    assert capsys.readouterr().out.count("BusinessRejectReason(380)=3") == 2


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("hold", "1"), "unknown command 'hold'"),
        (("buy", "AAPL"), "usage: buy QTY SYMBOL"),
        (("buy", "1", "AAPL", "--tif", "soon"), "--tif soon"),
        (("quit",), "quit belongs to the prompt"),
        (("--tif", "ioc"), "--tif belongs to a request"),
    ],
)
def test_a_mistake_is_one_line_and_ends_with_two(
    run: Run, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], hint: str
) -> None:
    assert run(*words) == 2
    error = capsys.readouterr().err
    assert hint in error
    assert error.count("\n") == 1


def test_nobody_listening_is_one_line_and_ends_with_one(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(SystemExit) as ended:
        main(["client", "--port", str(port), "symbols"])
    assert ended.value.code == 1
    assert capsys.readouterr().err == f"fixsim: nobody listens at 127.0.0.1:{port} (Connection refused)\n"


def test_a_refused_logon_is_one_line_and_ends_with_one(peer: Peer, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    peer.core.verdict = "Bad credentials"
    assert run("symbols") == 1
    assert capsys.readouterr().err == f"fixsim: 127.0.0.1:{peer.port}: Bad credentials\n"


def test_a_password_comes_from_the_environment_or_a_file(
    peer: Peer, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    secrets = tmp_path / "secrets"
    secrets.write_text("# mine\nexport FIXSIM_PASSWORD='from file'\n")
    assert run("--username", "me", "--env-file", str(secrets), "buy", "1", "AAPL") == 0
    monkeypatch.setenv("FIXSIM_PASSWORD", "from environment")
    assert run("--username", "me", "buy", "1", "AAPL") == 0
    said = b"".join(peer.raw)
    assert b"553=me\x01554=from file\x01" in said
    assert b"553=me\x01554=from environment\x01" in said
    secrets.write_text("OTHER=1\n")
    assert run("--env-file", str(secrets), "buy", "1", "AAPL") == 2
    shown = capsys.readouterr()
    assert "from " not in shown.out + shown.err


def test_lines_of_a_pipe_are_carried_out_in_order(
    peer: Peer, run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    read_end, write_end = os.pipe()
    os.write(write_end, b"buy 1 AAPL @ 1 --id ONE\n\nwhat\norders\nhelp\nquit\nbuy 1 AAPL --id NEVER\n")
    os.close(write_end)
    with open(read_end) as pipe:
        monkeypatch.setattr("sys.stdin", pipe)
        assert run() == 1
    shown = capsys.readouterr()
    assert shown.out.count("ONE") == 2
    assert "unknown command 'what'" in shown.err
    assert "book SYMBOL [LEVELS]" in shown.err
    assert [message.get(tags.CL_ORD_ID) for message in peer.received] == [b"ONE"]


def test_the_end_of_a_pipe_ends_the_client(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    read_end, write_end = os.pipe()
    os.write(write_end, b"buy 1 AAPL @ 1")
    os.close(write_end)
    with open(read_end) as pipe:
        monkeypatch.setattr("sys.stdin", pipe)
        assert run() == 0


def test_a_connection_that_ends_ends_the_client(
    peer: Peer, run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def hang_up(message: Message) -> list[Answer]:
        peer.cut()
        return acknowledge(message)

    peer.rules = hang_up
    read_end, write_end = os.pipe()
    os.write(write_end, b"buy 1 AAPL @ 1\n")
    with open(read_end) as pipe, open(write_end, "w"):
        monkeypatch.setattr("sys.stdin", pipe)
        assert run() == 1
    assert "the exchange hung up" in capsys.readouterr().err
