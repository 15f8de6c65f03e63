"""Rows that tests of the stores begin from."""

from __future__ import annotations

from datetime import datetime
from itertools import count

from core.records import Copy, Doubt, Notice, Signal, Try, Verb, Vote
from core.types import (
    AccountId,
    AccountRef,
    ChatId,
    ChatRef,
    CommunityId,
    MemberId,
    MessageRef,
    Platform,
    PostId,
    ThingId,
    ThingKind,
    Visibility,
)
from storage.unit import SqlUnit
from tests.storage.conftest import NOW

PLATFORM = Platform("telegram")
_KEYS = count(1)


def a_community(unit: SqlUnit, slug: str = "birds") -> CommunityId:
    id_ = CommunityId(unit.new_id())
    unit.communities.add(id_, slug, slug.title(), 60, Doubt.DOUBLE, NOW)
    return id_


def a_chat(
    unit: SqlUnit,
    community: CommunityId | None = None,
    *,
    platform: Platform = PLATFORM,
    key: str = "",
    private: bool = False,
) -> ChatId:
    id_ = ChatId(unit.new_id())
    ref = ChatRef(platform, key or f"chat-{next(_KEYS)}")
    unit.communities.add_chat(id_, ref, "Perch", private, False, "it", NOW)
    if community is not None:
        unit.communities.set_community(id_, community)
    return id_


def a_member(unit: SqlUnit, handle: str = "", joined: datetime = NOW) -> MemberId:
    id_ = MemberId(unit.new_id())
    handle = handle or f"bird{next(_KEYS)}"
    unit.people.add_member(id_, handle, f"sk-{handle}", "en", handle.title(), joined)
    return id_


def an_account(
    unit: SqlUnit, member: MemberId | None = None, *, key: str = "", platform: Platform = PLATFORM
) -> AccountId:
    id_ = AccountId(unit.new_id())
    ref = AccountRef(platform, key or f"account-{next(_KEYS)}")
    unit.people.add_account(id_, ref, "Wren", "wren", "en-GB", NOW)
    unit.people.bind(id_, member)
    return id_


def a_post(
    unit: SqlUnit,
    author: MemberId | None = None,
    *,
    community: CommunityId | None = None,
    visibility: Visibility = Visibility.PUBLIC,
    reply_to: PostId | None = None,
    tags: tuple[str, ...] = (),
) -> PostId:
    id_ = PostId(unit.new_id())
    author = author or a_member(unit)
    unit.posts.add(
        id_,
        author=author,
        account=an_account(unit, author),
        community=community,
        chat=a_chat(unit, community),
        visibility=visibility,
        reply_to=reply_to,
        now=NOW,
    )
    unit.posts.add_tags(id_, list(tags))
    return id_


def wanted(
    unit: SqlUnit,
    chat: ChatId,
    thing: ThingId | None = None,
    *,
    kind: ThingKind = ThingKind.POST,
    rank: int = 1,
    ready_at: datetime = NOW,
) -> ThingId:
    """An outbox row that waits for its first send."""
    thing = thing or ThingId(unit.new_id())
    unit.outbox.want(thing, kind, 1, [chat], rank=rank, now=NOW, ready_at=ready_at)
    return thing


def a_copy(
    chat: ChatId,
    thing: ThingId,
    *,
    key: str = "m1",
    part: int = 0,
    ours: bool = True,
    kind: ThingKind = ThingKind.POST,
    at: datetime = NOW,
    shown: int = 1,
) -> Copy:
    return Copy(
        chat_id=chat,
        thing_id=thing,
        kind=kind,
        part=part,
        message=MessageRef(ChatRef(PLATFORM, "unread"), key),
        ours=ours,
        shown=shown,
        sent_at=at,
    )


def a_try(chat: ChatId, thing: ThingId, *, key: str = "k1", version: int = 1, at: datetime = NOW) -> Try:
    return Try(
        chat_id=chat,
        key=key,
        thing_id=thing,
        part=0,
        verb=Verb.CREATE,
        version=version,
        form="full",
        epoch=0,
        at=at,
    )


def a_notice(
    unit: SqlUnit,
    chat: ChatId,
    *,
    account: AccountId | None = None,
    handle: str = "",
    expires_at: datetime | None = None,
) -> Notice:
    return Notice(
        id=ThingId(unit.new_id()),
        chat_id=chat,
        verb=Verb.TELL,
        account_id=account,
        handle=handle,
        message_key="",
        payload="{}",
        created_at=NOW,
        expires_at=expires_at,
    )


def a_signal(
    post: PostId,
    account: AccountId,
    chat: ChatId,
    *,
    key: str = "m1",
    emoji: str = "👍",
    at: datetime = NOW,
    ref_key: str = "",
) -> Signal:
    return Signal(
        post_id=post,
        account_id=account,
        emoji=emoji,
        chat_id=chat,
        message_key=key,
        ref_key=ref_key,
        at=at,
        superseded=False,
    )


def a_vote(post: PostId, member: MemberId, account: AccountId, *, value: int = 1, at: datetime = NOW) -> Vote:
    return Vote(post_id=post, member_id=member, account_id=account, value=value, emoji="👍", acted_at=at)
