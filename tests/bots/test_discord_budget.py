"""How often Discord is called, and what happens when too many calls are in vain."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

import discord
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.discord.bot import DiscordAdapter
from bots.discord.budget import CALLS, Budget
from bots.discord.identify import Advice, advice
from bots.discord.rest import Rest
from core.errors import Rejected, RetryLater
from core.events import CommandInvoked, Inbound, ReactorsFound
from core.intents import Tell
from core.ports import WatchedMessage
from core.types import ChatRef
from tests.bots.discord_scene import DISCORD, Scene, a_scene, create, running, view
from tests.doubles.discord import Permission, Rate
from tests.stalls import stalls


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with a_scene() as scene:
        yield scene


@dataclass
class Time:
    seconds: float = 1000.0

    def __call__(self) -> float:
        return self.seconds


def _seconds(later: RetryLater) -> float:
    """After which it may be tried again: always said, and for all chats."""
    if later.after is None or not later.whole_token:
        raise later
    return later.after.total_seconds()


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 400)), max_size=300))
async def test_never_more_than_forty_in_any_second_whenever_they_arrive(steps: list[tuple[int, int]]) -> None:
    """A call arrives between its start and its answer; what takes longer has arrived a quarter of a second later."""
    time = Time()
    budget = Budget(now=time)
    calls: list[tuple[float, float]] = []
    for pause, taken in steps:
        time.seconds += pause / 1000
        try:
            place = budget.take()
        except RetryLater as later:
            time.seconds += _seconds(later) + 0.000_001
            place = budget.take()
        began = time.seconds
        if taken <= 20:
            time.seconds += taken / 1000
            budget.end(place)
        calls.append((began, min(place, began + taken / 1000) if taken <= 20 else place))
    latest = sorted(arrived for _, arrived in calls)
    for number, (began, _) in enumerate(calls[CALLS.count :]):
        assert began >= latest[number] + 1 - 1e-6


def test_without_a_place_it_says_when_there_is_one() -> None:
    time = Time()
    budget = Budget(now=time)
    for _ in range(CALLS.count):
        budget.end(budget.take())
    time.seconds += 0.25
    with pytest.raises(RetryLater) as later:
        budget.take()
    assert later.value.after == timedelta(seconds=0.75)
    assert (later.value.whole_token, later.value.unknown, later.value.too_many) == (True, False, False)
    time.seconds += 0.75
    budget.take()


async def test_reads_leave_room_for_sends() -> None:
    time = Time()
    budget = Budget(now=time, reads=10)
    for _ in range(10):
        budget.end(await budget.read())
    eleventh = asyncio.create_task(budget.read())
    await asyncio.sleep(0)
    for _ in range(30):
        budget.take()
    with pytest.raises(RetryLater):
        budget.take()
    assert not eleventh.done()
    time.seconds += 1.25
    assert await asyncio.wait_for(eleventh, 5) > time.seconds


@pytest.mark.peer
async def test_who_would_not_come_again_waits_in_line_with_reads(scene: Scene) -> None:
    """How many shards there are and how many sessions the day has left is asked however much is being sent."""
    time, double = Time(), scene.double
    budget = Budget(now=time)
    rest = Rest(double.api_url, double.token, budget=budget)
    for _ in range(CALLS.count):
        budget.end(budget.take())
    asked = asyncio.create_task(advice(rest))
    await asyncio.sleep(0)
    assert double.requests == []
    time.seconds += 1.25
    assert await asyncio.wait_for(asked, 5) == Advice(double.limits.shards, double.limits.max_concurrency)
    await rest.close()


def test_calls_in_vain_are_those_that_discord_counts() -> None:
    budget = Budget(now=Time())
    for status, scope in ((200, None), (400, None), (404, None), (500, None), (429, "shared")):
        budget.answered(status, scope)
    assert budget.in_vain == 0
    for status, scope in ((401, None), (403, None), (429, None), (429, "user"), (429, "global")):
        budget.answered(status, scope)
    assert budget.in_vain == 5


def test_the_more_calls_are_in_vain_the_longer_is_the_pause_after_each() -> None:
    time = Time()
    budget = Budget(now=time, slow_from=100, stop_at=300)
    for wanted, more in ((0, 100), (0.5, 100), (0.995, 99)):
        time.seconds += 2
        for _ in range(more):
            budget.answered(403, None)
        budget.end(budget.take())
        if wanted:
            with pytest.raises(RetryLater) as later:
                budget.take()
            assert later.value.after == timedelta(seconds=wanted)
            time.seconds += wanted
        budget.take()


def test_near_the_ban_everything_stops_until_the_ten_minutes_have_emptied(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    time = Time()
    budget = Budget(now=time, slow_from=100, stop_at=300)
    for many in (150, 150):
        for _ in range(many):
            budget.answered(429, "user")
        time.seconds += 60
    with pytest.raises(RetryLater) as later:
        budget.take()
    # The first half falls out of them after 480 seconds, which still leaves more than a hundred.
    assert later.value.after == timedelta(seconds=540)
    assert "100 calls in vain" in caplog.text
    assert "300 calls in vain" in caplog.text
    time.seconds += 539
    assert budget.in_vain == 150
    with pytest.raises(RetryLater):
        budget.take()
    time.seconds += 1
    budget.take()
    assert budget.in_vain == 0
    # Slowing down is said once a minute.
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING", "ERROR", "WARNING"]


def test_who_only_ever_calls_in_vain_settles_far_from_the_ban() -> None:
    """An hour in which every call that may be made is made, and answered with 403."""
    time = Time()
    budget, seen = Budget(now=time), []
    while time.seconds < 4600:
        try:
            budget.end(budget.take())
        except RetryLater as later:
            time.seconds += _seconds(later) + 0.000_001
        else:
            budget.answered(403, None)
            seen.append(budget.in_vain)
    assert 4000 < max(seen) < 4200
    assert seen[-1] < 3000


@pytest.mark.peer
@pytest.mark.timeout(60)
async def test_the_double_never_sees_more_than_forty_in_a_second(scene: Scene) -> None:
    """Sends to many channels while what was missed is read, and every call has its place."""
    scene.double.limits.messages = scene.double.limits.edits = (Rate(1000, 1.0),)
    scene.double.limits.others = (Rate(1000, 1.0),)
    channels = [scene.guild.text_channel(f"room-{number}") for number in range(20)]
    origins = [await scene.anna.say(scene.channel, f"old {number}") for number in range(15)]
    scene.gate.recent = [WatchedMessage(scene.ref(origin), ours=False) for origin in origins]
    adapter = scene.another(catchup_reads=10)

    async def send(channel: ChatRef, number: int) -> None:
        while True:
            try:
                await adapter.perform(create(channel, f"line {number} in {channel.key}"))
            except RetryLater as later:
                await asyncio.sleep(_seconds(later))
            else:
                return

    async with stalls() as late, running(scene, adapter):
        refs = [ChatRef(DISCORD, str(channel.id)) for channel in channels]
        await asyncio.gather(*(send(ref, number) for number in range(5) for ref in refs))
        first = scene.ref(origins[0])
        await scene.gate.until(ReactorsFound, lambda event: event.message == first)
    assert [len(scene.double.visible(channel)) for channel in channels] == [5] * 20
    assert scene.double.busiest(late.second) <= 40
    assert scene.double.busiest(3.0) <= 160
    assert scene.double.refused == []


@pytest.mark.peer
@pytest.mark.timeout(60)
async def test_both_ways_of_calling_count_what_is_in_vain_and_interactions_go_on(scene: Scene) -> None:
    scene.double.limits.messages = (Rate(1000, 1.0),)
    closed = scene.guild.text_channel("closed")
    await scene.anna.say(closed, "missed")
    closed.overwrite(scene.guild.bot_role, deny=Permission.VIEW_CHANNEL)
    scene.gate.watched = [ChatRef(DISCORD, str(closed.id))]
    scene.gate.bookmarks[f"discord:{closed.id}"] = "1"
    adapter = scene.another(vain_calls=3, vain_stop=9)
    in_vain = adapter.capabilities.in_vain
    assert in_vain is not None
    scene.gate.on_event = _answering(adapter)
    async with running(scene, adapter):
        await scene.double.until(lambda: scene.double.in_vain, 10, "the closed channel was read")
        while scene.double.in_vain < 9:
            try:
                await adapter.perform(create(ChatRef(DISCORD, str(closed.id)), "x"))
            except RetryLater as later:
                await asyncio.sleep(_seconds(later))
            except Rejected:
                assert in_vain() == scene.double.in_vain
        with pytest.raises(RetryLater) as stopped:
            await adapter.perform(create(scene.chat, "to whom it may concern"))
        assert stopped.value.after is not None
        assert stopped.value.after > timedelta(minutes=9)
        assert stopped.value.whole_token
        answer = await scene.anna.slash(scene.channel, "whoami")
    assert answer.content == "You."
    assert scene.double.in_vain == in_vain() == 9


@pytest.mark.peer
async def test_a_rest_that_was_asked_of_reads_is_kept_by_sends_too(scene: Scene) -> None:
    await scene.anna.say(scene.channel, "missed")
    scene.gate.watched = [scene.chat]
    scene.gate.bookmarks[f"discord:{scene.channel.id}"] = "1"
    fault = scene.double.fault("rate_limit", method="GET", route="/messages", seconds=30, everywhere=True)
    async with running(scene):
        await scene.double.until(lambda: fault.hits and scene.double.refused, 10, "the refusal")
        with pytest.raises(RetryLater) as later:
            await _send_for_ever(scene)
    assert later.value.whole_token
    assert _seconds(later.value) > 20
    assert len(scene.double.refused) == 1


@pytest.mark.peer
async def test_a_rest_that_the_proxy_asks_of_reads_is_kept_by_sends_too(scene: Scene) -> None:
    scene.double.limits.via_header = False
    await scene.anna.say(scene.channel, "missed")
    scene.gate.watched = [scene.chat]
    scene.gate.bookmarks[f"discord:{scene.channel.id}"] = "1"
    scene.double.fault("rate_limit", method="GET", route="/messages", seconds=30)
    with pytest.raises(discord.HTTPException):
        await asyncio.wait_for(scene.adapter.run(scene.gate), 10)
    with pytest.raises(RetryLater) as later:
        await scene.adapter.perform(create(scene.chat, "x"))
    assert later.value.whole_token
    assert _seconds(later.value) > 10


async def _send_for_ever(scene: Scene) -> None:
    while True:
        await scene.adapter.perform(create(scene.chat, "x"))


def _answering(adapter: DiscordAdapter) -> Callable[[Inbound], Awaitable[None]]:
    async def answer(event: Inbound) -> None:
        if isinstance(event, CommandInvoked):
            where, who = event.place.chat, event.actor.account
            await adapter.perform(Tell("answer", where, who, view("You."), handle=event.handle))

    return answer
