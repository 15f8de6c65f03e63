"""Somebody says that a post breaks a rule: quietly, to those who moderate it, and to nobody else."""

from __future__ import annotations

from datetime import timedelta

from core.errors import Glimpse, Message, Refusal, message
from core.notices import Said, answer, say, take_away
from core.records import Post, Reported
from core.scene import Scene
from core.social.communities import require_community
from core.social.posts import post_of, readable, short_id
from core.social.reach import that_may_show
from core.types import CommunityId

#: Reports that an account may make in 24 hours.
MAX_A_DAY = 10
#: Characters of a reason, and reasons of one post, that moderators read.
MAX_REASON = 200
_REASONS = 3
#: Posts that are told one by one.
_LISTED = 10


def report(scene: Scene, typed: str, reason: str) -> None:
    """Tells the moderators who look after the post here. Raises ``Refusal``."""
    unit = scene.unit
    post = readable(scene, typed)
    if post.account_id == scene.account.id or (scene.member and post.author_id == scene.member.id):
        raise Refusal("report.own")
    community = _moderated_by(scene, post)
    if unit.reports.made_since(scene.account.id, unit.now - timedelta(days=1)) >= MAX_A_DAY:
        raise Refusal("report.too_many", n=MAX_A_DAY)
    words = " ".join(reason.split())[:MAX_REASON]
    if not unit.reports.add(post.id, scene.account.id, community, words, unit.now):
        raise Refusal("report.already")
    answer(scene, say("report.done"))
    if scene.command and scene.message and not scene.chat.private:
        # Whoever reads along in the room need not know of it.
        take_away(unit, scene.chat.id, scene.message.key, unit.now)


def _moderated_by(scene: Scene, post: Post) -> CommunityId:
    """Whose moderators may see the post: those of the room, else those where it was written. Raises ``Refusal``."""
    here = scene.chat.community_id
    if here is None or not _may_stand_here(scene, post):
        here = post.community_id
    if here is None:
        raise Refusal("report.nobody")
    return here


def _may_stand_here(scene: Scene, post: Post) -> bool:
    return bool(that_may_show(post.visibility, post.community_id, post.chat_id, [scene.chat]))


def tell(scene: Scene) -> None:
    """What waits for the moderators of this room's community, the longest first. Who reported is not told."""
    community = require_community(scene)
    found = scene.unit.reports.open_in(community.id, _LISTED + 1)
    if not found:
        return answer(scene, say("reports.none"))
    lines = [message("reports.title", community=community.slug)]
    for reported in found[:_LISTED]:
        lines += _lines(scene, reported)
    if len(found) > _LISTED:
        lines.append(message("reports.more"))
    return answer(scene, Said(tuple(lines)))


def _lines(scene: Scene, reported: Reported) -> list[Message]:
    unit = scene.unit
    post = unit.posts.post(reported.post_id)
    assert post is not None
    room = unit.communities.chat_by_id(post.chat_id).title
    # What is for one room is read there.
    words = Glimpse(post.id, 120) if _may_stand_here(scene, post) else message("reports.hidden", room=room)
    line = message(
        "reports.line",
        id=short_id(post.id),
        handle=unit.people.member(post.author_id).handle,
        text=words,
        n=reported.count,
        at=reported.since,
    )
    return [line, *(message("reports.reason", text=reason) for reason in reported.reasons[:_REASONS])]


def dismiss(scene: Scene, typed: str) -> None:
    """Its reports need nothing done, or it is done. Raises ``Refusal``."""
    community = require_community(scene)
    if not typed and scene.target is None:
        raise Refusal("post.which")
    post = post_of(scene, typed)
    closed = scene.unit.reports.close(post.id, community.id, scene.unit.now)
    if not closed:
        raise Refusal("reports.not_reported")
    answer(scene, say("reports.dismissed", n=closed))
