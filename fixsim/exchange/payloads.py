"""What records say that are no frames: who connects, and under which configuration the exchange goes on."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from fixsim import __version__
from fixsim.config import Config, Counterparty
from fixsim.config.schedules import plan
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


def config_payload(config: Config, who: str, why: str, at_ns: int, changes: Sequence[str] = ()) -> bytes:
    """Payload of a CONFIG record at venue time `at_ns`; `changes` say in words what is different."""
    return json.dumps({"who": who, "why": why, "changes": list(changes), **_told(config, at_ns)}, sort_keys=True).encode()


def start_payload(config: Config, at_ns: int, venue_ns: int = 0) -> bytes:
    """Payload of a START record at venue time `at_ns`; `venue_ns` is the same where the clock is driven, 0 for the wall's."""
    told = {"version": __version__, "journal": JOURNAL_VERSION, "venue_ns": venue_ns, **_told(config, at_ns)}
    return json.dumps(told, sort_keys=True).encode()


def _told(config: Config, at_ns: int) -> dict[str, Any]:
    """The configuration, and the coming changes of its schedules as instants."""
    return {"config": json.loads(config.normalised()), "calendar": plan(config.schedules, at_ns)}


def planned(payload: bytes) -> dict[str, Any]:
    """The coming changes of each schedule in a START or CONFIG record."""
    found: dict[str, Any] = json.loads(payload)["calendar"]
    return found
