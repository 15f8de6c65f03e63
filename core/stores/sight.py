"""What people and operators look at: how things stand, what waits, what failed."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from core.records import LostRoom, Stock
from core.types import ChatId, ThingId


class Sight(Protocol):
    def again(self, chat: ChatId, thing: ThingId, now: datetime, most: int) -> bool:
        """A refused row is wanted again, ``most`` times at most. Returns whether it is."""
        ...

    def lost_rooms(self) -> list[LostRoom]:
        """Communities' chats that nothing can be sent to now, the longest lost first."""
        ...

    def stock(self, now: datetime, since: datetime) -> Stock:
        """How much waits now, and what went wrong since then."""
        ...
