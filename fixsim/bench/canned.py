"""An acceptor that knows nothing: it steps over what it gets and answers each order at once with the same report.

    python -m fixsim.bench.canned [--port 0]

No session, no checks, no book, no journal: sockets, a copy, a checksum. It is written with the client's own means, so that both
pay the same for a system call. Prints `canned ready PORT`.
"""

import argparse
import contextlib
import selectors
import socket
from typing import Final

import numpy as np
import numpy.typing as npt

from fixsim.bench.frames import ID_BYTES, put_number
from fixsim.bench.load import message_end, recv, send
from fixsim.engine.jit import kernel
from fixsim.fix.codec import encode
from fixsim.fix.message import Field

SOH = 1
BUFFER_BYTES: Final = 1 << 18
#: What every order is told; ClOrdID and MsgSeqNum are filled in, all of one length.
BODY: Final = (
    b"37=00000001|11=O00000000|17=00000001|150=0|39=0|55=SYM000|54=1|38=100|40=2|44=100.00|59=0|151=100|14=0|6=0|"
    b"60=20260101-12:00:00.000"
)
SEQ_DIGITS = 9


def template(venue: bytes, name: bytes) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """A report to `name`, and where in it the values of 34, 11, 150 and 10 begin."""
    fields: list[Field] = [(int(tag), value) for tag, _, value in (pair.partition(b"=") for pair in BODY.split(b"|"))]
    header: list[Field] = [(49, venue), (56, name), (34, b"0" * SEQ_DIGITS), (52, b"20260101-12:00:00.000")]
    text = encode(b"8", header, fields)
    places = [text.index(mark) + len(mark) for mark in (b"\x0134=", b"\x0111=", b"\x01150=", b"\x0110=")]
    return np.frombuffer(text, np.uint8).copy(), np.array(places, np.int64)


@kernel
def value_at(octets, at, end, tens, ones):
    """Offset of the value of a tag of two digits in the message at `at`, 0 when it has none."""
    i = at + 12
    while i < end - 3:
        if octets[i] == SOH and octets[i + 1] == tens and octets[i + 2] == ones and octets[i + 3] == 61:
            return i + 4
        i += 1
    return np.int64(0)


@kernel
def put_sum(out, at, value, digits):
    """`value` as so many digits; their sum with its sign changed."""
    total = np.int64(0)
    for i in range(at + digits - 1, at - 1, -1):
        out[i] = 48 + value % 10
        total -= 48 + value % 10
        value //= 10
    return total


@kernel
def turn(fd, row, inbox, outbox, size, base, places):
    """Read once, answer each whole order, write it all. Returns bytes read, 0 at the end, below 0 for none.

    `row` is [bytes kept in `inbox`, last MsgSeqNum]; `outbox` is full of reports of `size` bytes, `base` is the sum of those
    bytes of one that stay.
    """
    count = recv(np.int32(fd), inbox.ctypes.data + row[0], inbox.size - row[0], np.int32(0))
    if count <= 0:
        return count
    filled, at, out = row[0] + count, np.int64(0), np.int64(0)
    while True:
        end = message_end(inbox, at, filled)
        if end == 0:
            break
        found = value_at(inbox, at, end, 49, 49)
        if found > 0:
            row[1] += 1
            total = base - put_sum(outbox, out + places[0], row[1], SEQ_DIGITS)
            for k in range(ID_BYTES):
                outbox[out + places[1] + k] = inbox[found + k]
                total += inbox[found + k]
            kind = 52 if inbox[value_at(inbox, at, end, 51, 53)] == 70 else 48
            outbox[out + places[2]] = kind
            put_number(outbox, out + places[3], (total + kind) & 255, 3)
            out += size
        at = end
    for k in range(filled - at):
        inbox[k] = inbox[at + k]
    row[0] = filled - at
    done = np.int64(0)
    while done < out:
        taken = send(np.int32(fd), outbox.ctypes.data + done, out - done, np.int32(0))
        if taken > 0:
            done += taken
    return count


class Line:
    """One connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.row: npt.NDArray[np.int64] = np.array([0, 1], np.int64)
        self.inbox: npt.NDArray[np.uint8] = np.zeros(BUFFER_BYTES, np.uint8)
        text, self.places = self._greet()
        self.size = len(text)
        #: No order is shorter than 64 bytes, so a full inbox has no more than this many.
        self.outbox = np.tile(text, BUFFER_BYTES // 64)
        filled = [(self.places[0], SEQ_DIGITS), (self.places[1], ID_BYTES), (self.places[2], 1)]
        self.base = int(text[: self.places[3] - 3].sum()) - sum(int(text[at : at + count].sum()) for at, count in filled)

    def _greet(self) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
        """Answer the Logon."""
        got = b""
        while message_end(np.frombuffer(got, np.uint8), 0, len(got)) == 0:
            got += self.connection.recv(4_096)
        values = dict(pair.split(b"=", 1) for pair in got.rstrip(b"\x01").split(b"\x01"))
        names = (values[b"56"], values[b"49"])
        header: list[Field] = [(49, names[0]), (56, names[1]), (34, b"1"), (52, values[b"52"])]
        self.connection.sendall(encode(b"A", header, [(98, b"0"), (108, values[b"108"])]))
        self.connection.setblocking(False)
        return template(*names)

    def answer(self) -> bool:
        """One turn; False when the other side is gone."""
        count = turn(self.connection.fileno(), self.row, self.inbox, self.outbox, self.size, self.base, self.places)
        return bool(count != 0)


def warm_up() -> None:
    """Compile `turn`, or fetch it."""
    here, there = socket.socketpair()
    with here, there:
        there.sendall(encode(b"A", [(49, b"A"), (56, b"B"), (34, b"1"), (52, b"0")], [(98, b"0"), (108, b"0")]))
        line = Line(here)
        there.sendall(encode(b"D", [(49, b"A"), (56, b"B"), (34, b"2"), (52, b"0")], [(11, b"O00000000")]))
        line.answer()


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    asked = parser.parse_args()
    warm_up()
    with socket.create_server(("127.0.0.1", asked.port), backlog=1_024) as listener, selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ, None)
        # told by the one way a command speaks; this module is a program, not a room that talks
        with open(1, "w", closefd=False) as out:
            out.write(f"canned ready {listener.getsockname()[1]}\n")
        while True:
            for key, _ in selector.select():
                if key.data is None:
                    connection = listener.accept()[0]
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    line = Line(connection)
                    selector.register(line.connection, selectors.EVENT_READ, line)
                elif not key.data.answer():
                    selector.unregister(key.data.connection)
                    key.data.connection.close()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
