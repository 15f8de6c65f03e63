"""Where a post is shown, where it is not and why; and trying again where a platform refused it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from core.errors import Message, Refusal, RejectedWhy, message
from core.intents import Form
from core.lanes import first_send_waits
from core.notices import Choice, Said, answer
from core.places import loss_of
from core.records import Chat, CopyState, Delivery, Post
from core.scene import Scene
from core.social import enclosures
from core.social.posts import post_of, short_id
from core.types import ThingId, Visibility

#: Places that are told one by one.
_LISTED = 10
#: How often a refused copy is tried again because somebody asked.
MAX_RETRIES = 3


class Standing(StrEnum):
    """How a post stands in one place, as people count it."""

    SHOWN = "shown"
    WAITING = "waiting"
    REFUSED = "refused"
    DOUBT = "doubt"
    REMOVED = "removed"
    WITHDRAWN = "withdrawn"


_STANDINGS = {
    CopyState.REFUSED: Standing.REFUSED,
    CopyState.DOUBT: Standing.DOUBT,
    CopyState.REMOVED: Standing.REMOVED,
    CopyState.WITHDRAWN: Standing.WITHDRAWN,
}


@dataclass(frozen=True, slots=True)
class Spot:
    """A post in one place. ``row`` decides: that of its fold where it is shown as a line of one."""

    chat: Chat
    row: Delivery
    folded: bool
    parts: int

    @property
    def standing(self) -> Standing:
        shown = Standing.SHOWN if self.row.shown > 0 else Standing.WAITING
        return _STANDINGS.get(self.row.state, shown)


def status(scene: Scene, typed: str) -> None:
    """Tells where a post stands: the one answered, the one named, else the asker's newest."""
    post = _meant(scene, typed)
    spots = _spots(scene, post)
    own = scene.operator or (scene.member is not None and scene.member.id == post.author_id)
    if not own and not _may_know(scene, post, spots):
        raise Refusal("post.unknown")
    lines = [_summary(spots), *(_for_author(scene, spots) if own else _for_others(scene, spots))]
    if own:
        lines += enclosures.told(scene.unit, ThingId(post.id))
    again = any(_may_retry(scene, post, spot) and _left(spot) for spot in spots)
    choices = (Choice(message("status.retry"), data=f"retry:{short_id(post.id)}"),) if again else ()
    answer(scene, Said(tuple(lines), choices, text_command=f"retry {short_id(post.id)}" if again else ""))


def retry(scene: Scene, typed: str) -> None:
    """What was refused is tried again: everywhere for the author, in this room for its admin.

    A copy that somebody took away stays away.
    """
    post = _meant(scene, typed)
    spots = _spots(scene, post)
    mine = [spot for spot in spots if _may_retry(scene, post, spot)]
    if not mine and not _may_know(scene, post, spots):
        raise Refusal("post.unknown")
    if not mine and not _is_author(scene, post):
        raise Refusal("retry.not_yours")
    refused = [spot for spot in mine if spot.standing is Standing.REFUSED]
    if not refused:
        raise Refusal("retry.nothing")
    unit = scene.unit
    again = [s for s in refused if unit.sight.again(s.chat.id, s.row.thing_id, unit.now, MAX_RETRIES)]
    if not again:
        raise Refusal("retry.enough", n=MAX_RETRIES)
    answer(scene, Said((message("retry.done", n=len(again)),), brief=True))


def _meant(scene: Scene, typed: str) -> Post:
    if typed or scene.target is not None:
        return post_of(scene, typed)
    post = scene.unit.posts.latest_of(scene.member.id) if scene.member else None
    if post is None or post.deleted_at is not None:
        raise Refusal("post.which")
    return post


def _spots(scene: Scene, post: Post) -> list[Spot]:
    unit, thing = scene.unit, ThingId(post.id)
    rows = unit.outbox.deliveries(thing)
    chats = unit.communities.chats_by_id([row.chat_id for row in rows])
    parts = Counter(copy.chat_id for copy in unit.copies.copies(thing) if copy.ours)
    return [_spot(scene, row, chats[row.chat_id], parts[row.chat_id]) for row in rows]


def _spot(scene: Scene, row: Delivery, chat: Chat, parts: int) -> Spot:
    if row.state is not CopyState.FOLDED or row.fold_id is None:
        return Spot(chat, row, folded=False, parts=parts)
    fold = scene.unit.outbox.delivery(chat.id, row.fold_id)
    return Spot(chat, fold or row, folded=True, parts=1)


# -- who may know and do what ------------------------------------------------------------------------------------


def _is_author(scene: Scene, post: Post) -> bool:
    return scene.member is not None and scene.member.id == post.author_id


def _may_know(scene: Scene, post: Post, spots: Sequence[Spot]) -> bool:
    """Who sees the post where they ask, or could see it anywhere."""
    here = post.chat_id == scene.chat.id or any(
        spot.chat.id == scene.chat.id and spot.standing is not Standing.WITHDRAWN for spot in spots
    )
    return here or _is_author(scene, post) or post.visibility is Visibility.PUBLIC


def _may_retry(scene: Scene, post: Post, spot: Spot) -> bool:
    if scene.operator or _is_author(scene, post):
        return True
    return scene.actor.rights.admin and not scene.chat.private and spot.chat.id == scene.chat.id


def _left(spot: Spot) -> bool:
    return spot.standing is Standing.REFUSED and spot.row.retries < MAX_RETRIES


# -- in words ----------------------------------------------------------------------------------------------------


def _summary(spots: Sequence[Spot]) -> Message:
    if not spots:
        return message("status.nowhere")
    counts = Counter(spot.standing for spot in spots)
    # What was withdrawn is no longer meant to be anywhere.
    places = len(spots) - counts[Standing.WITHDRAWN]
    return message("status.shown", n=places, shown=counts[Standing.SHOWN])


def _for_author(scene: Scene, spots: Sequence[Spot]) -> list[Message]:
    told = [spot for spot in spots if spot.standing is not Standing.SHOWN or _unusual(spot)]
    lines = [_place(scene, spot) for spot in told[:_LISTED]]
    if len(told) > _LISTED:
        lines.append(message("status.more", n=len(told) - _LISTED))
    return lines


def _for_others(scene: Scene, spots: Sequence[Spot]) -> list[Message]:
    """Where else the post stands is its author's business: others get numbers, and what concerns this room."""
    counts = Counter(spot.standing for spot in spots)
    lines = [
        message(f"status.count.{standing}", n=counts[standing])
        for standing in Standing
        if counts[standing] and standing is not Standing.SHOWN
    ]
    here = [spot for spot in spots if spot.chat.id == scene.chat.id]
    return [*lines, *(message("status.here", what=_what(scene, spot)) for spot in here)]


def _place(scene: Scene, spot: Spot) -> Message:
    platform = scene.rules.label(spot.chat.ref.platform)
    return message("status.place", room=spot.chat.title, platform=platform, what=_what(scene, spot))


def _unusual(spot: Spot) -> bool:
    """Shown, but not simply so."""
    return spot.folded or spot.parts > 1 or spot.row.form != Form.FULL or _edit_waits(spot.row)


def _edit_waits(row: Delivery) -> bool:
    return row.wanted > row.shown and row.rank == _EDIT


#: The rank of an edit of the words.
_EDIT = 2


def _what(scene: Scene, spot: Spot) -> Message:
    match spot.standing:
        case Standing.SHOWN:
            return _shown(spot)
        case Standing.WAITING:
            return _waiting(scene, spot)
        case Standing.REFUSED:
            return message("status.what.refused", why=_refused(spot.row.reason))
        case other:
            return message(f"status.what.{other}")


def _shown(spot: Spot) -> Message:
    if spot.folded:
        return message("status.what.folded")
    if _edit_waits(spot.row):
        return message("status.what.edit")
    if spot.row.form != Form.FULL:
        return message(f"status.what.{spot.row.form.replace(' ', '_')}")
    return message("status.what.parts", n=spot.parts) if spot.parts > 1 else message("status.what.shown")


def _waiting(scene: Scene, spot: Spot) -> Message:
    """The first reason that holds the copy back."""
    unit, row, chat = scene.unit, spot.row, spot.chat
    loss = loss_of(chat)
    if loss is not None:
        return message("status.what.lost", why=message(f"loss.{loss}"))
    if chat.community_id is not None and unit.communities.community(chat.community_id).paused:
        return message("status.what.paused")
    if unit.intake.meta("paused"):
        return message("status.what.instance_paused")
    if row.ready_at > unit.now:
        return message("status.what.again" if row.attempts else "status.what.held", at=row.ready_at)
    if row.begun:
        return message("status.what.sending")
    until, full = first_send_waits(unit, scene.rules, chat)
    if until is not None:
        return message("status.what.quiet", at=until)
    return message("status.what.cap" if full else "status.what.sending")


def _refused(reason: str) -> Message:
    """A refusal in plain words: the platform's own are for the operator."""
    code = reason.partition(":")[0]
    return message(f"refused.{code}" if code in _REASONS else "refused.other")


_REASONS = frozenset(
    (
        RejectedWhy.FORM,
        RejectedWhy.FORBIDDEN,
        RejectedWhy.CLOSED,
        RejectedWhy.CHAT_GONE,
        RejectedWhy.UNREACHABLE,
        RejectedWhy.LATE,
    )
)
