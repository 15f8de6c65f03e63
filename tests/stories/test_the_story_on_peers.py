"""The story that must always work, on a real Synapse and both doubles, with `stormo run` as a process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.peers.synapse import SynapseServer
from tests.program import Program
from tests.stage import Stage, until

pytestmark = [pytest.mark.peer, pytest.mark.timeout(300)]


@pytest_asyncio.fixture
async def stage(synapse: SynapseServer, tmp_path: Path, database_url: str) -> AsyncIterator[Stage]:
    async with Stage(synapse, tmp_path, database=database_url) as built:
        yield built


async def test_one_post_everywhere_one_vote_per_member(stage: Stage) -> None:
    await _story(stage)


async def test_the_same_by_three_processes(
    synapse: SynapseServer, tmp_path: Path, fresh_postgres_url: str
) -> None:
    async with Shared(synapse, tmp_path, database=fresh_postgres_url) as stage:
        await _story(stage)
        serving = {"telegram": "running", "discord": "running", "matrix": "running"}
        found = [(await program.page("/readyz"))[1] for program in stage.programs]
        assert [ready["status"] for ready in found] == ["ready"] * 3
        doing = {name: told["doing"] for ready in found for name, told in ready["platforms"].items()}
        assert doing == serving
        feeds = [(await program.page("/feeds"))[0] for program in stage.programs]
        assert feeds[:2] == [404, 404], "pages are the third one's"


class Shared(Stage):
    """Telegram in one process, Discord and Matrix in another, the pages in a third."""

    async def start(self) -> None:
        polls, readies = self.polls, len(self.discord.gateway.identifies)
        shares = ("telegram", "discord,matrix", "web")
        self.starts += 1
        self.programs = [
            Program(self.config, f"stormo-{self.starts}-{share}", "--only", share) for share in shares
        ]
        for program in self.programs:
            # The first one ever fills the database.
            await program.start()
        await until(lambda: self._heard(polls, readies), "the program's start")

    @property
    def running(self) -> bool:
        return self.starts > 0 and all(program.running for program in self.programs)

    def log(self) -> str:
        return "\n".join(program.log()[-2000:] for program in self.programs)

    async def stop(self) -> None:
        await asyncio.gather(*(program.stop() for program in self.programs if program.running))

    async def restart(self) -> None:
        await asyncio.gather(*(program.kill() for program in self.programs))
        self.discord.gateway.forget_sessions()
        await self.start()


async def _story(stage: Stage) -> None:
    await stage.set_up()
    everywhere = {"discord general": 1, "discord news": 1, "discord pictures": 1, "telegram": 1, "matrix": 1}

    post = await stage.anna.send(stage.group, "/post Hello, flock!")
    await stage.shows("Hello, flock!", everywhere)

    copy = await stage.chiara.wait_message(stage.room, "Hello, flock!")
    await stage.chiara.react(stage.room, copy.event_id, "👍")
    await stage.shows("1 vote", everywhere)

    await _chiara_taps_discord_too(stage)
    await stage.quiet()
    assert stage.ask("SELECT score, guests FROM posts") == [(1, 0)], "one member, one vote"

    await stage.anna.edit(post, "/post Hello, wide world!")
    await stage.shows("Hello, wide world!", everywhere)

    removed = stage.channels[1]
    gone = next(m for m in stage.discord.visible(removed) if "wide world" in m.text)
    await stage.bruno.delete(stage.discord.message(gone.id))
    await until(lambda: stage.ask("SELECT 1 FROM outbox WHERE state = 'removed'"), "the removal noticed")

    await stage.restart()
    await stage.anna.edit(post, "/post Hello again!")
    left = everywhere | {"discord news": 0}
    await stage.shows("Hello again!", left)

    await stage.anna.send(stage.group, "/delete", reply_to=post)
    await stage.shows("Hello again!", dict.fromkeys(everywhere, 0))
    assert stage.doubts() == 0
    assert stage.discord.refused == []
    assert stage.telegram.refused[429] == 0


async def _chiara_taps_discord_too(stage: Stage) -> None:
    """The same person, linked, votes on a Discord copy as well."""
    double = stage.discord.person("Chiara", username="chiara")
    stage.guild.join(double)
    asked = await double.slash(stage.channels[0], "whoami", {})
    assert asked.ephemeral
    direct = await stage.chiara.create_room("", invite=[stage.bot.user_id])
    await until(lambda: _in(stage, direct), "the bot in the private chat")
    await stage.chiara.say(direct, "!link")
    shown = await stage.chiara.wait_for(lambda: _code_in(stage, direct))
    await double.slash(stage.channels[0], "link", {"code": shown})
    await double.slash(stage.channels[0], "link", {"code": "yes"})
    await stage.chiara.wait_message(direct, "Chiara", 30)
    await stage.chiara.say(direct, "!link yes")
    await until(
        lambda: stage.ask("SELECT 1 FROM accounts GROUP BY member_id HAVING count(*) = 2"),
        "one member, two accounts",
    )
    copy = next(m for m in stage.discord.visible(stage.channels[0]) if "Hello, flock" in m.text)
    await double.react(stage.discord.message(copy.id), "❤")


async def _in(stage: Stage, room: str) -> bool:
    return stage.bot.user_id in await stage.chiara.members(room)


async def _code_in(stage: Stage, room: str) -> str:
    from tests.stage import CODE

    shown = await stage.chiara.visible(room)
    return next((c for m in shown if m.sender == stage.bot.user_id for c in CODE.findall(m.body)), "")
