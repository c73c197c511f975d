"""What an initiator remembers."""

from pathlib import Path

import pytest

from fixsim.client.store import FileStore, MemoryStore, Store


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return MemoryStore() if request.param == "memory" else FileStore(tmp_path / "new" / "place")


def test_a_new_store_begins_at_one(store: Store) -> None:
    assert (store.next_in, store.next_out) == (1, 1)


def test_kept_frames_are_found_by_number_in_order(store: Store) -> None:
    for seq in (1, 2, 4, 7):
        store.keep(seq, b"frame %d\n\x01" % seq)
    assert list(store.sent(2, 6)) == [(2, b"frame 2\n\x01"), (4, b"frame 4\n\x01")]


def test_a_restart_forgets_what_was_sent(store: Store) -> None:
    store.keep(1, b"frame")
    store.restart()
    assert list(store.sent(1, 9)) == []


def test_settled_counters_last(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    store.next_in, store.next_out = 5, 9
    store.settle()
    again = FileStore(tmp_path)
    assert (again.next_in, again.next_out) == (5, 9)


def test_a_number_that_was_written_is_never_given_out_again(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    store.keep(1, b"said, and then the process died before it could settle")
    assert FileStore(tmp_path).next_out == 2


@pytest.mark.parametrize("cut", [1, 5, 30, 44, 45, 46])
def test_a_torn_end_is_cut(tmp_path: Path, cut: int) -> None:
    store = FileStore(tmp_path)
    store.keep(1, b"whole")
    store.keep(2, b"torn!")
    torn = tmp_path / "sent"
    torn.write_bytes(torn.read_bytes()[:-cut])
    again = FileStore(tmp_path)
    assert list(again.sent(1, 9)) == [(1, b"whole")]
    again.keep(2, b"anew")
    assert list(FileStore(tmp_path).sent(1, 9)) == [(1, b"whole"), (2, b"anew")]
