"""The law of a conversation: which state follows which step. Everything that moves a Session is in this
table.

Two rules. A step that is not listed for a state is our own bug (`SessionMisuse`), never the peer's. And
nothing in this file knows messages, numbers or time; `fixsim/session/session.py` finds the step, this table
says where it leads.
"""

from enum import Enum
from typing import Final


class State(Enum):
    """Where a conversation stands."""

    DISCONNECTED = "no transport"
    CONNECTED = "transport is up, nobody has logged on"
    LOGON_SENT = "we said Logon and wait for the answer"
    ACTIVE = "both sides are logged on and in step"
    AWAITING_RESEND = "logged on, and messages of the peer are missing"
    LOGOUT_SENT = "we said Logout and wait for the answer"


class Step(Enum):
    """What happens to a conversation."""

    TRANSPORT_OPENED = "transport opened"
    LOGON_SAID = "we say Logon"
    LOGON_TAKEN = "Logon taken"
    LOGON_REFUSED = "Logon refused"
    GAP_FOUND = "MsgSeqNum too high"
    GAP_CLOSED = "nothing is missing any more"
    NUMBERS_RESTARTED = "both sides restart at 1"
    LOGOUT_SAID = "we say Logout"
    LOGOUT_TAKEN = "Logout taken"
    PEER_LOST_ITS_WAY = "MsgSeqNum too low or missing"
    TIMED_OUT = "waited too long"
    CLOSED_EARLY = "we close before Logon"
    TRANSPORT_LOST = "transport lost"


TRANSITIONS: Final[dict[State, dict[Step, State]]] = {
    State.DISCONNECTED: {
        Step.TRANSPORT_OPENED: State.CONNECTED,
    },
    State.CONNECTED: {
        Step.LOGON_SAID: State.LOGON_SENT,
        Step.LOGON_TAKEN: State.ACTIVE,
        Step.LOGON_REFUSED: State.DISCONNECTED,
        Step.CLOSED_EARLY: State.DISCONNECTED,
        Step.TIMED_OUT: State.DISCONNECTED,
        Step.TRANSPORT_LOST: State.DISCONNECTED,
    },
    State.LOGON_SENT: {
        Step.LOGON_TAKEN: State.ACTIVE,
        Step.LOGON_REFUSED: State.DISCONNECTED,
        Step.CLOSED_EARLY: State.DISCONNECTED,
        Step.TIMED_OUT: State.DISCONNECTED,
        Step.TRANSPORT_LOST: State.DISCONNECTED,
    },
    State.ACTIVE: {
        Step.GAP_FOUND: State.AWAITING_RESEND,
        Step.NUMBERS_RESTARTED: State.ACTIVE,
        Step.LOGOUT_SAID: State.LOGOUT_SENT,
        Step.LOGOUT_TAKEN: State.DISCONNECTED,
        Step.PEER_LOST_ITS_WAY: State.DISCONNECTED,
        Step.TIMED_OUT: State.DISCONNECTED,
        Step.TRANSPORT_LOST: State.DISCONNECTED,
    },
    State.AWAITING_RESEND: {
        Step.GAP_FOUND: State.AWAITING_RESEND,
        Step.GAP_CLOSED: State.ACTIVE,
        Step.NUMBERS_RESTARTED: State.ACTIVE,
        Step.LOGOUT_SAID: State.LOGOUT_SENT,
        Step.LOGOUT_TAKEN: State.DISCONNECTED,
        Step.PEER_LOST_ITS_WAY: State.DISCONNECTED,
        Step.TIMED_OUT: State.DISCONNECTED,
        Step.TRANSPORT_LOST: State.DISCONNECTED,
    },
    State.LOGOUT_SENT: {
        Step.LOGOUT_TAKEN: State.DISCONNECTED,
        Step.TIMED_OUT: State.DISCONNECTED,
        Step.TRANSPORT_LOST: State.DISCONNECTED,
    },
}


def diagram() -> str:
    """TRANSITIONS as a mermaid state diagram, the one in `docs/session.md`; edges between the same states
    are merged.
    """
    lines = ["stateDiagram-v2", f"    [*] --> {State.DISCONNECTED.name}"]
    for state, steps in TRANSITIONS.items():
        labels: dict[State, list[str]] = {}
        for step, target in steps.items():
            labels.setdefault(target, []).append(step.value)
        for target, texts in labels.items():
            lines.append(f"    {state.name} --> {target.name}: {', '.join(texts)}")
    return "\n".join(lines) + "\n"
