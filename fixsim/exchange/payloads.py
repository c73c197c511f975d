"""What records say that are no frames: who connects, and under which configuration the exchange goes on."""

import json
from dataclasses import dataclass
from typing import Final

from fixsim import __version__
from fixsim.config import Config, Counterparty
from fixsim.layout import JOURNAL_VERSION
from fixsim.session import ACCEPTED

#: Address of a connection that has none: the house.
IN_PROCESS: Final = "in-process"


@dataclass(frozen=True)
class Hello:
    """What the gateway knows of a connection whose first frame is a Logon: who it says it is, and whether that is true."""

    sender: str
    target: str
    peer: str
    #: ACCEPTED, or why the credentials are refused.
    verdict: str = ACCEPTED


@dataclass(frozen=True)
class Admission:
    """May this Logon open a link? `refusal` is for the log: the peer gets no answer."""

    counterparty: Counterparty | None
    refusal: str = ""


def config_payload(config: Config, who: str, why: str) -> bytes:
    """Payload of a CONFIG record."""
    return json.dumps({"who": who, "why": why, "config": json.loads(config.normalised())}, sort_keys=True).encode()


def start_payload(config: Config, venue_ns: int = 0) -> bytes:
    """Payload of a START record; `venue_ns` is where a driven clock begins, 0 for the wall's."""
    told = {"version": __version__, "journal": JOURNAL_VERSION, "venue_ns": venue_ns, "config": json.loads(config.normalised())}
    return json.dumps(told, sort_keys=True).encode()
