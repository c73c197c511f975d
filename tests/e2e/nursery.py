"""A process that has imported everything and has every kernel ready, and forks an exchange whenever it is told to.

What `fixsim serve` costs at a start is importing numba and fetching kernels; what the tests want hundreds of times is the
rest. A line of JSON on standard input is the command line of one `fixsim`; the fork runs it to its end as `main` would, on
the same standard output. `ended CODE` is printed when it has ended; the end of standard input kills it.
"""

import json
import os
import select
import signal
import sys

#: How often a running fork is looked at, s.
LOOK_S = 0.005


def prepare() -> None:
    """Import what `serve` imports, and have the kernels in memory."""
    from fixsim.cli import serve
    from fixsim.exchange import opening
    from fixsim.gateway import server, venue, warmup

    assert serve and opening and server and venue
    warmup.compile_kernels(lambda line: print(line, file=sys.stderr))


def become(arguments: list[str]) -> None:
    """In the fork: be `fixsim` with these arguments."""
    from fixsim.cli.main import main

    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    main(arguments)


def attend(pid: int) -> bool:
    """Wait for the fork's end and tell it; False when nobody wants anything any more."""
    wanted = True
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            print(f"ended {os.waitstatus_to_exitcode(status)}", flush=True)
            return wanted
        if wanted and select.select([0], [], [], LOOK_S)[0]:
            assert os.read(0, 1) == b"", "one exchange at a time"
            os.kill(pid, signal.SIGKILL)
            wanted = False


def attend_all() -> None:
    """Fork as told until standard input ends."""
    line = b""
    while octet := os.read(0, 1):
        line += octet
        if octet != b"\n":
            continue
        pid = os.fork()
        if pid == 0:
            become(json.loads(line))
            sys.exit(0)
        print(f"born {pid}", flush=True)
        line = b""
        if not attend(pid):
            return


if __name__ == "__main__":
    prepare()
    print("nursery ready", flush=True)
    attend_all()
