"""Posting, answering, editing, deleting; and where a post is shown."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from core.body import Body, from_json, to_json
from core.civic.members import require_member
from core.errors import Message, Refusal, message
from core.notices import Choice, Said, answer, brief, mark, private_chat
from core.records import Chat, Copy, CopyState, Member, Post, Revision
from core.scene import Scene
from core.social.votes import show_again
from core.stores import Unit
from core.tags import resolve, tags
from core.text import from_plain, is_empty, plain
from core.types import (
    ChatId,
    CommunityId,
    Feed,
    FeedKind,
    MemberId,
    MessageRef,
    PostId,
    ThingId,
    ThingKind,
    Visibility,
)

#: Our mark on a message that became a post. Never counted.
CONFIRMED = "👌"
_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"


def short_id(post: PostId | ThingId) -> str:
    """A post's id as people write it: Crockford's base 32, lower case."""
    number, text = int(post), ""
    while number:
        number, digit = divmod(number, 32)
        text = _DIGITS[digit] + text
    return text or "0"


def parse_id(text: str) -> PostId | None:
    """The reverse of ``short_id``; takes a link too."""
    word = text.strip().rstrip("/").rsplit("/", 1)[-1].lstrip("#").lower()
    number = 0
    for letter in word:
        if letter not in _DIGITS:
            return None
        number = number * 32 + _DIGITS.index(letter)
    return PostId(number) if word and number < 2**63 else None


# -- writing -------------------------------------------------------------------------------------------------------


def publish(
    scene: Scene,
    body: Body | None,
    *,
    source: str,
    dialect: str,
    visibility: str = "",
    reply_to: Post | None = None,
) -> PostId:
    """Makes a post of what the actor wrote, here. Raises ``Refusal``."""
    member = require_member(scene)
    unit = scene.unit
    _not_banned(unit, scene.chat.community_id, member)
    tree = _checked(scene, body, source)
    seen_by = _visibility(scene, visibility, reply_to)
    id_ = PostId(unit.new_id())
    unit.posts.add(
        id_,
        author=member.id,
        account=scene.account.id,
        community=scene.chat.community_id,
        chat=scene.chat.id,
        visibility=seen_by,
        reply_to=reply_to.id if reply_to else None,
        now=unit.now,
    )
    _write(unit, id_, 1, tree, source, dialect)
    unit.people.count_post(member.id)
    if scene.message:
        _note_origin(unit, scene.chat, ThingId(id_), scene.message)
    hold = _hold(scene, member)
    chats = _place(scene, member, id_, tree, seen_by, reply_to, hold)
    _confirm(scene, id_, seen_by, chats, hold)
    return id_


def _not_banned(unit: Unit, community: CommunityId | None, member: Member) -> None:
    if community is not None and unit.communities.banned(community, member.id):
        raise Refusal("post.banned", community=unit.communities.community(community).slug)


def _checked(scene: Scene, body: Body | None, source: str) -> Body:
    tree = resolve(body if body is not None else from_plain(source))
    if is_empty(tree):
        raise Refusal("post.empty")
    length = len(plain(tree).encode("utf-16-le")) // 2
    if length > scene.rules.max_post:
        raise Refusal("post.too_long", limit=scene.rules.max_post, n=length - scene.rules.max_post)
    return tree


def _visibility(scene: Scene, wish: str, reply_to: Post | None) -> Visibility:
    """A reply is seen as what it answers, unless its room is closed; a post stays inside its community."""
    chat = scene.chat
    closed = chat.private or chat.closed
    if wish:
        seen_by = Visibility(wish)
    elif closed:
        return Visibility.ROOM
    else:
        seen_by = reply_to.visibility if reply_to else Visibility.COMMUNITY
    if reply_to and _NARROW.index(reply_to.visibility) < _NARROW.index(seen_by):
        raise Refusal("post.wider_than_parent")
    if seen_by is Visibility.COMMUNITY and chat.community_id is None:
        if wish:
            raise Refusal("post.no_community")
        return Visibility.ROOM
    return seen_by


_NARROW = (Visibility.ROOM, Visibility.COMMUNITY, Visibility.PUBLIC)


def _write(unit: Unit, post: PostId, number: int, tree: Body, source: str, dialect: str) -> None:
    unit.posts.add_revision(
        Revision(post_id=post, number=number, body=to_json(tree), source=source, dialect=dialect, at=unit.now)
    )
    if number > 1:
        unit.posts.drop_tags(post)
    unit.posts.add_tags(post, list(tags(tree)))


def _note_origin(unit: Unit, chat: Chat, thing: ThingId, ref: MessageRef) -> None:
    """The author's own message stands for the post, but is not ours to edit."""
    unit.delivery.note_origin(
        Copy(
            chat_id=chat.id,
            thing_id=thing,
            kind=ThingKind.POST,
            part=0,
            message=ref,
            ours=False,
            shown=0,
            sent_at=unit.now,
        )
    )


# -- where it is shown ---------------------------------------------------------------------------------------------


def may_be_shown(visibility: Visibility, community: CommunityId | None, origin: ChatId, chat: Chat) -> bool:
    """Checked when planning and again when rendering."""
    if chat.id == origin:
        return True
    if visibility is Visibility.PUBLIC:
        return True
    return visibility is Visibility.COMMUNITY and community is not None and chat.community_id == community


def _place(
    scene: Scene,
    member: Member,
    post: PostId,
    tree: Body,
    seen_by: Visibility,
    reply_to: Post | None,
    hold: timedelta,
) -> list[Chat]:
    """The chats that will show the post. Plans their copies."""
    unit, origin = scene.unit, scene.chat
    own = feeds_of(member.id, tree)
    feeds = [*own, Feed(FeedKind.EVERYTHING, "")]
    if origin.community_id is not None:
        feeds.append(Feed(FeedKind.COMMUNITY, str(origin.community_id)))
    chats = {c.id: c for c in unit.communities.mirroring(feeds, own, member.id, origin.id)}
    if reply_to:
        chats |= {c.id: c for c in _conversation(unit, reply_to, member, own) if c.id != origin.id}
    shown = [c for c in chats.values() if may_be_shown(seen_by, origin.community_id, origin.id, c)]
    ready = unit.now + hold
    ids = [c.id for c in shown]
    unit.posts.add_places(ThingId(post), ids)
    unit.delivery.want(ThingId(post), ThingKind.POST, 1, ids, rank=1, now=unit.now, ready_at=ready)
    if scene.message is None:
        # A slash command leaves no message of its author behind: the room they posted in gets a copy as well.
        unit.posts.add_places(ThingId(post), [origin.id])
        unit.delivery.want(
            ThingId(post), ThingKind.POST, 1, [origin.id], rank=0, now=unit.now, ready_at=unit.now
        )
    return sorted(shown, key=lambda chat: chat.id)


def feeds_of(author: MemberId, tree: Body) -> list[Feed]:
    """What a room can block a post by: its tags and its author."""
    return [*(Feed(FeedKind.TAG, tag) for tag in tags(tree)), Feed(FeedKind.MEMBER, str(author))]


def _conversation(unit: Unit, parent: Post, member: Member, own: list[Feed]) -> list[Chat]:
    """Where the post that is answered stands: those who read it may read the answer."""
    ended = (CopyState.REMOVED, CopyState.WITHDRAWN)
    gone = {d.chat_id for d in unit.delivery.deliveries(ThingId(parent.id)) if d.state in ended}
    ids = [c for c in (*unit.posts.places(ThingId(parent.id)), parent.chat_id) if c not in gone]
    chats = unit.communities.chats_by_id(ids).values()
    return [
        c
        for c in chats
        if not c.private
        and c.community_id is not None
        and not unit.communities.banned(c.community_id, member.id)
        and not set(own) & set(unit.communities.blocks_of(c.id))
    ]


def _hold(scene: Scene, member: Member) -> timedelta:
    """How long a post waits before it travels: what its community chose, and for a newcomer a moment at least."""
    rules, community = scene.rules, scene.chat.community_id
    old = scene.unit.now - member.joined_at >= timedelta(days=rules.hold_days)
    least = timedelta(0) if old and member.posts >= rules.hold_posts else rules.hold
    if community is None:
        return least
    return max(least, timedelta(seconds=scene.unit.communities.community(community).hold_seconds))


def _confirm(scene: Scene, post: PostId, seen_by: Visibility, chats: list[Chat], hold: timedelta) -> None:
    """One reaction of ours in the room; to the author alone, where it will be seen and a way back."""
    if scene.message:
        mark(scene.unit, scene.chat, scene.message, CONFIRMED)
    if not (scene.handle or scene.chat.private or private_chat(scene.unit, scene.account)):
        return
    outcome = "post.done" if chats else "post.done_here"
    lines = [message(outcome, n=len(chats), visibility=message(f"visibility.{seen_by}"))]
    lines += [_place_line(scene, chat) for chat in chats[:10]]
    if chats and hold:
        lines.append(_held_line(hold))
    undo = Choice(message("post.undo"), data=f"undo:{short_id(post)}")
    answer(scene, Said(tuple(lines), (undo,), text_command=f"delete {short_id(post)}"))


def _held_line(hold: timedelta) -> Message:
    minutes, seconds = divmod(int(hold.total_seconds()), 60)
    return message("post.held_seconds", n=seconds) if not minutes else message("post.held", n=minutes)


def _place_line(scene: Scene, chat: Chat) -> Message:
    return message("post.place", room=chat.title, platform=scene.rules.label(chat.ref.platform))


# -- changing ------------------------------------------------------------------------------------------------------


def post_of(scene: Scene, typed: str) -> Post:
    """The post meant: by its id, else the one whose copy was answered, else the actor's newest.

    Raises ``Refusal`` when there is none.
    """
    unit = scene.unit
    if typed:
        id_ = parse_id(typed)
        post = unit.posts.post(id_) if id_ is not None else None
    elif scene.target is not None:
        copy = unit.delivery.copy_of(scene.chat.id, scene.target.key)
        post = unit.posts.post(copy.thing_id) if copy else None
    elif scene.handle:
        post = unit.posts.latest_of(require_member(scene).id)
    else:
        raise Refusal("post.which")
    if post is None or post.deleted_at is not None:
        raise Refusal("post.unknown")
    return post


def require_own(scene: Scene, post: Post) -> Member:
    if scene.member is None or post.author_id != scene.member.id:
        raise Refusal("post.not_yours")
    return scene.member


def edit(scene: Scene, post: Post, body: Body | None, source: str, dialect: str) -> bool:
    """A new revision; all copies follow. Returns whether anything changed. Raises ``Refusal``."""
    member = require_own(scene, post)
    unit = scene.unit
    tree = _checked(scene, body, source)
    if unit.posts.revision(post.id).body == to_json(tree):
        return False
    _not_banned(unit, post.community_id, member)
    _write(unit, post.id, post.revision + 1, tree, source, dialect)
    unit.posts.revise(post.id)
    show_again(unit, post.id, post.version + 1, rank=2)
    return True


def narrow(scene: Scene, post: Post, seen_by: Visibility) -> Post:
    """Fewer may see it from now on: copies elsewhere are withdrawn. Raises ``Refusal`` for a wider wish."""
    require_own(scene, post)
    if seen_by is post.visibility:
        return post
    if seen_by is Visibility.COMMUNITY and post.community_id is None:
        raise Refusal("post.no_community")
    if _NARROW.index(seen_by) > _NARROW.index(post.visibility):
        raise Refusal("post.cannot_widen")
    unit = scene.unit
    unit.posts.set_visibility(post.id, seen_by)
    show_again(unit, post.id, post.version + 1, rank=0)
    answer(scene, brief("post.narrowed", visibility=message(f"visibility.{seen_by}")))
    return replace(post, visibility=seen_by, version=post.version + 1)


def delete(unit: Unit, post: Post) -> None:
    """Withdrawn everywhere."""
    unit.posts.delete(post.id, unit.now)
    show_again(unit, post.id, post.version + 1, rank=0)


def message_deleted(unit: Unit, copy: Copy) -> None:
    """A copy that vanished was removed there, for good; an origin that vanished takes every copy with it."""
    if copy.ours:
        unit.delivery.settle(copy.chat_id, copy.thing_id, CopyState.REMOVED, "taken away there")
        unit.delivery.drop_copy(copy.chat_id, copy.thing_id)
        return
    post = unit.posts.post(copy.thing_id)
    if post is not None and post.deleted_at is None:
        delete(unit, post)


def newest_tree(unit: Unit, post: PostId) -> Body:
    return from_json(unit.posts.revision(post).body)
