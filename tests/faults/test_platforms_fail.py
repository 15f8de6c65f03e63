"""What a platform does to calls and connections while the program goes on.

Nothing is lost by it, and nothing is doubled but where no key can tell, which is listed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.faults.conftest import Note
from tests.faults.flock import PLATFORMS, FlockStage, Post, Room
from tests.peers.matrix_proxy import MESSAGE, SYNC
from tests.stage import until

pytestmark = [pytest.mark.peer, pytest.mark.faults, pytest.mark.timeout(600)]

Fault = Callable[[FlockStage], object]

#: The message is stored; what the program hears of it, once.
AFTER: dict[str, dict[str, Fault]] = {
    "500 after it was stored": {
        "telegram": lambda stage: stage.telegram.fault("error_after", None),
        "discord": lambda stage: stage.discord.fault("error_after", route="/messages"),
        "matrix": lambda stage: stage.proxy.fail_after(MESSAGE),
    },
    "answer lost": {
        "telegram": lambda stage: stage.telegram.fault("drop_after", None),
        "discord": lambda stage: stage.discord.fault("drop_after", route="/messages"),
        # aiohttp repeats the first one of these by itself.
        "matrix": lambda stage: stage.proxy.drop_after(MESSAGE, times=2),
    },
}


def _other(platform: str) -> str:
    return PLATFORMS[PLATFORMS.index(platform) - 1]


async def test_stored_and_not_confirmed(flock_on_sqlite: FlockStage, note: Note) -> None:
    stage = flock_on_sqlite
    for name, by_platform in AFTER.items():
        for platform, strike in by_platform.items():
            post = Post(_other(platform), f"{name} {platform}")
            strike(stage)
            await stage.publish(post)
            counted = await stage.counted([post], name)
            strike(stage)
            post.text += " again"
            await stage.correct(post)
            counted += await stage.counted([post], name)
            note("platforms", name, platform, "sqlite", counted)


async def test_slower_than_anybody_waits(flock_on_sqlite: FlockStage, note: Note) -> None:
    stage = flock_on_sqlite
    stage.telegram.fault("hang_after", None)
    stage.discord.fault("silent_after", route="/messages")
    stage.proxy.delay(35, MESSAGE)
    posts = [Post(author, f"slow {author}") for author in PLATFORMS]
    for post in posts:
        await stage.publish(post)
    # A call is given up after 30 seconds at most; what a proxy kept back arrives when nobody waits for it any more.
    await until(lambda: not stage.ask("SELECT 1 FROM tries"), "no call under way", 90)
    note("platforms", "slower than anybody waits", "all", "sqlite", await stage.counted(posts, "slow"))


async def test_connections_cut_in_a_burst(flock_on_sqlite: FlockStage, note: Note) -> None:
    """People go on writing while gateway, long poll and sync are cut again and again."""
    stage = flock_on_sqlite
    posts: list[Post] = []
    for cut in _cuts(stage):
        for author in PLATFORMS:
            posts.append(Post(author, f"burst {len(posts):03} {author}"))
            await stage.publish(posts[-1])
        cut()
    counted = await stage.counted(posts, "cut")
    assert counted["surplus"] == 0
    note("platforms", "connections cut in a burst", "all", "sqlite", counted)


def _cuts(stage: FlockStage) -> Iterator[Callable[[], object]]:
    yield stage.discord.gateway.drop
    yield lambda: stage.telegram.fault("drop_after", "getUpdates")
    yield lambda: stage.proxy.drop_after(SYNC, times=2)
    yield stage.discord.gateway.invalidate
    yield lambda: stage.telegram.fault("drop_before", "getUpdates")
    yield lambda: stage.proxy.drop_before(SYNC, times=2)
    yield stage.discord.gateway.reconnect
    yield lambda: stage.telegram.fault("error_before", "getUpdates")
    yield lambda: stage.proxy.garble(SYNC)


async def test_a_storm_of_limits_in_one_room(flock_on_sqlite: FlockStage, note: Note) -> None:
    """It parks that room's lane, and no other one."""
    stage = flock_on_sqlite
    storm = stage.telegram.fault("flood", None, chat=stage.mirror, times=1000, retry_after=2)
    posts = [Post("discord", f"storm {number}") for number in range(5)]
    for post in posts:
        await stage.publish(post)
    there = next(room for room in stage.rooms if room.name == "mirror")
    others = [room for room in stage.rooms if room.name != "mirror" and stage.shows_copy(room, posts[0])]
    await until(lambda: _all_in(posts, others), "the other rooms")
    assert storm.struck
    assert not [text for text in await there.texts() if "storm" in text]
    stage.telegram.clear_faults()
    counted = await stage.counted(posts, "storm")
    assert (counted["surplus"], counted["in doubt"]) == (0, 0), "a 429 is an answer: nothing was stored"
    note("platforms", "a storm of 429s in one room", "telegram", "sqlite", counted)


async def _all_in(posts: list[Post], rooms: list[Room]) -> bool:
    shown = [await room.texts() for room in rooms]
    return all(any(post.words in text for text in texts) for post in posts for texts in shown)


async def test_a_storm_of_limits_everywhere(flock_on_sqlite: FlockStage, note: Note) -> None:
    stage = flock_on_sqlite
    stage.telegram.fault("flood", None, times=8)
    stage.discord.fault("rate_limit", route="/messages", times=8, everywhere=True)
    stage.proxy.limit(1000, MESSAGE, times=8)
    posts = [Post(author, f"everywhere {author} {number}") for author in PLATFORMS for number in range(3)]
    for post in posts:
        await stage.publish(post)
    counted = await stage.counted(posts, "storm")
    assert (counted["surplus"], counted["in doubt"]) == (0, 0), "a 429 is an answer: nothing was stored"
    note("platforms", "a storm of 429s everywhere", "all", "sqlite", counted)
