"""What one peer asks for is done in helpings, however much it is; and helpings come out the same when carried out again."""

from random import Random

import pytest
from exchange.stage import Stage, rehearsed

from fixsim.config import Counterparty
from fixsim.exchange.digest import state_digest
from fixsim.exchange.exchange import EARLY_AT_ONCE, WORK_BYTES
from fixsim.fix.codec import decode, encode
from fixsim.fix.message import Message
from fixsim.gateway.credentials import FAILURES_MAX, FORGIVEN_AFTER_NS, SUSPECTS_MAX, Attempts, Verifier, hash_password
from fixsim.layout import Kind
from fixsim.session import State
from fixsim.units import format_utc_timestamp

ENTRY = Counterparty("SECRET*")


def test_request(stage: Stage, number: int, text: bytes = b"x") -> bytes:
    head = [(49, b"ALPHA"), (56, b"FIXSIM"), (34, b"%d" % number), (52, format_utc_timestamp(stage.now_ns, 3))]
    return encode(b"1", head, [(112, text)])


test_request.__test__ = False  # type: ignore[attr-defined]


def heard(stage: Stage) -> list[Message]:
    """Everything ALPHA was told, in order."""
    stage.exchange.commit()
    records = rehearsed_records(stage)
    return [decode(payload) for payload in records]


def rehearsed_records(stage: Stage) -> list[bytes]:
    from fixsim.journal.record import records

    return [bytes(r.payload) for _, view in stage.writer.batches for r in records(view) if r.kind == Kind.OUT]


# ---------------------------------------------------------------- work of a turn


def test_slow_frames_beyond_the_work_of_a_turn_wait() -> None:
    stage = Stage()
    stage.log_on("ALPHA")
    buffer = bytearray(b"".join(test_request(stage, 2 + n) for n in range(10)))
    whole = len(buffer)
    used = stage.exchange.receive(stage.links["ALPHA"], buffer, stage.now_ns, 4)
    assert stage.exchange.unfinished
    assert used == whole * 4 // 10
    del buffer[:used]
    used = stage.exchange.receive(stage.links["ALPHA"], buffer, stage.now_ns, 100)
    assert used == len(buffer) and not stage.exchange.unfinished


def test_long_answers_count_as_work() -> None:
    stage = Stage()
    stage.log_on("ALPHA")
    buffer = bytearray(b"".join(test_request(stage, 2 + n, b"x" * 4 * WORK_BYTES) for n in range(4)))
    assert stage.exchange.receive(stage.links["ALPHA"], buffer, stage.now_ns, 2) == len(buffer) // 4


def test_half_a_frame_is_no_unfinished_work() -> None:
    stage = Stage()
    stage.log_on("ALPHA")
    buffer = bytearray(test_request(stage, 2)[:-3])
    assert stage.exchange.receive(stage.links["ALPHA"], buffer, stage.now_ns, 2) == 0
    assert not stage.exchange.unfinished


# ---------------------------------------------------------------- early messages


def freed(count: int) -> Stage:
    """A stage on which a gap has just closed in front of `count` early messages."""
    stage = Stage()
    stage.log_on("ALPHA", heartbeat_s=30)
    stage.feed("ALPHA", b"".join(test_request(stage, 3 + n, b"%d" % n) for n in range(count)))
    stage.feed("ALPHA", test_request(stage, 2, b"missing"))
    return stage


def test_early_messages_that_are_freed_come_in_helpings_and_in_order() -> None:
    count = 5 * EARLY_AT_ONCE + 3
    stage = freed(count)
    exchange, link = stage.exchange, stage.links["ALPHA"]
    member = exchange.members.by_name[b"ALPHA"]
    assert int(member.row["next_in"]) == 3 + EARLY_AT_ONCE
    assert exchange.next_deadline_ns() <= stage.now_ns
    following = bytearray(test_request(stage, 3 + count, b"last"))
    assert exchange.receive(link, following, stage.now_ns) == 0 and exchange.unfinished, "what comes later must wait"
    for _ in range(5):
        exchange.commit()
        exchange.tick(stage.now_ns)
    assert member.session.state is State.ACTIVE
    assert exchange.receive(link, following, stage.now_ns) == len(following)
    echoed = [message.get(112) for message in heard(stage) if message.msg_type == b"0"]
    assert echoed == [b"missing", *(b"%d" % n for n in range(count)), b"last"]
    assert state_digest(rehearsed(stage.writer.batches)) == state_digest(exchange)


@pytest.mark.parametrize("end", ["lost", "logged out", "silent", "restarted"])
def test_a_conversation_may_end_while_early_messages_wait(end: str) -> None:
    stage = freed(4 * EARLY_AT_ONCE)
    exchange, link = stage.exchange, stage.links["ALPHA"]
    match end:
        case "lost":
            exchange.lose_link(link, "gone", stage.now_ns)
        case "logged out":
            exchange.command("sessions.disconnect", {"session": "ALPHA"}, "test", stage.now_ns)
        case "silent":
            stage.now_ns += 3_600 * 10**9
        case "restarted":
            exchange.commit()
            exchange.start(b'{"config":{}}', stage.now_ns)
    for _ in range(8):
        exchange.tick(stage.now_ns)
        exchange.commit()
        stage.now_ns += 10**9
    assert not exchange._postponed
    assert exchange.next_deadline_ns() > stage.now_ns - 10**9
    if end != "restarted":
        assert state_digest(rehearsed(stage.writer.batches)) == state_digest(exchange)


# ---------------------------------------------------------------- passwords


def test_a_name_is_guessed_at_slowly_and_forgiven_in_time() -> None:
    attempts, now_ns = Attempts(), 10**18
    for _ in range(FAILURES_MAX):
        assert attempts.may_try("10.0.0.1", b"SECRET1", now_ns)
        attempts.note_failure("10.0.0.1", b"SECRET1", ENTRY, now_ns)
    assert not attempts.may_try("10.0.0.1", b"SECRET1", now_ns)
    assert attempts.may_try("10.0.0.2", b"SECRET1", now_ns)
    assert attempts.may_try("10.0.0.1", b"SECRET2", now_ns)
    assert attempts.may_try("10.0.0.1", b"SECRET1", now_ns + 2 * FORGIVEN_AFTER_NS)


def test_checks_under_way_count() -> None:
    attempts, now_ns = Attempts(), 10**18
    for _ in range(FAILURES_MAX):
        assert attempts.may_try("10.0.0.1", b"SECRET1", now_ns)
        attempts.begin("10.0.0.1", b"SECRET1")
    assert not attempts.may_try("10.0.0.1", b"SECRET1", now_ns)
    for _ in range(FAILURES_MAX):
        attempts.end("10.0.0.1", b"SECRET1")
    assert attempts.may_try("10.0.0.1", b"SECRET1", now_ns)
    assert not attempts._under_way


def test_who_failed_makes_its_neighbours_suspect_but_not_who_succeeded_before() -> None:
    attempts, now_ns = Attempts(), 10**18
    attempts.note_success("10.0.0.1", b"SECRET-ALICE")
    assert not attempts.is_suspect("10.0.0.1", b"SECRET9", ENTRY, now_ns)
    attempts.note_failure("10.0.0.1", b"SECRET1", ENTRY, now_ns)
    assert attempts.is_suspect("10.0.0.1", b"SECRET9", ENTRY, now_ns)
    assert not attempts.is_suspect("10.0.0.1", b"SECRET-ALICE", ENTRY, now_ns)
    assert not attempts.is_suspect("10.0.0.1", b"OTHER", Counterparty("OTHER"), now_ns)
    assert not attempts.is_suspect("10.0.0.2", b"SECRET9", ENTRY, now_ns)


def test_suspects_wait_and_others_do_not() -> None:
    verifier = Verifier(lambda: None)
    right = hash_password(b"sesame")
    asked = [verifier.ask(n, right, b"guess", suspect=True) for n in range(SUSPECTS_MAX + 8)]
    assert asked.count(False) >= 7
    assert verifier.ask(1_000, right, b"sesame")
    for ticket in range(SUSPECTS_MAX):
        verifier.cancel(ticket)
    decided: list[tuple[int, bool]] = []
    while (1_000, True) not in decided:
        decided += verifier.verdicts()
    verifier.close()
    assert len(decided) <= 3, "it waited behind guesses"


def test_a_random_mix_of_work_limits_changes_nothing() -> None:
    """However the work is cut into turns, what is said is the same."""
    random = Random(5)
    told = []
    for limits in ((1 << 62,), (1,), (1, 2, 3, 50)):
        stage = Stage()
        stage.log_on("ALPHA")
        frames = [
            test_request(stage, 2 + n + (3 if 20 <= n < 60 else 0) - (40 if 60 <= n < 63 else 0), b"%d" % n) for n in range(63)
        ]
        buffer = bytearray(b"".join(frames))
        while buffer:
            del buffer[: stage.exchange.receive(stage.links["ALPHA"], buffer, stage.now_ns, random.choice(limits))]
            stage.exchange.tick(stage.now_ns)
            stage.exchange.commit()
        told.append([(message.msg_type, message.get(34), message.get(112)) for message in heard(stage)])
    assert told[0] == told[1] == told[2]
