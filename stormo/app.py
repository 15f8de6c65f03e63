"""The program: everything wired and running, ``async with Stormo(config) as app``, until it is left."""

from __future__ import annotations

import asyncio
import logging
import random
import socket
from collections.abc import Coroutine, Mapping
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from types import TracebackType
from typing import Any, Final, Self

from aiohttp import web

from core.courier import Courier
from core.errors import BadToken, ConfigError, StormoError
from core.media import Fetcher
from core.ports import Adapter, Clock
from core.social.relays import declare
from core.types import FILES, ChatId, Platform
from storage.database import Readers
from storage.writer import Writer
from stormo import lock
from stormo.config import Config
from stormo.gate import EngineGate
from stormo.health import Doing, Health
from stormo.instance import Instance
from stormo.probing import Prober
from stormo.site import listening, make_site

log = logging.getLogger(__name__)

_FIRST_PAUSE: Final = timedelta(seconds=1)
_LONGEST_PAUSE: Final = timedelta(minutes=1)
#: After so long without a fault an adapter's next one is a first one again.
_SOUND: Final = timedelta(minutes=2)
_HOUSEKEEPING: Final = timedelta(minutes=10)
#: How soon the serving process notices what a tool beside it changed.
_NUDGED: Final = timedelta(seconds=2)
#: Seconds for calls under way when the program is asked to end, and for the adapters and pages to close after them.
_DRAIN_SECONDS: Final = 6.0
_CLOSE_SECONDS: Final = 2.0
#: The name in ``meta`` under which tools leave a new value when the courier should look at everything again.
NUDGE: Final = "nudge"


class Stormo:
    """One serving process.

    ``address``: host and port of the pages. ``health``: by platform. Raises on entry ``lock.InUse``,
    ``site.PortInUse``, ``storage.migrate.NewerDatabase`` and whatever the database says, having touched nothing.
    """

    instance: Instance
    gate: EngineGate
    courier: Courier
    fetcher: Fetcher
    address: tuple[str, int]

    def __init__(self, config: Config, *, clock: Clock | None = None) -> None:
        self.config = config
        self.health: dict[Platform, Health] = {}
        self.ended = asyncio.Event()
        self._clock = clock
        self._tasks: list[asyncio.Task[None]] = []
        self._stack = AsyncExitStack()

    @property
    def adapters(self) -> Mapping[Platform, Adapter]:
        return self.instance.adapters

    @property
    def readers(self) -> Readers:
        return self.instance.readers

    @property
    def writer(self) -> Writer:
        return self.instance.writer

    @property
    def clock(self) -> Clock:
        return self.instance.clock

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            stack.enter_context(lock.held(self.config.data, self.config.database_url))
            sock = stack.enter_context(listening(self.config.web))
            self.address = sock.getsockname()[:2]
            await self._wire(stack, sock)
            self._start(self.courier.run(), "courier")
            self._start(self.fetcher.run(), "files")
            self._start(self._housekeep(), "housekeeping")
            self._start(self._watch_nudges(), "nudges")
            self._start(self._prober().run(), "lost rooms")
            for platform, adapter in self.adapters.items():
                self.health[platform] = Health(self.clock, adapter.capabilities.deaf_after)
                self._start(self._supervise(platform, adapter), f"adapter {platform}")
            # From here on `__aexit__` unwinds; before, a fault does.
            self._stack = stack.pop_all()
        return self

    async def _wire(self, stack: AsyncExitStack, sock: socket.socket) -> None:
        host, port = self.address
        own = f"http://{f'[{host}]' if ':' in host else host}:{port}" if self.config.playground else ""
        self.instance = await stack.enter_async_context(
            Instance(self.config, clock=self._clock, public_url=own, woken=self._wake)
        )
        self.gate = EngineGate(self.writer, self.readers, self.instance.engine)
        await self._declare_relays()
        self.courier = Courier(
            adapters=self.adapters,
            writer=self.writer,
            engine=self.instance.engine,
            words=self.instance.words,
            clock=self.clock,
            counts=self.instance.counts,
        )
        self.fetcher = Fetcher(
            adapters=self.adapters,
            writer=self.writer,
            rules=self.instance.rules.media,
            clock=self.clock,
        )
        runner = web.AppRunner(make_site(self.instance, self.health), access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.SockSite(runner, sock).start()

    async def _declare_relays(self) -> None:
        rules, groups = self.instance.rules, self.config.relays
        elsewhere = await self.writer.submit(
            lambda unit: [room for rooms in groups for room in declare(unit, rules, rooms)]
        )
        for room in elsewhere:
            log.warning("%s:%s belongs to another community: its talk stays there", room.platform, room.key)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Lets calls under way end and be recorded, within ten seconds; what is left stays an open try."""
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(_DRAIN_SECONDS):
                    await self.courier.drain()
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks, timeout=_CLOSE_SECONDS)
        finally:
            await self._stack.aclose()

    def _wake(self, chats: frozenset[ChatId]) -> None:
        if hasattr(self, "courier"):
            self.courier.wake(chats - {FILES})
        if FILES in chats and hasattr(self, "fetcher"):
            self.fetcher.wake()

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._over)
        self._tasks.append(task)

    def _over(self, task: asyncio.Task[None]) -> None:
        """A task without which nothing is served has failed: the program ends rather than half-live."""
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s failed", task.get_name(), exc_info=error)
            self.ended.set()

    # -- what runs --------------------------------------------------------------------------------------------------

    async def _supervise(self, platform: Platform, adapter: Adapter) -> None:
        """Keeps one adapter running. A fault of one platform is no fault of the others."""
        health, pause = self.health[platform], _FIRST_PAUSE
        gate = self.gate.of(health)
        while True:
            health.begin()
            try:
                await adapter.run(gate)
                reason = "it stopped listening"
            except (BadToken, ConfigError) as error:
                health.fail(Doing.STOPPED, self._say(error))
                log.error("%s: %s", adapter.capabilities.label, health.reason)  # noqa: TRY400
                return
            except Exception as error:
                reason = f"{type(error).__name__}: {error}"
                log.debug("%s", adapter.capabilities.label, exc_info=error)
            if self.clock.monotonic() - health.began_at > _SOUND.total_seconds():
                pause = _FIRST_PAUSE
            health.fail(Doing.WAITING, reason)
            wait = pause * random.uniform(0.75, 1.25)  # noqa: S311
            label = adapter.capabilities.label
            log.warning("%s: %s; again in %.1f s", label, reason, wait.total_seconds())
            await self._wait(wait)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _say(self, error: BadToken | ConfigError) -> str:
        messages = error.faults if isinstance(error, ConfigError) else (error.message,)
        return " ".join(self.instance.words(fault, self.config.coop.language) for fault in messages)

    def _prober(self) -> Prober:
        return Prober(adapters=self.adapters, gate=self.gate, lost=self.gate.lost_chats, clock=self.clock)

    async def _housekeep(self) -> None:
        while True:
            try:
                await self.writer.submit(self.instance.engine.housekeep)
                await self.fetcher.sweep()
            except (StormoError, OSError) as error:
                log.warning("housekeeping: %s", error)
            await self._wait(_HOUSEKEEPING)

    async def _watch_nudges(self) -> None:
        """Tools beside this process change rows; the courier learns of it here."""
        known = await self.gate.meta(NUDGE)
        while True:
            await self._wait(_NUDGED)
            with suppress(Exception):
                value = await self.gate.meta(NUDGE)
                if value != known:
                    known = value
                    waiting = await self.readers.read(lambda unit: unit.delivery.waiting())
                    self.courier.wake(frozenset(waiting))

    async def _wait(self, time: timedelta) -> None:
        await self.clock.wait(asyncio.Event(), self.clock.now() + time)
