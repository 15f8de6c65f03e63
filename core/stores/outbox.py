"""The outbox of desired state: one row per thing and chat."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from core.records import CopyState, Delivery
from core.types import ChatId, PostId, ThingId, ThingKind


class Outbox(Protocol):
    def want(
        self,
        thing: ThingId,
        kind: ThingKind,
        version: int,
        chats: list[ChatId],
        *,
        rank: int,
        now: datetime,
        ready_at: datetime,
    ) -> None:
        """A new thing is to be shown in these chats; where it already is, nothing changes."""
        ...

    def bump(self, thing: ThingId, version: int, *, rank: int, now: datetime) -> list[ThingId]:
        """The thing has a newer version: wherever it stands it is to be shown. Returns the folds that show it."""
        ...

    def bump_posts(self, posts: list[PostId], *, rank: int, now: datetime) -> list[ThingId]:
        """The same of many posts at once, by the versions that they have."""
        ...

    def tally(self, posts: Mapping[PostId, int], now: datetime) -> list[ThingId]:
        """The tallies of these posts moved, which gave them these versions: wherever they stand they are to be shown.

        Returns the folds that do.
        """
        ...

    def delivery(self, chat: ChatId, thing: ThingId) -> Delivery | None: ...

    def deliveries(self, thing: ThingId) -> list[Delivery]: ...

    def shown(self, chat: ChatId, thing: ThingId, version: int, now: datetime, next_at: datetime) -> None:
        """All parts show that version. ``next_at``: before that, no edit that only moves a tally."""
        ...

    def progress(self, chat: ChatId, thing: ThingId, now: datetime) -> None:
        """One of several calls took effect; the next is due at once."""
        ...

    def settle(self, chat: ChatId, thing: ThingId, state: CopyState, reason: str) -> None:
        """Nothing more is to be done, and why."""
        ...

    def remove(self, chat: ChatId, thing: ThingId, now: datetime, reason: str) -> None:
        """Removed locally, for good; what may still be there of it is looked for."""
        ...

    def retry(
        self,
        chat: ChatId,
        thing: ThingId,
        at: datetime,
        reason: str,
        form: str,
        failing_since: datetime | None = None,
    ) -> None: ...

    def revive(self, chat: ChatId, thing: ThingId, now: datetime) -> None: ...

    def states(self) -> dict[str, int]:
        """How many rows wait for something to be done (``waiting``), and how many of the others are in which state."""
        ...

    def in_states(self, states: list[CopyState]) -> list[Delivery]: ...

    def sent_since(self, chat: ChatId, since: datetime) -> int:
        """Posts from elsewhere and folds sent to this chat since then, whatever became of them: what its caps count."""
        ...
