"""This process's leases: taken when they are free, renewed while they are held, given back at the end."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Final

from core.crashpoints import passing
from core.errors import LeaseLost, StormoError
from core.leases import LIFE, RENEWED_EVERY, Leases
from core.ports import Clock
from core.stores.unit import Unit
from core.types import Platform
from storage.database import Readers
from storage.writer import Writer
from stormo.lock import Site

log = logging.getLogger(__name__)

#: How often a standby looks whether the lease is free, and an owner asks again after a failure.
_LOOK: Final = timedelta(seconds=1)


class Tenure:
    """One platform's lease, as this process strives for it."""

    def __init__(
        self,
        platform: Platform,
        *,
        leases: Leases,
        writer: Writer,
        readers: Readers,
        clock: Clock,
        data: Path,
    ) -> None:
        self.platform = platform
        self._leases = leases
        self._writer = writer
        self._readers = readers
        self._clock = clock
        self._site = Site(data / f"lease-{platform.replace(' ', '-')}")
        self._owner = f"{socket.gethostname()} process {os.getpid()}"

    async def take(self, stand_by: Callable[[str], None]) -> None:
        """Returns when it is ours. ``stand_by`` is told each owner that is waited for."""
        known, failed = "", ""
        while True:
            try:
                owner = await self._try()
            except Exception as error:  # noqa: BLE001
                if str(error) != failed:
                    failed = str(error)
                    log.warning("%s: no lease: %s", self.platform, failed)
            else:
                failed = ""
                if owner is None:
                    return
                if owner != known:
                    known = owner
                    log.info("%s: standing by, served by %s", self.platform, owner)
                    stand_by(owner)
            await self._pause(_LOOK)

    async def _try(self) -> str | None:
        """Whose it is; ``None``: ours."""
        site = self._site.hold()
        owner = await self._readers.read(lambda unit: unit.leases.holder(self.platform, site))
        if owner is not None:
            return owner
        passing("lease.free", self.platform)
        asked = self._clock.monotonic()
        epoch = await self._writer.submit(lambda unit: self._take(unit, site))
        if epoch is None:
            return "another process, just now"
        passing("lease.answered", self.platform)
        self._leases.hold(self.platform, epoch, asked)
        passing("lease.held", self.platform)
        log.info("%s: served from here, epoch %d", self.platform, epoch)
        return None

    def _take(self, unit: Unit, site: str) -> int | None:
        epoch = unit.leases.take(self.platform, self._owner, site, LIFE)
        passing("lease.taken", self.platform)
        return epoch

    async def keep(self, lost: Callable[[], None]) -> None:
        """Renews it until it is lost. Where it runs out, ``lost`` is called at once, whatever is under way then."""
        epoch, pause = self._leases.epoch(self.platform), RENEWED_EVERY
        while True:
            # A timer comes before whatever a process that was stopped finds done when it goes on.
            end = asyncio.get_running_loop().call_later(self._leases.left(self.platform), lost)
            try:
                await self._pause(pause)
                pause = RENEWED_EVERY if await self._renew(epoch) else _LOOK
            except LeaseLost:
                return
            finally:
                end.cancel()

    async def _renew(self, epoch: int) -> bool:
        """Whether the database answered. Raises ``LeaseLost``."""
        asked, left = self._clock.monotonic(), self._leases.left(self.platform)

        def renew(unit: Unit) -> bool:
            # Who was stopped before its turn came must not keep others waiting for what it gave up.
            ours = self._leases.left(self.platform) > 0 and unit.leases.renew(self.platform, epoch, LIFE)
            passing("lease.renewed", self.platform)
            return ours

        passing("lease.renewing", self.platform)
        try:
            async with asyncio.timeout(max(left, 0)):
                renewed = await self._writer.submit(renew)
        except StormoError as error:
            log.warning("%s: the lease is not renewed: %s", self.platform, error)
            return False
        except TimeoutError:
            renewed = False
        if not renewed:
            passing("lease.lost", self.platform)
            raise LeaseLost(self.platform)
        self._leases.hold(self.platform, epoch, asked)
        passing("lease.kept", self.platform)
        return True

    async def release(self) -> None:
        """Whoever stands by takes over at once. Nothing may be sent in its name any more."""
        passing("lease.releasing", self.platform)
        with suppress(StormoError):
            epoch = self._leases.epoch(self.platform)
            await self._writer.submit(lambda unit: self._give_back(unit, epoch))
        self.forget()

    def _give_back(self, unit: Unit, epoch: int) -> None:
        unit.leases.release(self.platform, epoch)
        passing("lease.given_back", self.platform)

    def forget(self) -> None:
        """It is another process's now, or may be."""
        self._leases.drop(self.platform)
        passing("lease.dropped", self.platform)
        self._site.let_go()
        passing("lease.let_go", self.platform)

    async def _pause(self, time: timedelta) -> None:
        await self._clock.wait(asyncio.Event(), self._clock.now() + time)
