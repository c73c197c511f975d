"""The trading day turns at midnight UTC."""

from fixsim.exchange.desk import Desk
from fixsim.units import NS_PER_DAY, utc_day


class DayTurn:
    """Source of the agenda: the date, and what ends with it."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def next_ns(self) -> int:
        """The next midnight UTC."""
        return (int(self.desk.core["day"]) + 1) * NS_PER_DAY

    def due(self, venue_ns: int) -> None:
        """A new date: orders and ids of earlier ones end."""
        day = utc_day(venue_ns)
        self.desk.core["day"] = day
        self.desk.new_day(day)
