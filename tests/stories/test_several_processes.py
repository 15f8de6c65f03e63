"""Several `stormo run` on one PostgreSQL: each platform is served by one of them, and by another when that one ends.

Two machines are two data folders with the same key: there nothing but the lease tells that an owner is gone.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psycopg
import pytest
import pytest_asyncio

from core.leases import LIFE
from stormo.instance import KEY_FILE
from tests.doubles.telegram import Limits, TelegramDouble
from tests.program import Program
from tests.stage import until

pytestmark = [pytest.mark.peer, pytest.mark.timeout(300)]

#: The longest that a dead owner may stay without a successor.
TAKEN_OVER = 30.0
CONFIG = """
[data]
dir = "{data}"
[database]
url = "{database}"
[room]
quiet_hours = "off"
hold_seconds = 0
copies_an_hour = 10000
copies_a_day = 10000
[telegram]
token = "{double.token}"
base_url = "{double.base_url}"
base_file_url = "{double.base_file_url}"
retry_seconds = 0.1
tally_seconds = 1
per_second = 1000
per_chat_second = 5
per_chat_minute = 1000
"""


class Machines:
    """Anna's group and a mirror of it on Telegram, and programs on as many machines as wanted."""

    def __init__(self, folder: Path, database: str, double: TelegramDouble) -> None:
        self.folder = folder
        self.database = database
        self.double = double
        self.programs: list[Program] = []
        self.anna = double.person("Anna", username="anna")
        self.group = double.group("Birds", admins=[self.anna], bot_admin=True)
        self.mirror = double.group("Birds mirror", admins=[self.anna], bot_admin=True)

    def program(self, machine: str = "one", *words: str) -> Program:
        folder = self.folder / machine
        config = folder / "config.toml"
        if not config.exists():
            data = folder / "data"
            data.mkdir(parents=True)
            key = self.folder / "one" / "data" / KEY_FILE
            if key.exists():
                shutil.copy(key, data / KEY_FILE)
            config.write_text(CONFIG.format(data=data, database=self.database, double=self.double))
        made = Program(config, f"stormo-{len(self.programs)}", *words)
        self.programs.append(made)
        return made

    async def owner(self) -> Program:
        """A program that serves Telegram, with the mirror set up."""
        owner = self.program()
        await owner.start()
        await owner.does("telegram", "running")
        await self.anna.start()
        await self.anna.send(self.group, "/join")
        await self.anna.send(self.group, "/setup")
        await self._said(self.group, "code")
        await self.anna.send(self.group, "/mirror add @anna")
        await self.anna.send(self.mirror, "/setup")
        await self.anna.send(self.mirror, "/mirror add @anna")
        await self._said(self.mirror, "anna")
        return owner

    async def standby(self, machine: str = "two") -> Program:
        made = self.program(machine)
        await made.start()
        await made.does("telegram", "standby")
        return made

    async def post(self, words: str) -> None:
        await self.anna.send(self.group, f"/post visibility:public {words}")

    async def _said(self, chat: object, words: str) -> None:
        await until(lambda: any(m.from_bot for m in self.double.visible(chat)), words)  # type: ignore[arg-type]

    def copies(self, words: str) -> int:
        """How often the mirror shows these words."""
        return sum(words in m.text for m in self.double.visible(self.mirror) if m.from_bot)

    def ask(self, sql: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.database.replace("+psycopg", "")) as line:
            return line.execute(sql.encode()).fetchall()

    def doubts(self) -> int:
        return len(self.ask("SELECT 1 FROM doubts WHERE resolution = 'sent again'"))

    def epoch(self) -> int:
        return int(str(self.ask("SELECT epoch FROM leases WHERE name = 'telegram'")[0][0]))

    async def idle(self) -> None:
        """Everything that was to be shown is shown."""

        def pending() -> bool:
            soon = time.time_ns() // 1000 + 2_000_000
            due = f"SELECT 1 FROM outbox WHERE due = 1 AND ready_at <= {soon}"
            return bool(self.ask(f"{due} UNION ALL SELECT 1 FROM tries"))

        await until(lambda: not pending(), "an empty outbox")


@pytest_asyncio.fixture
async def machines(tmp_path: Path, migrated_postgres_url: str) -> AsyncIterator[Machines]:
    async with TelegramDouble(limits=Limits(enabled=False)) as double:
        machines = Machines(tmp_path, migrated_postgres_url, double)
        yield machines
        for program in machines.programs:
            await program.kill()
        assert double.violations == []


async def test_one_serves_and_the_other_stands_by(machines: Machines) -> None:
    owner = await machines.owner()
    standby = await machines.standby()
    for program, what in ((owner, "running"), (standby, "standby")):
        status, ready = await program.page("/readyz")
        assert (status, ready["status"], ready["platforms"]["telegram"]["doing"]) == (200, "ready", what)
    assert standby.log().count("standing by") == 1
    await machines.post("one flock")
    await until(lambda: machines.copies("one flock"), "the copy")
    await machines.idle()
    assert machines.copies("one flock") == 1
    assert await standby.doing("telegram") == "standby"


async def test_who_is_asked_to_end_hands_over_at_once(
    machines: Machines, record_property: Callable[[str, object], None]
) -> None:
    owner = await machines.owner()
    standby = await machines.standby()
    for number in range(10):
        await machines.post(f"flight {number}.")
    began = time.monotonic()
    await owner.stop()
    ended = time.monotonic()
    await standby.does("telegram", "running")
    took = time.monotonic() - ended
    record_property("seconds to end and to be replaced", (ended - began, took))
    assert took < LIFE.total_seconds() / 2, "it waited for the lease to run out"
    for number in range(10):
        await until(lambda number=number: machines.copies(f"flight {number}."), "the copy")  # type: ignore[misc]
    await machines.idle()
    assert [machines.copies(f"flight {number}.") for number in range(10)] == [1] * 10
    assert machines.doubts() == 0


async def test_a_dead_owner_is_replaced_within_half_a_minute(
    machines: Machines, record_property: Callable[[str, object], None]
) -> None:
    owner = await machines.owner()
    standby = await machines.standby()
    for number in range(10):
        await machines.post(f"flight {number}.")
    await until(lambda: machines.copies("flight 2."), "the first copies")
    await owner.kill()
    died = time.monotonic()
    lost = [machines.post(f"late {number}.") for number in range(3)]
    await asyncio.gather(*lost)
    await standby.does("telegram", "running", TAKEN_OVER)
    took = time.monotonic() - died
    record_property("seconds to be replaced", took)
    assert took < TAKEN_OVER
    words = [f"flight {number}." for number in range(10)] + [f"late {number}." for number in range(3)]
    await until(lambda: all(map(machines.copies, words)), "every copy")
    await machines.idle()
    assert 0 <= sum(map(machines.copies, words)) - len(words) <= machines.doubts()


async def test_on_the_same_machine_a_death_is_proved(machines: Machines) -> None:
    """Neither a successor nor the same program started anew waits for the lease to run out."""
    owner = await machines.owner()
    standby = await machines.standby("one")
    await owner.kill()
    died = time.monotonic()
    await standby.does("telegram", "running")
    assert time.monotonic() - died < LIFE.total_seconds() / 2
    await standby.kill()
    again = machines.program()
    await again.start()
    started = time.monotonic()
    await again.does("telegram", "running")
    assert time.monotonic() - started < LIFE.total_seconds() / 2
    assert machines.epoch() == 3


async def test_a_frozen_owner_sends_nothing_when_it_goes_on(machines: Machines) -> None:
    """It is stopped while an answer is under way and more waits; its receipt comes too late and is refused."""
    owner = await machines.owner()
    standby = await machines.standby()
    machines.double.fault("slow", "sendMessage", chat=machines.mirror, seconds=5.0)
    words = [f"flight {number}." for number in range(20)]
    for one in words:
        await machines.post(f"{one}")
    await until(lambda: machines.copies(words[0]), "the first copy, whose answer is under way")
    owner.freeze()
    await standby.does("telegram", "running", TAKEN_OVER)
    await until(lambda: all(map(machines.copies, words)), "every copy")
    await machines.idle()
    shown, doubts = sum(map(machines.copies, words)), machines.doubts()
    assert shown - len(words) == 1 <= doubts, "the one whose answer nobody recorded is sent again"

    calls = len(machines.double.calls)
    owner.thaw()
    await owner.does("telegram", "standby")
    mine = [call for call in machines.double.calls[calls:] if call.method != "getUpdates"]
    assert [call.method for call in mine] == []
    assert sum(map(machines.copies, words)) == shown
    assert machines.doubts() == doubts
    assert machines.ask("SELECT 1 FROM tries") == []

    await standby.stop()
    await owner.does("telegram", "running")
    await machines.post("home again")
    await until(lambda: machines.copies("home again"), "the copy by the first owner")


async def test_a_process_with_another_key_is_refused(machines: Machines) -> None:
    """It would take the codes of the others for wrong ones."""
    owner = await machines.owner()
    stranger = machines.program("two")
    (machines.folder / "two" / "data" / KEY_FILE).write_bytes(b"another key")
    with pytest.raises(AssertionError, match="Copy the file from the data folder"):
        await stranger.start()
    await stranger.ended()
    await owner.stop()
    await stranger.start()
    await stranger.does("telegram", "running")


async def test_what_nobody_was_told_of_is_found(machines: Machines) -> None:
    """A NOTIFY that is lost costs seconds."""
    await machines.owner()
    await machines.post("seen")
    await until(lambda: machines.copies("seen"), "the copy")
    await machines.idle()
    chat = machines.ask(f"SELECT id FROM chats WHERE key = '{machines.mirror.id}'")[0][0]
    now = time.time_ns() // 1000
    with psycopg.connect(machines.database.replace("+psycopg", "")) as line:
        line.execute(
            "INSERT INTO outbox (chat_id, thing_id, kind, wanted, ready_at, queued_at) "
            "VALUES (%s, 5, 'post', 1, %s, %s)",
            (chat, now, now),
        )
    await until(lambda: machines.ask("SELECT 1 FROM outbox WHERE thing_id = 5 AND due = 0"), "the look")
