"""One writer thread a database: what waits becomes one transaction.

Callers await a future; the thread takes what waits (up to 256, no timer), runs each job under a savepoint (what
handles an event has its own), lets the rules settle what is derived once for the batch, commits, and answers
everybody in one hop.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from msgspec import Struct
from sqlalchemy import Engine

from core.counts import Counts
from core.crashpoints import passing
from core.errors import StormoError
from core.events import Inbound
from core.ports import Clock
from core.types import ChatId
from storage.bell import ring
from storage.database import Link, StorageUnavailable, is_broken
from storage.leases import Number, NumberLost
from storage.statements import Runner
from storage.unit import Snowflakes, SqlUnit

log = logging.getLogger(__name__)

T = TypeVar("T")
BATCH = 256
#: How often one failing job is tried alone before it becomes a dead letter.
ATTEMPTS = 3
#: Seconds until a loop that waits for answers is looked at, and that it rests where it was busy for more than this part
#: of them.
_LOOK, _REST, _BUSY = 0.005, 0.003, 0.75


class _Job(Struct, Generic[T], eq=False):
    """``args`` of ``work`` and ``bury``: the event, where the job is one."""

    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[T]
    work: Callable[..., T]
    bury: Callable[..., T] | None
    args: tuple[Inbound, ...] = ()
    value: T | None = None
    error: BaseException | None = None


@dataclass(slots=True)
class _Stop:
    done: threading.Event = field(default_factory=threading.Event)


class Writer:
    """The only way to change a database.

    ``settle`` runs once at the end of each batch; ``woken`` is called from the writer's thread, after the commit,
    with the chats whose outbox changed. ``read_ahead`` gets the events of a batch before they are handled.
    On PostgreSQL other processes' writers may work on the same database: each transaction waits for its turn.
    """

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        settle: Callable[[SqlUnit], None],
        woken: Callable[[frozenset[ChatId]], None],
        *,
        read_ahead: Callable[[SqlUnit, Sequence[Inbound]], None] | None = None,
        counts: Counts | None = None,
    ) -> None:
        self._counts = counts or Counts()
        self._read_ahead = read_ahead
        self._engine = engine
        self._clock = clock
        self._settle = settle
        self._woken = woken
        self._waiting: queue.SimpleQueue[_Job[Any] | _Stop] = queue.SimpleQueue()
        self._link: Link | None = None
        self._number: Number | None = None
        self._ids: Snowflakes | None = None
        self._stopping: _Stop | None = None
        #: Between the last job and the stop: whoever is let in is answered.
        self._door = threading.Lock()
        self._asked = self._answered = 0
        #: Event loops that are looked after while they wait for answers.
        self._watched: set[asyncio.AbstractEventLoop] = set()
        self._thread = threading.Thread(target=self._serve, name="writer", daemon=True)

    def start(self) -> None:
        """Opens the connection in the calling thread first, so that a database that cannot be opened says so here."""
        self._numbered(self._connect())
        self._thread.start()

    def submit(
        self,
        work: Callable[[SqlUnit], T],
        bury: Callable[[SqlUnit, BaseException], T] | None = None,
    ) -> asyncio.Future[T]:
        """Queues ``work`` now (order of calls is order of commits) and returns its future.

        ``bury`` runs instead when ``work`` keeps failing. Raises through the future: what ``work`` raised (only a
        ``StormoError`` leaves the rest of its batch untouched), or ``StorageUnavailable``.
        A cancelled caller's work still commits.
        """
        loop = asyncio.get_running_loop()
        return self._queue(_Job(loop, loop.create_future(), work, bury))

    def hand(
        self,
        event: Inbound,
        work: Callable[[SqlUnit, Inbound], T],
        bury: Callable[[SqlUnit, Inbound, BaseException], T],
    ) -> asyncio.Future[T]:
        """As ``submit``, of what handles this event: it takes back itself what it refuses.

        What it will ask for is read for the whole batch.
        """
        loop = asyncio.get_running_loop()
        return self._queue(_Job(loop, loop.create_future(), work, bury, (event,)))

    def _queue(self, job: _Job[T]) -> asyncio.Future[T]:
        loop = job.loop
        with self._door:
            if self._stopping is None:
                self._waiting.put(job)
                self._asked += 1
            else:
                job.future.set_exception(StorageUnavailable("the writer has stopped"))
        if loop not in self._watched:
            self._watched.add(loop)
            self._look_after(loop)
        return job.future

    def _look_after(self, loop: asyncio.AbstractEventLoop) -> None:
        """In the loop's thread: one that never rests makes room for the writer's.

        Python hands its lock over to whoever waits 5 ms for it, but a loop that polls more often than that gives it
        up and takes it back before the other thread is awake: without this the writer stood still for ever.
        """
        began, used = time.monotonic(), time.thread_time()

        def look() -> None:
            if self._asked == self._answered:
                self._watched.discard(loop)
                return
            if time.thread_time() - used > _BUSY * (time.monotonic() - began):
                time.sleep(_REST)
            self._look_after(loop)

        loop.call_later(_LOOK, look)

    @property
    def waiting(self) -> int:
        """Jobs that no transaction has taken yet."""
        return self._waiting.qsize()

    def close(self) -> None:
        """Finishes what waits, then stops. Once is enough, and it may never have been started."""
        with self._door:
            if self._stopping is None:
                self._stopping = _Stop()
                self._waiting.put(self._stopping)
        if self._thread.ident is not None:
            self._thread.join()
        self._drop()

    # -- in the writer's thread from here on ---------------------------------------------------------------------

    def _connect(self) -> Link:
        if self._link is None:
            self._link = Link(self._engine, read_only=False)
        return self._link

    def _numbered(self, link: Link) -> tuple[Snowflakes, Number]:
        """This process's part of the ids, claimed in a transaction of its own where it has none."""
        if self._ids is None or self._number is None:
            with link.transaction():
                run = Runner(link.cursor, link.dialect)
                self._number = Number(run)
                self._ids = Snowflakes(SqlUnit.highest_id(run), self._number.number)
        return self._ids, self._number

    def _retire(self) -> None:
        """The number is free for the next one. Whatever hinders that, it becomes free by itself."""
        if self._link is not None and self._number is not None:
            with suppress(Exception), self._link.transaction():
                self._number.give_back(Runner(self._link.cursor, self._link.dialect))

    @property
    def backend(self) -> int | None:
        """The server's number of this connection, where it has one."""
        link = self._link
        return None if link is None else link.backend

    def _serve(self) -> None:
        while True:
            batch, stop = self._take()
            if batch:
                woken = self._write(batch)
                self._answer(batch, woken)
                passing("writer.answered")
                self._ring(woken)
            if stop:
                return self._retire()

    def _take(self) -> tuple[list[_Job[Any]], bool]:
        """What waits, and whether that is the end: nobody is let in behind a stop."""
        first = self._waiting.get()
        more = self._waiting.get_nowait
        taken = [first, *[more() for _ in range(min(self._waiting.qsize(), BATCH - 1))]]
        batch = [job for job in taken if isinstance(job, _Job)]
        return batch, len(batch) < len(taken)

    def _write(self, batch: Sequence[_Job[Any]]) -> frozenset[ChatId]:
        """Writes the batch, one by one where it fails together. Returns the chats to wake."""
        try:
            return self._repeated(batch)
        except StorageUnavailable as error:
            return _unavailable(batch, error)
        except BaseException:
            log.warning("a batch of %d failed together, its jobs run one by one", len(batch), exc_info=True)
        woken: set[ChatId] = set()
        for job in batch:
            woken |= self._alone(job)
        return frozenset(woken)

    def _repeated(self, batch: Sequence[_Job[Any]]) -> frozenset[ChatId]:
        """Writes the batch, once more after a lost connection, a full disk, or a sleep that cost the number.

        The inbox and the unique keys make a commit whose answer was lost harmless.
        Raises ``StorageUnavailable``, or what a job raised that is no ``StormoError``.
        """
        try:
            return self._transaction(batch)
        except NumberLost:
            self._number = None
        except BaseException as error:
            if not is_broken(error):
                raise
            log.warning("a batch of %d is repeated: %s", len(batch), error)
        self._drop()
        try:
            return self._transaction(batch)
        except BaseException as error:
            if not is_broken(error):
                raise
            self._drop()
            log.error("the database takes no changes: %s", error)  # noqa: TRY400
            raise StorageUnavailable(f"{type(error).__name__}: {error}") from error

    def _transaction(self, batch: Sequence[_Job[Any]]) -> frozenset[ChatId]:
        link = self._connect()
        ids, number = self._numbered(link)
        last = ids.last
        link.begin()
        try:
            passing("writer.begun")
            # Its time is that of its turn: what another process committed is earlier.
            unit = SqlUnit(Runner(link.cursor, link.dialect), self._clock, ids)
            if self._read_ahead is not None and len(batch) > 1:
                self._read_ahead(unit, [event for job in batch for event in job.args])
            for job in batch:
                _do(unit, job)
            self._settle(unit)
            if ids.last != last:
                unit.note_ids(number)
            unit.write()
            passing("writer.settled")
            self._commit(link)
            passing("writer.committed")
        except BaseException:
            if not link.rollback():
                self._drop()
            raise
        self._counts.batches.add(len(batch))
        self._counts.happened.update(unit.happened)
        unit.end()
        return frozenset(unit.woken)

    def _commit(self, link: Link) -> None:
        began = time.monotonic()
        link.commit()
        self._counts.commits.add(time.monotonic() - began)

    def _drop(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None

    def _alone(self, job: _Job[Any]) -> frozenset[ChatId]:
        for _ in range(ATTEMPTS):
            try:
                return self._repeated([job])
            except StorageUnavailable as error:
                return _unavailable([job], error)
            except BaseException as error:  # noqa: BLE001
                job.error = error
        return self._bury(job)

    def _bury(self, job: _Job[Any]) -> frozenset[ChatId]:
        cause = job.error
        assert cause is not None
        log.error("given up after %d attempts: %s", ATTEMPTS, type(cause).__name__, exc_info=cause)
        bury = job.bury
        if bury is None:
            return frozenset()
        args = job.args
        job.work, job.bury, job.args = (lambda unit: bury(unit, *args, cause)), None, ()
        return self._alone(job)

    def _answer(self, batch: Sequence[_Job[Any]], woken: frozenset[ChatId]) -> None:
        if woken:
            self._wake(woken)
        self._answered += len(batch)
        for loop in dict.fromkeys([job.loop for job in batch]):
            jobs = [job for job in batch if job.loop is loop]
            # A loop that was closed meanwhile has nobody left who waits.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_resolve, jobs)

    def _wake(self, woken: frozenset[ChatId]) -> None:
        try:
            self._woken(woken)
        except Exception:
            # Committed is committed: nobody is told otherwise because a courier could not be woken.
            log.exception("the courier was not woken")

    def _ring(self, woken: frozenset[ChatId]) -> None:
        """Other processes may be those who serve these chats."""
        if woken and self._link is not None and self._link.dialect == "postgresql":
            try:
                ring(self._link, woken)
            except Exception as error:  # noqa: BLE001
                log.warning("other processes were not told: %s", error)


def _unavailable(batch: Sequence[_Job[Any]], error: StorageUnavailable) -> frozenset[ChatId]:
    for job in batch:
        # Each caller gets an exception object of its own: tracebacks must not be shared.
        job.error = StorageUnavailable(str(error))
    return frozenset()


def _do(unit: SqlUnit, job: _Job[Any]) -> None:
    """Under a savepoint of its own, but for events: whoever handles one takes back what it refuses."""
    job.error = None
    if job.args:
        try:
            job.value = job.work(unit, *job.args)
        except StormoError as error:
            job.error = error
        return
    unit.savepoint("job")
    try:
        job.value = job.work(unit)
    except StormoError as error:
        unit.undo("job")
        job.error = error
    else:
        unit.release("job")


def _resolve(jobs: Sequence[_Job[Any]]) -> None:
    for job in jobs:
        if job.future.done():
            continue
        if job.error is None:
            job.future.set_result(job.value)
        elif isinstance(job.error, StopIteration):
            # A future refuses this one, and the rest of the batch would never be answered.
            job.future.set_exception(RuntimeError("StopIteration"))
        else:
            job.future.set_exception(job.error)
