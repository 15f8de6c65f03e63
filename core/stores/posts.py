"""Posts, revisions, tags, places; relayed talk."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from core.records import Post, Relay, Revision
from core.types import AccountId, ChatId, CommunityId, MemberId, PostId, ThingId, Visibility


class Posts(Protocol):
    def post(self, post: PostId | ThingId) -> Post | None: ...

    def posts(self, ids: list[PostId]) -> list[Post]: ...

    def latest_of(self, author: MemberId) -> Post | None: ...

    def bodies(self, posts: list[PostId]) -> dict[PostId, str]:
        """Their newest words, as stored."""
        ...

    def written_from(self, account: AccountId, inside: list[CommunityId]) -> bool:
        """Whether a post for everybody or for these communities stands that was written from this account."""
        ...

    def add(
        self,
        post: PostId,
        *,
        author: MemberId,
        account: AccountId,
        community: CommunityId | None,
        chat: ChatId,
        visibility: Visibility,
        reply_to: PostId | None,
        now: datetime,
        quote_of: PostId | None = None,
    ) -> Post: ...

    def add_revision(self, revision: Revision) -> None: ...

    def revise(self, post: PostId) -> None:
        """Counts a revision up, and the version with it."""
        ...

    def set_visibility(self, post: PostId, visibility: Visibility) -> None:
        """Counts the version up, too."""
        ...

    def bump(self, post: PostId) -> None: ...

    def bump_all_of(self, author: MemberId) -> list[PostId]:
        """Every post of this author gets a newer version. Returns which."""
        ...

    def bump_quoting(self, post: PostId) -> list[PostId]:
        """Every post that carries this one inside or answers it gets a newer version. Returns which."""
        ...

    def delete(self, post: PostId, at: datetime) -> None: ...

    def move(self, loser: MemberId, winner: MemberId) -> None: ...

    def revision(self, post: PostId) -> Revision:
        """The newest one. Raises ``LookupError``."""
        ...

    def revisions(self, post: PostId) -> list[Revision]: ...

    def add_tags(self, post: PostId, tags: list[str]) -> None: ...

    def drop_tags(self, post: PostId) -> None: ...

    def add_places(self, thing: ThingId, chats: list[ChatId]) -> None: ...

    def places(self, thing: ThingId) -> list[ChatId]: ...

    def drop_places_in(self, chat: ChatId) -> None: ...

    def relay(self, relay: ThingId) -> Relay | None: ...

    def add_relay(
        self,
        relay: ThingId,
        chat: ChatId,
        account: AccountId,
        author: str,
        body: str,
        reply_to: ThingId | None,
        now: datetime,
    ) -> None: ...

    def revise_relay(self, relay: ThingId, body: str) -> None: ...

    def bump_relay(self, relay: ThingId) -> None: ...

    def delete_relay(self, relay: ThingId, at: datetime) -> None: ...
