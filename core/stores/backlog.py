"""What lies before each chat: it orders the courier's work and decides nothing."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Protocol

from core.records import Foremost, Load
from core.types import ChatId, Platform


class Backlog(Protocol):
    def loads(self, platform: Platform) -> list[Load]:
        """How many rows are due there, by chat and rank."""
        ...

    def foremost(self, chats: Collection[ChatId], now: datetime) -> list[Foremost]:
        """What each of these chats would do next."""
        ...
