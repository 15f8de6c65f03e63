"""The Matrix adapter on a real homeserver: what people do is heard, what the core wants shows in rooms."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import TypeVar

import pytest
import pytest_asyncio

from bots.matrix.bot import MatrixAdapter, Settings
from core.body import Body, Paragraph, Strong, Text
from core.errors import BadToken, Deaf, Message, Rejected, RejectedWhy, RetryLater
from core.events import (
    CommandEdited,
    CommandInvoked,
    Inbound,
    Loss,
    MessageDeleted,
    MessageEdited,
    MessageReceived,
    Missed,
    PlaceChanged,
    ReactionChanged,
    Rights,
)
from core.intents import Create, Edit, Form, Mark, Tell, View, Voice, Withdraw
from core.parts import parted
from core.ports import WatchedMessage
from core.suggestions import Asked, Draft, Suggestion
from core.types import AccountRef, ChatRef, MessageRef, Platform
from tests.core.bodies import long_body
from tests.peers.fixtures import NewPerson
from tests.peers.matrix_person import MatrixPerson
from tests.peers.matrix_proxy import ANY, JOIN, MESSAGE, MESSAGES, SYNC, MatrixProxy
from tests.peers.synapse import Login, SynapseServer

pytestmark = [pytest.mark.peer, pytest.mark.asyncio]

E = TypeVar("E", bound=Inbound)
MATRIX = Platform("matrix")
DEADLINE = 20.0


class WallClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return monotonic()

    async def wait(self, woken: asyncio.Event, until: datetime | None) -> None:
        left = None if until is None else max((until - self.now()).total_seconds(), 0)
        with suppress(TimeoutError):
            await asyncio.wait_for(woken.wait(), left)


def no_words(message: Message, language: str) -> str:
    return message.id


class HeardGate:
    """What a core would be told: each event once by its key, and the bookmarks."""

    def __init__(self, kept: dict[str, str] | None = None) -> None:
        self.events: list[Inbound] = []
        self.bookmarks = kept if kept is not None else {}
        self.failing: type[Inbound] | None = None
        self.signs = 0
        self._keys: set[str] = set()
        self._changed = asyncio.Condition()

    async def handle(self, event: Inbound) -> None:
        if self.failing is not None and isinstance(event, self.failing):
            self.failing = None
            raise RuntimeError("the core is away")
        async with self._changed:
            if event.bookmark is not None:
                self.bookmarks[event.bookmark.scope] = event.bookmark.value
            if event.key is None or event.key not in self._keys:
                self._keys.add(event.key or "")
                if event.key is not None or isinstance(event, PlaceChanged):
                    self.events.append(event)
            self._changed.notify_all()

    def alive(self) -> None:
        self.signs += 1

    async def bookmark(self, scope: str) -> str | None:
        return self.bookmarks.get(scope)

    async def watched_chats(self, platform: Platform) -> Sequence[ChatRef]:
        return ()

    async def suggest(self, asked: Asked) -> Sequence[Suggestion]:
        return ()

    async def claim(self, name: str, life: timedelta) -> bool:
        return True

    async def draft(self, asked: Asked, values: Mapping[str, str]) -> Draft | None:
        return Draft()

    async def recent_messages(self, platform: Platform, since: datetime) -> Sequence[WatchedMessage]:
        return ()

    def heard(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    async def wait(self, holds: Callable[[], object]) -> None:
        async with self._changed:
            try:
                await asyncio.wait_for(self._changed.wait_for(lambda: bool(holds())), DEADLINE)
            except TimeoutError:
                raise TimeoutError(f"heard only {self.events} {self.bookmarks}") from None

    async def next(self, kind: type[E], number: int = 1) -> E:
        """The last of ``number`` events of a kind."""
        await self.wait(lambda: len(self.heard(kind)) >= number)
        return self.heard(kind)[number - 1]


class Bot:
    """An account of ours with its adapter, running or not."""

    def __init__(self, homeserver: str, login: Login) -> None:
        self.user_id = login.user_id
        self.gate = HeardGate()
        self.settings = Settings(
            homeserver=homeserver,
            user_id=login.user_id,
            access_token=login.access_token,
            invite_servers=("*",),
            poll=timedelta(seconds=5),
            first_delay=timedelta(milliseconds=20),
        )
        self.adapter = MatrixAdapter(self.settings, no_words, WallClock())

    @property
    def synced(self) -> str:
        return self.gate.bookmarks.get(f"matrix:{self.user_id}", "")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Bot]:
        """Listening until the end of the block, from a first sync on."""
        task = asyncio.create_task(self.adapter.run(self.gate))
        try:
            await self.gate.wait(lambda: self.synced or task.done())
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def comes_to(self, person: MatrixPerson, room: str) -> None:
        """Invited by ``person``, and in the room."""
        before = len(self.gate.heard(PlaceChanged))
        await person.invite(room, self.user_id)
        await self.gate.next(PlaceChanged, before + 1)


NewBot = Callable[[str], Bot]


@pytest_asyncio.fixture
async def new_bot(synapse: SynapseServer) -> AsyncIterator[NewBot]:
    made: list[Bot] = []

    def new(homeserver: str = "") -> Bot:
        login = synapse.register(synapse.unused_name("stormo"), display_name="Stormo")
        made.append(Bot(homeserver or synapse.url, login))
        return made[-1]

    yield new
    for bot in made:
        await bot.adapter.close()


def chat(room: str) -> ChatRef:
    return ChatRef(MATRIX, room)


def ref(room: str, event: str) -> MessageRef:
    return MessageRef(chat(room), event)


def view(text: str, *, voice: Voice = Voice.PERSON, author: str = "Anna") -> View:
    return View(
        voice=voice, author=author, body=Body((Paragraph((Strong((Text(text),)),)),)), footer="1 vote"
    )


async def in_a_room(bot: Bot, person: MatrixPerson) -> str:
    room = await person.create_room("Garden")
    await bot.comes_to(person, room)
    return room


# --- hearing ------------------------------------------------------------------------------------------------


async def test_a_command_arrives_with_its_place_and_the_rights_of_who_gave_it(
    new_bot: NewBot, matrix_person: NewPerson
) -> None:
    ada, ben = await matrix_person("Ada"), await matrix_person("Ben")
    async with new_bot("").running() as bot:
        room = await in_a_room(bot, ada)
        await ada.invite(room, ben.user_id)
        await ben.join(room)
        event = await ada.say(room, "!post Hello **all**", html="!post Hello <strong>all</strong>")
        await ben.say(room, "Stormo: whoami")
        first, second = await bot.gate.next(CommandInvoked), await bot.gate.next(CommandInvoked, 2)
    assert (first.name, first.text, first.message) == ("post", "Hello all", ref(room, event))
    assert first.body == Body((Paragraph((Text("Hello "), Strong((Text("all"),)))),))
    assert (first.place.title, first.place.private, first.place.closed) == ("Garden", False, False)
    assert first.actor.account == AccountRef(MATRIX, ada.user_id)
    assert (first.actor.name, first.actor.rights) == ("Ada", Rights(admin=True, moderator=True))
    assert (second.name, second.actor.name, second.actor.rights) == ("whoami", "Ben", Rights())
    assert first.at is not None
    assert abs(datetime.now(UTC) - first.at) < timedelta(minutes=1)


async def test_rights_follow_a_change_of_power(new_bot: NewBot, matrix_person: NewPerson) -> None:
    ada, ben = await matrix_person("Ada"), await matrix_person("Ben")
    async with new_bot("").running() as bot:
        room = await in_a_room(bot, ada)
        await ada.invite(room, ben.user_id)
        await ben.join(room)
        await ada.power(room, ben.user_id, 50)
        await ben.say(room, "!setup")
        assert (await bot.gate.next(CommandInvoked)).actor.rights == Rights(admin=True, moderator=True)
        await ada.power(room, ben.user_id, 0)
        await ben.say(room, "!setup")
        assert (await bot.gate.next(CommandInvoked, 2)).actor.rights == Rights()


async def test_edits_reactions_and_deletions_name_the_first_event(
    new_bot: NewBot, matrix_person: NewPerson
) -> None:
    ada, ben = await matrix_person("Ada"), await matrix_person("Ben")
    async with new_bot("").running() as bot:
        room = await in_a_room(bot, ada)
        await ada.invite(room, ben.user_id)
        await ben.join(room)
        post = await ada.say(room, "!post Helo")
        await ada.edit(room, post, "!post Hello")
        await ben.edit(room, post, "Not yours")
        thumb = await ben.react(room, post, "👍")
        await ben.redact(room, thumb)
        await ada.redact(room, post)
        await bot.gate.next(MessageDeleted, 2)
    (command,) = bot.gate.heard(CommandEdited)
    assert (command.message, command.text) == (ref(room, post), "Hello")
    (foreign,) = bot.gate.heard(MessageEdited)
    assert (foreign.message, foreign.actor.account.key) == (ref(room, post), ben.user_id)
    (reaction,) = bot.gate.heard(ReactionChanged)
    assert (reaction.message, reaction.added, reaction.ref) == (ref(room, post), ("👍",), ref(room, thumb))
    assert [gone.message for gone in bot.gate.heard(MessageDeleted)] == [ref(room, thumb), ref(room, post)]


async def test_a_private_chat_takes_plain_words(new_bot: NewBot, matrix_person: NewPerson) -> None:
    ada = await matrix_person("Ada")
    async with new_bot("").running() as bot:
        room = await ada.create_room()
        await bot.comes_to(ada, room)
        await ada.say(room, "help post")
        heard = await bot.gate.next(CommandInvoked)
    assert (heard.name, heard.text, heard.place.private, heard.place.title) == ("help", "post", True, "Ada")


async def test_a_named_private_chat_is_known_as_one_after_a_restart(
    new_bot: NewBot, matrix_person: NewPerson
) -> None:
    ada = await matrix_person("Ada")
    bot = new_bot("")
    async with bot.running():
        body = {"is_direct": True, "name": "Birds", "invite": [bot.user_id], "preset": "private_chat"}
        room = (await ada.ask("POST", "/createRoom", body))["room_id"]
        await bot.gate.next(PlaceChanged)
        start = await bot.gate.next(CommandInvoked)
        assert (start.name, start.actor.account.key, start.place.private) == ("start", ada.user_id, True)
        await ada.say(room, "whoami")
        assert (await bot.gate.next(CommandInvoked, 2)).place.private
    async with bot.running():
        await ada.say(room, "whoami")
        assert (await bot.gate.next(CommandInvoked, 3)).place.private
    assert [heard.name for heard in bot.gate.heard(CommandInvoked)] == ["start", "whoami", "whoami"]


@pytest.mark.parametrize("listening", [True, False], ids=["while it listens", "while it is away"])
async def test_a_third_person_in_a_private_chat_is_told_at_once(
    new_bot: NewBot, matrix_person: NewPerson, *, listening: bool
) -> None:
    """No word need be said before the core knows that others read along."""
    ada, ben = await matrix_person("Ada"), await matrix_person("Ben")
    bot = new_bot("")
    async with bot.running():
        room = await ada.create_room()
        await bot.comes_to(ada, room)
        await ada.say(room, "whoami")
        assert (await bot.gate.next(CommandInvoked)).place.private
        if listening:
            await ada.invite(room, ben.user_id)
            await ben.join(room)
            await bot.gate.next(PlaceChanged, 2)
    if not listening:
        await ada.invite(room, ben.user_id)
        await ben.join(room)
        async with bot.running():
            await bot.gate.next(PlaceChanged, 2)
    assert [heard.shared for heard in bot.gate.heard(PlaceChanged) if heard.key] == [False, True]


async def test_who_opens_an_encrypted_private_chat_is_told_that_it_cannot_be_read(
    new_bot: NewBot, matrix_person: NewPerson
) -> None:
    ada = await matrix_person("Ada")
    async with new_bot("").running() as bot:
        encryption = {"type": "m.room.encryption", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}
        body = {"is_direct": True, "invite": [bot.user_id], "initial_state": [encryption | {"state_key": ""}]}
        room = (await ada.ask("POST", "/createRoom", body))["room_id"]
        told = await ada.wait_message(room, "matrix.unreadable")
    assert (told.msgtype, told.mentions) == ("m.notice", {})
    assert bot.gate.heard(CommandInvoked) == []


async def test_what_was_said_before_the_bot_came_stays_unheard(
    new_bot: NewBot, matrix_person: NewPerson
) -> None:
    ada = await matrix_person("Ada")
    async with new_bot("").running() as bot:
        room = await ada.create_room("Garden")
        await ada.say(room, "!post Old")
        await bot.comes_to(ada, room)
        await ada.say(room, "!post New")
        await bot.gate.next(CommandInvoked)
    assert [heard.text for heard in bot.gate.heard(CommandInvoked)] == ["New"]


async def test_the_first_sync_replays_nothing(new_bot: NewBot, matrix_person: NewPerson) -> None:
    ada = await matrix_person("Ada")
    bot = new_bot("")
    async with bot.running():
        room = await in_a_room(bot, ada)
        await ada.say(room, "!post Old")
        await bot.gate.next(CommandInvoked)
    bot.gate = HeardGate()
    async with bot.running():
        await ada.say(room, "!post New")
        await bot.gate.next(CommandInvoked)
    assert [heard.text for heard in bot.gate.heard(CommandInvoked)] == ["New"]


async def test_a_long_absence_is_read_back_whole_and_in_order(
    new_bot: NewBot, matrix_person: NewPerson
) -> None:
    ada = await matrix_person("Ada")
    bot = new_bot("")
    async with bot.running():
        room = await in_a_room(bot, ada)
        await ada.say(room, "!post 0")
        await bot.gate.next(CommandInvoked)
        await bot.gate.wait(lambda: bot.synced)
    said = [str(number) for number in range(1, 331)]
    for number in said:
        await ada.say(room, f"!post {number}")
    async with bot.running():
        await bot.gate.next(CommandInvoked, 331)
    assert bot.gate.heard(Missed) == []
    texts = [heard.text for heard in bot.gate.heard(CommandInvoked)]
    assert texts == ["0", *said]
    assert bot.gate.heard(CommandInvoked)[-1].place.title == "Garden"
    assert bot.gate.heard(CommandInvoked)[-1].actor.rights.admin


async def test_edits_reactions_and_deletions_of_a_long_absence_come_in_their_order(
    new_bot: NewBot, matrix_person: NewPerson
) -> None:
    ada, ben = await matrix_person("Ada"), await matrix_person("Ben")
    bot = new_bot("")
    async with bot.running():
        room = await in_a_room(bot, ada)
        await ada.invite(room, ben.user_id)
        await ben.join(room)
        one, two = await ada.say(room, "!post one"), await ada.say(room, "!post two")
        thumb = await ben.react(room, one, "👍")
        await bot.gate.next(ReactionChanged)
        await bot.gate.wait(lambda: bot.synced)
    before = len(bot.gate.events)
    await ada.edit(room, one, "!post one, better")
    heart = await ben.react(room, one, "❤️")
    for number in range(150):
        await ben.say(room, f"chatter {number}")
    await ben.redact(room, thumb)
    await ada.redact(room, two)
    await ada.say(room, "!post three")
    async with bot.running():
        await bot.gate.next(CommandInvoked, 3)
    told = [
        event for event in bot.gate.events[before:] if not isinstance(event, MessageReceived | PlaceChanged)
    ]
    edited, loved, thumb_gone, two_gone, invoked = told
    assert isinstance(edited, CommandEdited)
    assert (edited.message, edited.text) == (ref(room, one), "one, better")
    assert isinstance(loved, ReactionChanged)
    assert (loved.message, loved.ref) == (ref(room, one), ref(room, heart))
    assert isinstance(thumb_gone, MessageDeleted)
    assert isinstance(two_gone, MessageDeleted)
    assert [thumb_gone.message, two_gone.message] == [ref(room, thumb), ref(room, two)]
    assert isinstance(invoked, CommandInvoked)
    assert invoked.text == "three"


async def test_what_is_too_much_to_be_read_back_is_said(new_bot: NewBot, matrix_person: NewPerson) -> None:
    ada = await matrix_person("Ada")
    bot = new_bot("")
    async with bot.running():
        room = await in_a_room(bot, ada)
    for number in range(350):
        await ada.say(room, f"!post {number}")
    bot.adapter = MatrixAdapter(dataclasses.replace(bot.settings, catchup_events=200), no_words, WallClock())
    async with bot.running():
        missed = await bot.gate.next(Missed)
        await bot.gate.next(CommandInvoked, 300)
    assert (missed.chat, "more than 200 events" in missed.reason) == (chat(room), True)
    assert [heard.text for heard in bot.gate.heard(CommandInvoked)] == [str(n) for n in range(50, 350)]


async def test_what_the_core_could_not_take_comes_again(new_bot: NewBot, matrix_person: NewPerson) -> None:
    ada = await matrix_person("Ada")
    bot = new_bot("")
    async with bot.running():
        room = await in_a_room(bot, ada)
    bot.gate.failing = CommandInvoked
    await ada.say(room, "!post Hello")
    with pytest.raises(RuntimeError, match="the core is away"):
        await asyncio.wait_for(bot.adapter.run(bot.gate), DEADLINE)
    assert bot.gate.heard(CommandInvoked) == []
    async with bot.running():
        assert (await bot.gate.next(CommandInvoked)).text == "Hello"


async def test_lost_connections_and_errors_of_sync_are_waited_out(
    new_bot: NewBot, matrix_person: NewPerson, matrix_proxy: MatrixProxy
) -> None:
    ada = await matrix_person("Ada")
    bot = new_bot(matrix_proxy.url)
    async with bot.running():
        room = await in_a_room(bot, ada)
        matrix_proxy.fail_after(SYNC, times=2)
        matrix_proxy.drop_before(SYNC, times=4)
        matrix_proxy.limit(30, SYNC, times=2)
        await ada.say(room, "!post 1")
        await bot.gate.next(CommandInvoked)
        await ada.say(room, "!post 2")
        await bot.gate.next(CommandInvoked, 2)
    assert [heard.text for heard in bot.gate.heard(CommandInvoked)] == ["1", "2"]


async def test_a_sync_that_brings_nothing_of_what_there_is_ends_the_run(
    new_bot: NewBot, matrix_person: NewPerson, matrix_proxy: MatrixProxy
) -> None:
    """The supervisor opens it anew, and nothing is missing."""
    ada = await matrix_person("Ada")
    bot = new_bot(matrix_proxy.url)
    room, other = "", ""
    async with bot.running():
        room, other = await in_a_room(bot, ada), await in_a_room(bot, ada)
    bot.adapter = MatrixAdapter(
        dataclasses.replace(bot.settings, canary_seconds=0, poll=timedelta(milliseconds=50)),
        no_words,
        WallClock(),
    )
    task = asyncio.create_task(bot.adapter.run(bot.gate))
    await ada.say(room, "!post heard")
    await bot.gate.next(CommandInvoked)
    looks = matrix_proxy.count(MESSAGES)

    async def looked() -> bool:
        return matrix_proxy.count(MESSAGES) > looks + 2

    await ada.wait_for(looked)
    assert not task.done()
    matrix_proxy.deafen()
    syncs = matrix_proxy.count(SYNC)

    async def synced() -> bool:
        return matrix_proxy.count(SYNC) > syncs + 1

    await ada.wait_for(synced)
    await ada.say(other, "!post unheard")
    with pytest.raises(Deaf):
        await asyncio.wait_for(task, DEADLINE)
    matrix_proxy.heal()
    async with bot.running():
        await bot.gate.next(CommandInvoked, 2)
    assert [heard.text for heard in bot.gate.heard(CommandInvoked)] == ["heard", "unheard"]


async def test_answers_that_are_no_json_are_waited_out(
    new_bot: NewBot, matrix_person: NewPerson, matrix_proxy: MatrixProxy
) -> None:
    ada = await matrix_person("Ada")
    bot = new_bot(matrix_proxy.url)
    async with bot.running():
        room = await in_a_room(bot, ada)
        matrix_proxy.garble(SYNC, times=3)
        matrix_proxy.garble(SYNC, times=2, body='{"rooms": {}}')
        await ada.say(room, "!post 1")
        await bot.gate.next(CommandInvoked)
        matrix_proxy.garble(MESSAGE)
        with pytest.raises(RetryLater) as unsure:
            await bot.adapter.perform(Create("k", chat(room), view("Hello")))
    assert unsure.value.unknown
    assert [heard.text for heard in bot.gate.heard(CommandInvoked)] == ["1"]


async def test_a_homeserver_that_stays_away_is_told_to_the_supervisor(
    new_bot: NewBot, matrix_proxy: MatrixProxy
) -> None:
    bot = new_bot(matrix_proxy.url)
    settings = dataclasses.replace(bot.settings, patience=timedelta(seconds=0.2))
    bot.adapter = MatrixAdapter(settings, no_words, WallClock())
    matrix_proxy.drop_before(ANY, times=1000)
    with pytest.raises(RetryLater, match="connection lost"):
        await asyncio.wait_for(bot.adapter.run(bot.gate), DEADLINE)
    matrix_proxy.heal()
    async with bot.running():
        assert bot.synced


async def test_the_bot_is_told_when_it_was_put_out_and_found_again(
    new_bot: NewBot, matrix_person: NewPerson
) -> None:
    ada = await matrix_person("Ada")
    async with new_bot("").running() as bot:
        room = await in_a_room(bot, ada)
        await ada.kick(room, bot.user_id)
        await bot.gate.next(PlaceChanged, 2)
        await bot.comes_to(ada, room)
        await ada.ban(room, bot.user_id)
        await bot.gate.next(PlaceChanged, 4)
        with pytest.raises(Rejected) as refused:
            await bot.adapter.perform(Create("k", chat(room), view("Hello")))
    changes = [(change.chat, change.gone, change.reason) for change in bot.gate.heard(PlaceChanged)]
    here = chat(room)
    assert changes == [(here, False, ""), (here, True, "removed"), (here, False, ""), (here, True, "banned")]
    assert refused.value.why is RejectedWhy.CHAT_GONE


async def test_a_room_where_the_bots_level_no_longer_suffices_is_told_and_told_again(
    new_bot: NewBot, matrix_person: NewPerson
) -> None:
    ada = await matrix_person("Ada")
    bot = new_bot("")
    async with bot.running():
        room = await in_a_room(bot, ada)
        levels = await ada.state(room, "m.room.power_levels")
        await ada.ask("PUT", f"/rooms/{room}/state/m.room.power_levels/", levels | {"events_default": 50})
        closed = await bot.gate.next(PlaceChanged, 2)
        assert await bot.adapter.standing(chat(room)) is Loss.MUTED
        with pytest.raises(Rejected) as refused:
            await bot.adapter.perform(Create("k", chat(room), view("Hello")))
        await bot.gate.wait(lambda: bot.synced)
    await ada.ask("PUT", f"/rooms/{room}/state/m.room.power_levels/", levels)
    async with bot.running():
        opened = await bot.gate.next(PlaceChanged, 3)
        assert await bot.adapter.standing(chat(room)) is None
        await ada.kick(room, bot.user_id)
        await bot.gate.next(PlaceChanged, 4)
        assert await bot.adapter.standing(chat(room)) is Loss.REMOVED
    assert (closed.chat, closed.muted, closed.reason) == (chat(room), True, "muted")
    assert (opened.chat, opened.muted, opened.gone) == (chat(room), False, False)
    assert refused.value.why is RejectedWhy.FORBIDDEN


async def test_invitations_of_other_servers_are_declined(
    synapse: SynapseServer, new_bot: NewBot, matrix_person: NewPerson
) -> None:
    ada = await matrix_person("Ada")
    bot = new_bot("")
    settings = dataclasses.replace(bot.settings, invite_servers=("elsewhere.test",))
    bot.adapter = MatrixAdapter(settings, no_words, WallClock())
    async with bot.running():
        room = await ada.create_room("Garden", invite=[bot.user_id])

        async def declined() -> bool:
            state = await ada.state(room, "m.room.member", bot.user_id)
            return bool(state["membership"] == "leave")

        await ada.wait_for(declined)
    assert bot.gate.heard(PlaceChanged) == []


async def test_an_invitation_that_could_not_be_answered_is_answered_after_a_restart(
    new_bot: NewBot, matrix_person: NewPerson, matrix_proxy: MatrixProxy
) -> None:
    ada = await matrix_person("Ada")
    bot = new_bot(matrix_proxy.url)
    async with bot.running():
        before = bot.synced
        matrix_proxy.limit(60_000, JOIN, times=50)
        room = await ada.create_room("Garden", invite=[bot.user_id])

        async def tried() -> bool:
            return matrix_proxy.count(JOIN) > 0

        await ada.wait_for(tried)
        await ada.say(room, "anybody?")
    assert bot.synced == before
    matrix_proxy.heal()
    async with bot.running():
        await bot.gate.next(PlaceChanged)
    assert bot.user_id in await ada.members(room)


async def test_an_upgraded_room_is_followed(new_bot: NewBot, matrix_person: NewPerson) -> None:
    ada = await matrix_person("Ada")
    async with new_bot("").running() as bot:
        old = await ada.create_room("Square", public=True, version="11")
        await bot.comes_to(ada, old)
        answer = await ada.ask("POST", f"/rooms/{old}/upgrade", {"new_version": "12"})
        new = str(answer["replacement_room"])
        await bot.gate.wait(lambda: any(change.moved_to for change in bot.gate.heard(PlaceChanged)))
        await ada.say(new, "!help")
        heard = await bot.gate.next(CommandInvoked)
    moves = [(change.chat, change.moved_to) for change in bot.gate.heard(PlaceChanged) if change.moved_to]
    assert moves == [(chat(old), chat(new))]
    assert heard.place.chat == chat(new)
    assert heard.actor.rights.admin


async def test_a_room_that_only_claims_to_be_a_successor_moves_nothing(
    new_bot: NewBot, matrix_person: NewPerson
) -> None:
    ada, eve = await matrix_person("Ada"), await matrix_person("Eve")
    async with new_bot("").running() as bot:
        old = await in_a_room(bot, ada)
        claim = {"predecessor": {"room_id": old, "event_id": "$x"}}
        made = await eve.ask("POST", "/createRoom", {"creation_content": claim, "invite": [bot.user_id]})
        await bot.gate.next(PlaceChanged, 2)
        await eve.say(str(made["room_id"]), "!help")
        await bot.gate.next(CommandInvoked)
    assert [change.moved_to for change in bot.gate.heard(PlaceChanged)] == [None, None]


async def test_a_token_that_the_homeserver_does_not_know_starts_from_now(
    new_bot: NewBot, matrix_person: NewPerson
) -> None:
    ada = await matrix_person("Ada")
    bot = new_bot("")
    async with bot.running():
        room = await in_a_room(bot, ada)
    bot.gate = HeardGate({f"matrix:{bot.user_id}": "nonsense 1"})
    task = asyncio.create_task(bot.adapter.run(bot.gate))
    await bot.gate.wait(lambda: bot.synced != "nonsense 1")
    await ada.say(room, "!help")
    assert (await bot.gate.next(CommandInvoked)).place.title == "Garden"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


# --- showing ------------------------------------------------------------------------------------------------


async def test_a_post_shows_with_author_text_and_footer_and_follows_its_edits(
    new_bot: NewBot, matrix_person: NewPerson
) -> None:
    ada = await matrix_person("Ada")
    async with new_bot("").running() as bot:
        room = await in_a_room(bot, ada)
        question = await ada.say(room, "Anything new?")
        create = Create("create-1", chat(room), view("Hello"), reply_to=ref(room, question))
        receipt = await bot.adapter.perform(create)
        assert (await bot.adapter.perform(create)) == receipt
        assert receipt.message is not None
        await bot.adapter.perform(Edit("edit-1", receipt.message, view("Hello again")))
        shown = (await ada.visible(room))[-1]
        assert (await ada.sent_messages(room))[bot.user_id] == 2
    assert shown.event_id == receipt.message.key
    assert (shown.msgtype, shown.reply_to, shown.mentions, shown.edits) == ("m.text", question, {}, 1)
    assert shown.body == "Anna\n\nHello again\n\n1 vote"
    assert shown.formatted_body == (
        "<p><strong>Anna</strong></p><p><strong>Hello again</strong></p><p><em>1 vote</em></p>"
    )


async def test_a_long_text_stands_as_several_events_none_of_them_too_large(
    new_bot: NewBot, matrix_person: NewPerson
) -> None:
    ada = await matrix_person("Ada")
    whole = View(Voice.PERSON, long_body(300), author="Anna", footer="3 votes")
    async with new_bot("").running() as bot:
        room = await in_a_room(bot, ada)
        parts = parted(whole, Form.FULL, bot.adapter.capabilities, lambda part, of: f"{part}/{of}")
        assert len(parts) > 2
        for number, part in enumerate(parts):
            create = Create(f"part-{number}", chat(room), part)
            receipt = await bot.adapter.perform(create)
            assert receipt.message is not None
            # An edit holds the words twice, and must fit as well.
            await bot.adapter.perform(Edit(f"edit-{number}", receipt.message, part))
        bodies = [shown.body for shown in await ada.visible(room)][-len(parts) :]
    assert [body.endswith(f"{n}/{len(parts)}") for n, body in enumerate(bodies[:-1], 1)] == [True] * (
        len(parts) - 1
    )
    assert [n for n in range(300) if any(f"@someone{n} " in body for body in bodies)] == list(range(300))


async def test_the_bots_own_words_are_notices_and_are_not_heard_again(
    new_bot: NewBot, matrix_person: NewPerson
) -> None:
    ada = await matrix_person("Ada")
    async with new_bot("").running() as bot:
        room = await in_a_room(bot, ada)
        command = await ada.say(room, "!whoami")
        to = AccountRef(MATRIX, ada.user_id)
        answer = view("!post you are Ada", voice=Voice.BOT, author="")
        await bot.adapter.perform(Tell("tell-1", chat(room), to, answer, reply_to=ref(room, command)))
        await ada.say(room, "!help")
        await bot.gate.next(CommandInvoked, 2)
        shown = (await ada.visible(room))[1]
    assert (shown.msgtype, shown.reply_to, shown.sender) == ("m.notice", command, bot.user_id)
    assert [heard.name for heard in bot.gate.heard(CommandInvoked)] == ["whoami", "help"]
    assert bot.gate.heard(MessageReceived) == []


async def test_a_send_whose_answer_was_lost_shows_once(
    new_bot: NewBot, matrix_person: NewPerson, matrix_proxy: MatrixProxy
) -> None:
    ada = await matrix_person("Ada")
    async with new_bot(matrix_proxy.url).running() as bot:
        room = await in_a_room(bot, ada)
        create = Create("create-1", chat(room), view("Hello"))
        for fault in (matrix_proxy.fail_after, matrix_proxy.drop_after):
            fault(MESSAGE, times=5)
            with pytest.raises(RetryLater) as later:
                await bot.adapter.perform(create)
            assert later.value.unknown
            matrix_proxy.heal()
        again = MatrixAdapter(bot.settings, no_words, WallClock())
        receipt = await again.perform(create)
        await again.close()
        (shown,) = await ada.visible(room)
        assert (await ada.sent_messages(room)) == {bot.user_id: 1}
    assert receipt.message == ref(room, shown.event_id)


async def test_a_limit_comes_out_at_once_with_its_wait(
    new_bot: NewBot, matrix_person: NewPerson, matrix_proxy: MatrixProxy
) -> None:
    ada = await matrix_person("Ada")
    async with new_bot(matrix_proxy.url).running() as bot:
        room = await in_a_room(bot, ada)
        matrix_proxy.limit(1234, MESSAGE)
        with pytest.raises(RetryLater) as later:
            await bot.adapter.perform(Create("k", chat(room), view("Hello")))
        assert matrix_proxy.count(MESSAGE) == 1
    limit = later.value
    assert (limit.after, limit.whole_token, limit.unknown) == (timedelta(milliseconds=1234), True, False)


async def test_default_limits_of_a_plain_account_answer_with_a_wait(limited_synapse: SynapseServer) -> None:
    login = await asyncio.to_thread(limited_synapse.register, limited_synapse.unused_name("stormo"))
    bot = Bot(limited_synapse.url, login)
    async with await MatrixPerson.register(limited_synapse, "Ada", patience=0) as ada:
        room = await ada.create_room("Square", public=True)
        async with bot.running():
            await bot.comes_to(ada, room)

            async def post(number: int) -> None:
                await bot.adapter.perform(Create(f"k{number}", chat(room), view("Hello")))

            with pytest.raises(RetryLater) as later:
                await asyncio.gather(*(post(number) for number in range(40)))
    assert later.value.whole_token
    assert later.value.after is not None
    assert timedelta() < later.value.after < timedelta(seconds=30)


async def test_our_mark_is_put_once_and_taken_back_also_by_a_new_process(
    new_bot: NewBot, matrix_person: NewPerson
) -> None:
    ada = await matrix_person("Ada")
    async with new_bot("").running() as bot:
        room = await in_a_room(bot, ada)
        message = ref(room, await ada.say(room, "!post Hello"))
        await ada.react(room, message.key, "✅")
        await bot.adapter.perform(Mark("mark-1", message, "✅"))
        await bot.adapter.perform(Mark("mark-2", message, "✅"))
        (shown,) = await ada.visible(room)
        assert shown.reactions == {"✅": {ada.user_id, bot.user_id}}
        again = MatrixAdapter(bot.settings, no_words, WallClock())
        await again.perform(Mark("mark-3", message, "✅", on=False))
        await again.perform(Mark("mark-4", message, "✅", on=False))
        await again.close()
        (shown,) = await ada.visible(room)
    assert shown.reactions == {"✅": {ada.user_id}}


async def test_a_copy_is_withdrawn_and_never_edited_again(new_bot: NewBot, matrix_person: NewPerson) -> None:
    ada = await matrix_person("Ada")
    async with new_bot("").running() as bot:
        room = await in_a_room(bot, ada)
        ours = (await bot.adapter.perform(Create("c1", chat(room), view("One")))).message
        moderated = (await bot.adapter.perform(Create("c2", chat(room), view("Two")))).message
        assert ours is not None
        assert moderated is not None
        await bot.adapter.perform(Withdraw("w1", ours))
        await ada.redact(room, moderated.key)
        assert (await bot.gate.next(MessageDeleted)).message == moderated
        for message in (ours, moderated, ref(room, "$nothing")):
            with pytest.raises(Rejected) as refused:
                await bot.adapter.perform(Edit("e" + message.key, message, view("Again")))
            assert refused.value.why is RejectedWhy.GONE
        assert await ada.visible(room) == []
        assert (await ada.sent_messages(room))[bot.user_id] == 2
    assert len(bot.gate.heard(MessageDeleted)) == 1


async def test_what_is_too_long_or_not_allowed_is_refused_for_good(
    new_bot: NewBot, matrix_person: NewPerson
) -> None:
    ada = await matrix_person("Ada")
    async with new_bot("").running() as bot:
        room = await in_a_room(bot, ada)
        theirs = ref(room, await ada.say(room, "Mine"))
        long = view("x" * 30_000)
        with pytest.raises(Rejected) as too_long:
            await bot.adapter.perform(Create("c1", chat(room), long))
        await bot.adapter.perform(Create("c2", chat(room), long, form=Form.LINK))
        with pytest.raises(Rejected) as not_ours:
            await bot.adapter.perform(Withdraw("w1", theirs))
        with pytest.raises(Rejected) as nowhere:
            await bot.adapter.perform(Create("c3", chat("!nowhere:stormo.test"), view("Hello")))
    reasons = [refused.value.why for refused in (too_long, not_ours, nowhere)]
    assert reasons == [RejectedWhy.FORM, RejectedWhy.FORBIDDEN, RejectedWhy.CHAT_GONE]


async def test_a_message_is_pinned_where_the_room_allows_and_stands_where_not(
    new_bot: NewBot, matrix_person: NewPerson
) -> None:
    ada = await matrix_person("Ada")
    async with new_bot("").running() as bot:
        room = await in_a_room(bot, ada)
        await bot.adapter.perform(Create("c1", chat(room), view("One"), pin=True))
        await ada.power(room, bot.user_id, 50)
        second = (await bot.adapter.perform(Create("c2", chat(room), view("Two"), pin=True))).message
        assert second is not None
        pinned = (await ada.state(room, "m.room.pinned_events"))["pinned"]
        assert len(await ada.visible(room)) == 2
        await bot.adapter.perform(Withdraw("w1", second, pinned=True))
        after = (await ada.state(room, "m.room.pinned_events"))["pinned"]
        assert len(await ada.visible(room)) == 1
    assert pinned == [second.key]
    assert after == []


async def test_nothing_is_said_in_clear_in_an_encrypted_room(
    new_bot: NewBot, matrix_person: NewPerson
) -> None:
    ada = await matrix_person("Ada")
    async with new_bot("").running() as bot:
        room = await in_a_room(bot, ada)
        path = f"/rooms/{room}/state/m.room.encryption/"
        await ada.ask("PUT", path, {"algorithm": "m.megolm.v1.aes-sha2"})
        await ada.say(room, "!help")
        assert (await bot.gate.next(CommandInvoked)).place.closed
        with pytest.raises(Rejected) as refused:
            await bot.adapter.perform(Create("c1", chat(room), view("Hello")))
    assert refused.value.why is RejectedWhy.FORBIDDEN


# --- the account --------------------------------------------------------------------------------------------


async def test_a_dead_token_ends_the_run_with_words_and_never_shows_the_token(new_bot: NewBot) -> None:
    bot = new_bot("")
    settings = dataclasses.replace(bot.settings, access_token="syt_wrong")
    adapter = MatrixAdapter(settings, no_words, WallClock())
    with pytest.raises(BadToken, match="Matrix"):
        await asyncio.wait_for(adapter.run(bot.gate), DEADLINE)
    findings = await adapter.check()
    await adapter.close()
    assert [(finding.ok, finding.message.id) for finding in findings] == [
        (True, "check.matrix.homeserver"),
        (False, "platform.bad_token"),
    ]
    assert "syt_wrong" not in repr(settings) + repr(findings)


async def test_repeats_are_harmless_between_two_logins_of_one_device(
    synapse: SynapseServer, matrix_person: NewPerson
) -> None:
    ada = await matrix_person("Ada")
    bot, settings = await with_password(synapse, "STORMO")
    async with bot.running():
        room = await in_a_room(bot, ada)
        create = Create("create-1", chat(room), view("Hello"))
        first = await bot.adapter.perform(create)
        other = MatrixAdapter(settings, no_words, WallClock())
        assert await other.perform(create) == first
        await other.close()
        assert await bot.adapter.perform(create) == first
        assert (await ada.sent_messages(room))[bot.user_id] == 1
    assert "secret" not in repr(settings)


async def with_password(synapse: SynapseServer, device: str) -> tuple[Bot, Settings]:
    login = await asyncio.to_thread(synapse.register, synapse.unused_name("stormo"))
    reset = f"/_synapse/admin/v1/reset_password/{login.user_id}"
    body = {"new_password": "secret", "logout_devices": True}
    await asyncio.to_thread(synapse.admin_request, "POST", reset, body)
    bot = Bot(synapse.url, login)
    settings = dataclasses.replace(bot.settings, access_token="", password="secret", device_id=device)
    bot.adapter = MatrixAdapter(settings, no_words, WallClock())
    return bot, settings


async def devices(synapse: SynapseServer, user: str) -> list[str]:
    path = f"/_synapse/admin/v2/users/{user}/devices"
    answer = await asyncio.to_thread(synapse.admin_request, "GET", path)
    return [device["device_id"] for device in answer["devices"]]


async def test_a_token_that_died_is_replaced_by_a_new_login(
    synapse: SynapseServer, matrix_person: NewPerson
) -> None:
    ada = await matrix_person("Ada")
    bot, _ = await with_password(synapse, "STORMO")
    async with bot.running():
        room = await in_a_room(bot, ada)
        path = f"/_synapse/admin/v2/users/{bot.user_id}/devices/STORMO"
        await asyncio.to_thread(synapse.admin_request, "DELETE", path)
        await bot.adapter.perform(Create("create-1", chat(room), view("Hello")))
        await ada.say(room, "!help")
        assert (await bot.gate.next(CommandInvoked)).name == "help"
        assert await devices(synapse, bot.user_id) == ["STORMO"]


async def test_a_check_with_a_password_leaves_no_device_behind_and_warns_of_repeats(
    synapse: SynapseServer,
) -> None:
    bot, settings = await with_password(synapse, "")
    findings = await bot.adapter.check()
    await bot.adapter.close()
    assert [finding.message.id for finding in findings if not finding.ok] == ["check.matrix.no_device"]
    assert await devices(synapse, bot.user_id) == []
    assert bot.adapter.capabilities.key_life is None
    wrong = MatrixAdapter(dataclasses.replace(settings, password="guess"), no_words, WallClock())
    assert [finding.message.id for finding in await wrong.check() if not finding.ok] == ["platform.bad_token"]
    await wrong.close()


async def test_a_check_names_account_device_and_limits(new_bot: NewBot) -> None:
    bot = new_bot("")
    findings = await bot.adapter.check()
    assert all(finding.ok for finding in findings)
    assert [finding.message.id for finding in findings] == [
        "check.matrix.homeserver",
        "check.matrix.user",
        "check.matrix.device",
        "check.matrix.limits",
    ]
    other = MatrixAdapter(dataclasses.replace(bot.settings, user_id="@x:stormo.test"), no_words, WallClock())
    away = MatrixAdapter(
        dataclasses.replace(bot.settings, homeserver="http://127.0.0.1:9"), no_words, WallClock()
    )
    assert [(finding.ok, finding.message.id) for finding in await other.check()][1:] == [
        (False, "check.matrix.other_user")
    ]
    assert [(finding.ok, finding.message.id) for finding in await away.check()] == [
        (False, "check.matrix.unreachable")
    ]
    await other.close()
    await away.close()


async def test_the_bot_takes_the_name_of_the_config(
    synapse: SynapseServer, new_bot: NewBot, matrix_person: NewPerson
) -> None:
    ada = await matrix_person("Ada")
    bot = new_bot("")
    settings = dataclasses.replace(bot.settings, display_name="Flock")
    bot.adapter = MatrixAdapter(settings, no_words, WallClock())
    async with bot.running():
        room = await in_a_room(bot, ada)
        assert (await ada.members(room))[bot.user_id] == "Flock"
        await ada.say(room, "flock, help")
        assert (await bot.gate.next(CommandInvoked)).name == "help"


async def test_an_unreachable_homeserver_is_an_outcome_that_is_known() -> None:
    settings = Settings(homeserver="http://127.0.0.1:9", user_id="@stormo:one.test", access_token="t")
    adapter = MatrixAdapter(settings, no_words, WallClock())
    with pytest.raises(RetryLater) as later:
        await adapter.perform(Create("k", chat("!r"), view("Hello")))
    await adapter.close()
    assert not later.value.unknown
