"""How the oracle speaks: every reply, and every turn of an instrument, is told before anything else happens."""

from collections.abc import Callable, Iterable
from decimal import localcontext

from fixsim.reference.number import EXACT
from fixsim.reference.phases import Turn
from fixsim.reference.report import Reply


class Speaker:
    """Whoever listens sets `say` and `tell`; who does not, gets the replies when all of it has happened."""

    def __init__(self) -> None:
        #: Told each reply as it is said.
        self.say: Callable[[Reply], None] = lambda reply: None
        #: Told each turn of an instrument, with books and phases as they are at that moment.
        self.tell: Callable[[Turn], None] = lambda turn: None
        self._now_ns = 0

    def _speak(self, replies: Iterable[Reply], now_ns: int) -> list[Reply]:
        """Let it happen at `now_ns`; everything that is said."""
        self._now_ns = now_ns
        said = []
        with localcontext(EXACT):
            for reply in replies:
                self.say(reply)
                said.append(reply)
        return said
