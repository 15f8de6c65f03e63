"""A member passes somebody's post on to who follows them. No vote, and it weighs nothing."""

from __future__ import annotations

from datetime import timedelta

from core.civic.members import require_member
from core.errors import Message, Refusal, message
from core.notices import Choice, Said, answer, brief
from core.records import Chat
from core.scene import Scene
from core.social.posts import hold_of, left_to_wait, not_banned, place_lines, post_of, readable, short_id
from core.social.reach import end_boost, pass_on
from core.types import Visibility


def boost(scene: Scene, typed: str) -> None:
    """Once for each member and post: into the feeds of who follows them, and the rooms that mirror them."""
    member = require_member(scene)
    unit = scene.unit
    not_banned(unit, scene.chat.community_id, member)
    post = readable(scene, typed)
    if post.author_id == member.id:
        raise Refusal("boost.own")
    if post.visibility is Visibility.ROOM:
        raise Refusal("boost.room")
    if not unit.boosts.add(post.id, member.id, unit.now):
        raise Refusal("boost.already", post=short_id(post.id))
    # A newcomer's boost waits as their posts do, and none overtakes the post's own wait.
    own = hold_of(scene.rules, unit, scene.chat.community_id, member)
    hold = max(own, left_to_wait(scene.rules, unit, post))
    chats = pass_on(unit, post, member.id, unit.now + hold)
    id_ = short_id(post.id)
    undo = Choice(message("post.undo"), data=f"unboost:{id_}")
    lines = _done(scene, chats, hold)
    answer(scene, Said(tuple(lines), (undo,), text_command=f"unboost {id_}", brief=True))


def unboost(scene: Scene, typed: str) -> None:
    """Taken back: what stands by it alone goes. Raises ``Refusal``."""
    member = require_member(scene)
    if not typed and scene.target is None:
        raise Refusal("post.which")
    # Also of a post that reaches them no more.
    post = post_of(scene, typed)
    if not scene.unit.boosts.drop(post.id, member.id):
        raise Refusal("boost.none")
    end_boost(scene.unit, post, member.id)
    answer(scene, brief("boost.undone"))


def _done(scene: Scene, chats: list[Chat], hold: timedelta) -> list[Message]:
    if not chats:
        return [message("boost.followers")]
    done = message("boost.done", n=len(chats))
    alone = bool(scene.handle) or scene.chat.private
    return [done, *place_lines(scene, chats, hold)] if alone else [done]
