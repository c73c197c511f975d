"""Venue time goes on, whatever the wall clock does."""

from fixsim.gateway.clock import SLEW_PPM_MAX, Clock

SECOND = 1_000_000_000


class Hands:
    """Both clocks of a machine, moved by the test."""

    def __init__(self) -> None:
        self.wall, self.monotonic = 1_700_000_000 * SECOND, 5 * SECOND

    def clock(self, not_before_ns: int = 0) -> Clock:
        return Clock(not_before_ns, lambda: self.wall, lambda: self.monotonic)

    def pass_ns(self, elapsed: int) -> None:
        self.wall += elapsed
        self.monotonic += elapsed


def test_it_begins_at_wall_time_and_follows_the_monotonic_clock() -> None:
    hands = Hands()
    clock = hands.clock()
    begin = clock.now_ns()
    assert begin == hands.wall
    hands.pass_ns(250_000)
    assert clock.now_ns() == begin + 250_000


def test_it_never_begins_before_the_journal_ended() -> None:
    hands = Hands()
    assert hands.clock(hands.wall + SECOND).now_ns() == hands.wall + SECOND


def test_a_wall_clock_that_jumps_back_is_followed_slowly_and_time_never_goes_back() -> None:
    hands = Hands()
    clock = hands.clock()
    hands.wall -= 3_600 * SECOND
    last = clock.now_ns()
    for _ in range(1_000):
        hands.pass_ns(SECOND // 10)
        now = clock.now_ns()
        assert 0 < now - last <= SECOND // 10
        assert now - last >= SECOND // 10 * (1_000_000 - SLEW_PPM_MAX - 1) // 1_000_000
        last = now


def test_a_small_difference_is_taken_back_completely() -> None:
    hands = Hands()
    clock = hands.clock()
    hands.wall += 2_000_000  # 2 ms: four seconds at 500 ppm
    for _ in range(100):
        hands.pass_ns(SECOND // 10)
        clock.now_ns()
    assert abs(clock.now_ns() - hands.wall) < 1_000
