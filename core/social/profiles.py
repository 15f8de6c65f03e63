"""Who a member is, for who asks: their name as they let it be known, a few numbers, their newest posts."""

from __future__ import annotations

from core.civic.members import require_member
from core.errors import Glimpse, Message, message
from core.notices import Said, answer
from core.records import Member
from core.scene import Scene
from core.social.feeds import feed_of, find_member
from core.social.posts import waits
from core.social.reach import homes

#: Posts that a profile shows.
NEWEST = 3


def profile(scene: Scene, typed: str) -> None:
    """Tells who that member is, without a handle who one is oneself. Raises ``Refusal``."""
    member = find_member(scene.unit, typed) if typed else require_member(scene)
    lines = (_name(member), message("profile.since", at=member.joined_at), _numbers(scene, member))
    answer(scene, Said((*lines, *_followed(scene, member), *_posts(scene, member))))


def _name(member: Member) -> Message:
    if member.show_name and member.name:
        return message("profile.name", name=member.name, handle=member.handle)
    return message("profile.handle", handle=member.handle)


def _is_asker(scene: Scene, member: Member) -> bool:
    return scene.member is not None and scene.member.id == member.id


def _numbers(scene: Scene, member: Member) -> Message:
    """Posts are those that the asker may see, so that the number tells of no others."""
    unit = scene.unit
    own, inside = _is_asker(scene, member), homes(scene)
    return message(
        "profile.numbers",
        posts=message("profile.posts", n=unit.timelines.count_written(member.id, own=own, inside=inside)),
        followers=message("profile.followers", n=unit.people.followers(member.id)),
        following=message("profile.following", n=len(unit.people.follows(member.id))),
    )


def _followed(scene: Scene, member: Member) -> list[Message]:
    if scene.member is None or _is_asker(scene, member):
        return []
    follows = feed_of(member.id) in scene.unit.people.follows(scene.member.id)
    return [message("profile.followed" if follows else "profile.not_followed", handle=member.handle)]


def _posts(scene: Scene, member: Member) -> list[Message]:
    own, inside = _is_asker(scene, member), homes(scene)
    posts = scene.unit.timelines.written(member.id, own=own, inside=inside, count=NEWEST)
    return [
        message("profile.post", text=Glimpse(post.id, 120), votes=message("footer.votes", n=post.score))
        for post in posts
        if not waits(scene, post)
    ]
