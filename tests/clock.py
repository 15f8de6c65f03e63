"""A clock that moves only when a test says so."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

START = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)


class FakeClock:
    """Implements `core.ports.Clock`. `advance` releases whoever waits for a time that has come."""

    def __init__(self, start: datetime = START) -> None:
        self._now = self._start = start
        self._waiting: dict[asyncio.Future[bool], datetime] = {}
        #: How many wait now, for a time or for an event.
        self.waiters = 0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return (self._now - self._start).total_seconds()

    async def wait(self, woken: asyncio.Event, until: datetime | None) -> None:
        if woken.is_set() or (until is not None and until <= self._now):
            # A loop around this must not starve the others.
            await asyncio.sleep(0)
            return
        bell: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        if until is not None:
            self._waiting[bell] = until
        other: asyncio.Future[bool] = asyncio.create_task(woken.wait())
        self.waiters += 1
        try:
            await asyncio.wait({bell, other}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.waiters -= 1
            self._waiting.pop(bell, None)
            bell.cancel()
            other.cancel()

    def advance(self, by: timedelta) -> None:
        """Let time pass. What it releases runs when the caller next awaits."""
        self._now += by
        for bell, until in list(self._waiting.items()):
            if until <= self._now and not bell.done():
                bell.set_result(True)

    @property
    def next_alarm(self) -> datetime | None:
        """The earliest time that somebody waits for."""
        return min(self._waiting.values(), default=None)
