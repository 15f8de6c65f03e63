"""The log: one line an event to standard error, times in UTC, no secret ever."""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Collection

#: What tokens look like, for those that no config of ours named: Telegram's, Discord's, Matrix's, passwords in URLs.
_SHAPES = re.compile(
    r"(?<!\d)\d{6,12}:[A-Za-z0-9_-]{30,}"
    r"|\b[A-Za-z0-9_-]{23,28}\.[A-Za-z0-9_-]{6,7}\.[A-Za-z0-9_-]{27,}"
    r"|syt_[A-Za-z0-9_=]+"
    r"|(?<=://)[^\s/@]+:[^\s/@]+(?=@)"
)
#: Shorter ones would blot out ordinary words.
_SHORTEST = 4


class Redacting(logging.Formatter):
    """Formats as usual, then takes out secrets: from the message, its arguments and the traceback alike."""

    def __init__(self, secrets: Collection[str] = ()) -> None:
        super().__init__(
            "%(asctime)s.%(msecs)03dZ %(levelname)-7s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S"
        )
        # The longest first: one may be a part of another.
        known = sorted((s for s in secrets if len(s) >= _SHORTEST), key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        return time.strftime(datefmt or self.default_time_format, time.gmtime(record.created))

    def format(self, record: logging.LogRecord) -> str:
        return self.redact(super().format(record))

    def redact(self, line: str) -> str:
        if self._known is not None:
            line = self._known.sub("[secret]", line)
        return _SHAPES.sub("[secret]", line)


def set_up(secrets: Collection[str], *, verbose: bool = False) -> None:
    """Sends the log of everything to standard error. ``verbose`` also says what is done step by step."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Redacting(secrets))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    if verbose:
        for ours in ("core", "bots", "storage", "web", "stormo"):
            logging.getLogger(ours).setLevel(logging.DEBUG)
    # Each call of a bot would be a line there, with the token in its address.
    for talkative in ("httpx", "httpcore", "aiohttp.access", "nio", "alembic"):
        logging.getLogger(talkative).setLevel(logging.WARNING)
    logging.captureWarnings(True)
