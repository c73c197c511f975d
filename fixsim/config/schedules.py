"""Trading days as data, and the instants they come to.

A schedule says at which local times an instrument's phase changes on a trading day. `plan` turns it into absolute instants,
once, for a record of the journal: the exchange only ever sees those, because time-zone data differ between machines.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from functools import lru_cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fixsim.config.checks import between, each_one_of, one_of

#: Phases a schedule may name, in the order of a full day.
SCHEDULED: Final = (
    "pre-open", "opening-auction", "continuous", "volatility-auction", "closing-auction", "at-last", "closed",
)  # fmt: skip
#: Those that end by an auction.
CALLED: Final = frozenset({"opening-auction", "volatility-auction", "closing-auction"})
WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
#: Days planned ahead, and how far back the present phase is looked for: no market sleeps longer.
AHEAD_DAYS: Final = 60
BACK_DAYS: Final = 30
EPOCH: Final = date(1970, 1, 1)
NS_PER_S: Final = 1_000_000_000


def _time_zone(value: str) -> str | None:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return f"is {value!r}, expected a name such as Europe/Berlin"
    return None


def _local_time(value: str) -> str | None:
    try:
        good = len(value) == 8 and clock_time.fromisoformat(value).microsecond == 0
    except ValueError:
        good = False
    return None if good else f"is {value!r}, expected HH:MM:SS"


def _dates(value: Sequence[str]) -> str | None:
    for text in value:
        try:
            date.fromisoformat(text)
        except ValueError:
            return f"has {text!r}, expected YYYY-MM-DD"
    return None


def _calendar(value: str) -> str | None:
    import holidays

    country, _, subdivision = value.partition("-")
    countries = holidays.list_supported_countries(include_aliases=True)
    if value in holidays.list_supported_financial(include_aliases=True):
        return None
    if country in countries and (not subdivision or subdivision in countries[country]):
        return None
    return f"is {value!r}, expected a market such as XNYS or XETR, or a country such as US or GB-ENG"


def _name(value: str) -> str | None:
    good = value and len(value) <= 32 and value.isascii() and value.isprintable()
    return None if good else f"is {value!r}, expected up to 32 printable characters"


@dataclass(frozen=True)
class Step:
    """`[[schedules.phases]]`: from which local time on an instrument is in a phase."""

    at: str = field(metadata={"check": _local_time})
    phase: str = field(metadata=one_of(*SCHEDULED))
    #: A call ends by chance up to so many seconds after the next step's time.
    random_end_s: float = field(default=0.0, metadata=between(0, 3_600))


@dataclass(frozen=True)
class Schedule:
    """`[[schedules]]`: the trading days of some instruments."""

    #: TradingSessionID(336), and what `instruments.schedule` says.
    name: str = field(metadata={"check": _name})
    #: What changes, in the order of the day; the last is "closed".
    phases: tuple[Step, ...]
    #: Of the times and dates here.
    time_zone: str = field(default="UTC", metadata={"check": _time_zone})
    weekdays: tuple[str, ...] = field(default=WEEKDAYS[:5], metadata=each_one_of(*WEEKDAYS))
    #: Whose holidays it keeps; absent for nobody's.
    holidays: str | None = field(default=None, metadata={"check": _calendar})
    #: Further days without trading, and days with trading whatever weekday or holiday they are.
    closed: tuple[str, ...] = field(default=(), metadata={"check": _dates})
    open: tuple[str, ...] = field(default=(), metadata={"check": _dates})

    def faults(self) -> Iterator[tuple[str, str]]:
        """Relations inside: key and reason of each that does not hold."""
        if not self.phases:
            yield "phases", "is empty"
            return
        for index, (before, after) in enumerate(zip(self.phases, self.phases[1:], strict=False), 1):
            if after.at <= before.at:
                yield f"phases[{index}].at", f"is {after.at}, not after {before.at}"
        for index, step in enumerate(self.phases):
            last = index == len(self.phases) - 1
            if (step.phase == "closed") != last:
                yield f"phases[{index}].phase", "is closed: a day ends once" if not last else "ends the day: it must be closed"
            if step.random_end_s and step.phase not in CALLED:
                yield f"phases[{index}].random_end_s", f"belongs to a call, not to {step.phase}"

    def is_trading_day(self, day: date) -> bool:
        """Whether there is trading on the local date `day`."""
        text = day.isoformat()
        if text in self.open:
            return True
        if text in self.closed or WEEKDAYS[day.weekday()] not in self.weekdays:
            return False
        return self.holidays is None or day not in _holidays_of(self.holidays, day.year)


@lru_cache(maxsize=64)
def _holidays_of(calendar: str, year: int) -> frozenset[date]:
    import holidays

    country, _, subdivision = calendar.partition("-")
    if calendar in holidays.list_supported_financial(include_aliases=True):
        return frozenset(holidays.financial_holidays(calendar, years=year))
    return frozenset(holidays.country_holidays(country, subdiv=subdivision or None, years=year))


class Change(NamedTuple):
    """One change of phase: when (ns since 1970 UTC), to which, and how much later (ns) a call of that phase may end by chance.

    `day` is the trading day it belongs to, days since 1970-01-01.
    """

    ns: int
    phase: str
    random_ns: int
    day: int


def changes(schedule: Schedule, first: date, days: int) -> Iterator[Change]:
    """The changes of the `days` local dates from `first` on, in order.

    A local time that a change of the clocks leaves out is taken as the time an hour later, one that comes twice as the first.
    """
    zone, before_ns = ZoneInfo(schedule.time_zone), 0
    for offset in range(days):
        day = first + timedelta(offset)
        if not schedule.is_trading_day(day):
            continue
        for step in schedule.phases:
            instant = datetime.combine(day, clock_time.fromisoformat(step.at), zone)
            before_ns = max(before_ns, int(instant.timestamp()) * NS_PER_S)
            yield Change(before_ns, step.phase, int(step.random_end_s * NS_PER_S), (day - EPOCH).days)


def plan(schedules: Sequence[Schedule], at_ns: int) -> dict[str, list[list[int | str]]]:
    """The changes of each schedule, as a record carries them: the last one before `at_ns`, and those of the coming days."""
    found: dict[str, list[list[int | str]]] = {}
    for schedule in schedules:
        today = datetime.fromtimestamp(at_ns // NS_PER_S, UTC).date()
        every = list(changes(schedule, today - timedelta(BACK_DAYS), BACK_DAYS + AHEAD_DAYS))
        past = [change for change in every if change.ns <= at_ns]
        found[schedule.name] = [list(change) for change in [*past[-1:], *every[len(past) :]]]
    return found
