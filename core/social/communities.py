"""A community is made of rooms: what they mirror and relay, who is kept out, and how a room leaves."""

from __future__ import annotations

from dataclasses import replace

from core.errors import Glimpse, Message, Refusal, message
from core.intents import NotAsAuthor
from core.notices import Said, announce, answer, brief, openly, say, unpin
from core.records import Chat, Community, Doubt, Look
from core.removal import remove_here
from core.scene import Scene
from core.social import losses
from core.social.feeds import EVERYTHING, feed_name, find_feed, member_feed, tag_feed
from core.social.posts import left_to_wait, post_of
from core.social.reach import withdraw_unmirrored
from core.stores.unit import Unit
from core.types import CommunityId, Feed, FeedKind, MemberId, PostId, ThingId

#: Mirrors a room can have.
MAX_MIRRORS = 50
#: Minutes that a community may have its posts wait.
MAX_HOLD = 60


def require_room(scene: Scene) -> Chat:
    """Raises ``Refusal`` in a private chat."""
    if scene.chat.private:
        raise Refusal("room.needed")
    return scene.chat


def require_community(scene: Scene) -> Community:
    """The room's community. Raises ``Refusal`` with the way to start one."""
    chat = require_room(scene)
    if chat.community_id is None:
        raise Refusal("room.no_community")
    return scene.unit.communities.community(chat.community_id)


def leave(scene: Scene, wish: str) -> None:
    """Takes this room out of its community; its copies stay or go, as its admin says."""
    chat = require_room(scene)
    community = require_community(scene)
    unit = scene.unit
    unit.communities.drop_mirrors(chat.id)
    unit.communities.set_relay(chat.id, False)
    unpin(unit, chat.id)
    unit.communities.set_community(chat.id, None)
    unit.placing.withdraw_waiting(chat.id, "the room left its community")
    if wish == "remove":
        unit.placing.withdraw_all(chat.id, unit.now)
    answer(scene, openly("leave.removed" if wish == "remove" else "leave.kept", community=community.slug))


# -- mirrors -------------------------------------------------------------------------------------------------------


def mirror_add(scene: Scene, typed: str) -> None:
    """A new mirror starts from now; the answer previews the feed's newest post."""
    community = require_community(scene)
    feed = find_feed(scene, typed)
    unit = scene.unit
    if not mirror_feed(scene, community, feed):
        return answer(scene, openly("mirror.already", feed=feed_name(unit, feed)))
    lines = (message("mirror.added", feed=feed_name(unit, feed)), *preview(scene, feed, community.id))
    return answer(scene, Said(lines, personal=False))


def mirror_feed(scene: Scene, community: Community, feed: Feed) -> bool:
    """Shows a feed here from now on. Returns whether it was not already. Raises ``Refusal``."""
    unit = scene.unit
    if len(unit.communities.mirrors_of(scene.chat.id)) >= MAX_MIRRORS:
        raise Refusal("mirror.too_many", n=MAX_MIRRORS)
    if feed.kind is FeedKind.MEMBER and unit.communities.banned(community.id, MemberId(int(feed.key))):
        raise Refusal("mirror.banned", feed=feed_name(unit, feed))
    return unit.communities.add_mirror(scene.chat.id, feed, scene.account.id, unit.now)


def preview(scene: Scene, feed: Feed, inside: CommunityId) -> tuple[Message, ...]:
    """The feed's newest post, if it may be read here by now."""
    unit = scene.unit
    post = unit.timelines.latest_in(
        authors=[int(feed.key)] if feed.kind is FeedKind.MEMBER else [],
        tags=[feed.key] if feed.kind is FeedKind.TAG else [],
        followed=[int(feed.key)] if feed.kind is FeedKind.COMMUNITY else [],
        everything=feed.kind is FeedKind.EVERYTHING,
        inside=inside,
    )
    barred = post is not None and unit.communities.banned(inside, post.author_id)
    if post is None or barred or left_to_wait(scene.rules, unit, post):
        return (message("mirror.no_preview"),)
    author = unit.people.member(post.author_id)
    words = Glimpse(post.id, 200)
    return (message("mirror.preview", handle=author.handle, text=words),)


def mirror_list(scene: Scene) -> None:
    unit = scene.unit
    community = require_community(scene)
    mirrors = unit.communities.mirrors_of(scene.chat.id)
    blocks = unit.communities.blocks_of(scene.chat.id)
    lost = losses.of_community(unit, scene.rules, community.id)
    if not mirrors and not blocks and not lost:
        return answer(scene, openly("mirror.none"))
    lines = [message("mirror.title", n=len(mirrors)) if mirrors or blocks else message("mirror.none")]
    if scene.chat.look is Look.AUTHOR or scene.chat.look_lost:
        lines.append(look_line(scene))
    lines += [message("mirror.line", feed=feed_name(unit, m.feed)) for m in mirrors]
    lines += [message("mirror.block_line", what=feed_name(unit, b)) for b in blocks]
    # Who is kept out, and what is wrong elsewhere, is nobody's business but that of who keeps this room.
    personal = bool(lost) or any(b.kind is FeedKind.MEMBER for b in blocks)
    return answer(scene, Said((*lines, *lost), personal=personal))


def mirror_look(scene: Scene, wish: str) -> None:
    """In whose name posts are shown here from now on; without a wish, in whose they are."""
    require_community(scene)
    if not wish:
        return answer(scene, Said((look_line(scene),), personal=False))
    choose_look(scene, Look(wish))
    return answer(scene, openly(f"look.{wish}"))


def choose_look(scene: Scene, look: Look) -> None:
    """Raises ``Refusal`` where the platform cannot, or the bot may not."""
    if look is Look.AUTHOR:
        _may_look_like_authors(scene)
    scene.unit.communities.set_look(scene.chat.id, look, "")


def _may_look_like_authors(scene: Scene) -> None:
    """Raises ``Refusal``: the platform cannot, or the bot lacks the right to."""
    capabilities = scene.rules.capabilities(scene.chat.ref.platform)
    right = capabilities.as_author if capabilities else None
    if right is None:
        raise Refusal("look.unable", platform=scene.rules.label(scene.chat.ref.platform))
    if right in scene.lacks:
        raise Refusal("look.lacks", permission=right_name(scene, right))


def right_name(scene: Scene, name: str) -> Message:
    """A right of the bot as people see it in their platform's settings."""
    return message(f"check.{scene.chat.ref.platform}.permission.{name}")


def look_line(scene: Scene) -> Message:
    """In whose name posts are shown here, and why not in their authors'."""
    if not scene.chat.look_lost:
        return message(f"look.{scene.chat.look}")
    capabilities = scene.rules.capabilities(scene.chat.ref.platform)
    right = (capabilities.as_author if capabilities else None) or ""
    if scene.chat.look_lost == NotAsAuthor.FORBIDDEN and right:
        return message("look.lost.forbidden", permission=right_name(scene, right))
    return message(f"look.lost.{scene.chat.look_lost}")


def mirror_remove(scene: Scene, typed: str) -> None:
    require_community(scene)
    # What the operator put here, the room may take away.
    feed = EVERYTHING if typed.strip().lower() == "everything" else find_feed(scene, typed)
    if not scene.unit.communities.drop_mirror(scene.chat.id, feed):
        raise Refusal("mirror.not_there", feed=feed_name(scene.unit, feed))
    withdraw_unmirrored(scene.unit, scene.chat)
    answer(scene, openly("mirror.removed", feed=feed_name(scene.unit, feed)))


def mirror_block(scene: Scene, typed: str, *, on: bool) -> None:
    require_community(scene)
    what = tag_feed(typed) if typed.startswith("#") else member_feed(scene.unit, typed)
    store = scene.unit.communities
    changed = store.block(scene.chat.id, what) if on else store.unblock(scene.chat.id, what)
    outcome = ("mirror.blocked" if on else "mirror.unblocked") if changed else "mirror.block_same"
    tell = say if what.kind is FeedKind.MEMBER else openly
    answer(scene, tell(outcome, what=feed_name(scene.unit, what)))


def relay(scene: Scene, state: str) -> None:
    """Passes ordinary talk between rooms of the same community, with a pinned notice."""
    community = require_community(scene)
    on = state == "on"
    if on == scene.chat.relay:
        return answer(scene, openly("relay.same_on" if on else "relay.same_off"))
    if on and scene.threaded:
        raise Refusal("relay.threaded")
    if on and (deaf := _deafness(scene)) is not None:
        raise Refusal("relay.deaf", permission=deaf)
    share_talk(scene.unit, scene.chat, community, on=on)
    if scene.handle:
        # An interaction waits for an answer of its own.
        answer(scene, brief("relay.on" if on else "relay.off", community=community.slug))
    return None


def _deafness(scene: Scene) -> Message | None:
    """The right without which ordinary talk is not heard here, where the bot lacks it."""
    capabilities = scene.rules.capabilities(scene.chat.ref.platform)
    right = capabilities.hears if capabilities else None
    return right_name(scene, right) if right is not None and right in scene.lacks else None


def share_talk(unit: Unit, chat: Chat, community: Community, *, on: bool) -> None:
    """From now on this room's talk is passed on, or no more; a notice in the room says so."""
    unit.communities.set_relay(chat.id, on)
    unpin(unit, chat.id)
    said = openly("relay.on" if on else "relay.off", community=community.slug)
    announce(unit, chat, replace(said, pin=on))


def choose_doubt(scene: Scene, choice: str) -> None:
    """What becomes of a copy whose send was cut off, on a platform that cannot tell whether it arrived."""
    community = require_community(scene)
    scene.unit.communities.set_doubt(community.id, Doubt(choice))
    answer(scene, brief(f"doubt.{choice}", community=community.slug))


def hold(scene: Scene, typed: str) -> None:
    """How long every post of the community waits before it travels; taken back meanwhile, nobody else saw it."""
    community = require_community(scene)
    minutes = 0 if typed.lower() == "off" else int(typed) if typed.isascii() and typed.isdigit() else -1
    if not 0 <= minutes <= MAX_HOLD:
        raise Refusal("hold.range", n=MAX_HOLD)
    scene.unit.communities.set_hold(community.id, minutes * 60)
    outcome = message("hold.on", n=minutes, community=community.slug)
    answer(scene, Said((outcome if minutes else message("hold.off", community=community.slug),), brief=True))


# -- moderators win ------------------------------------------------------------------------------------------------


def pause(scene: Scene, *, on: bool) -> None:
    """Stops (or starts again) all output in the community, except answers."""
    community = require_community(scene)
    if community.paused == on:
        return answer(scene, brief("pause.same_on" if on else "pause.same_off", community=community.slug))
    unit = scene.unit
    unit.communities.set_paused(community.id, on)
    unit.woken.update(chat.id for chat in unit.communities.chats_of(community.id))
    return answer(scene, brief("pause.on" if on else "pause.off", community=community.slug))


def ban(scene: Scene, typed: str, *, on: bool) -> None:
    """A ban in one room holds in all rooms of its community."""
    community = require_community(scene)
    feed = member_feed(scene.unit, typed)
    member = MemberId(int(feed.key))
    if scene.member and member == scene.member.id:
        raise Refusal("ban.self")
    store = scene.unit.communities
    changed = (
        store.ban(community.id, member, scene.account.id, scene.unit.now)
        if on
        else store.unban(community.id, member)
    )
    if on:
        scene.unit.reports.close_of_author(member, community.id, scene.unit.now)
    outcome = ("ban.done" if on else "unban.done") if changed else ("ban.already" if on else "unban.none")
    answer(scene, say(outcome, member=feed_name(scene.unit, feed), community=community.slug))


def remove(scene: Scene, typed: str) -> None:
    """Takes one copy out of this room, for good: that of a post by its id, or the one answered."""
    require_room(scene)
    unit = scene.unit
    if typed:
        copy = unit.copies.copy_in(scene.chat.id, ThingId(post_of(scene, typed).id))
    elif scene.target is not None:
        copy = unit.copies.copy_of(scene.chat.id, scene.target.key)
    else:
        raise Refusal("remove.no_target")
    if copy is None or not copy.ours:
        raise Refusal("remove.not_ours")
    remove_here(unit, scene.chat.id, copy.thing_id, "removed by a moderator")
    if scene.chat.community_id is not None:
        unit.reports.close(PostId(copy.thing_id), scene.chat.community_id, unit.now)
    answer(scene, brief("remove.done"))
