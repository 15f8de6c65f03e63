"""Which rooms show a post: planned when it is written, when its tags change, and when somebody passes it on."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from core.body import Body, from_json
from core.records import Chat, CopyState, Post
from core.scene import Scene
from core.social.votes import show_again
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


def may_read(scene: Scene, post: Post) -> bool:
    """Whether the post reaches who acts, where they act."""
    if scene.member is not None and post.author_id == scene.member.id:
        return True
    if that_may_show(post.visibility, post.community_id, post.chat_id, [scene.chat]):
        return True
    return post.visibility is Visibility.COMMUNITY and post.community_id in homes(scene)


def homes(scene: Scene) -> list[CommunityId]:
    """The communities whose own posts reach who acts: of a member wherever they are, of a guest in its rooms."""
    if scene.member is not None:
        return scene.unit.communities.of_member(scene.member.id)
    return [] if scene.chat.community_id is None else [scene.chat.community_id]


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
        had = unit.communities.mirroring(_tag_feeds(gone), [], post.author_id, post.chat_id)
        kept = {chat.id for chat in _wanting(unit, post, after, parent)}
        _let_go(unit, post, [chat.id for chat in had if chat.id not in kept], after, "its tag is gone")
    if not added:
        return []
    own = feeds_of(post.author_id, after)
    chats = unit.communities.mirroring(_tag_feeds(added), own, post.author_id, post.chat_id)
    there = {row.chat_id for row in unit.outbox.deliveries(ThingId(post.id))}
    shown = _plan(unit, post, chats, ready_at)
    again = unit.placing.again(ThingId(post.id), post.version, [chat.id for chat in shown], ready_at)
    return [chat for chat in shown if chat.id in again or chat.id not in there]


def pass_on(unit: Unit, post: Post, booster: MemberId, ready_at: datetime) -> list[Chat]:
    """The rooms that get the post by this boost: they mirror who boosted it and have it not yet."""
    thing = ThingId(post.id)
    own = feeds_of(post.author_id, tags(_newest(unit, post)))
    there = {row.chat_id for row in unit.outbox.deliveries(thing)}
    chats = _mirroring(unit, post, booster, own)
    new = _plan(unit, post, [chat for chat in chats if chat.id not in there], ready_at)
    old = that_may_show(post.visibility, post.community_id, post.chat_id, chats)
    again = unit.placing.again(thing, post.version, [c.id for c in old if c.id in there], ready_at)
    shown = [*new, *(chat for chat in old if chat.id in again)]
    unit.boosts.credit(post.id, [chat.id for chat in shown], booster)
    return shown


def end_boost(unit: Unit, post: Post, booster: MemberId) -> None:
    """The boost is gone, and the post with it wherever nothing else brings it."""
    chats = unit.boosts.shown_by(post.id, booster)
    if not chats:
        return
    keys = tags(_newest(unit, post))
    parent = unit.posts.post(post.reply_to) if post.reply_to else None
    wanting = {chat.id for chat in _wanting(unit, post, keys, parent)}
    kept = [chat for chat in chats if chat in wanting]
    unit.boosts.credit(post.id, kept, None)
    gone = _let_go(
        unit, post, [chat for chat in chats if chat not in wanting], keys, "its boost is taken back"
    )
    if len(gone) < len(chats):
        # Who shared it there is said in the copy.
        unit.posts.bump(post.id)
        show_again(unit, post.id, post.version + 1, rank=2)


def _mirroring(unit: Unit, post: Post, booster: MemberId, own: list[Feed]) -> list[Chat]:
    """The rooms that want what this member passes on, and keep out neither them nor the post."""
    feed = Feed(FeedKind.MEMBER, str(booster))
    chats = unit.communities.mirroring([feed], [*own, feed], post.author_id, post.chat_id)
    return [
        c for c in chats if c.community_id is None or not unit.communities.banned(c.community_id, booster)
    ]


def _let_go(unit: Unit, post: Post, chats: list[ChatId], keys: Iterable[str], why: str) -> list[ChatId]:
    """What brought the post to these rooms is gone: it stays by a boost where there is one. Returns where it goes."""
    own = feeds_of(post.author_id, keys)
    left = list(chats)
    for booster in unit.boosts.mirrored(post.id) if left else ():
        wanting = {chat.id for chat in _mirroring(unit, post, booster, own)}
        unit.boosts.credit(post.id, [chat for chat in left if chat in wanting], booster)
        left = [chat for chat in left if chat not in wanting]
    for fold in unit.placing.withdraw(ThingId(post.id), left, unit.now, why):
        unit.folds.bump_fold(fold, unit.now, rank=2)
    return left


def _newest(unit: Unit, post: Post) -> Body:
    return from_json(unit.posts.revision(post.id).body)


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
