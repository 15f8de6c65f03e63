"""What waits becomes one transaction; everybody gets their own answer, and nobody an answer that is not true."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future

import pytest
from sqlalchemy import Engine

from core.errors import Ignored, Refusal
from core.types import ChatId, PostId
from storage.database import Link, StorageUnavailable
from storage.unit import SqlUnit
from storage.writer import ATTEMPTS, BATCH, Writer
from tests.storage.conftest import DEADLINE, FakeClock, count, no_settling, nobody_waits
from tests.storage.rows import a_chat, wanted

Work = Callable[[SqlUnit], object]


def claims(key: str) -> Callable[[SqlUnit], bool]:
    return lambda unit: unit.intake.claim(key, unit.now)


def touches(post: int) -> Callable[[SqlUnit], None]:
    return lambda unit: unit.touched.add(PostId(post))


def letter(unit: SqlUnit, error: BaseException) -> str:
    unit.intake.bury(unit.new_id(), "Test", "{}", type(error).__name__, unit.now)
    return "buried"


def raises(error: BaseException) -> Callable[[SqlUnit], object]:
    def work(unit: SqlUnit) -> object:
        unit.intake.claim("undone", unit.now)
        raise error

    return work


class Gate:
    """Holds the writer's thread inside a job until everybody has queued up."""

    def __init__(self) -> None:
        self.inside: Future[None] = Future()
        self.open = threading.Event()

    def __call__(self, _: SqlUnit) -> None:
        self.inside.set_result(None)
        assert self.open.wait(DEADLINE)


async def together(writer: Writer, works: list[Work]) -> list[object]:
    """Queues the works while the writer is busy, so that they become one batch. Exceptions are returned."""
    gate = Gate()
    held = writer.submit(gate)
    await asyncio.wait_for(asyncio.wrap_future(gate.inside), DEADLINE)
    futures = [writer.submit(work) for work in works]
    gate.open.set()
    await held
    return await asyncio.wait_for(asyncio.gather(*futures, return_exceptions=True), DEADLINE)


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each COMMIT that the writer said."""
    said: list[int] = []
    commit = Link.commit

    def counted(link: Link) -> None:
        commit(link)
        said.append(1)

    monkeypatch.setattr(Link, "commit", counted)
    return said


async def test_the_answer_is_what_the_work_returned_and_it_is_stored(writer: Writer, engine: Engine) -> None:
    assert await writer.submit(claims("one")) is True
    assert count(engine, "inbox", "key = 'one'") == 1


async def test_what_was_seen_before_is_a_success(writer: Writer, engine: Engine) -> None:
    assert await writer.submit(claims("one")) is True
    assert await writer.submit(claims("one")) is False
    assert count(engine, "inbox") == 1


async def test_a_duplicate_inside_one_batch_is_seen(writer: Writer, engine: Engine) -> None:
    assert await together(writer, [claims("one"), claims("two"), claims("one")]) == [True, True, False]
    assert count(engine, "inbox") == 2


async def test_many_callers_share_a_commit(writer: Writer, engine: Engine, commits: list[int]) -> None:
    answers = await together(writer, [claims(str(n)) for n in range(BATCH)])
    assert answers == [True] * BATCH
    assert len(commits) == 2  # the job that held the door, and everybody else
    assert count(engine, "inbox") == BATCH


async def test_a_batch_has_an_end(writer: Writer, engine: Engine, commits: list[int]) -> None:
    await together(writer, [claims(str(n)) for n in range(2 * BATCH + 1)])
    assert len(commits) == 1 + 3
    assert count(engine, "inbox") == 2 * BATCH + 1


async def test_the_order_of_the_calls_is_the_order_of_the_work(writer: Writer) -> None:
    seen: list[int] = []
    ids: list[int] = []

    def work(number: int) -> Work:
        def both(unit: SqlUnit) -> None:
            seen.append(number)
            ids.append(unit.new_id())

        return both

    await together(writer, [work(n) for n in range(600)])
    assert seen == list(range(600))
    assert ids == sorted(set(ids))


async def test_what_is_derived_is_settled_once_a_batch(engine: Engine, clock: FakeClock) -> None:
    settled: list[int] = []
    writer = Writer(engine, clock, lambda unit: settled.append(len(unit.touched)), nobody_waits)
    writer.start()
    await together(writer, [touches(n) for n in range(10)])
    await asyncio.to_thread(writer.close)
    assert settled == [0, 10]


async def test_a_refusal_undoes_its_own_work_only(writer: Writer, engine: Engine) -> None:
    refusal = Refusal("post.too_long", limit=1)
    answers = await together(writer, [claims("before"), raises(refusal), claims("after")])
    assert answers == [True, refusal, True]
    assert count(engine, "inbox") == 2
    assert count(engine, "inbox", "key = 'undone'") == 0


async def test_every_error_raised_on_purpose_leaves_the_rest_of_the_batch(
    writer: Writer, engine: Engine, commits: list[int]
) -> None:
    await together(writer, [claims("a"), raises(Ignored("nothing of ours")), claims("b")])
    assert len(commits) == 2
    assert count(engine, "inbox") == 2


async def test_undoing_a_savepoint_keeps_what_was_before_it(writer: Writer, engine: Engine) -> None:
    def work(unit: SqlUnit) -> str:
        unit.intake.claim("kept", unit.now)
        unit.savepoint("attempt")
        unit.intake.claim("undone", unit.now)
        unit.undo("attempt")
        unit.intake.set_bookmark("answer", "no")
        return "answered"

    assert await writer.submit(work) == "answered"
    assert count(engine, "inbox", "key = 'kept'") == 1
    assert count(engine, "inbox", "key = 'undone'") == 0
    assert count(engine, "bookmarks") == 1


async def test_an_unexpected_error_costs_the_others_nothing(
    writer: Writer, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    fault = ZeroDivisionError("a bug")
    answers = await together(writer, [claims("a"), raises(fault), claims("b")])
    assert answers == [True, fault, True]
    assert count(engine, "inbox") == 2
    assert "one by one" in caplog.text


async def test_a_failing_job_is_tried_three_times_alone_and_then_buried(
    writer: Writer, engine: Engine
) -> None:
    runs: list[int] = []

    def work(unit: SqlUnit) -> str:
        runs.append(unit.new_id())
        unit.intake.claim("undone", unit.now)
        raise ZeroDivisionError

    assert await writer.submit(work, letter) == "buried"
    assert len(runs) == 1 + ATTEMPTS
    assert len(set(runs)) == len(runs)
    assert count(engine, "dead_letters", "error = 'ZeroDivisionError'") == 1
    assert count(engine, "inbox") == 0


async def test_a_job_that_recovers_is_not_buried(writer: Writer, engine: Engine) -> None:
    failures = iter([ZeroDivisionError(), ZeroDivisionError()])

    def work(unit: SqlUnit) -> bool:
        for error in failures:
            raise error
        return unit.intake.claim("late", unit.now)

    assert await writer.submit(work, lambda _u, _e: False) is True
    assert count(engine, "inbox") == 1
    assert count(engine, "dead_letters") == 0


async def test_a_burial_that_fails_answers_all_the_same(writer: Writer, engine: Engine) -> None:
    def no_burial(_: SqlUnit, error: BaseException) -> object:
        raise KeyError("no grave")

    with pytest.raises(KeyError):
        await asyncio.wait_for(writer.submit(raises(ZeroDivisionError()), no_burial), DEADLINE)
    assert await writer.submit(claims("next")) is True


@pytest.mark.parametrize(
    "error", [StopIteration(), SystemExit(3), asyncio.CancelledError(), KeyboardInterrupt()], ids=repr
)
async def test_no_error_whatever_stops_the_writer(writer: Writer, error: BaseException) -> None:
    """Neither the thread ends, nor does anybody of the batch wait for ever."""
    first = writer.submit(raises(error))
    second = writer.submit(claims("second"))
    await asyncio.wait([first], timeout=DEADLINE)
    assert await asyncio.wait_for(second, DEADLINE) is True
    # Taken out here: a CancelledError of a job is not this test's own.
    assert first.cancelled() or first.exception() is not None


async def test_settling_that_fails_answers_everybody(engine: Engine, clock: FakeClock) -> None:
    def settle(unit: SqlUnit) -> None:
        if unit.touched:
            raise ZeroDivisionError("a tally")

    writer = Writer(engine, clock, settle, nobody_waits)
    writer.start()
    answers = await together(writer, [claims("a"), touches(1), claims("b")])
    await asyncio.to_thread(writer.close)
    assert answers[0] is True
    assert isinstance(answers[1], ZeroDivisionError)
    assert answers[2] is True
    assert count(engine, "inbox") == 2


async def test_a_cancelled_callers_work_still_commits(writer: Writer, engine: Engine) -> None:
    gate = Gate()
    held = writer.submit(gate)
    await asyncio.wrap_future(gate.inside)
    cancelled = writer.submit(claims("cancelled"))
    other = writer.submit(claims("other"))
    cancelled.cancel()
    gate.open.set()
    assert await other is True
    await held
    assert count(engine, "inbox", "key = 'cancelled'") == 1


async def test_the_courier_is_woken_after_the_commit(engine: Engine, clock: FakeClock) -> None:
    woken: list[tuple[frozenset[ChatId], int]] = []
    writer = Writer(engine, clock, no_settling, lambda chats: woken.append((chats, count(engine, "outbox"))))
    writer.start()

    def work(unit: SqlUnit) -> ChatId:
        chat = a_chat(unit)
        wanted(unit, chat)
        return chat

    first, second = await together(writer, [work, work])
    await asyncio.to_thread(writer.close)
    assert woken == [(frozenset({first, second}), 2)]


async def test_a_courier_that_cannot_be_woken_does_not_stop_the_writer(
    engine: Engine, clock: FakeClock
) -> None:
    def broken(_: frozenset[ChatId]) -> None:
        raise RuntimeError("its loop is closed")

    writer = Writer(engine, clock, no_settling, broken)
    writer.start()
    await asyncio.wait_for(writer.submit(lambda unit: wanted(unit, a_chat(unit))), DEADLINE)
    assert await asyncio.wait_for(writer.submit(claims("next")), DEADLINE) is True
    await asyncio.to_thread(writer.close)


async def test_closing_finishes_what_waits(engine: Engine, clock: FakeClock) -> None:
    writer = Writer(engine, clock, no_settling, nobody_waits)
    writer.start()
    futures = [writer.submit(claims(str(n))) for n in range(700)]
    await asyncio.to_thread(writer.close)
    assert await asyncio.gather(*futures) == [True] * 700
    assert count(engine, "inbox") == 700


async def test_a_closed_writer_says_so_and_closes_once(engine: Engine, clock: FakeClock) -> None:
    writer = Writer(engine, clock, no_settling, nobody_waits)
    writer.start()
    await asyncio.to_thread(writer.close)
    await asyncio.to_thread(writer.close)
    with pytest.raises(StorageUnavailable):
        await writer.submit(claims("late"))


async def test_a_writer_that_never_started_can_be_closed(engine: Engine, clock: FakeClock) -> None:
    Writer(engine, clock, no_settling, nobody_waits).close()
    assert count(engine, "inbox") == 0


async def test_callers_of_two_event_loops_are_answered_in_theirs(writer: Writer) -> None:
    async def elsewhere() -> bool:
        return await writer.submit(claims("elsewhere"))

    here = writer.submit(claims("here"))
    assert await asyncio.to_thread(asyncio.run, elsewhere()) is True
    assert await here is True


@pytest.mark.timeout(120)
@pytest.mark.parametrize("step", [500, 20_000])
async def test_a_busy_event_loop_does_not_starve_the_writer(
    writer: Writer, engine: Engine, step: int
) -> None:
    """The loop never rests, before, between and after the calls; all of them are answered all the same."""
    futures: list[asyncio.Future[bool]] = []
    async with asyncio.timeout(90):
        while len(futures) < 500 or not all(future.done() for future in futures):
            assert sum(range(step)) > 0
            if len(futures) < 500:
                futures.append(writer.submit(claims(str(len(futures)))))
            await asyncio.sleep(0)
    assert count(engine, "inbox") == 500
