"""What is missing from the peer, and what came too early (FIX 4.4 volume 2, message recovery).

Early messages are kept by token, unread, until their turn comes. A gap is asked for once; again only when the
answer turned out to have a hole, when further messages are missing after it was filled, or when it stands
still: a peer that never fills it is asked at the pace of `resend_timeout_s`, never at the pace of its
messages.
"""

from typing import Final

from fixsim.session.profile import SessionProfile
from fixsim.session.timers import NEVER, span_ns

#: Kept in place of a token: this message was dealt with when it came, only its number is still to be counted.
DEALT_WITH: Final = -1


class Gap:
    """One hole, or several, between `next_in` and the highest message that came."""

    __slots__ = ("_asked_from", "_asked_to", "_early", "_early_max", "_timeout_ns", "chunk", "retry_ns")

    def __init__(self, profile: SessionProfile) -> None:
        self._early: dict[int, int] = {}
        self.adopt(profile)
        self.clear()

    def adopt(self, profile: SessionProfile) -> None:
        """Other settings; what is kept stays kept."""
        self._early_max = profile.early_messages_max
        self._timeout_ns = span_ns(profile.resend_timeout_s)
        self.chunk = profile.resend_chunk

    def clear(self) -> None:
        """Nothing is missing."""
        self._early.clear()
        #: First and last missing number of the request that is open; 0 when there is none.
        self._asked_from = self._asked_to = 0
        #: When the request is said again if nothing moves.
        self.retry_ns = NEVER

    def keep(self, number: int, token: int) -> None:
        """Keep the message `number`, which came too early; what does not fit is asked for again later."""
        if len(self._early) < self._early_max:
            self._early.setdefault(number, token)

    def must_ask(self, next_in: int, poss_dup: bool) -> bool:
        """Whether a message that came too early is reason to ask.

        A resent message (PossDup) that is too early shows a hole in the answer itself: worth another request,
        but only after some progress, or a peer that never fills the hole would be asked forever.
        """
        return next_in > self._asked_to or (poss_dup and next_in > self._asked_from)

    def asked(self, next_in: int, missing_to: int, now_ns: int) -> None:
        """The numbers `next_in` to `missing_to` are now expected to be resent."""
        self._asked_from, self._asked_to = next_in, max(missing_to, self._asked_to)
        self.retry_ns = now_ns + self._timeout_ns

    def end_of_request(self, next_in: int) -> int:
        """EndSeqNo(16) for a request that begins at `next_in`: 0, or the end of the chunk."""
        return min(next_in + self.chunk - 1, self._asked_to) if self.chunk else 0

    def next_chunk_due(self, next_in: int) -> bool:
        """Whether the last chunk came whole and more is missing."""
        return bool(self.chunk) and self._asked_from + self.chunk <= next_in <= self._asked_to

    def tokens(self) -> list[int]:
        """Of the messages that are kept, unread."""
        return [token for token in self._early.values() if token != DEALT_WITH]

    def skip_dealt_with(self, next_in: int) -> int:
        """The first number from `next_in` on that still has to be read."""
        early = self._early
        while early.get(next_in) == DEALT_WITH:
            del early[next_in]
            next_in += 1
        return next_in

    def forget_below(self, next_in: int) -> None:
        """The counter jumped to `next_in`: what was kept below it is of no use."""
        self._early = {number: token for number, token in self._early.items() if number >= next_in}

    def take(self, number: int) -> int | None:
        """The token of the kept message `number`, which is given up here; None if it is not kept."""
        return self._early.pop(number, None)

    def progressed(self, now_ns: int) -> None:
        """A missing message came: the request is alive."""
        self.retry_ns = now_ns + self._timeout_ns

    def is_closed(self, next_in: int) -> bool:
        """Whether nothing is missing any more, as far as anybody knows."""
        return next_in > self._asked_to and not self._early

    def missing_to(self, next_in: int) -> int:
        """Last number known to be missing in front of the first kept message, at least `next_in`."""
        return max(min(self._early, default=0) - 1, self._asked_to, next_in)
