"""The messages that stand for things."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from core.records import Copy
from core.types import ChatId, Platform, ThingId


class Copies(Protocol):
    def note_origin(self, copy: Copy) -> None:
        """The author's own message stands for a thing that is new."""
        ...

    def add_copy(self, copy: Copy) -> None: ...

    def copy_shows(self, chat: ChatId, thing: ThingId, part: int, version: int, digest: str) -> None: ...

    def copy_of(self, chat: ChatId, message_key: str) -> Copy | None: ...

    def copy_in(self, chat: ChatId, thing: ThingId) -> Copy | None:
        """The first message that stands for a thing in this chat, ours or its author's."""
        ...

    def copies_in(self, chat: ChatId, thing: ThingId) -> list[Copy]:
        """Every part of a thing in this chat, in order."""
        ...

    def copies(self, thing: ThingId) -> list[Copy]: ...

    def withdrew(self, chat: ChatId, thing: ThingId, part: int) -> None:
        """We took that message away: another in its place has another key."""
        ...

    def drop_copies(self, chat: ChatId, thing: ThingId) -> None: ...

    def recent(self, platform: Platform, since: datetime) -> list[Copy]: ...

    def standing_since(self, platform: Platform, since: datetime) -> list[tuple[ChatId, datetime]]:
        """Where we sent what still stands, and when, oldest first."""
        ...
