"""The only protocols: the transaction with its stores, an adapter, the clock.

``Unit`` is synchronous and lives in the writer's or a reader's thread; no use case can await a platform inside it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from core.errors import Message
from core.events import Inbound, Loss
from core.intents import Capabilities, Create, Intent, Receipt
from core.stores.unit import Unit
from core.suggestions import Asked, Draft, Suggestion
from core.types import ChatRef, MessageRef, Platform

T = TypeVar("T")


class Clock(Protocol):
    """Aware UTC time. The only fake besides the platforms in the tests."""

    def now(self) -> datetime: ...

    def monotonic(self) -> float:
        """Seconds that never go back, for waiting only."""
        ...

    async def wait(self, woken: asyncio.Event, until: datetime | None) -> None:
        """Returns when ``woken`` is set or the time has come (never, for ``None``), whichever is first."""
        ...


@dataclass(frozen=True, slots=True)
class WatchedMessage:
    """A message whose state an adapter should read again after an absence."""

    message: MessageRef
    ours: bool


class Gate(Protocol):
    """What an adapter may ask of the core while it listens.

    ``handle`` returns once the event is committed (or was seen before, or does not concern us). Events of one
    chat must be handed over in their order: the order of the calls counts, not that of the answers.
    """

    def handle(self, event: Inbound) -> Awaitable[None]: ...

    def alive(self) -> None:
        """The platform sent or answered something just now: a heartbeat, a long poll, a sync, an event.

        An open socket is no such proof. Cheap; call it each time, also where nothing else came. Without a call for
        ``Capabilities.deaf_after`` the platform counts as deaf.
        """
        ...

    async def bookmark(self, scope: str) -> str | None:
        """The committed value of a bookmark."""
        ...

    async def watched_chats(self, platform: Platform) -> Sequence[ChatRef]:
        """The chats of communities on this platform, lost ones too: they may be found again."""
        ...

    async def recent_messages(self, platform: Platform, since: datetime) -> Sequence[WatchedMessage]:
        """Copies and origins of posts, and origins of relayed talk, since then, newest first, for reconciliation."""
        ...

    async def suggest(self, asked: Asked) -> Sequence[Suggestion]:
        """What may stand in an argument that somebody is just typing, the best first. Leaves nothing behind."""
        ...

    async def claim(self, name: str, life: timedelta) -> bool:
        """Whether this process may do now what all processes of the instance together do once in so long a time."""
        ...

    async def draft(self, asked: Asked, values: Mapping[str, str]) -> Draft | None:
        """What a form for a command begins with; ``None`` for who may not use it. Leaves nothing behind."""
        ...


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of ``stormo check``."""

    ok: bool
    message: Message


class Adapter(Protocol):
    """One platform behind one bot token."""

    platform: Platform
    capabilities: Capabilities

    async def run(self, gate: Gate) -> None:
        """Connect, call ``ready`` and listen until cancelled. Raises only on faults that a restart may cure."""
        ...

    async def perform(self, intent: Intent) -> Receipt:
        """Do one act. Raises ``RetryLater`` or ``Rejected``; anything else counts as an unknown outcome."""
        ...

    async def fetch(self, source: str, take: Callable[[bytes], None]) -> None:
        """Hand the bytes of an ``Attachment`` of this platform on in portions, as they come.

        Raises ``RetryLater`` and ``FileRefused``; what ``take`` raises goes through. Nothing but the platform's own
        server is asked inside this machine's network.
        """
        ...

    async def check(self) -> Sequence[Finding]:
        """Prove token and permissions for ``stormo check``, without changing anything."""
        ...

    async def find_sent(self, create: Create, since: datetime) -> MessageRef | None:
        """The message that a call for ``create`` made after ``since``, if it made one; known by its key alone.

        Asked only where ``Capabilities.find_after`` is set, and so long after the call. Changes nothing. Raises
        ``RetryLater`` where it cannot be seen now, ``Rejected`` where it never can.
        """
        ...

    async def standing(self, chat: ChatRef) -> Loss | None:
        """Why the bot may not write there now, ``None`` where it may. Changes nothing, writes nothing.

        Raises ``RetryLater`` where the platform does not say.
        """
        ...

    def link(self, message: MessageRef) -> str:
        """The address of a message for people, or an empty string."""
        ...


class Transactions(Protocol):
    """The way to change the database: jobs become batches, batches become transactions."""

    def submit(
        self, work: Callable[[Unit], T], bury: Callable[[Unit, BaseException], T] | None = None
    ) -> asyncio.Future[T]:
        """Queues ``work``; the order of calls is the order of commits. Raises through the future."""
        ...


#: Puts a message into words: ``(message, language, zone)``.
Words = Callable[[Message, str], str]
