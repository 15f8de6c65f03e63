"""kill -9 while a webhook's send is under way, and again while it is looked for: exactly one copy, and no doubt."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from tests.doubles.discord import Permission
from tests.doubles.discord.rest.webhooks import BY_TOKEN
from tests.faults.conftest import SEED, WHOLE, Note
from tests.faults.launch import QuickStage
from tests.faults.matrix import LOST
from tests.peers.synapse import SynapseServer
from tests.stage import until

pytestmark = [pytest.mark.peer, pytest.mark.timeout(1200)]


@dataclass(frozen=True)
class Lost:
    """``stored``: whether the send took effect. ``point``: where the program ends once more, if it does."""

    stored: bool
    point: str = ""

    def __str__(self) -> str:
        return f"{'stored' if self.stored else 'never stored'}, {self.point or 'looked for at once'}"


class VoicedStage(QuickStage):
    """Anna's posts stand in the first two channels in her own name; an answer counts as lost soon."""

    def _write_config(self) -> None:
        super()._write_config()
        self.config.write_text(self.config.read_text().replace("[discord]", "[discord]\ncall_seconds = 1"))

    async def set_up(self) -> None:
        await super().set_up()
        for channel in self.channels[:2]:
            await self.bruno.slash(channel, "mirror look", {"name": "author"})

    async def post(self, words: str) -> None:
        await self.anna.send(self.group, f"/post {words}")
        await until(lambda: self.ask(f"SELECT 1 FROM revisions WHERE source = '{words}'"), words)

    def on_discord(self) -> int:
        """How many sends are in doubt there: Telegram, which knows no key, has its own."""
        return len(self.ask("SELECT 1 FROM doubts JOIN chats ON id = chat_id WHERE platform = 'discord'"))

    async def killed_at_a_webhook(self, words: str, *, stored: bool) -> None:
        """The program ends when a webhook's send was stored, or has only arrived."""

        def strike(method: str, route: str, _count: int) -> None:
            if (method, route) == ("POST", BY_TOKEN):
                self.kill_now()

        disarm = (self.discord.on_stored if stored else self.discord.on_request)(strike)
        await self.post(words)
        await self.dead()
        disarm()


@pytest_asyncio.fixture
async def stage(homeserver: SynapseServer, tmp_path: Path) -> AsyncIterator[VoicedStage]:
    async with VoicedStage(homeserver, tmp_path, limited=False) as built:
        await built.set_up()
        yield built


async def test_a_few_lost_sends(stage: VoicedStage, note: Note) -> None:
    await _play(stage, [Lost(stored=True), Lost(stored=False)], note)


@pytest.mark.faults
async def test_lost_sends_and_another_end_while_they_are_looked_for(stage: VoicedStage, note: Note) -> None:
    every = [Lost(stored, point) for point in LOST for stored in (True, False)]
    await _play(stage, every if WHOLE else random.Random(SEED).sample(every, 3), note)


@pytest.mark.faults
async def test_where_history_may_not_be_read_each_surplus_is_listed(stage: VoicedStage, note: Note) -> None:
    role, words = stage.guild.bot_role, "flight in the dark"
    await stage.killed_at_a_webhook(words, stored=True)
    for channel in stage.channels:
        channel.overwrite(role, deny=Permission.READ_MESSAGE_HISTORY)
    await stage.restart()
    await stage.quiet()
    surplus = sum(stage.in_discord(channel, words) - 1 for channel in stage.channels)
    doubts = stage.on_discord()
    assert 1 <= surplus <= doubts, stage.log()
    note("lost sends", "no history", "discord", "sqlite", Counter({"surplus": surplus, "in doubt": doubts}))


async def _play(stage: VoicedStage, rounds: list[Lost], note: Note) -> None:
    for number, one in enumerate(rounds):
        words = f"flight {number} lost"
        if not stage.running:
            await stage.start()
        await stage.killed_at_a_webhook(words, stored=one.stored)
        if one.point:
            stage.launch(LOST[one.point].format(x="discord"))
            await stage.dead()
        await stage.restart()
        await stage.quiet()
        shown = [stage.in_discord(channel, words) for channel in stage.channels]
        assert shown == [1, 1, 1], (str(one), shown, stage.log())
        by_webhooks = [
            m.author for c in stage.channels[:2] for m in stage.discord.visible(c) if words in m.text
        ]
        assert by_webhooks == ["@anna · Telegram"] * 2, (str(one), by_webhooks)
        assert stage.on_discord() == 0, (str(one), stage.log())
        note("lost sends", str(one), "discord", "sqlite", Counter(rounds=1, copies=len(shown)))
