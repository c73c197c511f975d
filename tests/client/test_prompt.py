"""The prompt, with keys typed by the test."""

from collections.abc import Iterator

import pytest
from acceptor import Answer, Peer, acknowledge
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from fixsim.client import Client
from fixsim.client.faults import ConnectionLost
from fixsim.client.prompt import run_line, run_prompt
from fixsim.client.teller import Teller
from fixsim.fix import tags
from fixsim.fix.message import Message


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer() as peer:
        yield peer


class Remembering(Teller):
    """A teller that keeps its remarks: the prompt has taken over both standard streams."""

    def __init__(self) -> None:
        super().__init__(as_json=True)
        self.remarks: list[str] = []

    def remark(self, text: str) -> None:
        self.remarks.append(text)


def type_in(peer: Peer, text: str) -> list[str]:
    teller = Remembering()
    with (
        create_pipe_input() as keys,
        create_app_session(input=keys, output=DummyOutput()),
        Client("127.0.0.1", peer.port, "ALICE", "FIXSIM", on_message=teller.show) as client,
    ):
        keys.send_text(text)
        run_prompt(client, teller)
    return teller.remarks


def test_lines_are_carried_out_until_quit(peer: Peer) -> None:
    (remark,) = type_in(peer, "buy 1 AAPL @ 1 --id A\nnonsense\nsell 2 AAPL @ 1 --id B\nquit\n")
    assert [message.get(tags.CL_ORD_ID) for message in peer.received] == [b"A", b"B"]
    assert "unknown command 'nonsense'" in remark


def test_the_end_of_input_leaves(peer: Peer) -> None:
    assert type_in(peer, "buy 1 AAPL @ 1\n\x04") == []
    assert len(peer.received) == 1


def test_a_connection_that_ends_is_told(peer: Peer) -> None:
    def hang_up(message: Message) -> list[Answer]:
        peer.cut()
        return acknowledge(message)

    peer.rules = hang_up
    with pytest.raises(ConnectionLost, match="hung up"):
        type_in(peer, "buy 1 AAPL @ 1\n")


def test_no_answer_at_the_prompt_is_a_remark_not_the_end(peer: Peer, capsys: pytest.CaptureFixture[str]) -> None:
    peer.rules = lambda message: []
    with Client("127.0.0.1", peer.port, "ALICE", "FIXSIM", timeout_s=0.2) as client:
        assert run_line(client, Teller(), "buy 1 AAPL @ 1") is False
        assert client.connected
    assert "did not answer in time" in capsys.readouterr().err
