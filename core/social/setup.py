"""Setting a room up: a community begins, or takes the room in, and its admin is led through what comes next."""

from __future__ import annotations

from msgspec import structs

from core.civic.members import add_code, open_code
from core.errors import Message, Refusal, Secret, message
from core.names import suggest_handle
from core.notices import Choice, Said, announce, answer, openly
from core.records import Chat, Community, Doubt, Look
from core.scene import Scene, new_nonce
from core.social.communities import (
    choose_look,
    mirror_feed,
    preview,
    require_community,
    require_room,
    right_name,
)
from core.social.feeds import feed_name
from core.stores.unit import Unit
from core.types import CommunityId, Feed, FeedKind

SETUP = "setup"


def setup(scene: Scene, typed: str) -> None:
    """Starts a community here, or joins this room to the one whose code was typed."""
    chat = require_room(scene)
    if typed:
        return _join_room(scene, chat, typed)
    fresh = chat.community_id is None
    community = _start(scene, chat) if chat.community_id is None else require_community(scene)
    nonce = new_nonce()
    add_code(_inside(scene, community.id), SETUP, nonce)
    if fresh:
        announce(scene.unit, chat, openly("setup.started", community=community.slug))
    minutes = int(scene.rules.code_life.total_seconds() // 60)
    lines = (message("setup.code", code=Secret(nonce), minutes=minutes), *_lacking(scene))
    return answer(scene, _next(scene, lines, community.id))


def _lacking(scene: Scene) -> list[Message]:
    """What the bot may not do here, and what is lost by it."""
    platform = scene.chat.ref.platform
    return [
        message(
            "setup.lacks",
            room=scene.chat.title,
            permission=right_name(scene, right),
            lost=message(f"lost.{platform}.{right}"),
        )
        for right in scene.lacks
    ]


def _next(scene: Scene, lines: tuple[Message, ...], community: CommunityId) -> Said:
    """The first step that is not done yet: what to show here, then in whose name."""
    unit = scene.unit
    if not unit.communities.mirrors_of(scene.chat.id):
        own_feed = Choice(message("setup.own_feed"), data="setup:feed")
        typed = f"mirror add {unit.communities.community(community).slug}"
        return Said((*lines, message("setup.next")), (own_feed,), text_command=typed)
    able = scene.rules.capabilities(scene.chat.ref.platform)
    right = able.as_author if able else None
    if right is not None and right not in scene.lacks and scene.chat.look is not Look.AUTHOR:
        looks = tuple(Choice(message(f"setup.look.{look}"), data=f"setup:look:{look}") for look in Look)
        return Said((*lines, message("setup.look")), looks, text_command="mirror look author")
    own = Feed(FeedKind.COMMUNITY, str(community))
    return Said((*lines, message("setup.done"), *preview(scene, own, community)))


_LOOKS = {f"look:{look}": look for look in Look}


def go_on(scene: Scene, step: str) -> None:
    """A step's button. Raises ``Refusal`` for forged data."""
    community = require_community(scene)
    own = Feed(FeedKind.COMMUNITY, str(community.id))
    if step == "feed":
        fresh = mirror_feed(scene, community, own)
        line = message("mirror.added" if fresh else "mirror.already", feed=feed_name(scene.unit, own))
        return answer(scene, _next(scene, (line,), community.id))
    if step not in _LOOKS:
        raise Refusal("button.unknown")
    choose_look(scene, _LOOKS[step])
    lines = (message(f"look.{_LOOKS[step]}"), message("setup.done"))
    return answer(scene, Said((*lines, *preview(scene, own, community.id))))


def _inside(scene: Scene, community: CommunityId) -> Scene:
    chat = scene.unit.communities.chat_by_id(scene.chat.id)
    assert chat.community_id == community
    return structs.replace(scene, chat=chat)


def start_community(unit: Unit, title: str) -> CommunityId:
    id_ = CommunityId(unit.new_id())
    title = title or "community"
    unit.communities.add(id_, _free_slug(unit, title), title, 0, Doubt.DOUBLE, unit.now)
    return id_


def _start(scene: Scene, chat: Chat) -> Community:
    unit = scene.unit
    id_ = start_community(unit, scene.group or chat.title)
    unit.communities.set_community(chat.id, id_, scene.account.id)
    if scene.member:
        unit.communities.add_membership(id_, scene.member.id, unit.now)
    return unit.communities.community(id_)


def _free_slug(unit: Unit, title: str) -> str:
    stem = suggest_handle(title).replace("_", "-").strip("-") or "community"
    taken = "everything"
    number = 1
    slug = stem
    while slug == taken or unit.communities.by_slug(slug) is not None:
        number += 1
        slug = f"{stem}-{number}"
    return slug


def _join_room(scene: Scene, chat: Chat, typed: str) -> None:
    if chat.community_id is not None:
        raise Refusal("setup.already", community=require_community(scene).slug)
    code = open_code(scene, typed, SETUP)
    if code.community_id is None:
        raise Refusal("code.wrong")
    unit = scene.unit
    unit.people.use_code(code.hash)
    unit.communities.set_community(chat.id, code.community_id, scene.account.id)
    if scene.member:
        unit.communities.add_membership(code.community_id, scene.member.id, unit.now)
    community = unit.communities.community(code.community_id)
    n = unit.communities.count_chats(community.id)
    if not scene.handle:
        # A further answer for one person would print in the room that it waits.
        return answer(scene, openly("setup.joined", community=community.slug, n=n))
    joined = message("setup.joined", community=community.slug, n=n)
    return answer(scene, _next(_inside(scene, community.id), (joined, *_lacking(scene)), community.id))
