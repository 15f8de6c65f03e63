"""Delivery: due -> view -> try (committed) -> perform -> record.

The scheduler of each bot token says whose turn it is; the outbox says what that chat must show. The courier renders
at send time, so that first send, edit, live tally, retry and withdrawal are one path. Before each call a try is
committed, after it the receipt: a try found without receipt was perhaps sent. A slow call holds its chat, so that the
order there stays, and one of the calls at once, never the token. Only platforms whose token this process owns are
served (``leases.py``).
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from core.attempts import Attempt, Attempts
from core.counts import Counts, Outcome, outcome_of
from core.crashpoints import passing
from core.engine import Engine
from core.errors import LeaseLost, Rejected, RetryLater, StormoError
from core.intents import Create, Receipt
from core.lanes import Later
from core.leases import Leases
from core.ports import Adapter, Clock, Transactions, Words
from core.receipts import Receipts
from core.records import Foremost
from core.scheduler import NEVER, Class, Scheduler
from core.stores.unit import Unit
from core.types import ChatId, MessageRef, Platform

log = logging.getLogger(__name__)

T = TypeVar("T")
#: Calls under way at once for one bot token, what is looked up before them included.
CALLS_AT_ONCE = 48
#: Seconds between a failed write and the next look at its chat.
STORAGE_PAUSE = 1.0
_LONGEST_PAUSE = 300


@dataclass(slots=True)
class _Token:
    """One bot token: its adapter, who sends next, and how many calls are under way.

    ``epoch``: in whose name it is served; ``None`` while it is another process's. ``left_at``: since when, where it was
    served before.
    """

    adapter: Adapter
    scheduler: Scheduler
    calls: int = 0
    epoch: int | None = None
    left_at: datetime | None = None

    def next_at(self, now: float) -> float:
        busy = self.epoch is None or self.calls == CALLS_AT_ONCE
        return NEVER if busy else self.scheduler.next_at(now)


class Courier:
    """Runs in the event loop; every look at the database is a job of the writer."""

    def __init__(
        self,
        *,
        adapters: Mapping[Platform, Adapter],
        writer: Transactions,
        engine: Engine,
        words: Words,
        clock: Clock,
        leases: Leases,
        counts: Counts | None = None,
    ) -> None:
        self._leases = leases
        self._counts = counts or Counts()
        self._writer = writer
        self._clock = clock
        platforms = {platform: adapter.capabilities for platform, adapter in adapters.items()}
        self._attempts = Attempts(engine.rules, words, platforms)
        self._receipts = Receipts(engine, self._attempts, platforms)
        self._tokens = {
            platform: _Token(adapter, Scheduler(able.token_windows, able.chat_windows))
            for platform, adapter in adapters.items()
            for able in [adapter.capabilities]
        }
        self._platforms: dict[ChatId, Platform] = {}
        self._busy: dict[ChatId, asyncio.Task[None]] = {}
        #: Woken, and not looked at since.
        self._news: set[ChatId] = set()
        self._asking: asyncio.Task[None] | None = None
        self._ask_at = 0.0
        self._woken = asyncio.Event()
        self._stopping = False

    # -- the loop ------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Delivers until cancelled. Begins with the platforms that this process owns already."""
        for platform in self._leases.platforms:
            await self.serve(platform)
        try:
            while True:
                await self._clock.wait(self._woken, self._next_alarm())
                self._woken.clear()
                self._go()
        finally:
            self._stopping = True
            if self._asking is not None:
                self._asking.cancel()

    async def serve(self, platform: Platform) -> None:
        """From now on. First settles the tries that an earlier owner left open. Raises ``LeaseLost``."""
        epoch = self._leases.epoch(platform)
        await self._submit(platform, epoch, lambda unit: self._attempts.recover(unit, platform))
        passing("lease.settled", platform)
        await self._count_sent(platform)
        self._tokens[platform].epoch = epoch
        await self._take_stock(platform)
        passing("lease.served", platform)

    def leave(self, platform: Platform) -> None:
        """From this moment on another process may be its owner: calls under way are given up."""
        token = self._tokens[platform]
        token.epoch, token.left_at = None, self._clock.now()
        for chat, task in self._busy.items():
            if self._platforms[chat] == platform:
                task.cancel()
        passing("lease.left", platform)

    def _submit(self, platform: Platform, epoch: int, work: Callable[[Unit], T]) -> asyncio.Future[T]:
        """A job in that epoch's name. Where that is over its future raises ``LeaseLost`` and nothing is changed."""

        def in_its_name(unit: Unit) -> T:
            self._leases.check(unit, platform, epoch)
            return work(unit)

        return self._writer.submit(in_its_name)

    async def drain(self) -> None:
        """Lets the calls under way end. Nothing new starts."""
        self._stopping = True
        if self._busy:
            await asyncio.gather(*self._busy.values(), return_exceptions=True)

    def wake(self, chats: frozenset[ChatId]) -> None:
        """These chats have something new to look at. Called in the event loop, after the commit."""
        now = self._clock.monotonic()
        for chat in chats:
            token = self._token_of(chat)
            if token is not None:
                token.scheduler.wake(chat, now)
            if token is not None or chat not in self._platforms:
                self._news.add(chat)
        self._woken.set()
        passing("outbound.woken")

    @property
    def idle(self) -> bool:
        """Whether no call is under way and no lane is due now."""
        # Who was woken looks first.
        return (
            not self._woken.is_set()
            and not self._busy
            and self._asking is None
            and self._next_at() > self._clock.monotonic()
        )

    def _token_of(self, chat: ChatId) -> _Token | None:
        """The chat's token, if it was looked at before and its platform is ours."""
        platform = self._platforms.get(chat)
        return None if platform is None else self._served(platform)

    def _served(self, platform: Platform) -> _Token | None:
        token = self._tokens.get(platform)
        return token if token is not None and token.epoch is not None else None

    def _turn_at(self, token: _Token, now: float) -> float:
        at = token.next_at(now)
        # A lease that runs out may be renewed yet.
        return at if self._leases.may_call(token.adapter.platform) else max(at, now + STORAGE_PAUSE)

    def _next_at(self) -> float:
        """When something may start, as far as is known."""
        now = self._clock.monotonic()
        asking = self._ask_at if self._unasked() else NEVER
        return min(asking, *(self._turn_at(token, now) for token in self._tokens.values()), NEVER)

    def _unasked(self) -> set[ChatId]:
        """Woken chats that nobody looks at now."""
        return {chat for chat in self._news if chat not in self._busy} if self._asking is None else set()

    def _next_alarm(self) -> datetime | None:
        now, at = self._clock.monotonic(), self._next_at()
        if at == NEVER or self._stopping:
            return None
        # Rounded up: who wakes too early finds nothing to do, and would wake too early again.
        return self._clock.now() + timedelta(microseconds=max(math.ceil((at - now) * 1e6), 0))

    async def _count_sent(self, platform: Platform) -> None:
        """What an earlier run, or owner, sent within the longest window; edits and answers leave no trace.

        What this process sent before it left stands in the windows already.
        """
        token = self._tokens[platform]
        since = self._clock.now() - token.adapter.capabilities.longest_window
        since = max(since, token.left_at or since)
        sent = await self._writer.submit(lambda unit: unit.copies.standing_since(platform, since))
        now, time = self._clock.monotonic(), self._clock.now()
        for chat, at in sent:
            # By a clock that was set back it may seem to lie ahead.
            token.scheduler.sent(chat, now - max((time - at).total_seconds(), 0))

    async def _take_stock(self, platform: Platform) -> None:
        """What waits there since an earlier run, or owner."""
        loads = await self._writer.submit(lambda unit: unit.backlog.loads(platform))
        now, time = self._clock.monotonic(), self._clock.now()
        token = self._tokens[platform]
        for load in loads:
            self._platforms[load.chat_id] = platform
            wait = (load.ready_at - time).total_seconds()
            if wait > 0:
                token.scheduler.wake_at(load.chat_id, now + wait, now)
            else:
                token.scheduler.wake(load.chat_id, now, first=Class.of(load.rank), more=load.count)
                self._news.add(load.chat_id)
        self._woken.set()

    def _go(self) -> None:
        """Everything that may start now starts."""
        if self._stopping:
            return
        now = self._clock.monotonic()
        for token in self._tokens.values():
            while self._turn_at(token, now) <= now and (chat := token.scheduler.choose(now)) is not None:
                passing("outbound.place_taken", token.adapter.platform)
                self._start(token, chat)
        if now >= self._ask_at and self._unasked():
            self._asking = asyncio.create_task(self._ask())

    # -- who must wait -------------------------------------------------------------------------------------------

    async def _ask(self) -> None:
        """What chats have to do that were woken and whose turn it is not: some of it is bound by no window."""
        asked: set[ChatId] = set()
        try:
            while asked := {chat for chat in self._news if chat not in self._busy}:
                self._news -= asked
                for found in await self._writer.submit(partial(_foremost, asked)):
                    self._note(found)
        except Exception as error:
            log.warning("what waits is not known: %s", error, exc_info=not isinstance(error, StormoError))
            self._news |= asked
            self._ask_at = self._clock.monotonic() + STORAGE_PAUSE
        finally:
            self._asking = None
            self._woken.set()

    def _note(self, found: Foremost) -> None:
        chat, now = found.chat_id, self._clock.monotonic()
        known = chat in self._platforms
        self._platforms[chat] = found.platform
        token = self._served(found.platform)
        if token is None:
            return
        # Woken before it was known, it may have been taken stock of since, as it stood before it was woken.
        token.scheduler.wake(chat, now, more=0 if known else 1)
        if found.rank is not None:
            token.scheduler.hint(chat, Class.of(found.rank), now)
        if found.unbound and not self._stopping and token.scheduler.seize(chat):
            self._start(token, chat, bound=False)

    # -- one chat ------------------------------------------------------------------------------------------------

    def _start(self, token: _Token, chat: ChatId, *, bound: bool = True) -> None:
        assert token.epoch is not None
        token.calls += 1
        self._news.discard(chat)
        self._busy[chat] = asyncio.create_task(self._serve(token, token.epoch, chat, bound=bound))

    async def _serve(self, token: _Token, epoch: int, chat: ChatId, *, bound: bool) -> None:
        """One look at what a chat has to do, and at most one call. ``bound``: a place of the token was taken for it."""
        at = self._clock.monotonic()
        try:
            at = await self._step(token, epoch, chat, bound=bound)
        except LeaseLost as error:
            log.debug("chat %d: %s", chat, error)
        except StormoError as error:
            log.warning("chat %d: %s", chat, error)
            at = self._clock.monotonic() + STORAGE_PAUSE
        except Exception:
            log.exception("chat %d: its lane failed and is tried again", chat)
            at = self._clock.monotonic() + STORAGE_PAUSE
        finally:
            del self._busy[chat]
            token.calls -= 1
            token.scheduler.free(chat, self._clock.monotonic(), at)
            self._woken.set()

    async def _step(self, token: _Token, epoch: int, chat: ChatId, *, bound: bool) -> float:
        """Returns when to look again."""
        found = await self._submit(
            token.adapter.platform,
            epoch,
            lambda unit: self._attempts.next(unit, chat, epoch, exempt_only=not bound),
        )
        if isinstance(found, Attempt):
            passing("outbound.try_committed", token.adapter.platform)
            if found.exempt or found.lost:
                # What reads are bound by, an adapter knows.
                token.scheduler.unbound(chat)
            await (self._look_for if found.lost else self._perform)(token, chat, found)
            passing("outbound.next", token.adapter.platform)
        elif isinstance(found, Later) and bound:
            if found.at is None:
                return NEVER
            return self._clock.monotonic() + (found.at - self._clock.now()).total_seconds()
        return self._clock.monotonic()

    async def _perform(self, token: _Token, chat: ChatId, found: Attempt) -> None:
        try:
            receipt = await self._call(token, chat, found)
        except RetryLater as error:
            await self._retry(token, chat, found, error)
        except Rejected as rejected:
            refusal = rejected
            await self._note_down(found, lambda unit: self._receipts.rejected(unit, found, refusal))
        else:
            recorded = self._note_down(found, lambda unit: self._receipts.record(unit, found, receipt))
            passing("outbound.receipt_queued", token.adapter.platform)
            await recorded
            passing("outbound.receipt_committed", token.adapter.platform)

    async def _look_for(self, token: _Token, chat: ChatId, found: Attempt) -> None:
        """Settles a send whose answer was lost by what stands there."""
        try:
            there = await self._find_sent(token, chat, found)
        except RetryLater as error:
            log.info("chat %d, thing %d: cannot be looked for now: %s", chat, found.row.thing_id, error)
            later, pause = error, error.after or _growing(found.row.attempts)
            await self._note_down(found, lambda unit: self._receipts.put_off(unit, found, later, pause))
        except Rejected as rejected:
            refusal = rejected
            await self._note_down(found, lambda unit: self._receipts.unseen(unit, found, refusal))
        else:
            await self._note_down(found, lambda unit: self._receipts.looked(unit, found, there))
        passing("outbound.settled", token.adapter.platform)

    async def _find_sent(self, token: _Token, chat: ChatId, found: Attempt) -> MessageRef | None:
        """Raises ``RetryLater`` or ``Rejected`` and nothing else."""
        assert isinstance(found.intent, Create)
        platform = token.adapter.platform
        try:
            passing("outbound.looking", platform)
            there = await token.adapter.find_sent(found.intent, found.attempt.at)
            passing("outbound.looked", platform)
        except (RetryLater, Rejected):
            raise
        except Exception as unforeseen:
            log.warning("chat %d: looking failed", chat, exc_info=True)
            raise RetryLater(type(unforeseen).__name__) from unforeseen
        return there

    async def _call(self, token: _Token, chat: ChatId, found: Attempt) -> Receipt:
        """The call itself, counted. Raises ``RetryLater`` or ``Rejected`` and nothing else."""
        platform, began, outcome = token.adapter.platform, self._clock.monotonic(), Outcome.UNKNOWN
        if not self._leases.may_call(platform):
            raise RetryLater("the lease runs out")
        token.scheduler.begin(chat, began, Class.of(found.row.rank))
        try:
            passing("outbound.calling", platform)
            receipt = await token.adapter.perform(found.intent)
            passing("outbound.call_answered", platform)
            outcome = Outcome.DONE
        except (RetryLater, Rejected) as error:
            outcome = outcome_of(error)
            raise
        except Exception as unforeseen:
            log.warning("chat %d: an unknown outcome", chat, exc_info=True)
            raise RetryLater(type(unforeseen).__name__, unknown=True) from unforeseen
        finally:
            ended = self._clock.monotonic()
            token.scheduler.end(chat, ended)
            self._counts.called(platform, outcome, ended - began)
        if receipt.quota is not None:
            token.scheduler.learn(chat, receipt.quota, ended)
        return receipt

    async def _retry(self, token: _Token, chat: ChatId, found: Attempt, error: RetryLater) -> None:
        pause = error.after or _growing(found.row.attempts)
        # A 429 parks its own lane only, unless the platform says that it binds the whole token. What fails
        # otherwise is put off alone: answers and withdrawals go on.
        if error.after is not None or error.whole_token:
            until = self._clock.monotonic() + pause.total_seconds()
            token.scheduler.park(chat, until, whole_token=error.whole_token)
        if error.too_many:
            token.scheduler.warn(chat, whole_token=error.whole_token)
        log.info(
            "chat %d, thing %d: again in %.1f s: %s", chat, found.row.thing_id, pause.total_seconds(), error
        )
        await self._note_down(found, lambda unit: self._receipts.put_off(unit, found, error, pause))

    def _note_down(self, found: Attempt, work: Callable[[Unit], None]) -> asyncio.Future[None]:
        """What came of a call, in the name that it was made in."""
        return self._submit(found.chat.ref.platform, found.epoch, work)


def _foremost(asked: set[ChatId], unit: Unit) -> list[Foremost]:
    return unit.backlog.foremost(asked, unit.now)


def _growing(attempts: int) -> timedelta:
    """Doubling, capped, and never in step with others."""
    return timedelta(seconds=min(2**attempts, _LONGEST_PAUSE) * random.uniform(0.75, 1.25))  # noqa: S311
