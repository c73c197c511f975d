"""Pages of counters: a place for everything, buckets an HDR histogram knows, and readers that see whole values."""

import mmap
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st

from fixsim.feed import page
from fixsim.feed.mapped import PageError, PageReader, PageWriter, is_alive
from fixsim.feed.page import COUNTERS, HEADER, SHIPPING, SIGNIFICANT_DIGITS, SLOTS, VALUE_MAX, slot_of, value_of, word_of

HDR = HdrHistogram(1, VALUE_MAX, SIGNIFICANT_DIGITS)


def test_our_buckets_are_those_of_the_library() -> None:
    assert HDR.counts_len == SLOTS
    for slot in range(SLOTS):
        assert value_of(slot) == HDR.get_value_from_index(slot)


@given(st.one_of(st.integers(0, VALUE_MAX), st.integers(0, 36).map(lambda bits: (1 << bits) - 1)))
def test_a_value_falls_where_the_library_puts_it(value: int) -> None:
    assert slot_of(value) == HDR._counts_index_for(value)
    assert value_of(slot_of(value)) <= value


@pytest.mark.parametrize(("value", "counted"), [(-1, 0), (VALUE_MAX + 1, VALUE_MAX), (1 << 62, VALUE_MAX)])
def test_a_value_out_of_range_counts_as_the_nearest(value: int, counted: int) -> None:
    assert slot_of(value) == slot_of(counted)


def test_a_place_is_where_numpy_has_it() -> None:
    words = np.zeros(COUNTERS.itemsize // 8, np.int64)
    row = words.view(COUNTERS)[0]
    words[word_of(COUNTERS, "rejects") + 33] = 4
    words[word_of(COUNTERS, "stages", 2, "counts") + 5] = 6
    words[word_of(COUNTERS, "header", "pid")] = 7
    assert (row["rejects"][1, 1], row["stages"][2]["counts"][5], row["header"]["pid"]) == (4, 6, 7)


def test_another_layout_has_another_digest() -> None:
    assert page.digest_of(COUNTERS) != page.digest_of(SHIPPING)
    assert page.digest_of(np.dtype(COUNTERS.descr[:-1])) != page.digest_of(COUNTERS)
    renamed = np.dtype([("headers", HEADER), *COUNTERS.descr[1:]])
    assert page.digest_of(renamed) != page.digest_of(COUNTERS)


def test_a_reader_sees_what_a_writer_in_another_process_writes(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from fixsim.feed.mapped import PageWriter; from fixsim.feed.page import *\n"
        "page = PageWriter(Path(sys.argv[1]), COUNTERS, 5); page.view[word_of(COUNTERS, 'orders')] += 3; page.touch(9)\n"
        "print(flush=True); sys.stdin.readline(); page.row['trades'] = 2; print(flush=True); sys.stdin.readline()\n"
        "sys.argv[2] == 'closed' and page.close(11)"
    )
    reader = PageReader(tmp_path / "page", COUNTERS)
    for ending in ("closed", "lost"):
        command = [sys.executable, "-c", program, str(tmp_path / "page"), ending]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as child:
            assert child.stdout is not None and child.stdin is not None
            child.stdout.readline()
            row = reader.read()
            header = row["header"]
            assert (header["pid"], header["started_ns"], header["updated_ns"]) == (child.pid, 5, 9)
            assert (row["orders"], row["trades"]) == (3, 0)
            child.stdin.write(b"\n")
            child.stdout.readline()
            assert reader.read()["trades"] == 2
            child.stdin.write(b"\n")
        assert not is_alive(child.pid)
        if ending == "closed":
            assert (reader.read()["trades"], reader.read()["header"]["ended_ns"]) == (2, 11)


def test_what_a_dead_writer_leaves_is_no_page(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from fixsim.feed.mapped import PageWriter; from fixsim.feed.page import *\n"
        "PageWriter(Path(sys.argv[1]), SHIPPING, 5); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "page")], check=False)
    if (tmp_path / "page").is_symlink():  # where the system has no such files the page outlives its writer
        with pytest.raises(PageError, match="no running exchange"):
            PageReader(tmp_path / "page", SHIPPING).read()
    else:
        assert not is_alive(int(PageReader(tmp_path / "page", SHIPPING).read()["header"]["pid"]))


def test_a_page_that_is_replaced_is_followed_and_the_old_one_stays_whole(tmp_path: Path) -> None:
    first = PageWriter(tmp_path / "page", SHIPPING, 1)
    reader = PageReader(tmp_path / "page", SHIPPING)
    assert reader.read()["header"]["started_ns"] == 1
    second = PageWriter(tmp_path / "page", SHIPPING, 2)
    first.row["messages"] = 7  # nobody sees it, and nothing breaks
    assert reader.read()["header"]["started_ns"] == 2
    assert reader.read()["messages"] == 0
    second.close()
    second.close()


@pytest.mark.parametrize("content", [b"", b"x" * SHIPPING.itemsize, b"x" * 100])
def test_what_is_no_page_is_refused_in_words(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "page").write_bytes(content)
    with pytest.raises(PageError, match="page"):
        PageReader(tmp_path / "page", SHIPPING).read()


def test_a_page_of_another_release_is_refused(tmp_path: Path) -> None:
    writer = PageWriter(tmp_path / "page", SHIPPING, 1)
    writer.row["header"]["digest"] += 1
    with pytest.raises(PageError, match="another release"):
        PageReader(tmp_path / "page", SHIPPING).read()
    writer.close()


def test_a_link_that_leads_to_something_else_is_not_read(tmp_path: Path) -> None:
    here, there = os.pipe()
    (tmp_path / "page").symlink_to(f"/dev/fd/{here}")
    with pytest.raises(PageError):
        PageReader(tmp_path / "page", SHIPPING).read()
    os.close(here)
    os.close(there)


def test_no_page_is_told_in_words(tmp_path: Path) -> None:
    with pytest.raises(PageError, match=str(tmp_path)):
        PageReader(tmp_path / "page", COUNTERS).read()


def test_values_are_whole_while_they_are_written(tmp_path: Path) -> None:
    """A value of equal halves, written as fast as can be: every reading must have equal halves."""
    writer = PageWriter(tmp_path / "page", SHIPPING, 1)
    halves = np.array([0x5A5A5A5A5A5A5A5A, 0x2525252525252525], np.int64)
    place = word_of(SHIPPING, "messages")
    ending = threading.Event()

    def write() -> None:
        while not ending.is_set():
            for value in halves.tolist() * 1_000:
                writer.view[place] = value

    thread = threading.Thread(target=write)
    thread.start()
    reader, seen = PageReader(tmp_path / "page", SHIPPING), set()
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline:
        seen.add(int(reader.read()["messages"]))
    ending.set()
    thread.join()
    assert seen - {0} == set(halves.tolist())


def test_the_page_is_mapped_and_not_copied(tmp_path: Path) -> None:
    writer = PageWriter(tmp_path / "page", SHIPPING, 1)
    with open(tmp_path / "page", "rb") as file:
        mapped = mmap.mmap(file.fileno(), SHIPPING.itemsize, access=mmap.ACCESS_READ)
    writer.row["transactions"] = 4
    assert np.frombuffer(mapped, SHIPPING)[0]["transactions"] == 4
