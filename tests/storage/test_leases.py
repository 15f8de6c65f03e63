"""Who owns a bot token, by rows: one at a time, by the database's clock, each take-over with a new epoch."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import Engine

from core.errors import LeaseLost
from core.leases import LIFE, Leases
from core.types import Platform
from storage.leases import PROCESSES, Number, NumberLost
from storage.statements import Runner
from storage.unit import SqlUnit
from storage.writer import Writer
from tests.storage.conftest import FakeClock, no_settling, nobody_waits

BOT = Platform("telegram")
SOON = timedelta(milliseconds=1)


def take(unit: SqlUnit, site: str = "", life: timedelta = LIFE) -> int | None:
    return unit.leases.take(BOT, "perch process 7", site, life)


def expire(unit: SqlUnit, table: str = "leases") -> None:
    unit._run.cursor.execute(f"UPDATE {table} SET expires_at = expires_at - 3600000000")


def test_what_is_held_is_nobody_elses_until_it_expires(unit: SqlUnit) -> None:
    assert unit.leases.epoch(BOT) == 0
    assert take(unit) == 1
    assert take(unit) is None
    assert unit.leases.holder(BOT, "") == "perch process 7"
    assert unit.leases.renew(BOT, 1, LIFE)
    expire(unit)
    assert unit.leases.holder(BOT, "") is None
    assert take(unit) == 2
    assert unit.leases.epoch(BOT) == 2


def test_an_old_epoch_renews_and_releases_nothing(unit: SqlUnit) -> None:
    assert take(unit) == 1
    expire(unit)
    assert take(unit) == 2
    assert not unit.leases.renew(BOT, 1, LIFE)
    unit.leases.release(BOT, 1)
    assert take(unit) is None
    unit.leases.release(BOT, 2)
    assert take(unit) == 3


def test_who_proves_that_the_former_holder_died_need_not_wait(unit: SqlUnit) -> None:
    assert take(unit, "here:1:2") == 1
    assert unit.leases.holder(BOT, "here:1:3") is not None
    assert take(unit, "here:1:3") is None
    assert unit.leases.holder(BOT, "here:1:2") is None
    assert take(unit, "here:1:2") == 2
    assert unit.leases.renew(BOT, 2, LIFE)


def test_no_proof_proves_nothing(unit: SqlUnit) -> None:
    assert take(unit, "") == 1
    assert unit.leases.holder(BOT, "") is not None
    assert take(unit, "") is None
    assert take(unit, "here:1:2") is None


def test_each_token_has_its_own(unit: SqlUnit) -> None:
    assert take(unit) == 1
    assert unit.leases.take("matrix", "another", "", LIFE) == 1
    unit.leases.release("matrix", 1)
    assert take(unit) is None


def test_a_lease_ends_by_the_databases_clock(unit: SqlUnit, clock: FakeClock) -> None:
    assert take(unit) == 1
    clock.at += timedelta(days=365)
    assert take(unit) is None


async def test_what_is_done_in_an_old_epochs_name_is_not_done(writer: Writer, engine: Engine) -> None:
    leases = Leases(FakeClock())
    assert await writer.submit(take) == 1
    await writer.submit(expire)
    assert await writer.submit(take) == 2

    def act(unit: SqlUnit, epoch: int) -> None:
        unit.intake.set_bookmark(f"epoch {epoch}", "done")
        leases.check(unit, BOT, epoch)

    acts = [writer.submit(partial(act, epoch=epoch)) for epoch in (1, 2)]
    done = await asyncio.gather(*acts, return_exceptions=True)
    assert [type(answer) for answer in done] == [LeaseLost, type(None)]
    assert await writer.submit(lambda unit: unit.intake.bookmark("epoch 1")) is None
    assert await writer.submit(lambda unit: unit.intake.bookmark("epoch 2")) == "done"


# -- each process's part of the ids ----------------------------------------------------------------------------------


def test_the_lowest_free_number_is_claimed(unit: SqlUnit) -> None:
    run = unit._run
    numbers = [Number(run) for _ in range(3)]
    assert [n.number for n in numbers] == [0, 1, 2]
    numbers[1].give_back(run)
    assert Number(run).number == 1
    assert Number(run).number == 3


def test_a_number_is_free_again_when_nothing_is_heard_of_it(unit: SqlUnit) -> None:
    first = Number(unit._run)
    expire(unit, "processes")
    second = Number(unit._run)
    assert (first.number, second.number) == (0, 0)
    second.used(unit._run, 7)
    with pytest.raises(NumberLost):
        first.used(unit._run, 8)
    first.give_back(unit._run)
    assert Number(unit._run).number == 1


def test_who_makes_ids_keeps_its_number(unit: SqlUnit) -> None:
    number = Number(unit._run)
    expire(unit, "processes")
    number.used(unit._run, 7)
    assert Number(unit._run).number == 1
    assert SqlUnit.highest_id(unit._run) == 7


def test_more_processes_than_numbers_are_refused(unit: SqlUnit) -> None:
    last = [Number(unit._run) for _ in range(3)][-1]
    unit._run.cursor.execute(f"UPDATE processes SET number = {PROCESSES - 1} WHERE number = {last.number}")
    unit._run.cursor.execute("SELECT max(expires_at) FROM processes")
    until = (unit._run.cursor.fetchone() or (0,))[0]
    for number in range(2, PROCESSES - 1):
        unit._run.cursor.execute(f"INSERT INTO processes VALUES ({number}, 1, 0, {until})")
    with pytest.raises(LookupError):
        Number(unit._run)


async def test_processes_make_different_ids_at_the_same_moment(engine: Engine, clock: FakeClock) -> None:
    writers = [Writer(engine, clock, no_settling, nobody_waits) for _ in range(3)]
    for writer in writers:
        writer.start()
    jobs = [writer.submit(lambda unit: unit.new_id()) for _ in range(50) for writer in writers]
    made = await asyncio.gather(*jobs)
    assert len(set(made)) == len(made)
    assert {id_ >> 12 & 1023 for id_ in made} == {0, 1, 2}
    for writer in writers:
        await asyncio.to_thread(writer.close)


async def test_who_slept_until_its_number_was_anothers_takes_a_new_one(
    engine: Engine, clock: FakeClock
) -> None:
    sleeper = Writer(engine, clock, no_settling, nobody_waits)
    sleeper.start()
    assert await sleeper.submit(lambda unit: unit.new_id()) >> 12 & 1023 == 0
    await sleeper.submit(lambda unit: expire(unit, "processes"))
    other = Writer(engine, clock, no_settling, nobody_waits)
    other.start()
    theirs = await other.submit(lambda unit: unit.new_id())
    ours = await sleeper.submit(lambda unit: unit.new_id())
    assert (theirs >> 12 & 1023, ours >> 12 & 1023) == (0, 1)
    assert ours > theirs
    for writer in (sleeper, other):
        await asyncio.to_thread(writer.close)


async def test_a_number_that_was_given_back_goes_on_above_its_last_id(
    engine: Engine, clock: FakeClock
) -> None:
    made = []
    for _ in range(3):
        writer = Writer(engine, clock, no_settling, nobody_waits)
        writer.start()
        made.append(await writer.submit(lambda unit: unit.new_id()))
        await asyncio.to_thread(writer.close)
    assert made == sorted(set(made))
    assert {id_ >> 12 & 1023 for id_ in made} == {0}


def test_a_runner_remembers_an_epoch_for_one_transaction_only(unit: SqlUnit) -> None:
    assert take(unit) == 1
    assert unit.leases.epoch(BOT) == 1
    other = SqlUnit(Runner(unit._run.cursor, unit._run.dialect), FakeClock(), None)
    expire(other)
    assert take(other) == 2
    assert other.leases.epoch(BOT) == 2
