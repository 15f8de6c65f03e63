"""The queue of updates and its long poll: acknowledged by offset, delivered again until then."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .errors import conflict

Json = dict[str, Any]

DAY = 86_400
OPTIONAL_KINDS = frozenset({"chat_member", "message_reaction", "message_reaction_count"})
TERMINATED = "terminated by other getUpdates request; make sure that only one bot instance is running"


@dataclass
class UpdateQueue:
    """Updates for the bot.

    `on_poll` is called when a poll starts to wait; `allowed` is the last `allowed_updates` given, empty for
    the default set; `deliveries` counts how often each update was handed out.
    """

    clock: Callable[[], float]
    on_poll: Callable[[], None]
    allowed: tuple[str, ...] = ()
    pending: list[tuple[float, Json]] = field(default_factory=list)
    next_id: int = 543_636_337
    deliveries: Counter[int] = field(default_factory=Counter)
    closed: bool = False
    #: Polls come back empty, whatever waits.
    deaf: bool = False
    _poller: asyncio.Future[bool] | None = None

    @property
    def polling(self) -> bool:
        """Whether a poll waits for something to happen."""
        return self._poller is not None

    def wants(self, kind: str) -> bool:
        return kind in self.allowed if self.allowed else kind not in OPTIONAL_KINDS

    def put(self, kind: str, payload: Json) -> Json:
        """Queues an update and wakes the poller; returns the Update."""
        update = {"update_id": self.next_id, kind: payload}
        self.next_id += 1
        self.pending.append((self.clock(), update))
        if not self.deaf:
            self._wake(True)
        return update

    async def take(self, offset: int, limit: int, timeout: float) -> list[Json]:
        """Acknowledges everything before `offset`, then answers with what waits, for up to `timeout` seconds.

        A poll that comes while another one waits makes the earlier one fail with 409, as the server does.
        """
        self._wake(False)
        self._acknowledge(offset)
        if (self.deaf or not self.pending) and timeout > 0 and not self.closed:
            await self._wait(timeout)
        if self.deaf:
            return []
        batch = [update for _, update in self.pending[:limit]]
        self.deliveries.update(update["update_id"] for update in batch)
        return batch

    def close(self) -> None:
        self.closed = True
        self._wake(True)

    def _acknowledge(self, offset: int) -> None:
        fresh = [(at, update) for at, update in self.pending if at > self.clock() - DAY]
        if offset < 0:
            self.pending = fresh[offset:]
        else:
            self.pending = [(at, update) for at, update in fresh if update["update_id"] >= offset]

    async def _wait(self, timeout: float) -> None:
        self._poller = mine = asyncio.get_running_loop().create_future()
        self.on_poll()
        try:
            survived = await asyncio.wait_for(mine, timeout)
        except TimeoutError:
            survived = True
        finally:
            if self._poller is mine:
                self._poller = None
        if not survived:
            raise conflict(TERMINATED)

    def _wake(self, survived: bool) -> None:
        if self._poller and not self._poller.done():
            self._poller.set_result(survived)
