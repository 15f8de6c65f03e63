"""A process keeps what it owns through small mishaps, and gives it up at once when it is another's."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest

from core.types import Platform
from storage.migrate import upgrade
from stormo.app import Stormo
from stormo.config import Config, parse
from stormo.health import Doing
from stormo.lock import InUse
from tests.doubles.discord import DiscordDouble
from tests.doubles.telegram import TelegramDouble
from tests.postgres import PostgresServer
from tests.stage import until

pytestmark = [pytest.mark.peer, pytest.mark.timeout(120)]

TELEGRAM, DISCORD = Platform("telegram"), Platform("discord")


def with_bots(folder: Path, database: str, telegram: TelegramDouble, discord: DiscordDouble) -> Config:
    return parse(
        f"""
        [web]
        port = 0
        [database]
        url = "{database}"
        [room]
        quiet_hours = "off"
        [telegram]
        token = "{telegram.token}"
        base_url = "{telegram.base_url}"
        base_file_url = "{telegram.base_file_url}"
        retry_seconds = 0.01
        [discord]
        token = "{discord.token}"
        api_url = "{discord.api_url}"
        gateway_url = "{discord.gateway_url}"
        cdn_url = "{discord.cdn_url}"
        guild_ready_timeout = 0.05
        """,
        {},
        base=folder,
    )


@asynccontextmanager
async def two_bots(
    folder: Path, database: str
) -> AsyncIterator[tuple[Stormo, TelegramDouble, DiscordDouble]]:
    """Telegram and Discord, both served."""
    async with TelegramDouble() as telegram, DiscordDouble() as discord:
        discord.guild("Birds", owner=discord.person("Bruno", username="bruno")).text_channel("general")
        async with Stormo(with_bots(folder, database, telegram, discord)) as app:
            await until(lambda: doing(app) == [Doing.RUNNING] * 2, "both platforms")
            yield app, telegram, discord


def doing(app: Stormo) -> list[Doing]:
    return [app.health[platform].doing for platform in (TELEGRAM, DISCORD)]


def steal(database: str, seconds: int) -> None:
    """Another process owns both tokens for so long."""
    with psycopg.connect(database.replace("+psycopg", "")) as line:
        line.execute(
            "UPDATE leases SET epoch = epoch + 1, owner = 'a thief', site = '', "
            "expires_at = (extract(epoch FROM clock_timestamp()) + %s) * 1000000",
            (seconds,),
        )


async def test_what_another_process_took_is_given_up_and_taken_again_when_it_is_free(
    tmp_path: Path, fresh_postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "stormo")
    async with two_bots(tmp_path, fresh_postgres_url) as (app, telegram, discord):
        sessions = len(discord.gateway.identifies)
        steal(fresh_postgres_url, 8)
        await until(lambda: doing(app) == [Doing.STANDBY] * 2, "both given up")
        assert app.leases.platforms == []
        polls = telegram.requested
        await until(lambda: doing(app) == [Doing.RUNNING] * 2, "both taken again")
        assert telegram.requested > polls
        assert len(discord.gateway.identifies) > sessions
        assert {app.leases.epoch(platform) for platform in (TELEGRAM, DISCORD)} == {3}
        anna = telegram.person("Anna", username="anna")
        group = telegram.group("Birds", admins=[anna], bot_admin=True)
        await anna.send(group, "/join")
        await until(lambda: any(m.from_bot for m in telegram.visible(group)), "the answer")
    told = [record.getMessage() for record in caplog.records]
    assert told.count("telegram: standing by, served by a thief") == 1


async def test_an_event_that_an_old_owner_hands_over_late_changes_nothing(
    tmp_path: Path, fresh_postgres_url: str
) -> None:
    """What it heard before it was stopped may be older than what the new owner knows."""
    async with two_bots(tmp_path, fresh_postgres_url) as (app, telegram, _):
        anna = telegram.person("Anna", username="anna")
        group = telegram.group("Birds", admins=[anna], bot_admin=True)
        steal(fresh_postgres_url, 5)
        await anna.send(group, "/join")
        await until(lambda: app.health[TELEGRAM].doing is Doing.STANDBY, "it is given up")
        members = await app.readers.read(lambda unit: unit.people.by_handle("anna"))
        assert members is None
        await until(lambda: any(m.from_bot for m in telegram.visible(group)), "the answer by its next owner")


async def test_a_restart_of_the_database_costs_nobody_the_lease(tmp_path: Path) -> None:
    with PostgresServer() as server:
        database = server.url(server.create_database())
        upgrade(database)
        async with two_bots(tmp_path, database) as (app, telegram, _):
            server.stop()
            server.start()
            anna = telegram.person("Anna", username="anna")
            group = telegram.group("Birds", admins=[anna], bot_admin=True)
            await anna.send(group, "/join")
            await until(lambda: any(m.from_bot for m in telegram.visible(group)), "the answer")
            assert not app.ended.is_set()
            assert {app.leases.epoch(platform) for platform in (TELEGRAM, DISCORD)} == {1}


async def test_the_playground_is_one_processs_own(tmp_path: Path, fresh_postgres_url: str) -> None:
    made = parse(f'[web]\nport = 0\n[database]\nurl = "{fresh_postgres_url}"\n', {}, base=tmp_path)
    async with Stormo(made):
        with pytest.raises(InUse):
            async with Stormo(made):
                pytest.fail("two playgrounds")
