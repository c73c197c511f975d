"""The world in a box: exchange, journal, shipper, operators and counterparties in one process, under one seed.

The exchange is the real one, as `fixsim serve` runs it: `gateway.server.Server` with its street, lobby, acceptor and control
socket, recovery and journal. Only what is the operating system's is simulated: clock, sockets, poller, disk. A `World` lives
through a plan of faults that its seed makes up; after every turn `invariants` looks at it. In the end the faults stop, and
everybody must come to rest and agree.
"""

import errno
import json
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

from exchange.stage import INSTRUMENTS
from flows import Composer

from fixsim.config import Capacities, Config, Counterparty, JournalSettings, Venue
from fixsim.errors import JournalCorrupt, JournalError
from fixsim.exchange.digest import state_digest
from fixsim.exchange.exchange import Exchange
from fixsim.exchange.opening import Opened, open_venue
from fixsim.gateway.clock import Clock
from fixsim.gateway.server import Server
from fixsim.journal.segments import journal_directory
from fixsim.journal.writer import Writer
from fixsim.layout import NEVER, NIL
from fixsim.units import parse_utc_timestamp
from simulation import invariants
from simulation.disk import Killed, SimulatedDisk
from simulation.network import MS, Agenda, Listener, Pipe, Poller, Socket
from simulation.reader import Shade, Shipper
from simulation.scribe import Scribe, Stream
from simulation.trader import SECOND, Trader, Wire

START_NS = parse_utc_timestamp(b"20240102-10:00:00.000") or 0
#: Segments so small that a world fills several.
SEGMENTS = {"segment_bytes": 64 << 10, "batch_bytes": 40 << 10, "tail_bytes": 8 << 10}
NAMES = ("ALPHA", "BRAVO", "CHARLIE", "DELTA")
#: How likely something happens in front of a turn.
FAULT_RATE = 0.1
#: One world in so many is judged by the plain-Python exchange as well.
OPINION_EACH = 3
#: How long after the last fault everybody may take to come to rest.
REST_NS = 90 * SECOND


class Deaf:
    """Stands for what only counts or only wakes."""

    wait_ns_max = NEVER
    fd = -1

    def __init__(self, *_: Any) -> None:
        pass

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *_args, **_named: []


class Life:
    """One process of the exchange, from its start to its death."""

    def __init__(self, world: "World", opened: Opened) -> None:
        self.opened, self.exchange = opened, opened.exchange
        self.listener = Listener(world.next_fd())
        self.desk = Listener(world.next_fd())
        world.lines |= {self.listener.fileno(): self.listener, self.desk.fileno(): self.desk}
        clock = Clock(opened.exchange.tape.now_ns, world.wall_ns, lambda: world.agenda.now_ns)
        listener: Any = self.listener
        with ExitStack() as parts:
            parts.enter_context(
                patch.multiple(
                    "fixsim.gateway.server", Meter=Deaf, Waker=Deaf, Verifier=Deaf,
                    Poller=lambda: Poller(world.agenda, world.lines.get),
                )
            )  # fmt: skip
            parts.enter_context(patch.multiple("fixsim.gateway.control", _listen=lambda _: self.desk))
            self.server = Server(opened, clock, listener, None, world.directory)
        self.server.open()


class World:
    """Everything there is, under `seed`."""

    def __init__(self, seed: int, directory: Path, durability: str | None = None) -> None:
        self.seed, self.directory = seed, directory
        self.chance = Random(seed)
        self.agenda = Agenda(START_NS)
        self.durability = durability or self.chance.choice(("os", "sync"))
        self.scribe = Scribe()
        self.disk = SimulatedDisk(Random(seed + 1), self._wrote, self._synced)
        self.lines: dict[int, Any] = {}
        self._fd = 1_000
        self._wall_shift_ns = 0
        self.life: Life | None = None
        self.streams: dict[int, Stream] = {}
        #: Digest after each batch of this life, by the position behind it; and what recovery came to.
        self.digests: dict[int, str] = {}
        self.recovered = ""
        self.wires: list[tuple[Trader, Wire]] = []
        names = NAMES[: self.chance.randint(2, len(NAMES))]
        composer = Composer(names)
        self.traders = [Trader(name, composer, self.agenda, Random(f"{seed}-{name}"), self._dial) for name in names]
        self.shipper = Shipper(journal_directory(directory), Random(seed + 2))
        #: Highest number expected so far, by session id and run.
        self.highest_in: dict[tuple[int, int], int] = {}
        self.shade = Shade(directory)
        #: Starts that began with a snapshot.
        self.restored = 0
        self.deaths = self.turns = self.commands = self.looked_at = 0
        self.calm = False
        #: Lines of operators that have heard something.
        self.answered: set[int] = set()

    @property
    def config(self) -> Config:
        """A small venue for everybody."""
        return Config(
            venue=Venue(logon_timeout_s=2.0, logout_timeout_s=1.0, stalled_reader_timeout_s=3.0),
            instruments=INSTRUMENTS,
            counterparties=(Counterparty("*"),),
            capacities=Capacities(orders=2_048, sessions=8, instruments=8, price_levels=256, clordid_memory=4_096, greetings=8),
            journal=JournalSettings(durability=self.durability),
        )

    def next_fd(self) -> int:
        """A descriptor nobody had."""
        self._fd += 1
        return self._fd

    def wall_ns(self) -> int:
        """What the wall clock shows: it may jump when the exchange is down."""
        return self._wall_shift_ns + self.agenda.now_ns

    # ------------------------------------------------------------ the disk tells

    def _wrote(self, path: Path, offset: int, octets: bytes) -> None:
        self.scribe.wrote(int(path.name[:20]), offset, octets)

    def _synced(self) -> None:
        self.scribe.safe = self.scribe.story.end

    @property
    def limit(self) -> int:
        """Position in front of which everything may be said."""
        return self.scribe.safe if self.durability == "sync" else self.scribe.story.end

    # ------------------------------------------------------------ the exchange's lives

    def _open_writer(self, directory: Path, **settings: Any) -> Writer:
        writer = Writer.open(directory, **{**settings, **SEGMENTS}, disk=self.disk)
        self._check_the_end(writer.position)
        return writer

    def be_born(self) -> None:
        """Start the exchange on what the disk holds; what it came to is what it was."""
        starting = Exchange.start

        def start(exchange: Exchange, payload: bytes, now_ns: int) -> None:
            self.recovered = state_digest(exchange)
            starting(exchange, payload, now_ns)

        writers: Any = type("Writers", (), {"open": staticmethod(self._open_writer)})
        with patch("fixsim.exchange.opening.Writer", writers), patch.object(Exchange, "start", start):
            end = self.scribe.story.end
            opened = open_venue(self.config, self.directory, self.wall_ns())
        if end in self.digests:
            assert self.recovered == self.digests[end], f"recovery of {end} bytes came to another state"
        self.restored += opened.snapshot != NIL
        self.digests.clear()
        self.streams.clear()
        self.looked_at = 0
        appending = opened.writer.append

        def append(*batch: Any) -> int:
            position = appending(*batch)
            self.digests[position] = state_digest(opened.exchange)
            return position

        opened.writer.append = append  # type: ignore[method-assign]
        self.life = Life(self, opened)

    def _check_the_end(self, end: int) -> None:
        """Behind what is sealed nothing is left of what was not."""
        last = max(journal_directory(self.directory).glob("*.fixj"))
        rest = last.read_bytes()[end - int(last.name[:20]) :]
        assert not rest.strip(b"\0"), f"something unsealed was left behind {end}"

    def die(self, power: bool, floor: int | None = None) -> None:
        """The exchange is gone. Its sockets end; after a power cut the machine is gone, too. What was sealed in front of
        `floor` must be found again: everything, or what was safe.
        """
        self.deaths += 1
        if floor is None:
            floor = self.scribe.safe if power else self.scribe.story.end
        for line in list(self.lines.values()):
            if isinstance(line, Socket):
                self._drop(line)
        self.lines.clear()
        self.life = None
        if power:
            self.shipper.die()
            self.disk.lose_power()
        else:
            self.disk.let_go()
        self.look_at_the_files(floor)
        self._wall_shift_ns = self.chance.choice((0, 0, SECOND, -SECOND, -3_600 * SECOND, 60 * SECOND))

    def look_at_the_files(self, floor: int) -> None:
        """Read the journal's files as they are now."""
        files = sorted(journal_directory(self.directory).glob("*.fixj"))
        self.scribe.read_again([(int(path.name[:20]), path.read_bytes()) for path in files], floor)

    def _drop(self, line: Socket) -> None:
        if self.chance.random() < 0.5:
            line.said.break_off()
        else:
            line.said.end()
        line.heard.cut = True

    # ------------------------------------------------------------ connections

    def _dial(self, trader: Trader) -> Wire | None:
        life = self.life
        if life is None or life.listener.fileno() == -1 or len(life.listener.backlog) > 4:
            return None
        fd, chance = self.next_fd(), Random(self.chance.random())
        heard = Pipe(self.agenda, chance, lambda: None)
        said = Pipe(self.agenda, chance, lambda: trader.arrived() if trader.wire is wire else None)
        wire = Wire(heard, said)
        line = Socket(fd, heard, said, chance, lambda octets: self._sent(fd, octets))
        heard.delay_ns = said.delay_ns = chance.choice((0, MS, 20 * MS, 200 * MS))
        self.lines[fd] = line
        life.listener.backlog.append(line)
        self.wires = [(owner, other) for owner, other in self.wires if not other.over]
        self.wires.append((trader, wire))
        return wire

    def _sent(self, fd: int, octets: bytes) -> None:
        """Bytes leave the exchange: they must be what the journal says, and lie there as safe as was promised."""
        assert self.life is not None
        street: Any = self.life.server._street
        link = next(link for link, connection in street._connections.items() if connection.transport.fd == fd)
        stream = self.streams.setdefault(link, Stream(self.scribe, link))
        stream.sent(octets, self.limit)

    # ------------------------------------------------------------ living

    def run(self, steps: int) -> None:
        """Live through `steps` turns with faults, then without, until everybody is at rest."""
        self.be_born()
        for trader in self.traders:
            trader.start()
        for _ in range(steps):
            self._maybe_something_happens()
            self.turn()
        self.come_to_rest()

    def turn(self) -> None:
        """One turn of the exchange, and a look at everything; it may not survive it."""
        self.turns += 1
        self._survive(self._turn)
        if self.life is not None:
            invariants.look(self)

    def _turn(self) -> None:
        if self.life is None:
            self.be_born()
        assert self.life is not None
        try:
            self.life.server.turn()
        except JournalError:
            self.life.server._close()  # as `run` does
            raise

    def _survive(self, act: Callable[[], None]) -> None:
        """Do something that may be the end of the exchange: it is killed, or the disk refuses and it stops by itself."""
        try:
            act()
        except Killed:
            self.die(power=self._power_fails())
        except JournalCorrupt:
            raise  # that no fair fault may come to
        except JournalError:
            self._survive(self._stop_by_itself)

    def _stop_by_itself(self) -> None:
        if self.life is not None:
            with suppress(JournalError):
                self.life.opened.writer.close()
        self.die(power=False)

    def _power_fails(self) -> bool:
        return self.durability == "sync" and self.chance.random() < 0.5

    # ------------------------------------------------------------ what may happen

    def _maybe_something_happens(self) -> None:
        chance = self.chance
        if chance.random() > FAULT_RATE:
            return
        happening = chance.choice(
            (self._burn, self._burn, self._fail, self._fail, self._cut, self._cut, self._stall, self._command, self._command,
             self._stop, self._ship, self._ship, self._kill_shipper, self._reset, self._leap,
             self._look_on, self._look_on)
        )  # fmt: skip
        happening()

    def _burn(self) -> None:
        """Kill the exchange some disk operations from now, or between two turns."""
        if self.chance.random() < 0.3 and self.life is not None:
            self.die(power=self._power_fails())
        else:
            self.disk.fuse = self.chance.randint(0, 6)

    def _fail(self) -> None:
        """The disk is full, or broken."""
        methods = ("pwrite", "pwrite", "create", "fill", "rename")
        if self.durability == "sync":
            methods += ("sync", "sync", "sync", "sync_directory")
        method = self.chance.choice(methods)
        self.disk.fault = method, self.chance.choice((errno.ENOSPC, errno.EIO))

    def _cut(self) -> None:
        if self.wires:
            _, wire = self.chance.choice(self.wires)
            wire.out.break_off()
            wire.back.break_off()

    def _stall(self) -> None:
        """Somebody does not read for a while."""
        if self.wires:
            trader, wire = self.chance.choice(self.wires)
            wire.deaf = True

            def listen() -> None:
                wire.deaf = False
                if trader.wire is wire:
                    trader.arrived()

            self.agenda.after(self.chance.randint(0, 5 * SECOND), listen)

    def _command(self) -> None:
        """An operator asks for something."""
        name = self.chance.choice(self.traders).name
        symbol = self.chance.choice(INSTRUMENTS[:3]).symbol
        verb, arguments = self.chance.choice(
            (("halt", {"symbol": symbol}), ("resume", {"symbol": symbol}), ("sessions.disconnect", {"session": name}),
             ("sessions.show", {}), ("book", {"symbol": symbol}), ("halt", {"symbol": "NOPE"}))
        )  # fmt: skip
        self.ask(verb, arguments)

    def _reset(self) -> None:
        """A counterparty begins a new run. An operator's reset, of which it hears nothing, is not fair: numbers may fit."""
        self.chance.choice(self.traders).begin_anew()

    def ask(self, verb: str, arguments: dict[str, Any]) -> None:
        """An operator's command comes over the control socket."""
        if self.life is None:
            return
        self.commands += 1
        fd, chance = self.next_fd(), Random(self.chance.random())
        heard = Pipe(self.agenda, chance, lambda: None)
        said = Pipe(self.agenda, chance, lambda: None)
        line = Socket(fd, heard, said, chance, lambda octets: self._answered(fd))
        self.lines[fd] = line
        self.life.desk.backlog.append(line)
        heard.put(json.dumps({"verb": verb, "arguments": arguments}).encode() + b"\n")

    def _answered(self, fd: int) -> None:
        """An operator hears nothing of what is not in the journal. The rest of a long answer may come at any time."""
        assert self.life is not None
        if fd in self.answered:
            return
        self.answered.add(fd)
        assert self.life.exchange.tape.used == 0, "an operator was answered before the commit"
        assert self.scribe.story.asked < self.limit, "an operator was answered before the seal was safe"

    def _stop(self) -> None:
        """Somebody ends the exchange in order."""
        if self.life is None:
            return
        self.life.server.stop("the world wants it")
        self._survive(self._wind_down)

    def _wind_down(self) -> None:
        assert self.life is not None
        self.life.server.run()
        self.life.opened.writer.close()
        self.die(power=False)

    def _ship(self) -> None:
        self.shipper.work(self.scribe)

    def _look_on(self) -> None:
        """The shadow comes to the journal's end, and takes a snapshot. It does not share the exchange's disk: after a power cut
        a snapshot may stand where the journal is not any more.
        """
        self.shade.work(self.digests)

    def _kill_shipper(self) -> None:
        self.shipper.die()

    def _leap(self) -> None:
        """Nothing happens for some time, or a day passes."""
        self.agenda.advance(self.agenda.now_ns + self.chance.choice((SECOND, 30 * SECOND)))

    # ------------------------------------------------------------ the end

    def come_to_rest(self) -> None:
        """No more faults: everybody logs on, hears everything, and agrees with everybody."""
        self.calm = True
        self.disk.fuse = self.disk.fault = None
        for trader in self.traders:
            trader.calm = True
        limit_ns = self.agenda.now_ns + REST_NS
        while not all(map(self._rests, self.traders)):
            assert self.agenda.now_ns < limit_ns, f"no rest: {[self._tell(trader) for trader in self.traders]}"
            self.turn()
        invariants.agree(self)
        self.shipper.work(self.scribe, until_done=True)
        self.die(power=False)
        self.be_born()
        invariants.look(self)
        if self.seed % OPINION_EACH == 0:
            invariants.second_opinion(self)
        self.close()

    def _rests(self, trader: Trader) -> bool:
        if self.life is None or not trader.logged_on or trader.wire is None:
            return False
        member = self.life.exchange.members.find(trader.name.encode())
        quiet = member is not None and (int(member.row["next_in"]), int(member.row["next_out"])) == (
            trader.store.next_out, trader.store.next_in
        )  # fmt: skip
        return quiet and not trader.wire.out.flying and not trader.wire.back.flying

    def _tell(self, trader: Trader) -> str:
        member = None if self.life is None else self.life.exchange.members.find(trader.name.encode())
        theirs = "unknown" if member is None else f"{member.row['next_in']} in, {member.row['next_out']} out"
        return f"{trader.name} is at {trader.store.next_out} out, {trader.store.next_in} in; there: {theirs}"

    def close(self) -> None:
        """Let go of what is real."""
        self.life = None
        self.disk.let_go()
