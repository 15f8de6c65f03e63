"""Posts as people look for them: at home, of somebody, in a room, by a tag."""

from __future__ import annotations

from typing import Protocol

from core.records import Boosted, Post, Reader
from core.types import ChatId, CommunityId, MemberId


class Timelines(Protocol):
    def home(self, reader: Reader, *, before: int, count: int) -> list[Post]:
        """Their own posts and what they follow, newest first; only ids below ``before``."""
        ...

    def boosted(self, reader: Reader, *, count: int) -> list[Boosted]:
        """What the authors they follow passed on and ``home`` does not bring: each once, by who was first.

        The latest boost comes first.
        """
        ...

    def written(self, author: MemberId, *, own: bool, inside: list[CommunityId], count: int) -> list[Post]:
        """What stands of this author, newest first: for everybody, for these communities, all of it where ``own``."""
        ...

    def count_written(self, author: MemberId, *, own: bool, inside: list[CommunityId]) -> int:
        """How many ``written`` would find."""
        ...

    def shown_in(self, chat: ChatId, *, ours: bool, count: int) -> list[Post]:
        """What this chat shows or said first, newest copies first; ``ours``: only what we brought there."""
        ...

    def tags_starting(self, prefix: str, inside: list[CommunityId], count: int) -> list[str]:
        """Tags of recent public posts and of those inside these communities, the most used first."""
        ...

    def latest_in(
        self,
        *,
        authors: list[int],
        tags: list[str],
        followed: list[int],
        everything: bool,
        inside: CommunityId | None,
    ) -> Post | None: ...
