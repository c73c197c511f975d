"""What ends a reader: a signal, a word on the pipe from the exchange, or the end of that pipe.

`finish` means: take what is sealed, then leave. Its end without that word means that the exchange is dead: leave at once.
A terminal or a file on standard input is no lifeline.
"""

import os
import select
import signal
import stat
from typing import Final

STDIN: Final = 0
FINISH: Final = b"finish"


class Lifeline:
    """Looked at now and then; nothing happens in between."""

    def __init__(self) -> None:
        self.is_pipe = stat.S_ISFIFO(os.fstat(STDIN).st_mode)
        #: Somebody waits for us to take what is sealed, and to leave then.
        self.finishing = False
        #: Leave now.
        self.cut = False
        self._heard_end = False

    def watch_signals(self) -> None:
        """SIGTERM and SIGINT cut it; called from the main thread."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: setattr(self, "cut", True))

    def let_go_of_signals(self) -> None:
        """They mean what they meant before."""
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def listen(self) -> None:
        """Look whether the exchange has said something."""
        if not self.is_pipe or self._heard_end or not select.select([STDIN], [], [], 0)[0]:
            return
        word = os.read(STDIN, 64)
        if word.startswith(FINISH):
            self.finishing = True
        elif not word:
            self._heard_end = True
            self.cut = self.cut or not self.finishing
