"""When something must be said or given up: the deadlines of one conversation, in nanoseconds of the clock
that is passed in.
"""

from typing import Final

from fixsim.session.profile import SessionProfile
from fixsim.units import NS_PER_S

#: No deadline: later than any time.
NEVER: Final = 2**63 - 1


def span_ns(seconds: float) -> int:
    """A configured duration as ns."""
    return int(seconds * NS_PER_S)


class Timers:
    """Heartbeat, test request and silence (FIX 4.4 volume 2, Heartbeat and TestRequest), and one deadline for
    an answer.

    `answer_ns` is when a Logon or Logout that is waited for counts as not coming.
    """

    __slots__ = (
        "_beat_ns",
        "_grace_ns",
        "_profile",
        "_test_ns",
        "_tested_ns",
        "answer_ns",
        "heard_ns",
        "said_ns",
    )

    def __init__(self, profile: SessionProfile) -> None:
        self._profile = profile
        self.stop()

    def adopt(self, profile: SessionProfile) -> None:
        """Other settings, from the next Logon on."""
        self._profile = profile

    def stop(self) -> None:
        """No deadline at all."""
        #: HeartBtInt(108), silence until TestRequest, and silence after it until the peer is given up; 0
        #: without heartbeats.
        self._beat_ns = self._test_ns = self._grace_ns = 0
        self.heard_ns = self.said_ns = 0
        #: When TestRequest was said, NEVER when none is open.
        self._tested_ns = NEVER
        self.answer_ns = NEVER

    def wait_for_answer(self, timeout_s: float, now_ns: int) -> None:
        """Nothing but the awaited answer counts, until `timeout_s` have passed."""
        self.stop()
        self.answer_ns = now_ns + span_ns(timeout_s)

    def beat(self, interval_s: int, now_ns: int) -> None:
        """Logged on with HeartBtInt(108) = `interval_s`; 0 means no heartbeats, and silence is no fault."""
        self.stop()
        profile = self._profile
        self._beat_ns = span_ns(interval_s)
        self._test_ns = span_ns(interval_s * profile.test_request_after)
        self._grace_ns = span_ns(interval_s * profile.disconnect_after) - self._test_ns
        self.heard_ns = self.said_ns = now_ns

    def heard(self, now_ns: int) -> None:
        """A well-formed frame of the peer came."""
        self.heard_ns = now_ns
        self._tested_ns = NEVER

    def tested(self, now_ns: int) -> None:
        """TestRequest was said: the peer is given up if it stays silent from here on, however late this
        was.
        """
        self._tested_ns = now_ns

    def heartbeat_ns(self) -> int:
        """When we give a sign of life."""
        return self.said_ns + self._beat_ns if self._beat_ns else NEVER

    def test_request_ns(self) -> int:
        """When the peer is asked for a sign of life, once per silence."""
        return self.heard_ns + self._test_ns if self._beat_ns and self._tested_ns == NEVER else NEVER

    def give_up_ns(self) -> int:
        """When the peer's silence ends the conversation."""
        return self._tested_ns + self._grace_ns if self._tested_ns != NEVER else NEVER

    def next_ns(self) -> int:
        """The earliest of all of them."""
        if not self._beat_ns:
            return self.answer_ns
        return min(self.answer_ns, self.heartbeat_ns(), self.test_request_ns(), self.give_up_ns())
