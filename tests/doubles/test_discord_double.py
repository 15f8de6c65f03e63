"""Messages, reactions, webhooks and rules of our double, driven by the real, unpatched discord.py."""

from __future__ import annotations

import io

import aiohttp
import discord
import pytest

from tests.conftest import needs_shared
from tests.doubles.discord import ApiError, Channel, DiscordDouble, Guild, Permission, Person, Pinged, Webhook
from tests.doubles.discord_bot import Start

pytestmark = pytest.mark.peer


async def test_a_bot_comes_in_and_knows_its_guilds(guild: Guild, channel: Channel, start: Start) -> None:
    bot = await start()
    assert bot.user is not None
    assert bot.user.name == "Stormo"
    assert [each.name for each in bot.guilds] == ["Birds"]
    assert bot.text_channel(channel).name == "general"
    assert bot.guilds[0].me.guild_permissions.manage_webhooks
    assert not bot.guilds[0].me.guild_permissions.mention_everyone


async def test_a_person_writes_and_the_bot_answers_edits_and_deletes(
    discord_double: DiscordDouble, anna: Person, channel: Channel, start: Start
) -> None:
    bot = await start()
    said = await anna.say(channel, "hello")
    heard = await bot.hears("message")
    assert (heard.id, heard.content, heard.author.display_name) == (said.id, "hello", "Anna")
    answer = await heard.reply("hi **Anna**")
    await answer.edit(content="hi!")
    shown = discord_double.visible(channel)
    assert [(each.author, each.content) for each in shown] == [("Anna", "hello"), ("Stormo", "hi!")]
    assert shown[1].reply_to == said.id
    assert shown[1].edited
    await answer.delete()
    assert [each.id for each in discord_double.visible(channel)] == [said.id]


async def test_edits_and_deletes_by_people_arrive_raw(
    discord_double: DiscordDouble, anna: Person, channel: Channel, start: Start
) -> None:
    one, two, three = [await anna.say(channel, text) for text in ("one", "two", "three")]
    bot = await start()
    await anna.edit(one, "uno")
    edited = await bot.hears("raw_message_edit")
    assert (edited.message_id, edited.message.content) == (one.id, "uno")
    await anna.delete(one)
    assert (await bot.hears("raw_message_delete")).message_id == one.id
    await anna.purge([two, three])
    assert (await bot.hears("raw_bulk_message_delete")).message_ids == {two.id, three.id}
    assert discord_double.visible(channel) == []


async def test_a_link_preview_and_a_pin_update_without_new_words(
    discord_double: DiscordDouble, anna: Person, channel: Channel, start: Start
) -> None:
    bot = await start()
    said = await anna.say(channel, "https://example.org")
    discord_double.preview_link(said, "https://example.org")
    preview = await bot.hears("raw_message_edit")
    assert preview.message.content == said.content
    assert preview.message.edited_at is None
    await anna.pin(said)
    assert (await bot.hears("raw_message_edit")).message.pinned
    assert [each.id async for each in bot.text_channel(channel).pins()] == [said.id]


async def test_reactions_of_people_and_of_the_bot(
    discord_double: DiscordDouble, guild: Guild, anna: Person, channel: Channel, start: Start
) -> None:
    bruno = discord_double.person("Bruno")
    guild.join(bruno)
    bot = await start()
    message = await bot.text_channel(channel).send("vote")
    await message.add_reaction("👍")
    ours = discord_double.message(message.id)
    await anna.react(ours, "👍")
    await bruno.react(ours, "👍")
    await bot.hears("raw_reaction_add")
    anna_added = await bot.hears("raw_reaction_add")
    assert (anna_added.user_id, str(anna_added.emoji), anna_added.member.name) == (anna.id, "👍", "anna")
    assert discord_double.visible(channel)[0].reactions == {"👍": 3}
    again = await bot.text_channel(channel).fetch_message(message.id)
    users = {each.id async for each in again.reactions[0].users(limit=3)}
    assert users == {discord_double.bot.id, anna.id, bruno.id}
    await anna.unreact(ours, "👍")
    assert (await bot.hears("raw_reaction_remove")).user_id == anna.id
    await anna.clear_reactions(ours, "👍")
    assert str((await bot.hears("raw_reaction_clear_emoji")).emoji) == "👍"
    await anna.clear_reactions(ours)
    assert (await bot.hears("raw_reaction_clear")).message_id == ours.id


async def test_the_twenty_first_emoji_is_refused(anna: Person, channel: Channel) -> None:
    message = await anna.say(channel, "so many")
    for code in range(20):
        await anna.react(message, chr(0x1F400 + code))
    with pytest.raises(ApiError, match="30010"):
        await anna.react(message, "👍")
    with pytest.raises(ApiError, match="10014"):
        await anna.react(await anna.say(channel, "x"), "thumb")
    assert len(message.reactions) == 20


async def test_history_is_read_in_every_direction(anna: Person, channel: Channel, start: Start) -> None:
    said = [await anna.say(channel, str(number)) for number in range(10)]
    text = (await start()).text_channel(channel)
    newest = [each.content async for each in text.history(limit=3)]
    assert newest == ["9", "8", "7"]
    after = [each.content async for each in text.history(limit=None, after=discord.Object(said[6].id))]
    assert after == ["7", "8", "9"]
    before = [each.content async for each in text.history(limit=2, before=discord.Object(said[2].id))]
    assert before == ["1", "0"]
    around = [each.content async for each in text.history(limit=3, around=discord.Object(said[5].id))]
    assert set(around) == {"4", "5", "6"}


async def test_a_nonce_guards_bot_sends(
    discord_double: DiscordDouble, channel: Channel, start: Start
) -> None:
    bot = await start()
    path = discord.http.Route("POST", "/channels/{channel_id}/messages", channel_id=channel.id)
    body = {"content": "once", "nonce": "a" * 25, "enforce_nonce": True}
    first = await bot.http.request(path, json=body)
    second = await bot.http.request(path, json=body | {"content": "twice"})
    assert first["id"] == second["id"]
    assert first["nonce"] == "a" * 25
    read = discord.http.Route("GET", "/channels/{channel_id}/messages", channel_id=channel.id)
    (there,) = await bot.http.request(read)
    assert "nonce" not in there, "history gives no nonce back"
    assert [each.content for each in discord_double.visible(channel)] == ["once"]
    assert discord_double.messages.deduplicated == 1
    discord_double.limits.nonce_seconds = 0
    third = await bot.http.request(path, json=body)
    assert third["id"] != first["id"]


async def test_a_webhook_speaks_under_any_name_and_never_deduplicates(
    discord_double: DiscordDouble, anna: Person, channel: Channel, start: Start
) -> None:
    bot = await start()
    webhook = await bot.text_channel(channel).create_webhook(
        name="Stormo", avatar=b"\x89PNG\r\n\x1a\npicture"
    )
    sent = await webhook.send("hello", username="Anna (@anna · Matrix)", wait=True)
    await webhook.send("hello", username="Anna (@anna · Matrix)", wait=True)
    shown = discord_double.visible(channel)
    assert [each.content for each in shown] == ["hello", "hello"]
    assert {(each.author, each.webhook_id) for each in shown} == {("Anna (@anna · Matrix)", webhook.id)}
    await sent.edit(content="hello!")
    assert discord_double.message(sent.id).content == "hello!"
    with pytest.raises(discord.Forbidden) as refusal:
        await bot.text_channel(channel).get_partial_message(sent.id).edit(content="mine")
    assert refusal.value.code == 50005
    await sent.delete()
    assert len(discord_double.visible(channel)) == 1
    assert [each.name for each in await bot.text_channel(channel).webhooks()] == ["Stormo"]


async def test_webhooks_have_limits_of_number_and_name(
    discord_double: DiscordDouble, channel: Channel, start: Start
) -> None:
    bot = await start()
    for name in ("My Discord friend", "clyde", "everyone"):
        with pytest.raises(discord.HTTPException) as refusal:
            await bot.text_channel(channel).create_webhook(name=name)
        assert refusal.value.code == 50035
    for number in range(15):
        made = Webhook(discord_double.world.ids.next(), channel, f"w{number}", discord_double.bot, None)
        discord_double.world.webhooks[made.id] = made
    with pytest.raises(discord.HTTPException) as refusal:
        await bot.text_channel(channel).create_webhook(name="one more")
    assert refusal.value.code == 30007


async def test_only_a_webhook_of_an_application_has_buttons(
    discord_double: DiscordDouble, anna: Person, channel: Channel, start: Start
) -> None:
    bot = await start()
    ours = await bot.text_channel(channel).create_webhook(name="Stormo")
    theirs = await anna.make_webhook(channel, "feed")
    button = {"type": 2, "style": 2, "label": "About", "custom_id": "about:x"}
    body = {"content": "hello", "components": [{"type": 1, "components": [button]}]}
    async with aiohttp.ClientSession() as session:
        for webhook in (ours, theirs):
            url = f"{discord_double.api_url}/webhooks/{webhook.id}/{webhook.token}"
            async with session.post(url, json=body, params={"wait": "true"}) as answer:
                assert answer.status == 200
    assert [bool(each.components) for each in discord_double.visible(channel)] == [True, False]
    tokens = {each.id: each.token for each in await bot.text_channel(channel).webhooks()}
    assert tokens == {ours.id: ours.token, theirs.id: None}


async def test_threads_take_messages_of_bots_and_webhooks(
    discord_double: DiscordDouble, anna: Person, channel: Channel, start: Start
) -> None:
    bot = await start()
    said = await anna.say(channel, "a long talk")
    heard = await bot.hears("message")
    thread = await heard.create_thread(name="talk")
    assert thread.id == said.id
    await thread.send("in here")
    webhook = await bot.text_channel(channel).create_webhook(name="Stormo")
    await webhook.send("me too", thread=thread, wait=True)
    inside = discord_double.world.channels[thread.id]
    assert [each.content for each in discord_double.visible(inside)] == ["in here", "me too"]
    other = await anna.open_thread(channel, "other")
    assert (await bot.hears("thread_create")).id == thread.id
    assert (await bot.hears("thread_create")).id == other.id


async def test_direct_messages(
    discord_double: DiscordDouble, guild: Guild, anna: Person, start: Start
) -> None:
    bot = await start()
    await anna.dm("psst")
    heard = await bot.hears("message")
    assert (heard.guild, heard.content) == (None, "psst")
    await heard.channel.send("yes?")
    assert [each.content for each in discord_double.visible(anna.direct_channel)] == ["psst", "yes?"]
    anna.accepts_dms = False
    with pytest.raises(discord.Forbidden) as refusal:
        await heard.author.send("hello?")
    assert refusal.value.code == 50007


async def test_files_travel_with_alt_texts_and_links_expire(
    discord_double: DiscordDouble, anna: Person, channel: Channel, start: Start
) -> None:
    bot = await start()
    file = discord.File(io.BytesIO(b"\x00bird"), "bird.png", description="a bird")
    sent = await bot.text_channel(channel).send("look", file=file)
    assert discord_double.visible(channel)[0].attachments == {"bird.png": b"\x00bird"}
    attachment = sent.attachments[0]
    assert (attachment.description, attachment.size) == ("a bird", 5)
    assert await attachment.read() == b"\x00bird"
    async with aiohttp.ClientSession() as session, session.get(attachment.url.partition("?")[0]) as answer:
        assert answer.status == 404
    await anna.say(channel, files={"song.ogg": b"tweet"})
    await bot.hears("message")
    heard = await bot.hears("message")
    assert await heard.attachments[0].read() == b"tweet"


async def test_who_would_be_pinged(
    discord_double: DiscordDouble, guild: Guild, anna: Person, channel: Channel, start: Start
) -> None:
    bot = await start()
    guild.set_permissions(guild.bot_role, guild.bot_role.permissions | Permission.MENTION_EVERYONE)
    text = f"@everyone look {anna.mention}"
    quiet = await bot.text_channel(channel).send(text)
    assert not discord_double.message(quiet.id).pinged
    loud = await bot.text_channel(channel).send(text, allowed_mentions=discord.AllowedMentions.all())
    pinged = discord_double.message(loud.id).pinged
    assert pinged == Pinged(everyone=True, users=frozenset({anna.id}))
    webhook = await bot.text_channel(channel).create_webhook(name="Stormo")
    async with aiohttp.ClientSession() as session:
        await session.post(
            f"{discord_double.api_url}/webhooks/{webhook.id}/{webhook.token}", json={"content": text}
        )
    careless = discord_double.visible(channel)[-1]
    assert discord_double.message(careless.id).pinged.everyone


@pytest.mark.parametrize(
    ("body", "code", "where"),
    [
        ({"content": " \n"}, 50006, None),
        ({"content": "x" * 2001}, 50035, "content"),
        ({"embeds": [{"title": "x" * 257}]}, 50035, "embeds"),
        ({"embeds": [{"description": "x" * 4000}, {"description": "x" * 2001}]}, 50035, "embeds"),
        ({"content": "x", "nonce": "y" * 26}, 50035, "nonce"),
        ({"content": "x", "components": [{"type": 1, "components": []}]}, 50035, "components"),
        ({"content": "x", "message_reference": {"message_id": "1"}}, 50035, "message_reference"),
    ],
)
async def test_bad_bodies_are_refused_with_the_place_of_the_fault(
    discord_double: DiscordDouble, channel: Channel, body: dict[str, object], code: int, where: str | None
) -> None:
    headers = {"Authorization": f"Bot {discord_double.token}"}
    url = f"{discord_double.api_url}/channels/{channel.id}/messages"
    async with aiohttp.ClientSession() as session, session.post(url, json=body, headers=headers) as answer:
        refusal = await answer.json()
    assert (answer.status, refusal["code"]) == (400, code)
    assert list(refusal.get("errors", {})) == ([where] if where else [])
    assert answer.headers["Content-Type"] == "application/json"
    assert discord_double.visible(channel) == []
    assert [each.code for each in discord_double.errors] == [code]


async def test_permissions_decide(
    discord_double: DiscordDouble, guild: Guild, anna: Person, channel: Channel, start: Start
) -> None:
    bot = await start()
    hers = await anna.say(channel, "mine")
    text = bot.text_channel(channel)

    async def code(act: object) -> int:
        with pytest.raises(discord.HTTPException) as refusal:
            await act  # type: ignore[misc]
        return refusal.value.code

    channel.overwrite(guild.bot_role, deny=Permission.SEND_MESSAGES)
    assert await code(text.send("x")) == 50013
    channel.overwrite(guild.bot_role, deny=Permission.EMBED_LINKS | Permission.MANAGE_MESSAGES)
    assert await code(text.send(embed=discord.Embed(title="x"))) == 50013
    assert await code(text.get_partial_message(hers.id).delete()) == 50013
    assert await code(text.get_partial_message(hers.id).edit(content="x")) == 50005
    assert await code(text.fetch_message(1)) == 10008
    channel.overwrite(guild.bot_role, deny=Permission.VIEW_CHANNEL)
    assert await code(text.send("x")) == 50001
    channel.remove()
    assert await code(text.send("x")) == 10003
    guild.remove_bot()
    assert await code(bot.http.get_guild(guild.id)) == 50001


async def test_a_wrong_token_is_401(discord_double: DiscordDouble, pointed: None) -> None:
    client = discord.Client(intents=discord.Intents.none())
    with pytest.raises(discord.LoginFailure):
        await client.login("wrong")
    await client.close()
    assert [each.status for each in discord_double.errors] == [401]


@needs_shared
async def test_what_the_description_forbids_is_noted(channel: Channel, anna: Person) -> None:
    async with DiscordDouble() as double:
        assert double.validates
        owner = double.person("Otto")
        where = double.guild("Fish", owner=owner).text_channel("sea")
        said = await owner.say(where, "blub")
        said.tts = "yes"  # type: ignore[assignment]
        headers = {"Authorization": f"Bot {double.token}"}
        url = f"{double.api_url}/channels/{where.id}/messages"
        async with aiohttp.ClientSession() as session:
            await session.get(url, headers=headers)
            await session.get(f"{double.api_url}/voice/regions", headers=headers)
        assert [(each.direction, each.where) for each in double.violations] == [("reply", "0/tts")]
        assert double.not_done == ["GET /voice/regions"]
