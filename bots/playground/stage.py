"""Setting the stage: what a visitor would type first, typed for them through the normal paths."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress

from bots.playground.looks import DISCORD, LANGUAGES, LOOKS, MATRIX, TELEGRAM, Look
from bots.playground.people import NotAllowed, Person
from bots.playground.platform import Message, Playground
from core.errors import Message as Sentence
from core.ports import Words

_CODE = re.compile(r"\b[A-HJ-NP-Z2-9]{13}\b")
_GAP = "COMMUNITY"
#: Seconds for an answer of ours; the stage goes on without it.
_PATIENCE = 5.0


async def set_stage(playground: Playground, words: Words, text: str) -> None:
    """Everybody joins, one room becomes a community, the others come in and show it, and a first post goes out.

    On a stage that is set already there is only the post. Raises ``NotAllowed`` when no code came.
    """
    anna, bruno, chiara = (Person(playground, id_) for id_ in ("anna", "bruno", "chiara"))
    homes = ((anna, DISCORD), (bruno, TELEGRAM), (chiara, MATRIX))
    if _is_set(playground, words):
        await bruno.send(TELEGRAM.name, f"/post {text}")
        return
    for person, look in homes:
        await _answered(person, look.name, "join")
    await _gather(playground, words, anna)
    await bruno.send(TELEGRAM.name, f"/post {text}")
    for person, home in homes:
        await _link(person, home)


def _is_set(playground: Playground, words: Words) -> bool:
    opened = all(
        f"{look.name}-private-{id_}" in playground.rooms for look in LOOKS for id_ in ("anna", "chiara")
    )
    return opened and bool(_community(playground, words))


async def _gather(playground: Playground, words: Words, admin: Person) -> None:
    """The rooms become one community, and each shows what is posted in it."""
    for look in LOOKS:
        await admin.set_admin(look.name)
    for look in (TELEGRAM, MATRIX):
        # Each room that comes in needs a code of its own.
        code = await _code(admin, DISCORD.name, "setup")
        if not code:
            raise NotAllowed("playground.stage_code")
        await _answered(admin, look.name, f"setup {code}")
    slug = _community(playground, words)
    for look in LOOKS if slug else ():
        await _answered(admin, look.name, f"mirror add {slug}")


async def _link(person: Person, home: Look) -> None:
    """The person's accounts become one member, in private chats, so that each of their votes is one."""
    first = await person.private(home)
    for look in LOOKS:
        if look is not home and (code := await _code(person, first.id, "link")):
            second = await person.private(look)
            await _greeted(person, second.id)
            await _answered(person, second.id, f"link {code}")
            await _answered(person, second.id, "link yes")
            await _answered(person, first.id, "link yes")


async def _greeted(person: Person, room: str) -> None:
    """A private chat begins with Start and an answer to it, where there is a Start."""
    if any(message.text == "/start" for message in person.playground.standing(room)):
        with suppress(TimeoutError):
            await person.playground.changed(lambda: list(_from_bot(person, room)), _PATIENCE)


async def _code(person: Person, room: str, command: str) -> str:
    answer = await _answered(person, room, command, wanted=_CODE)
    found = _CODE.search(answer.text) if answer else None
    return found[0] if found else ""


def _community(playground: Playground, words: Words) -> str:
    """What the community of the Discord room is called, from the line that announced it there."""
    announced = [
        re.escape(words(Sentence("setup.started", {"community": _GAP}), language)).replace(
            _GAP, "([a-z0-9-]+)"
        )
        for language in LANGUAGES
    ]
    texts = [message.text for message in playground.standing(DISCORD.name)]
    found = [match for text in texts for one in announced if (match := re.search(one, text))]
    return found[-1][1] if found else ""


async def _answered(
    person: Person, room: str, command: str, *, wanted: re.Pattern[str] | None = None
) -> Message | None:
    """Type a command and wait for the bot's answer, in the room or only for the person."""
    playground = person.playground
    prefix = playground.rooms[room].look.capabilities.command_prefix
    before = {message.id for message in _from_bot(person, room)}
    await person.send(room, prefix + command)

    def answer() -> Message | None:
        fresh = (message for message in _from_bot(person, room) if message.id not in before)
        return next((m for m in fresh if wanted is None or wanted.search(m.text)), None)

    try:
        return await playground.changed(answer, _PATIENCE)
    except TimeoutError:
        return None


def _from_bot(person: Person, room: str) -> Iterable[Message]:
    seen = [*person.playground.standing(room), *person.ephemeral(room)]
    return (message for message in seen if message.by not in person.playground.people)
