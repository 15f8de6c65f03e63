"""Delivery: due -> view -> try (committed) -> perform -> record.

One lane per chat; nothing sleeps while it holds a lane. The outbox says what each chat must show; the courier
renders at send time, so that first send, edit, live tally, retry and withdrawal are one path. Before each call a
try is committed, after it the receipt: a try found without receipt was perhaps sent.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import random
from collections.abc import Mapping
from datetime import datetime, timedelta

from core.attempts import Attempt, Attempts
from core.counts import Counts, Outcome, outcome_of
from core.crashpoints import passing
from core.engine import Engine
from core.errors import Rejected, RetryLater, StormoError
from core.intents import Receipt
from core.lanes import Later, Windows
from core.ports import Adapter, Clock, Transactions, Words
from core.receipts import Receipts
from core.types import ChatId, Platform

log = logging.getLogger(__name__)

#: Calls under way at once for one bot token.
CALLS_AT_ONCE = 16
#: Between a failed write and the next look at its chat.
STORAGE_PAUSE = timedelta(seconds=1)
_LONGEST_PAUSE = 300


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
        counts: Counts | None = None,
    ) -> None:
        self._counts = counts or Counts()
        self._adapters = adapters
        self._writer = writer
        self._clock = clock
        platforms = {platform: adapter.capabilities for platform, adapter in adapters.items()}
        self._attempts = Attempts(engine.rules, words, platforms)
        self._receipts = Receipts(engine, self._attempts, platforms)
        self._tokens = {p: Windows(a.capabilities.token_windows) for p, a in adapters.items()}
        self._calls = {p: asyncio.Semaphore(CALLS_AT_ONCE) for p in adapters}
        self._lanes: dict[ChatId, Windows] = {}
        self._platforms: dict[ChatId, Platform] = {}
        self._busy: dict[ChatId, asyncio.Task[None]] = {}
        self._again: set[ChatId] = set()
        self._alarms: list[tuple[datetime, ChatId]] = []
        self._set: set[tuple[datetime, ChatId]] = set()
        self._woken = asyncio.Event()
        self._stopping = False

    # -- the loop ------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Delivers until cancelled. First settles the tries that an earlier run left open."""
        await self._writer.submit(self._attempts.recover)
        waiting = await self._writer.submit(lambda unit: unit.delivery.waiting())
        for chat, at in waiting.items():
            self._alarm(chat, at)
        try:
            while True:
                await self._clock.wait(self._woken, self._alarms[0][0] if self._alarms else None)
                self._woken.clear()
                self._ring()
        finally:
            self._stopping = True

    async def drain(self) -> None:
        """Lets the calls under way end. Nothing new starts."""
        self._stopping = True
        if self._busy:
            await asyncio.gather(*self._busy.values(), return_exceptions=True)

    def wake(self, chats: frozenset[ChatId]) -> None:
        """These chats have something new to look at. Called in the event loop, after the commit."""
        now = self._clock.now()
        for chat in chats:
            self._alarm(chat, now)
        passing("outbound.woken")

    @property
    def idle(self) -> bool:
        """Whether no call is under way and no lane is due now."""
        return not self._busy and not (self._alarms and self._alarms[0][0] <= self._clock.now())

    def _alarm(self, chat: ChatId, at: datetime) -> None:
        # Every wake finds the same next time again: an alarm that is set already is not set twice.
        if (at, chat) not in self._set:
            self._set.add((at, chat))
            heapq.heappush(self._alarms, (at, chat))
            self._woken.set()

    def _ring(self) -> None:
        now = self._clock.now()
        while self._alarms and self._alarms[0][0] <= now:
            alarm = heapq.heappop(self._alarms)
            self._set.discard(alarm)
            chat = alarm[1]
            if self._stopping:
                return
            if chat in self._busy:
                self._again.add(chat)
            else:
                self._busy[chat] = asyncio.create_task(self._serve(chat))

    async def _serve(self, chat: ChatId) -> None:
        """One chat's lane, until it has nothing to do now."""
        try:
            later: Later | None = None
            while later is None and not self._stopping:
                self._again.discard(chat)
                later = await self._step(chat)
            if later is not None and later.at is not None:
                self._alarm(chat, later.at)
        except StormoError as error:
            log.warning("chat %d: %s", chat, error)
            self._alarm(chat, self._clock.now() + STORAGE_PAUSE)
        except Exception:
            log.exception("chat %d: its lane failed and is tried again", chat)
            self._alarm(chat, self._clock.now() + STORAGE_PAUSE)
        finally:
            del self._busy[chat]
            if chat in self._again:
                self._again.discard(chat)
                self._alarm(chat, self._clock.now())

    async def _step(self, chat: ChatId) -> Later | None:
        """At most one call. ``None``: look again at once."""
        lane = self._lanes.get(chat) or await self._open(chat)
        if lane is None:
            return Later(None)
        token = self._tokens[self._platforms[chat]]
        now = self._clock.monotonic()
        wait = max(lane.ready_at(now), token.ready_at(now)) - now
        if wait <= 0:
            # The place is taken before anything is awaited: another lane must not find the same one free.
            lane.take(now)
            token.take(now)
            passing("outbound.place_taken", self._platforms[chat])
        found = await self._writer.submit(lambda unit: self._attempts.next(unit, chat, exempt_only=wait > 0))
        if wait <= 0 and (not isinstance(found, Attempt) or found.exempt):
            lane.give_back(now)
            token.give_back(now)
        if isinstance(found, Attempt):
            passing("outbound.try_committed", self._platforms[chat])
            await self._perform(chat, found)
            passing("outbound.next", self._platforms[chat])
            return None
        if isinstance(found, Later) and wait > 0:
            return Later(self._clock.now() + timedelta(seconds=wait))
        return found

    async def _open(self, chat: ChatId) -> Windows | None:
        """The lane of a chat that was not served yet, if its platform is ours."""
        found = await self._writer.submit(lambda unit: unit.communities.chat_by_id(chat))
        adapter = self._adapters.get(found.ref.platform)
        if adapter is None:
            return None
        self._platforms[chat] = found.ref.platform
        lane = self._lanes[chat] = Windows(adapter.capabilities.chat_windows)
        return lane

    async def _perform(self, chat: ChatId, found: Attempt) -> None:
        try:
            receipt = await self._call(found)
        except RetryLater as error:
            await self._retry(chat, found, error)
        except Rejected as rejected:
            refusal = rejected
            await self._writer.submit(lambda unit: self._receipts.rejected(unit, found, refusal))
        else:
            recorded = self._writer.submit(lambda unit: self._receipts.record(unit, found, receipt))
            passing("outbound.receipt_queued", found.chat.ref.platform)
            await recorded
            passing("outbound.receipt_committed", found.chat.ref.platform)

    async def _call(self, found: Attempt) -> Receipt:
        """The call itself, counted. Raises ``RetryLater`` or ``Rejected`` and nothing else."""
        platform = found.chat.ref.platform
        async with self._calls[platform]:
            began, outcome = self._clock.monotonic(), Outcome.UNKNOWN
            try:
                passing("outbound.calling", platform)
                receipt = await self._adapters[platform].perform(found.intent)
                passing("outbound.call_answered", platform)
                outcome = Outcome.DONE
            except (RetryLater, Rejected) as error:
                outcome = outcome_of(error)
                raise
            except Exception as unforeseen:
                log.warning("chat %d: an unknown outcome", found.chat.id, exc_info=True)
                raise RetryLater(type(unforeseen).__name__, unknown=True) from unforeseen
            finally:
                self._counts.called(platform, outcome, self._clock.monotonic() - began)
            return receipt

    async def _retry(self, chat: ChatId, found: Attempt, error: RetryLater) -> None:
        pause = error.after or _growing(found.row.attempts)
        until = self._clock.monotonic() + pause.total_seconds()
        # A 429 parks its own lane only, unless the platform says that it binds the whole token. What fails
        # otherwise is put off alone: answers and withdrawals go on.
        if error.after is not None:
            self._lanes[chat].park(until)
        if error.whole_token:
            self._tokens[found.chat.ref.platform].park(until)
        log.info(
            "chat %d, thing %d: again in %.1f s: %s", chat, found.row.thing_id, pause.total_seconds(), error
        )
        await self._writer.submit(lambda unit: self._receipts.put_off(unit, found, error, pause))


def _growing(attempts: int) -> timedelta:
    """Doubling, capped, and never in step with others."""
    return timedelta(seconds=min(2**attempts, _LONGEST_PAUSE) * random.uniform(0.75, 1.25))  # noqa: S311
