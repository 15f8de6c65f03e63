"""Calls that were begun and not answered yet, and those of which nobody knows what came."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from core.records import DoubtRow, Try
from core.types import ChatId, ThingId


class Tries(Protocol):
    def add_try(self, attempt: Try) -> None: ...

    def lose_try(self, chat: ChatId, key: str, at: datetime, *, keyed: bool) -> None:
        """Its answer is lost since then. ``keyed``: a repeat may tell; else it is looked for, and steps aside."""
        ...

    def end_try(self, chat: ChatId, key: str) -> None: ...

    def end_tries(self, chat: ChatId, thing: ThingId, part: int | None = None) -> None:
        """Every try of this part there, or of all of them: a newer one was answered."""
        ...

    def tries(self) -> list[Try]: ...

    def tries_of(self, chat: ChatId, thing: ThingId) -> list[Try]: ...

    def any_try(self, chat: ChatId) -> bool: ...

    def add_doubt(self, attempt: Try, now: datetime, resolution: str, reason: str) -> None: ...

    def leave_out(self, attempt: Try, now: datetime, reason: str) -> None:
        """That part may stand there and is never sent again; what follows it is."""
        ...

    def left_out(self, chat: ChatId, thing: ThingId) -> set[int]:
        """The parts that are never sent again there."""
        ...

    def doubts(self) -> list[DoubtRow]: ...
