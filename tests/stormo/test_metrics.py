"""What Prometheus reads: true numbers, nobody's words, and only for whom they are meant."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from core.counts import Outcome
from core.types import Platform
from stormo.app import Stormo
from stormo.health import Doing
from tests.doubles.telegram import TelegramDouble
from tests.stage import until
from tests.stormo.test_app import config, with_telegram

TOKEN = "seven-small-birds-on-a-wire"
Numbers = dict[tuple[str, ...], float]


async def ask(app: Stormo, host: str = "localhost", **headers: str) -> tuple[int, str]:
    """Asks the page from this machine, as a server in front would if the headers say so."""
    address = f"http://127.0.0.1:{app.address[1]}/metrics"
    async with (
        aiohttp.ClientSession() as session,
        session.get(address, headers={"Host": host} | headers) as answer,
    ):
        return answer.status, await answer.text()


def numbers(page: str) -> Numbers:
    """By name and values of the labels, in the order of the labels' names."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


async def read(app: Stormo) -> Numbers:
    status, page = await ask(app)
    assert status == 200
    return numbers(page)


@pytest.mark.peer
async def test_the_numbers_of_a_busy_instance(tmp_path: Path, telegram_double: TelegramDouble) -> None:
    anna = telegram_double.person("Anna Rossi", username="anna")
    group = telegram_double.group("Secret garden", admins=[anna], bot_admin=True)
    async with Stormo(with_telegram(tmp_path, telegram_double)) as app:
        await anna.start()
        await anna.send(group, "/join")
        await anna.send(group, "/setup")
        await until(
            lambda: app.instance.counts.outcomes[Platform("telegram"), Outcome.DONE] >= 3, "the answers"
        )
        telegram_double.fault("flood", "sendMessage", retry_after=60)
        await anna.send(group, "/help")
        await until(
            lambda: app.instance.counts.outcomes[Platform("telegram"), Outcome.LIMITED], "the refusal"
        )
        page = (await ask(app))[1]
    found = numbers(page)
    assert found["stormo_database_up",] == 1
    assert found["stormo_platform_state", "telegram", "running"] == 1
    assert found["stormo_events_total", "telegram"] >= 4
    assert found["stormo_platform_alive_age_seconds", "telegram"] < 30
    assert found["stormo_platform_event_age_seconds", "telegram"] < 30
    assert found["stormo_platform_lag_seconds", "telegram"] < 30
    assert found["stormo_calls_total", "done", "telegram"] >= 3
    assert found["stormo_calls_total", "limited", "telegram"] == 1
    assert found["stormo_retries_total", "telegram"] == 1
    assert found["stormo_call_seconds_count", "telegram"] >= 4
    assert found["stormo_outbox_rows", "answer", "telegram", "time"] >= 1
    assert 0 <= found["stormo_oldest_unsent_seconds", "answer", "telegram"] < 30
    assert found["stormo_rooms", "telegram", "active"] == 1
    assert found["stormo_dead_letters",] == found["stormo_inbox_duplicates_total", "telegram"] == 0
    batches = found["stormo_writer_batch_jobs_count",]
    assert batches == found["stormo_writer_commit_seconds_count",] > 0
    assert found["stormo_writer_batch_jobs_sum",] >= batches
    assert found["process_resident_memory_bytes",] > 0
    assert [word for word in ("Anna", "anna", "Rossi", "Secret", "garden") if word in page] == []


async def test_whoever_asks_often_makes_no_work(tmp_path: Path) -> None:
    async with Stormo(config(tmp_path)) as app:
        before = await read(app)
        await app.writer.submit(lambda unit: unit.intake.bury(unit.new_id(), "Missed", "{}", "", unit.now))
        assert (await read(app))["stormo_dead_letters",] == before["stormo_dead_letters",] == 0


async def test_a_database_that_does_not_answer_is_one_of_the_numbers(tmp_path: Path) -> None:
    async with Stormo(config(tmp_path)) as app:
        app.readers.close()
        found = await read(app)
    assert found["stormo_database_up",] == 0
    assert ("stormo_dead_letters",) not in found
    # What this process counts by itself is told all the same; the program may hand over a job of its own just then.
    assert ("stormo_writer_queue_jobs",) in found


async def test_without_a_token_only_this_machine_reads(tmp_path: Path) -> None:
    async with Stormo(config(tmp_path)) as app:
        assert (await ask(app))[0] == 200
        assert (await ask(app, "birds.example.org"))[0] == 403
        assert (await ask(app, **{"X-Forwarded-For": "192.0.2.7"}))[0] == 403


@pytest.mark.parametrize("more", ['public_url = "https://birds.example.org"\n', 'host = "0.0.0.0"\n'])
async def test_where_others_see_the_pages_a_token_is_needed(tmp_path: Path, more: str) -> None:
    async with Stormo(config(tmp_path, more)) as app:
        status, why = await ask(app)
        assert status == 403
        assert "metrics_token" in why


async def test_who_sends_the_token_reads_from_wherever(tmp_path: Path) -> None:
    more = f'public_url = "https://birds.example.org"\nmetrics_token = "{TOKEN}"\n'
    async with Stormo(config(tmp_path, more)) as app:
        for wrong in ("", "Bearer", f"Bearer {TOKEN}x", f"Basic {TOKEN}"):
            assert (await ask(app, Authorization=wrong))[0] == 401
        status, page = await ask(app, "birds.example.org", Authorization=f"Bearer {TOKEN}")
        assert status == 200
        assert TOKEN not in page + repr(app.config)
        assert TOKEN in app.config.secrets


async def test_every_platform_is_there_from_the_start(tmp_path: Path) -> None:
    async with Stormo(config(tmp_path, "")) as app:
        found = await read(app)
        for platform in app.adapters:
            assert found["stormo_doubts_total", platform] == found["stormo_missed_total", platform] == 0
            assert found["stormo_platform_state", platform, Doing.RUNNING] == 1
