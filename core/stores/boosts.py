"""Who passed which post on, and where it stands because of that."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from core.types import ChatId, MemberId, PostId


class Boosts(Protocol):
    def add(self, post: PostId, member: MemberId, now: datetime) -> bool:
        """Whether it is new."""
        ...

    def drop(self, post: PostId, member: MemberId) -> bool:
        """Whether there was one."""
        ...

    def mirrored(self, post: PostId) -> list[MemberId]:
        """Who passed it on and is mirrored by some room, the first of them first."""
        ...

    def shown_by(self, post: PostId, member: MemberId) -> list[ChatId]:
        """Where the post stands, or is to stand, because this member passed it on."""
        ...

    def credit(self, post: PostId, chats: list[ChatId], member: MemberId | None) -> None:
        """From now on it stands there because of this member, or because of nobody."""
        ...

    def move(self, loser: MemberId, winner: MemberId) -> None:
        """Those of two members who were one; what became an own post is boosted no more."""
        ...
