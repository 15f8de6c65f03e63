"""Posts that somebody reported to a community's moderators."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from core.records import Reported
from core.types import AccountId, CommunityId, MemberId, PostId


class Reports(Protocol):
    def add(
        self, post: PostId, account: AccountId, community: CommunityId, reason: str, now: datetime
    ) -> bool:
        """Whether it is new: an open one of this account stays as it is."""
        ...

    def made_since(self, account: AccountId, since: datetime) -> int: ...

    def open_in(self, community: CommunityId, count: int) -> list[Reported]:
        """What waits for its moderators, the longest first."""
        ...

    def close(self, post: PostId, community: CommunityId, now: datetime) -> int:
        """They dealt with it. Returns how many reports that were."""
        ...

    def close_of_author(self, author: MemberId, community: CommunityId, now: datetime) -> None:
        """They keep its author out."""
        ...

    def close_elsewhere(self, post: PostId, community: CommunityId | None, now: datetime) -> None:
        """Only its own community may see the post from now on."""
        ...

    def close_everywhere(self, post: PostId, now: datetime) -> None:
        """The post is gone."""
        ...

    def forget(self, account: AccountId) -> None:
        """Nothing of what this account reported stays."""
        ...

    def clean(self, before: datetime) -> None:
        """What was dealt with before then is forgotten."""
        ...
