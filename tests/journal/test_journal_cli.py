"""The commands that read the journal: what they print, and that nothing but words reaches the user."""

import io
import json
import sys

import pytest
from conversation import Conversation
from journals import append

from fixsim.cli import tail as tail_module
from fixsim.cli.main import main
from fixsim.fix.codec import encode
from fixsim.journal.record import garbled_payload, json_payload
from fixsim.layout import NIL, Kind

ORDER = (
    "8=FIX.4.4|9=104|35=D|49=C|56=FIXSIM|34=2|52=20260101-12:00:00|11=1|55=AAPL|54=1|"
    "60=20260101-12:00:00|38=100|40=2|44=1.5|10=245|"
)


@pytest.fixture
def run(capsys):
    """Run a command; its exit code, stdout and stderr."""

    def call(*arguments: object) -> tuple[int, str, str]:
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as exit_:
            code = exit_.code
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return int(code or 0), out, err

    return call


@pytest.fixture
def venue(tmp_path):
    """A data directory in which BUYSIDE (session 7) and SELLSIDE (session 8) traded."""
    conversation = Conversation(tmp_path / "journal")
    conversation.session = 0
    conversation.put(Kind.START, json_payload({"version": "1", "config": {"venue": {"comp_id": "FIXSIM" * 50}}}))
    conversation.session = 7
    link = {"event": "connected", "sender": "BUYSIDE", "target": "FIXSIM", "peer": "127.0.0.1", "verdict": "accepted"}
    conversation.put(Kind.LINK, json_payload(link))
    frame = encode(b"D", [(49, b"BUYSIDE"), (56, b"FIXSIM"), (34, b"1")], [(11, b"CL-1"), (55, b"AAPL"), (54, b"1")])
    conversation.put(Kind.IN, frame, seq=1, msg_type=b"D", at=(0, 0, 0, frame.index(b"AAPL")))
    conversation.say(b"8", (11, b"CL-1"), (150, b"0"), (55, b"AAPL"))
    conversation.resend(1, 1)
    conversation.put(Kind.GARBLED, garbled_payload(999, b"8=FIX\x01\x1b[2Jrubbish"))
    conversation.session = 0
    conversation.put(Kind.TICK, b"")
    conversation.put(Kind.OPERATOR, json_payload({"verb": "halt", "arguments": {"symbol": "AAPL"}, "who": "root"}))
    conversation.session = 8
    other = encode(b"D", [(49, b"SELLSIDE"), (56, b"FIXSIM"), (34, b"1")], [(11, b"S-1"), (55, b"IBM"), (54, b"2")])
    conversation.put(Kind.IN, other, seq=1, msg_type=b"D", at=(0, 0, 0, other.index(b"IBM")))
    conversation.session = 7
    conversation.put(Kind.LINK, json_payload({"event": "lost", "sender": "BUYSIDE", "reason": "peer left"}))
    return tmp_path, conversation


def objects(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_cat_shows_every_record_in_words(run, venue):
    directory, _ = venue
    code, out, err = run("journal", "cat", "--data-dir", directory)
    lines = out.splitlines()
    assert (code, err, len(lines)) == (0, "", 10)
    assert "START config={...} version=1" in lines[0]
    assert "LINK event=connected peer=127.0.0.1 sender=BUYSIDE" in lines[1]
    assert "BUYSIDE      >     1  NewOrderSingle(D) ClOrdID=CL-1 Symbol=AAPL Side=1(BUY)" in lines[2]
    assert "BUYSIDE      <     1  ExecutionReport(8) ClOrdID=CL-1 ExecType=0(NEW)" in lines[3]
    assert "RESEND 1 to 1" in lines[4]
    assert "GARBLED 999 bytes: 8=FIX|\\x1b[2Jrubbish" in lines[5]
    assert "OPERATOR" in lines[7] and "verb=halt" in lines[7]
    assert "SELLSIDE" in lines[8]


def test_cat_as_json_holds_everything(run, venue):
    directory, conversation = venue
    code, out, _ = run("journal", "cat", "--data-dir", directory, "--json", "--expand")
    found = objects(out)
    assert code == 0 and [entry["kind"] for entry in found][:5] == ["START", "LINK", "IN", "OUT", "RESEND"]
    out_record = found[3]
    assert out_record["session"] == "BUYSIDE" and out_record["session_id"] == 7 and out_record["seq"] == 1
    assert out_record["message"] == "ExecutionReport"
    assert out_record["raw"].encode() == bytes(conversation.reader.read(out_record["position"]).payload)
    assert {"tag": 150, "name": "ExecType", "value": "0", "value_name": "NEW"} in out_record["fields"]
    assert "\x0143=Y\x01" in found[4]["resent"][0]["raw"]
    assert found[5]["length"] == 999
    assert found[7]["payload"]["verb"] == "halt"


@pytest.mark.parametrize("how", [["journal", "cat"], ["tail", "--no-follow"]])
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_half_a_character_in_a_record_is_shown_as_its_number(run, venue, how, form):
    directory, conversation = venue
    conversation.put(Kind.OPERATOR, json.dumps({"verb": "halt", "who": "anna", "why": "caf\udce9"}).encode())
    code, out, err = run(*how, "--data-dir", directory, *form)
    assert (code, err) == (0, "")
    assert "caf\\udce9" in out.splitlines()[-1]


def test_cat_can_begin_anywhere_and_be_narrowed(run, venue):
    directory, _ = venue
    _, out, _ = run("journal", "cat", "--data-dir", directory, "--json")
    positions = [entry["position"] for entry in objects(out)]
    _, out, _ = run("journal", "cat", "--data-dir", directory, "--json", "--from", positions[3] - 5, "--limit", 2)
    assert [entry["position"] for entry in objects(out)] == positions[3:5]
    _, out, _ = run("journal", "cat", "--data-dir", directory, "--json", "--session", "BUYSIDE")
    assert [entry["position"] for entry in objects(out)] == [*positions[1:6], positions[9]]
    _, out, _ = run("journal", "cat", "--data-dir", directory, "--from", 10**9)
    assert out == ""
    _, out, _ = run("journal", "cat", "--data-dir", directory, "--raw", "--limit", 3)
    assert "|35=D|49=BUYSIDE|56=FIXSIM|34=1|11=CL-1|" in out
    _, out, _ = run("journal", "cat", "--data-dir", directory, "--raw", "--expand")
    assert out.count("|43=Y|") == 1


def test_ls_lists_the_segments(run, venue):
    directory, conversation = venue
    for _ in range(60):
        append(conversation.writer, [b"8=FIX.4.4\x01" * 20])
    code, out, _ = run("journal", "ls", "--data-dir", directory, "--json")
    (listed,) = objects(out)
    segments = listed["segments"]
    assert code == 0 and len(segments) >= 3
    assert sum(segment["records"] for segment in segments) == 70
    assert segments[-1]["sealed_to"] == conversation.writer.position
    assert segments[0]["begins"] == "20260101-12:00:00.000000"
    _, out, _ = run("journal", "ls", "--data-dir", directory)
    header = ["file", "first", "sealed_to", "bytes", "stored", "batches", "records", "begins", "ends"]
    assert out.splitlines()[0].split() == header


def test_verify_tells_whole_torn_and_damaged_apart(run, venue):
    directory, conversation = venue
    end = conversation.writer.position
    code, out, _ = run("journal", "verify", "--data-dir", directory)
    assert code == 0 and out.startswith(f"whole: 10 batches, 10 records, sealed to position {end} ")
    path = directory / "journal" / f"{0:020d}.fixj"
    octets = bytearray(path.read_bytes())
    octets[end + 3] = 7
    path.write_bytes(octets)
    code, out, err = run("journal", "verify", "--data-dir", directory)
    assert code == 1 and out.startswith("torn: 10 batches") and err.startswith("4 unsealed bytes follow")
    code, out, _ = run("journal", "verify", "--data-dir", directory, "--json")
    assert code == 1 and objects(out)[0]["verdict"] == "torn" and objects(out)[0]["torn_bytes"] == 4
    octets[200] ^= 1
    path.write_bytes(octets)
    code, out, err = run("journal", "verify", "--data-dir", directory)
    assert code == 1 and out.startswith("damaged: 0 batches") and "journal damaged at position 64" in err
    code, out, _ = run("journal", "verify", "--data-dir", directory, "--json")
    assert code == 1 and objects(out)[0]["verdict"] == "damaged" and objects(out)[0]["position"] == 64
    for command in ("cat", "ls"):
        code, _, err = run("journal", command, "--data-dir", directory)
        assert code == 1 and err.startswith("fixsim: journal damaged at position 64")


@pytest.mark.parametrize("command", [["journal", "ls"], ["journal", "cat"], ["journal", "verify"], ["tail"]])
def test_a_directory_without_a_journal_is_a_usage_mistake(run, tmp_path, command):
    code, out, err = run(*command, "--data-dir", tmp_path / "none")
    assert (code, out) == (2, "") and err == f"fixsim: there is no journal in {tmp_path / 'none'}\n"


def test_a_copied_journal_directory_is_read_as_well(run, venue):
    directory, _ = venue
    code, out, _ = run("journal", "verify", "--data-dir", directory / "journal")
    assert code == 0 and out.startswith("whole")


def test_tail_shows_the_newest_records_without_ticks(run, venue):
    directory, _ = venue
    code, out, _ = run("tail", "--data-dir", directory, "--no-follow")
    assert code == 0 and len(out.splitlines()) == 9 and "TICK" not in out
    _, out, _ = run("tail", "--data-dir", directory, "--no-follow", "-n", 2)
    assert [" LINK event=lost" in line for line in out.splitlines()] == [False, True]
    _, out, _ = run("tail", "--data-dir", directory, "--no-follow", "--ticks", "--json")
    assert [entry["kind"] for entry in objects(out)].count("TICK") == 1
    _, out, _ = run("tail", "--data-dir", directory, "--no-follow", "--session", "SELLSIDE", "--json")
    assert [entry["session"] for entry in objects(out)] == ["SELLSIDE"]
    _, out, _ = run("tail", "--data-dir", directory, "--no-follow", "--symbol", "AAPL", "--json")
    assert [entry["msg_type"] for entry in objects(out)] == ["D"]
    _, out, _ = run("tail", "--data-dir", directory, "--no-follow", "-n", 0)
    assert out == ""


def test_tail_looks_back_over_segments_only_as_far_as_it_must(run, venue):
    directory, conversation = venue
    for index in range(80):
        append(conversation.writer, [b"8=FIX.4.4\x019=0\x0135=0\x0149=FIXSIM\x0156=X%d\x01" % index])
    _, out, _ = run("tail", "--data-dir", directory, "--no-follow", "-n", 75)
    assert len(out.splitlines()) == 75
    _, out, _ = run("tail", "--data-dir", directory, "--no-follow", "-n", 1000)
    assert len(out.splitlines()) == 89


def test_tail_follows_what_comes(run, venue, monkeypatch):
    directory, conversation = venue
    turns = iter(range(4))

    def wait() -> bool:
        turn = next(turns, None)
        if turn is None:
            raise KeyboardInterrupt
        conversation.say(b"8", (58, b"turn %d" % turn))
        return True

    monkeypatch.setattr(tail_module, "wait", wait)
    code, out, _ = run("tail", "--data-dir", directory, "-n", 0)
    assert code == 0
    assert [line.rpartition("=")[2] for line in out.splitlines()] == [f"turn {turn}" for turn in range(4)]


@pytest.mark.parametrize("separator", ["|", "^A", "\x01"])
def test_decode_explains_a_message_whatever_stands_between_the_fields(run, separator):
    code, out, _ = run("decode", ORDER.replace("|", separator))
    assert code == 0
    assert out.startswith("NewOrderSingle(D)")
    assert "54   Side          1                  BUY" in out
    code, out, _ = run("decode", "--json", ORDER.replace("|", separator))
    (found,) = objects(out)
    assert code == 0 and found["faults"] == [] and found["message"] == "NewOrderSingle"


def test_decode_reads_standard_input_with_log_lines_around(run, monkeypatch):
    log = f"12:00:01.5 IN  {ORDER} (5 us)\nnothing here\n'{ORDER.replace('|', '^A')}'\n{ORDER}{ORDER[:-1]}\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(log.encode() + b"\xff\xfe\n")))
    code, out, _ = run("decode", "--json")
    assert code == 0 and [entry["faults"] for entry in objects(out)] == [[]] * 4


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        (ORDER.replace("9=104", "9=105"), "BodyLength(9) is 105, the body has 104 bytes"),
        (ORDER.replace("9=104", "9=x"), "BodyLength(9) is x, the body has 104 bytes"),
        (ORDER.replace("10=245", "10=7"), "CheckSum(10) is 7, the bytes add up to 245"),
        (ORDER.replace("10=245|", ""), "garbled: the last field is not CheckSum(10)"),
        ("35=D|11=x", "garbled: the first three fields are not 8, 9, 35"),
        ("8=FIX.4.4|9=5|35=0|junk|10=000|", "BodyLength(9) is 5, the body has 10 bytes"),
        ("8=FIX.4.4|9=10|35=0|junk|10=136|", "garbled: no field can be read at byte 20"),
    ],
)
def test_decode_says_what_is_wrong_with_the_frame(run, message, fault):
    code, out, _ = run("decode", message)
    assert code == 1 and f"! {fault}" in out


def test_decode_says_what_the_dictionary_has_against_it(run):
    body = [(49, b"C"), (56, b"FIXSIM"), (34, b"2"), (52, b"20260101-12:00:00")]
    frame = encode(b"D", body, [(11, b"1"), (55, b"AAPL"), (54, b"1"), (60, b"20260101-12:00:00"), (38, b"5")])
    code, out, _ = run("decode", "--json", frame.decode())
    assert code == 1 and objects(out)[0]["faults"] == ["Required tag missing: OrdType(40)"]


@pytest.mark.parametrize("pasted", [b"", b"hello", bytes(range(256)) * 20, b"8FI=", b"=" * 100])
def test_decode_of_nothing_is_a_usage_mistake(run, monkeypatch, pasted):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(pasted)))
    code, out, err = run("decode")
    assert (code, out) == (2, "") and err.startswith("fixsim: no FIX message found")


def test_decode_survives_whatever_is_pasted(run, monkeypatch):
    frame = ORDER.replace("|", "\x01").encode()
    for at in range(len(frame)):
        for octet in (0, 1, 61, 124, 255):
            pasted = frame[:at] + bytes([octet]) + frame[at + 1 :]
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(pasted)))
            code, out, _ = run("decode", "--json")
            assert code in (0, 1, 2) and (code == 0) <= (b'"faults": []' in out.encode())


def test_positions_of_records_without_a_known_session_are_shown_with_its_number(run, tmp_path):
    conversation = Conversation(tmp_path / "journal")
    conversation.put(Kind.GARBLED, garbled_payload(3, b"abc"))
    _, out, _ = run("journal", "cat", "--data-dir", tmp_path)
    assert " 7 " in out and NIL == -1
