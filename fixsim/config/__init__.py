"""What the operator decides, read once: frozen dataclasses, every fault of a file reported at once.

    config = load(Path("sessions/exchange.toml"))     # ConfigError names all faults, with key and reason
    text = config.normalised()                        # canonical JSON, for the START record of the journal
    Config.from_normalised(text)                      # the same configuration, without its secrets

Passwords are never here, only their argon2 hashes; those and the database's address do not go into the
normalised text, since a journal is something people hand around.
"""

from fixsim.config.model import (
    SECRET,
    Capacities,
    Config,
    Counterparty,
    Database,
    House,
    Instrument,
    JournalSettings,
    Permissions,
    Tls,
    Venue,
)
from fixsim.config.reader import default_config, load, packaged
from fixsim.config.risk import Limits, Rate, Risk
from fixsim.config.running import Console, CpuAffinity, Process, ShadowSettings, StreetSettings

__all__ = [
    "SECRET",
    "Capacities",
    "Config",
    "Console",
    "Counterparty",
    "CpuAffinity",
    "Database",
    "House",
    "Instrument",
    "JournalSettings",
    "Limits",
    "Permissions",
    "Process",
    "Rate",
    "Risk",
    "ShadowSettings",
    "StreetSettings",
    "Tls",
    "Venue",
    "default_config",
    "load",
    "packaged",
]
