"""Somebody else's words become a post only with their author's yes, which may be asked for once, under the message."""

from __future__ import annotations

from core.civic.members import require_member
from core.errors import Refusal, message
from core.events import Actor
from core.intents import AGREE
from core.notices import Choice, Said, announce, answer, brief, take_away
from core.records import Member
from core.scene import Scene
from core.types import AccountRef, MessageRef, ThingKind

#: Seconds that a question stands in the room.
_STANDS = 3600
#: Questions a day that one member may have put, and that one room takes.
_BY_MEMBER, _IN_ROOM = 3, 10


def may_post(scene: Scene, author: Actor, question: MessageRef | None) -> bool:
    """Whether this message of ``author`` can be made a post by who acts; who cannot is told the way.

    ``question``: the one under which the author agreed. Raises ``Refusal`` for what is no message to post.
    """
    assert scene.message is not None
    _check_fresh(scene, scene.message)
    if author.bot:
        raise Refusal("post.bots_words")
    if author.account == scene.actor.account:
        if question is not None:
            take_away(scene.unit, scene.chat.id, question.key, scene.unit.now)
        return True
    require_member(scene)
    said = Said((message("post.others_words", name=author.name),))
    if _may_ask(scene, author.account):
        scene.unit.intake.claim(_offered(scene, author.account.key, scene.message.key), scene.unit.now)
        ask = Choice(message("post.ask"), data=f"ask:{author.account.key}:{scene.message.key}")
        said = Said((*said.lines, message("post.shall_i_ask")), (ask,))
    answer(scene, said)
    return False


def _check_fresh(scene: Scene, ref: MessageRef) -> None:
    """Raises ``Refusal`` for a message that stands for something already, or did."""
    copy = scene.unit.copies.copy_of(scene.chat.id, ref.key)
    if copy is None:
        return
    if copy.kind is ThingKind.RELAY:
        raise Refusal("post.relayed")
    post = scene.unit.posts.post(copy.thing_id)
    raise Refusal("post.already" if post is not None and post.deleted_at is None else "post.taken_back")


def _may_ask(scene: Scene, author: AccountRef) -> bool:
    """A room that is set up, and speaks, takes questions of who is welcome there, to who wants to hear them."""
    unit, community = scene.unit, scene.chat.community_id
    if community is None or scene.member is None or unit.communities.community(community).paused:
        return False
    account = unit.people.account(author)
    return not (account and account.opted_out) and not unit.communities.banned(community, scene.member.id)


def _offered(scene: Scene, author: str, key: str) -> str:
    return f"ask offered:{scene.chat.id}:{author}:{key}"


def _asked(scene: Scene, author: str, key: str) -> str:
    return f"asked:{scene.chat.id}:{author}:{key}"


def ask(scene: Scene, value: str) -> None:
    """Puts the question under the message. ``value``: its author's key and its own. Raises ``Refusal``."""
    member = require_member(scene)
    author, _, key = value.partition(":")
    # It may have been offered when the room still took questions.
    wanted = _may_ask(scene, AccountRef(scene.actor.account.platform, author))
    if not wanted or not scene.unit.intake.seen(_offered(scene, author, key)):
        raise Refusal("button.unknown")
    ref = MessageRef(scene.chat.ref, key)
    _check_fresh(scene, ref)
    if not scene.unit.intake.claim(_asked(scene, author, key), scene.unit.now):
        raise Refusal("post.asked_already")
    _count(scene, member)
    choices = (
        Choice(message("post.agree"), data=f"{AGREE}:{author}:{key}"),
        Choice(message("post.refuse"), data=f"refuse:{author}:{key}"),
    )
    line = message("post.question", name=scene.actor.name)
    announce(scene.unit, scene.chat, Said((line,), choices, seconds=_STANDS), under=ref)
    answer(scene, brief("post.asked"))


def _count(scene: Scene, member: Member) -> None:
    """Raises ``Refusal`` where that was enough for today."""
    day = scene.unit.now.date().isoformat()
    for who, most in ((f"member:{member.id}", _BY_MEMBER), (f"room:{scene.chat.id}", _IN_ROOM)):
        keys = (f"asks of {who}:{day}:{number}" for number in range(most))
        if not any(scene.unit.intake.claim(key, scene.unit.now) for key in keys):
            raise Refusal("post.asked_enough")


def refuse(scene: Scene, value: str) -> None:
    """The author's no takes the question away. Raises ``Refusal`` for anybody else's."""
    author, _, key = value.partition(":")
    if author != scene.actor.account.key:
        raise Refusal("post.not_asked")
    if scene.target is None or not scene.unit.intake.seen(_asked(scene, author, key)):
        raise Refusal("button.unknown")
    take_away(scene.unit, scene.chat.id, scene.target.key, scene.unit.now)
    answer(scene, brief("post.refused"))


def unreadable(_scene: Scene, _value: str) -> None:
    """Somebody agreed, and their message could not be read. Raises ``Refusal`` with another way."""
    raise Refusal("post.unreadable")
