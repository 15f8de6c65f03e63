"""The Telegram adapter against our Bot API double, through the real library over real sockets."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from telegram import Bot
from telegram.request import HTTPXRequest

from bots.telegram.bot import Settings, TelegramAdapter
from bots.telegram.listening import ALLOWED_UPDATES, AnotherReader
from bots.telegram.writing import PING_BREAK
from core.body import Body, Inline, Paragraph, Strong, Text
from core.commands import COMMANDS
from core.errors import BadToken, Deaf, Message, Rejected, RejectedWhy, RetryLater
from core.events import (
    ButtonPressed,
    CommandEdited,
    CommandInvoked,
    Inbound,
    Loss,
    MessageEdited,
    MessageReceived,
    Missed,
    PlaceChanged,
    PositionAdvanced,
    ReactionChanged,
    Rights,
)
from core.intents import Button, Create, Edit, Form, Intent, Mark, Receipt, Tell, View, Voice, Withdraw
from core.parts import parted
from core.ports import WatchedMessage
from core.suggestions import Asked, Draft, Suggestion
from core.types import AccountRef, ChatRef, MessageRef, Platform
from stormo.clock import SystemClock
from tests.core.bodies import long_body
from tests.doubles.telegram import Chat, Limits, TelegramDouble

pytestmark = [pytest.mark.peer, pytest.mark.asyncio]

TELEGRAM = Platform("telegram")
KEY = "k" * 43


@dataclass
class Collector:
    """A gate that keeps what it is given; ``failing`` counts how many events still fail to commit."""

    events: list[Inbound] = field(default_factory=list)
    chats: Sequence[ChatRef] = ()
    recent: Sequence[WatchedMessage] = ()
    failing: int = 0
    signs: int = 0
    bookmarks: dict[str, str] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, event: Inbound) -> None:
        if self.failing:
            self.failing -= 1
            raise ConnectionError("the database is away")
        if event.bookmark is not None:
            self.bookmarks[event.bookmark.scope] = event.bookmark.value
        if not isinstance(event, PositionAdvanced):
            self.events.append(event)
        self.changed.set()

    def alive(self) -> None:
        self.signs += 1

    async def bookmark(self, scope: str) -> str | None:
        return self.bookmarks.get(scope)

    async def watched_chats(self, platform: Platform) -> Sequence[ChatRef]:
        return self.chats

    async def suggest(self, asked: Asked) -> Sequence[Suggestion]:
        return ()

    async def claim(self, name: str, life: timedelta) -> bool:
        return True

    async def draft(self, asked: Asked, values: Mapping[str, str]) -> Draft | None:
        return Draft()

    async def recent_messages(self, platform: Platform, since: datetime) -> Sequence[WatchedMessage]:
        return self.recent

    async def until(self, count: int) -> list[Inbound]:
        """All events, once there are so many."""
        async with asyncio.timeout(10):
            while len(self.events) < count:
                self.changed.clear()
                await self.changed.wait()
        return self.events

    async def until_one(self, kind: type) -> None:
        """Returns once an event of this kind has come."""
        async with asyncio.timeout(10):
            while not any(isinstance(event, kind) for event in self.events):
                self.changed.clear()
                await self.changed.wait()


def words(message: Message, language: str) -> str:
    return f"{message.id} in {language}"


def adapter_of(double: TelegramDouble, **more: Any) -> TelegramAdapter:
    shape: dict[str, Any] = {
        "token": double.token,
        "base_url": double.base_url,
        "base_file_url": double.base_file_url,
        "poll_seconds": 5,
        "request_seconds": 5,
        "retry_seconds": 0.01,
    }
    return TelegramAdapter(Settings(**(shape | more)), words, SystemClock())


@pytest.fixture
async def double() -> AsyncIterator[TelegramDouble]:
    async with TelegramDouble(limits=Limits(enabled=False)) as served:
        yield served
        assert served.violations == []


@pytest.fixture
async def adapter(double: TelegramDouble) -> AsyncIterator[TelegramAdapter]:
    made = adapter_of(double)
    yield made
    await made.close()


@asynccontextmanager
async def listening(
    adapter: TelegramAdapter, double: TelegramDouble, gate: Collector | None = None
) -> AsyncIterator[Collector]:
    """The adapter at work, from its first poll on."""
    gate = gate or Collector()
    task = asyncio.create_task(adapter.run(gate))
    waiting = asyncio.create_task(double.wait_until(lambda: double.world.updates.polling or gate.events))
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    try:
        yield gate
    finally:
        task.cancel()
        await asyncio.gather(task, waiting, return_exceptions=True)


def ref(chat: Chat, message_id: int | None = None) -> Any:
    here = ChatRef(TELEGRAM, str(chat.id))
    return here if message_id is None else MessageRef(here, str(message_id))


def view(*words: Inline | str, voice: Voice = Voice.PERSON, **more: Any) -> View:
    nodes = tuple(Text(word) if isinstance(word, str) else word for word in words)
    return View(voice=voice, body=Body((Paragraph(nodes),)), **more)


async def refused(adapter: TelegramAdapter, intent: Intent) -> RejectedWhy:
    with pytest.raises(Rejected) as error:
        await adapter.perform(intent)
    return error.value.why


async def put_off(adapter: TelegramAdapter, intent: Intent) -> RetryLater:
    with pytest.raises(RetryLater) as error:
        await adapter.perform(intent)
    return error.value


# -- listening --


async def test_everything_that_people_do_arrives_in_order(
    double: TelegramDouble, adapter: TelegramAdapter
) -> None:
    anna, bob = double.person("Anna", language="it"), double.person("Bob")
    group = double.group("Flock", admins=[anna], members=[bob], bot_admin=True)
    async with listening(adapter, double) as gate:
        said = await bob.send(group, "hello")
        await bob.edit(said, "hello all")
        asked = await anna.send(group, "/post Ciao", reply_to=said)
        await anna.edit(asked, "/post Ciao a tutti")
        await bob.react(asked, ["👍"])
        events = await gate.until(5)
    received, edited, invoked, changed, reacted = events
    assert isinstance(received, MessageReceived)
    assert (received.source, received.actor.rights) == ("hello", Rights())
    assert isinstance(edited, MessageEdited)
    assert edited.source == "hello all"
    assert isinstance(invoked, CommandInvoked)
    assert (invoked.name, invoked.text, invoked.target) == ("post", "Ciao", ref(group, said.id))
    assert invoked.actor.rights == Rights(admin=True, moderator=True)
    assert isinstance(changed, CommandEdited)
    assert (changed.text, changed.message) == ("Ciao a tutti", ref(group, asked.id))
    assert isinstance(reacted, ReactionChanged)
    assert (reacted.added, reacted.whole, reacted.message) == (("👍",), True, ref(group, asked.id))
    assert double.world.updates.allowed == ALLOWED_UPDATES


async def test_what_waited_while_we_were_away_is_read_once(
    double: TelegramDouble, adapter: TelegramAdapter
) -> None:
    anna = double.person("Anna")
    await anna.start("join_abc")
    async with listening(adapter, double) as gate:
        await gate.until(1)
        await double.wait_until(lambda: not double.world.updates.pending)
    async with listening(adapter, double, gate):
        await anna.say("/help")
        events = await gate.until(2)
    assert [event.name for event in events if isinstance(event, CommandInvoked)] == ["start", "help"]
    assert min(double.world.updates.deliveries.items())[1] == 1


async def test_all_that_people_did_while_we_were_away_comes_in_its_order_but_deletions(
    double: TelegramDouble, adapter: TelegramAdapter
) -> None:
    """No update of any kind tells a bot of a deletion, neither later nor at once."""
    anna, bob = double.person("Anna"), double.person("Bob")
    group = double.group("Flock", admins=[anna], members=[bob], bot_admin=True)
    async with listening(adapter, double) as gate:
        kept, gone = await anna.send(group, "/post one"), await anna.send(group, "/post two")
        await gate.until(2)
        await double.wait_until(lambda: not double.world.updates.pending)
    await anna.edit(kept, "/post one, better")
    await bob.react(kept, ["👍"])
    await bob.react(kept, [])
    await anna.delete(gone)
    await anna.send(group, "/post three")
    await bob.react(kept, ["❤"])
    async with listening(adapter, double, gate):
        edited, thumb, taken_back, invoked, heart = (await gate.until(7))[2:]
        await double.wait_until(lambda: not double.world.updates.pending)
    assert isinstance(edited, CommandEdited)
    assert (edited.text, edited.message) == ("one, better", ref(group, kept.id))
    assert isinstance(invoked, CommandInvoked)
    assert invoked.text == "three"
    reactions = [event for event in (thumb, taken_back, heart) if isinstance(event, ReactionChanged)]
    assert [(event.added, event.whole) for event in reactions] == [
        (("👍",), True),
        ((), True),
        (("❤",), True),
    ]
    assert len(gate.events) == 7


async def test_more_than_a_days_absence_is_said(double: TelegramDouble, adapter: TelegramAdapter) -> None:
    """Telegram forgets what it could not tell for a day."""
    anna = double.person("Anna")
    async with listening(adapter, double) as gate:
        await anna.start()
        await gate.until(1)
        await double.wait_until(lambda: gate.bookmarks)
    [(scope, kept)] = gate.bookmarks.items()
    async with listening(adapter, double, gate):
        await anna.say("/help")
        await gate.until(2)
    assert not any(isinstance(event, Missed) for event in gate.events)
    left = datetime.fromisoformat(kept) - timedelta(hours=25)
    gate.bookmarks[scope] = left.isoformat()
    async with listening(adapter, double, gate):
        events = await gate.until(3)
    missed = events[-1]
    assert isinstance(missed, Missed)
    assert (missed.platform, missed.chat, missed.since) == (TELEGRAM, None, left)


async def test_an_update_that_was_not_committed_comes_again(
    double: TelegramDouble, adapter: TelegramAdapter
) -> None:
    anna = double.person("Anna")
    gate = Collector(failing=1)
    await anna.say("/help")
    with pytest.raises(ConnectionError):
        await adapter.run(gate)
    assert len(double.world.updates.pending) == 1
    async with listening(adapter, double, gate):
        assert len(await gate.until(1)) == 1
        await double.wait_until(lambda: not double.world.updates.pending)


async def test_a_webhook_left_behind_is_taken_away_and_keeps_its_updates(
    double: TelegramDouble, adapter: TelegramAdapter
) -> None:
    anna = double.person("Anna")
    double.world.settings["webhook"] = "https://old.example/hook"
    await anna.say("/help")
    assert [finding.message.id for finding in await adapter.check()] == [
        "check.telegram.connected",
        "check.telegram.privacy_mode",
        "check.telegram.webhook",
    ]
    async with listening(adapter, double) as gate:
        assert len(await gate.until(1)) == 1
    assert double.world.settings["webhook"] == ""


async def test_ids_that_start_anew_after_a_silent_week_are_heard(
    double: TelegramDouble,
) -> None:
    adapter = adapter_of(double, poll_seconds=1)
    anna = double.person("Anna")
    async with listening(adapter, double) as gate:
        await anna.say("/help")
        await gate.until(1)
        # One whole poll without news confirms what came before and lets the offset go.
        polls = _polls(double)
        await double.wait_until(lambda: polls[0] >= 2)
        double.world.updates.next_id = 17
        await anna.say("/whoami")
        assert len(await gate.until(2)) == 2
    await adapter.close()


def _polls(double: TelegramDouble) -> list[int]:
    """Counts the polls that begin from now on."""
    count = [0]
    updates = double.world.updates
    told = updates.on_poll

    def tell() -> None:
        count[0] += 1
        told()

    updates.on_poll = tell
    return count


async def test_one_broken_update_does_not_stop_the_others(
    double: TelegramDouble, adapter: TelegramAdapter, caplog: pytest.LogCaptureFixture
) -> None:
    anna = double.person("Anna")
    double.world.updates.put("message", {"text": "half a secret"})
    await anna.say("/help")
    async with listening(adapter, double) as gate:
        events = await gate.until(1)
        await double.wait_until(lambda: not double.world.updates.pending)
    assert [type(event) for event in events] == [CommandInvoked]
    assert "cannot be read and is left out" in caplog.text
    assert "secret" not in caplog.text
    # The broken one was ours on purpose.
    double.violations.clear()


async def test_a_line_that_brings_nothing_while_updates_wait_is_given_up(double: TelegramDouble) -> None:
    anna = double.person("Anna")
    adapter = adapter_of(double, poll_seconds=1, canary_seconds=0)
    gate = Collector()
    task = asyncio.create_task(adapter.run(gate))
    await anna.start()
    await gate.until(1)
    double.world.updates.deaf = True
    await anna.say("/help")
    with pytest.raises(Deaf):
        await asyncio.wait_for(task, 10)
    double.world.updates.deaf = False
    async with listening(adapter, double, gate):
        events = await gate.until(2)
    assert [event.name for event in events if isinstance(event, CommandInvoked)] == ["start", "help"]
    await adapter.close()


async def test_silence_alone_is_no_deafness(double: TelegramDouble) -> None:
    anna = double.person("Anna")
    adapter, gate = adapter_of(double, poll_seconds=0, canary_seconds=0), Collector()
    # Not `listening`: a question that is answered at once is never seen open.
    task = asyncio.create_task(adapter.run(gate))
    await double.wait_until(lambda: sum(call.method == "getWebhookInfo" for call in double.calls) > 5)
    await anna.start()
    await gate.until(1)
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await adapter.close()


async def test_another_reader_is_borne_for_a_while_and_then_named(double: TelegramDouble) -> None:
    patient = adapter_of(double, conflict_seconds=30)
    anna = double.person("Anna")
    async with listening(patient, double) as gate, _foreign(double):
        await anna.say("/help")
        await gate.until(1)
    await patient.close()
    strict = adapter_of(double, conflict_seconds=0)
    task = asyncio.create_task(strict.run(Collector()))
    await double.wait_until(lambda: double.world.updates.polling)
    async with _foreign(double):
        with pytest.raises(AnotherReader, match="stop one of the two"):
            await asyncio.wait_for(task, 10)
    await strict.close()


@asynccontextmanager
async def _foreign(double: TelegramDouble) -> AsyncIterator[None]:
    """Another program that asks once for updates of the same token, and is gone again."""
    bot = Bot(double.token, base_url=double.base_url, get_updates_request=HTTPXRequest(read_timeout=5))
    async with bot:
        await bot.get_updates(timeout=0)
        yield


async def test_a_wrong_token_is_said_and_never_shown(
    double: TelegramDouble, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    adapter = adapter_of(double, token="12345:a-token-that-is-wrong")
    with pytest.raises(BadToken) as error:
        await adapter.run(Collector())
    assert [(finding.ok, finding.message) for finding in await adapter.check()] == [
        (False, BadToken("Telegram").message)
    ]
    await adapter.close()
    shown = caplog.text + repr(error.value) + repr(Settings(token="12345:a-token-that-is-wrong"))
    assert "a-token-that-is-wrong" not in shown


async def test_logs_hold_neither_the_token_nor_anybodys_words(
    double: TelegramDouble, adapter: TelegramAdapter, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    anna = double.person("Anna")
    async with listening(adapter, double) as gate:
        await anna.say("between you and me")
        await gate.until(1)
        await adapter.perform(Create(KEY, ref(anna.private), view("a very private answer")))
    ours = [
        record.getMessage() for record in caplog.records if not record.name.startswith(("tests", "aiohttp"))
    ]
    text = "\n".join(ours)
    assert double.token not in text
    assert "between you" not in text
    assert "private answer" not in text


async def test_a_server_that_is_away_raises_in_the_end(double: TelegramDouble) -> None:
    adapter = adapter_of(double)
    for _ in range(10):
        double.fault("bad_gateway", "getUpdates")
    with pytest.raises(Exception, match="502"):
        await asyncio.wait_for(adapter.run(Collector()), 10)
    double.clear_faults()
    async with listening(adapter, double):
        assert double.world.updates.polling
    await adapter.close()


async def test_rights_follow_a_promotion_at_once_and_stay_at_home_in_private_chats(
    double: TelegramDouble, adapter: TelegramAdapter
) -> None:
    anna, bob = double.person("Anna"), double.person("Bob")
    group = double.group("Flock", admins=[anna], members=[bob], bot_admin=True)
    async with listening(adapter, double) as gate:
        await bob.send(group, "/setup")
        await gate.until(1)
        await anna.promote(bob, group)
        await bob.send(group, "/setup")
        await gate.until(2)
        await anna.say("/setup")
        events = await gate.until(3)
    seen = [
        (event.actor.rights.admin, event.place.private)
        for event in events
        if isinstance(event, CommandInvoked)
    ]
    assert seen == [(False, False), (True, False), (False, True)]
    asked = [call.method for call in double.calls].count("getChatAdministrators")
    assert asked == 2


@pytest.mark.parametrize("times", [1, 3], ids=["once", "for a while"])
async def test_an_admin_stays_one_when_the_server_does_not_say_who_is(
    double: TelegramDouble, adapter: TelegramAdapter, times: int
) -> None:
    """The command waits until Telegram answers, and comes once."""
    anna = double.person("Anna")
    group = double.group("Flock", admins=[anna])
    double.fault("error_before", "getChatAdministrators", times=times)
    async with listening(adapter, double) as gate:
        await anna.send(group, "/setup")
        await anna.send(group, "/pause")
        events = await gate.until(2)
    seen = [(event.name, event.actor.rights.admin) for event in events if isinstance(event, CommandInvoked)]
    assert seen == [("setup", True), ("pause", True)]


async def test_an_anonymous_admin_is_marked(double: TelegramDouble, adapter: TelegramAdapter) -> None:
    boss, masked = double.person("Boss"), double.person("Masked")
    group = double.group("Flock", admins=[boss], anonymous=[masked])
    async with listening(adapter, double) as gate:
        await masked.send(group, "/setup")
        (event,) = await gate.until(1)
    assert isinstance(event, CommandInvoked)
    assert event.actor.anonymous
    assert event.actor.account == AccountRef(TELEGRAM, str(group.id))


async def test_reactions_in_a_topic_find_it_even_after_a_restart(
    double: TelegramDouble, adapter: TelegramAdapter
) -> None:
    anna = double.person("Anna")
    forum = double.group("Flock", admins=[anna], bot_admin=True, forum=True)
    thread = await anna.create_topic(forum, "Birds")
    topic = ChatRef(TELEGRAM, f"{forum.id}/{thread}")
    sent = await adapter.perform(Create(KEY, topic, view("a copy")))
    assert sent.message is not None
    (shown,) = double.visible(forum)
    assert (shown.thread, sent.message) == (thread, MessageRef(topic, str(shown.id)))
    again = adapter_of(double)
    known = Collector(recent=[WatchedMessage(sent.message, ours=True)])
    for listener, gate in ((adapter, Collector()), (again, known)):
        async with listening(listener, double, gate):
            await anna.react(shown, ["👍"] if listener is adapter else [])
            await gate.until_one(ReactionChanged)
        found = [event for event in gate.events if isinstance(event, ReactionChanged)]
        assert [event.message for event in found] == [sent.message]
    await again.close()


async def test_a_chat_lost_is_told_for_its_topics_too(
    double: TelegramDouble, adapter: TelegramAdapter
) -> None:
    anna = double.person("Anna")
    forum = double.group("Flock", admins=[anna], bot_admin=True, forum=True)
    topic = ChatRef(TELEGRAM, f"{forum.id}/7")
    other = ChatRef(TELEGRAM, "-5/7")
    gate = Collector(chats=[ref(forum), topic, other])
    async with listening(adapter, double, gate):
        await anna.remove_bot(forum)
        events = await gate.until(2)
    lost = [(event.chat, event.gone, event.reason) for event in events if isinstance(event, PlaceChanged)]
    assert lost == [(ref(forum), True, "banned"), (topic, True, "banned")]
    assert len({event.key for event in events}) == 2


# -- performing --


async def test_a_post_its_edits_and_its_end(double: TelegramDouble, adapter: TelegramAdapter) -> None:
    anna = double.person("Anna")
    group = double.group("Flock", admins=[anna])
    asked = await anna.send(group, "/post hi")
    first = view("hi ", Strong((Text("all"),)), author="Anna (@anna · Matrix)", footer="1 vote")
    made = await adapter.perform(Create(KEY, ref(group), first, reply_to=ref(group, asked.id)))
    shown = double.visible(group)[-1]
    assert made == Receipt(ref(group, shown.id))
    assert shown.text == f"Anna (@{PING_BREAK}anna · Matrix)\nhi all\n\n1 vote"
    assert [(each["type"], each["offset"], each["length"]) for each in shown.entities] == [
        ("bold", 0, 22),
        ("bold", 26, 3),
        ("italic", 31, 6),
    ]
    assert (shown.silent, shown.reply_to, shown.link_preview) == (True, asked.id, True)
    assert made.message is not None
    changed = Edit(KEY, made.message, view("hi", footer="2 votes", silent=False))
    assert await adapter.perform(changed) == made
    assert double.visible(group)[-1].text == "hi\n\n2 votes"
    assert await refused(adapter, changed) is RejectedWhy.UNCHANGED
    assert await adapter.perform(Withdraw(KEY, made.message)) == Receipt()
    assert await refused(adapter, Withdraw(KEY, made.message)) is RejectedWhy.GONE
    assert await refused(adapter, changed) is RejectedWhy.GONE
    assert await refused(adapter, Mark(KEY, made.message, "👍")) is RejectedWhy.GONE


async def test_an_answer_to_a_vanished_message_is_sent_all_the_same(
    double: TelegramDouble, adapter: TelegramAdapter
) -> None:
    anna = double.person("Anna")
    await anna.start()
    told = Tell(
        KEY,
        ref(anna.private),
        AccountRef(TELEGRAM, str(anna.id)),
        view("Here.", voice=Voice.BOT),
        reply_to=ref(anna.private, 999),
    )
    receipt = await adapter.perform(told)
    shown = double.visible(anna)[-1]
    assert (shown.text, shown.reply_to, shown.link_preview) == ("Here.", None, False)
    assert receipt.message == ref(anna.private, shown.id)


async def test_a_button_is_answered_by_a_toast_once(double: TelegramDouble, adapter: TelegramAdapter) -> None:
    anna = double.person("Anna")
    await anna.start()
    card = view("Card", buttons=(Button("Undo", data="undo:1"), Button("Join", private="join_abc")))
    async with listening(adapter, double) as gate:
        await adapter.perform(Create(KEY, ref(anna.private), card))
        shown = double.visible(anna)[-1]
        assert shown.labels == ["Undo", "Join"]
        pressing = asyncio.create_task(anna.press(shown, "Undo"))
        events = await gate.until(2)
        pressed = events[-1]
        assert isinstance(pressed, ButtonPressed)
        assert (pressed.data, pressed.message) == ("undo:1", ref(anna.private, shown.id))
        answer = Tell(KEY, pressed.place.chat, pressed.actor.account, view("Undone."), handle=pressed.handle)
        assert await adapter.perform(answer) == Receipt()
        assert ((await pressing).text, (await pressing).show_alert) == ("Undone.", False)
        assert await refused(adapter, answer) is RejectedWhy.UNREACHABLE
        await anna.follow(shown, "Join")
        started = (await gate.until(3))[-1]
    assert isinstance(started, CommandInvoked)
    assert (started.name, started.text) == ("start", "join_abc")


async def test_a_long_answer_to_a_press_is_cut_in_a_group_and_whole_in_private(
    double: TelegramDouble, adapter: TelegramAdapter
) -> None:
    anna = double.person("Anna")
    await anna.start()
    group = double.group("Flock", admins=[anna])
    to = AccountRef(TELEGRAM, str(anna.id))
    long = view("because " * 40, buttons=(Button("Undo", data="undo:1"),))
    answers = []
    for chat in (group, anna.private):
        await adapter.perform(Create(KEY, ref(chat), view("Card", buttons=(Button("Why", data="why"),))))
        pressing = asyncio.create_task(anna.press(double.visible(chat)[-1], "Why"))
        await double.wait_until(lambda: any(not press.answered for press in double.world.presses.values()))
        query = max(double.world.presses)
        await adapter.perform(Tell(KEY, ref(chat), to, long, handle=f"cb:{query}"))
        answers.append(await pressing)
    assert answers[0].show_alert
    assert len(answers[0].text) <= 200
    assert answers[0].text.endswith("…")
    assert answers[1].text == ""
    whole = double.visible(anna)[-1]
    assert (whole.text, whole.labels) == (("because " * 40).strip(), ["Undo"])
    other = Tell(KEY, ref(group), to, view("x"), handle="an interaction of somebody else")
    assert await refused(adapter, other) is RejectedWhy.UNREACHABLE


async def test_our_mark_is_put_and_taken_back(double: TelegramDouble, adapter: TelegramAdapter) -> None:
    anna = double.person("Anna")
    group = double.group("Flock", admins=[anna])
    said = await anna.send(group, "/post hi")
    for emoji, shown in (("👍", "👍"), ("🕊\ufe0f", "🕊"), ("✅", "👌")):
        await adapter.perform(Mark(KEY, ref(group, said.id), emoji))
        assert double.visible(group)[-1].reactions == {shown: ("Stormo",)}
    await adapter.perform(Mark(KEY, ref(group, said.id), "👍", on=False))
    assert double.visible(group)[-1].reactions == {}


async def test_a_members_command_is_taken_away_only_where_we_may(
    double: TelegramDouble, adapter: TelegramAdapter
) -> None:
    anna = double.person("Anna")
    allowed = double.group("One", admins=[anna], bot_admin=True, bot_rights=("can_delete_messages",))
    denied = double.group("Two", admins=[anna], bot_admin=True)
    there, here = await anna.send(denied, "/whoami"), await anna.send(allowed, "/whoami")
    await adapter.perform(Withdraw(KEY, ref(allowed, here.id)))
    assert double.visible(allowed) == []
    assert await refused(adapter, Withdraw(KEY, ref(denied, there.id))) is RejectedWhy.FORBIDDEN


async def test_a_pin_follows_the_message_and_its_failure_costs_nothing(
    double: TelegramDouble, adapter: TelegramAdapter
) -> None:
    anna = double.person("Anna")
    may = double.group("One", admins=[anna], bot_admin=True, bot_rights=("can_pin_messages",))
    may_not = double.group("Two", admins=[anna])
    for group in (may, may_not):
        receipt = await adapter.perform(Create(KEY, ref(group), view("Relay is on"), pin=True))
        (shown,) = double.visible(group)
        assert receipt.message == ref(group, shown.id)
        assert shown.pinned is (group is may)
        await adapter.perform(Withdraw(KEY, ref(group, shown.id), pinned=True))
        assert double.visible(group) == []


async def test_the_door_is_known_once_the_bot_knows_its_name(
    double: TelegramDouble, adapter: TelegramAdapter
) -> None:
    door = adapter.capabilities.door
    assert door is not None
    assert door("link-X") == ""
    await adapter.standing(ref(double.group("One", admins=[double.person("Anna")])))
    assert door("link-X") == f"https://t.me/{double.bot.username}?start=link-X"


async def test_a_pinned_message_too_old_to_be_deleted_is_unpinned_all_the_same(
    double: TelegramDouble, adapter: TelegramAdapter
) -> None:
    group = double.group(
        "One", admins=[double.person("Anna")], bot_admin=True, bot_rights=("can_pin_messages",)
    )
    receipt = await adapter.perform(Create(KEY, ref(group), view("Relay is on"), pin=True))
    assert receipt.message is not None
    later = double.world.clock() + timedelta(days=3).total_seconds()
    double.world.clock = lambda: later
    assert await refused(adapter, Withdraw(KEY, receipt.message, pinned=True)) is RejectedWhy.FORBIDDEN
    assert [shown.pinned for shown in double.visible(group)] == [False]


async def test_doors_that_are_shut(double: TelegramDouble, adapter: TelegramAdapter) -> None:
    stranger, blocker, anna = double.person("Stranger"), double.person("Blocker"), double.person("Anna")
    await blocker.start()
    await blocker.block()
    kicked = double.group("Kicked", admins=[anna])
    await anna.remove_bot(kicked)
    muted = double.group("Muted", admins=[anna])
    await anna.demote_bot(muted, mute=True)
    nowhere = ChatRef(TELEGRAM, "424242")
    forum = double.group("Forum", admins=[anna], forum=True)
    found = {
        "stranger": await refused(adapter, Create(KEY, ref(stranger.private), view("x"))),
        "blocker": await refused(adapter, Create(KEY, ref(blocker.private), view("x"))),
        "kicked": await refused(adapter, Create(KEY, ref(kicked), view("x"))),
        "muted": await refused(adapter, Create(KEY, ref(muted), view("x"))),
        "nowhere": await refused(adapter, Create(KEY, nowhere, view("x"))),
        "no topic": await refused(adapter, Create(KEY, ChatRef(TELEGRAM, f"{forum.id}/99"), view("x"))),
        "not ours": await refused(adapter, Create(KEY, ChatRef(TELEGRAM, "a room"), view("x"))),
        "too long": await refused(adapter, Create(KEY, ref(anna.private), view("x" * 4097))),
    }
    assert found == {
        "stranger": RejectedWhy.UNREACHABLE,
        "blocker": RejectedWhy.UNREACHABLE,
        "kicked": RejectedWhy.CHAT_GONE,
        "muted": RejectedWhy.FORBIDDEN,
        "nowhere": RejectedWhy.CHAT_GONE,
        "no topic": RejectedWhy.CHAT_GONE,
        "not ours": RejectedWhy.CHAT_GONE,
        "too long": RejectedWhy.FORM,
    }


async def test_failures_that_pass_come_out_at_once(double: TelegramDouble) -> None:
    adapter = adapter_of(double, request_seconds=0.5)
    group = double.group("Flock", admins=[double.person("Anna")])
    create = Create(KEY, ref(group), view("x"))
    double.fault("flood", retry_after=7)
    flood = await put_off(adapter, create)
    assert (flood.after, flood.unknown, flood.whole_token) == (timedelta(seconds=7), False, False)
    for kind in ("error_after", "error_before", "bad_gateway", "drop_after", "drop_before", "hang_after"):
        double.fault(kind)
        later = await put_off(adapter, create)
        assert (kind, later.after, later.unknown) == (kind, None, True)
    # Nothing was repeated: only what the double stored before it failed stands there.
    assert [shown.text for shown in double.visible(group)] == ["x"] * 3
    await adapter.close()


async def test_a_server_that_was_never_reached_has_done_nothing(double: TelegramDouble) -> None:
    async with TelegramDouble() as other:
        closed = other.base_url
    adapter = adapter_of(double, base_url=closed)
    later = await put_off(adapter, Create(KEY, ChatRef(TELEGRAM, "5"), view("x")))
    assert not later.unknown
    assert [(finding.ok, finding.message.id) for finding in await adapter.check()] == [
        (False, "check.telegram.unreachable")
    ]
    await adapter.close()


async def test_a_refused_token_stops_all_sends_for_a_while(double: TelegramDouble) -> None:
    adapter = adapter_of(double, token="12345:wrong")
    later = await put_off(adapter, Create(KEY, ChatRef(TELEGRAM, "5"), view("x")))
    assert (later.whole_token, later.unknown) == (True, False)
    await adapter.close()


async def test_a_group_that_moved_is_told_and_the_send_comes_again(
    double: TelegramDouble, adapter: TelegramAdapter
) -> None:
    anna = double.person("Anna")
    group = double.group("Flock", admins=[anna], basic=True)
    async with listening(adapter, double) as gate:
        new = await anna.upgrade(group)
        await gate.until(2)
        later = await put_off(adapter, Create(KEY, ref(group), view("x")))
        events = await gate.until(3)
    assert not later.unknown
    moves = [event for event in events if isinstance(event, PlaceChanged)]
    assert [(event.chat, event.moved_to) for event in moves] == [(ref(group), ref(new))] * 3
    assert len({event.key for event in moves}) == 1


async def test_a_group_that_silences_its_members_is_asked_about_and_found_open(
    double: TelegramDouble, adapter: TelegramAdapter
) -> None:
    """No update tells what the ordinary members of a group may do."""
    anna = double.person("Anna")
    group = double.group("Flock", admins=[anna])
    elsewhere = double.group("Not ours", admins=[anna], bot=False)
    assert await adapter.standing(ref(group)) is None
    await anna.silence(group)
    assert await refused(adapter, Create(KEY, ref(group), view("x"))) is RejectedWhy.FORBIDDEN
    assert await adapter.standing(ref(group)) is Loss.MUTED
    await anna.silence(group, on=False)
    assert await adapter.standing(ref(group)) is None
    await anna.demote_bot(group, mute=True)
    assert await adapter.standing(ref(group)) is Loss.MUTED
    await anna.remove_bot(group)
    assert await adapter.standing(ref(group)) in (Loss.BANNED, Loss.REMOVED)
    assert await adapter.standing(ref(elsewhere)) is Loss.REMOVED


async def test_the_menu_is_set_per_scope_and_language_and_only_when_it_changed(
    double: TelegramDouble, adapter: TelegramAdapter
) -> None:
    async with listening(adapter, double):
        menus = double.commands
    assert {(scope, language) for scope, language in menus} == {
        (f'{{"type": "{scope}"}}', language)
        for scope in ("all_private_chats", "all_group_chats", "all_chat_administrators")
        for language in ("", "it")
    }
    private = {each["command"] for each in menus['{"type": "all_private_chats"}', ""]}
    admins = {each["command"] for each in menus['{"type": "all_chat_administrators"}', "it"]}
    assert {"post", "help"} <= private
    assert private.isdisjoint({"setup", "ban"})
    assert admins == {spec.name for spec in COMMANDS}
    assert menus['{"type": "all_private_chats"}', "it"][0] == {
        "command": "join",
        "description": "command.join in it",
    }
    double.calls.clear()
    async with listening(adapter, double):
        assert "setMyCommands" not in [call.method for call in double.calls]


async def test_links_use_a_public_name_once_it_was_seen(
    double: TelegramDouble, adapter: TelegramAdapter
) -> None:
    anna = double.person("Anna")
    group = double.group("Flock", admins=[anna], bot_admin=True, username="flock")
    assert adapter.link(ref(group, 5)) == f"https://t.me/c/{-group.id - 10**12}/5"
    async with listening(adapter, double) as gate:
        await anna.send(group, "hello")
        await gate.until(1)
    assert adapter.link(ref(group, 5)) == "https://t.me/flock/5"
    assert adapter.link(ref(anna.private, 5)) == ""
    assert adapter.link(MessageRef(ChatRef(TELEGRAM, "odd"), "x")) == ""


async def test_what_it_says_it_can_do(adapter: TelegramAdapter) -> None:
    can = adapter.capabilities
    assert (can.label, can.max_text, can.length_unit, can.key_life) == ("Telegram", 4096, "utf16", None)
    assert can.tally_every == timedelta(seconds=30)
    assert [(window.count, window.period.total_seconds()) for window in can.chat_windows] == [
        (1, 1),
        (20, 60),
    ]
    assert [(window.count, window.period.total_seconds()) for window in can.token_windows] == [(30, 1)]


async def test_the_plain_form_is_sent_without_entities(
    double: TelegramDouble, adapter: TelegramAdapter
) -> None:
    anna = double.person("Anna")
    await anna.start()
    await adapter.perform(Create(KEY, ref(anna.private), view(Strong((Text("hi"),))), form=Form.PLAIN))
    assert double.visible(anna)[-1].entities == ()


async def test_a_long_text_stands_as_several_messages_none_of_them_too_long(
    double: TelegramDouble, adapter: TelegramAdapter
) -> None:
    anna = double.person("Anna")
    group = double.group("Flock", members=[anna], bot_admin=True)
    whole = View(Voice.PERSON, long_body(60), author="Anna (@anna · Discord)", footer="3 votes")
    parts = parted(whole, Form.FULL, adapter.capabilities, lambda part, of: f"{part}/{of}")
    assert len(parts) > 3
    for number, part in enumerate(parts):
        await adapter.perform(Create(f"{KEY[:-1]}{number}", ref(group), part))
    texts = [shown.text or "" for shown in double.visible(group)]
    assert len(texts) == len(parts)
    assert [text.rpartition("\n")[2] for text in texts[:-1]] == [
        f"{n}/{len(parts)}" for n in range(1, len(parts))
    ]
    found = [n for n in range(60) if any(f"@{PING_BREAK}someone{n} " in text for text in texts)]
    assert found == list(range(60))
