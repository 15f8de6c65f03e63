"""The program: everything wired and running, ``async with Stormo(config) as app``, until it is left."""

from __future__ import annotations

import asyncio
import logging
import random
import socket
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from datetime import datetime, timedelta
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

from aiohttp import web

from core.courier import Courier
from core.errors import BadToken, ConfigError, LeaseLost, StormoError
from core.leases import Leases
from core.media import Fetcher
from core.ports import Adapter, Clock
from core.records import Chat
from core.social.relays import declare
from core.stores import EVER
from core.types import FILES, ChatId, Platform
from storage.database import Readers, normalised
from storage.writer import Writer
from stormo import lock
from stormo.config import Config
from stormo.gate import EngineGate
from stormo.health import Doing, Health
from stormo.instance import Instance
from stormo.pictures import smaller
from stormo.probing import Prober
from stormo.site import listening, make_site
from stormo.tenure import Tenure

log = logging.getLogger(__name__)

_FIRST_PAUSE: Final = timedelta(seconds=1)
_LONGEST_PAUSE: Final = timedelta(minutes=1)
#: After so long without a fault an adapter's next one is a first one again.
_SOUND: Final = timedelta(minutes=2)
_HOUSEKEEPING: Final = timedelta(minutes=10)
#: How soon the serving process notices what a tool beside it changed.
_NUDGED: Final = timedelta(seconds=2)
#: How often it is looked for what other processes changed and nobody was told of, and how far back.
_LOOK_AROUND: Final = timedelta(seconds=10)
_MISSED: Final = timedelta(minutes=1)
#: Seconds for calls under way when the program is asked to end, and for the adapters and pages to close after them.
_DRAIN_SECONDS: Final = 6.0
_CLOSE_SECONDS: Final = 2.0
_RELEASE_SECONDS: Final = 1.0
#: What is done while a lease is held.
_Work = Callable[[], Awaitable[None]]
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
        self._rung = asyncio.Event()
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
            shared = normalised(self.config.database_url).get_backend_name() == "postgresql"
            # The playground is one process's own: its rooms are in no database.
            others = shared and not self.config.playground
            stack.enter_context(lock.held(self.config.data, self.config.database_url, among_others=others))
            sock = stack.enter_context(listening(self.config.web))
            self.address = sock.getsockname()[:2]
            await self._wire(stack, sock, shared=shared)
            self._start(self.courier.run(), "courier")
            self._start(self.fetcher.run(), "files")
            self._start(self._housekeep(), "housekeeping")
            self._start(self._look_around() if shared else self._watch_nudges(), "nudges")
            self._start(self._prober().run(), "lost rooms")
            for platform, adapter in self.adapters.items():
                can = adapter.capabilities
                self.health[platform] = Health(self.clock, can.deaf_after, can.in_vain)
                for name, work in self._works(platform, adapter, shared=shared):
                    self._start(work, f"adapter {name}")
            # From here on `__aexit__` unwinds; before, a fault does.
            self._stack = stack.pop_all()
        return self

    async def _wire(self, stack: AsyncExitStack, sock: socket.socket, *, shared: bool) -> None:
        self._loop = asyncio.get_running_loop()
        host, port = self.address
        own = f"http://{f'[{host}]' if ':' in host else host}:{port}" if self.config.playground else ""
        self.instance = await stack.enter_async_context(
            Instance(self.config, clock=self._clock, public_url=own, woken=self._wake)
        )
        self.gate = EngineGate(self.writer, self.readers, self.instance.engine)
        await self._declare_relays()
        self.leases = Leases(self.clock, alone=() if shared else self.adapters)
        names = {name for one in self.adapters.values() for name in (one.platform, _listening(one))}
        self._tenures = {
            name: Tenure(
                name,
                leases=self.leases,
                writer=self.writer,
                readers=self.readers,
                clock=self.clock,
                data=self.config.data,
            )
            for name in (names if shared else ())
        }
        self.courier = Courier(
            adapters=self.adapters,
            writer=self.writer,
            engine=self.instance.engine,
            words=self.instance.words,
            clock=self.clock,
            counts=self.instance.counts,
            leases=self.leases,
        )
        self.fetcher = Fetcher(
            adapters=self.adapters,
            writer=self.writer,
            rules=self.instance.rules.media,
            smaller=smaller,
            clock=self.clock,
            leases=self.leases,
        )
        runner = web.AppRunner(make_site(self.instance, self.health), access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.SockSite(runner, sock).start()
        if shared:
            stack.enter_context(self.instance.heard(self._heard))

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
            await self._release()
        finally:
            await self._stack.aclose()

    async def _release(self) -> None:
        """Whoever stands by need not wait until the leases run out."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_RELEASE_SECONDS):
                await asyncio.gather(*(tenure.release() for tenure in self._tenures.values()))

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

    def _works(
        self, platform: Platform, adapter: Adapter, *, shared: bool
    ) -> Iterator[tuple[Platform, Coroutine[Any, Any, None]]]:
        """What there is to do for one platform, by the lease that gives the right to it."""
        listening, health = _listening(adapter), self.health[platform]
        listen = partial(self._supervise, platform, adapter)
        if not shared:
            yield platform, listen()
        elif listening == platform:
            yield platform, self._tend(platform, health.stand_by, partial(self._send, platform, listen))
        else:
            listens = asyncio.Event()
            yield listening, self._tend(listening, health.stand_by, partial(_after, listens.set, listen))
            # Whoever listens to whatever part: one of them sends. Who only stands by knows no place to send to.
            forever = asyncio.get_running_loop().create_future
            send = partial(self._tend, platform, lambda _: None, partial(self._send, platform, forever))
            yield platform, _when(listens, send)

    async def _tend(self, lease: Platform, stand_by: Callable[[str], None], work: _Work) -> None:
        """Work that is done while its lease is ours, and stood by for while it is another process's."""
        tenure = self._tenures[lease]
        while True:
            await tenure.take(stand_by)
            if await self._own(lease, work):
                return await tenure.release()
            log.warning("%s: the lease is lost, it is not served from here", lease)
            tenure.forget()

    async def _own(self, lease: Platform, work: _Work) -> bool:
        """Returns when the lease is lost; whether it is of no more use here instead."""
        serving = asyncio.ensure_future(work())

        def lost() -> None:
            if lease in self.adapters:
                self.courier.leave(lease)
            serving.cancel()

        keeping = asyncio.create_task(self._tenures[lease].keep(lost))
        try:
            await asyncio.wait({serving, keeping}, return_when=asyncio.FIRST_COMPLETED)
            stopped = not keeping.done() and not serving.cancelled()
        finally:
            lost()
            keeping.cancel()
            await asyncio.wait({serving, keeping})
        error = None if serving.cancelled() else serving.exception()
        if error is not None and not isinstance(error, StormoError):
            raise error
        return stopped and error is None

    async def _send(self, platform: Platform, beside: _Work) -> None:
        """From now on, and as long as what is done beside it."""
        await self.courier.serve(platform)
        self.fetcher.wake()
        await beside()

    async def _supervise(self, platform: Platform, adapter: Adapter) -> None:
        """Keeps one adapter running. A fault of one platform is no fault of the others."""
        health, pause = self.health[platform], _FIRST_PAUSE
        lease = _listening(adapter) if self._tenures else platform
        epoch = self.leases.epoch(lease)
        gate = self.gate.of(health, lambda unit: self.leases.check(unit, lease, epoch))
        while True:
            health.begin()
            try:
                await adapter.run(gate)
                reason = "it stopped listening"
            except (BadToken, ConfigError) as error:
                health.fail(Doing.STOPPED, self._say(error))
                log.error("%s: %s", adapter.capabilities.label, health.reason)  # noqa: TRY400
                return
            except LeaseLost:
                raise
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
        async def lost() -> Sequence[Chat]:
            served = self.leases.platforms
            return [chat for chat in await self.gate.lost_chats() if chat.ref.platform in served]

        return Prober(adapters=self.adapters, gate=self.gate, lost=lost, clock=self.clock)

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
                    for platform in self.leases.platforms:
                        await self._look(platform, EVER)

    async def _look_around(self) -> None:
        """Other processes ring for what they change. A ring may be lost: that costs seconds, and nothing else."""
        while True:
            since = self.clock.now() - _MISSED
            await self.clock.wait(self._rung, self.clock.now() + _LOOK_AROUND)
            everything = self._rung.is_set()
            self._rung.clear()
            with suppress(Exception):
                for platform in self.leases.platforms:
                    await self._look(platform, EVER if everything else since)

    async def _look(self, platform: Platform, since: datetime) -> None:
        now = self.clock.now()
        waiting = await self.readers.read(lambda unit: unit.lanes.waiting(platform, since, now))
        self.courier.wake(frozenset(waiting))

    def _heard(self, chats: frozenset[ChatId]) -> None:
        """In the bell's thread."""
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._wake if chats else lambda _: self._rung.set(), chats)

    async def _wait(self, time: timedelta) -> None:
        await self.clock.wait(asyncio.Event(), self.clock.now() + time)


async def _after(first: Callable[[], None], work: _Work) -> None:
    first()
    await work()


async def _when(set_: asyncio.Event, work: _Work) -> None:
    await set_.wait()
    await work()


def _listening(adapter: Adapter) -> Platform:
    """The name of the lease that lets its holder listen: the bot token's own, unless several share the listening."""
    part = adapter.capabilities.part
    return Platform(f"{adapter.platform} {part}") if part else adapter.platform
