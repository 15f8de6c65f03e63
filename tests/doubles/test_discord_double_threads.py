"""Threads, forums and time-outs of our double, driven by the real, unpatched discord.py."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import timedelta

import discord
import pytest

from tests.doubles.discord import ApiError, Channel, DiscordDouble, Guild, Permission, Person
from tests.doubles.discord_bot import Bot, Start

pytestmark = pytest.mark.peer


def forum_of(bot: Bot, channel: Channel) -> discord.ForumChannel:
    found = bot.get_channel(channel.id)
    assert isinstance(found, discord.ForumChannel)
    return found


async def refused(act: Awaitable[object]) -> int:
    """The code of a refusal."""
    with pytest.raises(discord.HTTPException) as error:
        await act
    return error.value.code


# Forums


@pytest.mark.parametrize("media", [False, True])
async def test_a_forum_takes_posts_whose_first_message_has_their_id(
    discord_double: DiscordDouble, guild: Guild, start: Start, *, media: bool
) -> None:
    forum = guild.forum("birds", media=media)
    bot = await start()
    there = forum_of(bot, forum)
    assert there.is_media() is media
    made = await there.create_thread(name="Owls", content="who?")
    assert made.thread.id == made.message.id
    assert (await bot.hears("thread_create")).id == made.thread.id
    (post,) = forum.posts
    assert (post.name, post.owner_id) == ("Owls", discord_double.bot.id)
    await made.thread.send("me")
    assert [each.content for each in discord_double.visible(post)] == ["who?", "me"]
    assert await refused(there.create_thread(name="", content="x")) == 50035
    assert await refused(there.create_thread(name="Empty", content="")) == 50006


async def test_in_a_forum_nobody_writes_but_in_posts(guild: Guild, start: Start) -> None:
    forum = guild.forum("birds")
    bot = await start()
    assert await refused(bot.http.send_message(forum.id, params=_words("x"))) == 50008
    forum.overwrite(guild.bot_role, deny=Permission.SEND_MESSAGES)
    assert await refused(forum_of(bot, forum).create_thread(name="Owls", content="who?")) == 50013


def _words(text: str) -> discord.http.MultipartParameters:
    return discord.http.handle_message_parameters(content=text)


async def test_a_forum_may_want_tags(guild: Guild, start: Start) -> None:
    forum = guild.forum("birds", tags_required=True)
    bot = await start()
    there = forum_of(bot, forum)
    assert there.flags.require_tag
    assert await refused(there.create_thread(name="Owls", content="who?")) == 40067
    forum.update(flags=0)
    await there.create_thread(name="Owls", content="who?")


async def test_a_webhook_begins_posts_in_forums_and_only_there(
    discord_double: DiscordDouble, guild: Guild, channel: Channel, start: Start
) -> None:
    forum = guild.forum("birds")
    bot = await start()
    webhook = await forum_of(bot, forum).create_webhook(name="Stormo")
    made = await webhook.send("who?", thread_name="Owls", username="Anna", wait=True)
    (post,) = forum.posts
    assert (post.id, post.owner_id, made.id) == (made.id, webhook.id, made.id)
    assert discord_double.visible(post)[0].author == "Anna"
    await webhook.edit_message(made.id, content="who is there?", thread=discord.Object(post.id))
    assert discord_double.visible(post)[0].content == "who is there?"
    assert await refused(webhook.send("x", wait=True)) == 220001
    other = await bot.text_channel(channel).create_webhook(name="Stormo")
    assert await refused(other.send("x", thread_name="Owls", wait=True)) == 220003


async def test_what_ended_is_listed_and_what_is_open_too(guild: Guild, anna: Person, start: Start) -> None:
    forum = guild.forum("birds")
    posts = [(await anna.begin_post(forum, name, "?")).channel for name in ("one", "two")]
    bot = await start()
    posts[0].update(archived=True)
    archived = [each.id async for each in forum_of(bot, forum).archived_threads()]
    active = [each.id for each in await bot.guilds[0].active_threads()]
    assert (archived, active) == ([posts[0].id], [posts[1].id])


# Archived and locked


async def test_an_archived_thread_takes_messages_and_no_changes(
    discord_double: DiscordDouble, anna: Person, channel: Channel, start: Start
) -> None:
    bot = await start()
    thread = await anna.open_thread(channel, "talk")
    heard = await bot.hears("thread_create")
    said = await heard.send("in here")
    thread.update(archived=True)
    for change in (said.edit(content="x"), said.delete(), said.add_reaction("👍")):
        assert await refused(change) == 50083
    await heard.edit(archived=False)
    await said.edit(content="again")
    thread.update(archived=True)
    await heard.send("and more")
    assert not thread.archived
    assert [each.content for each in discord_double.visible(thread)] == ["again", "and more"]


async def test_a_locked_thread_takes_nothing_of_who_does_not_manage_it(
    anna: Person, guild: Guild, channel: Channel, discord_double: DiscordDouble, start: Start
) -> None:
    bot = await start()
    thread = await anna.open_thread(channel, "talk")
    heard = await bot.hears("thread_create")
    thread.update(locked=True)
    assert await refused(heard.send("x")) == 160005
    thread.update(archived=True)
    assert await refused(heard.send("x")) == 50083
    assert await refused(heard.edit(archived=False)) == 50013
    guild.set_permissions(guild.bot_role, guild.bot_role.permissions | Permission.MANAGE_THREADS)
    await heard.send("now")
    assert len(discord_double.visible(thread)) == 1


async def test_who_began_a_thread_renames_it_and_only_who_manages_it_deletes_it(
    guild: Guild, start: Start
) -> None:
    forum = guild.forum("birds")
    bot = await start()
    mine = (await forum_of(bot, forum).create_thread(name="Owls", content="who?")).thread
    await mine.edit(name="Barn owls")
    assert forum.posts[0].name == "Barn owls"
    assert await refused(mine.delete()) == 50013
    guild.set_permissions(guild.bot_role, guild.bot_role.permissions | Permission.MANAGE_THREADS)
    await mine.delete()
    assert forum.posts == []


# Who may be there


async def test_a_private_thread_is_for_who_is_in_it(
    discord_double: DiscordDouble, anna: Person, channel: Channel, start: Start
) -> None:
    thread = channel.thread("whispers", anna, kind=12)
    bot = await start()
    assert bot.get_channel(thread.id) is None
    assert await refused(bot.fetch_channel(thread.id)) == 50001
    thread.let_in(discord_double.bot)
    joined = await bot.hears("thread_join")
    await joined.send("hello")
    thread.put_out(discord_double.bot)
    assert (await bot.hears("thread_remove")).id == thread.id
    assert await refused(joined.send("still here?")) == 50001


async def test_who_is_timed_out_may_only_look(
    discord_double: DiscordDouble, guild: Guild, anna: Person, channel: Channel, start: Start
) -> None:
    bert = discord_double.person("Bert")
    guild.join(bert)
    bot = await start()
    now = discord_double.world.now()
    for user in (bert, discord_double.bot):
        guild.time_out(user, now + timedelta(hours=1))
    assert (await bot.hears("member_update")).id == discord_double.bot.id
    assert bot.guilds[0].me.is_timed_out()
    assert await refused(bot.text_channel(channel).send("x")) == 50013
    with pytest.raises(ApiError):
        await bert.say(channel, "x")
    assert [each.content async for each in bot.text_channel(channel).history()] == []
    guild.time_out(discord_double.bot, None)
    guild.time_out(bert, now - timedelta(seconds=1))
    await bot.text_channel(channel).send("again")
    await bert.say(channel, "and I")
    assert anna.id in guild.members
