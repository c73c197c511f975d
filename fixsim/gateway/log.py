"""What the operator reads on stderr: plain lines or JSON, and strangers once a minute each."""

import json
import logging
import sys
import time
from typing import Final

LOGGER: Final = logging.getLogger("fixsim")
MINUTE_NS: Final = 60_000_000_000
#: (address, reason) pairs remembered; the oldest is forgotten first.
REMEMBERED_MAX: Final = 10_000


class JsonLines(logging.Formatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def set_up_logging(level: str, as_json: bool) -> None:
    """Everything fixsim logs goes to stderr from now on, in UTC."""
    formatter = JsonLines() if as_json else logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    formatter.converter = time.gmtime
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    LOGGER.handlers[:] = [handler]
    LOGGER.propagate = False
    LOGGER.setLevel(level.upper())


class OncePerMinute:
    """Log lines about strangers: one per address, reason and minute, with how many it stands for."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], tuple[int, int]] = {}

    def note(self, address: str, reason: str, now_ns: int, detail: str = "") -> None:
        """A connection from `address` was dropped for `reason`. What a stranger chose itself belongs into `detail`: no
        variety of it makes more lines.
        """
        key = (address, reason)
        minute = now_ns // MINUTE_NS
        noted_minute, suppressed = self._seen.get(key, (-1, 0))
        if noted_minute == minute:
            self._seen[key] = (minute, suppressed + 1)
            return
        if len(self._seen) >= REMEMBERED_MAX:
            self._seen.pop(next(iter(self._seen)))
        self._seen[key] = (minute, 0)
        more = f" ({suppressed} more like it before)" if suppressed else ""
        LOGGER.warning("dropped connection from %s: %s%s%s", address, reason, detail and f": {detail}", more)
