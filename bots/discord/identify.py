"""When sessions may begin: one in five seconds for each of Discord's turns, and never so many that a day has no more.

A bot that identifies 1,000 times in a day has its token taken away. Of the shards whose numbers leave the same
remainder divided by ``max_concurrency`` one may identify in five seconds; one that comes too soon finds its session
invalid, and has used up one of the day's.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from bots.discord.rest import Refused, Rest, Route
from core.errors import RetryLater

log = logging.getLogger(__name__)

_ROUTE: Final = Route("GET", "/gateway/bot", patient=True)
_MILLISECONDS = 1000
#: Seconds between two questions whether another process has had its turn.
_ASK_AGAIN: Final = 0.25


@dataclass(frozen=True, slots=True)
class Advice:
    """How many shards Discord wants, and how many sessions may begin at the same time (``max_concurrency``)."""

    shards: int = 1
    at_once: int = 1


async def advice(rest: Rest) -> Advice:
    """Raises ``RetryLater``, ``Refused``, ``BadToken``."""
    answer = await rest.call(_ROUTE)
    try:
        at_once = int(answer["session_start_limit"]["max_concurrency"])
        return Advice(max(int(answer["shards"]), 1), max(at_once, 1))
    except (KeyError, TypeError, ValueError):
        raise RetryLater("Discord does not say how many shards it wants") from None


async def patience(rest: Rest) -> float:
    """Seconds to wait before a session may begin: none while plenty are left, then ever longer.

    From half of the day's number on they are spread over the rest of it; the last tenth is never used.
    """
    try:
        answer = await rest.call(_ROUTE)
        return _spread(answer["session_start_limit"])
    except (RetryLater, Refused) as unknown:
        log.info("discord: how many sessions are left is not known: %s", unknown)
    except (KeyError, TypeError, ValueError):
        log.info("discord: how many sessions are left is not said")
    return 0.0


def _spread(limit: Mapping[str, Any]) -> float:
    total, left = int(limit["total"]), int(limit["remaining"])
    seconds = int(limit["reset_after"]) / _MILLISECONDS
    if left > total // 2:
        return 0.0
    usable = left - total // 10
    wait = seconds / usable if usable > 0 else seconds
    log.warning("discord: %d of %d sessions are left for %.0f s; waiting %.0f s", left, total, seconds, wait)
    return wait


@dataclass(slots=True)
class _Turn:
    """That of the shards with one remainder: who waits, and from when on the next may begin."""

    waiting: asyncio.Lock = field(default_factory=asyncio.Lock)
    free_at: float = 0.0


class Turns:
    """Whose session begins next, for all shards of one process, whatever ended those before. Times are the loop's.

    Where several processes listen, each turn is claimed among them too.

    ``seconds``: between two of the same turn; a little more than Discord's five, as what leaves later may come sooner.
    """

    def __init__(self, rest: Rest, seconds: float) -> None:
        self._rest = rest
        self.seconds = seconds
        #: How many turns there are, as Discord says now.
        self.at_once = 1
        #: Whether a turn of that name may be taken for so long; ``None``: nobody else takes turns.
        self.claim: Callable[[str, timedelta], Awaitable[bool]] | None = None
        self._turns: defaultdict[int, _Turn] = defaultdict(_Turn)
        self._day = asyncio.Lock()
        #: Until when a shard waits for the day's sake. discord.py gives up a connection after a minute and opens
        #: another one, which goes on with the same wait.
        self._until: dict[int, float] = {}

    def turn(self, shard: int) -> int:
        """The number of a shard's turn."""
        return shard % self.at_once

    async def spare(self, shard: int) -> None:
        """Returns when the day has a session for it; ``wait`` then does not ask again."""
        loop = asyncio.get_running_loop()
        async with self._day:
            if shard not in self._until:
                self._until[shard] = loop.time() + await patience(self._rest)
            await asyncio.sleep(self._until[shard] - loop.time())

    async def wait(self, shard: int) -> None:
        """Returns when a session of this shard may begin, which it then does at once."""
        loop, turn = asyncio.get_running_loop(), self._turns[self.turn(shard)]
        async with turn.waiting:
            await self.spare(shard)
            await asyncio.sleep(turn.free_at - loop.time())
            await self._claimed(f"discord turn {self.turn(shard)}")
            del self._until[shard]
            turn.free_at = loop.time() + self.seconds

    async def _claimed(self, name: str) -> None:
        while self.claim is not None:
            if await self.claim(name, timedelta(seconds=self.seconds)):
                return
            await asyncio.sleep(_ASK_AGAIN)
