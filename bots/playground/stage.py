"""Setting the stage: what a visitor would type first, typed for them through the normal paths."""

from __future__ import annotations

import re
from collections.abc import Iterable

from bots.playground.looks import DISCORD, MATRIX, TELEGRAM
from bots.playground.people import NotAllowed, Person
from bots.playground.platform import Message, Playground

_CODE = re.compile(r"\b[A-HJ-NP-Z2-9]{13}\b")
#: Seconds for an answer of ours; the stage goes on without it.
_PATIENCE = 5.0


async def set_stage(playground: Playground, text: str) -> None:
    """Everybody joins, one room becomes a community, the others come in, and the first post goes out.

    Raises ``NotAllowed`` when no code came, which means that the room is in a community already.
    """
    anna, bruno, chiara = (Person(playground, id_) for id_ in ("anna", "bruno", "chiara"))
    await _answered(anna, DISCORD.name, "/join")
    await _answered(bruno, TELEGRAM.name, "/join")
    await _answered(chiara, MATRIX.name, "!join")
    for room in (DISCORD.name, TELEGRAM.name, MATRIX.name):
        await anna.set_admin(room)
    code = await _answered(anna, DISCORD.name, "/setup", wanted=_CODE)
    found = _CODE.search(code.text) if code else None
    if found is not None:
        await _answered(anna, TELEGRAM.name, f"/setup {found[0]}")
        await _answered(anna, MATRIX.name, f"!setup {found[0]}")
    await bruno.send(TELEGRAM.name, f"/post {text}")
    if found is None:
        raise NotAllowed("playground.stage_code")


async def _answered(
    person: Person, room: str, text: str, *, wanted: re.Pattern[str] | None = None
) -> Message | None:
    """Type a command and wait for the bot's answer, in the room or only for the person."""
    playground = person.playground
    before = {message.id for message in _from_bot(person, room)}
    await person.send(room, text)

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
