"""The order in which events reach the core while what was missed is read back."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import replace

from bots.discord.convert import PLATFORM, bookmark_scope
from core.crashpoints import passing
from core.events import Inbound
from core.ports import Gate


class Intake:
    """Hands events over in order, without waiting for one before the next.

    Between a new session and the end of a chat's reading back, that chat's live events are held: a bookmark
    that passed the gap before the gap was read would lose it at a crash.
    """

    def __init__(self, gate: Gate, tasks: asyncio.TaskGroup) -> None:
        self._gate = gate
        self._tasks = tasks
        self._hold_new = False
        self._held: dict[str, list[Inbound]] = {}
        #: The newest mark of each bookmark that was handed over live.
        self._marks: dict[str, str] = {}

    def submit(self, chat: str, event: Inbound) -> None:
        """Call in the events' order; returns at once. A fault of the core ends the task group."""
        if self._hold_new:
            self._held.setdefault(chat, [])
        if chat in self._held:
            self._held[chat].append(event)
        else:
            self._hand_over(event)

    async def submit_read(self, event: Inbound) -> None:
        """An event read back: returns when it is committed, past everything that is held."""
        await self._handle(event)

    @property
    def holds_all(self) -> bool:
        return self._hold_new

    def hold(self) -> None:
        """From now on hold every chat's events."""
        self._hold_new = True

    def hold_too(self, chats: Collection[str]) -> None:
        """From now on hold these chats' events."""
        for chat in chats:
            self._held.setdefault(chat, [])

    def hold_only(self, chats: Collection[str], of: Collection[str] | None = None) -> None:
        """Let go of all chats, or all ``of`` some, but these."""
        self._hold_new = self._hold_new and of is not None
        for chat in [chat for chat in (self._held if of is None else of) if chat not in chats]:
            self.release(chat)
        for chat in chats:
            self._held.setdefault(chat, [])

    def release(self, chat: str, *, read_to: str = "") -> None:
        """Let a chat's events go, without those that were read back already (up to message ``read_to``)."""
        if self._hold_new:
            # What an older session's reading back says: between that session and this one lies a gap.
            return
        self._marks.pop(bookmark_scope(chat), None)
        for event in self._held.pop(chat, ()):
            # History holds messages only: an interaction was not among what was read.
            mark = None if getattr(event, "handle", "") else event.bookmark
            if not (read_to and mark is not None and int(mark.value) <= int(read_to)):
                self._hand_over(event)

    def _hand_over(self, event: Inbound) -> None:
        mark = event.bookmark
        if mark is not None:
            # Several are under way at once: if the core cannot take one, none after it may move the bookmark past it.
            event = replace(event, bookmark=replace(mark, after=self._marks.get(mark.scope)))
            self._marks[mark.scope] = mark.value
        self._tasks.create_task(self._handle(event))

    async def _handle(self, event: Inbound) -> None:
        passing("inbound.converted", PLATFORM)
        await self._gate.handle(event)
        passing("inbound.answered", PLATFORM)
