"""Signals (raw reactions) and votes (one row per post and member)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Protocol

from core.records import Reacted, Signal, Vote
from core.types import AccountId, AccountRef, ChatId, MemberId, PostId


class Votes(Protocol):
    def reacted(self, chat: ChatId, message_key: str, account: AccountRef) -> Reacted | None:
        """What a reaction is about, where the post stands and the account is known and did not opt out."""
        ...

    def first(self, signal: Signal, vote: Vote) -> bool:
        """A member's first act on a post, by what ``reacted`` said: the account speaks for them from now on.

        Returns ``False``, and writes nothing, where anything of theirs there is in hand.
        """
        ...

    def put_signal(self, signal: Signal) -> None: ...

    def signals_on(
        self, post: PostId, account: AccountId, chat: ChatId, message_key: str
    ) -> list[Signal]: ...

    def signals_by(self, account: AccountId) -> list[Signal]: ...

    def signals_on_message(self, post: PostId, chat: ChatId, message_key: str) -> list[Signal]: ...

    def signal_by_ref(self, chat: ChatId, ref_key: str) -> Signal | None: ...

    def supersede(self, post: PostId, accounts: list[AccountId]) -> None: ...

    def drop_signal(self, signal: Signal) -> None: ...

    def forget_guests(self, before: datetime) -> set[PostId]:
        """Erases guests' reactions older than that. Returns the posts whose tally changes."""
        ...

    def vote(self, post: PostId, member: MemberId) -> Vote | None: ...

    def votes_by(self, member: MemberId) -> list[Vote]: ...

    def put_vote(self, vote: Vote) -> None: ...

    def drop_vote(self, post: PostId, member: MemberId) -> None: ...

    def spoke_for(self, post: PostId, account: AccountId) -> MemberId | None:
        """For whom this account spoke first on this post, if it ever did."""
        ...

    def speaks_for(self, post: PostId, account: AccountId, member: MemberId) -> MemberId:
        """For whom this account spoke first on this post; from now on for ``member`` if it never did."""
        ...

    def move_speakers(self, loser: MemberId, winner: MemberId) -> None: ...

    def recount(self, posts: Collection[PostId]) -> dict[PostId, int]:
        """Counts anew. Returns the posts whose tally changed, each with its newer version."""
        ...

    def count_more(self, posts: Collection[PostId]) -> dict[PostId, int]:
        """The same for posts that only got votes, and on which no guest acted."""
        ...
