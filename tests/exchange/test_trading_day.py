"""A whole day over the ready configuration: schedules, auctions, breakers of every kind and the market-wide one, at random."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime
from random import Random
from typing import Any

import pytest

from exchange.stage import Field, Stage, rehearsed, shown
from exchange.test_breaker_twins import Guarded
from fixsim.config import Capacities, Config
from fixsim.config.breakers import PROFILES
from fixsim.config.reader import load, packaged
from fixsim.config.schedules import changes
from fixsim.exchange.breakers import STATES
from fixsim.exchange.digest import state_digest
from fixsim.exchange.laws import broken_laws
from fixsim.exchange.names import NAMES
from fixsim.reference.exchange import ReferenceExchange
from fixsim.reference.listing import Listing
from fixsim.units import format_utc_timestamp

DAY_NS = 86_400_000_000_000
SECOND_NS = 1_000_000_000
#: A Thursday without a holiday anywhere.
MIDNIGHT_NS = int(datetime(2025, 11, 20, tzinfo=UTC).timestamp()) * SECOND_NS
MOVES = 1_000
ORACLE_MOVES = 600
SESSIONS = ("ALPHA", "BRAVO", "CLOCK")
#: From when to when most orders come: Frankfurt's pre-open to New York's close.
BUSY_NS = (6 * 3_600 * SECOND_NS, 21 * 3_600 * SECOND_NS + 600 * SECOND_NS)

#: How far from the last price orders are, one standard deviation; the others have less to be stopped by.
WILD = {b"VOD": 0.06, b"AAPL": 0.05, b"MSFT": 0.03, b"INTC": 0.03}


def small_day() -> Config:
    """The ready configuration with small tables."""
    config = load(packaged("trading-day.toml"))
    capacities = Capacities(orders=16_384, sessions=16, instruments=16, price_levels=8_192, clordid_memory=32_768)
    return replace(config, capacities=capacities, venue=replace(config.venue, sending_time_tolerance_s=0.0))


class RandomDay:
    """24 hours from a seed, on a clock that an operator drives; what was seen is counted."""

    def __init__(self, seed: int, stage: Stage | None = None) -> None:
        self.random = Random(seed)
        self.stage = stage or Stage(small_day(), now_ns=MIDNIGHT_NS, clock_start_ns=MIDNIGHT_NS)
        self.stage.log_on(*SESSIONS)
        self.listings = list(self.stage.exchange.listings.by_symbol.values())
        #: By symbol and phase, by symbol and state of its breaker, and by type of message.
        self.seen: Counter[tuple[str, str]] = Counter()
        self.sent: list[tuple[str, bytes, bytes, bytes]] = []
        self.subscribe()

    def subscribe(self) -> None:
        """CLOCK hears of every instrument and trading session."""
        for listing in self.listings:
            self.stage.say("CLOCK", [(35, b"e"), (324, listing.symbol), (55, listing.symbol), (263, b"1")])
        self.stage.say("CLOCK", [(35, b"g"), (335, b"G"), (263, b"1")])

    def run(self, moves: int = MOVES) -> None:
        """From midnight to midnight."""
        begin, end = BUSY_NS
        moments = sorted(self.random.randrange(begin, end) for _ in range(moves))
        for number, moment_ns in enumerate(moments, 1):
            self.drive(MIDNIGHT_NS + moment_ns)
            session, fields = self.message(number)
            self.look(self.stage.say(session, fields))
        self.drive(MIDNIGHT_NS + DAY_NS)

    def drive(self, to_ns: int) -> None:
        """The clock goes on, and stops at whatever is due; session time follows."""
        self.stage.now_ns = to_ns
        reached = False
        while not reached:
            answer, said = self.stage.commanded("clock.set", to_ns=to_ns)
            reached = answer["reached"]
            self.look(said)

    def look(self, said: list[tuple[str, list[Field]]]) -> None:
        for listing in self.listings:
            row = self.stage.exchange.machine.books[listing.book]
            self.seen[listing.symbol.decode(), NAMES[int(row["phase"])]] += 1
            self.seen[listing.symbol.decode(), STATES[int(row["state"])]] += 1
        for _, fields in said:
            values = dict(fields)
            self.seen["told", values[35].decode()] += 1
            if values[35] == b"8":
                self.seen["report", values[150].decode() + values.get(378, b"").decode()] += 1

    def message(self, number: int) -> tuple[str, list[Field]]:
        """An order near the last price, now and then far from it; a cancel; a replace."""
        random = self.random
        if self.sent and random.random() < 0.15:
            session, orig, symbol, side = random.choice(self.sent[-200:])
            fields: list[Field] = [(35, b"F"), (41, orig), (11, b"%d" % number)]
            return session, [*fields, (55, symbol), (54, side), (60, self.stamp), (38, b"10")]
        listing, session = random.choice(self.listings), random.choice(SESSIONS[:2])
        side, name = random.choice((b"1", b"2")), b"%d" % number
        row: Any = self.stage.exchange.machine.books[listing.book]
        middle = int(row["last_price"]) or listing.instrument.reference_price_ticks
        spread = WILD.get(listing.symbol, 0.015) * random.choice((0.1, 0.5, 1))
        ticks = max(1, round(middle * (1 + random.gauss(0, spread))))
        lots = random.randint(1, 9) * listing.min_lots
        if random.random() < 0.06:  # somebody in a hurry
            ticks, lots = round(middle * (1.09 if side == b"1" else 0.91)), 20 * lots
        qty = f"{lots * listing.instrument.lot_size:f}".encode()
        tif = random.choice((b"0", b"0", b"0", b"1", b"2", b"3", b"4", b"7"))
        terms: list[Field] = [(40, b"2"), (44, listing.price_text(ticks).encode())]
        if random.random() < 0.08:
            terms = [(40, b"1")]
        inst: list[Field] = [(18, random.choice((b"J", b"K")))] if random.random() < 0.1 else []
        self.sent.append((session, name, listing.symbol, side))
        head: list[Field] = [(35, b"D"), (11, name), *inst, (55, listing.symbol), (54, side), (60, self.stamp), (38, qty)]
        return session, [*head, *terms, (59, tif)]

    @property
    def stamp(self) -> bytes:
        return format_utc_timestamp(self.stage.now_ns, 3)


@pytest.fixture(scope="module")
def day() -> RandomDay:
    """One day, played once."""
    day = RandomDay(3)
    day.run()
    return day


def test_every_phase_of_every_schedule_is_gone_through(day: RandomDay) -> None:
    for symbol in ("SAP", "VOD", "AAPL"):
        schedule = next(one for one in day.stage.config.schedules if one.name == _schedule_of(day, symbol))
        for step in schedule.phases:
            assert day.seen[symbol, step.phase], f"{symbol} is never in {step.phase}"


def _schedule_of(day: RandomDay, symbol: str) -> str | None:
    return next(entry.schedule for entry in day.stage.config.instruments if entry.symbol == symbol)


def test_every_kind_of_breaker_acts(day: RandomDay) -> None:
    for symbol in ("SAP", "VOD", "ESZ5", "NQZ5", "AAPL"):
        assert day.seen[symbol, "calling"], f"{symbol} is never interrupted"
    assert day.seen["AAPL", "at-limit"]
    assert day.seen["MSFT", "halted"], "the market as a whole is never halted"
    assert day.seen["report", "D3"], "nothing was repriced"
    assert day.seen["report", "F"] > MOVES / 10, "there was trading"


def test_the_day_ends_as_it_began(day: RandomDay) -> None:
    assert broken_laws(day.stage.exchange) == []
    for listing in day.listings:
        row = day.stage.exchange.machine.books[listing.book]
        if listing.instrument.schedule is not None:
            assert NAMES[int(row["phase"])] == "closed", listing.symbol
            assert STATES[int(row["state"])] == "quiet", listing.symbol


def test_the_day_is_the_same_when_it_is_carried_out_again(day: RandomDay) -> None:
    assert state_digest(rehearsed(day.stage.writer.batches)) == state_digest(day.stage.exchange)


# ---------------------------------------------------------------- before the oracle


def certain(config: Config) -> Config:
    """The same days for an oracle that knows neither chance nor bands that are doubled at the end of a day."""
    asked = {entry.breaker for entry in config.instruments if entry.breaker is not None}
    profiles = tuple(replace(PROFILES[name], random_end_s=0.0, doubled_last_s=0.0) for name in sorted(asked))
    schedules = tuple(
        replace(one, phases=tuple(replace(step, random_end_s=0.0) for step in one.phases)) for one in config.schedules
    )
    return replace(config, breakers=profiles, schedules=schedules)


class ScheduledTwins(Guarded):
    """Exchange and oracle through the same day; the oracle is told when a schedule goes on."""

    def __init__(self) -> None:
        config = certain(small_day())
        self.stage = Stage(config, now_ns=MIDNIGHT_NS)
        self.stage.log_on(*SESSIONS)
        self.oracle = ReferenceExchange(
            [Listing.of(instrument) for instrument in config.instruments],
            breakers={one.symbol: found for one in config.instruments if (found := config.breaker_for(one)) is not None},
            market_breaker=config.market_breaker,
        )
        self.checker = None
        self.story = []
        self.members = {one.symbol: one.schedule for one in config.instruments if one.schedule is not None}
        self.oracle.floor.phases.update(dict.fromkeys(self.members, "closed"))
        self.oracle.breakers.regular.update(dict.fromkeys(self.members, "closed"))
        self.coming = [
            (change.ns, place, symbol, change.phase, change.day)
            for place, schedule in enumerate(config.schedules)
            for change in changes(schedule, date(2025, 11, 20), 1)
            for symbol, name in self.members.items()
            if name == schedule.name
        ]
        self.coming.sort(key=lambda one: one[:2])

    def wait_until(self, end_ns: int) -> None:
        """Time passes, and stops at everything that is due."""
        while self.stage.exchange.next_deadline_ns() <= end_ns:
            now_ns = self.stage.now_ns = max(self.stage.now_ns, self.stage.exchange.next_deadline_ns())
            said = self.stage.tick(now_ns)
            self.story.append(f"@ {format_utc_timestamp(now_ns, 3).decode()}")
            replies = []
            while self.coming and self.coming[0][0] <= now_ns:
                _, _, symbol, phase, day = self.coming.pop(0)
                replies += self.oracle.step(symbol, phase, now_ns)
                if phase == "closed":
                    replies += self.oracle.end_day(symbol, day, now_ns)
            replies += self.oracle.due(now_ns)
            self.compare(said, [(reply.session, reply.fields) for reply in replies])
        self.stage.now_ns = end_ns


@pytest.mark.parametrize("seed", [0, 10, 11])
def test_the_oracle_has_the_same_day(seed: int) -> None:
    twins, source = ScheduledTwins(), RandomDay(seed)
    source.stage = twins.stage
    source.listings = list(twins.stage.exchange.listings.by_symbol.values())
    begin, end = BUSY_NS
    for number, moment_ns in enumerate(sorted(source.random.randrange(begin, end) for _ in range(ORACLE_MOVES)), 1):
        twins.wait_until(MIDNIGHT_NS + moment_ns)
        session, fields = source.message(number)
        wire = [*fields, (34, b"%d" % (twins.stage.numbers[session] + 1))]
        twins.story.append(f"> {session} {shown(fields)}")
        said = twins.stage.say(session, fields)
        twins.compare(said, [(one.session, one.fields) for one in twins.oracle.receive(session, wire, twins.stage.now_ns)])
        twins.compare_books()
    twins.wait_until(MIDNIGHT_NS + DAY_NS - 1)
    assert twins.oracle.match_id > 50, "there was trading"
