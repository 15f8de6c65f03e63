"""Which rooms show a post: planned when it is written, and again when its tags change."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from core.body import Body
from core.records import Chat, CopyState, Post
from core.stores.unit import Unit
from core.tags import tags
from core.types import ChatId, CommunityId, Feed, FeedKind, MemberId, ThingId, ThingKind, Visibility


def that_may_show(
    visibility: Visibility, community: CommunityId | None, origin: ChatId, chats: Iterable[Chat]
) -> list[Chat]:
    """The rooms among these that may show a post. Checked when planning and again when rendering."""
    if visibility is Visibility.PUBLIC:
        return list(chats)
    if visibility is Visibility.COMMUNITY and community is not None:
        return [chat for chat in chats if chat.community_id == community or chat.id == origin]
    return [chat for chat in chats if chat.id == origin]


def feeds_of(author: MemberId, keys: Iterable[str]) -> list[Feed]:
    """What a room can block a post by: its tags and its author."""
    return [*_tag_feeds(keys), Feed(FeedKind.MEMBER, str(author))]


_EVERYTHING = Feed(FeedKind.EVERYTHING, "")


def place(unit: Unit, post: Post, keys: Iterable[str], parent: Post | None, ready_at: datetime) -> list[Chat]:
    """The rooms besides its own that will show a new post with these tags. Plans their copies."""
    return _plan(unit, post, _wanting(unit, post, keys, parent), ready_at)


def place_anew(
    unit: Unit, post: Post, old: Body, new: Body, parent: Post | None, ready_at: datetime
) -> list[Chat]:
    """An edit changed the tags: the rooms that get the post now, as its author asked.

    Rooms that had it by a tag that is gone, and by nothing else, show it no longer. ``post``: as it is now.
    """
    before, after = tags(old), tags(new)
    added = [tag for tag in after if tag not in before]
    gone = [tag for tag in before if tag not in after]
    if gone:
        _withdraw(unit, post, gone, {chat.id for chat in _wanting(unit, post, after, parent)})
    if not added:
        return []
    own = feeds_of(post.author_id, after)
    chats = unit.communities.mirroring(_tag_feeds(added), own, post.author_id, post.chat_id)
    there = {row.chat_id for row in unit.outbox.deliveries(ThingId(post.id))}
    shown = _plan(unit, post, chats, ready_at)
    again = unit.placing.again(ThingId(post.id), post.version, [chat.id for chat in shown], ready_at)
    return [chat for chat in shown if chat.id in again or chat.id not in there]


def withdraw_unmirrored(unit: Unit, chat: Chat) -> None:
    """A mirror of this room ended: what waits for it because of that mirror alone is not shown any more."""
    for fold in unit.placing.withdraw_unmirrored(
        chat.id, unit.now, "no mirror of the room brings it any more"
    ):
        unit.folds.bump_fold(fold, unit.now, rank=1)


def _tag_feeds(keys: Iterable[str]) -> list[Feed]:
    return [Feed(FeedKind.TAG, tag) for tag in keys]


def _wanting(unit: Unit, post: Post, keys: Iterable[str], parent: Post | None) -> list[Chat]:
    """Every room that a post with these tags is meant for, by id, whether or not it may be shown there."""
    own = feeds_of(post.author_id, keys)
    feeds = [*own, _EVERYTHING]
    if post.community_id is not None:
        feeds.append(Feed(FeedKind.COMMUNITY, str(post.community_id)))
    mirroring = unit.communities.mirroring(feeds, own, post.author_id, post.chat_id)
    if parent is None:
        return mirroring
    talking = _conversation(unit, parent, post.author_id, own)
    chats = {c.id: c for c in (*mirroring, *talking) if c.id != post.chat_id}
    return [chats[id_] for id_ in sorted(chats)]


def _conversation(unit: Unit, parent: Post, author: MemberId, own: list[Feed]) -> list[Chat]:
    """Where the post that is answered stands: those who read it may read the answer."""
    ended = (CopyState.REMOVED, CopyState.WITHDRAWN)
    gone = {d.chat_id for d in unit.outbox.deliveries(ThingId(parent.id)) if d.state in ended}
    ids = [c for c in (*unit.posts.places(ThingId(parent.id)), parent.chat_id) if c not in gone]
    chats = unit.communities.chats_by_id(ids).values()
    return [
        c
        for c in chats
        if not c.private
        and c.community_id is not None
        and not unit.communities.banned(c.community_id, author)
        and not set(own) & set(unit.communities.blocks_of(c.id))
    ]


def _plan(unit: Unit, post: Post, chats: Iterable[Chat], ready_at: datetime) -> list[Chat]:
    """Those of the rooms that may show the post get it, where they have it not yet."""
    thing = ThingId(post.id)
    shown = that_may_show(post.visibility, post.community_id, post.chat_id, chats)
    ids = [chat.id for chat in shown]
    unit.posts.add_places(thing, ids)
    unit.outbox.want(thing, ThingKind.POST, post.version, ids, rank=1, now=unit.now, ready_at=ready_at)
    return shown


def _withdraw(unit: Unit, post: Post, gone: list[str], kept: set[ChatId]) -> None:
    had = unit.communities.mirroring(_tag_feeds(gone), [], post.author_id, post.chat_id)
    leaving = [chat.id for chat in had if chat.id not in kept]
    for fold in unit.placing.withdraw(ThingId(post.id), leaving, unit.now, "its tag is gone"):
        unit.folds.bump_fold(fold, unit.now, rank=2)
