"""What is said to people, until it is said."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from core.records import Notice
from core.types import AccountId, ChatId, ThingId


class Notices(Protocol):
    def add_notice(self, notice: Notice, ready_at: datetime) -> None: ...

    def notice(self, notice: ThingId) -> Notice | None: ...

    def keep_for_private(self, notice: Notice) -> None:
        """Waits until its person opens the private chat, or expires."""
        ...

    def deliver_private(self, account: AccountId, chat: ChatId, now: datetime, *, handle: str = "") -> int:
        """A private door is open: what waited for it goes through it. Returns how many."""
        ...

    def clean_notices(self, before: datetime) -> None: ...

    def drop_notice(self, chat: ChatId, notice: ThingId) -> None:
        """An answer that was given, or cannot be given any more, is forgotten."""
        ...
