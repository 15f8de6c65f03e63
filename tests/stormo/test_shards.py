"""Discord's shards shared out between two processes: each listens to its own, one of them sends."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from core.types import Platform
from stormo.app import Stormo
from stormo.config import NoShare, parse, part
from stormo.health import Doing
from stormo.instance import KEY_FILE
from tests.doubles.discord import Channel, DiscordDouble, Person
from tests.stage import until
from tests.stormo.test_metrics import read

DISCORD = Platform("discord")
PARTS = ((0, 0, 2), (1, 1, 2))


class Halves:
    """Two processes on two machines, a guild on a shard of each, and Anna in both."""

    def __init__(self, folder: Path, database: str, double: DiscordDouble) -> None:
        self.folder = folder
        self.database = database
        self.double = double
        self.anna = double.person("Anna", username="anna")
        self.rooms: list[Channel] = []
        for number in (0, 1):
            guild = double.guild(f"Guild {number}", owner=self.anna, shard=(number, 2))
            self.rooms.append(guild.text_channel("general"))

    def app(self, number: int) -> Stormo:
        data = self.folder / str(number) / "data"
        data.mkdir(parents=True, exist_ok=True)
        key = self.folder / "0" / "data" / KEY_FILE
        if number and key.exists():
            shutil.copy(key, data / KEY_FILE)
        config = parse(
            f"""
            [data]
            dir = "{data}"
            [web]
            port = 0
            [database]
            url = "{self.database}"
            [room]
            quiet_hours = "off"
            hold_seconds = 0
            [discord]
            token = "{self.double.token}"
            api_url = "{self.double.api_url}"
            gateway_url = "{self.double.gateway_url}"
            cdn_url = "{self.double.cdn_url}"
            guild_ready_timeout = 0.05
            """,
            {},
        )
        return Stormo(part(config, PARTS[number]))

    async def asks(self, who: Person, room: Channel, command: str, **options: str) -> str:
        await self.double.until(lambda: self.double.world.commands[None], 20, "commands offered")
        answer = await who.slash(room, command, options)
        await answer.until(lambda now: now.content)
        return str(answer.content)

    def shown(self, room: Channel, words: str) -> int:
        return sum(words in message.text for message in self.double.visible(room))


@pytest.fixture
async def halves(tmp_path: Path, migrated_postgres_url: str) -> AsyncIterator[Halves]:
    async with DiscordDouble() as double:
        double.limits.shards, double.limits.max_concurrency = 2, 16
        yield Halves(tmp_path, migrated_postgres_url, double)
        assert double.violations == []


@pytest.mark.peer
@pytest.mark.timeout(120)
async def test_each_listens_to_its_own_and_one_of_them_sends_for_both(halves: Halves) -> None:
    double = halves.double
    async with halves.app(0) as first:
        await until(lambda: DISCORD in first.leases.platforms, "the first one's leases")
        async with halves.app(1) as second:
            for app in (first, second):
                await until(lambda app=app: app.health[DISCORD].doing is Doing.RUNNING, "both shards")  # type: ignore[misc]
            await double.until(lambda: len(double.gateway.sessions) == 2, 20, "two sessions")
            near, far = halves.rooms
            for room in (near, far):
                assert await halves.asks(halves.anna, room, "setup")
            assert await halves.asks(halves.anna, far, "join")
            assert await halves.asks(halves.anna, near, "mirror add", feed="@anna")
            assert await halves.asks(halves.anna, far, "post", text="from afar", visibility="public")
            await until(lambda: halves.shown(near, "from afar"), "the copy")
            assert DISCORD not in second.leases.platforms
            assert all(app.health[DISCORD].events for app in (first, second))
            assert (await read(first))["stormo_calls_in_vain_lately", "discord"] == double.in_vain == 0
    assert sorted(each["shard"] for each in double.gateway.identifies) == [[0, 2], [1, 2]]
    written = [route for method, route in double.requests if method == "PUT" and "commands" in route]
    assert len(written) == 1


@pytest.mark.peer
@pytest.mark.timeout(120)
async def test_their_sessions_begin_in_one_row_of_turns(halves: Halves) -> None:
    limits, gateway = halves.double.limits, halves.double.gateway
    limits.max_concurrency, limits.identify_seconds = 1, 5
    async with halves.app(0), halves.app(1):
        await halves.double.until(lambda: len(gateway.began) == 2, 30, "both sessions")
    assert gateway.too_soon == 0
    assert [shard for _, shard in gateway.began] in ([0, 1], [1, 0])


@pytest.mark.peer
@pytest.mark.timeout(120)
async def test_when_the_sender_ends_the_other_one_sends(halves: Halves) -> None:
    async with AsyncExitStack() as ends:
        sender = await ends.enter_async_context(halves.app(0))
        await until(lambda: DISCORD in sender.leases.platforms, "the lease")
        async with halves.app(1) as other:
            await until(lambda: other.health[DISCORD].doing is Doing.RUNNING, "the second shard")
            assert await halves.asks(halves.anna, halves.rooms[1], "whoami")
            await ends.aclose()
            await until(lambda: DISCORD in other.leases.platforms, "the lease of the one that is left")
            assert await halves.asks(halves.anna, halves.rooms[1], "whoami")
            assert len(halves.double.gateway.identifies) == 2


@pytest.mark.peer
@pytest.mark.timeout(120)
async def test_who_stands_by_for_a_range_sends_nothing(halves: Halves) -> None:
    async with AsyncExitStack() as ends:
        sender = await ends.enter_async_context(halves.app(0))
        await until(lambda: DISCORD in sender.leases.platforms, "the lease")
        assert await halves.asks(halves.anna, halves.rooms[0], "whoami")
        range_, life = f"{DISCORD} shards 1-1 of 2", timedelta(seconds=5)
        await sender.writer.submit(lambda unit: unit.leases.take(range_, "a third", "", life))
        async with halves.app(1) as waiting:
            health = waiting.health[DISCORD]
            await until(lambda: health.doing is Doing.STANDBY, "it stands by")
            await ends.aclose()
            await until(lambda: DISCORD in waiting.leases.platforms, "both leases")
            assert health.doing is not Doing.STANDBY


def test_a_part_is_for_several_processes_with_one_database(tmp_path: Path) -> None:
    discord = '[discord]\ntoken = "x"\n'
    shared = '[database]\nurl = "postgresql://stormo@localhost/stormo"\n'
    for text, why in ((discord, "shards.sqlite"), (shared, "shards.not_configured")):
        with pytest.raises(NoShare) as refused:
            part(parse(text, {}, base=tmp_path), PARTS[0])
        assert [fault.id for fault in refused.value.faults] == [why]
    made = part(parse(shared + discord, {}, base=tmp_path), PARTS[1])
    assert made.platforms["discord"]["part"] == PARTS[1]
