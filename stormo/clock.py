"""The real clock."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from datetime import UTC, datetime


class SystemClock:
    """``core.ports.Clock`` from the machine's own."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        # A lease runs out while the machine sleeps, too.
        return time.clock_gettime(_RUNNING)

    async def wait(self, woken: asyncio.Event, until: datetime | None) -> None:
        # A wall clock that is set back would otherwise make a wait of seconds one of hours: see `_LONGEST`.
        seconds = None if until is None else min(max((until - self.now()).total_seconds(), 0), _LONGEST)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await woken.wait()


#: On Linux the clock that goes on while the machine sleeps.
_RUNNING = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
#: Seconds. Whoever waits looks at the clock again, so waking early is harmless.
_LONGEST = 60.0
