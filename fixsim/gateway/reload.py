"""The configuration file, read again while the exchange runs: taken whole at one position of the journal, or not at all."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fixsim.config import Config, load
from fixsim.config.difference import differences, fixed_faults
from fixsim.errors import ConfigError, Fault
from fixsim.exchange.exchange import Exchange
from fixsim.exchange.payloads import config_payload
from fixsim.exchange.reload import change_faults
from fixsim.gateway.log import LOGGER

#: Who beside the exchange itself keeps something of the configuration.
Adopt = Callable[[Config], None]


class Reloader:
    """Reads one file for one exchange."""

    def __init__(self, path: Path | None, exchange: Exchange, adopters: Sequence[Adopt]) -> None:
        self._path, self._exchange, self._adopters = path, exchange, adopters

    def carry_out(self, who: str, why: str, now_ns: int) -> dict[str, Any]:
        """Answer as a verb does: what was changed, or every reason why nothing was."""
        try:
            changes = self._reload(who, why, now_ns)
        except ConfigError as error:
            LOGGER.error("nothing was reloaded: %s", str(error).replace("\n", "; "))
            return {"ok": False, "error": str(error)}
        LOGGER.info("reloaded for %s: %s", who, "; ".join(changes) or "nothing has changed")
        return {"ok": True, "changes": changes}

    def _reload(self, who: str, why: str, now_ns: int) -> list[str]:
        """Raises ConfigError."""
        if self._path is None:
            text = "the exchange was started without --config: there is nothing to read"
            raise ConfigError((Fault("fixsim reload", "file", text),))
        config = load(self._path)
        changes = differences(self._exchange.config, config)
        faults = fixed_faults(changes)
        known = {key.partition(".")[0] for key, _ in faults}
        faults += [fault for fault in change_faults(self._exchange, config) if fault[0].partition(".")[0] not in known]
        if faults:
            raise ConfigError(tuple(Fault(str(self._path), key, reason) for key, reason in faults))
        told = [str(change) for change in changes]
        if config != self._exchange.config:
            payload = config_payload(config, who, why, self._exchange.venue_ns, told)
            self._exchange.reload(config, payload, now_ns)
            for adopt in self._adopters:
                adopt(config)
        return told
