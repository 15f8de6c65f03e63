"""One account's calls to a homeserver: when those that change something are done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.test_utils import TestServer

from bots.matrix.homeserver import Homeserver, Login

LONG = 60.0


class Slow:
    """A homeserver that answers a change when it is told to, and all else at once."""

    def __init__(self) -> None:
        self.asked, self.may_answer = asyncio.Event(), asyncio.Event()

    async def answer(self, request: web.Request) -> web.Response:
        if request.method == "PUT":
            self.asked.set()
            await self.may_answer.wait()
        return web.json_response({})

    @asynccontextmanager
    async def called(self) -> AsyncIterator[Homeserver]:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self.answer)
        async with TestServer(application) as server:
            homeserver = Homeserver(str(server.make_url("")), Login(user="@bot:here", token="secret"))
            try:
                yield homeserver
            finally:
                await homeserver.close()


async def test_who_waits_for_a_change_comes_after_it() -> None:
    slow = Slow()
    async with slow.called() as homeserver:
        waiting = asyncio.create_task(homeserver.settled(LONG, LONG))
        change = asyncio.create_task(homeserver.call("PUT", "/rooms/r/send/m.room.message/1", {}))
        await slow.asked.wait()
        await homeserver.call("GET", "/sync")
        before = waiting.done()
        slow.may_answer.set()
        await asyncio.gather(waiting, change)
    assert not before


async def test_nobody_waits_for_what_does_not_begin_or_does_not_end() -> None:
    slow = Slow()
    async with slow.called() as homeserver:
        await homeserver.settled(0.0, LONG)
        change = asyncio.create_task(homeserver.call("PUT", "/rooms/r/send/m.room.message/1", {}))
        await slow.asked.wait()
        await homeserver.settled(LONG, 0.0)
        assert not change.done()
        slow.may_answer.set()
        await change
