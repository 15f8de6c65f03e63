"""The whole of it on one stage: a real Synapse, both doubles, people, and `stormo run` as a process of its own.

Platforms and people live in the test's process and outlive the program, which is killed and started at will.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sqlite3
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import psycopg

from bots.telegram.writing import PING_BREAK
from tests.conftest import ROOT
from tests.doubles.discord import Channel, DiscordDouble
from tests.doubles.telegram import Chat, Limits, TelegramDouble
from tests.peers.matrix_person import MatrixPerson
from tests.peers.matrix_proxy import MatrixProxy
from tests.peers.synapse import SynapseServer

CODE = re.compile(r"\b[A-HJ-NP-Z2-9]{13}\b")
#: Long enough for the slowest start on a busy machine; nothing waits for it to pass.
PATIENCE = 30.0
_POLL = 0.05

CONFIG = """
[data]
dir = "{data}"

[database]
url = "{database}"

[web]
port = {port}

[playground]
enabled = false

[room]
copies_an_hour = 10000
copies_a_day = 10000
hold_seconds = 0
quiet_hours = "off"

[telegram]
token = "{telegram.token}"
base_url = "{telegram.base_url}"
base_file_url = "{telegram.base_file_url}"
tally_seconds = 1
per_chat_second = {per_second}
per_chat_minute = {per_minute}

[discord]
token = "{discord.token}"
api_url = "{discord.api_url}"
gateway_url = "{discord.gateway_url}"
cdn_url = "{discord.cdn_url}"
tally_seconds = 1

[matrix]
homeserver = "{homeserver}"
user_id = "{bot.user_id}"
access_token = "{bot.access_token}"
device_id = "{bot.device_id}"
tally_seconds = 1
windows = [[1000, 1.0]]
"""


async def until(
    holds: Callable[[], object | Awaitable[object]], what: str, patience: float = PATIENCE
) -> None:
    """Asks again and again until it holds. Raises ``AssertionError`` naming what never came."""
    loop = asyncio.get_running_loop()
    end = loop.time() + patience
    while True:
        answer = holds()
        if isinstance(answer, Awaitable):
            answer = await answer
        if answer:
            return
        assert loop.time() < end, f"never came: {what}"
        await asyncio.sleep(_POLL)


class Process(Protocol):
    """What the stage asks of the program's process."""

    @property
    def pid(self) -> int: ...

    @property
    def returncode(self) -> int | None: ...

    def terminate(self) -> None: ...

    async def wait(self) -> int: ...


class Stage:
    """One community over the platforms: a Telegram group and a mirror of it, three Discord channels, a Matrix room.

    Anna writes on Telegram, Bruno reads on Discord, Chiara reads on Matrix; each is an admin of their room.
    ``limited``: the doubles enforce their platforms' limits.
    """

    def __init__(
        self, synapse: SynapseServer, folder: Path, *, database: str = "", limited: bool = True
    ) -> None:
        self.synapse = synapse
        self.folder = folder
        self.database = database or f"sqlite:///{folder / 'data' / 'stormo.sqlite'}"
        self.limited = limited
        self.starts = 0
        self.polls = 0
        self._stack = AsyncExitStack()
        self._process: Process | None = None

    async def __aenter__(self) -> Self:
        enter = self._stack.enter_async_context
        self.telegram = await enter(TelegramDouble(limits=Limits(enabled=self.limited)))
        self.telegram.on_request(self._polled)
        self.discord = await enter(DiscordDouble())
        self.discord.limits.enabled = self.limited
        self.proxy = await enter(MatrixProxy(self.synapse.url))
        self.bot = self.synapse.register(self.synapse.unused_name("stormo"), display_name="Stormo")
        self.chiara = await enter(await MatrixPerson.register(self.synapse, "Chiara"))
        self._people()
        self.room = await self.chiara.create_room("Birds on Matrix", invite=[self.bot.user_id])
        self._write_config()
        self._stack.push_async_callback(self.stop)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def _polled(self, method: str, _count: int) -> None:
        self.polls += method == "getUpdates"

    def _people(self) -> None:
        self.anna = self.telegram.person("Anna", username="anna")
        self.group = self.telegram.group("Birds", admins=[self.anna], bot_admin=True)
        self.mirror = self.telegram.group("Birds mirror", admins=[self.anna], bot_admin=True)
        self.bruno = self.discord.person("Bruno", username="bruno")
        self.guild = self.discord.guild("Birds", owner=self.bruno)
        self.channels = [self.guild.text_channel(name) for name in ("general", "news", "pictures")]

    def _write_config(self) -> None:
        text = CONFIG.format(
            data=self.folder / "data",
            database=self.database,
            port=0,
            telegram=self.telegram,
            discord=self.discord,
            homeserver=self.proxy.url,
            bot=self.bot,
            per_second=1 if self.limited else 1000,
            per_minute=20 if self.limited else 10000,
        )
        self.config = self.folder / "config.toml"
        self.config.write_text(text)

    # -- the program ---------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Starts `stormo run`; it is there when all three platforms hear it."""
        self.starts += 1
        polls = self.polls
        readies = len(self.discord.gateway.identifies)
        self._process = await self._launched()
        await until(lambda: self._heard(polls, readies), "the program's start")

    async def _launched(self) -> Process:
        with self._log_file.open("wb") as log:
            return await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "stormo", "run", "--config", str(self.config)),
                cwd=ROOT,
                stdout=log,
                stderr=log,
                stdin=asyncio.subprocess.DEVNULL,
            )

    @property
    def _log_file(self) -> Path:
        return self.folder / f"stormo-{self.starts}.log"

    def _heard(self, polls: int, readies: int) -> bool:
        assert self.running, self.log()
        return self.polls > polls and len(self.discord.gateway.identifies) > readies

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def said(self) -> str:
        """All that this start of the program has written."""
        return self._log_file.read_text(errors="replace")

    def log(self) -> str:
        return self.said[-4000:]

    def kill_now(self) -> None:
        """SIGKILL, between whichever two lines it is."""
        if self.running:
            assert self._process is not None
            os.kill(self._process.pid, signal.SIGKILL)

    async def dead(self) -> None:
        assert self._process is not None
        await self._process.wait()

    async def stop(self) -> None:
        if self.running:
            assert self._process is not None
            self._process.terminate()
            await self._process.wait()

    async def restart(self) -> None:
        self.kill_now()
        await self.dead()
        self.discord.gateway.forget_sessions()
        await self.start()

    # -- setting it up -------------------------------------------------------------------------------------------

    async def set_up(self) -> None:
        """Everybody joins, the rooms become one community, and all but the origin mirror Anna."""
        await self.start()
        await self.anna.start()
        await self.anna.send(self.group, "/join")
        await self.anna.send(self.group, "/setup")
        code = await self._code()
        await self.anna.send(self.mirror, f"/setup {code}")
        await self._shows(self.mirror, "birds")
        await self.anna.send(self.mirror, "/mirror add @anna")
        await self._bruno_sets_up()
        await self._chiara_sets_up()
        await self.quiet()

    async def _code(self) -> str:
        """The newest one-time code, as Anna reads it in her private chat."""
        seen = len([m for m in self.telegram.visible(self.anna) if CODE.search(m.text)])
        if seen:
            await self.anna.send(self.group, "/setup")

        def codes() -> list[str]:
            return [c for m in self.telegram.visible(self.anna) for c in CODE.findall(m.text)]

        await until(lambda: len(codes()) > seen, "a code in the private chat")
        return codes()[-1]

    async def _bruno_sets_up(self) -> None:
        await until(lambda: self.discord.world.commands[None], "the slash commands")
        await self.bruno.slash(self.channels[0], "join", {})
        for channel in self.channels:
            code = await self._code()
            await self.bruno.slash(channel, "setup", {"code": code})
            await self.bruno.slash(channel, "mirror add", {"feed": "@anna"})

    async def _chiara_sets_up(self) -> None:
        await until(self._bot_is_in, "the bot in the room")
        await self.chiara.say(self.room, "!join")
        code = await self._code()
        await self.chiara.say(self.room, f"!setup {code}")
        await self.chiara.wait_message(self.room, "birds", PATIENCE)
        await self.chiara.say(self.room, "!mirror add @anna")
        await self.chiara.wait_message(self.room, "anna", PATIENCE)

    async def _bot_is_in(self) -> bool:
        return self.bot.user_id in await self.chiara.members(self.room)

    async def _shows(self, chat: Chat, part: str) -> None:
        await until(lambda: self.in_telegram(chat, part), f"{part!r} in {chat}")

    # -- seeing --------------------------------------------------------------------------------------------------

    def in_telegram(self, chat: Chat, part: str) -> int:
        """How many messages of the bot in this chat show these words."""
        texts = [m.text.replace(PING_BREAK, "") for m in self.telegram.visible(chat) if m.from_bot]
        return sum(part in text for text in texts)

    def in_discord(self, channel: Channel, part: str) -> int:
        """The same for a channel, whose text is Markdown: an escaped sign is shown as itself."""
        return sum(part in m.text.replace("\\", "") for m in self.discord.visible(channel))

    async def in_matrix(self, part: str) -> int:
        shown = await self.chiara.visible(self.room)
        return sum(part in m.body for m in shown if m.sender == self.bot.user_id)

    async def matrix_copies(self, part: str) -> int:
        """Counts sends, edits left out: what a client without support of edits would see twice."""
        events = await self.chiara.events(self.room)
        return sum(
            e["type"] == "m.room.message"
            and e["sender"] == self.bot.user_id
            and part in e["content"].get("body", "")
            and e["content"].get("m.relates_to", {}).get("rel_type") != "m.replace"
            for e in events
        )

    async def counts(self, part: str) -> dict[str, int]:
        """How often each place shows these words."""
        found = {f"discord {c.name}": self.in_discord(c, part) for c in self.channels}
        return found | {"telegram": self.in_telegram(self.mirror, part), "matrix": await self.in_matrix(part)}

    async def shows(self, part: str, wanted: dict[str, int]) -> None:
        """Waits until every place shows these words so often. Raises ``AssertionError`` with what they show."""
        with contextlib.suppress(AssertionError):
            await until(lambda: self._as_wanted(part, wanted), part)
        shown = await self.counts(part)
        assert shown == wanted, f"{part!r} stands {shown}\n{self.log()}"

    async def _as_wanted(self, part: str, wanted: dict[str, int]) -> bool:
        return await self.counts(part) == wanted

    # -- the program's own book ----------------------------------------------------------------------------------

    def ask(self, sql: str) -> list[tuple[object, ...]]:
        """Reads the database beside the running program."""
        if self.database.startswith("postgresql"):
            with psycopg.connect(self.database.replace("+psycopg", "")) as line:
                return line.execute(sql.encode()).fetchall()
        path = self.database.removeprefix("sqlite:///")
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as connection:
            return connection.execute(sql).fetchall()

    async def quiet(self) -> None:
        """Everything that was to be shown is shown, and no call is under way."""

        def pending() -> int:
            soon = time.time_ns() // 1000 + 2_000_000
            due = f"SELECT count(*) FROM outbox WHERE due = 1 AND ready_at <= {soon}"
            return sum(
                int(str(row[0])) for sql in ("SELECT count(*) FROM tries", due) for row in self.ask(sql)
            )

        await until(lambda: pending() == 0, "an empty outbox")

    def doubts(self) -> int:
        return len(self.ask("SELECT 1 FROM doubts WHERE resolution <> 'left out'"))
