"""What a room is to show no longer, and what it is to show again."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from core.types import ChatId, ThingId


class Placing(Protocol):
    def withdraw_unmirrored(self, chat: ChatId, now: datetime, reason: str) -> list[ThingId]:
        """Waiting posts that this room wants no more never come. Returns the unsent folds that lost lines."""
        ...

    def withdraw(self, thing: ThingId, chats: list[ChatId], now: datetime, reason: str) -> list[ThingId]:
        """The thing is to go from these chats, or not to come. Returns the folds that showed it."""
        ...

    def again(self, thing: ThingId, version: int, chats: list[ChatId], ready_at: datetime) -> set[ChatId]:
        """What was withdrawn from these chats is to be shown there again; what people took away is not.

        Returns where that is so: a few times at most.
        """
        ...

    def withdraw_waiting(self, chat: ChatId, reason: str) -> None:
        """What was not shown yet never is."""
        ...

    def leave_behind(self, chat: ChatId, reason: str) -> None:
        """The chat got another identity: its messages so far are out of reach, what waits goes to the new one."""
        ...

    def withdraw_all(self, chat: ChatId, now: datetime) -> None:
        """Every copy shown in this chat is to go."""
        ...
