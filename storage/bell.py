"""Who waits is told at once: what a batch woke is rung to the other processes on the same PostgreSQL.

One NOTIFY a batch, after its commit: inside a transaction it would keep every other commit waiting. It may be lost
with its connection or its process, so nothing depends on it but speed.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import Engine

from core.types import ChatId
from storage.database import Link, is_broken

log = logging.getLogger(__name__)

CHANNEL: Final = "stormo"
#: A payload has less than 8000 bytes and an id at most 19 digits.
_MOST: Final = 390
#: Seconds until the end of the thread is noticed, and between two connections that fail.
_PATIENCE: Final = 0.5
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 30.0


def ring(link: Link, woken: frozenset[ChatId]) -> None:
    """Tells every other process; ``frozenset()``: to look at everything. Not inside a transaction."""
    words = ",".join(map(str, woken)) if len(woken) <= _MOST else ""
    link.cursor.execute("SELECT pg_notify(%s, %s)", (CHANNEL, words))


class Bell:
    """Hears what others ring, in a thread of its own.

    ``heard`` is called there with the chats that were woken; with none where everything should be looked at, as
    after each new connection: what was rung before it is not known. ``ours`` gives the number of the connection that
    this process rings with.
    """

    def __init__(
        self, engine: Engine, heard: Callable[[frozenset[ChatId]], None], ours: Callable[[], int | None]
    ) -> None:
        self._engine = engine
        self._heard = heard
        self._ours = ours
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bell", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closed.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        pause = _FIRST_PAUSE
        while not self._closed.is_set():
            link: Link | None = None
            try:
                link = Link(self._engine, read_only=True)
                link.cursor.execute(f"LISTEN {CHANNEL}")
                self._heard(frozenset())
                pause = _FIRST_PAUSE
                self._listen(link)
            except Exception as error:  # noqa: BLE001
                level = logging.INFO if is_broken(error) else logging.ERROR
                log.log(level, "other processes are not heard: %s", error)
            finally:
                if link is not None:
                    link.close()
            if self._closed.wait(pause * random.uniform(0.75, 1.25)):  # noqa: S311
                return
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _listen(self, link: Link) -> None:
        driver: Any = link.driver
        while not self._closed.is_set():
            for note in driver.notifies(timeout=_PATIENCE):
                if note.pid != self._ours():
                    self._heard(frozenset(ChatId(int(word)) for word in note.payload.split(",") if word))
