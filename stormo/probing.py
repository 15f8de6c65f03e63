"""Rooms that the bot lost or may not write in are asked about, ever more rarely, until they are open again.

Most platforms tell when a right returns; this is for what they do not tell, and for what was missed.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from core.errors import StormoError
from core.events import Loss, place_now
from core.places import loss_of
from core.ports import Adapter, Clock, Gate
from core.records import Chat
from core.types import ChatId, Platform

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often: what is lost is listed each ``look``; a chat is asked about after ``first``, then ever more rarely.

    The pause doubles up to ``longest``.
    """

    look: timedelta = timedelta(seconds=15)
    first: timedelta = timedelta(minutes=1)
    longest: timedelta = timedelta(hours=1)


@dataclass(slots=True)
class _Turn:
    at: float
    pause: timedelta


class Prober:
    """Asks the adapters about chats that are not active. ``lost`` gives those."""

    def __init__(
        self,
        *,
        adapters: Mapping[Platform, Adapter],
        gate: Gate,
        lost: Callable[[], Awaitable[Sequence[Chat]]],
        clock: Clock,
        pace: Pace | None = None,
    ) -> None:
        self._adapters = adapters
        self._gate = gate
        self._lost = lost
        self._clock = clock
        self._pace = pace or Pace()
        self._turns: dict[ChatId, _Turn] = {}

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.look()
            except StormoError as error:
                log.warning("lost rooms: %s", error)
            await self._clock.wait(asyncio.Event(), self._clock.now() + self._pace.look)

    async def look(self) -> None:
        """Asks about the chats whose turn it is."""
        lost = [chat for chat in await self._lost() if chat.ref.platform in self._adapters]
        known = {chat.id for chat in lost}
        self._turns = {chat: turn for chat, turn in self._turns.items() if chat in known}
        for chat in lost:
            turn = self._turns.get(chat.id)
            if turn is None:
                self._turns[chat.id] = self._next(self._pace.first)
            elif turn.at <= self._clock.monotonic():
                self._turns[chat.id] = self._next(min(turn.pause * 2, self._pace.longest))
                await self._ask(chat)

    def _next(self, pause: timedelta) -> _Turn:
        wait = pause.total_seconds() * random.uniform(0.75, 1.25)  # noqa: S311
        return _Turn(self._clock.monotonic() + wait, pause)

    async def _ask(self, chat: Chat) -> None:
        try:
            loss = await self._adapters[chat.ref.platform].standing(chat.ref)
        except StormoError as error:
            log.info("chat %d: whether it is open is not known: %s", chat.id, error)
            return
        if loss is not loss_of(chat) and not self._moved(chat, loss):
            await self._gate.handle(place_now(chat.ref, loss))

    @staticmethod
    def _moved(chat: Chat, loss: Loss | None) -> bool:
        """Its row stands aside: another one speaks in the room that it moved to."""
        return loss is not None and loss_of(chat) is Loss.MOVED
