"""What can be followed and mirrored, and the home timeline."""

from __future__ import annotations

import difflib
from datetime import datetime

from core.civic.members import require_member
from core.errors import Glimpse, Message, Refusal, message
from core.notices import Said, answer, say
from core.records import Member, Post, Reader
from core.scene import Scene
from core.social.posts import waits
from core.stores.unit import Unit
from core.tags import fold_tag
from core.types import CommunityId, Feed, FeedKind, MemberId

#: Posts on one page of ``/feed``.
PAGE = 10
EVERYTHING = Feed(FeedKind.EVERYTHING, "")
_LAST = 2**63 - 1


def find_feed(scene: Scene, typed: str) -> Feed:
    """``@handle``, ``#tag``, a community's name, ``everything``.

    Raises ``Refusal`` for what does not exist or may not be seen.
    """
    word = typed.strip()
    if word.startswith("#"):
        return tag_feed(word)
    if word.startswith("@"):
        return member_feed(scene.unit, word)
    if word.lower() == "everything":
        if not scene.operator:
            raise Refusal("feed.everything")
        return EVERYTHING
    community = scene.unit.communities.by_slug(word.lower())
    if community is not None:
        return Feed(FeedKind.COMMUNITY, str(community.id))
    if scene.unit.people.by_handle(word.lower()):
        return member_feed(scene.unit, word)
    near = difflib.get_close_matches(word.lower(), [c.slug for c in scene.unit.communities.all()], n=1)
    if near:
        raise Refusal("feed.unknown_near", feed=word[:60], near=near[0])
    raise Refusal("feed.unknown", feed=word[:60])


def tag_feed(word: str) -> Feed:
    tag = fold_tag(word.lstrip("#"))
    if not tag:
        raise Refusal("tag.form", tag=word[:60])
    return Feed(FeedKind.TAG, tag)


def member_feed(unit: Unit, word: str) -> Feed:
    """Raises ``Refusal`` with the nearest handle."""
    return feed_of(find_member(unit, word).id)


def feed_of(member: MemberId) -> Feed:
    return Feed(FeedKind.MEMBER, str(member))


def find_member(unit: Unit, word: str) -> Member:
    """Raises ``Refusal`` with the nearest handle."""
    handle = word.strip().lstrip("@").lower()
    member = unit.people.by_handle(handle)
    if member is not None:
        return member
    near = difflib.get_close_matches(handle, [m.handle for m in unit.people.starting(handle[:1])], n=1)
    if near:
        raise Refusal("member.unknown_near", handle=handle[:40], near=near[0])
    raise Refusal("member.unknown", handle=handle[:40])


def feed_name(unit: Unit, feed: Feed) -> Message:
    """The feed as people write it."""
    match feed.kind:
        case FeedKind.MEMBER:
            return message("feed.member", handle=unit.people.member(MemberId(int(feed.key))).handle)
        case FeedKind.TAG:
            return message("feed.tag", tag=feed.key)
        case FeedKind.COMMUNITY:
            community = next((c for c in unit.communities.all() if str(c.id) == feed.key), None)
            return message("feed.community", name=community.slug if community else feed.key)
        case FeedKind.EVERYTHING:
            return message("feed.all")


def follow(scene: Scene, typed: str) -> None:
    member = require_member(scene)
    feed = find_feed(scene, typed)
    if feed == feed_of(member.id):
        raise Refusal("follow.self")
    fresh = scene.unit.people.follow(member.id, feed, scene.unit.now)
    answer(scene, say("follow.done" if fresh else "follow.already", feed=feed_name(scene.unit, feed)))


def unfollow(scene: Scene, typed: str) -> None:
    member = require_member(scene)
    feed = find_feed(scene, typed)
    ended = scene.unit.people.unfollow(member.id, feed)
    answer(scene, say("unfollow.done" if ended else "unfollow.none", feed=feed_name(scene.unit, feed)))


def home(scene: Scene) -> None:
    """The newest posts of what the member follows, in one private answer."""
    member = require_member(scene)
    unit = scene.unit
    follows = unit.people.follows(member.id)
    reader = Reader(
        member=member.id,
        authors=[MemberId(int(f.key)) for f in follows if f.kind is FeedKind.MEMBER],
        tags=[f.key for f in follows if f.kind is FeedKind.TAG],
        communities=[CommunityId(int(f.key)) for f in follows if f.kind is FeedKind.COMMUNITY],
        inside=unit.communities.of_member(member.id),
    )
    posts = unit.timelines.home(reader, before=_LAST, count=PAGE)
    boosted = unit.timelines.boosted(reader, count=PAGE)
    # What was passed on stands where that was done.
    found: list[tuple[datetime, Post, MemberId | None]] = [(post.created_at, post, None) for post in posts]
    found += [(one.at, one.post, one.by) for one in boosted]
    found = [one for one in found if not waits(scene, one[1])]
    newest = sorted(found, key=lambda one: (one[0], one[1].id), reverse=True)[:PAGE]
    if not newest:
        return answer(scene, say("feed.empty" if follows else "feed.nothing_followed"))
    lines = [message("feed.title", n=len(newest))] + [_line(unit, post, by) for _, post, by in newest]
    return answer(scene, Said(tuple(lines)))


def _line(unit: Unit, post: Post, by: MemberId | None) -> Message:
    words, votes = Glimpse(post.id, 120), message("footer.votes", n=post.score)
    author = unit.people.member(post.author_id)
    if by is None:
        return message("feed.line", handle=author.handle, text=words, votes=votes)
    booster = unit.people.member(by)
    return message("feed.boosted", by=booster.handle, handle=author.handle, text=words, votes=votes)
