"""What people do while nobody listens is caught up, on a real Synapse and both doubles, after a kill -9."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.peers.synapse import SynapseServer
from tests.stage import Stage, until

pytestmark = [pytest.mark.peer, pytest.mark.timeout(300)]


@pytest_asyncio.fixture
async def stage(synapse: SynapseServer, tmp_path: Path) -> AsyncIterator[Stage]:
    async with Stage(synapse, tmp_path) as built:
        await built.set_up()
        yield built


async def test_posts_edits_deletions_and_reactions_of_an_absence_are_caught_up(stage: Stage) -> None:
    everywhere = dict.fromkeys(await stage.counts(""), 1)
    kept = await stage.anna.send(stage.group, "/post kept")
    await stage.shows("kept", everywhere)
    doomed = await stage.anna.send(stage.group, "/post doomed")
    await stage.shows("doomed", everywhere)
    loved = await stage.chiara.wait_message(stage.room, "kept")
    taken_back = await stage.chiara.react(stage.room, loved.event_id, "👍")
    await until(lambda: stage.ask("SELECT 1 FROM posts WHERE score = 1"), "the vote")
    await stage.quiet()

    stage.kill_now()
    await stage.dead()
    stage.discord.gateway.forget_sessions()
    news = stage.channels[1]
    copies = {m.text: stage.discord.message(m.id) for m in stage.discord.visible(news)}
    await stage.anna.edit(kept, "/post kept and better")
    await stage.anna.send(stage.group, "/post brand new")
    await stage.bruno.react(next(m for text, m in copies.items() if "kept" in text), "❤")
    await stage.bruno.delete(next(m for text, m in copies.items() if "doomed" in text))
    await stage.chiara.redact(stage.room, taken_back)
    gone = await stage.chiara.wait_message(stage.room, "doomed")
    await stage.chiara.redact(stage.room, gone.event_id)

    await stage.start()
    await stage.shows("kept and better", everywhere)
    await stage.shows("brand new", everywhere)
    votes = "SELECT emoji FROM votes WHERE value = 1"
    await until(lambda: stage.ask(votes) == [("❤",)], "the thumb taken back, the heart given")
    await until(lambda: len(stage.ask("SELECT 1 FROM outbox WHERE state = 'removed'")) == 2, "the removals")
    await stage.anna.edit(doomed, "/post doomed no more")
    await stage.shows("doomed", everywhere | {"discord news": 0, "matrix": 0})
    assert await stage.matrix_copies("brand new") == 1
    assert (stage.doubts(), stage.telegram.refused[429]) == (0, 0)
