"""The trading day turns at midnight UTC; other things happen at a time of day."""

from fixsim.exchange.desk import Desk
from fixsim.exchange.market_breaker import MarketWide
from fixsim.layout import NEVER
from fixsim.units import NS_PER_DAY, utc_day


class DayTurn:
    """Source of the agenda: the date, and what ends with it."""

    def __init__(self, desk: Desk, market: MarketWide) -> None:
        self.desk = desk
        self.market = market

    def next_ns(self) -> int:
        """The next midnight UTC."""
        return (int(self.desk.core["day"]) + 1) * NS_PER_DAY

    def due(self, venue_ns: int) -> None:
        """A new date: orders and ids of earlier ones end."""
        day = utc_day(venue_ns)
        self.desk.core["day"] = day
        self.desk.new_day(day)
        self.market.new_day()


def next_time_of_day(time_of_day_ns: int | None, after_ns: int) -> int:
    """The next instant behind `after_ns` at which it is `time_of_day_ns` after midnight UTC; NEVER for None."""
    if time_of_day_ns is None:
        return NEVER
    instant = utc_day(after_ns) * NS_PER_DAY + time_of_day_ns
    return instant if instant > after_ns else instant + NS_PER_DAY
