"""The program as a whole, started inside the test: one fault stays one fault, and an end is an orderly end."""

from __future__ import annotations

import asyncio
import socket
import stat
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from core.records import CopyState
from core.stores.unit import Unit
from core.types import ChatRef, Platform, ThingId, ThingKind
from storage import migrate
from storage.database import open_engine
from stormo.app import NUDGE, Stormo
from stormo.config import Config, Web, parse
from stormo.health import Doing, Health
from stormo.instance import Instance
from stormo.lock import InUse
from stormo.site import NoSuchHost, PortInUse
from tests.clock import FakeClock
from tests.doubles.telegram import TelegramDouble
from tests.stage import until

TELEGRAM = Platform("telegram")


def config(folder: Path, more: str = "[playground]\nenabled = false\n") -> Config:
    return parse(f"[web]\nport = 0\n{more}", {}, base=folder)


def with_telegram(folder: Path, double: TelegramDouble, token: str | None = None) -> Config:
    return config(
        folder,
        f"""
        [telegram]
        token = "{token or double.token}"
        base_url = "{double.base_url}"
        base_file_url = "{double.base_file_url}"
        retry_seconds = 0.01
        [room]
        quiet_hours = "off"
        """,
    )


async def get(app: Stormo, path: str, **headers: str) -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(
            f"http://127.0.0.1:{app.address[1]}{path}", headers=headers, allow_redirects=False
        ) as answer,
    ):
        text = await answer.text()
        return answer.status, await answer.json() if answer.content_type == "application/json" else text


async def test_without_any_config_there_is_a_page_to_play_on(tmp_path: Path) -> None:
    async with Stormo(config(tmp_path, "")) as app:
        assert (await get(app, "/"))[0] == 302
        status, page = await get(app, "/playground/")
        assert status == 200
        assert "<title>" in page
        # The address that the program itself names when it is ready.
        assert (await get(app, "/playground"))[0] == 302
        assert (await get(app, "/playground/", Host="birds.example.org"))[0] == 403
        status, health = await get(app, "/healthz")
        assert (status, health["status"]) == (200, "ok")
        assert set(health["platforms"]) == {
            f"playground-{look}" for look in ("discord", "telegram", "matrix")
        }


async def test_a_name_that_the_operator_gave_reaches_the_playground(tmp_path: Path) -> None:
    named = config(tmp_path, 'public_url = "https://birds.example.org"\n')
    async with Stormo(named) as app:
        assert (await get(app, "/playground/", Host="birds.example.org"))[0] == 200


async def test_the_playground_is_off_where_it_is_not_wanted(tmp_path: Path) -> None:
    async with Stormo(config(tmp_path)) as app:
        assert (await get(app, "/playground/"))[0] == 404
        assert app.adapters == {}


async def test_a_port_in_use_is_named_and_nothing_is_touched(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        wanted = replace(config(tmp_path), web=Web(host="127.0.0.1", port=port, public_url=""))
        with pytest.raises(PortInUse) as refused:
            async with Stormo(wanted):
                pytest.fail("it started")
    assert refused.value.message.args["port"] == str(port)
    assert not (tmp_path / "data" / "stormo.sqlite").exists()


async def test_an_address_of_another_machine_is_refused(tmp_path: Path) -> None:
    wanted = replace(config(tmp_path), web=Web(host="192.0.2.1", port=0, public_url=""))
    with pytest.raises(NoSuchHost, match=r"192\.0\.2\.1"):
        async with Stormo(wanted):
            pytest.fail("it started")


async def test_two_processes_never_serve_the_same_folder_or_file(tmp_path: Path) -> None:
    first = config(tmp_path)
    elsewhere = replace(first, data=tmp_path / "other")
    async with Stormo(first):
        for second in (first, elsewhere):
            with pytest.raises(InUse):
                async with Stormo(second):
                    pytest.fail("two at once")
    async with Stormo(first) as app:
        assert (await get(app, "/healthz"))[0] == 200


async def test_a_newer_database_is_refused_before_anything_starts(tmp_path: Path) -> None:
    made = config(tmp_path)
    async with Stormo(made):
        pass
    engine = open_engine(made.database_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    engine.dispose()
    with pytest.raises(migrate.NewerDatabase):
        async with Stormo(made):
            pytest.fail("it started")


async def test_the_instance_and_its_key_are_the_same_after_a_restart(tmp_path: Path) -> None:
    async with Stormo(config(tmp_path)) as app:
        first = app.instance.rules
    async with Stormo(config(tmp_path)) as app:
        assert (app.instance.rules.instance, app.instance.rules.key) == (first.instance, first.key)
    assert stat.S_IMODE((tmp_path / "data" / "key").stat().st_mode) == 0o600


@pytest.mark.peer
async def test_a_member_joins_through_a_platform(tmp_path: Path, telegram_double: TelegramDouble) -> None:
    anna = telegram_double.person("Anna", username="anna")
    group = telegram_double.group("Birds", admins=[anna], bot_admin=True)
    async with Stormo(with_telegram(tmp_path, telegram_double)) as app:
        await anna.send(group, "/join")
        await telegram_double.wait_until(
            lambda: any(m.from_bot and "anna" in m.text for m in telegram_double.visible(group))
        )
        member = await app.readers.read(lambda unit: unit.people.by_handle("anna"))
        assert member is not None


@pytest.mark.peer
async def test_a_wrong_token_stops_that_platform_only(
    tmp_path: Path, telegram_double: TelegramDouble
) -> None:
    wrong = with_telegram(tmp_path, telegram_double, token="777007:a-token-that-nobody-knows-0000000000")
    async with Stormo(replace(wrong, playground=True)) as app:
        await until(lambda: app.health[TELEGRAM].doing is Doing.STOPPED, "the end of the adapter")
        assert "Telegram" in app.health[TELEGRAM].reason
        assert "nobody-knows" not in app.health[TELEGRAM].reason
        status, health = await get(app, "/healthz")
        assert status == 200
        assert health["platforms"]["telegram"] == "stopped"
        assert health["platforms"]["playground-matrix"] == "running"


@pytest.mark.peer
async def test_ready_means_that_an_event_came_through(
    tmp_path: Path, telegram_double: TelegramDouble
) -> None:
    anna = telegram_double.person("Anna", username="anna")
    group = telegram_double.group("Birds", admins=[anna], bot_admin=True)
    async with Stormo(with_telegram(tmp_path, telegram_double)) as app:
        await anna.send(group, "/join")
        await until(lambda: app.health[TELEGRAM].events, "the event")
        status, ready = await get(app, "/readyz")
        assert (status, ready["status"]) == (200, "ready")
        assert ready["platforms"]["telegram"]["doing"] == "running"
        assert ready["platforms"]["telegram"]["event_seconds_ago"] < 10


@pytest.mark.peer
async def test_a_platform_that_nobody_reaches_is_not_ready(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        # It takes the connection and never answers: an open socket proves nothing.
        address = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        more = f"""
            [matrix]
            homeserver = "{address}"
            user_id = "@stormo:example.org"
            access_token = "syt_nothing"
        """
        async with Stormo(config(tmp_path, more)) as app:
            status, ready = await get(app, "/readyz")
            assert (status, ready["platforms"]["matrix"]["alive_seconds_ago"]) == (503, None)
            assert ready["platforms"]["matrix"]["doing"] != "running"
            assert (await get(app, "/healthz"))[0] == 200


async def test_a_database_that_takes_nothing_is_neither_ready_nor_healthy(tmp_path: Path) -> None:
    async with Stormo(config(tmp_path)) as app:
        app.writer.close()
        for page in ("/healthz", "/readyz"):
            status, told = await get(app, page)
            assert (status, told["status"]) == (503, "no database: StorageUnavailable")


def test_a_platform_runs_only_as_long_as_it_proves_it() -> None:
    clock = FakeClock()
    health = Health(clock, timedelta(seconds=90))
    health.begin()
    seen = [health.doing]
    health.alive()
    seen.append(health.doing)
    clock.advance(timedelta(seconds=91))
    seen.append(health.doing)
    health.event()
    seen.append(health.doing)
    health.fail(Doing.WAITING, "it broke")
    seen.append(health.doing)
    health.begin()
    seen.append(health.doing)
    clock.advance(timedelta(seconds=91))
    seen.append(health.doing)
    assert seen == ["starting", "running", "deaf", "running", "waiting", "starting", "deaf"]
    assert health.event_age == 91


@pytest.mark.peer
async def test_a_call_under_way_is_finished_and_recorded_before_the_end(
    tmp_path: Path, telegram_double: TelegramDouble
) -> None:
    anna = telegram_double.person("Anna", username="anna")
    group = telegram_double.group("Birds", admins=[anna], bot_admin=True)
    telegram_double.fault("slow", "sendMessage", seconds=1.0)
    sent: list[int] = []
    telegram_double.on_stored(lambda method, _: sent.append(1) if method == "sendMessage" else None)
    async with Stormo(with_telegram(tmp_path, telegram_double)) as app:
        await anna.send(group, "/join")
        await until(lambda: sent, "the answer to be under way")
        began = time.monotonic()
    assert time.monotonic() - began < 10
    async with Stormo(config(tmp_path)) as app:
        assert await app.readers.read(lambda unit: unit.tries.tries()) == []


@pytest.mark.peer
async def test_what_a_tool_beside_it_queues_is_looked_at_soon(
    tmp_path: Path, telegram_double: TelegramDouble
) -> None:
    anna = telegram_double.person("Anna", username="anna")
    group = telegram_double.group("Birds", admins=[anna], bot_admin=True)
    made = with_telegram(tmp_path, telegram_double)
    vanished = ThingId(5)

    def queue(unit: Unit) -> None:
        known = unit.communities.chat(ChatRef(TELEGRAM, str(group.id)))
        assert known is not None
        unit.outbox.want(vanished, ThingKind.POST, 1, [known.id], rank=1, now=unit.now, ready_at=unit.now)
        unit.intake.set_meta(NUDGE, "1")

    def settled(unit: Unit) -> bool:
        return [row.state for row in unit.outbox.deliveries(vanished)] != [CopyState.LIVE]

    async with Stormo(made) as app:
        await anna.send(group, "/join")
        await telegram_double.wait_until(lambda: any(m.from_bot for m in telegram_double.visible(group)))
        async with Instance(made, beside=True) as tool:
            await tool.writer.submit(queue)
        await until(lambda: app.readers.read(settled), "the courier's look")


async def test_a_failed_courier_ends_the_program_rather_than_leaving_it_mute(tmp_path: Path) -> None:
    async with Stormo(config(tmp_path)) as app:
        task = next(t for t in asyncio.all_tasks() if t.get_name() == "courier")
        app.courier._ask_at = None  # type: ignore[assignment]
        app.courier._woken.set()
        await until(app.ended.is_set, "the end")
        assert task.done()
