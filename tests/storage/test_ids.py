"""Ids grow whatever the clock does, also over a restart."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, func, select

from core.types import ThingId
from storage import tables as t
from storage.statements import Statement
from storage.unit import EPOCH_MS, Snowflakes, SqlUnit
from storage.writer import Writer
from tests.storage.conftest import NOW, FakeClock, no_settling, nobody_waits
from tests.storage.rows import a_chat, a_community, a_member, a_notice, a_post, an_account


@given(st.lists(st.integers(-(10**7), 10**7), max_size=60), st.integers(0, 1023))
def test_ids_grow_under_a_clock_that_jumps(jumps: list[int], process: int) -> None:
    ids = Snowflakes(0, process)
    made = []
    for jump in jumps:
        ids.at(NOW + timedelta(milliseconds=jump))
        made += [ids.next(), ids.next()]
    assert made == sorted(set(made))
    assert all(0 < id_ < 2**63 for id_ in made)


def test_an_id_tells_its_millisecond_and_its_process() -> None:
    ids = Snowflakes(0, 1023)
    ids.at(NOW)
    id_ = ids.next()
    assert (id_ >> 22) + EPOCH_MS == int(NOW.timestamp() * 1000)
    assert (id_ >> 12) & 1023 == 1023
    assert id_ & 4095 == 0


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(-5, 5), st.integers(1, 9000)), max_size=12),
    st.integers(0, 2**50),
)
def test_processes_never_make_the_same_id_whatever_their_clocks_say(
    turns: list[tuple[int, int, int]], last: int
) -> None:
    """Also where a counter is full, and where another process's id was the last one."""
    clocks = [NOW] * 4
    processes = [Snowflakes(last, number) for number in range(4)]
    made: list[int] = []
    for number, milliseconds, count in turns:
        clocks[number] += timedelta(milliseconds=milliseconds)
        processes[number].at(clocks[number])
        ids = [processes[number].next() for _ in range(count)]
        assert ids == sorted(ids)
        assert {id_ >> 12 & 1023 for id_ in ids} == {number}
        made += ids
    assert len(set(made)) == len(made)
    assert all(id_ > last for id_ in made)


def test_more_ids_in_a_millisecond_than_the_counter_holds() -> None:
    ids = Snowflakes(0)
    ids.at(NOW)
    made = [ids.next() for _ in range(10_000)]
    assert made == sorted(set(made))


def test_a_clock_before_our_epoch_makes_ids_all_the_same() -> None:
    ids = Snowflakes(0)
    ids.at(datetime(1970, 1, 1, tzinfo=UTC))
    assert 0 < ids.next() < ids.next()


def test_ids_fit_into_64_bits_until_2095() -> None:
    ids = Snowflakes(0, 1023)
    ids.at(datetime(2095, 1, 1, tzinfo=UTC))
    assert 2**62 < ids.next() < 2**63


async def test_a_restart_with_a_wrong_clock_stays_above_what_is_stored(
    engine: Engine, clock: FakeClock
) -> None:
    first = Writer(engine, clock, no_settling, nobody_waits)
    first.start()
    member = await first.submit(a_member)
    await asyncio.to_thread(first.close)
    clock.at = NOW - timedelta(days=90)
    second = Writer(engine, clock, no_settling, nobody_waits)
    second.start()
    assert await second.submit(lambda unit: unit.new_id()) > member
    await asyncio.to_thread(second.close)


@pytest.mark.parametrize(
    "what", ["community", "member", "account", "chat", "notice", "fold", "post", "letter"]
)
def test_every_table_with_ids_counts(unit: SqlUnit, what: str) -> None:
    chat = a_chat(unit)
    match what:
        case "community":
            id_: int = a_community(unit)
        case "member":
            id_ = a_member(unit)
        case "account":
            id_ = an_account(unit)
        case "chat":
            id_ = a_chat(unit)
        case "notice":
            notice = a_notice(unit, chat)
            unit.notices.add_notice(notice, NOW)
            id_ = notice.id
        case "fold":
            id_ = unit.new_id()
            unit.folds.fold(ThingId(id_), chat, [], NOW)
        case "post":
            id_ = a_post(unit, community=a_community(unit))
            others = unit._run.scalar(Statement(lambda _: select(func.max(t.chats.c.id))))
            id_ = max(id_, others)
        case _:
            id_ = unit.new_id()
            unit.intake.bury(id_, "Test", "{}", "", NOW)
    assert SqlUnit.highest_id(unit._run) == id_


def test_an_empty_database_begins_at_the_clock(unit: SqlUnit) -> None:
    assert SqlUnit.highest_id(unit._run) == 0


async def test_an_id_whose_thing_is_gone_is_not_given_again(engine: Engine) -> None:
    noon = NOW
    first = writer_at(engine, FakeClock(noon))
    used = await first.submit(lambda unit: unit.new_id())
    first.close()

    second = writer_at(engine, FakeClock(noon - timedelta(hours=1)))
    again = await second.submit(lambda unit: unit.new_id())
    second.close()

    assert again > used


def writer_at(engine: Engine, clock: FakeClock) -> Writer:
    writer = Writer(engine, clock, no_settling, nobody_waits)
    writer.start()
    return writer
