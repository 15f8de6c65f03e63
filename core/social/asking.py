"""Somebody else's words become a post only with their author's yes, which may be asked for once, under the message."""

from __future__ import annotations

from core.civic.members import require_member
from core.errors import Refusal, message
from core.events import Actor
from core.intents import AGREE
from core.notices import Choice, Said, announce, answer, brief, take_away
from core.scene import Scene
from core.types import MessageRef

#: Seconds that the question stands in the room.
_STANDS = 3600


def may_post(scene: Scene, author: Actor) -> bool:
    """Whether this message of ``author`` can be made a post by who acts; who cannot is told the way.

    Raises ``Refusal`` for one that is a post already.
    """
    assert scene.message is not None
    if scene.unit.copies.copy_of(scene.chat.id, scene.message.key) is not None:
        raise Refusal("post.already")
    if author.bot:
        raise Refusal("post.bots_words")
    if author.account == scene.actor.account:
        if scene.target is not None:
            take_away(scene.unit, scene.chat.id, scene.target.key, scene.unit.now)
        return True
    require_member(scene)
    ask = Choice(message("post.ask"), data=f"ask:{author.account.key}:{scene.message.key}")
    answer(scene, Said((message("post.others_words", name=author.name),), (ask,)))
    return False


def ask(scene: Scene, value: str) -> None:
    """Puts the question under the message. ``value``: its author's key and its own."""
    require_member(scene)
    author, _, key = value.partition(":")
    if not scene.unit.intake.claim(f"asked:{scene.chat.id}:{key}", scene.unit.now):
        raise Refusal("post.asked_already")
    choices = (
        Choice(message("post.agree"), data=f"{AGREE}:{author}:{key}"),
        Choice(message("post.refuse"), data=f"refuse:{author}:{key}"),
    )
    line = message("post.question", name=scene.actor.name)
    announce(
        scene.unit, scene.chat, Said((line,), choices, seconds=_STANDS), under=MessageRef(scene.chat.ref, key)
    )
    answer(scene, brief("post.asked"))


def refuse(scene: Scene, value: str) -> None:
    """The author's no takes the question away. Raises ``Refusal`` for anybody else's."""
    if value.partition(":")[0] != scene.actor.account.key:
        raise Refusal("post.not_asked")
    if scene.target is not None:
        take_away(scene.unit, scene.chat.id, scene.target.key, scene.unit.now)
    answer(scene, brief("post.refused"))


def unreadable(_scene: Scene, _value: str) -> None:
    """Somebody agreed, and their message could not be read. Raises ``Refusal`` with another way."""
    raise Refusal("post.unreadable")
