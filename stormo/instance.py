"""What every part of the program needs: the database, the rules, the words and the adapters, wired once."""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self
from zoneinfo import ZoneInfo

from core.counts import Counts
from core.engine import Engine
from core.errors import Message, StormoError, message
from core.events import Inbound
from core.ports import Adapter, Clock
from core.scene import Rules
from core.stores.unit import Unit
from core.types import AccountRef, ChatId, Platform
from storage import migrate
from storage.bell import Bell
from storage.database import Readers, open_engine
from storage.writer import Writer
from stormo.clock import SystemClock
from stormo.config import Config
from stormo.platforms import PLATFORMS, build
from stormo.words import Catalogue

if TYPE_CHECKING:
    from bots.playground.platform import Playground

_CATALOGUE = Catalogue()
KEY_FILE = "key"
JOURNAL_FILE = "playground.jsonl"


class Instance:
    """One co-op's parts, ready to be used: ``async with Instance(config) as instance``.

    ``beside``: a tool beside serving processes, which leaves the database's version and the playground to them.
    ``woken`` is called in the event loop with the chats whose outbox changed.
    """

    engine: Engine
    rules: Rules
    writer: Writer
    readers: Readers

    def __init__(
        self,
        config: Config,
        *,
        clock: Clock | None = None,
        beside: bool = False,
        public_url: str = "",
        woken: Callable[[frozenset[ChatId]], None] = lambda _: None,
    ) -> None:
        self.config = config
        self.clock: Clock = clock or SystemClock()
        self.adapters: dict[Platform, Adapter] = {}
        self.counts = Counts()
        self.playground: Playground | None = None
        self._beside = beside
        self._public_url = config.web.public_url or public_url
        self._woken = woken
        self._zone = ZoneInfo(config.coop.timezone)

    def words(self, message: Message, language: str) -> str:
        """``core.ports.Words``, with times in the co-op's zone."""
        return _CATALOGUE(message, language, self._zone)

    async def __aenter__(self) -> Self:
        """Raises ``NewerDatabase`` before anything is touched."""
        config, loop = self.config, asyncio.get_running_loop()
        config.data.mkdir(parents=True, exist_ok=True)
        if not self._beside:
            await asyncio.to_thread(migrate.upgrade_apart, config.database_url)
        self._sql = open_engine(config.database_url)
        self.readers = Readers(self._sql, self.clock)

        def woken(chats: frozenset[ChatId]) -> None:
            with suppress(RuntimeError):  # the loop has ended: the next start finds what waits
                loop.call_soon_threadsafe(self._woken, chats)

        self.writer = Writer(
            self._sql, self.clock, self._settle, woken, read_ahead=self._read_ahead, counts=self.counts
        )
        try:
            self._build_adapters()
            self.writer.start()
        except BaseException:
            self._close_files()
            raise
        try:
            # The rules need the instance's name, which lives in the database.
            self.rules = self._rules(await self.writer.submit(_name))
            if not self._beside:
                await self.writer.submit(partial(_agree, self.rules.key, config.data / KEY_FILE))
            self.engine = Engine(self.rules)
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    @contextmanager
    def heard(self, by: Callable[[frozenset[ChatId]], None]) -> Iterator[None]:
        """On PostgreSQL: what other processes wake comes to ``by``, in a thread (``storage.bell``)."""
        bell = Bell(self._sql, by, lambda: self.writer.backend)
        bell.start()
        try:
            yield
        finally:
            bell.close()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for adapter in self.adapters.values():
            # Connections that an adapter keeps for its acts; not every platform has some.
            if (close := getattr(adapter, "close", None)) is not None:
                with suppress(Exception):
                    await close()
        await asyncio.to_thread(self.writer.close)
        self._close_files()

    def _close_files(self) -> None:
        self.readers.close()
        self._sql.dispose()
        if self.playground is not None:
            self.playground.close()

    def _read_ahead(self, unit: Unit, events: Sequence[Inbound]) -> None:
        self.engine.read_ahead(unit, events)

    def _settle(self, unit: Unit) -> None:
        if unit.touched or unit.voted:
            self.engine.settle(unit)

    def _build_adapters(self) -> None:
        for entry in PLATFORMS:
            if entry.name in self.config.platforms:
                values = self.config.platforms[entry.name]
                self._add(build(entry, values, self.words, self.clock))
        if self.config.playground:
            self._build_playground()

    def _build_playground(self) -> None:
        from bots.playground.bot import PlaygroundAdapter
        from bots.playground.looks import LOOKS
        from bots.playground.platform import Playground

        # A tool beside the serving process only needs to know what the looks can do.
        journal = None if self._beside else self.config.data / JOURNAL_FILE
        self.playground = Playground(self.clock, journal)
        for look in LOOKS:
            self._add(PlaygroundAdapter(self.playground, look))

    def _add(self, adapter: Adapter) -> None:
        self.adapters[adapter.platform] = adapter

    def _operators(self) -> frozenset[AccountRef]:
        named = self.config.coop.operators
        if not self.config.playground or self.config.platforms:
            return named
        from bots.playground.platform import PEOPLE

        # Who tries things out alone may try everything.
        return named | {AccountRef(platform, PEOPLE[0].id) for platform in self.adapters}

    def _rules(self, name: str) -> Rules:
        config = self.config
        return Rules(
            instance=name,
            key=instance_key(config.data),
            platforms={platform: adapter.capabilities for platform, adapter in self.adapters.items()},
            operators=self._operators(),
            languages=_CATALOGUE.languages,
            default_language=config.coop.language,
            public_url=self._public_url,
            handle_life=config.coop.handle_life,
            hold=config.room.hold,
            copies_an_hour=config.room.copies_an_hour,
            copies_a_day=config.room.copies_a_day,
            fold_after=config.room.fold_after,
            give_up=config.room.give_up,
            quiet_hours=config.room.quiet_hours,
            quiet_zone=config.coop.timezone,
            media=config.media,
        )


def _name(unit: Unit) -> str:
    """The instance's name in all derived keys: random, drawn once, and it moves with the database."""
    known = unit.intake.meta("instance")
    if known is None:
        known = secrets.token_hex(16)
        unit.intake.set_meta("instance", known)
    return known


class WrongKey(StormoError):
    """Other processes of this instance work with another key: codes of theirs would be wrong here."""

    def __init__(self, file: Path) -> None:
        self.message = message("run.wrong_key", file=str(file))
        super().__init__(f"{file} is not the key that the other processes have")


def _agree(key: bytes, file: Path, unit: Unit) -> None:
    """All processes of an instance have one key. Where none is at work, this one's is it from now on."""
    mark = hashlib.sha256(b"which key " + key).hexdigest()
    known = unit.intake.meta("key")
    if known == mark:
        return
    if known is not None and unit.leases.any_held():
        raise WrongKey(file)
    unit.intake.set_meta("key", mark)


def instance_key(data: Path) -> bytes:
    """The key that signs one-time codes, made at the first call; readable by its owner only."""
    file = data / KEY_FILE
    if not file.exists():
        data.mkdir(parents=True, exist_ok=True)
        fresh = data / f"{KEY_FILE}.{os.getpid()}"
        fresh.touch(mode=0o600)
        fresh.write_bytes(secrets.token_bytes(32))
        with suppress(FileExistsError):
            os.link(fresh, file)
        fresh.unlink()
    return file.read_bytes()
