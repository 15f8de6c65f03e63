"""What an operator looks at and settles beside the running program: doubts, the outbox, dead letters, a pause."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

from core import codec
from core.body import from_json
from core.errors import Message, StormoError, message
from core.records import CopyState
from core.stores import Unit
from core.text import first_words
from storage import dump
from storage.database import Readers, open_engine
from stormo.app import NUDGE
from stormo.backup import require_current
from stormo.clock import SystemClock
from stormo.config import Config
from stormo.instance import Instance

Say = Callable[[Message], str]
#: The part of the ids of a tool beside the serving process.
_PROCESS = 1023


class NoSuchLetter(StormoError):
    """There is no dead letter of that number."""

    def __init__(self, letter: int) -> None:
        self.message = message("letters.no_such", id=str(letter))
        super().__init__(f"no dead letter {letter}")


@contextmanager
def _reading(config: Config) -> Iterator[Readers]:
    """Raises ``NoDatabase``, ``NewerDatabase``: a tool never migrates under a running program."""
    require_current(config.database_url)
    engine = open_engine(config.database_url)
    readers = Readers(engine, SystemClock(), size=1)
    try:
        yield readers
    finally:
        readers.close()
        engine.dispose()


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}Z"


def show_doubts(config: Config, say: Say) -> int:
    """Each send that may be there twice or not at all, with its place."""
    with _reading(config) as readers:
        found = readers.read_now(lambda unit: _doubts(unit, say))
    for line in found:
        print(line)
    print(say(message("doubts.count", n=len(found))))
    return 0


def _doubts(unit: Unit, say: Say) -> list[str]:
    """One line each: when, where, which words and part, what was done."""
    lines = []
    for row in unit.delivery.doubts():
        chat = unit.communities.chat(row.chat)
        post = unit.posts.post(row.thing_id)
        words = (
            f"“{first_words(from_json(unit.posts.revision(post.id).body), 40)}”"
            if post
            else str(row.thing_id)
        )
        place = f"{row.chat.platform}  {chat.title if chat else ''} ({row.chat.key})"
        part = f"  {say(message('doubts.part', n=row.part + 1))}" if row.part else ""
        lines.append(f"{_time(row.at)}  {place}  {words}{part}  {row.resolution}: {row.reason}")
    return lines


def show_outbox(config: Config, say: Say) -> int:
    """How many rows are in which state; those that a person should look at, one a line."""

    def look(unit: Unit) -> tuple[dict[str, int], list[str]]:
        rows = unit.delivery.in_states([CopyState.REFUSED, CopyState.DOUBT])
        chats = unit.communities.chats_by_id(sorted({row.chat_id for row in rows}))
        lines = [
            f"{row.state}  {ref.platform}  {ref.key}  {row.kind} {row.thing_id}  {row.reason}"
            for row in rows
            for ref in [chats[row.chat_id].ref]
        ]
        return unit.delivery.states(), lines

    with _reading(config) as readers:
        states, lines = readers.read_now(look)
        paused = readers.read_now(lambda unit: unit.intake.meta("paused"))
    for state, count in sorted(states.items()):
        print(f"{count:>8}  {state}")
    print(*lines, sep="\n", end="\n" if lines else "")
    if paused:
        print(say(message("outbox.paused")))
    return 0


def dead_letters(config: Config, do: str, letter: int | None, say: Say) -> int:
    """``list``, ``show``, ``retry`` or ``drop``."""
    if do in ("list", "show"):
        with _reading(config) as readers:
            found = readers.read_now(lambda unit: unit.intake.dead_letters())
        return _list(found, say) if letter is None else _show(found, letter)
    assert letter is not None
    require_current(config.database_url)
    asyncio.run(_settle(config, letter, again=do == "retry"))
    print(say(message("letters.retried" if do == "retry" else "letters.dropped", id=str(letter))))
    return 0


def _list(found: list[tuple[int, str, str, str, datetime]], say: Say) -> int:
    for id_, kind, _, error, at in found:
        print(id_, _time(at), kind, error, sep="  ")
    print(say(message("letters.count", n=len(found))))
    return 0


def _show(found: list[tuple[int, str, str, str, datetime]], letter: int) -> int:
    payload = next((payload for id_, _, payload, _, _ in found if id_ == letter), None)
    if payload is None:
        raise NoSuchLetter(letter)
    print(payload)
    return 0


async def _settle(config: Config, letter: int, *, again: bool) -> None:
    """Takes a letter out; ``again``: and runs its event. Where that fails again the letter stays."""
    async with Instance(config, process=_PROCESS, upgrade=False) as instance:

        def work(unit: Unit) -> None:
            payload = unit.intake.exhume(letter)
            if payload is None:
                raise NoSuchLetter(letter)
            if again:
                # Its key is in the inbox already, and its bookmark long behind.
                instance.engine.handle(unit, replace(codec.load(payload), key=None, bookmark=None))
                unit.intake.set_meta(NUDGE, unit.now.isoformat())

        await instance.writer.submit(work)


def end_pause(config: Config) -> int | None:
    """A restored instance speaks again. Returns how many sends were left out, ``None`` if it was not paused."""
    require_current(config.database_url)
    engine = open_engine(config.database_url)
    try:
        return dump.end_pause(engine, SystemClock().now(), NUDGE)
    finally:
        engine.dispose()
