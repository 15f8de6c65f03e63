"""Inbox, bookmarks, parked events, dead letters, settings of the instance."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from core.records import Parked
from core.types import ChatId


class Intake(Protocol):
    def seen(self, key: str) -> bool:
        """Whether an event of this key was handled before."""
        ...

    def note(self, key: str, now: datetime) -> None:
        """From now on this key, which was not, is seen."""
        ...

    def claim(self, key: str, now: datetime) -> bool:
        """Whether this event was never seen before; from now on it is."""
        ...

    def clean(self, before: datetime) -> None: ...

    def bookmark(self, scope: str) -> str | None: ...

    def set_bookmark(self, scope: str, value: str) -> None: ...

    def meta(self, name: str) -> str | None: ...

    def set_meta(self, name: str, value: str) -> None: ...

    def park(self, parked: Parked) -> None: ...

    def unpark(self, chat: ChatId, message_key: str) -> list[Parked]:
        """Takes what waits for this message, in the order of its arrival."""
        ...

    def expire(self, before: datetime) -> list[Parked]: ...

    def bury(self, letter: int, kind: str, payload: str, error: str, at: datetime) -> None: ...

    def dead_letters(self) -> list[tuple[int, str, str, str, datetime]]:
        """Newest first: id, kind, payload, error, time."""
        ...

    def exhume(self, letter: int) -> str | None:
        """Takes a dead letter out and returns its payload."""
        ...
