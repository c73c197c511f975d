"""ResendRequest ranges, the plan of an answer, and when a gap is asked for."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixsim.errors import SessionRejection
from fixsim.fix.message import Message
from fixsim.session.gap import DEALT_WITH, Gap
from fixsim.session.resend import Again, Fill, plan, requested_range
from session.making import profile

TYPES = st.lists(st.sampled_from([b"0", b"1", b"2", b"3", b"4", b"5", b"A", b"8", b"9", b"j", None]), max_size=40)


@pytest.mark.parametrize(
    ("begin", "end", "expected"),
    [
        (b"1", b"0", (1, 9)),
        (b"4", b"6", (4, 6)),
        (b"9", b"9", (9, 9)),
        (b"2", b"100", (2, 9)),
        (b"10", b"0", (10, 9)),
    ],
)
def test_a_range_is_cut_at_the_last_message_said(begin: bytes, end: bytes, expected: tuple[int, int]) -> None:
    assert requested_range(Message([(35, b"2"), (7, begin), (16, end)]), 9) == expected


@pytest.mark.parametrize(
    ("begin", "end", "ref_tag"),
    [(b"0", b"0", 7), (b"-1", b"0", 7), (b"11", b"0", 7), (b"5", b"4", 16), (b"5", b"-4", 16)],
)
def test_a_range_that_cannot_be_is_refused(begin: bytes, end: bytes, ref_tag: int) -> None:
    refusal = requested_range(Message([(35, b"2"), (7, begin), (16, end)]), 9)
    assert isinstance(refusal, SessionRejection)
    assert (refusal.reason, refusal.ref_tag) == (5, ref_tag)


@pytest.mark.parametrize("tag", [7, 16])
def test_a_range_needs_both_ends_even_without_validation(tag: int) -> None:
    fields = [(35, b"2"), (7, b"1"), (16, b"0")]
    refusal = requested_range(Message([field for field in fields if field[0] != tag]), 9)
    assert isinstance(refusal, SessionRejection)
    assert (refusal.reason, refusal.ref_tag) == (1, tag)


@given(TYPES, st.integers(1, 5))
def test_a_plan_covers_every_number_once_and_in_order(types: list[bytes | None], begin: int) -> None:
    stored = dict(enumerate(types, 1))
    covered: list[int] = []
    for step in plan(begin, len(types), stored.get):
        if isinstance(step, Again):
            assert stored[step.number] in (b"8", b"9", b"j")
            covered.append(step.number)
        else:
            run = range(step.number, step.new_seq_no)
            assert run
            assert not {stored[number] for number in run} & {b"8", b"9", b"j"}
            covered += run
    assert covered == list(range(begin, len(types) + 1))


@given(TYPES)
def test_a_plan_fills_each_run_at_once(types: list[bytes | None]) -> None:
    steps = list(plan(1, len(types), dict(enumerate(types, 1)).get))
    assert not any(isinstance(first, Fill) and isinstance(second, Fill) for first, second in itertools.pairwise(steps))


def test_a_gap_is_asked_for_once() -> None:
    gap = Gap(profile())
    assert gap.must_ask(2, poss_dup=False)
    gap.asked(2, 4, 0)
    gap.keep(5, 50)
    assert not gap.must_ask(2, poss_dup=False)
    assert not gap.must_ask(4, poss_dup=False)
    assert gap.must_ask(5, poss_dup=False)


def test_a_hole_in_the_answer_is_asked_for_after_progress_only() -> None:
    gap = Gap(profile())
    gap.asked(2, 8, 0)
    assert not gap.must_ask(2, poss_dup=True)
    assert gap.must_ask(3, poss_dup=True)
    gap.asked(3, 3, 0)
    assert not gap.must_ask(3, poss_dup=True)


def test_messages_that_were_dealt_with_are_skipped() -> None:
    gap = Gap(profile())
    for number, token in ((3, DEALT_WITH), (4, DEALT_WITH), (5, 50)):
        gap.keep(number, token)
    assert gap.skip_dealt_with(2) == 2
    assert gap.skip_dealt_with(3) == 5
    assert gap.take(5) == 50
    assert gap.is_closed(6)


def test_the_first_copy_of_an_early_message_is_kept() -> None:
    gap = Gap(profile())
    gap.keep(5, 50)
    gap.keep(5, 51)
    assert gap.take(5) == 50
