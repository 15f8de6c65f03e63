"""The rooms of the playground: what people and the bot do there, and what outlives a killed process."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from bots.playground.bot import PlaygroundAdapter
from bots.playground.journal import DamagedJournal
from bots.playground.looks import DISCORD, LOOKS, MATRIX, TELEGRAM, Look
from bots.playground.people import NotAllowed, Person, RoomDoor, add_person, add_room
from bots.playground.platform import Message, Playground
from core.errors import FileRefused, FileWhy, Rejected, RejectedWhy, RetryLater
from core.events import (
    ButtonPressed,
    CommandEdited,
    CommandInvoked,
    Inbound,
    MessageDeleted,
    MessageReceived,
    PlaceChanged,
    ReactionChanged,
)
from core.intents import Button, Create, Edit, File, Form, Intent, Mark, Tell, View, Voice, Withdraw
from core.ports import WatchedMessage
from core.suggestions import Asked, Draft, Suggestion
from core.text import from_plain
from core.types import AccountRef, ChatRef, MessageRef, Platform
from tests.clock import FakeClock

PNG = b"\x89PNG\r\n\x1a\n" + bytes(2000)


@dataclass
class Ear:
    """A gate that keeps what it is told. ``deaf`` never answers; ``broken`` fails."""

    told: list[Inbound] = field(default_factory=list)
    deaf: bool = False
    broken: bool = False
    signs: int = 0
    rings: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))

    async def handle(self, event: Inbound) -> None:
        self.told.append(event)
        self.rings.release()
        if self.broken:
            raise RuntimeError("the database is away")
        if self.deaf:
            await asyncio.Event().wait()

    def alive(self) -> None:
        self.signs += 1

    async def bookmark(self, scope: str) -> str | None:
        return None

    async def watched_chats(self, platform: Platform) -> tuple[ChatRef, ...]:
        return ()

    async def suggest(self, asked: Asked) -> tuple[Suggestion, ...]:
        return ()

    async def claim(self, name: str, life: timedelta) -> bool:
        return True

    async def draft(self, asked: Asked, values: Mapping[str, str]) -> Draft | None:
        return Draft()

    async def recent_messages(self, platform: Platform, since: datetime) -> tuple[WatchedMessage, ...]:
        return ()


@asynccontextmanager
async def listening(playground: Playground, ear: Ear, *looks: Look) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(PlaygroundAdapter(playground, look).run(ear)) for look in looks or LOOKS]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task


async def quiet(playground: Playground) -> None:
    await playground.changed(lambda: not any(playground.waiting(look) for look in LOOKS))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def playground(clock: FakeClock) -> Playground:
    return Playground(clock)


@pytest.fixture
def anna(playground: Playground) -> Person:
    return Person(playground, "anna")


@pytest.fixture
def bruno(playground: Playground) -> Person:
    return Person(playground, "bruno")


def view(text: str, *, author: str = "Anna", buttons: tuple[Button, ...] = ()) -> View:
    return View(Voice.PERSON if author else Voice.BOT, from_plain(text), author=author, buttons=buttons)


def chat(playground: Playground, look: Look) -> ChatRef:
    return playground.rooms[look.name].chat


async def shown(playground: Playground, look: Look, text: str = "Hi") -> MessageRef:
    adapter = PlaygroundAdapter(playground, look)
    receipt = await adapter.perform(
        Create(key=f"{look.name} {text}", chat=chat(playground, look), view=view(text))
    )
    assert receipt.message is not None
    return receipt.message


async def test_a_slash_command_leaves_no_message_and_its_answer_is_for_one_person(
    playground: Playground, anna: Person, bruno: Person
) -> None:
    ear = Ear()
    async with listening(playground, ear):
        assert await anna.send("discord", "/whoami") is None
        await quiet(playground)
    (event,) = ear.told
    assert isinstance(event, CommandInvoked)
    assert event.actor.rights.admin
    told = Tell(
        key="t",
        chat=chat(playground, DISCORD),
        to=AccountRef(DISCORD.platform, "anna"),
        view=view("You are @anna.", author=""),
        handle=event.handle,
    )
    assert (await PlaygroundAdapter(playground, DISCORD).perform(told)).message is None
    assert RoomDoor(playground, "discord").visible() == []
    assert [message.text for message in anna.ephemeral("discord")] == ["You are @anna."]
    assert bruno.ephemeral("discord") == []
    await anna.delete(anna.ephemeral("discord")[0])
    assert anna.ephemeral("discord") == []


async def test_an_interaction_can_be_answered_for_a_quarter_of_an_hour(
    playground: Playground, anna: Person, clock: FakeClock
) -> None:
    ear = Ear()
    async with listening(playground, ear):
        await anna.send("discord", "/whoami")
        await quiet(playground)
    clock.advance(timedelta(minutes=16))
    (event,) = ear.told
    assert isinstance(event, CommandInvoked)
    to = AccountRef(DISCORD.platform, "anna")
    told = Tell(key="t", chat=event.place.chat, to=to, view=view("late"), handle=event.handle)
    with pytest.raises(Rejected) as refused:
        await PlaygroundAdapter(playground, DISCORD).perform(told)
    assert refused.value.why is RejectedWhy.UNREACHABLE


async def test_on_telegram_a_pressed_button_is_answered_by_a_toast(
    playground: Playground, bruno: Person
) -> None:
    adapter, ear = PlaygroundAdapter(playground, TELEGRAM), Ear()
    buttons = (Button("Undo", data="undo:1"), Button("Open", private="answer"))
    create = Create(key="k", chat=chat(playground, TELEGRAM), view=view("Hi", buttons=buttons))
    await adapter.perform(create)
    (message,) = RoomDoor(playground, "telegram").visible()
    async with listening(playground, ear):
        await bruno.press(message, "Undo")
        await bruno.press(message, "answer")
        await quiet(playground)
    pressed, started = ear.told
    assert isinstance(pressed, ButtonPressed)
    assert pressed.data == "undo:1"
    assert isinstance(started, CommandInvoked)
    assert (started.name, started.text, started.place.private) == ("start", "answer", True)
    to = AccountRef(TELEGRAM.platform, "bruno")
    handle, long = pressed.handle, view("word " * 100, author="")
    await adapter.perform(Tell(key="t", chat=pressed.place.chat, to=to, view=long, handle=handle))
    (toast,) = bruno.ephemeral("telegram")
    assert toast.kind == "toast"
    assert len(toast.text) <= 200


async def test_reactions_and_edits_are_told_once_and_only_when_something_changed(
    playground: Playground, anna: Person
) -> None:
    ear = Ear()
    async with listening(playground, ear):
        message = await anna.send("matrix", "!post Hello")
        assert message is not None
        await anna.react(message, "👍")
        await anna.react(message, "👍")
        await anna.edit(message, "!post Hello")
        await anna.edit(message, "!post Hello again")
        await anna.unreact(message, "👍")
        await anna.react(message, "👍")
        await anna.delete(message)
        await quiet(playground)
    kinds = [type(event) for event in ear.told]
    assert kinds == [
        CommandInvoked,
        ReactionChanged,
        CommandEdited,
        MessageDeleted,
        ReactionChanged,
        MessageDeleted,
    ]
    put, back, again = ear.told[1], ear.told[3], ear.told[4]
    assert isinstance(put, ReactionChanged)
    assert isinstance(back, MessageDeleted)
    assert isinstance(again, ReactionChanged)
    assert back.message == put.ref
    assert again.ref != put.ref
    assert len({event.key for event in ear.told}) == len(ear.told)


async def test_nobody_changes_the_words_of_another_and_admins_may_remove_them(
    playground: Playground, anna: Person, bruno: Person
) -> None:
    message = await anna.send("telegram", "Hello")
    assert message is not None
    with pytest.raises(NotAllowed):
        await bruno.edit(message, "Bye")
    with pytest.raises(NotAllowed):
        await bruno.delete(message)
    await bruno.set_admin("telegram")
    await bruno.delete(message)
    assert RoomDoor(playground, "telegram").visible() == []
    with pytest.raises(NotAllowed):
        await anna.react(message, "👍")


async def test_a_private_chat_is_closed_to_others(anna: Person, bruno: Person) -> None:
    room = await anna.private(TELEGRAM)
    (start,) = room.visible()
    assert start.text == "/start"
    with pytest.raises(NotAllowed):
        await bruno.send(room, "Hello")
    with pytest.raises(NotAllowed):
        await bruno.react(start, "👍")


@pytest.mark.parametrize("text", ["", "   ", "x" * 6001])
async def test_what_a_platform_would_not_take_is_refused(anna: Person, text: str) -> None:
    with pytest.raises(NotAllowed):
        await anna.send("matrix", text)


async def test_names_of_new_people_are_their_own(playground: Playground) -> None:
    dario = await add_person(playground, " Dario  Fo ")
    assert (dario.id, dario.name) == ("dariofo", "Dario Fo")
    for name in ("", "Anna", "…", "Stormo"):
        with pytest.raises(NotAllowed):
            await add_person(playground, name)


async def test_a_look_can_have_more_rooms(playground: Playground, anna: Person) -> None:
    room = await add_room(playground, DISCORD, "birds", "#birds", "anna")
    ear = Ear()
    async with listening(playground, ear):
        await anna.send(room, "hello")
        await quiet(playground)
    (event,) = ear.told
    assert isinstance(event, MessageReceived)
    assert event.place.chat == room.chat
    assert event.actor.rights.admin


async def test_the_bot_is_put_out_and_let_in_again(playground: Playground, anna: Person) -> None:
    ear, door = Ear(), RoomDoor(playground, "matrix")
    async with listening(playground, ear):
        await door.expel()
        await anna.send(door, "nobody of us hears this")
        with pytest.raises(Rejected) as refused:
            await shown(playground, MATRIX)
        await door.readmit()
        await quiet(playground)
    assert refused.value.why is RejectedWhy.CHAT_GONE
    assert [event.gone for event in ear.told if isinstance(event, PlaceChanged)] == [True, False]
    assert len(ear.told) == 2


# -- what the bot does -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("look", "later", "copies"),
    [
        (DISCORD, timedelta(seconds=119), 1),
        (DISCORD, timedelta(minutes=2), 2),
        (MATRIX, timedelta(hours=23), 1),
        (MATRIX, timedelta(hours=24), 2),
        (TELEGRAM, timedelta(0), 2),
    ],
)
async def test_a_key_is_known_as_long_as_on_the_real_platform(
    playground: Playground, clock: FakeClock, look: Look, later: timedelta, copies: int
) -> None:
    adapter = PlaygroundAdapter(playground, look)
    here = chat(playground, look)
    first = await adapter.perform(Create(key="k", chat=here, view=view("first")))
    clock.advance(later)
    second = await adapter.perform(Create(key="k", chat=here, view=view("second")))
    visible = RoomDoor(playground, look.name).visible()
    assert len(visible) == copies
    assert visible[0].text == "first"
    assert (first == second) == (copies == 1)


async def test_edits_marks_and_withdrawals_are_seen_and_a_gone_message_says_so(
    playground: Playground, anna: Person
) -> None:
    adapter, door = PlaygroundAdapter(playground, TELEGRAM), RoomDoor(playground, "telegram")
    ref = await shown(playground, TELEGRAM)
    await adapter.perform(Edit(key="e", message=ref, view=view("New")))
    await adapter.perform(Mark(key="m", message=ref, emoji="👌"))
    (message,) = door.visible()
    assert (message.text, message.author, message.reactions) == ("New", "Anna", {"👌": ("stormo",)})
    await adapter.perform(Mark(key="m2", message=ref, emoji="👌", on=False))
    assert door.visible()[0].reactions == {}
    with pytest.raises(Rejected) as same:
        await adapter.perform(Edit(key="e2", message=ref, view=view("New")))
    assert same.value.why is RejectedWhy.UNCHANGED
    await anna.delete(message)
    for intent in (
        Edit(key="e3", message=ref, view=view("Newer")),
        Withdraw(key="w", message=ref),
        Mark(key="m3", message=ref, emoji="👌"),
    ):
        with pytest.raises(Rejected) as gone:
            await adapter.perform(intent)
        assert gone.value.why is RejectedWhy.GONE


async def test_a_lost_answer_leaves_the_message_standing(playground: Playground) -> None:
    async def lose(intent: Intent) -> None:
        raise RetryLater("no answer", unknown=True)

    playground.after_storing = lose
    with pytest.raises(RetryLater):
        await shown(playground, DISCORD)
    assert [message.text for message in RoomDoor(playground, "discord").visible()] == ["Hi"]

    playground.before_storing = lose
    with pytest.raises(RetryLater):
        await shown(playground, DISCORD, "never sent")
    assert len(RoomDoor(playground, "discord").visible()) == 1


async def test_an_answer_without_a_handle_replies_in_the_room(playground: Playground, anna: Person) -> None:
    message = await anna.send("matrix", "!help")
    assert message is not None
    to, target = anna.account(MATRIX.platform), playground.ref(message)
    tell = Tell(key="t", chat=target.chat, to=to, view=view("Here", author=""), reply_to=target)
    await PlaygroundAdapter(playground, MATRIX).perform(tell)
    assert RoomDoor(playground, "matrix").visible()[-1].reply_to == message.id


async def test_waiting_for_what_never_comes_ends(playground: Playground) -> None:
    with pytest.raises(TimeoutError):
        await playground.changed(lambda: False, deadline=0.01)


# -- what outlives a killed process ----------------------------------------------------------------


async def busy(playground: Playground) -> None:
    anna, bruno = Person(playground, "anna"), Person(playground, "bruno")
    for room in ("discord", "telegram", "matrix"):
        message = await anna.send(room, "Hello **all**")
        assert message is not None
        await bruno.react(message, "❤")
        await anna.edit(message, "Hello everybody")
    await anna.private(TELEGRAM)
    await bruno.set_admin("matrix")
    await add_person(playground, "Dario")
    ref = await shown(playground, MATRIX)
    await PlaygroundAdapter(playground, MATRIX).perform(Mark(key="m", message=ref, emoji="👌"))
    await PlaygroundAdapter(playground, DISCORD).perform(
        Create(
            key="c",
            chat=chat(playground, DISCORD),
            view=view("x", buttons=(Button("B", data="b"),)),
            form=Form.PLAIN,
            pin=True,
        )
    )


def state(playground: Playground) -> tuple[object, ...]:
    waiting = {look.name: playground.waiting(look) for look in LOOKS}
    return playground.rooms, playground.people, playground.messages, waiting


async def test_rooms_are_found_as_they_were(clock: FakeClock, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    before = Playground(clock, path)
    await busy(before)
    # Nothing is closed: the process was killed.
    assert state(Playground(clock, path)) == state(before)


async def test_a_torn_last_line_costs_only_itself(clock: FakeClock, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    before = Playground(clock, path)
    await busy(before)
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"n": 99, "do": "delete", "id"')
    after = Playground(clock, path)
    assert state(after) == state(before)
    assert path.read_bytes() == whole
    await Person(after, "anna").send("matrix", "and on")
    assert Playground(clock, path).messages == after.messages


async def test_damage_in_the_middle_is_said_and_not_hidden(clock: FakeClock, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    await busy(Playground(clock, path))
    lines = path.read_bytes().split(b"\n")
    lines[2] = b"\x00\x00"
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(DamagedJournal, match="line 3"):
        Playground(clock, path)


async def test_a_long_journal_is_written_anew_and_says_the_same(
    clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal.jsonl"
    before = Playground(clock, path)
    await busy(before)
    monkeypatch.setattr("bots.playground.platform._COMPACT_AFTER", 3)
    after = Playground(clock, path)
    assert state(after) == state(before)
    anna = Person(after, "anna")
    await anna.send("matrix", "and on")
    assert state(Playground(clock, path)) == state(after)
    fresh = [m for m in after.messages.values() if m.id not in before.messages]
    assert [message.text for message in fresh] == ["and on"]


async def test_what_was_not_answered_is_told_again_with_the_same_keys(
    clock: FakeClock, tmp_path: Path
) -> None:
    path = tmp_path / "journal.jsonl"
    playground = Playground(clock, path)
    anna, ear = Person(playground, "anna"), Ear()
    async with listening(playground, ear):
        await anna.send("telegram", "/post taken in")
        await quiet(playground)
    deaf = Ear(deaf=True)
    async with listening(playground, deaf):
        await anna.send("telegram", "/post not answered")
        await anna.send("matrix", "!post neither")
        async with asyncio.timeout(10):
            await deaf.rings.acquire()
            await deaf.rings.acquire()

    again = Ear()
    after = Playground(clock, path)
    async with listening(after, again):
        await quiet(after)
    assert [event.key for event in again.told] == [event.key for event in deaf.told]
    assert again.told == deaf.told

    never = Ear()
    last = Playground(clock, path)
    async with listening(last, never):
        await quiet(last)
    assert never.told == []


async def test_a_fault_of_the_core_ends_the_adapter_and_keeps_the_event(
    playground: Playground, anna: Person
) -> None:
    await anna.send("matrix", "!help")
    with pytest.raises(RuntimeError, match="away"):
        await PlaygroundAdapter(playground, MATRIX).run(Ear(broken=True))
    ear = Ear()
    async with listening(playground, ear, MATRIX):
        await quiet(playground)
    assert len(ear.told) == 1


async def test_a_journal_that_was_removed_never_gives_old_keys_again(
    clock: FakeClock, tmp_path: Path
) -> None:
    keys: list[str | None] = []
    messages: list[Message] = []
    for _ in range(2):
        path = tmp_path / "journal.jsonl"
        path.unlink(missing_ok=True)
        playground, ear = Playground(clock, path), Ear()
        async with listening(playground, ear):
            message = await Person(playground, "anna").send("matrix", "!help")
            assert message is not None
            messages.append(message)
            await quiet(playground)
        keys += [event.key for event in ear.told]
    assert len(set(keys)) == 2
    assert messages[0].id != messages[1].id


async def test_a_file_goes_out_and_comes_back_and_outlives_the_process(
    clock: FakeClock, tmp_path: Path
) -> None:
    journal = tmp_path / "rooms.jsonl"
    playground, ear = Playground(clock, journal), Ear()
    anna = Person(playground, "anna")
    picture = anna.file(PNG, "swifts.png", alt="Two swifts", spoiler=True)
    async with listening(playground, ear):
        sent = await anna.send("telegram", "/post Look", files=[picture])
        await anna.send("discord", "/post", files=[picture])
        await quiet(playground)
    assert sent is not None
    commands = [event for event in ear.told if isinstance(event, CommandInvoked)]
    attached = commands[0].files[0]
    assert [command.files for command in commands] == [(attached,), (attached,)]
    assert (attached.name, attached.mime, attached.alt, attached.spoiler) == (
        "swifts.png",
        "image/png",
        "Two swifts",
        True,
    )
    playground.close()
    again = Playground(clock, journal)
    fetched: list[bytes] = []
    await PlaygroundAdapter(again, MATRIX).fetch(attached.source, fetched.append)
    assert b"".join(fetched) == PNG
    assert again.messages[sent.id].shown.files == (picture,)
    again.close()


@pytest.mark.parametrize("source", ["0" * 64, "../key", ""])
async def test_a_file_that_is_not_there_is_gone(clock: FakeClock, tmp_path: Path, source: str) -> None:
    (tmp_path / "key").write_text("secret")
    playground = Playground(clock, tmp_path / "rooms.jsonl")
    with pytest.raises(FileRefused) as refused:
        await PlaygroundAdapter(playground, MATRIX).fetch(source, lambda _: None)
    assert refused.value.why is FileWhy.GONE
    playground.close()


async def test_a_copy_shows_its_files_and_keeps_them(playground: Playground, tmp_path: Path) -> None:
    path = tmp_path / "stored"
    path.write_bytes(PNG)
    file = File(digest="d", path=path, mime="image/png", name="swifts.png", size=len(PNG), alt="Two swifts")
    adapter = PlaygroundAdapter(playground, DISCORD)
    create = Create("k", chat(playground, DISCORD), replace(view("Look"), files=(file,)))
    receipt = await adapter.perform(create)
    path.unlink()
    assert receipt.message is not None
    (filed,) = playground.messages[receipt.message.key].shown.files
    assert (filed.name, filed.alt, playground.drawer.get(filed.id)) == ("swifts.png", "Two swifts", PNG)
    await adapter.perform(Edit("e", receipt.message, view("Look")))
    assert playground.messages[receipt.message.key].shown.files == ()
