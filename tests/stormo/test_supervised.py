"""One platform's fault stays its own, it is tried again ever more slowly, and an end is over within ten seconds."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from core.types import Platform
from stormo.app import Stormo
from stormo.health import Doing
from tests.clock import FakeClock
from tests.conftest import ROOT
from tests.doubles.discord import DiscordDouble
from tests.doubles.telegram import TelegramDouble
from tests.stage import until
from tests.stormo.test_app import config, with_telegram

pytestmark = pytest.mark.peer

TELEGRAM, DISCORD = Platform("telegram"), Platform("discord")


@asynccontextmanager
async def hanging_up() -> AsyncIterator[tuple[int, list[float]]]:
    """A server that ends each connection at once: its port, and one entry a connection."""
    seen: list[float] = []

    def taken(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(time.monotonic())
        writer.close()

    server = await asyncio.start_server(taken, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], seen


async def test_a_platform_that_hangs_up_is_tried_ever_more_slowly_and_never_in_a_storm(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    async with hanging_up() as (port, seen):
        made = config(
            tmp_path,
            f'[telegram]\ntoken = "123456:{"a" * 35}"\nbase_url = "http://127.0.0.1:{port}/bot"\n',
        )
        async with Stormo(made, clock=clock) as app:
            health = app.health[TELEGRAM]
            tries: list[float] = []
            while clock.monotonic() < timedelta(minutes=30).total_seconds():
                await until(lambda: health.doing is Doing.WAITING, "the failure")
                if not tries or health.began_at > tries[-1]:
                    tries.append(health.began_at)
                clock.advance(timedelta(seconds=1))
                await asyncio.sleep(0)
    pauses = [after - before for before, after in pairwise(tries)]
    assert pauses[0] <= 3
    assert pauses[:5] == sorted(pauses[:5])
    assert 45 <= max(pauses) <= 77
    assert min(pauses[7:]) >= 45
    assert len(tries) < 50
    assert len(seen) <= len(tries) + 1, "one connection a try"


async def test_a_malformed_payload_restarts_that_platform_alone(
    tmp_path: Path, telegram_double: TelegramDouble
) -> None:
    anna = telegram_double.person("Anna", username="anna")
    group = telegram_double.group("Birds", admins=[anna], bot_admin=True)
    async with DiscordDouble() as discord:
        bruno = discord.person("Bruno", username="bruno")
        channel = discord.guild("Birds", owner=bruno).text_channel("general")
        more = f"""
            [discord]
            token = "{discord.token}"
            api_url = "{discord.api_url}"
            gateway_url = "{discord.gateway_url}"
            cdn_url = "{discord.cdn_url}"
        """
        both = with_telegram(tmp_path, telegram_double)
        made = config(tmp_path, f"{more}[playground]\nenabled = false\n")
        made = replace(both, platforms={**both.platforms, **made.platforms})
        async with Stormo(made) as app:
            await discord.gateway.wait_connected()
            await until(lambda: discord.world.commands[None], "the slash commands")
            began = {platform: app.health[platform].began_at for platform in (TELEGRAM, DISCORD)}
            discord.gateway.send_raw('{"op": 0, "t": "MESSAGE_CREATE", "s": 99, "d": {"id": []}}')
            await anna.send(group, "/join")
            await telegram_double.wait_until(
                lambda: any(m.from_bot and "anna" in m.text for m in telegram_double.visible(group))
            )
            await until(lambda: app.health[DISCORD].began_at > began[DISCORD], "the new session")
            await discord.gateway.wait_connected()
            await until(lambda: app.health[DISCORD].doing is Doing.RUNNING, "Discord to be heard")
            await bruno.slash(channel, "join", {})
            await until(lambda: app.readers.read(lambda unit: unit.people.by_handle("bruno")), "the member")
            assert app.health[TELEGRAM].began_at == began[TELEGRAM]


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("slow", "recorded"), [(3.0, True), (60.0, False)])
async def test_sigterm_with_a_call_under_way_ends_within_ten_seconds(
    tmp_path: Path, telegram_double: TelegramDouble, slow: float, recorded: bool
) -> None:
    """What is answered in time is recorded; what is not stays an open try, which the next start settles."""
    anna = telegram_double.person("Anna", username="anna")
    group = telegram_double.group("Birds", admins=[anna], bot_admin=True)
    stored: list[str] = []
    telegram_double.on_stored(lambda method, _: stored.append(method))
    telegram_double.fault("slow", "sendMessage", seconds=slow)
    file = tmp_path / "config.toml"
    file.write_text(
        f"""
        [web]
        port = 0
        [telegram]
        token = "{telegram_double.token}"
        base_url = "{telegram_double.base_url}"
        base_file_url = "{telegram_double.base_file_url}"
        """
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "stormo", "run", "--config", str(file)),
        cwd=ROOT,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await anna.send(group, "/join")
        await until(lambda: "sendMessage" in stored, "the answer to be under way")
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 30) == 0
        lasted = time.monotonic() - began
    finally:
        if process.returncode is None:
            os.kill(process.pid, signal.SIGKILL)
            await process.wait()
    assert lasted < 10, f"{lasted:.1f} s"
    async with Stormo(config(tmp_path)) as app:
        tries = await app.readers.read(lambda unit: unit.tries.tries())
    assert (tries == []) is recorded
