"""A gateway that acknowledges every heartbeat and brings no events is noticed, and the session begins anew."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

from bots.discord.convert import PLATFORM
from bots.discord.rest import Refused, Rest, Route
from core.errors import Deaf, RetryLater
from core.ports import Gate
from core.types import ChatRef

#: Channels looked at each time; the next ones follow the next time.
_AT_A_TIME = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """Compares what Discord says was written last in a watched channel with what we heard of it.

    ``heard``: the id of the newest message that the gateway told of, 0 where there is none, ``None`` for a channel that
    it does not know. ``every`` and ``grace`` are seconds; ``grace``: how long a message that HTTP knows already may be
    on its way.
    """

    rest: Rest
    gate: Gate
    heard: Callable[[str], int | None]
    every: float
    grace: float

    async def run(self) -> None:
        """Until cancelled. Raises ``Deaf``."""
        begin = 0
        while True:
            await asyncio.sleep(self.every * random.uniform(0.75, 1.25))  # noqa: S311
            chats = await self.gate.watched_chats(PLATFORM)
            begin = begin + _AT_A_TIME if begin + _AT_A_TIME < len(chats) else 0
            await self._look(chats, begin)

    async def _look(self, chats: Sequence[ChatRef], begin: int) -> None:
        unheard = {}
        for chat in islice(chats, begin, begin + _AT_A_TIME):
            if self.heard(chat.key) is None:
                continue
            last = await self._last(chat.key)
            if self._unheard(chat.key, last):
                unheard[chat.key] = last
        if not unheard:
            return
        await asyncio.sleep(self.grace)
        for channel, last in unheard.items():
            if self._unheard(channel, last):
                raise Deaf(f"message {last} of channel {channel} never came over the gateway")

    def _unheard(self, channel: str, message: int) -> bool:
        heard = self.heard(channel)
        return heard is not None and message > heard

    async def _last(self, channel: str) -> int:
        """The id of the newest message there, as HTTP has it; 0 where it does not say."""
        try:
            answer = await self.rest.call(Route("GET", "/channels/{}", (channel,)))
            return int(answer.get("last_message_id") or 0)
        except (Refused, RetryLater, AttributeError, TypeError, ValueError):
            return 0
