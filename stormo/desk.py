"""What an operator looks at and settles beside the running program: doubts, the outbox, dead letters, a pause."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

from core import codec
from core.body import from_json
from core.engine import EXPIRED
from core.errors import Message, StormoError, message
from core.events import Missed
from core.places import loss_of
from core.records import CopyState
from core.social.posts import short_id
from core.stores.unit import Unit
from core.text import first_words
from core.types import ChatRef, ThingId, Visibility
from storage import dump
from storage.database import Readers, open_engine
from stormo.app import NUDGE
from stormo.backup import require_current
from stormo.clock import SystemClock
from stormo.config import Config
from stormo.instance import Instance

Say = Callable[[Message], str]


class NoSuchLetter(StormoError):
    """There is no dead letter of that number."""

    def __init__(self, letter: int) -> None:
        self.message = message("letters.no_such", id=str(letter))
        super().__init__(f"no dead letter {letter}")


class StillFails(StormoError):
    """A dead letter that cannot be handled this time either."""

    def __init__(self, letter: int, reason: str) -> None:
        self.message = message("letters.fails", id=str(letter), reason=reason)
        super().__init__(f"dead letter {letter}: {reason}")


class OnlyNews(StormoError):
    """A dead letter that is no event: it says what could not be read back."""

    def __init__(self, letter: int) -> None:
        self.message = message("letters.missed", id=str(letter))
        super().__init__(f"dead letter {letter} cannot be tried again")


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
    """One line each: when, where, which thing and part, what was done."""
    lines = []
    for row in unit.tries.doubts():
        part = f"  {say(message('doubts.part', n=row.part + 1))}" if row.part else ""
        thing = f"{_thing(unit, row.thing_id)}{part}"
        done = say(message(f"doubts.{row.resolution.replace(' ', '_')}"))
        lines.append(f"{_time(row.at)}  {_place(unit, row.chat)}  {thing}  {done}: {row.reason}")
    return lines


def _place(unit: Unit, ref: ChatRef) -> str:
    chat = unit.communities.chat(ref)
    return f"{ref.platform}  {chat.title if chat else ''} ({ref.key})"


def _thing(unit: Unit, thing: ThingId) -> str:
    """What a person calls it. An operator reads no more of a post than everybody may."""
    post = unit.posts.post(thing)
    if post is None:
        return str(thing)
    if post.visibility is not Visibility.PUBLIC or post.deleted_at is not None:
        return f"post {short_id(post.id)}"
    return f"post {short_id(post.id)} “{first_words(from_json(unit.posts.revision(post.id).body), 40)}”"


def show_outbox(config: Config, say: Say) -> int:
    """How many rows are in which state; those that a person should look at, one a line."""
    with _reading(config) as readers:
        states = readers.read_now(lambda unit: unit.outbox.states())
        lines = readers.read_now(lambda unit: _failed(unit, say))
        paused = readers.read_now(lambda unit: unit.intake.meta("paused"))
        expired = readers.read_now(lambda unit: unit.intake.meta(EXPIRED))
    for state, count in sorted(states.items()):
        print(f"{count:>8}  {say(message(f'outbox.state.{state}'))}")
    print(*lines, sep="\n", end="\n" if lines else "")
    if expired:
        print(say(message("outbox.expired", n=int(expired))))
    if paused:
        print(say(message("outbox.paused")))
    return 0


def _failed(unit: Unit, say: Say) -> list[str]:
    """One line each, newest first: in which state, since when it was to be shown, where, what, why not."""
    rows = unit.outbox.in_states([CopyState.REFUSED, CopyState.DOUBT])
    chats = unit.communities.chats_by_id(sorted({row.chat_id for row in rows}))
    return [
        f"{say(message(f'outbox.state.{row.state}'))}  {_time(row.queued_at)}  {_place(unit, chats[row.chat_id].ref)}  "
        f"{_thing(unit, row.thing_id)}  {row.reason}"
        for row in rows
    ]


def show_rooms(config: Config, say: Say) -> int:
    """Each room that nothing can be sent to: since when, where, whose, why, and how much waits for it."""
    with _reading(config) as readers:
        found = readers.read_now(lambda unit: _lost(unit, say))
    print(*found, sep="\n", end="\n" if found else "")
    print(say(message("rooms.count", n=len(found))))
    return 0


def _lost(unit: Unit, say: Say) -> list[str]:
    lines = []
    for room in unit.sight.lost_rooms():
        chat = room.chat
        assert chat.community_id is not None
        community = unit.communities.community(chat.community_id).slug
        # What the platform said to it stands behind the code of the loss.
        _, _, said = chat.reason.partition(": ")
        why = say(message(f"loss.{loss_of(chat)}")) + (f" ({said})" if said else "")
        waiting = say(message("rooms.waiting", n=room.waiting))
        lines.append(f"{_time(room.since)}  {_place(unit, chat.ref)}  {community}  {why}  {waiting}")
    return lines


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
    """Takes a letter out; ``again``: and runs its event. Raises ``StillFails``, ``OnlyNews``: then it stays."""
    async with Instance(config, beside=True) as instance:

        def work(unit: Unit) -> None:
            payload = unit.intake.exhume(letter)
            if payload is None:
                raise NoSuchLetter(letter)
            if again:
                _run_again(instance, unit, letter, payload)

        await instance.writer.submit(work)


def _run_again(instance: Instance, unit: Unit, letter: int, payload: str) -> None:
    try:
        event = codec.load(payload)
        if isinstance(event, Missed):
            raise OnlyNews(letter)
        # Its key is in the inbox already, and its bookmark long behind.
        instance.engine.handle(unit, replace(event, key=None, bookmark=None))
        unit.write()
    except StormoError:
        raise
    except Exception as error:
        raise StillFails(letter, f"{type(error).__name__}: {error}") from error
    unit.intake.set_meta(NUDGE, unit.now.isoformat())


def end_pause(config: Config) -> int | None:
    """A restored instance speaks again. Returns how many sends were left out, ``None`` if it was not paused."""
    require_current(config.database_url)
    engine = open_engine(config.database_url)
    try:
        return dump.end_pause(engine, SystemClock().now(), NUDGE)
    finally:
        engine.dispose()
