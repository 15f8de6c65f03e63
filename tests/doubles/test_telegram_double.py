"""Our Bot API double, driven by the real python-telegram-bot: what a bot and its people get from it."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from telegram import (
    Bot,
    BotCommand,
    BotCommandScopeAllGroupChats,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    LinkPreviewOptions,
    MessageEntity,
    MessageOriginChannel,
    ReactionTypeEmoji,
    ReplyParameters,
    Update,
)
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TimedOut,
)
from telegram.request import HTTPXRequest

from tests.conftest import ROOT, needs_shared
from tests.doubles.telegram import Chat, Limits, Person, TelegramDouble

# The library warns that `retry_after` will be a timedelta one day.
pytestmark = pytest.mark.filterwarnings("ignore::telegram.warnings.PTBDeprecationWarning")

EVERYTHING = list(Update.ALL_TYPES)


@pytest.fixture(autouse=True)
def waits_as_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    # The adapter switches the library to timedelta for its whole process; these tests may run after it.
    monkeypatch.delenv("PTB_TIMEDELTA", raising=False)


@asynccontextmanager
async def bot_of(double: TelegramDouble, token: str = "") -> AsyncIterator[Bot]:
    # Loading certificates takes a tenth of a second for each client, and the double speaks plain HTTP.
    calls, polls = (HTTPXRequest(httpx_kwargs={"verify": False}) for _ in range(2))
    async with Bot(
        token or double.token,
        base_url=double.base_url,
        base_file_url=double.base_file_url,
        request=calls,
        get_updates_request=polls,
    ) as bot:
        yield bot


@pytest.fixture
def double(telegram_double: TelegramDouble) -> TelegramDouble:
    return telegram_double


@pytest.fixture
async def bot(double: TelegramDouble) -> AsyncIterator[Bot]:
    async with bot_of(double) as bot:
        yield bot


@pytest.fixture
def anna(double: TelegramDouble) -> Person:
    return double.person("Anna", username="anna", language="it")


@pytest.fixture
def birds(double: TelegramDouble, anna: Person) -> Chat:
    return double.group("Birds", admins=[anna], bot_admin=True)


async def received(bot: Bot, *, offset: int = 0) -> list[Update]:
    """What waits now, without waiting for more."""
    return list(await bot.get_updates(offset=offset, timeout=0, allowed_updates=EVERYTHING))


def buttons(*pairs: tuple[str, str]) -> InlineKeyboardMarkup:
    return InlineKeyboardMarkup([[InlineKeyboardButton(label, callback_data=data) for label, data in pairs]])


class TestTheDoor:
    async def test_a_bot_learns_who_it_is(self, bot: Bot) -> None:
        me = await bot.get_me()
        assert (me.username, me.is_bot, me.can_read_all_group_messages) == ("stormo_test_bot", True, False)

    async def test_a_wrong_token_is_refused(self, double: TelegramDouble) -> None:
        with pytest.raises(InvalidToken):
            async with bot_of(double, "1:wrong") as bot:
                await bot.get_me()
        assert double.refused[401] > 0

    @needs_shared
    async def test_a_method_that_our_double_lacks_is_not_passed_off_as_unknown(
        self, double: TelegramDouble
    ) -> None:
        async with bot_of(double) as bot:
            with pytest.raises(NetworkError, match="Not Implemented"):
                await bot.get_available_gifts()
        assert double.violations.pop() == "our double does not know getAvailableGifts yet"

    async def test_what_our_double_cannot_read_is_its_own_fault(
        self, double: TelegramDouble, birds: Chat
    ) -> None:
        async with bot_of(double) as bot:
            with pytest.raises(NetworkError, match="Internal Server Error"):
                await bot.send_message(birds.id, "*bold*", parse_mode="MarkdownV2")
        assert "send entities" in double.violations.pop()

    @needs_shared
    async def test_a_parameter_that_the_specification_lacks_is_recorded(self, double: TelegramDouble) -> None:
        async with aiohttp.ClientSession() as http:
            await http.post(
                f"{double.base_url}{double.token}/getUpdates", data={"limit": "ten", "colour": "red"}
            )
        assert double.violations == [
            "getUpdates.limit: 'ten' is not JSON of Integer",
            "getUpdates: unknown parameter colour",
        ]
        double.violations.clear()


class TestUpdates:
    async def test_a_message_arrives_with_its_sender_and_the_entities_the_server_finds(
        self, bot: Bot, anna: Person, birds: Chat
    ) -> None:
        await anna.send(birds, "/post 😀 see https://coop.example/x, #birds @robin_b")
        [update] = await received(bot)
        message = update.message
        assert message is not None
        assert message.from_user is not None
        assert (message.chat.id, message.chat.title, message.chat.type) == (birds.id, "Birds", "supergroup")
        assert (message.from_user.id, message.from_user.language_code) == (anna.id, "it")
        assert message.parse_entities() == {
            message.entities[0]: "/post",
            message.entities[1]: "https://coop.example/x",
            message.entities[2]: "#birds",
            message.entities[3]: "@robin_b",
        }

    async def test_they_are_delivered_again_until_acknowledged(
        self, bot: Bot, anna: Person, birds: Chat
    ) -> None:
        await anna.send(birds, "one")
        await anna.send(birds, "two")
        first, again = await received(bot), await received(bot)
        assert [update.update_id for update in again] == [update.update_id for update in first]
        rest = await received(bot, offset=first[0].update_id + 1)
        assert [update.message and update.message.text for update in rest] == ["two"]

    async def test_a_waiting_poll_is_answered_as_soon_as_something_happens(
        self, double: TelegramDouble, bot: Bot, anna: Person
    ) -> None:
        poll = asyncio.create_task(bot.get_updates(timeout=50))
        await double.wait_until(lambda: double.world.updates.polling)
        await anna.start()
        [update] = await poll
        assert update.message is not None
        assert update.message.text == "/start"

    async def test_a_second_poller_makes_the_first_fail(self, double: TelegramDouble, bot: Bot) -> None:
        first = asyncio.create_task(bot.get_updates(timeout=50))
        await double.wait_until(lambda: double.world.updates.polling)
        async with bot_of(double) as second:
            await second.get_updates(timeout=0)
        with pytest.raises(
            Conflict, match="terminated by other getUpdates request; make sure that only one bot"
        ):
            await first

    async def test_kinds_that_were_not_asked_for_do_not_come(
        self, bot: Bot, anna: Person, birds: Chat
    ) -> None:
        await bot.get_updates(timeout=0, allowed_updates=["callback_query"])
        await anna.send(birds, "/post hello")
        assert await received(bot) == []

    async def test_an_edit_comes_even_without_a_change(self, bot: Bot, anna: Person, birds: Chat) -> None:
        message = await anna.send(birds, "same")
        await anna.edit(message, "same")
        updates = await received(bot)
        assert updates[1].edited_message is not None
        assert updates[1].edited_message.text == "same"

    async def test_nothing_tells_of_a_deletion(
        self, double: TelegramDouble, bot: Bot, anna: Person, birds: Chat
    ) -> None:
        message = await anna.send(birds, "gone")
        seen = await received(bot)
        await anna.delete(message)
        assert await received(bot, offset=seen[-1].update_id + 1) == []
        assert double.visible(birds) == []

    async def test_they_wait_for_a_day(self, anna: Person) -> None:
        now = [1_795_379_161.0]
        async with TelegramDouble(clock=lambda: now[0]) as double, bot_of(double) as bot:
            await double.person("Ada").start()
            now[0] += 86_401
            assert await received(bot) == []


class TestPrivacyMode:
    @pytest.fixture
    def room(self, double: TelegramDouble, anna: Person) -> Chat:
        return double.group("Room", admins=[anna])

    async def test_without_rights_the_bot_hears_commands_replies_to_it_and_service_messages(
        self, bot: Bot, anna: Person, room: Chat, double: TelegramDouble
    ) -> None:
        hello = await bot.send_message(room.id, "hello")
        await anna.send(room, "ordinary talk")
        await anna.send(room, "/help")
        await anna.send(room, "/help@stormo_test_bot")
        await anna.send(room, "/help@another_bot")
        await anna.send(room, "an answer", reply_to=double.visible(room)[0])
        await double.person("Bruno").join(room)
        heard = [update.message for update in await received(bot) if update.message]
        assert [message.text for message in heard] == ["/help", "/help@stormo_test_bot", "an answer", None]
        assert heard[2].reply_to_message is not None
        assert heard[2].reply_to_message.message_id == hello.message_id
        assert [user.first_name for user in heard[3].new_chat_members] == ["Bruno"]

    async def test_an_administrator_bot_hears_everything(self, bot: Bot, anna: Person, room: Chat) -> None:
        await anna.promote_bot(room)
        await anna.send(room, "ordinary talk")
        updates = await received(bot)
        assert updates[0].my_chat_member is not None
        assert updates[0].my_chat_member.new_chat_member.status == "administrator"
        assert updates[1].message is not None
        assert updates[1].message.text == "ordinary talk"


class TestReactions:
    async def test_they_carry_the_old_and_the_new_set(
        self, double: TelegramDouble, bot: Bot, anna: Person, birds: Chat
    ) -> None:
        await received(bot)
        sent = await bot.send_message(birds.id, "vote")
        await anna.react(double.visible(birds)[0], ["👍"])
        await anna.react(double.visible(birds)[0], ["❤️"])
        first, second = [update.message_reaction for update in await received(bot)]
        assert first is not None
        assert second is not None
        assert second.user is not None
        assert (first.old_reaction, [each.to_dict() for each in first.new_reaction]) == (
            (),
            [{"type": "emoji", "emoji": "👍"}],
        )
        assert [each.to_dict()["emoji"] for each in second.old_reaction + second.new_reaction] == ["👍", "❤"]
        assert (second.user.id, second.message_id) == (anna.id, sent.message_id)
        assert double.visible(birds)[0].reactions == {"❤": ("Anna",)}

    async def test_they_come_only_to_an_administrator_that_named_them(
        self, double: TelegramDouble, bot: Bot, anna: Person, birds: Chat
    ) -> None:
        plain = double.group("Plain", members=[anna])
        await bot.get_updates(timeout=0)
        there, here = await anna.send(plain, "/x"), await anna.send(birds, "/x")
        await anna.react(here, ["👍"])
        seen = await received(bot)
        await anna.react(there, ["👍"])
        await anna.react(here, [])
        later = await received(bot, offset=seen[-1].update_id + 1)
        assert [update.message_reaction for update in seen] == [None, None]
        assert [update.message_reaction.chat.id for update in later if update.message_reaction] == [birds.id]

    async def test_the_bots_own_is_one_from_the_list_and_comes_back_to_nobody(
        self, double: TelegramDouble, bot: Bot, anna: Person, birds: Chat
    ) -> None:
        post = await anna.send(birds, "/post x")
        await received(bot)
        await bot.set_message_reaction(birds.id, post.id, ReactionTypeEmoji("❤️"))
        with pytest.raises(BadRequest, match="Reaction_invalid"):
            await bot.set_message_reaction(birds.id, post.id, "🍏")
        with pytest.raises(BadRequest, match="Reactions_too_many"):
            await bot.set_message_reaction(birds.id, post.id, ["👍", "❤"])
        assert double.visible(birds)[0].reactions == {"❤": ("Stormo",)}
        assert [update for update in await received(bot) if update.message_reaction] == []

    async def test_in_a_channel_only_anonymous_counts_come(
        self, double: TelegramDouble, bot: Bot, anna: Person
    ) -> None:
        news = double.channel("News", admins=[anna])
        await received(bot)
        await anna.send(news, "today")
        await anna.react(double.visible(news)[0], ["🔥"])
        counts = (await received(bot))[1].message_reaction_count
        assert counts is not None
        assert [count.total_count for count in counts.reactions] == [1]


class TestPrivateChats:
    async def test_a_bot_cannot_write_first(self, bot: Bot, anna: Person) -> None:
        with pytest.raises(Forbidden, match="bot can't initiate conversation with a user"):
            await bot.send_message(anna.id, "psst")

    async def test_after_start_it_can_until_it_is_blocked(
        self, double: TelegramDouble, bot: Bot, anna: Person
    ) -> None:
        await anna.start("join_abc")
        await bot.send_message(anna.id, "welcome")
        await anna.block()
        with pytest.raises(Forbidden, match="bot was blocked by the user"):
            await bot.send_message(anna.id, "hello?")
        assert [message.text for message in double.visible(anna)] == ["/start join_abc", "welcome"]
        blocked = (await received(bot))[-1].my_chat_member
        assert blocked is not None
        assert blocked.new_chat_member.status == "kicked"

    async def test_ids_have_up_to_52_bits(self, double: TelegramDouble, bot: Bot) -> None:
        big = double.person("Big", user_id=2**52 - 1)
        await big.start()
        assert (await bot.send_message(2**52 - 1, "hi")).chat.id == 2**52 - 1


class TestSending:
    async def test_everything_about_a_message_is_kept(
        self, double: TelegramDouble, bot: Bot, anna: Person, birds: Chat
    ) -> None:
        post = await anna.send(birds, "/post x")
        await bot.send_message(
            birds.id,
            "Anna: x 😀!",
            entities=[MessageEntity("bold", 0, 4)],
            reply_parameters=ReplyParameters(post.id),
            reply_markup=InlineKeyboardMarkup(
                [
                    [
                        InlineKeyboardButton("Yes", callback_data="y"),
                        InlineKeyboardButton("Page", url="https://e.example"),
                    ]
                ]
            ),
            disable_notification=True,
            link_preview_options=LinkPreviewOptions(is_disabled=True),
        )
        copy = double.visible(birds)[1]
        assert (copy.text, copy.by, copy.from_bot, copy.reply_to) == ("Anna: x 😀!", "Stormo", True, post.id)
        assert (copy.silent, copy.link_preview, copy.labels) == (True, False, ["Yes", "Page"])
        assert copy.entities == ({"type": "bold", "offset": 0, "length": 4},)

    async def test_the_limit_is_4096_utf16_units(self, bot: Bot, birds: Chat) -> None:
        assert (await bot.send_message(birds.id, "😀" * 2048)).text == "😀" * 2048
        with pytest.raises(BadRequest, match="essage is too long"):
            await bot.send_message(birds.id, "😀" * 2048 + "x")

    async def test_the_same_message_twice_is_two_messages(
        self, double: TelegramDouble, bot: Bot, birds: Chat
    ) -> None:
        await bot.send_message(birds.id, "again")
        await bot.send_message(birds.id, "again")
        assert [message.text for message in double.visible(birds)] == ["again", "again"]

    async def test_space_around_a_text_goes_and_the_entities_move(self, bot: Bot, birds: Chat) -> None:
        sent = await bot.send_message(birds.id, "  bold \n", entities=[MessageEntity("bold", 2, 4)])
        assert (sent.text, sent.entities[0].offset) == ("bold", 0)

    @pytest.mark.parametrize(
        ("button", "sentence"),
        [
            (InlineKeyboardButton("x", callback_data="é" * 33), "Button_data_invalid"),
            (InlineKeyboardButton("x", url="not a link"), "is invalid: wrong http url"),
            (InlineKeyboardButton(" ", callback_data="x"), "button text must be non-empty"),
        ],
    )
    async def test_a_bad_button_is_refused(
        self, bot: Bot, birds: Chat, button: InlineKeyboardButton, sentence: str
    ) -> None:
        with pytest.raises(BadRequest, match=sentence):
            await bot.send_message(birds.id, "x", reply_markup=InlineKeyboardMarkup([[button]]))

    async def test_a_bot_that_left_or_was_thrown_out_cannot(
        self, double: TelegramDouble, bot: Bot, anna: Person
    ) -> None:
        left, kicked = (double.group(name, admins=[anna]) for name in ("Left", "Kicked"))
        await bot.leave_chat(left.id)
        await anna.remove_bot(kicked)
        with pytest.raises(Forbidden, match="bot is not a member of the supergroup chat"):
            await bot.send_message(left.id, "x")
        with pytest.raises(Forbidden, match="bot was kicked from the supergroup chat"):
            await bot.send_message(kicked.id, "x")

    async def test_a_muted_bot_and_one_without_rights_in_a_channel_cannot(
        self, double: TelegramDouble, bot: Bot, anna: Person, birds: Chat
    ) -> None:
        await anna.demote_bot(birds, mute=True)
        with pytest.raises(BadRequest, match="ot enough rights to send text messages to the chat"):
            await bot.send_message(birds.id, "x")
        news = double.channel("News", admins=[anna], bot_rights=["can_manage_chat"])
        with pytest.raises(BadRequest, match="eed administrator rights in the channel chat"):
            await bot.send_message(news.id, "x")

    async def test_a_group_that_became_a_supergroup_tells_its_new_id(
        self, double: TelegramDouble, bot: Bot, anna: Person
    ) -> None:
        small = double.group("Small", admins=[anna], basic=True)
        large = await anna.upgrade(small)
        with pytest.raises(ChatMigrated) as error:
            await bot.send_message(small.id, "x")
        assert error.value.new_chat_id == large.id
        await bot.send_message(large.id, "x")
        notices = [update.message for update in await received(bot) if update.message]
        assert [(notice.migrate_to_chat_id, notice.migrate_from_chat_id) for notice in notices] == [
            (large.id, None),
            (None, small.id),
        ]


class TestTopics:
    async def test_a_topic_takes_messages_and_an_unknown_one_does_not(
        self, double: TelegramDouble, bot: Bot, anna: Person
    ) -> None:
        forum = double.group("Forum", admins=[anna], forum=True, bot_admin=True)
        topic = await anna.create_topic(forum, "Nests")
        await anna.send(forum, "/post x", thread=topic)
        message = (await received(bot))[-1].message
        assert message is not None
        assert (message.message_thread_id, message.is_topic_message) == (topic, True)
        assert message.reply_to_message is not None
        assert message.reply_to_message.forum_topic_created is not None
        await bot.send_message(forum.id, "there", message_thread_id=topic)
        for unknown in (1, 9999):
            with pytest.raises(BadRequest, match="essage thread not found"):
                await bot.send_message(forum.id, "nowhere", message_thread_id=unknown)
        assert [(each.text, each.thread) for each in double.visible(forum)] == [
            ("/post x", topic),
            ("there", topic),
        ]


class TestEditing:
    async def test_an_edit_replaces_text_and_buttons(
        self, double: TelegramDouble, bot: Bot, birds: Chat
    ) -> None:
        sent = await bot.send_message(birds.id, "1", reply_markup=buttons(("Yes", "y")))
        await bot.edit_message_text("2", birds.id, sent.message_id)
        assert [(each.text, each.labels, each.edited) for each in double.visible(birds)] == [("2", [], True)]
        await bot.edit_message_reply_markup(birds.id, sent.message_id, reply_markup=buttons(("No", "n")))
        assert double.visible(birds)[0].labels == ["No"]

    async def test_an_edit_without_a_change_is_refused(self, bot: Bot, birds: Chat) -> None:
        sent = await bot.send_message(birds.id, "1")
        with pytest.raises(BadRequest, match="essage is not modified: specified new message content"):
            await bot.edit_message_text("1", birds.id, sent.message_id)

    async def test_others_messages_and_vanished_ones_cannot_be_edited(
        self, double: TelegramDouble, bot: Bot, anna: Person, birds: Chat
    ) -> None:
        theirs = await anna.send(birds, "mine")
        with pytest.raises(BadRequest, match="essage can't be edited"):
            await bot.edit_message_text("x", birds.id, theirs.id)
        sent = await bot.send_message(birds.id, "copy")
        await anna.delete(double.visible(birds)[-1])
        with pytest.raises(BadRequest, match="essage to edit not found"):
            await bot.edit_message_text("x", birds.id, sent.message_id)


class TestDeleting:
    async def test_own_messages_go_and_others_only_with_the_right(
        self, double: TelegramDouble, bot: Bot, anna: Person, birds: Chat
    ) -> None:
        sent, theirs = await bot.send_message(birds.id, "mine"), await anna.send(birds, "hers")
        await bot.delete_message(birds.id, sent.message_id)
        with pytest.raises(BadRequest, match="essage to delete not found"):
            await bot.delete_message(birds.id, sent.message_id)
        with pytest.raises(BadRequest, match=r"essage can't be deleted$"):
            await bot.delete_message(birds.id, theirs.id)
        await anna.promote_bot(birds, ["can_delete_messages"])
        await bot.delete_message(birds.id, theirs.id)
        assert double.visible(birds) == []

    @pytest.mark.parametrize(
        ("basic", "sentence"), [(True, "deleted for everyone"), (False, "can't be deleted")]
    )
    async def test_after_two_days_it_is_too_late(self, basic: bool, sentence: str) -> None:
        now = [1_795_379_161.0]
        async with TelegramDouble(clock=lambda: now[0]) as double, bot_of(double) as bot:
            group = double.group("Old", admins=[double.person("Ada")], basic=basic, bot_admin=True)
            sent = await bot.send_message(group.id, "x")
            now[0] += 2 * 86_400 + 1
            with pytest.raises(BadRequest, match=sentence):
                await bot.delete_message(group.id, sent.message_id)


class TestButtons:
    async def test_a_press_reaches_the_bot_and_its_answer_the_person(
        self, double: TelegramDouble, bot: Bot, anna: Person, birds: Chat
    ) -> None:
        await bot.send_message(birds.id, "Nest box?", reply_markup=buttons(("Yes", "vote:y")))
        press = asyncio.create_task(anna.press(double.visible(birds)[0], "Yes"))
        [update] = await bot.get_updates(timeout=5)
        query = update.callback_query
        assert query is not None
        assert query.message is not None
        assert (query.data, query.from_user.id, query.message.chat.id) == ("vote:y", anna.id, birds.id)
        await bot.answer_callback_query(query.id, "Counted", show_alert=True)
        answer = await press
        assert (answer.text, answer.show_alert) == ("Counted", True)
        with pytest.raises(BadRequest, match="uery is too old"):
            await bot.answer_callback_query(query.id)

    async def test_a_late_or_overlong_answer_is_refused(self) -> None:
        now = [1_795_379_161.0]
        async with TelegramDouble(clock=lambda: now[0]) as double, bot_of(double) as bot:
            ada = double.person("Ada")
            await ada.start()
            await bot.send_message(ada.id, "?", reply_markup=buttons(("Yes", "y")))
            press = asyncio.create_task(ada.press(double.visible(ada)[-1], "Yes"))
            query = (await bot.get_updates(timeout=5, offset=-1))[0].callback_query
            assert query is not None
            with pytest.raises(BadRequest, match="Message_too_long"):
                await bot.answer_callback_query(query.id, "x" * 201)
            now[0] += double.limits.callback_seconds + 1
            with pytest.raises(
                BadRequest, match="uery is too old and response timeout expired or query id is invalid"
            ):
                await bot.answer_callback_query(query.id, "late")
            press.cancel()

    async def test_a_deep_link_button_opens_the_private_chat(
        self, double: TelegramDouble, bot: Bot, anna: Person, birds: Chat
    ) -> None:
        link = InlineKeyboardButton("Join", url="https://t.me/stormo_test_bot?start=join_7")
        await bot.send_message(birds.id, "Come in", reply_markup=InlineKeyboardMarkup([[link]]))
        await anna.follow(double.visible(birds)[0], "Join")
        [update] = await received(bot)
        assert update.message is not None
        assert update.message.text == "/start join_7"


class TestWhoSpeaks:
    async def test_an_anonymous_admin_is_the_group(
        self, double: TelegramDouble, bot: Bot, anna: Person
    ) -> None:
        ghost = double.person("Ghost")
        room = double.group("Room", admins=[anna], anonymous=[ghost], bot_admin=True)
        await received(bot)
        await ghost.send(room, "/setup")
        await ghost.react(double.visible(room)[0], ["👍"])
        message, reaction = await received(bot)
        assert message.message is not None
        assert message.message.from_user is not None
        assert message.message.sender_chat is not None
        assert message.message.sender_chat.id == room.id
        assert message.message.from_user.username == "GroupAnonymousBot"
        assert reaction.message_reaction is not None
        assert reaction.message_reaction.user is None
        assert reaction.message_reaction.actor_chat is not None

    async def test_a_channel_post_is_the_channels_and_is_forwarded_to_its_discussion(
        self, double: TelegramDouble, bot: Bot, anna: Person, birds: Chat
    ) -> None:
        news = double.channel("News", admins=[anna], discussion=birds)
        await anna.send(news, "today")
        post, forwarded = await received(bot)
        assert post.channel_post is not None
        assert post.channel_post.from_user is None
        assert forwarded.message is not None
        assert forwarded.message.is_automatic_forward
        assert isinstance(forwarded.message.forward_origin, MessageOriginChannel)
        assert forwarded.message.from_user is not None
        assert forwarded.message.from_user.id == 777000

    async def test_the_bots_own_channel_post_comes_back_from_the_discussion_only(
        self, double: TelegramDouble, bot: Bot, anna: Person, birds: Chat
    ) -> None:
        news = double.channel("News", admins=[anna], discussion=birds)
        await bot.send_message(news.id, "today")
        [update] = await received(bot)
        assert update.message is not None
        assert (update.message.chat.id, update.message.is_automatic_forward) == (birds.id, True)

    async def test_the_bot_can_ask_who_is_who(
        self, double: TelegramDouble, bot: Bot, anna: Person, birds: Chat
    ) -> None:
        bruno = double.person("Bruno")
        assert [admin.user.first_name for admin in await bot.get_chat_administrators(birds.id)] == [
            "Anna",
            "Stormo",
        ]
        assert (await bot.get_chat_member(birds.id, anna.id)).status == "creator"
        assert (await bot.get_chat_member(birds.id, bruno.id)).status == "left"
        with pytest.raises(BadRequest, match="ember not found"):
            await bot.get_chat_member(birds.id, 1)
        assert (await bot.get_chat(birds.id)).title == "Birds"


class TestTheRest:
    async def test_menus_are_kept_per_scope_and_language(self, double: TelegramDouble, bot: Bot) -> None:
        await bot.set_my_commands([BotCommand("post", "Publish")])
        await bot.set_my_commands(
            [BotCommand("post", "Pubblica")], scope=BotCommandScopeAllGroupChats(), language_code="it"
        )
        assert double.commands == {
            ('{"type": "default"}', ""): [{"command": "post", "description": "Publish"}],
            ('{"type": "all_group_chats"}', "it"): [{"command": "post", "description": "Pubblica"}],
        }
        with pytest.raises(BadRequest, match="Bot_command_invalid"):
            await bot.set_my_commands([BotCommand("Post", "x")])

    async def test_pins_need_the_right_and_leave_a_notice(
        self, double: TelegramDouble, bot: Bot, anna: Person, birds: Chat
    ) -> None:
        sent = await bot.send_message(birds.id, "notice")
        with pytest.raises(BadRequest, match="ot enough rights to manage pinned messages in the chat"):
            await bot.pin_chat_message(birds.id, sent.message_id)
        await anna.promote_bot(birds, ["can_pin_messages"])
        await bot.pin_chat_message(birds.id, sent.message_id)
        assert [(each.text, each.pinned, each.service) for each in double.visible(birds, service=True)] == [
            ("notice", True, ""),
            ("", False, "pinned_message"),
        ]

    async def test_a_webhook_and_polling_exclude_each_other(self, bot: Bot) -> None:
        await bot.set_webhook("https://coop.example/hook")
        with pytest.raises(Conflict, match="can't use getUpdates method while webhook is active"):
            await bot.get_updates(timeout=0)
        await bot.delete_webhook()
        assert (await bot.get_webhook_info()).url == ""


class TestLimits:
    async def test_a_group_takes_twenty_messages_a_minute(
        self, double: TelegramDouble, bot: Bot, birds: Chat
    ) -> None:
        for number in range(20):
            await bot.send_message(birds.id, str(number))
        with pytest.raises(RetryAfter) as refusal:
            await bot.send_message(birds.id, "20")
        assert 50 < int(str(refusal.value.retry_after)) <= 60
        assert double.refused[429] == 1
        assert len(double.visible(birds)) == 20

    async def test_a_private_chat_takes_a_burst_and_then_one_a_second(self) -> None:
        now = [0.0]
        async with TelegramDouble(limits=Limits(now=lambda: now[0])) as double, bot_of(double) as bot:
            ada = double.person("Ada")
            await ada.start()
            for number in range(double.limits.private_burst):
                await bot.send_message(ada.id, str(number))
            with pytest.raises(RetryAfter):
                await bot.send_message(ada.id, "more")
            now[0] += 1
            await bot.send_message(ada.id, "more")
            with pytest.raises(RetryAfter):
                await bot.send_message(ada.id, "and more")

    async def test_all_chats_together_take_thirty_a_second(self) -> None:
        async with TelegramDouble(limits=Limits(now=lambda: 0.0)) as double, bot_of(double) as bot:
            rooms = [double.group(str(number), admins=[double.person("Ada")]) for number in range(31)]
            for room in rooms[:30]:
                await bot.send_message(room.id, "x")
            with pytest.raises(RetryAfter):
                await bot.send_message(rooms[30].id, "x")

    async def test_they_can_be_switched_off(self, double: TelegramDouble, bot: Bot, birds: Chat) -> None:
        double.limits.enabled = False
        for number in range(40):
            await bot.send_message(birds.id, str(number))
        assert double.refused[429] == 0


class TestFaults:
    @pytest.mark.parametrize(
        ("kind", "error", "stored"),
        [
            ("flood", RetryAfter, 0),
            ("error_before", NetworkError, 0),
            ("error_after", NetworkError, 1),
            ("bad_gateway", NetworkError, 0),
            ("hang_before", TimedOut, 0),
            ("hang_after", TimedOut, 1),
            ("drop_before", NetworkError, 0),
            ("drop_after", NetworkError, 1),
        ],
    )
    async def test_each_happens_once_before_or_after_storing(
        self, double: TelegramDouble, bot: Bot, birds: Chat, kind: str, error: type[Exception], stored: int
    ) -> None:
        double.fault(kind)  # type: ignore[arg-type]
        with pytest.raises(error):
            await bot.send_message(birds.id, "first", read_timeout=0.2)
        assert len(double.visible(birds)) == stored
        await bot.send_message(birds.id, "second")
        assert len(double.visible(birds)) == stored + 1

    async def test_a_slow_answer_still_comes(self, double: TelegramDouble, bot: Bot, birds: Chat) -> None:
        double.fault("slow", seconds=0.05)
        assert (await bot.send_message(birds.id, "x")).text == "x"

    async def test_they_can_be_aimed(
        self, double: TelegramDouble, bot: Bot, anna: Person, birds: Chat
    ) -> None:
        other = double.group("Other", admins=[anna])
        double.fault("flood", chat=birds, after=1, retry_after=7)
        await bot.send_message(other.id, "x")
        await bot.send_message(birds.id, "x")
        await bot.send_message(other.id, "x")
        with pytest.raises(RetryAfter, match="Retry in 7 seconds"):
            await bot.send_message(birds.id, "x")


SENDER = """
import asyncio, sys
from telegram import Bot
async def main(token, base_url, chat):
    async with Bot(token, base_url=base_url) as bot:
        await bot.send_message(int(chat), "copy")
asyncio.run(main(*sys.argv[1:]))
"""


def test_our_double_knows_nothing_of_the_program() -> None:
    listing = "import sys, tests.doubles.telegram; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run(
        [sys.executable, "-c", listing], cwd=ROOT, capture_output=True, check=True, text=True
    )
    assert {"core", "bots", "storage", "web", "stormo", "telegram"}.isdisjoint(loaded.stdout.split())


class TestAKilledBot:
    async def test_what_it_stored_stays_and_is_sent_again_by_the_next_one(
        self, double: TelegramDouble, birds: Chat
    ) -> None:
        killed: list[int] = []
        arguments = (sys.executable, "-c", SENDER, double.token, double.base_url, str(birds.id))
        process = await asyncio.create_subprocess_exec(*arguments)

        async def kill(method: str, count: int) -> None:
            killed.append(count)
            process.kill()
            await process.wait()

        remove = double.on_stored(kill)
        assert await process.wait() == -9
        await double.wait_until(lambda: killed)
        remove()
        again = await asyncio.create_subprocess_exec(*arguments)
        assert await again.wait() == 0
        assert killed == [1]
        assert [message.text for message in double.visible(birds)] == ["copy", "copy"]

    async def test_updates_handed_to_it_come_again(
        self, double: TelegramDouble, anna: Person, birds: Chat
    ) -> None:
        await anna.send(birds, "/post x")
        async with bot_of(double) as first:
            handed = await received(first)
        async with bot_of(double) as second:
            assert [each.update_id for each in await received(second)] == [each.update_id for each in handed]
        assert double.world.updates.deliveries[handed[0].update_id] == 2
