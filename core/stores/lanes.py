"""What a chat's lane does next, and when."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from core.records import Delivery
from core.stores import EVER, NEVER
from core.types import ChatId, Platform, ThingId


class Lanes(Protocol):
    def next(self, chat: ChatId, now: datetime, *, new_posts: bool = True) -> Delivery | None:
        """What this chat's lane should do now; ``new_posts`` says whether first sends of posts are among it."""
        ...

    def next_known(self, chat: ChatId, now: datetime) -> Delivery | None:
        """What this chat's lane should do now that is no first send of a thing."""
        ...

    def begun(self, chat: ChatId) -> Delivery | None:
        """The first send that has begun and has parts still to come."""
        ...

    def retried_before(self, chat: ChatId, thing: ThingId, now: datetime) -> datetime | None:
        """When an earlier first send is tried again, which this one may not overtake."""
        ...

    def next_notice(self, chat: ChatId, now: datetime) -> Delivery | None:
        """An answer: the only thing that a paused community still says."""
        ...

    def next_exempt(self, chat: ChatId, now: datetime) -> Delivery | None:
        """An answer through its own door (an interaction), which no window binds."""
        ...

    def soonest(self, chat: ChatId, now: datetime) -> datetime | None:
        """When this chat has something to do after ``now``."""
        ...

    def waiting(
        self, platform: Platform, since: datetime = EVER, until: datetime = NEVER
    ) -> dict[ChatId, datetime]:
        """Every chat of this platform with something to do in that time, and since when or when."""
        ...

    def first_sends(self, chat: ChatId, now: datetime) -> list[Delivery]: ...
