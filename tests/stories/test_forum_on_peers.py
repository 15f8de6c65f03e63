"""A forum of Discord as a mirror's place, on a real Synapse and both doubles, with `stormo run` as its own process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.doubles.discord import Channel, Permission
from tests.peers.synapse import SynapseServer
from tests.stage import Stage, until

pytestmark = [pytest.mark.peer, pytest.mark.timeout(300)]

THREADS = "/channels/{channel_id}/threads"


class ForumStage(Stage):
    """A forum mirrors Anna besides all else; an answer counts as lost soon."""

    def _write_config(self) -> None:
        super()._write_config()
        self.config.write_text(self.config.read_text().replace("[discord]", "[discord]\ncall_seconds = 1"))

    async def set_up(self) -> None:
        await super().set_up()
        role = self.guild.bot_role
        self.guild.set_permissions(role, role.permissions | Permission.MANAGE_THREADS)
        self.forum = self.guild.forum("talk")
        first = await self.bruno.begin_post(self.forum, "Set up", "This forum shows birds.")
        code = await self._code()
        await self.bruno.slash(first.channel, "setup", {"code": code})
        await self.bruno.slash(first.channel, "mirror add", {"feed": "@anna"})

    @property
    def posts(self) -> list[Channel]:
        """Those that came by the mirror: their author stands above their words."""
        shown = [(post, self.discord.visible(post)) for post in self.forum.posts]
        return [post for post, lines in shown if lines and lines[0].embeds and "author" in lines[0].embeds[0]]

    async def titled(self, *titles: str) -> None:
        await until(lambda: [post.name for post in self.posts] == list(titles), f"the posts {titles}")


@pytest_asyncio.fixture
async def stage(synapse: SynapseServer, tmp_path: Path) -> AsyncIterator[ForumStage]:
    async with ForumStage(synapse, tmp_path) as built:
        await built.set_up()
        yield built


async def test_each_post_of_the_feed_is_a_post_of_the_forum_with_its_answers_and_votes(
    stage: ForumStage,
) -> None:
    own = await stage.anna.send(stage.group, "/post The swifts are back, @bruno")
    await stage.titled("The swifts are back, @bruno")
    (thread,) = stage.posts
    copy = stage.discord.message(thread.id)
    assert copy.embeds[0]["description"] == f"The swifts are back, {stage.bruno.mention}"
    assert not copy.pinged
    await stage.bruno.react(copy, "👍")
    await until(lambda: "1 vote" in stage.discord.visible(thread)[0].text, "the vote on the forum's copy")
    await stage.bruno.say(thread, "I saw four of them", reply_to=copy)
    await until(lambda: stage.in_telegram(stage.mirror, "I saw four of them"), "the answer on Telegram")
    await until(lambda: stage.in_discord(stage.channels[0], "I saw four of them"), "the answer next door")
    await stage.bruno.say(thread, "a word among us")
    await stage.anna.edit(own, "/post The swifts have left")
    await stage.titled("The swifts have left")
    assert stage.in_telegram(stage.mirror, "a word among us") == 0
    await stage.anna.send(stage.group, "/delete", reply_to=own)
    await stage.titled()
    await until(lambda: not stage.in_discord(stage.channels[0], "have left"), "the withdrawal elsewhere")
    assert stage.doubts() == 0


async def test_a_post_begun_when_the_program_was_killed_stands_there_once(stage: ForumStage) -> None:
    def strike(method: str, route: str, _count: int) -> None:
        if (method, route) == ("POST", THREADS):
            stage.kill_now()

    for number, moment in enumerate((stage.discord.on_request, stage.discord.on_stored)):
        disarm = moment(strike)
        await stage.anna.send(stage.group, f"/post number {number}")
        await stage.dead()
        disarm()
        stage.discord.gateway.forget_sessions()
        await stage.start()
        await stage.titled(*(f"number {n}" for n in range(number + 1)))
    await stage.anna.send(stage.group, "/post the last")
    await stage.titled("number 0", "number 1", "the last")
    platforms = stage.ask("SELECT platform FROM doubts JOIN chats ON id = chat_id WHERE platform = 'discord'")
    assert platforms == []
