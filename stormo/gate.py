"""What adapters hand over goes through the rules into the database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from core.crashpoints import passing
from core.engine import Engine
from core.events import Inbound, PositionAdvanced
from core.ports import WatchedMessage
from core.records import Chat
from core.social.drafts import draft
from core.social.suggest import suggest
from core.stores.unit import Unit
from core.suggestions import Asked, Draft, Suggestion
from core.types import ChatRef, Platform
from storage.database import Readers
from storage.writer import Writer
from stormo.health import Health


class EngineGate:
    """``core.ports.Gate`` over the writer and the readers of one database.

    ``health``: that of the adapter which listens; who only asks has none. ``guard`` raises where the adapter's
    platform is another process's by now: an old owner's events may be older than what is known.
    """

    def __init__(
        self,
        writer: Writer,
        readers: Readers,
        engine: Engine,
        health: Health | None = None,
        guard: Callable[[Unit], None] | None = None,
    ) -> None:
        self._writer = writer
        self._readers = readers
        self._engine = engine
        self._health = health
        self._guard = guard
        self._handle = engine.handle if guard is None else self._guarded
        self._bury = engine.bury

    def of(self, health: Health, guard: Callable[[Unit], None]) -> EngineGate:
        """The same for one adapter, with its signs of life noted."""
        return EngineGate(self._writer, self._readers, self._engine, health, guard)

    def alive(self) -> None:
        if self._health is not None:
            self._health.alive()

    def handle(self, event: Inbound) -> asyncio.Future[None]:
        """Queues the event at the time of the call.

        Raises through the future ``StorageUnavailable``, or ``LeaseLost``.
        """
        if self._health is not None and isinstance(event, PositionAdvanced):
            # A new position is the adapter's word, not the platform's.
            self._health.alive()
        elif self._health is not None:
            self._health.event(event.at)
        passing("inbound.handed")

        answer = self._writer.hand(event, self._handle, self._bury)
        passing("inbound.queued")
        return answer

    def _guarded(self, unit: Unit, event: Inbound) -> None:
        assert self._guard is not None
        self._guard(unit)
        self._engine.handle(unit, event)

    async def bookmark(self, scope: str) -> str | None:
        return await self._readers.read(lambda unit: unit.intake.bookmark(scope))

    async def watched_chats(self, platform: Platform) -> Sequence[ChatRef]:
        return await self._readers.read(lambda unit: unit.communities.watched(platform))

    async def recent_messages(self, platform: Platform, since: datetime) -> Sequence[WatchedMessage]:
        copies = await self._readers.read(lambda unit: unit.copies.recent(platform, since))
        return [WatchedMessage(message=copy.message, ours=copy.ours) for copy in copies]

    async def suggest(self, asked: Asked) -> Sequence[Suggestion]:
        return await self._readers.read(lambda unit: suggest(unit, self._engine.rules, asked))

    async def claim(self, name: str, life: timedelta) -> bool:
        # A lease that nobody renews.
        return await self._writer.submit(lambda unit: unit.leases.take(name, "", "", life)) is not None

    async def draft(self, asked: Asked, values: Mapping[str, str]) -> Draft | None:
        return await self._readers.read(lambda unit: draft(unit, self._engine.rules, asked, values))

    async def lost_chats(self) -> Sequence[Chat]:
        """Communities' chats that nothing can be sent to now."""
        return await self._readers.read(lambda unit: unit.communities.lost())

    async def meta(self, name: str) -> str | None:
        """A setting of the instance that lives in the database."""
        return await self._readers.read(lambda unit: unit.intake.meta(name))
