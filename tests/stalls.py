"""How late this process may be: what left it in one second can arrive in a shorter time by as much."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

_EVERY = 0.005
#: Turns of the loop between a call's leaving and its arrival, when both ends live in it.
_TURNS = 3


@dataclass
class Stalls:
    """``worst``: the longest that the loop came late to anything, in seconds."""

    worst: float = 0.0

    @property
    def second(self) -> float:
        """So long a part of a second holds no more arrivals than any second had departures."""
        return max(1.0 - _TURNS * self.worst, 0.1)


@contextlib.asynccontextmanager
async def stalls() -> AsyncIterator[Stalls]:
    """Watches the running loop until the end of the block."""
    found = Stalls()

    async def watch() -> None:
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            await asyncio.wait([asyncio.get_running_loop().create_future()], timeout=_EVERY)
            found.worst = max(found.worst, loop.time() - began - _EVERY)

    watching = asyncio.create_task(watch())
    try:
        yield found
    finally:
        watching.cancel()
