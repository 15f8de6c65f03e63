"""How often this process calls Discord: at most 40 times in any second, and less often the more calls are in vain.

Discord allows a bot 50 calls a second and answers 429 beyond. An address from which 10,000 calls within ten minutes are
answered with 401, 403 or 429 is shut out altogether. Answers to interactions count against neither number of calls, so
they never wait here; what is refused among them does count towards the ban.

The courier's scheduler keeps its sends under the same number, to choose who is next. It does not see what else is
called, which is why all calls have their place here too.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus
from types import SimpleNamespace
from typing import Final

import aiohttp

from core.errors import RetryLater
from core.intents import Window
from core.windows import Windows

log = logging.getLogger(__name__)

CALLS: Final = Window(40, timedelta(seconds=1))
#: How many of them may be reads of what was missed: sends have the others, whatever there is to be read.
READS: Final = 10
#: From so many answers in vain on calls slow down, and at so many they stop.
SLOW_FROM, STOP_AT = 1000, 9000
#: Seconds for which Discord counts an answer in vain.
_SPAN: Final = 600.0
#: Seconds after its start by which Discord has counted a call, however late its answer comes.
_FLIGHT: Final = 0.25
#: Seconds between two lines in the log.
_SAID_EVERY: Final = 60.0
_IN_VAIN = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS})


def seconds(value: object) -> float:
    """As Discord says them; a second where it says nothing to be understood."""
    try:
        return min(max(float(str(value)), 0.0), 3600.0)
    except ValueError:
        return 1.0


class InVain:
    """The answers of the last ten minutes that bring the ban nearer. Times are monotonic seconds."""

    def __init__(self, slow_from: int, stop_at: int) -> None:
        self._slow_from = slow_from
        self._stop_at = stop_at
        self._at: deque[float] = deque()
        self._stopped = False
        self._said = -_SAID_EVERY

    def count(self, now: float) -> int:
        while self._at and self._at[0] <= now - _SPAN:
            self._at.popleft()
        return len(self._at)

    def add(self, now: float) -> None:
        self._at.append(now)
        many = self.count(now)
        if many >= self._stop_at and not self._stopped:
            self._stopped = True
            log.error(
                "discord: %d calls in vain in ten minutes, a ban is near: nothing but interactions is answered "
                "for %.0f s",
                many,
                self.open_at(now) - now,
            )
        elif many >= self._slow_from and now - self._said >= _SAID_EVERY:
            self._said = now
            log.warning("discord: %d calls in vain in ten minutes: calls slow down", many)

    def pause(self, now: float) -> float:
        """Seconds between one call and the next: none at first, up to one shortly before the stop."""
        return max(self.count(now) - self._slow_from, 0) / (self._stop_at - self._slow_from)

    def open_at(self, now: float) -> float:
        """From when on calls are made. After a stop that is once the ten minutes have emptied."""
        over = self.count(now) - self._slow_from
        if self._stopped and over < 0:
            self._stopped = False
            log.warning("discord: calls begin again")
        return self._at[over] + _SPAN if self._stopped else now


class Budget:
    """One process's, for one bot token; belongs to one event loop. ``now`` gives monotonic seconds."""

    def __init__(
        self,
        *,
        reads: int = READS,
        slow_from: int = SLOW_FROM,
        stop_at: int = STOP_AT,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._calls = Windows((CALLS,))
        self._reads = Windows((Window(reads, CALLS.period),))
        self._in_vain = InVain(slow_from, stop_at)
        self._reading = asyncio.Lock()
        self._now = now

    @property
    def in_vain(self) -> int:
        """How many answers of the last ten minutes bring a ban nearer."""
        return self._in_vain.count(self._now())

    def take(self) -> float:
        """The place of a call that begins now, to be given to ``end``. Raises ``RetryLater`` where there is none."""
        now = self._now()
        left = self._free_at(now) - now
        if left > 0:
            # Whoever waits chooses who is next: so nobody waits here.
            raise RetryLater(
                "as many calls as may be made now are made", after=timedelta(seconds=left), whole_token=True
            )
        return self._begin(now)

    async def read(self) -> float:
        """The same for a read that may wait, and leaves room for sends; in their order."""
        async with self._reading:
            while True:
                left = self._readable_at() - self._now()
                if left <= 0:
                    place = self._begin(self._now())
                    self._reads.take(place)
                    return place
                await asyncio.sleep(left)

    def end(self, place: float) -> None:
        """The call's answer came, or will not come."""
        now = self._now()
        if now < place:
            self._calls.move(place, now)

    def park(self, pause: float) -> None:
        """Discord asks for so many seconds without any call."""
        self._calls.park(self._now() + pause)

    def answered(self, status: int, scope: str | None) -> None:
        """What came of a call. ``scope``: of a limit, as Discord names it; one shared with others is not our doing."""
        if status in _IN_VAIN and scope != "shared":
            self._in_vain.add(self._now())

    def _free_at(self, now: float) -> float:
        return max(self._calls.ready_at(now), self._in_vain.open_at(now))

    def _readable_at(self) -> float:
        now = self._now()
        return max(self._free_at(now), self._reads.ready_at(now))

    def _begin(self, now: float) -> float:
        place = now + _FLIGHT
        self._calls.take(place)
        self._calls.park(now + self._in_vain.pause(now))
        return place


def traced(budget: Budget, root: str) -> aiohttp.TraceConfig:
    """For discord.py's own client: what it calls below ``root`` waits for its place, and counts."""

    async def start(
        _: aiohttp.ClientSession, context: SimpleNamespace, call: aiohttp.TraceRequestStartParams
    ) -> None:
        context.place = await budget.read() if str(call.url).startswith(root) else None

    async def end(
        _: aiohttp.ClientSession, context: SimpleNamespace, call: aiohttp.TraceRequestEndParams
    ) -> None:
        if context.place is not None:
            told = call.response.headers
            budget.end(context.place)
            budget.answered(call.response.status, told.get("X-RateLimit-Scope"))
            # Without a trace of Discord itself it is the proxy before it that shut the door, for the whole address.
            shut = call.response.status == HTTPStatus.TOO_MANY_REQUESTS and "Via" not in told
            if shut or "X-RateLimit-Global" in told:
                budget.park(seconds(told.get("Retry-After")))

    async def failed(
        _: aiohttp.ClientSession, context: SimpleNamespace, _call: aiohttp.TraceRequestExceptionParams
    ) -> None:
        if context.place is not None:
            budget.end(context.place)

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(start)
    trace.on_request_end.append(end)
    trace.on_request_exception.append(failed)
    return trace
