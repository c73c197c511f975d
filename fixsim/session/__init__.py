"""The conversation: one FIX 4.4 session as a machine without socket, clock or store.

Messages and time go in, events come out (`events.py`); the owner carries them out. `states.py` is the law,
`session.py` the machine, `docs/session.md` the rules with their sources.
"""

from fixsim.session.events import (
    Deliver,
    Disconnect,
    Event,
    FetchEarly,
    LoggedOn,
    LoggedOut,
    PeerRejected,
    Resend,
    Say,
    SequenceReset,
)
from fixsim.session.profile import Counters, Role, SessionProfile
from fixsim.session.session import ACCEPTED, NEVER, Session
from fixsim.session.states import State

__all__ = [
    "ACCEPTED",
    "NEVER",
    "Counters",
    "Deliver",
    "Disconnect",
    "Event",
    "FetchEarly",
    "LoggedOn",
    "LoggedOut",
    "PeerRejected",
    "Resend",
    "Role",
    "Say",
    "SequenceReset",
    "Session",
    "SessionProfile",
    "State",
]
