"""Posting, answering, editing, deleting; and where a post is shown."""

from __future__ import annotations

from datetime import timedelta

from msgspec import structs

from core.body import Body, from_json, to_json
from core.civic.members import require_member
from core.errors import Message, Refusal, message
from core.notices import Choice, Said, answer, mark, private_chat
from core.parts import length_of
from core.records import Chat, Copy, Member, Post, Revision
from core.removal import our_own, remove_here
from core.scene import Rules, Scene
from core.social import enclosures
from core.social.reach import may_read, place, place_anew, that_may_show
from core.social.votes import show_again, show_quoting
from core.stores.unit import Unit
from core.tags import resolve, tags
from core.text import from_plain, is_empty, plain
from core.types import (
    CommunityId,
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
    quoted: Post | None = None,
) -> PostId:
    """Makes a post of what the actor wrote, here. Raises ``Refusal``. ``quoted``: the post that it carries inside."""
    member = require_member(scene)
    unit = scene.unit
    not_banned(unit, scene.chat.community_id, member)
    tree = _checked(scene, body, source, wordless=bool(scene.files))
    seen_by = _visibility(scene, visibility, reply_to, quoted)
    id_ = PostId(unit.new_id())
    post = unit.posts.add(
        id_,
        author=member.id,
        account=scene.account.id,
        community=scene.chat.community_id,
        chat=scene.chat.id,
        visibility=seen_by,
        reply_to=reply_to.id if reply_to else None,
        now=unit.now,
        quote_of=quoted.id if quoted else None,
    )
    keys = _write(unit, id_, 1, tree, source, dialect)
    unit.people.count_post(member.id)
    if scene.message:
        _note_origin(unit, scene.chat, ThingId(id_), scene.message)
    hold = hold_of(scene.rules, unit, scene.chat.community_id, member)
    for other in (reply_to, quoted):
        if other is not None:
            # Its words would be seen with these.
            hold = max(hold, left_to_wait(scene.rules, unit, other))
    chats = place(unit, post, keys, reply_to, unit.now + hold if hold else unit.now)
    if scene.message is None:
        _show_here(unit, post)
    enclosures.enclose(
        unit, scene.rules.media, ThingId(id_), scene.actor.account.platform, scene.files, scene.album
    )
    _confirm(scene, id_, seen_by, chats, hold)
    return id_


def _show_here(unit: Unit, post: Post) -> None:
    """A slash command leaves no message of its author behind: the room they posted in gets a copy as well."""
    thing, here = ThingId(post.id), [post.chat_id]
    unit.posts.add_places(thing, here)
    unit.outbox.want(thing, ThingKind.POST, 1, here, rank=0, now=unit.now, ready_at=unit.now)


def not_banned(unit: Unit, community: CommunityId | None, member: Member) -> None:
    """Raises ``Refusal`` where this community keeps the member's posts out."""
    if community is not None and unit.communities.banned(community, member.id):
        raise Refusal("post.banned", community=unit.communities.community(community).slug)


def _checked(scene: Scene, body: Body | None, source: str, *, wordless: bool) -> Body:
    """``wordless``: there is something besides words."""
    tree = resolve(body if body is not None else from_plain(source))
    words = plain(tree)
    # What begins with a letter is seen, and most posts do.
    if not words[:1].isalpha() and is_empty(tree):
        if wordless:
            return Body()
        raise Refusal("post.empty")
    length = length_of(words, "utf16")
    if length > scene.rules.max_post:
        raise Refusal("post.too_long", limit=scene.rules.max_post, n=length - scene.rules.max_post)
    return tree


def _visibility(scene: Scene, wish: str, reply_to: Post | None, quoted: Post | None) -> Visibility:
    """A reply is seen as what it answers, unless its room is closed; a post stays inside its community.

    What carries another post inside is seen by no more people than that.
    """
    chat = scene.chat
    closed = chat.private or chat.closed
    if wish:
        seen_by = Visibility(wish)
    elif closed:
        return Visibility.ROOM
    else:
        seen_by = reply_to.visibility if reply_to else Visibility.COMMUNITY
        if quoted and quoted.visibility is Visibility.ROOM:
            seen_by = Visibility.ROOM
    if quoted and _NARROW.index(quoted.visibility) < _NARROW.index(seen_by):
        raise Refusal("quote.wider")
    if reply_to and _NARROW.index(reply_to.visibility) < _NARROW.index(seen_by):
        raise Refusal("post.wider_than_parent")
    if seen_by is Visibility.COMMUNITY and chat.community_id is None:
        if wish:
            raise Refusal("post.no_community")
        return Visibility.ROOM
    return seen_by


_NARROW = (Visibility.ROOM, Visibility.COMMUNITY, Visibility.PUBLIC)


def _write(unit: Unit, post: PostId, number: int, tree: Body, source: str, dialect: str) -> list[str]:
    """Returns its tags."""
    unit.posts.add_revision(Revision(post, number, to_json(tree), source, dialect, unit.now))
    if number > 1:
        unit.posts.drop_tags(post)
    keys = list(tags(tree))
    unit.posts.add_tags(post, keys)
    return keys


def _note_origin(unit: Unit, chat: Chat, thing: ThingId, ref: MessageRef) -> None:
    """The author's own message stands for the post, but is not ours to edit."""
    unit.copies.note_origin(
        Copy(chat.id, thing, ThingKind.POST, 0, ref, ours=False, shown=0, sent_at=unit.now)
    )


# -- when it travels, and what its author is told ------------------------------------------------------------------


_NOW = timedelta(0)


def hold_of(rules: Rules, unit: Unit, community: CommunityId | None, member: Member) -> timedelta:
    """How long a post waits before it travels: what its community chose, and for a newcomer a moment at least."""
    old = (unit.now - member.joined_at).days >= rules.hold_days
    least = _NOW if old and member.posts >= rules.hold_posts else rules.hold
    chosen = unit.communities.community(community).hold_seconds if community is not None else 0
    return max(least, timedelta(seconds=chosen)) if chosen else least


def left_to_wait(rules: Rules, unit: Unit, post: Post) -> timedelta:
    """How long this post still waits before it travels: what brings it or its words anywhere waits as long."""
    author = unit.people.member(post.author_id)
    return max(_NOW, post.created_at + hold_of(rules, unit, post.community_id, author) - unit.now)


def waits(scene: Scene, post: Post) -> bool:
    """Whether nobody but its author, and those in its room, may read it yet."""
    own = scene.member is not None and post.author_id == scene.member.id
    return not own and left_to_wait(scene.rules, scene.unit, post) > _NOW


def _door(scene: Scene) -> bool:
    """Whether the author can be told something that is nobody else's business."""
    return bool(scene.handle or scene.chat.private or private_chat(scene.unit, scene.account))


def _confirm(scene: Scene, post: PostId, seen_by: Visibility, chats: list[Chat], hold: timedelta) -> None:
    """One reaction of ours in the room; to the author alone, where it will be seen and a way back."""
    if scene.message:
        mark(scene.unit, scene.chat, scene.message, CONFIRMED)
    if not _door(scene):
        return
    outcome = "post.done" if chats else "post.done_here"
    lines = [
        message(outcome, n=len(chats), visibility=message(f"visibility.{seen_by}")),
        *place_lines(scene, chats, hold),
        *_file_lines(scene, post),
        *_untold_line(scene),
    ]
    undo = Choice(message("post.undo"), data=f"undo:{short_id(post)}")
    answer(scene, Said(tuple(lines), (undo,), text_command=f"delete {short_id(post)}"))


def place_lines(scene: Scene, chats: list[Chat], hold: timedelta) -> list[Message]:
    lines = [_place_line(scene, chat) for chat in chats[:10]]
    return [*lines, _held_line(hold)] if chats and hold else lines


def _file_lines(scene: Scene, post: PostId) -> list[Message]:
    unit, thing = scene.unit, ThingId(post)
    lines = [line for line in enclosures.told(unit, thing) if line.id != "file.what.missing"]
    if enclosures.undescribed(unit, thing):
        lines.append(message("file.describe", post=short_id(post)))
    return lines


def _untold_line(scene: Scene) -> list[Message]:
    """Said with somebody's first post: that deleting their message here is seen by nobody."""
    able = scene.rules.capabilities(scene.chat.ref.platform)
    first = scene.member is not None and scene.member.posts == 0
    if not (first and scene.message and able and not able.tells_deletions):
        return []
    return [message("post.untold", platform=able.label)]


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
        copy = unit.copies.copy_of(scene.chat.id, scene.target.key)
        post = unit.posts.post(copy.thing_id) if copy else None
    elif scene.handle:
        post = unit.posts.latest_of(require_member(scene).id)
    else:
        raise Refusal("post.which")
    if post is None or post.deleted_at is not None:
        raise Refusal("post.unknown")
    return post


def readable(scene: Scene, typed: str) -> Post:
    """Somebody's post that reaches who acts: by its id, else the one whose copy was answered. Raises ``Refusal``."""
    if not typed and scene.target is None:
        raise Refusal("post.which")
    post = post_of(scene, typed)
    if not may_read(scene, post):
        raise Refusal("post.unknown")
    return post


def quotable(scene: Scene, typed: str) -> Post:
    """A post that may be carried inside another one here: who reads that may read this. Raises ``Refusal``."""
    post = readable(scene, typed)
    if not that_may_show(post.visibility, post.community_id, post.chat_id, [scene.chat]):
        raise Refusal("quote.elsewhere")
    return post


def require_own(scene: Scene, post: Post) -> Member:
    if scene.member is None or post.author_id != scene.member.id:
        raise Refusal("post.not_yours")
    return scene.member


def edit(scene: Scene, post: Post, body: Body | None, source: str, dialect: str) -> list[Message] | None:
    """A new revision; all copies follow. ``None`` where nothing changed. Raises ``Refusal``.

    A tag that comes or goes changes which rooms show the post: returns what its author is to know of that.
    """
    member = require_own(scene, post)
    unit = scene.unit
    tree = _checked(scene, body, source, wordless=bool(unit.media.of(ThingId(post.id))))
    before = unit.posts.revision(post.id).body
    if before == to_json(tree):
        return None
    not_banned(unit, post.community_id, member)
    _write(unit, post.id, post.revision + 1, tree, source, dialect)
    unit.posts.revise(post.id)
    now = structs.replace(post, revision=post.revision + 1, version=post.version + 1)
    show_again(unit, post.id, now.version, rank=2)
    show_quoting(unit, post.id)
    parent = unit.posts.post(post.reply_to) if post.reply_to else None
    hold = hold_of(scene.rules, unit, post.community_id, member)
    chats = place_anew(unit, now, from_json(before), tree, parent, unit.now + hold)
    if not chats or not _door(scene):
        return []
    return [message("post.edited_also", n=len(chats)), *place_lines(scene, chats, hold)]


def say_edited(before: Post, now: Post, moved: list[Message] | None, *, asked: bool) -> Said | None:
    """What an edit came to; nothing where there is nothing to say to who did not ``ask`` by a command."""
    lines = []
    if now.visibility is not before.visibility:
        lines.append(message("post.narrowed", visibility=message(f"visibility.{now.visibility}")))
    if asked and moved is not None:
        lines.append(message("post.edited"))
    elif asked and not lines:
        lines.append(message("post.same"))
    lines += moved or []
    return Said(tuple(lines), brief=not moved) if lines else None


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
    if post.visibility is Visibility.PUBLIC:
        unit.reports.close_elsewhere(post.id, post.community_id, unit.now)
    show_again(unit, post.id, post.version + 1, rank=0)
    show_quoting(unit, post.id)
    return structs.replace(post, visibility=seen_by, version=post.version + 1)


def delete(unit: Unit, post: Post) -> None:
    """Withdrawn everywhere."""
    unit.posts.delete(post.id, unit.now)
    unit.reports.close_everywhere(post.id, unit.now)
    unit.media.drop(ThingId(post.id))
    show_again(unit, post.id, post.version + 1, rank=0)
    show_quoting(unit, post.id)


def message_deleted(unit: Unit, copy: Copy) -> None:
    """A copy that vanished was removed there, for good; an origin that vanished takes every copy with it."""
    if copy.ours:
        if not our_own(unit, copy):
            remove_here(unit, copy.chat_id, copy.thing_id, "taken away there", gone=copy.message.key)
        return
    post = unit.posts.post(copy.thing_id)
    if post is not None and post.deleted_at is None:
        delete(unit, post)


def newest_tree(unit: Unit, post: PostId) -> Body:
    return from_json(unit.posts.revision(post).body)
