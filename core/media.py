"""Fetching files beside the courier: due -> asked of its adapter -> in our store -> recorded.

A file is fetched once, however many rooms show it. Whoever is killed between two of these steps begins again at the
first, and finds the same bytes under the same name.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from core.crashpoints import passing
from core.errors import FileRefused, FileWhy, RetryLater, StormoError
from core.leases import Leases
from core.mediastore import MediaRules, MediaStore
from core.ports import Adapter, Clock, Transactions
from core.records import Blob, Enclosure
from core.social import enclosures
from core.stores.unit import Unit
from core.types import Platform, ThingId

log = logging.getLogger(__name__)

#: Files on their way in at once.
AT_ONCE: Final = 4
#: Seconds for one of them.
FETCH_SECONDS: Final = 180.0
#: The wait after each failure; after the last one the file counts as unreachable.
PAUSES: Final = tuple(timedelta(seconds=seconds) for seconds in (2, 5, 15, 60, 300, 900, 1800))
#: A smaller picture of a file, at most so many bytes; ``None`` where there can be none. It takes its time.
Smaller = Callable[[Path, int], bytes | None]
_STORAGE_PAUSE: Final = timedelta(seconds=5)
#: Files of things that are gone, taken away in one go.
_SWEPT: Final = 500


class Fetcher:
    """Runs in the event loop; the disk is waited for in threads, every change of a row is a job of the writer.

    Fetches for the platforms whose token this process owns.
    """

    def __init__(
        self,
        *,
        adapters: Mapping[Platform, Adapter],
        writer: Transactions,
        rules: MediaRules,
        clock: Clock,
        leases: Leases,
        smaller: Smaller,
    ) -> None:
        self._adapters = adapters
        self._leases = leases
        self._writer = writer
        self._rules = rules
        self._clock = clock
        self._smaller = smaller
        self._store = MediaStore(rules.folder)
        self._busy: dict[tuple[ThingId, int], asyncio.Task[None]] = {}
        self._woken = asyncio.Event()
        self._looking = False

    async def run(self) -> None:
        """Fetches until cancelled."""
        try:
            while True:
                self._woken.clear()
                self._looking = True
                soonest = await self._look()
                self._looking = False
                await self._clock.wait(self._woken, soonest)
        finally:
            for task in self._busy.values():
                task.cancel()
            await asyncio.gather(*self._busy.values(), return_exceptions=True)

    def wake(self) -> None:
        """There is something new to fetch."""
        self._woken.set()

    @property
    def under_way(self) -> list[asyncio.Task[None]]:
        return list(self._busy.values())

    @property
    def idle(self) -> bool:
        return not (self._busy or self._looking or self._woken.is_set())

    async def _look(self) -> datetime | None:
        """Begins what is due. Returns when to look again, unless something ends before."""
        platforms = list(self._leases.platforms)
        try:
            due, soonest = await self._writer.submit(
                lambda unit: unit.media.due(platforms, unit.now, AT_ONCE * 2)
            )
        except StormoError as error:
            log.warning("files: %s", error)
            return self._clock.now() + _STORAGE_PAUSE
        for row in due:
            self._start(row)
        return None if len(self._busy) >= AT_ONCE else soonest

    async def sweep(self) -> None:
        """Takes away the files of things that are gone, and what is left of runs that were killed."""
        forgotten = await self._writer.submit(lambda unit: unit.media.forget(_SWEPT))
        passing("media.forgotten")
        await asyncio.to_thread(self._store.clear_parts)
        there = await asyncio.to_thread(lambda: list(self._store.digests()))
        known = await self._writer.submit(lambda unit: unit.media.known(there))
        strays = (set(there) - known) | set(forgotten)
        await asyncio.to_thread(self._store.drop_all, strays)

    def _start(self, row: Enclosure) -> None:
        place = (row.thing_id, row.position)
        if place in self._busy or len(self._busy) >= AT_ONCE:
            return
        self._busy[place] = asyncio.create_task(self._serve(row))

    async def _serve(self, row: Enclosure) -> None:
        try:
            await self._fetch(row)
        except StormoError as error:
            log.warning("file %d of %d: %s", row.position, row.thing_id, error)
            await self._clock.wait(asyncio.Event(), self._clock.now() + _STORAGE_PAUSE)
        except Exception as unforeseen:
            # A fault of ours: tried again like one of the platform, and as often.
            log.exception("file %d of %d", row.position, row.thing_id)
            with suppress(StormoError):
                await self._put_off(row, type(unforeseen).__name__, None)
        finally:
            del self._busy[row.thing_id, row.position]
            self._woken.set()

    async def _fetch(self, row: Enclosure) -> None:
        passing("media.due", row.platform)
        try:
            blob = await self._brought(row)
            small = await asyncio.to_thread(self._small, blob)
        except FileRefused as refused:
            why = refused.why
            log.info("file %d of %d: %s", row.position, row.thing_id, refused)
            await self._writer.submit(lambda unit: refuse(unit, row, why))
        except RetryLater as later:
            await self._put_off(row, str(later), later.after)
        except Exception as unforeseen:  # noqa: BLE001
            await self._put_off(row, f"{type(unforeseen).__name__}: {unforeseen}", None)
        else:
            quota = self._rules.quota
            passing("media.recording", row.platform)
            await self._writer.submit(lambda unit: record(unit, row, blob, small, quota))
            passing("media.recorded", row.platform)

    async def _brought(self, row: Enclosure) -> Blob:
        """From where it lies into our store."""
        file = self._store.incoming(self._rules)
        try:
            passing("media.opened", row.platform)
            async with asyncio.timeout(FETCH_SECONDS):
                await self._adapters[row.platform].fetch(row.source, file.take)
            passing("media.fetched", row.platform)
            return await asyncio.to_thread(self._store.keep, file)
        finally:
            file.discard()

    def _small(self, blob: Blob) -> Blob | None:
        """A smaller picture, where one of our platforms does not take this one; it waits for the disk."""
        every = (adapter.capabilities for adapter in self._adapters.values())
        limit = min((can.max_file for can in every if can.files_per_message), default=blob.size)
        if blob.size <= limit or not blob.mime.startswith("image/"):
            return None
        content = self._smaller(self._store.path(blob.digest), limit)
        if content is None:
            return None
        file = self._store.incoming(self._rules)
        try:
            file.take(content)
            passing("media.made_smaller")
            return self._store.keep(file)
        except FileRefused:
            # An instance that keeps no JPEGs keeps none of its own making.
            return None
        finally:
            file.discard()

    async def _put_off(self, row: Enclosure, reason: str, asked: timedelta | None) -> None:
        log.info("file %d of %d: %s", row.position, row.thing_id, reason)
        if row.attempts >= len(PAUSES):
            await self._writer.submit(lambda unit: refuse(unit, row, FileWhy.UNREACHABLE))
            return
        pause = max(PAUSES[row.attempts], asked or timedelta(0))
        await self._writer.submit(
            lambda unit: unit.media.put_off(row.thing_id, row.position, unit.now + pause, reason[:200])
        )


# -- jobs of the writer ------------------------------------------------------------------------------------------


def record(unit: Unit, row: Enclosure, blob: Blob, small: Blob | None, quota: int) -> None:
    """It is in our store, with a smaller one of it. Where that is full, they are taken out by the next sweep."""
    if unit.media.blob(blob.digest) is None:
        size = blob.size + (small.size if small else 0)
        if quota and unit.media.total() + size > quota:
            log.error("the store of files is full: [media] quota_bytes")
            return refuse(unit, row, FileWhy.QUOTA)
        if small is not None:
            unit.media.add_blob(small, unit.now)
        unit.media.add_blob(replace(blob, small=small.digest if small else ""), unit.now)
        passing("media.noted", row.platform)
    if unit.media.store(row.thing_id, row.position, blob.digest):
        passing("media.enclosed", row.platform)
        enclosures.settle(unit, row.thing_id)
        passing("media.released", row.platform)
    return None


def refuse(unit: Unit, row: Enclosure, why: FileWhy) -> None:
    """It will never be had, and its copies say so."""
    if unit.media.refuse(row.thing_id, row.position, why.value):
        enclosures.settle(unit, row.thing_id)
