"""The faults of one file, and what of it was read without any."""

from dataclasses import dataclass, field
from typing import Any

from fixsim.errors import Fault


@dataclass
class Faults:
    """The faults found so far in one file."""

    file: str
    found: list[Fault] = field(default_factory=list)
    #: Tables that hold together, by their keys: `venue`, `instruments[0]`.
    flawless: dict[str, Any] = field(default_factory=dict)
    #: Sections of which some keys could not be read, with defaults instead.
    partly: dict[str, Any] = field(default_factory=dict)

    def note(self, key: str, reason: str) -> None:
        self.found.append(Fault(self.file, key, reason))
