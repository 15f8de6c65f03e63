"""Several posts shown as one message."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from core.records import Delivery
from core.types import ChatId, ThingId


class Folds(Protocol):
    def fold(self, fold: ThingId, chat: ChatId, things: list[ThingId], now: datetime) -> None: ...

    def folded(self, chat: ChatId, fold: ThingId) -> list[Delivery]: ...

    def remove_lines(self, chat: ChatId, fold: ThingId, reason: str) -> list[ThingId]:
        """Removed locally with the fold that showed them. Returns which; none for what is no fold."""
        ...

    def bump_fold(self, fold: ThingId, now: datetime, *, rank: int) -> None: ...
