"""`fixsim replay DIR`: equal for what an exchange wrote, different for anything else, and the state at any moment."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from exchange.stage import DAY_NS

from fixsim.exchange.course import Until
from fixsim.exchange.digest import state_digest
from fixsim.exchange.replay import Replay
from fixsim.exchange.second_opinion import SecondOpinion
from fixsim.exchange.standing import find_standings
from fixsim.fix.dictionary import fix44
from fixsim.journal.reader import Reader
from fixsim.journal.record import records
from fixsim.journal.segments import journal_directory
from fixsim.layout import INBOUND, Kind
from replay.conftest import Fixsim
from replay.forgery import Loose, forge, reframed
from replay.recording import Recording

Day = tuple[Path, str]
ENGINES = ("kernels", "oracle")


def opened(data_dir: Path) -> Reader:
    return Reader(journal_directory(data_dir))


def files(data_dir: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(data_dir.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_day_is_replayed_and_nothing_is_written(engine: str, day: Day, fixsim: Fixsim) -> None:
    before = files(day[0])
    code, out, _ = fixsim("replay", day[0], "--engine", engine, "--verify", "--json")
    told = json.loads(out)
    assert (code, told["verdict"], told["broken_laws"]) == (0, "equal", [])
    everything = [record for batch in opened(day[0]).batches() for record in records(batch.view)]
    assert told["records"] == len(everything)
    assert told["inbound"] == sum(record.kind in INBOUND for record in everything)
    assert told["position"] == everything[-1].end
    if engine == "kernels":
        assert told["digest"] == day[1]
    assert files(day[0]) == before


def test_a_copy_of_the_journal_folder_will_do(day: Day, tmp_path: Path, fixsim: Fixsim) -> None:
    shutil.copytree(day[0] / "journal", tmp_path / "copied")
    code, out, err = fixsim("replay", tmp_path / "copied", "--verify")
    assert code == 0
    assert out.startswith("equal: ") and f"digest {day[1]}" in out
    assert "records/s" in err


def test_digests_are_those_of_the_live_exchange(tmp_path: Path) -> None:
    """A digest of a replay is the one the exchange had when that batch was sealed."""
    stage = Recording(tmp_path)
    stage.log_on("ALPHA", "BRAVO")
    lived = {}
    for number in range(30):
        name, side = ("ALPHA", b"1") if number % 2 else ("BRAVO", b"2")
        terms = [(35, b"D"), (11, b"X-%d" % number), (55, b"AAPL"), (54, side), (60, b"20240102-10:00:00"), (38, b"5")]
        stage.say(name, [*terms, (40, b"2"), (44, b"%d.50" % (100 + number % 3))])
        stage.now_ns += 1_000_000
        lived[stage.writer.batches[-1][0] + len(stage.writer.batches[-1][1])] = state_digest(stage.exchange)
    stage.close()
    replay = Replay(opened(tmp_path), fix44())
    found = {digested.position: digested.digest for digested in replay.digests(1)}
    assert lived.items() <= found.items()
    assert len(lived) == 30


@pytest.mark.parametrize("engine", [Replay, SecondOpinion])
def test_the_state_at_any_record_is_that_of_a_journal_which_ends_there(engine: type, day: Day) -> None:
    """Cut anywhere, both engines stop behind the same record and agree on the books."""
    inbound = [r for batch in opened(day[0]).batches() for r in records(batch.view) if r.kind in INBOUND]
    for record in inbound[3::97]:
        one_pass = engine(opened(day[0]), fix44(), Until(position=record.position))
        one_pass.run()
        assert one_pass.position > record.position
        assert one_pass.inbound == sum(other.position <= record.position for other in inbound)
        other = Replay(opened(day[0]), fix44(), Until(position=record.position))
        other.run()
        for symbol in other.exchange.listings.by_symbol:
            mine, theirs = (each.book(symbol.decode(), 1000) for each in (one_pass, other))
            assert (mine["bids"], mine["asks"], mine["halted"]) == (theirs["bids"], theirs["asks"], theirs["halted"])


def test_until_takes_a_time_and_what_follows_from_it(day: Day, fixsim: Fixsim) -> None:
    reader = opened(day[0])
    batch = list(reader.batches())[40]
    last = list(records(batch.view))[-1]
    moment = f"2024-01-02T10:00:{last.time_ns // 1_000_000 % 60_000 / 1000:06.3f}"
    code, out, _ = fixsim("replay", day[0], "--until", moment, "--json")
    assert code == 0
    told = json.loads(out)
    assert told["time_ns"] == last.time_ns and told["position"] == last.end
    code, _, err = fixsim("replay", day[0], "--until", "10:00:01")
    assert code == 2 and "give the date" in err


def test_the_book_then_and_how_much_was_ahead(tmp_path: Path, fixsim: Fixsim) -> None:
    stage = Recording(tmp_path)
    stage.log_on("ALPHA", "BRAVO")

    def order(name: str, number: bytes, qty: bytes, px: bytes, side: bytes = b"1") -> None:
        head = [(35, b"D"), (11, number), (55, b"AAPL"), (54, side), (60, b"20240102-10:00:00")]
        stage.say(name, [*head, (38, qty), (40, b"2"), (44, px)])
        stage.now_ns += 1_000_000_000

    order("ALPHA", b"A1", b"100", b"187.25")
    order("BRAVO", b"B1", b"30", b"187.25")
    order("BRAVO", b"B2", b"7", b"187.30")
    order("ALPHA", b"A2", b"50", b"187.25")
    order("BRAVO", b"B3", b"60", b"187.25", b"2")
    stage.close()
    code, out, _ = fixsim("replay", tmp_path, "--until", "10:00:03", "--book", "AAPL", "--order", "A2", "--json")
    told = json.loads(out)
    assert code == 0
    assert told["book"]["bids"] == [
        {"price": "187.30", "quantity": "7", "orders": 1}, {"price": "187.25", "quantity": "180", "orders": 3},
    ]  # fmt: skip
    (place,) = told["orders"]
    assert (place["session"], place["orders_ahead"], place["quantity_ahead"]) == ("ALPHA", 2, "130")
    assert (place["orders_better"], place["quantity_better"], place["orders_at_price"]) == (1, "7", 3)
    # the sell took the better price, and from the oldest
    (later,) = json.loads(fixsim("replay", tmp_path, "--order", "A2", "--session", "ALPHA", "--json")[1])["orders"]
    assert (later["orders_ahead"], later["quantity_ahead"], later["quantity_better"]) == (2, "77", "0")
    _, out, _ = fixsim("book", "AAPL", "--data-dir", tmp_path, "--until", "10:00:03")
    assert "187.30" in out and "180" in out
    code, out, _ = fixsim("replay", tmp_path, "--order", "A2")
    assert code == 0 and "older at its price" in out
    code, _, err = fixsim("replay", tmp_path, "--order", "NIX")
    assert code == 1 and "no such order" in err


def with_text(kind: int, old: bytes, new: bytes, *, skip: int = 0) -> Callable[[list[Loose]], list[Loose]]:
    """Changes the frame that has `old`, once, after `skip` others."""
    left = [skip]

    def change(loose: list[Loose]) -> list[Loose]:
        for place, (header, payload) in enumerate(loose):
            if header[1] == kind and old in payload:
                left[0] -= 1
                if left[0] == -1:
                    loose[place] = (header, reframed(payload, old, new))
        return loose

    return change


@pytest.mark.parametrize("engine", ENGINES)
def test_an_altered_report_is_named_field_by_field(engine: str, day: Day, tmp_path: Path, fixsim: Fixsim) -> None:
    forge(day[0], tmp_path, with_text(Kind.OUT, b"\x01150=F\x01", b"\x01150=4\x01", skip=5))
    mine = [record for batch in opened(tmp_path).batches() for record in records(batch.view)]
    theirs = [record for batch in opened(day[0]).batches() for record in records(batch.view)]
    (altered,) = [a for a, b in zip(mine, theirs, strict=True) if bytes(a.payload) != bytes(b.payload)]
    code, out, _ = fixsim("replay", tmp_path, "--engine", engine, "--json")
    told = json.loads(out)
    assert (code, told["verdict"], told["position"]) == (1, "different", altered.position)
    assert told["time_ns"] == altered.time_ns
    differing = {field["tag"]: (field["journal"], field["replay"]) for field in told["differences"] if field["tag"]}
    assert differing.pop(150) == ("4 (CANCELED)", "F (TRADE)")
    assert set(differing) == {10}
    code, out, _ = fixsim("replay", tmp_path, "--engine", engine)
    assert code == 1
    assert f"different at position {altered.position}" in out and "OUT ExecutionReport(8)" in out and "ExecType" in out


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("what", ["missing answer", "missing request", "invented answer", "no cause", "reordered"])
def test_whatever_is_not_what_was_said_is_found(what: str, engine: str, day: Day, tmp_path: Path, fixsim: Fixsim) -> None:
    done: list[int] = []

    def change(loose: list[Loose]) -> list[Loose]:
        reports = [at for at, (header, _) in enumerate(loose) if header[10] == b"8\0"]
        if done or len(reports) < 3:
            return loose
        done.append(loose[reports[0]][0][4])
        first, second = reports[:2]
        match what:
            case "missing answer":
                del loose[first]
            case "missing request":
                del loose[first - 1]
            case "invented answer":
                loose.insert(second, (list(loose[first][0]), loose[first][1]))
            case "reordered":
                loose[first], loose[second] = loose[second], loose[first]
            case "no cause":
                loose = [one for one in loose if one[0][1] not in INBOUND]
        return loose

    forge(day[0], tmp_path, change)
    code, out, err = fixsim("replay", tmp_path, "--engine", engine)
    assert code == 1
    assert out.startswith("different at position ") or err.startswith("fixsim: ")
    position = int((out or err).partition("position ")[2].partition(",")[0].partition(" ")[0])
    assert abs(position - done[0]) < 20_000


def test_a_flipped_bit_is_damage_with_a_position(day: Day, tmp_path: Path, fixsim: Fixsim) -> None:
    shutil.copytree(day[0], tmp_path, dirs_exist_ok=True)
    (file,) = (tmp_path / "journal").glob("*.fixj")
    octets = bytearray(file.read_bytes())
    octets[100_000] ^= 4
    file.write_bytes(octets)
    code, out, err = fixsim("replay", tmp_path)
    assert (code, out) == (1, "") and "damaged at position" in err
    code, out, err = fixsim("replay", tmp_path, "--json")
    told = json.loads(out)
    assert (code, told["verdict"]) == (1, "damaged") and f"position {told['position']}" in told["text"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--until", "yesterday"), "is no time"),
        (("--engine", "quantum"), "kernels or oracle"),
        (("--book", "NIX"), "unknown symbol"),
        (("--engine", "oracle", "--book", "NIX"), "unknown symbol"),
        (("--engine", "oracle", "--order", "X"), "kernels' books"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(arguments: tuple[str, ...], said: str, day: Day, fixsim: Fixsim) -> None:
    code, _, err = fixsim("replay", day[0], *arguments)
    assert code == 2 and said in err and err.count("\n") == 1


def test_where_there_is_nothing_to_replay(tmp_path: Path, fixsim: Fixsim, day: Day) -> None:
    assert fixsim("replay", tmp_path)[0] == 2
    code, _, err = fixsim("replay", day[0], "--until", "5")
    assert code == 1 and "up to there" in err


def test_a_running_exchange_is_replayed_as_far_as_it_is_sealed(tmp_path: Path, fixsim: Fixsim) -> None:
    stage = Recording(tmp_path)
    stage.log_on("ALPHA")
    stage.feed("ALPHA", stage.frame("ALPHA", [(35, b"1"), (112, b"unsealed")]))
    told = json.loads(fixsim("replay", tmp_path, "--json")[1])
    assert told["verdict"] == "equal" and told["inbound"] == 3
    stage.drain()
    stage.tick(stage.now_ns + DAY_NS)
    assert json.loads(fixsim("replay", tmp_path, "--json")[1])["inbound"] == 5
    assert find_standings(stage.exchange, "1") == []
    stage.close()
