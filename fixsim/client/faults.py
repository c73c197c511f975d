"""What can keep a client from its answer; each text is the one line a user sees."""

from fixsim.errors import VenueError


class NobodyListens(VenueError):
    """No connection: nothing listens there, or it cannot be reached."""


class ConnectionLost(VenueError):
    """The connection ended while something was still expected from it."""


class LogonRefused(VenueError):
    """The exchange answered the Logon(A) with a Logout(5), or hung up."""


class NoAnswer(VenueError):
    """The exchange is there but did not answer in time."""
